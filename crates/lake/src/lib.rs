//! What the functions share: the lake as they see it, opened once at start.
#![cfg_attr(not(test), warn(unused_crate_dependencies))]

mod commit;
mod damage;
mod files;
mod freshness;
mod identifiers;
mod keys;
mod redelivery;
mod relation;

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tarn_contract::Contracts;
use tarn_core::ports::{Catalog, Keys, Ledger, Objects, PutMode};
use tarn_core::run::RunRecord;
use tarn_core::{Error, ErrorKind, Result};
use tarn_quality::DatasetQuality;
use tarn_query::{Engine, Limits};
use tarn_table::Tables;
use uuid::Uuid;

pub use commit::{source_version, staged_files, version_parts, version_text};
pub use damage::Remedy;
pub use files::LocalFiles;
pub use identifiers::IDENTIFIERS_BYTES;
pub use keys::UsedKey;
pub use redelivery::{Message, Redelivery};
pub use relation::{Opened, TableInfo, resolve};

/// The key of the quality summary: a JSON array with one object per dataset.
pub const QUALITY_SUMMARY: &str = "quality/summary.json";

/// The lake: its ports, contracts and tables.
#[derive(Clone)]
pub struct Lake {
    /// Object storage.
    pub objects: Arc<dyn Objects>,
    /// Table pointers.
    pub catalog: Arc<dyn Catalog>,
    /// What happened to each object, and every run.
    pub ledger: Arc<dyn Ledger>,
    /// The keys of pseudonyms; only functions that write personal data have them.
    pub keys: Arc<dyn Keys>,
    /// The datasets.
    pub contracts: Arc<Contracts>,
    /// Iceberg tables over the ports.
    pub tables: Tables,
    /// Answers SQL.
    pub engine: Arc<Engine>,
    /// Where runs stage their files: a folder of the local disk.
    scratch: PathBuf,
    /// Indexes of data files by their identifiers.
    identifiers: identifiers::Kept,
}

impl Lake {
    /// A lake over its ports, without keys of pseudonyms.
    pub fn new(
        objects: Arc<dyn Objects>,
        catalog: Arc<dyn Catalog>,
        ledger: Arc<dyn Ledger>,
        contracts: Contracts,
        scratch: &Path,
    ) -> Self {
        Lake {
            tables: Tables::new(objects.clone(), catalog.clone()),
            engine: engine(&objects, scratch, Limits::default()),
            objects,
            catalog,
            ledger,
            keys: Arc::new(keys::NoKeys),
            contracts: Arc::new(contracts),
            scratch: scratch.to_owned(),
            identifiers: identifiers::kept(),
        }
    }

    /// The same lake with keys of pseudonyms.
    #[must_use]
    pub fn with_keys(self, keys: Arc<dyn Keys>) -> Self {
        Lake { keys, ..self }
    }

    /// The same lake, whose queries have these bounds.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Lake {
            engine: engine(&self.objects, &self.scratch, limits),
            ..self
        }
    }

    /// The same lake with other contracts.
    #[must_use]
    pub fn with_contracts(self, contracts: Contracts) -> Self {
        Lake {
            contracts: Arc::new(contracts),
            ..self
        }
    }

    /// Sums up what these runs found in each dataset and writes it to [`QUALITY_SUMMARY`].
    pub async fn write_quality_summary(&self, runs: &[RunRecord]) -> Result<Vec<DatasetQuality>> {
        let summary = tarn_quality::summary(runs);
        let body = serde_json::to_vec_pretty(&summary).map_err(|error| {
            Error::internal("the quality summary cannot be written").with_source(error)
        })?;
        self.objects
            .put(QUALITY_SUMMARY, body.into(), PutMode::Overwrite)
            .await?;
        Ok(summary)
    }

    /// A new empty folder for a run's files, deleted when the returned value is dropped.
    pub fn staging(&self, run_id: &str) -> Result<Staging> {
        let path = self.scratch.join(run_id);
        private_folder(&path)?;
        Ok(Staging { path })
    }
}

fn engine(objects: &Arc<dyn Objects>, scratch: &Path, limits: Limits) -> Arc<Engine> {
    Arc::new(Engine::new(
        Arc::clone(objects),
        scratch.join("queries"),
        limits,
    ))
}

/// Makes a folder where there is none, its owner's alone: rows pass through it.
fn private_folder(path: &Path) -> Result<()> {
    let mut folder = std::fs::DirBuilder::new();
    folder.recursive(true).mode(0o700);
    folder.create(path).map_err(|error| {
        Error::new(
            ErrorKind::Storage,
            format!("the staging folder {} cannot be made", path.display()),
        )
        .with_source(error)
    })
}

/// A new run's identifier: a UUID of version 7, so that later runs sort after earlier ones.
pub fn new_run_id() -> String {
    Uuid::now_v7().to_string()
}

/// A run's folder.
#[derive(Debug)]
pub struct Staging {
    path: PathBuf,
}

impl Staging {
    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A new empty folder in it.
    pub fn subfolder(&self, name: &str) -> Result<PathBuf> {
        let path = self.path.join(name);
        let made = match std::fs::remove_dir_all(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => std::fs::create_dir_all(&path),
        };
        made.map_err(|error| {
            Error::new(
                ErrorKind::Storage,
                format!("{} cannot be made", path.display()),
            )
            .with_source(error)
        })?;
        Ok(path)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            // The files that are left are not part of any table.
            tracing::warn!(path = %self.path.display(), %error, "a staging folder is left behind");
        }
    }
}

/// Runs work that computes or blocks on a thread of its own.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => {
            let text = error
                .try_into_panic()
                .ok()
                .and_then(|panic| {
                    panic
                        .downcast_ref::<String>()
                        .cloned()
                        .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
                })
                .unwrap_or_else(|| "the work was cancelled".to_owned());
            Err(Error::internal(format!("a fault in Tarn: {text}")))
        }
    }
}
