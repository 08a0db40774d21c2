//! The lake's ports on a folder and one SQLite file.
//!
//! ```text
//! <root>/raw/…, <root>/curated/…     objects: a key is the path of a file
//! <root>/.tarn/lake.sqlite           catalog, ledger and the versions of objects (WAL mode)
//! <root>/.tarn/staging/              files that are being written; anything here may be a leftover
//! <root>/.tarn/versions/<key>/<v>    former contents of keys that were put again
//! <root>/.tarn/keys/                 the keys of pseudonyms, readable by their owner alone
//! <root>/.tarn/locks/                one file per key that is being ingested
//! ```
//!
//! Any number of threads and processes of one machine may use a lake at once. What is not covered:
//! a folder on a network file system (SQLite's WAL mode needs shared memory), and Windows.

mod catalog;
mod db;
mod failure;
mod files;
mod frozen;
mod key;
mod keys;
mod known;
mod ledger;
mod lock;
mod objects;
mod roots;

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use tarn_core::ports::{Catalog, Keys, Ledger, Objects};
use tarn_core::{Error, ErrorKind, Result};

use crate::catalog::SqliteCatalog;
use crate::db::Db;
use crate::failure::io_error;
use crate::keys::FileKeys;
use crate::ledger::SqliteLedger;
pub use crate::lock::IngestLock;
use crate::objects::FolderObjects;
use crate::roots::Roots;

/// The folder of the lake's own state.
pub(crate) const STATE: &str = ".tarn";

/// A lake in a folder. Clones share one set of connections.
#[derive(Debug, Clone)]
pub struct LocalLake {
    store: Arc<Store>,
}

/// What the ports of one lake share.
#[derive(Debug)]
pub(crate) struct Store {
    /// Absolute, without symbolic links.
    pub(crate) root: PathBuf,
    /// `root` as text.
    pub(crate) root_text: String,
    roots: RwLock<Arc<Roots>>,
    pub(crate) db: Db,
}

impl Store {
    /// The places that the lake's records name.
    pub(crate) fn roots(&self) -> Arc<Roots> {
        Arc::clone(&self.roots.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.root.join(STATE)
    }

    pub(crate) fn staging(&self) -> PathBuf {
        self.state().join("staging")
    }
}

impl LocalLake {
    /// Opens the lake in `root`, and makes one where there is none.
    ///
    /// # Errors
    /// `BadRequest` where the path cannot hold a lake, `Storage` where its state cannot be read,
    /// `Unsupported` where a newer Tarn wrote it.
    pub fn create(root: &Path) -> Result<LocalLake> {
        let staging = root.join(STATE).join("staging");
        std::fs::create_dir_all(&staging).map_err(|error| {
            io_error(
                error,
                format!("cannot make the lake's folder {}", staging.display()),
            )
        })?;
        LocalLake::connect(root)
    }

    /// Opens the lake in `root`.
    ///
    /// # Errors
    /// `NotFound` where there is no lake, and those of [`LocalLake::create`].
    pub fn open(root: &Path) -> Result<LocalLake> {
        if !root.join(STATE).join(db::FILE).is_file() {
            return Err(Error::new(
                ErrorKind::NotFound,
                format!(
                    "there is no lake in {}; name its folder, or ingest something to make one",
                    root.display()
                ),
            ));
        }
        LocalLake::connect(root)
    }

    fn connect(root: &Path) -> Result<LocalLake> {
        let root = root.canonicalize().map_err(|error| {
            io_error(
                error,
                format!("cannot open the lake's folder {}", root.display()),
            )
        })?;
        let Some(root_text) = root
            .to_str()
            .map(|text| text.trim_end_matches('/').to_owned())
        else {
            return Err(Error::new(
                ErrorKind::BadRequest,
                format!(
                    "the path {} is not valid UTF-8; put the lake elsewhere",
                    root.display()
                ),
            ));
        };
        let db = Db::open(&root.join(STATE).join(db::FILE))?;
        let roots = Roots::open(&db, &root_text)?;
        Ok(LocalLake {
            store: Arc::new(Store {
                root,
                root_text,
                roots: RwLock::new(roots),
                db,
            }),
        })
    }

    /// The place that rows and metadata of the lake name, where it is another than the lake's folder:
    /// the lake was moved, copied or mounted elsewhere, and other programs cannot follow its metadata.
    pub fn recorded_elsewhere(&self) -> Option<String> {
        self.store.roots().recorded_elsewhere().map(str::to_owned)
    }

    /// Works as if [`LocalLake::record_here`] had been called, and keeps no memory of it.
    pub fn assume_here(&self) {
        self.set_roots(self.store.roots().recorded_here());
    }

    /// Lets rows and metadata that are written from now on name the lake's present folder.
    ///
    /// # Errors
    /// `Storage` where the lake's state cannot be written.
    pub fn record_here(&self) -> Result<()> {
        self.set_roots(Roots::record_here(&self.store.db, &self.store.root_text)?);
        Ok(())
    }

