//! Puts the rejected rows of a run into the quarantine table of their dataset.

use tarn_contract::Contract;
use tarn_contract::quarantine;
use tarn_core::schema::{Partitioning, TableField, TableSpec};
use tarn_core::{ErrorKind, Result};
use tarn_engine::parquet::ParquetFile;
use tarn_rows::planned::RowsOf;
use tarn_table::{Base, Takeover};

use crate::append::changed_all_the_time;
use crate::commit::{self, Done, Put};
use crate::own_lines::has_rows;
use crate::run::Run;
use crate::{ATTEMPTS, back_off};

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

    /// Replaces the rejected rows of an earlier attempt or version by those of the run's object.
    pub async fn commit(&self, run: &Run<'_>, files: &[ParquetFile]) -> Result<()> {
        let rows = [RowsOf::object(&run.uris)];
        self.put(run, files, &rows, &run.takeover()).await.map(drop)
    }

    /// Takes out the rows that an earlier attempt of the run's object left: other objects have its lines.
    pub async fn forget(&self, run: &Run<'_>, version: &str) -> Result<()> {
        if !has_rows(run.lake, &self.spec.name, &run.info.key, version).await? {
            return Ok(());
        }
        let rows = [RowsOf::version(&run.uris, version)];
        self.put(run, &[], &rows, &run.takeover()).await.map(drop)
    }

    /// Replaces these rejected rows by those of the run.
    ///
    /// # Errors
    /// `Conflict` where the run was taken over.
    pub async fn put(
        &self,
        run: &Run<'_>,
        files: &[ParquetFile],
        replaces: &[RowsOf],
        takeover: &Takeover,
    ) -> Result<Done> {
        for attempt in 0..ATTEMPTS {
            // A run that is taken over may yet add rows that are not among those to be replaced.
            let base = if takeover.runs.is_empty() {
                Base::Any
            } else {
                Base::Exactly(run.lake.table(&self.spec.name).await?.current_snapshot_id())
            };
            let put = commit::put(
                run,
                Put {
                    spec: &self.spec,
                    files,
                    replaces,
                    rewritten: &[],
                    base,
                    unless_committed: false,
                    outcome: None,
                    takeover: takeover.clone(),
                },
            );
            match put.await {
                Err(error) if error.kind() == ErrorKind::Conflict => {
                    if run
                        .lake
                        .table(&self.spec.name)
                        .await?
                        .was_taken_over(&run.id)
                    {
                        return Err(error);
                    }
                    // Another writer replaced a file that was to be replaced: read the table again.
                    back_off(attempt).await;
                }
                other => return other,
            }
        }
        Err(changed_all_the_time(&self.spec))
    }
}
