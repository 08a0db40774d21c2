//! Files that appear whole or not at all, and what identifies their content.

use std::fs::{File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tarn_core::{Error, ErrorKind, Result};
use uuid::Uuid;

use crate::failure::io_error;
use crate::{STATE, Store, key};

/// Bytes that are read or written at once.
const BUFFER_BYTES: usize = 256 << 10;

/// Runs work that waits for the disk where it holds up no other task. Outside a tokio runtime it
/// runs in place.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => match runtime.spawn_blocking(work).await {
            Ok(result) => result,
            Err(error) => Err(
                Error::internal("work on the lake's folder stopped before its end")
                    .with_source(error),
            ),
        },
        Err(_) => work(),
    }
}

/// What tells an unchanged file without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Bytes.
    pub(crate) size: u64,
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    pub(crate) mtime_ns: i64,
    pub(crate) inode: u64,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Stamp {
        let mtime_ns = metadata
            .mtime()
            .saturating_mul(1_000_000_000)
            .saturating_add(metadata.mtime_nsec());
        Stamp {
            size: metadata.len(),
            mtime_ns,
            inode: metadata.ino(),
        }
    }
}

/// The stamp of a regular file (symbolic links are followed), None where there is none.
pub(crate) fn stamp(path: &Path) -> Result<Option<Stamp>> {
    match std::fs::metadata(path) {
        Ok(metadata) => Ok(metadata.is_file().then(|| Stamp::of(&metadata))),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(io_error(
            error,
            format!("cannot look at {}", path.display()),
        )),
    }
}

/// Whether the path leads nowhere. A file where a folder would be leads nowhere too.
pub(crate) fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// The first 128 bits of the BLAKE3 hash of a content, in hexadecimal: enough that nobody finds two
/// contents that share one, and short enough to read. Every raw byte passes through it, so its speed
/// counts: it takes a third of the time of SHA-256.
pub(crate) struct ContentHash(blake3::Hasher);

impl ContentHash {
    pub(crate) fn new() -> Self {
        ContentHash(blake3::Hasher::new())
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn version(self) -> String {
        hex::encode(self.0.finalize().as_bytes().get(..16).unwrap_or_default())
    }
}

/// The content's version with the stamp it was read under, or None where the file changed meanwhile.
pub(crate) fn hash_file(path: &Path) -> io::Result<Option<(String, Stamp)>> {
    let mut file = File::open(path)?;
    let before = Stamp::of(&file.metadata()?);
    let mut hash = ContentHash::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => hash.update(buffer.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let after = Stamp::of(&file.metadata()?);
    Ok((before == after).then(|| (hash.version(), after)))
}

/// A file that is removed when dropped unless it became an object.
#[derive(Debug)]
pub(crate) struct Unfinished {
    pub(crate) path: PathBuf,
    /// Whether the file is ours to remove.
    pub(crate) owned: bool,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if self.owned {
            remove_leftover(&self.path);
        }
    }
}

/// Removes a file of ours that is of no more use; one that stays is swept later.
pub(crate) fn remove_leftover(path: &Path) {
    match std::fs::remove_file(path) {
        Err(error) if !is_absent(&error) => {
            tracing::warn!(path = %path.display(), %error, "cannot remove an unfinished file");
        }
        _ => {}
    }
}

/// A name in staging that no other file has.
pub(crate) fn unfinished(staging: &Path, purpose: &str) -> io::Result<Unfinished> {
    std::fs::create_dir_all(staging)?;
    let path = staging.join(format!("{purpose}-{}", Uuid::new_v4().simple()));
    Ok(Unfinished { path, owned: true })
}

/// Writes what `source` gives to a new file in staging and to the disk. The version is computed on
/// the way where `hashed`.
pub(crate) fn write_staged(
    staging: &Path,
    source: &mut dyn Read,
    hashed: bool,
) -> io::Result<(Unfinished, Option<String>)> {
    let unfinished = unfinished(staging, "put")?;
    let mut file = File::create_new(&unfinished.path)?;
    let mut hash = hashed.then(ContentHash::new);
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let read = match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let bytes = buffer.get(..read).unwrap_or_default();
        if let Some(hash) = &mut hash {
            hash.update(bytes);
        }
        file.write_all(bytes)?;
    }
    file.sync_all()?;
    Ok((unfinished, hash.map(ContentHash::version)))
}

/// Moves a finished file to `target`, whose folder exists; atomic for every reader. With
/// `replace == false` a file that is there already is kept, and the error is `AlreadyExists`.
pub(crate) fn install(from: &Path, target: &Path, replace: bool) -> io::Result<()> {
    match place(from, target, replace) {
        // A part of the lake may be on another disk than its staging folder.
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            let folder = target.parent().unwrap_or(target);
            let path = folder.join(format!("{}{}", key::TEMPORARY, Uuid::new_v4().simple()));
            let beside = Unfinished { path, owned: true };
            std::fs::copy(from, &beside.path)?;
            File::open(&beside.path)?.sync_all()?;
            place(&beside.path, target, replace)?;
            remove_leftover(from);
            Ok(())
        }
        result => result,
    }
}

fn place(from: &Path, target: &Path, replace: bool) -> io::Result<()> {
    if replace {
        return std::fs::rename(from, target);
    }
    match std::fs::hard_link(from, target) {
        Ok(()) => {
            remove_leftover(from);
            Ok(())
        }
        // A file system without hard links. Every writer of the lake holds the state file's write
        // lock here, so that only a file which somebody drops by hand this very moment could be lost.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied
            ) =>
        {
            if std::fs::symlink_metadata(target).is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            std::fs::rename(from, target)
        }
        Err(error) => Err(error),
    }
}

/// Makes a folder and those above it, and writes their entries to the disk.
pub(crate) fn ensure_dir(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent() {
        ensure_dir(parent)?;
        match std::fs::create_dir(dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists || !dir.is_dir() => {
                return Err(error);
            }
            _ => sync_dir(parent)?,
        }
    }
    Ok(())
}

/// Writes a folder's entries to the disk: a file that was moved in stays there after a power cut.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Where the content is kept that `key` had as `version`.
pub(crate) fn version_path(store: &Store, key: &str, version: &str) -> Result<PathBuf> {
    key::check(key, store.root_text.len())?;
    if version.contains('/') || key::check_segment(version).is_err() {
        return Err(Error::new(
            ErrorKind::BadRequest,
            format!("{version:?} is no version of an object"),
        ));
    }
    Ok(store
        .root
        .join(STATE)
        .join("versions")
        .join(key)
        .join(version))
}

/// When the file, or anything in the folder, was last changed; None where that cannot be told.
pub(crate) fn newest_change(path: &Path) -> Option<SystemTime> {
    let metadata = std::fs::symlink_metadata(path).ok()?;
    let mut newest = metadata.modified().ok()?;
    if metadata.is_dir() {
        for entry in std::fs::read_dir(path).ok()? {
            newest = newest.max(newest_change(&entry.ok()?.path())?);
        }
    }
    Some(newest)
}
