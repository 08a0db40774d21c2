//! How a file becomes an object.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Transaction;
use tarn_core::ports::{ObjectInfo, Original, PutMode};
use tarn_core::{Error, ErrorKind, Result};

use crate::db::Durability;
use crate::failure::io_error;
use crate::files;
use crate::install::{self, Unfinished};
use crate::known::{Checked, Known, counted_version, next_sequencer, now_ns};
use crate::objects::{ATTEMPTS, FolderObjects, is_raw, keeps_changing, not_found};
use crate::staging::StagingFolder;

/// A finished file that is to become an object.
struct Finished<'a> {
    key: &'a str,
    target: PathBuf,
    file: Unfinished,
    /// The version of its content; None where versions are counted.
    hash: Option<String>,
    mode: PutMode,
    staging: Arc<StagingFolder>,
}

impl Finished<'_> {
    /// Whether the content that it replaces is kept as a version. Only raw objects have versions.
    fn is_versioned(&self) -> bool {
        self.mode == PutMode::Overwrite && is_raw(self.key)
    }

    /// Moves the file into place in a transaction. `former` is what was there, and `kept` where its content
    /// is to be kept. Returns None where something else is there now.
    fn install(
        &mut self,
        transaction: &Transaction<'_>,
        former: Option<&Known>,
        kept: Option<&Path>,
    ) -> Result<Option<Known>> {
        let (key, target) = (self.key, &self.target);
        let there = files::fingerprint(target)?;
        if self.mode == PutMode::IfAbsent && there.is_some() {
            return Err(exists(key));
        }
        if self.is_versioned() && there != former.map(|former| former.fingerprint) {
            return Ok(None);
        }
        if let Some(kept) = kept {
            install::keep(&self.staging, target, kept).map_err(|error| {
                io_error(error, format!("cannot keep the former content of {key:?}"))
            })?;
        }
        let replace = self.mode == PutMode::Overwrite;
        install::install(&self.staging, &self.file.path, target, replace).map_err(|error| {
            match error.kind() {
                io::ErrorKind::AlreadyExists if !replace => exists(key),
                _ => io_error(error, format!("cannot move the file of {key:?} into place")),
            }
        })?;
        self.file.owned = false;
        let Some(fingerprint) = files::fingerprint(target)? else {
            return Err(keeps_changing(key));
        };
        let sequencer = next_sequencer(transaction)?;
        let counted = || counted_version(sequencer, fingerprint);
        let known = Known {
            fingerprint,
            settled: true,
            version: self.hash.clone().unwrap_or_else(counted),
            sequencer,
            put_at_us: now_ns() / 1_000,
        };
        known.save(transaction, key)?;
        Checked::forget(transaction, key)?;
        Ok(Some(known))
    }
}

impl FolderObjects {
    /// Makes a finished file the object `key`. `hash` is the version of its content, where it was computed.
    pub(crate) fn put_finished(
        &self,
        key: &str,
        file: Unfinished,
        hash: Option<String>,
        mode: PutMode,
    ) -> Result<ObjectInfo> {
        let mut finished = Finished {
            key,
            target: self.path(key)?,
            file,
            hash,
            mode,
            staging: self.store.staging()?,
        };
        let folder = self.ensure_folder(key, &finished.target)?;
        for _ in 0..ATTEMPTS {
            // Reading what is there may take long, so it is done before the transaction, which then makes
            // sure that it is still the same.
            let former = if finished.is_versioned() {
                self.look(key)?
            } else {
                None
            };
            if let Some(former) = &former
                && finished.hash.as_ref() == Some(&former.version)
            {
                return Ok(former.info(key));
            }
            let kept = match &former {
                Some(former) => Some(self.path_of_former(key, former)?),
                None => None,
            };
            let put = self.store.db.write(Durability::Process, |transaction| {
                finished.install(transaction, former.as_ref(), kept.as_deref())
            })?;
            if let Some(known) = put {
                files::sync_dir(&folder).map_err(|error| {
                    let doing = format!("cannot write {} to the disk", folder.display());
                    io_error(error, doing)
                })?;
                return Ok(known.info(key));
            }
        }
        Err(keeps_changing(key))
    }

    /// Makes sure that the folder of a new object exists, and that the object's path is not a folder itself.
    fn ensure_folder(&self, key: &str, target: &Path) -> Result<PathBuf> {
        let folder = target.parent().unwrap_or(&self.store.root).to_owned();
        let blocked = |error: io::Error| {
            match error.kind() {
            io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => Error::new(
                ErrorKind::BadRequest,
                format!("{key:?} cannot be put: a part of it names an object, which is a file and not a folder"),
            )
            .with_source(error),
            _ => {
                let doing = format!("cannot make the folder {}", folder.display());
                io_error(error, doing)
            }
        }
        };
        files::ensure_dir(&folder, is_raw(key)).map_err(blocked)?;
        if target.is_dir() {
            return Err(Error::new(
                ErrorKind::BadRequest,
                format!("{key:?} cannot be put: there are objects under it, so it is a folder"),
            ));
        }
        Ok(folder)
    }

    /// Where the former content of a raw object is kept; its folder is made.
    fn path_of_former(&self, key: &str, former: &Known) -> Result<PathBuf> {
        let kept = self.store.version_path(key, &former.version)?;
        let folder = kept.parent().unwrap_or(&kept);
        files::ensure_dir(folder, true)
            .map_err(|error| io_error(error, format!("cannot make {}", folder.display())))?;
        Ok(kept)
    }

    pub(crate) fn put_file_now(
        &self,
        key: &str,
        path: &Path,
        mode: PutMode,
        original: Original,
    ) -> Result<ObjectInfo> {
        let target = self.path(key)?;
        let failed = |error| io_error(error, format!("cannot put {} as {key:?}", path.display()));
        let metadata = std::fs::symlink_metadata(path).map_err(failed)?;
        if !std::fs::metadata(path).map_err(failed)?.is_file() {
            return Err(Error::new(
                ErrorKind::BadRequest,
                format!("{} is not a regular file", path.display()),
            ));
        }
        if let (Ok(source), Ok(target)) = (path.canonicalize(), target.canonicalize())
            && source == target
        {
            return match mode {
                PutMode::Overwrite => self
                    .look(key)?
                    .map(|known| known.info(key))
                    .ok_or_else(|| not_found(key)),
                PutMode::IfAbsent => Err(exists(key)),
            };
        }
        if mode == PutMode::IfAbsent && files::fingerprint(&target)?.is_some() {
            // Finding this out after a large file was copied would be a waste.
            return Err(exists(key));
        }
        // A symbolic link is copied: the caller cannot know that its target is final.
        let shared = original == Original::Final
            && mode == PutMode::IfAbsent
            && metadata.is_file()
            && !is_raw(key);
        let staging = self.store.staging()?;
        let (file, hash) = if shared {
            let file = install::unfinished(&staging, "put");
            install::keep(&staging, path, &file.path)
                .and_then(|()| File::open(&file.path)?.sync_all())
                .map_err(failed)?;
            (file, None)
        } else {
            // What is added meanwhile is for the next time: a log may grow faster than it is copied.
            let source = File::open(path).map_err(failed)?;
            let length = source.metadata().map_err(failed)?.len();
            install::write_staged(&staging, &mut source.take(length), is_raw(key))
                .map_err(failed)?
        };
        self.put_finished(key, file, hash, mode)
    }
}

fn exists(key: &str) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!("there is an object {key:?} already"),
    )
}
