//! Rejected rows of a run into their dataset's quarantine table.

use tarn_core::Result;
use tarn_core::contract::Contract;
use tarn_core::quarantine;
use tarn_core::schema::{Partitioning, TableField, TableSpec};
use tarn_engine::parquet::ParquetFile;

use crate::Run;
use crate::append::{Marks, replace};

/// The quarantine table of a dataset, made where it does not exist and something is going to be committed.
pub(crate) struct Quarantine {
    spec: TableSpec,
    fields: Vec<TableField>,
}

impl Quarantine {
    pub async fn open(run: &Run<'_>, contract: &Contract) -> Result<Self> {
        let spec = quarantine::table_spec(contract);
        let fields = run.fields(&spec).await?;
        Ok(Quarantine { spec, fields })
    }

    /// What the engine needs to write its files.
    pub fn layout(&self) -> (Vec<TableField>, Option<Partitioning>) {
        (self.fields.clone(), self.spec.partitioning.clone())
    }

    /// Puts the rejected rows of the run's object in the place of those of an earlier attempt or version.
    pub async fn commit(&self, run: &Run<'_>, files: &[ParquetFile]) -> Result<()> {
        replace(run, &self.spec, files, &Marks::default())
            .await
            .map(drop)
    }
}
