//! When the contents of objects were first put, whatever their names: a file that is put again under another
//! name does not become newer.
//!
//! Named values of the ledger hold it: for each version of an object, when it was put and the digest of its
//! content; for each content, the earliest of these puts.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tarn_contract::Contract;
use tarn_core::Result;
use tarn_core::ports::LocalCopy;
use tarn_lake::{Lake, source_version};

use crate::run::Run;
use crate::value::{self, Value, change};

/// What is known of a version of an object.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Noted {
    put_at: DateTime<Utc>,
    /// The digest of its content.
    content: String,
}

/// The first put of a content.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct First {
    put_at: DateTime<Utc>,
    key: String,
}

/// The puts of a dataset's objects.
pub(crate) struct PutTimes<'a> {
    lake: &'a Lake,
    dataset: String,
}

impl<'a> PutTimes<'a> {
    pub fn new(lake: &'a Lake, contract: &Contract) -> Self {
        PutTimes {
            lake,
            dataset: contract.dataset.clone(),
        }
    }

    fn of_version(&self, key: &str, version: &str) -> String {
        format!("newest/{}/object/{key}@{version}", self.dataset)
    }

    fn of_content(&self, content: &str) -> String {
        format!("newest/{}/content/{content}", self.dataset)
    }

    /// Records the put of the object under ingest, unless this is a dry run. Returns when it counts as put.
    pub async fn record(&self, run: &Run<'_>, copy: &Arc<LocalCopy>) -> Result<DateTime<Utc>> {
        let noted = Noted {
            put_at: run.info.last_modified,
            content: run.content_digest(copy).await?.to_string(),
        };
        if !run.dry {
            let first = First {
                put_at: noted.put_at,
                key: run.info.key.clone(),
            };
            self.first(&noted.content, &first).await?;
            let name = self.of_version(&run.info.key, &source_version(&run.info));
            value::put(self.lake, &name, &noted).await?;
        }
        self.standing(&run.info.key, noted).await
    }

    /// When a version of an object counts as put; None where it was never noted.
    pub async fn of(&self, key: &str, version: &str) -> Result<Option<DateTime<Utc>>> {
        let name = self.of_version(key, version);
        match Value::<Option<Noted>>::read(self.lake, name).await?.value {
            Some(noted) => self.standing(key, noted).await.map(Some),
            None => Ok(None),
        }
    }

    /// The earlier put of the same content under another key counts.
    async fn standing(&self, key: &str, noted: Noted) -> Result<DateTime<Utc>> {
        let name = self.of_content(&noted.content);
        let first = Value::<Option<First>>::read(self.lake, name).await?.value;
        Ok(first
            .filter(|first| first.key != key)
            .map_or(noted.put_at, |first| first.put_at.min(noted.put_at)))
    }

    /// Records a put of a content, unless an earlier one is known.
    async fn first(&self, content: &str, put: &First) -> Result<()> {
        let name = self.of_content(content);
        change(self.lake, &name, |known: &Option<First>| {
            let is_earlier = known.as_ref().is_none_or(|known| put.put_at < known.put_at);
            is_earlier.then(|| Some(put.clone()))
        })
        .await
    }
}
