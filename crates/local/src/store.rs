//! What the ports of one lake share.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tarn_core::{Error, ErrorKind, Result};

use crate::db::Db;
use crate::failure::io_error;
use crate::key::{self, STATE};
use crate::roots::Roots;
use crate::staging::StagingFolder;

/// The folder of unfinished files, in the lake's own.
pub(crate) const STAGING: &str = "staging";

/// What the ports of one lake share.
#[derive(Debug)]
pub(crate) struct Store {
    /// Absolute, without symbolic links.
    pub(crate) root: PathBuf,
    /// `root` as text.
    pub(crate) root_text: String,
    pub(crate) roots: RwLock<Arc<Roots>>,
    pub(crate) db: Db,
    /// Made when something is first written.
    pub(crate) staging: Mutex<Option<Arc<StagingFolder>>>,
}

impl Store {
    /// The places that the lake's records name.
    pub(crate) fn roots(&self) -> Arc<Roots> {
        Arc::clone(&self.roots.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.root.join(STATE)
    }

    /// The folder of all processes' unfinished files.
    pub(crate) fn all_staging(&self) -> PathBuf {
        self.state().join(STAGING)
    }

    /// The folder of this process's unfinished files.
    pub(crate) fn staging(&self) -> Result<Arc<StagingFolder>> {
        let mut staging = self.staging.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(staging) = &*staging {
            return Ok(Arc::clone(staging));
        }
        let made = hold(&self.all_staging())?;
        *staging = Some(Arc::clone(&made));
        Ok(made)
    }

    /// Where the content is kept that `key` had as `version`.
    pub(crate) fn version_path(&self, key: &str, version: &str) -> Result<PathBuf> {
        if version.contains('/') || key::check_segment(version).is_err() {
            return Err(Error::new(
                ErrorKind::BadRequest,
                format!("{version:?} is not a version of an object"),
            ));
        }
        Ok(self.versions_folder(key)?.join(version))
    }

    /// Where the former contents of a key are kept.
    pub(crate) fn versions_folder(&self, key: &str) -> Result<PathBuf> {
        key::check(key, self.root_text.len())?;
        Ok(self.root.join(STATE).join("versions").join(key))
    }
}

pub(crate) fn hold(staging: &Path) -> Result<Arc<StagingFolder>> {
    let failed = |error| {
        io_error(
            error,
            format!("cannot make a folder in {}", staging.display()),
        )
    };
    StagingFolder::new(staging).map(Arc::new).map_err(failed)
}
