//! The lake's ports on a folder and one SQLite file.
//!
//! ```text
//! <root>/raw/…, <root>/curated/…     objects: a key is the path of a file
//! <root>/.tarn/lake.sqlite           catalog, ledger and the versions of objects (WAL mode)
//! <root>/.tarn/staging/<process>/    files that a process is writing, which holds a lock on its folder
//! <root>/.tarn/versions/<key>/<v>    former contents of raw keys that were put again
//! <root>/.tarn/keys/                 the keys of pseudonyms, readable by their owner alone
//! <root>/.tarn/locks/                one file per key that is being ingested
//! ```
//!
//! Any number of threads and processes of one machine may use a lake at once. What is not covered:
//! a folder on a network file system (SQLite's WAL mode needs shared memory), and Windows.
//!
//! The raw zone and `.tarn` are their owner's alone, whatever the umask; a lake that an older version made
//! is tightened when its owner opens it. Tables and reports have the rights that the umask gives.
#![cfg_attr(not(test), warn(unused_crate_dependencies))]

mod catalog;
mod checked;
mod db;
mod failure;
mod files;
mod frozen;
mod install;
mod key;
mod keys;
mod known;
mod ledger;
mod list;
mod lock;
mod lost;
mod objects;
mod private;
mod put;
mod roots;
mod staging;
mod store;
mod tidy;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tarn_core::digest::Digest;
use tarn_core::layout::RAW;
use tarn_core::ports::{Catalog, Keys, Ledger, Objects};
use tarn_core::{Error, ErrorKind, Result};

use crate::catalog::SqliteCatalog;
use crate::db::Db;
pub use crate::failure::LOST_STATE;
use crate::failure::io_error;
use crate::key::STATE;
use crate::keys::FileKeys;
use crate::ledger::SqliteLedger;
pub use crate::lock::IngestLock;
use crate::objects::FolderObjects;
use crate::private::Rights;
use crate::roots::Roots;
pub use crate::staging::Leftovers;
use crate::store::{STAGING, Store, hold};
pub use crate::tidy::Tidied;

/// A lake in a folder. Clones share one set of connections.
#[derive(Debug, Clone)]
pub struct LocalLake {
    store: Arc<Store>,
}

impl LocalLake {
    /// Opens the lake in `root`, and makes one where there is none.
    ///
    /// # Errors
    /// `BadRequest` where the path cannot hold a lake, `Storage` where its state cannot be read, `Damaged`
    /// where it is lost or damaged beside a full folder, `Unsupported` where a newer Tarn wrote it.
    pub fn create(root: &Path) -> Result<LocalLake> {
        let state = root.join(STATE);
        lost::refuse_loss(root)?;
        if !state.join(db::FILE).exists() {
            let failed = |error| {
                io_error(
                    error,
                    format!("cannot make the lake's folder {}", root.display()),
                )
            };
            files::ensure_dir(root, false).map_err(failed)?;
            let staging = hold(&state.join(STAGING))?;
            Db::create(&staging, &state.join(db::FILE))?;
        }
        LocalLake::connect(root)
    }

    /// Opens the lake in `root`.
    ///
    /// # Errors
    /// `NotFound` where there is no lake, and those of [`LocalLake::create`].
    pub fn open(root: &Path) -> Result<LocalLake> {
        lost::refuse_loss(root)?;
        if db::is_lost(&root.join(STATE))?.is_some() {
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
        lost::refuse_ignorance(&db, &root)?;
        let roots = Roots::open(&db, &root_text)?;
        let lake = LocalLake {
            store: Arc::new(Store {
                root,
                root_text,
                roots: RwLock::new(roots),
                db,
                staging: Mutex::default(),
            }),
        };
        if !lake.store.db.is_read_only() {
            lake.tighten();
            lake.sweep();
        }
        Ok(lake)
    }

    /// Takes the rights of others away that an older version gave them.
    fn tighten(&self) {
        let state = self.store.state();
        let mut private = vec![state.clone(), self.store.root.join(RAW)];
        private.extend(db::files(&state));
        for path in private {
            match private::tighten(&path) {
                Ok(Rights::None) => {}
                Ok(Rights::Taken) => {
                    tracing::info!(path = %path.display(), "others could read this, and cannot any more");
                }
                Ok(Rights::Kept) => {
                    tracing::warn!(
                        path = %path.display(),
                        "other users can read this, and this user cannot change that; its owner \
                         should run chmod go= on it, or open the lake once"
                    );
                }
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "it is not known who can read this");
                }
            }
        }
    }

    /// Removes what killed processes left. The lake is as right with it.
    fn sweep(&self) {
        let staging = self.store.all_staging();
        match staging::sweep(&staging, false) {
            Ok(Leftovers { entries: 0, .. }) => {}
            Ok(Leftovers { entries, bytes }) => {
                tracing::info!(entries, bytes, "removed what stopped processes left");
            }
            Err(error) => {
                tracing::warn!(path = %staging.display(), %error, "cannot look for leftovers");
            }
        }
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

    /// A folder for the files of this process's runs, on the lake's file system; a temporary one where the
    /// lake cannot be written.
    pub fn scratch(&self) -> PathBuf {
        match self.store.staging() {
            Ok(staging) => staging.path().to_owned(),
            Err(error) => {
                tracing::debug!(%error, "runs use the folder of temporary files");
                std::env::temp_dir().join(format!("tarn-{}", uuid::Uuid::new_v4().simple()))
            }
        }
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
        let dir = self.store.staging()?.path().join(run_id);
        files::ensure_dir(&dir, true).map_err(|error| {
            io_error(
                error,
                format!("cannot make the staging folder {}", dir.display()),
            )
        })?;
        Ok(dir)
    }

    /// The file that holds the content which `key` had as `version`, before it was put again.
    ///
    /// # Errors
    /// `BadRequest` for a key that cannot be one, `NotFound` where no such version is kept.
    pub fn former_version(&self, key: &str, version: &str) -> Result<PathBuf> {
        let path = self.store.version_path(key, version)?;
        if path.is_file() {
            return Ok(path);
        }
        Err(Error::new(
            ErrorKind::NotFound,
            format!("no former version {version} of {key} is kept"),
        ))
    }

    /// Every former content that is kept: its key, the digest that it was put with, and where it is.
    ///
    /// # Errors
    /// `Storage` where they cannot be listed.
    pub fn former_versions(&self) -> Result<Vec<(String, Option<Digest>, PathBuf)>> {
        let versions = self.store.state().join("versions");
        let mut found = Vec::new();
        let mut folders = vec![versions.join(RAW)];
        while let Some(folder) = folders.pop() {
            let failed = |error| io_error(error, format!("cannot list {}", folder.display()));
            for entry in files::entries(&folder).map_err(failed)? {
                let path = entry.path();
                if entry.file_type().map_err(failed)?.is_dir() {
                    folders.push(path);
                    continue;
                }
                let key = folder.strip_prefix(&versions).ok().and_then(Path::to_str);
                let name = entry.file_name().into_string();
                if let (Some(key), Ok(name)) = (key, name)
                    && !name.starts_with(key::TEMPORARY)
                {
                    found.push((key.to_owned(), Digest::parse(&name), path));
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// What SQLite finds wrong with the state file, and its size in bytes.
    ///
    /// # Errors
    /// `Storage` where it cannot be looked at.
    pub fn check_state(&self) -> Result<(Vec<String>, u64)> {
        let path = self.store.state().join(db::FILE);
        let size = files::fingerprint(&path)?.map_or(0, |fingerprint| fingerprint.size);
        Ok((self.store.db.faults()?, size))
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
