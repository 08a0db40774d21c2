//! When each dataset was committed last, as the ledger remembers it: two named values per dataset.
//!
//! - `committed/<dataset>`: when the last run that brought accepted rows ended. A commit moves it forward,
//!   and nothing moves it back, in whatever order runs end.
//! - `watched/<dataset>`: the start of the age of a dataset that was never committed, as far as the ledger
//!   remembers. It is set once, when the quality of the dataset is first evaluated.
//!
//! Both are times in one form of fixed width, so the texts sort like the times.

use chrono::{DateTime, SecondsFormat, Utc};
use tarn_core::{Error, ErrorKind, Result};
use tarn_quality::service_level::Seen;

use crate::Lake;

fn committed(dataset: &str) -> String {
    format!("committed/{dataset}")
}

fn watched(dataset: &str) -> String {
    format!("watched/{dataset}")
}

fn text(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

impl Lake {
    /// Remembers that a dataset got accepted rows at a time. An earlier time than is known changes
    /// nothing.
    ///
    /// # Errors
    /// Where the ledger cannot be written.
    pub async fn note_commit(&self, dataset: &str, at: DateTime<Utc>) -> Result<()> {
        let name = committed(dataset);
        self.ledger.advance_state(&name, &text(at)).await
    }

    /// Remembers the start of the age of a dataset without commits.
    ///
    /// # Errors
    /// Where the ledger cannot be written.
    pub async fn note_watched(&self, dataset: &str, since: DateTime<Utc>) -> Result<()> {
        let name = watched(dataset);
        self.ledger.put_state(&name, &text(since)).await
    }

    /// What the ledger remembers of a dataset's age; nothing in a lake from before it did.
    ///
    /// # Errors
    /// Where the ledger cannot be read.
    pub async fn seen(&self, dataset: &str) -> Result<Seen> {
        let (committed, watched) = (committed(dataset), watched(dataset));
        let (committed, watched) =
            futures::future::try_join(self.time(&committed), self.time(&watched)).await?;
        Ok(Seen { committed, watched })
    }

    async fn time(&self, name: &str) -> Result<Option<DateTime<Utc>>> {
        let Some(value) = self.ledger.state(name).await? else {
            return Ok(None);
        };
        match DateTime::parse_from_rfc3339(&value) {
            Ok(time) => Ok(Some(time.to_utc())),
            Err(error) => Err(Error::new(
                ErrorKind::Storage,
                format!("the ledger's value {name} is not a time: {value:?}"),
            )
            .with_source(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn the_order_of_the_texts_is_that_of_the_times() {
        let micros = [0, 1, 999_999, 1_000_000, 1_500_000, 1 << 40, 1 << 50];
        let texts: Vec<String> = micros
            .iter()
            .map(|micros| text(DateTime::UNIX_EPOCH + TimeDelta::microseconds(*micros)))
            .collect();
        assert!(texts.is_sorted(), "{texts:?}");
        assert!(texts.iter().all(|text| text.len() == texts[0].len()));
    }
}
