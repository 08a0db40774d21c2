//! Unfinished files, and what stopped processes left of theirs.
//!
//! Whoever has the lake open and writes has a folder of its own, `.tarn/staging/<id>/`, and the operating
//! system's lock on it, which ends with the process however that ends. A process that gets the lock
//! of another's folder has found what a stopped process left, copies of raw objects among it. Neither ages nor
//! process numbers are as sure: a slow upload may be old, and numbers are used again.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::failure::is_absent;
use crate::{files, lock, private};

/// The folder of this process's unfinished files; removed when dropped, if nothing is left in it.
#[derive(Debug)]
pub(crate) struct StagingFolder {
    path: PathBuf,
    id: String,
    /// Holds the operating system's lock while it is open.
    _lock: File,
}

impl StagingFolder {
    /// Makes a folder and takes its lock.
    pub(crate) fn new(staging: &Path) -> io::Result<StagingFolder> {
        loop {
            files::ensure_dir(staging, true)?;
            let id = Uuid::new_v4().simple().to_string();
            let path = staging.join(&id);
            // Before the lock is taken, another process may take the folder for a leftover.
            let lock = match private::create_dir(&path).and_then(|()| File::open(&path)) {
                Err(error) if is_absent(&error) => continue,
                lock => lock?,
            };
            match lock.try_lock() {
                Ok(()) if lock::still_there(&path, &lock) => {
                    return Ok(StagingFolder {
                        path,
                        id,
                        _lock: lock,
                    });
                }
                Ok(()) | Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What tells files of this process from those of others.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }
}

impl Drop for StagingFolder {
    fn drop(&mut self) {
        match std::fs::remove_dir(&self.path) {
            Err(error) if !is_absent(&error) => {
                // The next process that opens the lake finds it.
                tracing::debug!(path = %self.path.display(), %error, "a staging folder is left behind");
            }
            _ => {}
        }
    }
}

/// What was found of stopped processes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// Files, and folders of runs.
    pub entries: u64,
    /// Bytes of all their files.
    pub bytes: u64,
}

/// Removes the folders that no living process holds. With `dry_run` they are only counted.
pub(crate) fn sweep(staging: &Path, dry_run: bool) -> io::Result<Leftovers> {
    let mut found = Leftovers::default();
    for entry in files::entries(staging)? {
        let path = entry.path();
        let swept = match std::fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_dir() => sweep_folder(&path, dry_run),
            // Older versions put files here, which nobody holds.
            Ok(metadata) => {
                let one = Leftovers {
                    entries: 1,
                    bytes: metadata.len(),
                };
                if dry_run {
                    Ok(one)
                } else {
                    std::fs::remove_file(&path).map(|()| one)
                }
            }
            Err(error) => Err(error),
        };
        match swept {
            Ok(one) => {
                found.entries += one.entries;
                found.bytes += one.bytes;
            }
            Err(error) if is_absent(&error) => {}
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a leftover cannot be removed");
            }
        }
    }
    Ok(found)
}

/// The folder of a process that is gone, with all that is in it.
fn sweep_folder(path: &Path, dry_run: bool) -> io::Result<Leftovers> {
    let lock = File::open(path)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(Leftovers::default()),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    let found = Leftovers {
        entries: 1,
        bytes: files::bytes_below(path)?,
    };
    if !dry_run {
        // While the lock is held: whoever has just made the folder finds it gone and makes another.
        std::fs::remove_dir_all(path)?;
    }
    Ok(found)
}

/// Whether the process with that folder lives.
pub(crate) fn is_alive(staging: &Path, id: &str) -> bool {
    let Ok(lock) = File::open(staging.join(id)) else {
        return false;
    };
    matches!(lock.try_lock(), Err(TryLockError::WouldBlock))
}
