//! The events of the function: messages of the queue about changed tables, and the schedule, which asks for
//! all marts.

use std::collections::BTreeSet;

use serde::Deserialize;
use tarn_core::schema::TableName;
use tarn_core::{Error, ErrorKind, Result};
use tarn_engine::marts::Mart;
use tarn_lake::{Lake, Message, Redelivery};

use crate::{MartOutcome, applicable, build};

/// The outcome of an event.
#[derive(Debug, Default)]
pub struct Handled {
    /// The marts that were looked at.
    pub outcomes: Vec<MartOutcome>,
    /// Messages to be delivered again.
    failed: Vec<String>,
    /// Those of them whose failure passes by itself.
    soon: Vec<Redelivery>,
}

impl Handled {
    /// Identifiers of the messages that are to be delivered again.
    pub fn failed(&self) -> &[String] {
        &self.failed
    }

    /// Messages among those of [`Handled::failed`] whose failure passes by itself: they are to be
    /// delivered again soon.
    pub fn soon(&self) -> &[Redelivery] {
        &self.soon
    }
}

/// A message that can be read.
struct Told {
    id: String,
    again: Option<Redelivery>,
    tables: BTreeSet<TableName>,
}

/// A message: `{"tables": ["curated.orders"]}`.
#[derive(Deserialize)]
struct Changed {
    tables: Vec<String>,
}

/// Brings all marts up to date. One whose inputs are those of its last computation is left alone.
///
/// # Errors
/// The first error of a mart; the others are built all the same.
pub async fn on_schedule(lake: &Lake) -> Result<Handled> {
    let (outcomes, mut errors) = build_some(lake, |_| true).await;
    match errors.pop() {
        Some((_, error)) => Err(error),
        None => Ok(Handled {
            outcomes,
            ..Handled::default()
        }),
    }
}

/// Brings the marts up to date that read one of the tables that messages name: `{"tables":
/// ["curated.orders"]}`. A mart whose inputs are those of its last computation is left alone. Where one
/// cannot be built, the messages about its inputs fail, and the others do not.
pub async fn on_messages(batch: Vec<Message>, lake: &Lake) -> Handled {
    let mut messages: Vec<Told> = Vec::new();
    let (mut failed, mut soon) = (Vec::new(), Vec::new());
    for message in batch {
        let again = Redelivery::of(&message);
        let id = message.id;
        match tables(&message.body) {
            Ok(tables) => messages.push(Told { id, again, tables }),
            Err(error) => {
                tracing::error!(message = id, %error, "a message cannot be read");
                failed.push(id);
            }
        }
    }
    let changed: BTreeSet<&TableName> = messages.iter().flat_map(|told| &told.tables).collect();
    let (outcomes, errors) =
        build_some(lake, |mart| changed.iter().any(|table| reads(mart, table))).await;
    for told in messages {
        let mut concerned = errors
            .iter()
            .filter(|(mart, _)| told.tables.iter().any(|table| reads(mart, table)))
            .peekable();
        if concerned.peek().is_some() {
            if concerned.all(|(_, error)| error.is_retryable()) {
                soon.extend(told.again);
            }
            failed.push(told.id);
        }
    }
    Handled {
        outcomes,
        failed,
        soon,
    }
}

async fn build_some(
    lake: &Lake,
    wanted: impl Fn(&Mart) -> bool,
) -> (Vec<MartOutcome>, Vec<(&'static Mart, Error)>) {
    let (mut outcomes, mut errors) = (Vec::new(), Vec::new());
    for mart in applicable(&lake.contracts).filter(|mart| wanted(mart)) {
        match build(lake, mart, false).await {
            Ok(outcome) => {
                tracing::info!(
                    mart = outcome.mart,
                    rows = outcome.rows,
                    status = ?outcome.status,
                    "a mart is up to date"
                );
                outcomes.push(outcome);
            }
            Err(error) => {
                tracing::error!(mart = mart.name, %error, "a mart cannot be built");
                errors.push((mart, error));
            }
        }
    }
    (outcomes, errors)
}

fn tables(body: &str) -> Result<BTreeSet<TableName>> {
    let wrong = |text: &str| Error::new(ErrorKind::BadRequest, text.to_owned());
    let changed: Changed = serde_json::from_str(body).map_err(|error| {
        wrong("a message is not {\"tables\": [\"curated.orders\"]}").with_source(error)
    })?;
    changed
        .tables
        .iter()
        .map(|name| {
            TableName::parse(name)
                .ok_or_else(|| wrong(&format!("{name} is not the name of a table")))
        })
        .collect()
}

fn reads(mart: &Mart, table: &TableName) -> bool {
    mart.inputs
        .iter()
        .any(|input| *table == TableName::new(tarn_core::schema::Zone::Curated, input.table))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::Path;

    use tarn_contract::load_dir;
    use tarn_core::ports::PutMode;
    use tarn_local::LocalLake;
    use tempfile::TempDir;

    use super::*;
    use crate::MartStatus;

    fn lake_in(folder: &TempDir) -> (LocalLake, Lake) {
        let local = LocalLake::create(folder.path()).unwrap();
        let contracts = load_dir(Path::new("../../contracts")).unwrap();
        let lake = Lake::new(
            local.objects(),
            local.catalog(),
            local.ledger(),
            contracts,
            &local.scratch(),
        )
        .with_keys(local.keys());
        (local, lake)
    }

    fn batch(bodies: &[&str]) -> Vec<Message> {
        let message = |(number, body): (usize, &&str)| Message {
            id: number.to_string(),
            receipt: String::new(),
            receives: 1,
            body: (*body).to_owned(),
        };
        bodies.iter().enumerate().map(message).collect()
    }

    #[tokio::test]
    async fn a_message_builds_the_marts_that_read_its_tables_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let (_local, lake) = lake_in(&folder);
        let messages = batch(&[r#"{"tables":["curated.ad_events"]}"#, "{"]);
        let handled = on_messages(messages, &lake).await;
        // The second message cannot be read.
        assert_eq!(handled.failed(), ["1"]);
        let marts: Vec<_> = handled
            .outcomes
            .iter()
            .map(|outcome| outcome.mart.as_str())
            .collect();
        assert_eq!(marts, ["ad_performance"]);
        let none = on_messages(batch(&[r#"{"tables":["curated.social_posts"]}"#]), &lake).await;
        assert_eq!(none.outcomes, []);
        assert_eq!(none.failed(), [""; 0]);
    }

    #[tokio::test]
    async fn the_schedule_looks_at_every_mart_and_computes_only_what_changed() {
        let folder = tempfile::tempdir().unwrap();
        let (_local, lake) = lake_in(&folder);
        let key = "raw/ads/events/ingest_date=2026-01-31/events.ndjson";
        let events = std::fs::read("../../events/ads/events.ndjson").unwrap();
        lake.objects
            .put(key, events.into(), PutMode::Overwrite)
            .await
            .unwrap();
        tarn_ingest::ingest(&lake, key).await.unwrap();
        let first = on_schedule(&lake).await.unwrap();
        let status = |handled: &Handled, mart: &str| {
            let found = handled.outcomes.iter().find(|found| found.mart == mart);
            found.unwrap().status.clone()
        };
        assert!(matches!(
            status(&first, "ad_performance"),
            MartStatus::Built { .. }
        ));
        assert!(matches!(
            status(&first, "daily_sales"),
            MartStatus::Waiting { .. }
        ));
        let second = on_schedule(&lake).await.unwrap();
        assert_eq!(status(&second, "ad_performance"), MartStatus::Unchanged);
    }
}
