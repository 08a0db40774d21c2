//! The lake on AWS as commands see it.

use std::path::Path;

use tarn_aws::{Aws, Need, Stream, StreamEntry};
use tarn_contract::Contracts;
use tarn_core::Result;
use tarn_lake::Lake;
use uuid::Uuid;

use crate::cloud::environment::Environment;

/// What every command needs. A command that needs more checks that itself.
const NEEDS: [Need; 6] = [
    Need::Raw,
    Need::Curated,
    Need::Analytics,
    Need::Quarantine,
    Need::Catalog,
    Need::Ledger,
];

/// A lake on AWS, and what else its environment names.
pub struct Remote {
    aws: Aws,
    lake: Lake,
    environment: Environment,
}

impl Remote {
    /// Connects to the lake of a Terraform root, or of the `TARN_*` variables. Nothing is called yet.
    ///
    /// # Errors
    /// `BadRequest` with every fault of the settings.
    pub async fn open(root: Option<&Path>, contracts: Contracts) -> Result<Remote> {
        let environment = Environment::read(root)?;
        let settings = environment.settings(&NEEDS)?;
        let scratch = std::env::temp_dir().join("tarn");
        let aws = Aws::connect(settings).await;
        let lake = Lake::new(
            aws.objects(),
            aws.catalog(),
            aws.ledger(),
            contracts,
            &scratch,
        )
        .with_keys(aws.keys());
        Ok(Remote {
            aws,
            lake,
            environment,
        })
    }

    /// The lake.
    pub fn lake(&self) -> &Lake {
        &self.lake
    }

    /// The number of messages in the queue whose URL is in a variable; None if the variable is not set.
    ///
    /// # Errors
    /// `Storage` if the queue does not answer.
    pub async fn depth(&self, variable: &str) -> Result<Option<u64>> {
        match self.environment.get(variable) {
            Some(url) => Ok(Some(self.aws.queue(&url).depth().await?)),
            None => Ok(None),
        }
    }

    /// The stream of events.
    ///
    /// # Errors
    /// `BadRequest` if the environment names none.
    pub fn stream(&self) -> Result<EventStream> {
        let [name] = self.environment.need(["TARN_STREAM"])?;
        Ok(EventStream(self.aws.stream(&name)))
    }
}

/// The stream of events, to put records on.
pub struct EventStream(Stream);

impl EventStream {
    /// Puts the records on the stream, and returns their number.
    ///
    /// # Errors
    /// `Storage` if the stream does not accept them.
    pub async fn put(&self, records: Vec<Vec<u8>>) -> Result<usize> {
        let entries = records
            .into_iter()
            .map(|data| StreamEntry {
                // A different key for each record spreads them over the shards.
                partition_key: Uuid::new_v4().to_string(),
                data,
            })
            .collect();
        self.0.put(entries).await
    }
}
