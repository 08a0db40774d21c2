//! What maintenance does for a folder beyond its tables: it removes files that nothing needs, and takes away
//! the rights of other users.

use std::io;
use std::path::{Path, PathBuf};

use tarn_core::Result;
use tarn_core::layout::RAW;

use crate::failure::{io_error, is_absent};
use crate::key::{self, STATE};
use crate::private::{self, Rights};
use crate::staging::{self, Leftovers};
use crate::{LocalLake, files, lock, lost};

/// What was done, or would be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tidied {
    /// Unfinished files of processes that are gone.
    pub staging: Leftovers,
    /// Former contents of objects outside the raw zone, which older versions of Tarn kept.
    pub former_reports: Leftovers,
    /// Former contents of raw objects that were erased.
    pub erased: Leftovers,
    /// Lock files of processes that are gone.
    pub locks: u64,
    /// Files and folders that other users could read, and cannot any more.
    pub tightened: u64,
    /// Such files whose rights this user cannot change.
    pub loose: u64,
}

impl LocalLake {
    /// Removes what stopped processes, older versions and erased objects left, and takes the rights of
    /// others on the raw zone and the state away. With `dry_run` nothing is changed and the result says
    /// what would be done.
    ///
    /// # Errors
    /// `Storage` where a folder cannot be listed. What cannot be removed is left and logged.
    pub fn tidy(&self, dry_run: bool) -> Result<Tidied> {
        let root = self.root();
        let state = self.store.state();
        let failed = |error| io_error(error, format!("cannot look after {}", root.display()));
        let mut done = Tidied {
            staging: staging::sweep(&self.store.all_staging(), dry_run).map_err(failed)?,
            ..Tidied::default()
        };
        self.unfinished(root, true, dry_run, &mut done)
            .map_err(failed)?;
        let versions = state.join("versions");
        for entry in files::entries(&versions).map_err(failed)? {
            if entry.file_name() != RAW.trim_end_matches('/') {
                remove(&entry.path(), dry_run, &mut done.former_reports);
            }
        }
        // A raw zone without any object is one that is not mounted rather than one that was erased.
        if lost::has_file(&root.join(RAW)).map_err(failed)? {
            let below = versions.join(RAW);
            erased(&below, &versions, root, dry_run, &mut done.erased).map_err(failed)?;
        }
        done.locks = lock::sweep(&state.join("locks"), dry_run).map_err(failed)?;
        for private in [state, root.join(RAW)] {
            tighten(&private, dry_run, &mut done).map_err(failed)?;
        }
        Ok(done)
    }

    /// Copies beside their target, made where a part of the lake is on another disk than its staging
    /// folder: `.tarn-tmp-<process>-<id>`.
    fn unfinished(
        &self,
        folder: &Path,
        is_root: bool,
        dry_run: bool,
        done: &mut Tidied,
    ) -> io::Result<()> {
        for entry in files::entries(folder)? {
            let (path, name) = (entry.path(), entry.file_name());
            let Some(name) = name.to_str() else { continue };
            if let Some(rest) = name.strip_prefix(key::TEMPORARY) {
                let process = rest.split('-').next().unwrap_or_default();
                if !staging::is_alive(&self.store.all_staging(), process) {
                    remove(&path, dry_run, &mut done.staging);
                }
            } else if entry.file_type()?.is_dir() && !(is_root && name == STATE) {
                self.unfinished(&path, false, dry_run, done)?;
            } else if is_root && name == STATE {
                self.unfinished(&path.join("versions"), false, dry_run, done)?;
            }
        }
        Ok(())
    }
}

fn remove(path: &Path, dry_run: bool, found: &mut Leftovers) {
    let result = (|| {
        let metadata = std::fs::symlink_metadata(path)?;
        let bytes = if metadata.is_dir() {
            files::bytes_below(path)?
        } else {
            metadata.len()
        };
        match (dry_run, metadata.is_dir()) {
            (true, _) => {}
            (false, true) => std::fs::remove_dir_all(path)?,
            (false, false) => std::fs::remove_file(path)?,
        }
        Ok::<u64, io::Error>(bytes)
    })();
    match result {
        Ok(bytes) => {
            found.entries += 1;
            found.bytes += bytes;
        }
        Err(error) if is_absent(&error) => {}
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "a leftover cannot be removed")
        }
    }
}

/// Former contents below `folder` whose object was deleted. `versions/<key>/<version>` is one of `<key>`.
fn erased(
    folder: &Path,
    versions: &Path,
    root: &Path,
    dry_run: bool,
    found: &mut Leftovers,
) -> io::Result<()> {
    let object: PathBuf = match folder.strip_prefix(versions) {
        Ok(key) => root.join(key),
        Err(_) => return Ok(()),
    };
    let gone = match std::fs::symlink_metadata(&object) {
        Ok(metadata) => metadata.is_dir(),
        Err(error) => is_absent(&error),
    };
    for entry in files::entries(folder)? {
        if entry.file_type()?.is_dir() {
            erased(&entry.path(), versions, root, dry_run, found)?;
        } else if gone {
            remove(&entry.path(), dry_run, found);
        }
    }
    if gone && !dry_run && folder != versions {
        // It stays where objects below it have former contents.
        files::remove_empty_dir(folder);
    }
    Ok(())
}

fn tighten(path: &Path, dry_run: bool, done: &mut Tidied) -> io::Result<()> {
    let metadata = match std::fs::symlink_metadata(path) {
        Err(error) if is_absent(&error) => return Ok(()),
        metadata => metadata?,
    };
    if metadata.is_symlink() {
        return Ok(());
    }
    match (private::is_loose(&metadata), dry_run) {
        (false, _) => {}
        (true, true) => done.tightened += 1,
        (true, false) => match private::tighten(path)? {
            Rights::None => {}
            Rights::Taken => done.tightened += 1,
            Rights::Kept => done.loose += 1,
        },
    }
    if metadata.is_dir() {
        for entry in files::entries(path)? {
            tighten(&entry.path(), dry_run, done)?;
        }
    }
    Ok(())
}
