//! One lock per key across processes, which the operating system frees when its holder dies.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tarn_core::Result;

use crate::failure::{io_error, is_absent};
use crate::files;

/// The right to ingest one key; freed when dropped.
#[derive(Debug)]
pub struct IngestLock {
    path: PathBuf,
    /// Holds the operating system's lock while it is open.
    _file: File,
}

impl Drop for IngestLock {
    fn drop(&mut self) {
        // Removed while still locked: a process that waits for this file sees that it is gone and takes a new one.
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove a lock file");
        }
    }
}

/// Waits for the lock.
pub(crate) fn acquire(dir: &Path, key: &str) -> Result<IngestLock> {
    loop {
        let (path, file) = open(dir, key)?;
        file.lock()
            .map_err(|error| io_error(error, format!("cannot lock {}", path.display())))?;
        if still_there(&path, &file) {
            return Ok(IngestLock { path, _file: file });
        }
    }
}

/// Takes the lock if it is free.
pub(crate) fn try_acquire(dir: &Path, key: &str) -> Result<Option<IngestLock>> {
    loop {
        let (path, file) = open(dir, key)?;
        match file.try_lock() {
            Ok(()) if still_there(&path, &file) => {
                return Ok(Some(IngestLock { path, _file: file }));
            }
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => {
                return Err(io_error(error, format!("cannot lock {}", path.display())));
            }
        }
    }
}

/// Removes the files of locks that no process holds, left by killed processes. Returns how many.
pub(crate) fn sweep(dir: &Path, dry_run: bool) -> io::Result<u64> {
    let mut found = 0;
    for entry in files::entries(dir)? {
        let path = entry.path();
        let file = match File::open(&path) {
            Err(error) if is_absent(&error) => continue,
            file => file?,
        };
        match file.try_lock() {
            Ok(()) if still_there(&path, &file) => found += 1,
            Ok(()) | Err(TryLockError::WouldBlock) => continue,
            Err(TryLockError::Error(error)) => return Err(error),
        }
        if !dry_run {
            // While it is locked, as whoever holds it does.
            std::fs::remove_file(&path)?;
        }
    }
    Ok(found)
}

fn open(dir: &Path, key: &str) -> Result<(PathBuf, File)> {
    files::ensure_dir(dir, true)
        .map_err(|error| io_error(error, format!("cannot make {}", dir.display())))?;
    let path = dir.join(hex::encode(Sha256::digest(key.as_bytes())));
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(|error| {
            io_error(
                error,
                format!("cannot open the lock file {}", path.display()),
            )
        })?;
    Ok((path, file))
}

/// Whether the locked file is the one that others find under its path.
pub(crate) fn still_there(path: &Path, file: &File) -> bool {
    match (std::fs::metadata(path), file.metadata()) {
        (Ok(found), Ok(held)) => found.ino() == held.ino() && found.dev() == held.dev(),
        _ => false,
    }
}
