//! Reads records of a stream again, as long as it keeps them.

use std::cmp::Ordering;
use std::time::Duration;

use aws_sdk_kinesis::types::ShardIteratorType;
use chrono::{DateTime, Utc};
use tarn_core::{Error, ErrorKind, Result};

use crate::failure::failed;
use crate::pause;
use crate::stream::Stream;

/// Empty answers in a row after which nothing more is expected: Kinesis gives some between records.
const EMPTY_ANSWERS: u32 = 20;

/// A record as the stream keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    /// Its place in the shard.
    pub sequence_number: String,
    /// When the stream received it.
    pub arrived_at: DateTime<Utc>,
    /// The producer's partition key.
    pub partition_key: String,
    /// The producer's bytes.
    pub data: Vec<u8>,
}

impl Stream {
    /// The records of a shard from the one with sequence number `first` to the one with `last`, both
    /// included. They are all in memory at once.
    ///
    /// # Errors
    /// `NotFound` where the stream does not keep all of them any more.
    pub async fn read(&self, shard: &str, first: &str, last: &str) -> Result<Vec<StoredRecord>> {
        let resource = format!("the shard {shard} of the stream {}", self.name);
        let answer = self
            .client
            .get_shard_iterator()
            .stream_name(&self.name)
            .shard_id(shard)
            .shard_iterator_type(ShardIteratorType::AtSequenceNumber)
            .starting_sequence_number(first)
            .send()
            .await
            .map_err(|error| failed("kinesis:GetShardIterator", &resource, error))?;
        let mut iterator = answer.shard_iterator;
        let mut found: Vec<StoredRecord> = Vec::new();
        let mut empty = 0;
        while let Some(place) = iterator
            && empty < EMPTY_ANSWERS
        {
            let answer = self
                .client
                .get_records()
                .shard_iterator(place)
                .send()
                .await
                .map_err(|error| failed("kinesis:GetRecords", &resource, error))?;
            empty = if answer.records().is_empty() {
                // Kinesis takes five calls a second for each shard.
                pause(empty + 1, Duration::from_millis(200)).await;
                empty + 1
            } else {
                0
            };
            iterator = answer.next_shard_iterator;
            for record in answer.records {
                if by_number(&record.sequence_number, last) == Ordering::Greater {
                    iterator = None;
                    break;
                }
                let arrived = record.approximate_arrival_timestamp;
                let arrived = arrived
                    .and_then(|time| DateTime::from_timestamp(time.secs(), time.subsec_nanos()));
                found.push(StoredRecord {
                    arrived_at: arrived.unwrap_or_else(Utc::now),
                    sequence_number: record.sequence_number,
                    partition_key: record.partition_key.unwrap_or_default(),
                    data: record.data.into_inner(),
                });
            }
            if found
                .last()
                .is_some_and(|record| record.sequence_number == last)
            {
                iterator = None;
            }
        }
        let whole = found
            .first()
            .is_some_and(|record| record.sequence_number == first)
            && found
                .last()
                .is_some_and(|record| record.sequence_number == last);
        if whole {
            return Ok(found);
        }
        Err(Error::new(
            ErrorKind::NotFound,
            format!(
                "{resource} does not keep all records from {first} to {last} any more: they are older \
                 than its retention"
            ),
        ))
    }
}

/// Sequence numbers are decimal numbers of any length.
fn by_number(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}
