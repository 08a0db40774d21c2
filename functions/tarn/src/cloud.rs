//! The lake on AWS, for functions and the command line alike.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use tarn_aws::{Aws, Settings};
use tarn_core::contract::Contracts;
use tarn_core::ports::Ledger;
use tarn_core::run::{ObjectRecord, RunRecord};
use tarn_core::{Error, ErrorKind, Result};
use tarn_lake::Lake;

/// The services, and the lake over them.
#[derive(Clone)]
pub struct Cloud {
    /// The services.
    pub aws: Aws,
    /// The lake.
    pub lake: Lake,
}

/// Connects. Nothing is called yet. What the settings leave out is an error where it is used.
pub async fn connect(settings: Settings, contracts: Contracts, scratch: &Path) -> Cloud {
    let aws = Aws::connect(settings).await;
    let ledger = aws.ledger().unwrap_or_else(|_| Arc::new(NoLedger));
    let lake = Lake::new(aws.objects(), aws.catalog(), ledger, contracts, scratch);
    Cloud { aws, lake }
}

/// The ledger of a function that has none: archive and api are not told where it is.
struct NoLedger;

fn unset<T>() -> Result<T> {
    Err(Error::new(
        ErrorKind::BadRequest,
        "the ledger is not known here: set TARN_LEDGER_TABLE",
    ))
}

#[async_trait]
impl Ledger for NoLedger {
    async fn object(&self, _key: &str) -> Result<Option<ObjectRecord>> {
        unset()
    }
    async fn put_object(&self, _record: &ObjectRecord, _expected: Option<u64>) -> Result<u64> {
        unset()
    }
    async fn objects(&self, _prefix: &str) -> Result<Vec<ObjectRecord>> {
        unset()
    }
    async fn put_run(&self, _run: &RunRecord) -> Result<()> {
        unset()
    }
    async fn run(&self, _run_id: &str) -> Result<Option<RunRecord>> {
        unset()
    }
    async fn runs(&self, _limit: usize) -> Result<Vec<RunRecord>> {
        unset()
    }
    async fn state(&self, _name: &str) -> Result<Option<String>> {
        unset()
    }
    async fn put_state(&self, _name: &str, _value: &str) -> Result<()> {
        unset()
    }
}
