//! A batch of Kinesis records, as Lambda delivers it.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::Serialize;
use tarn_contract::Contract;
use tarn_core::Result;
use tarn_lake::Lake;

use crate::aggregate::split;
use crate::{StreamRecord, archive_once};

/// The answer to Lambda about a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchResponse {
    batch_item_failures: Vec<ItemFailure>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ItemFailure {
    item_identifier: String,
}

/// The outcome of a batch.
#[derive(Debug, Default)]
pub struct Archived {
    /// Keys of the objects that were put, one per shard.
    pub keys: Vec<String>,
    /// Events in them; aggregated records count as often as they hold events.
    pub events: u64,
    /// The lowest sequence number that is not archived: Lambda delivers from there again.
    failed: Option<String>,
}

impl Archived {
    /// From where Lambda is to deliver again.
    pub fn response(&self) -> BatchResponse {
        BatchResponse {
            batch_item_failures: self
                .failed
                .iter()
                .cloned()
                .map(|item_identifier| ItemFailure { item_identifier })
                .collect(),
        }
    }
}

/// Puts the records of each shard into the raw zone as one object. A record comes with its shard.
///
/// Nothing that a record holds can fail it. Where the object cannot be put, the batch fails from its
/// lowest sequence number on; the same records make the same object when they come again.
pub async fn archive_batch(
    records: Vec<(String, StreamRecord)>,
    lake: &Lake,
    contract: &Contract,
    stream: &str,
) -> Archived {
    let mut shards: BTreeMap<String, Vec<StreamRecord>> = BTreeMap::new();
    for (shard, record) in records {
        shards.entry(shard).or_default().push(record);
    }
    let mut archived = Archived::default();
    for (shard, mut records) in shards {
        records.sort_by(|a, b| by_number(&a.sequence_number, &b.sequence_number));
        let lowest = records.first().map(|first| first.sequence_number.clone());
        match archive_shard(lake, contract, stream, &shard, records).await {
            Ok((key, events)) => {
                archived.keys.push(key);
                archived.events += events;
            }
            Err(error) => {
                tracing::error!(shard, from = lowest, %error, "events could not be archived");
                archived.failed = match (archived.failed.take(), lowest) {
                    (Some(a), Some(b)) if by_number(&a, &b) == Ordering::Greater => Some(b),
                    (Some(a), _) => Some(a),
                    (None, lowest) => lowest,
                };
            }
        }
    }
    archived
}

/// Puts records of one shard, in their order, into the raw zone as one object, aggregated ones split.
/// Returns its key and the number of events in it.
///
/// # Errors
/// `Storage` where the object cannot be put, `BadRequest` for no records.
pub async fn archive_shard(
    lake: &Lake,
    contract: &Contract,
    stream: &str,
    shard: &str,
    records: Vec<StreamRecord>,
) -> Result<(String, u64)> {
    let events: Vec<StreamRecord> = records.into_iter().flat_map(split).collect();
    let key = archive_once(lake, contract, stream, shard, &events).await?;
    let count = events.len() as u64;
    tracing::info!(key, shard, events = count, "events are archived");
    Ok((key, count))
}

/// Sequence numbers are decimal numbers of any length.
fn by_number(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests;
