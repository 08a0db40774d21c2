//! Files that appear whole or not at all, and what identifies their content.

use std::fs::{DirEntry, File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tarn_core::digest::{Digest, Hasher};
use tarn_core::{Error, ErrorKind, Result};
use uuid::Uuid;

use crate::failure::io_error;
use crate::staging::Held;
use crate::{STATE, Store, key, private};

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

/// What tells an unchanged file more surely: writing to it changes a time that no program can set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) stamp: Stamp,
    /// Of the last change of content, name or mode; nanoseconds since 1970-01-01T00:00:00Z.
    pub(crate) ctime_ns: i64,
}

impl Seen {
    pub(crate) fn of(metadata: &Metadata) -> Seen {
        let ctime_ns = metadata
            .ctime()
            .saturating_mul(1_000_000_000)
            .saturating_add(metadata.ctime_nsec());
        Seen {
            stamp: Stamp::of(metadata),
            ctime_ns,
        }
    }
}

/// The same of a regular file (symbolic links are followed), None where there is none.
pub(crate) fn seen(path: &Path) -> Result<Option<Seen>> {
    regular(path, Seen::of)
}

/// The stamp of a regular file (symbolic links are followed), None where there is none.
pub(crate) fn stamp(path: &Path) -> Result<Option<Stamp>> {
    regular(path, Stamp::of)
}

fn regular<T>(path: &Path, of: fn(&Metadata) -> T) -> Result<Option<T>> {
    match std::fs::metadata(path) {
        Ok(metadata) => Ok(metadata.is_file().then(|| of(&metadata))),
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

/// The content's version, which is its digest, with the stamp it was read under, or None where the file changed meanwhile.
pub(crate) fn hash_file(path: &Path) -> io::Result<Option<(String, Stamp)>> {
    let mut file = File::open(path)?;
    let before = Stamp::of(&file.metadata()?);
    let (digest, _) = Digest::of_reader(&mut file)?;
    let after = Stamp::of(&file.metadata()?);
    Ok((before == after).then(|| (digest.to_string(), after)))
}

/// A file that is removed when dropped unless it became an object.
#[derive(Debug)]
pub(crate) struct Unfinished {
    pub(crate) path: PathBuf,
    /// Whether the file is ours to remove.
    pub(crate) owned: bool,
    /// Says to others that the file is in use.
    _held: Arc<Held>,
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
pub(crate) fn unfinished(held: &Arc<Held>, purpose: &str) -> Unfinished {
    let name = format!("{purpose}-{}", Uuid::new_v4().simple());
    Unfinished {
        path: held.path().join(name),
        owned: true,
        _held: Arc::clone(held),
    }
}

/// A name beside others that no other file has.
fn beside(held: &Arc<Held>, folder: &Path) -> Unfinished {
    let name = format!(
        "{}{}-{}",
        key::TEMPORARY,
        held.id(),
        Uuid::new_v4().simple()
    );
    Unfinished {
        path: folder.join(name),
        owned: true,
        _held: Arc::clone(held),
    }
}

/// Writes what `source` gives to a new file in staging and to the disk. A raw one is its owner's alone,
/// and its version is computed on the way.
pub(crate) fn write_staged(
    held: &Arc<Held>,
    source: &mut dyn Read,
    raw: bool,
) -> io::Result<(Unfinished, Option<String>)> {
    let unfinished = unfinished(held, "put");
    let mut file = match raw {
        true => private::create_file(&unfinished.path)?,
        false => File::create_new(&unfinished.path)?,
    };
    let mut hash = raw.then(Hasher::default);
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
    Ok((unfinished, hash.map(|hash| hash.finish().to_string())))
}

/// Moves a finished file to `target`, whose folder exists; atomic for every reader. With
/// `replace == false` a file that is there already is kept, and the error is `AlreadyExists`.
pub(crate) fn install(
    held: &Arc<Held>,
    from: &Path,
    target: &Path,
    replace: bool,
) -> io::Result<()> {
    match place(from, target, replace) {
        // A part of the lake may be on another disk than its staging folder.
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            let beside = copy_beside(held, from, target)?;
            place(&beside.path, target, replace)?;
            remove_leftover(from);
            Ok(())
        }
        result => result,
    }
}

/// A copy, with its rights, on the disk of its target.
fn copy_beside(held: &Arc<Held>, from: &Path, target: &Path) -> io::Result<Unfinished> {
    let copy = beside(held, target.parent().unwrap_or(target));
    std::fs::copy(from, &copy.path)?;
    File::open(&copy.path)?.sync_all()?;
    Ok(copy)
}

/// Gives a file a second name. Where that name is taken, it has the same content already.
pub(crate) fn keep(held: &Arc<Held>, target: &Path, kept: &Path) -> io::Result<()> {
    match std::fs::hard_link(target, kept) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // Another disk, or a file system without hard links.
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            let copy = copy_beside(held, target, kept)?;
            install(held, &copy.path, kept, true)
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

/// Makes a folder and those above it, and writes their entries to the disk. Those that are made are
/// their owner's alone where `private`.
pub(crate) fn ensure_dir(dir: &Path, private: bool) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent() {
        ensure_dir(parent, private)?;
        let made = match private {
            true => private::create_dir(dir),
            false => std::fs::create_dir(dir),
        };
        match made {
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
    // The folder of a name alone is the current one.
    let dir = match dir.as_os_str().is_empty() {
        true => Path::new("."),
        false => dir,
    };
    File::open(dir)?.sync_all()
}

/// What is in a folder; nothing where there is none.
pub(crate) fn entries(folder: &Path) -> io::Result<Vec<DirEntry>> {
    match std::fs::read_dir(folder) {
        Ok(entries) => entries.collect(),
        Err(error) if is_absent(&error) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Bytes of all files below a folder.
pub(crate) fn bytes_below(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in entries(folder)? {
        let metadata = entry.metadata()?;
        bytes += match metadata.is_dir() {
            true => bytes_below(&entry.path())?,
            false => metadata.len(),
        };
    }
    Ok(bytes)
}

/// Removes a folder where nothing is in it.
pub(crate) fn remove_empty_dir(folder: &Path) {
    match std::fs::remove_dir(folder) {
        Err(error) if !is_absent(&error) && error.kind() != io::ErrorKind::DirectoryNotEmpty => {
            tracing::warn!(path = %folder.display(), %error, "an empty folder cannot be removed");
        }
        _ => {}
    }
}

/// Where the content is kept that `key` had as `version`.
pub(crate) fn version_path(store: &Store, key: &str, version: &str) -> Result<PathBuf> {
    if version.contains('/') || key::check_segment(version).is_err() {
        return Err(Error::new(
            ErrorKind::BadRequest,
            format!("{version:?} is no version of an object"),
        ));
    }
    Ok(versions_folder(store, key)?.join(version))
}

/// Where the former contents of a key are kept.
pub(crate) fn versions_folder(store: &Store, key: &str) -> Result<PathBuf> {
    key::check(key, store.root_text.len())?;
    Ok(store.root.join(STATE).join("versions").join(key))
}
