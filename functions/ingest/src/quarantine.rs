//! Rejected rows of a run into the quarantine table.

use tarn_core::Result;
use tarn_core::quarantine;
use tarn_core::schema::{Partitioning, TableField};
use tarn_engine::parquet::ParquetFile;
use tarn_table::Table;

use crate::Run;
use crate::append::{Marks, replace};

/// The quarantine table, made where it does not exist.
pub(crate) struct Quarantine {
    table: Table,
}

impl Quarantine {
    pub async fn open(run: &Run<'_>) -> Result<Self> {
        Ok(Quarantine {
            table: run.lake.tables.ensure(&quarantine::table_spec()).await?,
        })
    }

    /// What the engine needs to write its files.
    pub fn layout(&self) -> (Vec<TableField>, Option<Partitioning>) {
        (self.table.fields(), quarantine::table_spec().partitioning)
    }

    /// Puts the rejected rows of the run's object in the place of those of an earlier attempt or version.
    pub async fn commit(&self, run: &Run<'_>, files: &[ParquetFile]) -> Result<()> {
        replace(run, &quarantine::table_spec(), files, &Marks::default())
            .await
            .map(drop)
    }
}