    fn set_roots(&self, roots: Arc<Roots>) {
        let known = &self.store.roots;
        *known.write().unwrap_or_else(PoisonError::into_inner) = roots;
    }

    /// The lake's folder, absolute.
    pub fn root(&self) -> &Path {
        &self.store.root
    }

    /// The lake's objects.
    pub fn objects(&self) -> Arc<dyn Objects> {
        Arc::new(FolderObjects::new(self.store.clone()))
    }

    /// The lake's catalog.
    pub fn catalog(&self) -> Arc<dyn Catalog> {
        Arc::new(SqliteCatalog::new(self.store.clone()))
    }

    /// The lake's ledger.
    pub fn ledger(&self) -> Arc<dyn Ledger> {
        Arc::new(SqliteLedger::new(self.store.clone()))
    }

    /// The lake's keys of pseudonyms.
    pub fn keys(&self) -> Arc<dyn Keys> {
        Arc::new(FileKeys::new(self.store.clone()))
    }

    /// The folder of runs' files, on the lake's file system.
    pub fn scratch(&self) -> PathBuf {
        self.store.staging()
    }

    /// The version that a local file's content would have as a raw object.
    ///
    /// # Errors
    /// `Storage` where the file cannot be read, or changes meanwhile (try again).
    pub fn content_version(&self, path: &Path) -> Result<String> {
        let hashed = files::hash_file(path)
            .map_err(|error| io_error(error, format!("cannot read {}", path.display())))?;
        hashed.map(|(version, _)| version).ok_or_else(|| {
            Error::new(
                ErrorKind::Storage,
                format!("{} changes while it is read", path.display()),
            )
            .retryable(true)
        })
    }

    /// A folder for the files of one run, made where it is missing. It is on the lake's file system,
    /// so that [`Objects::put_file`] can move its files into place.
    ///
    /// # Errors
    /// `BadRequest` where `run_id` cannot be a folder's name, `Storage` where it cannot be made.
    pub fn staging_dir(&self, run_id: &str) -> Result<PathBuf> {
        if run_id.contains('/') || key::check_segment(run_id).is_err() {
            return Err(Error::new(
                ErrorKind::BadRequest,
                format!("run id {run_id:?} cannot be a folder's name"),
            ));
        }
        let dir = self.store.staging().join(run_id);
        std::fs::create_dir_all(&dir).map_err(|error| {
            io_error(
                error,
                format!("cannot make the staging folder {}", dir.display()),
            )
        })?;
        Ok(dir)
    }

    /// Removes what stopped processes left in staging and what nobody changed for `older_than`.
    /// Returns how many files and folders were removed.
    ///
    /// # Errors
    /// `Storage` where staging cannot be listed. A file that cannot be removed is left and logged.
    pub fn sweep_staging(&self, older_than: Duration) -> Result<u64> {
        let staging = self.store.staging();
        let failed = |error| io_error(error, format!("cannot list {}", staging.display()));
        let mut removed = 0;
        for entry in std::fs::read_dir(&staging).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let newest = files::newest_change(&path);
            let age = newest.and_then(|time| SystemTime::now().duration_since(time).ok());
            if age.is_none_or(|age| age < older_than) {
                continue;
            }
            let result = if path.is_dir() {
                std::fs::remove_dir_all(&path)
            } else {
                std::fs::remove_file(&path)
            };
            match result {
                Ok(()) => removed += 1,
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "cannot remove a leftover")
                }
            }
        }
        Ok(removed)
    }

    /// The file that holds the content which `key` had as `version`, before it was put again.
    ///
    /// # Errors
    /// `BadRequest` for a key that cannot be one, `NotFound` where no such version is kept.
    pub fn former_version(&self, key: &str, version: &str) -> Result<PathBuf> {
        let path = files::version_path(&self.store, key, version)?;
        if path.is_file() {
            return Ok(path);
        }
        Err(Error::new(
            ErrorKind::NotFound,
            format!("no former version {version} of {key} is kept"),
        ))
    }

    /// Waits until no other process or task holds the ingest lock of `key`, then holds it. It saves
    /// work that two would do at once; what keeps the lake right is the ledger's compare-and-swap.
    ///
    /// # Errors
    /// `Storage` where the lock's file cannot be used.
    pub async fn ingest_lock(&self, key: &str) -> Result<IngestLock> {
        let dir = self.store.state().join("locks");
        let key = key.to_owned();
        files::blocking(move || lock::acquire(&dir, &key)).await
    }

    /// Holds the ingest lock of `key`, or returns None where somebody else does.
    ///
    /// # Errors
    /// `Storage` where the lock's file cannot be used.
    pub fn try_ingest_lock(&self, key: &str) -> Result<Option<IngestLock>> {
        lock::try_acquire(&self.store.state().join("locks"), key)
    }
}
