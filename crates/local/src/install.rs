//! Files that appear whole or not at all: written in staging, then moved into place.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tarn_core::digest::Hasher;
use uuid::Uuid;

use crate::files::remove_leftover;
use crate::staging::StagingFolder;
use crate::{key, private};

/// Bytes that are read or written at once.
const BUFFER_BYTES: usize = 256 << 10;

/// A file that is removed when dropped unless it became an object.
#[derive(Debug)]
pub(crate) struct Unfinished {
    pub(crate) path: PathBuf,
    /// Whether the file is ours to remove.
    pub(crate) owned: bool,
    /// Says to others that the file is in use.
    _staging: Arc<StagingFolder>,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if self.owned {
            remove_leftover(&self.path);
        }
    }
}

/// A name in staging that no other file has.
pub(crate) fn unfinished(staging: &Arc<StagingFolder>, purpose: &str) -> Unfinished {
    let name = format!("{purpose}-{}", Uuid::new_v4().simple());
    Unfinished {
        path: staging.path().join(name),
        owned: true,
        _staging: Arc::clone(staging),
    }
}

/// A name beside others that no other file has.
fn beside(staging: &Arc<StagingFolder>, folder: &Path) -> Unfinished {
    let name = format!(
        "{}{}-{}",
        key::TEMPORARY,
        staging.id(),
        Uuid::new_v4().simple()
    );
    Unfinished {
        path: folder.join(name),
        owned: true,
        _staging: Arc::clone(staging),
    }
}

/// Writes what `source` gives to a new file in staging and to the disk. A raw one is its owner's alone,
/// and its version is computed on the way.
pub(crate) fn write_staged(
    staging: &Arc<StagingFolder>,
    source: &mut dyn Read,
    raw: bool,
) -> io::Result<(Unfinished, Option<String>)> {
    let unfinished = unfinished(staging, "put");
    let mut file = if raw {
        private::create_file(&unfinished.path)?
    } else {
        File::create_new(&unfinished.path)?
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
    staging: &Arc<StagingFolder>,
    from: &Path,
    target: &Path,
    replace: bool,
) -> io::Result<()> {
    match place(from, target, replace) {
        // A part of the lake may be on another disk than its staging folder.
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            let beside = copy_beside(staging, from, target)?;
            place(&beside.path, target, replace)?;
            remove_leftover(from);
            Ok(())
        }
        result => result,
    }
}

/// A copy, with its rights, on the disk of its target.
fn copy_beside(staging: &Arc<StagingFolder>, from: &Path, target: &Path) -> io::Result<Unfinished> {
    let copy = beside(staging, target.parent().unwrap_or(target));
    std::fs::copy(from, &copy.path)?;
    File::open(&copy.path)?.sync_all()?;
    Ok(copy)
}

/// Gives a file a second name. Where that name is taken, it has the same content already.
pub(crate) fn keep(staging: &Arc<StagingFolder>, target: &Path, kept: &Path) -> io::Result<()> {
    match std::fs::hard_link(target, kept) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // Another disk, or a file system without hard links.
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            let copy = copy_beside(staging, target, kept)?;
            install(staging, &copy.path, kept, true)
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
