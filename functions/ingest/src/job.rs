//! What the engine is given to read one dataset of an object.

use std::path::PathBuf;
use std::sync::Arc;

use tarn_contract::Contract;
use tarn_core::Result;
use tarn_core::privacy::PseudonymKey;
use tarn_core::schema::{Partitioning, TableField};
use tarn_engine::ingest::Job;
use tarn_rows::check::{References, Survey};
use tarn_rows::system_columns::SystemColumns;

use crate::quarantine::Quarantine;
use crate::run::Run;

/// Where the rows of a dataset go.
pub(crate) struct Target {
    pub contract: Arc<Contract>,
    /// The curated table's columns.
    pub fields: Vec<TableField>,
    pub quarantine: Quarantine,
}

/// What only the run and the lake know of a job. It is gathered before the blocking work begins.
pub(crate) struct JobInputs {
    quarantine: (Vec<TableField>, Option<Partitioning>),
    system_columns: SystemColumns,
    key: Option<PseudonymKey>,
    staging: PathBuf,
    bytes: u64,
    put_at: i64,
}

impl JobInputs {
    /// # Errors
    /// Where the key of pseudonyms is needed and cannot be had, or no folder can be made for the files.
    pub async fn gather(run: &Run<'_>, target: &Target) -> Result<Self> {
        let contract = &target.contract;
        Ok(JobInputs {
            quarantine: target.quarantine.layout(),
            system_columns: run.system_columns(&contract.version),
            key: run.key(contract).await?,
            staging: run.staging.subfolder(&contract.dataset)?,
            bytes: run.info.size,
            put_at: run.info.last_modified.timestamp_micros(),
        })
    }

    /// A job that compares the rows with no others.
    pub fn into_job(
        self,
        target: &Target,
        references: References,
        survey: Option<Survey>,
    ) -> Job<'_> {
        Job {
            contract: &target.contract,
            fields: target.fields.clone(),
            quarantine: self.quarantine,
            system_columns: self.system_columns,
            key: self.key,
            staging: self.staging,
            earlier: Arc::new(tarn_engine::ingest::Nothing),
            bytes: self.bytes,
            put_at: self.put_at,
            references,
            survey,
            later: Arc::default(),
        }
    }
}
