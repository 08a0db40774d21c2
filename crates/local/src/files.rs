//! Files and folders on the disk, and how an unchanged file is recognised.

use std::fs::{DirEntry, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use tarn_core::digest::Digest;
use tarn_core::{Error, Result};

use crate::failure::{io_error, is_absent};
use crate::private;

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

/// Identifies an unchanged file without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    /// Bytes.
    pub(crate) size: u64,
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    pub(crate) mtime_ns: i64,
    pub(crate) inode: u64,
}

impl Fingerprint {
    fn of(metadata: &Metadata) -> Fingerprint {
        let mtime_ns = metadata
            .mtime()
            .saturating_mul(1_000_000_000)
            .saturating_add(metadata.mtime_nsec());
        Fingerprint {
            size: metadata.len(),
            mtime_ns,
            inode: metadata.ino(),
        }
    }
}

/// Identifies an unchanged file more surely: writing to it changes a time that no program can set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FullFingerprint {
    pub(crate) fingerprint: Fingerprint,
    /// Of the last change of content, name or mode; nanoseconds since 1970-01-01T00:00:00Z.
    pub(crate) ctime_ns: i64,
}

impl FullFingerprint {
    pub(crate) fn of(metadata: &Metadata) -> FullFingerprint {
        let ctime_ns = metadata
            .ctime()
            .saturating_mul(1_000_000_000)
            .saturating_add(metadata.ctime_nsec());
        FullFingerprint {
            fingerprint: Fingerprint::of(metadata),
            ctime_ns,
        }
    }
}

/// The full fingerprint of a regular file (symbolic links are followed), None where there is none.
pub(crate) fn full_fingerprint(path: &Path) -> Result<Option<FullFingerprint>> {
    regular(path, FullFingerprint::of)
}

/// The fingerprint of a regular file (symbolic links are followed), None where there is none.
pub(crate) fn fingerprint(path: &Path) -> Result<Option<Fingerprint>> {
    regular(path, Fingerprint::of)
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

/// The content's version, which is its digest, with the fingerprint it was read under, or None where the file changed meanwhile.
pub(crate) fn hash_file(path: &Path) -> io::Result<Option<(String, Fingerprint)>> {
    let mut file = File::open(path)?;
    let before = Fingerprint::of(&file.metadata()?);
    let (digest, _) = Digest::of_reader(&mut file)?;
    let after = Fingerprint::of(&file.metadata()?);
    Ok((before == after).then(|| (digest.to_string(), after)))
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

/// Makes a folder and those above it, and writes their entries to the disk. Those that are made are
/// their owner's alone where `private`.
pub(crate) fn ensure_dir(dir: &Path, private: bool) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent() {
        ensure_dir(parent, private)?;
        let made = if private {
            private::create_dir(dir)
        } else {
            std::fs::create_dir(dir)
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
    let dir = if dir.as_os_str().is_empty() {
        Path::new(".")
    } else {
        dir
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
        bytes += if metadata.is_dir() {
            bytes_below(&entry.path())?
        } else {
            metadata.len()
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
