//! When the contents of objects were first put, whatever their names: a file that is put again under another
//! name is no newer than it was.
//!
//! Named values of the ledger hold it: of each object's version when it was put and the digest of its content,
//! and of each content the earliest of these puts.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tarn_core::contract::Contract;
use tarn_core::ports::{LocalCopy, digest_of};
use tarn_core::{Error, ErrorKind, Result};
use tarn_lake::{Lake, blocking, source_version};

use crate::run::Run;
use crate::{ATTEMPTS, back_off};

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
pub(crate) struct Puts<'a> {
    lake: &'a Lake,
    dataset: String,
}

fn read<T: for<'t> Deserialize<'t>>(name: &str, text: Option<String>) -> Result<Option<T>> {
    text.map(|text| serde_json::from_str(&text))
        .transpose()
        .map_err(|error| {
            Error::new(
                ErrorKind::Storage,
                format!("the ledger's {name} cannot be read"),
            )
            .with_source(error)
        })
}

fn written<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|error| Error::internal("a put cannot be written down").with_source(error))
}

impl<'a> Puts<'a> {
    pub fn new(lake: &'a Lake, contract: &Contract) -> Self {
        Puts {
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

    /// Takes note of the object under ingest, unless nothing is going to be committed, and tells when it counts
    /// as put.
    pub async fn note(&self, run: &Run<'_>, copy: &Arc<LocalCopy>) -> Result<DateTime<Utc>> {
        let (copy, key) = (Arc::clone(copy), run.info.key.clone());
        let content = blocking(move || Ok(digest_of(&key, &copy)?.0)).await?;
        let noted = Noted {
            put_at: run.info.last_modified,
            content: content.to_string(),
        };
        if !run.dry {
            let first = First {
                put_at: noted.put_at,
                key: run.info.key.clone(),
            };
            self.first(&noted.content, &first).await?;
            let name = self.of_version(&run.info.key, &source_version(&run.info));
            self.lake.ledger.put_state(&name, &written(&noted)?).await?;
        }
        self.standing(&run.info.key, noted).await
    }

    /// When a version of an object counts as put; None where it was never noted.
    pub async fn of(&self, key: &str, version: &str) -> Result<Option<DateTime<Utc>>> {
        let name = self.of_version(key, version);
        match read::<Noted>(&name, self.lake.ledger.state(&name).await?)? {
            Some(noted) => self.standing(key, noted).await.map(Some),
            None => Ok(None),
        }
    }

    /// The earlier put of the same content under another key counts.
    async fn standing(&self, key: &str, noted: Noted) -> Result<DateTime<Utc>> {
        let name = self.of_content(&noted.content);
        let first = read::<First>(&name, self.lake.ledger.state(&name).await?)?;
        Ok(first
            .filter(|first| first.key != key)
            .map_or(noted.put_at, |first| first.put_at.min(noted.put_at)))
    }

    /// Takes note of a put of a content, where none before it is known.
    async fn first(&self, content: &str, put: &First) -> Result<()> {
        let name = self.of_content(content);
        for attempt in 0..ATTEMPTS {
            let before = self.lake.ledger.state(&name).await?;
            let known = read::<First>(&name, before.clone())?;
            if known.is_some_and(|known| known.put_at <= put.put_at) {
                return Ok(());
            }
            let ledger = &self.lake.ledger;
            match ledger
                .swap_state(&name, before.as_deref(), &written(put)?)
                .await
            {
                Err(error) if error.kind() == ErrorKind::Conflict => back_off(attempt).await,
                done => return done,
            }
        }
        Err(Error::new(
            ErrorKind::Conflict,
            format!("{name} is written by others all the time; try again"),
        ))
    }
}
