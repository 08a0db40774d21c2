//! A producer for a Kinesis stream.

use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;
use tarn_core::{Error, ErrorKind, Result};

use crate::failure::failed;
use crate::pause;

/// What Kinesis takes in one call: records, and bytes of data and partition keys.
const MOST_RECORDS: usize = 500;
const MOST_BYTES: usize = 5 << 20;

/// What Kinesis takes in one record, its partition key included.
const MOST_RECORD_BYTES: usize = 1 << 20;

/// Characters of a partition key.
const MOST_KEY_CHARS: usize = 256;

/// How often the records of one chunk are sent.
const ATTEMPTS: u32 = 10;

/// A record for the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamEntry {
    /// Decides the shard; 1 to 256 characters. Records of one key are in one shard.
    pub partition_key: String,
    /// At most 1 MiB together with the key.
    pub data: Vec<u8>,
}

impl StreamEntry {
    fn bytes(&self) -> usize {
        self.data.len() + self.partition_key.len()
    }

    fn check(&self, index: usize) -> Result<()> {
        let chars = self.partition_key.chars().count();
        let fault = if !(1..=MOST_KEY_CHARS).contains(&chars) {
            format!("its partition key has {chars} characters, not 1 to {MOST_KEY_CHARS}")
        } else if self.bytes() > MOST_RECORD_BYTES {
            format!(
                "it has {} bytes with its key, and Kinesis takes {MOST_RECORD_BYTES}",
                self.bytes()
            )
        } else {
            return Ok(());
        };
        Err(Error::new(
            ErrorKind::BadRequest,
            format!("record {} cannot be streamed: {fault}", index + 1),
        ))
    }
}

/// A stream to put records on.
#[derive(Debug, Clone)]
pub struct Stream {
    pub(crate) client: Client,
    pub(crate) name: String,
}

impl Stream {
    pub(crate) fn new(client: Client, name: &str) -> Self {
        Stream {
            client,
            name: name.to_owned(),
        }
    }

    /// Puts records on the stream and returns how many. Those that a shard has no room for are sent
    /// again, they alone, so that records may arrive in another order, and after a lost reply twice.
    ///
    /// # Errors
    /// `BadRequest` where a record is too large (nothing is sent then); a retryable `Storage` error
    /// that says how many records were not accepted in the end.
    pub async fn put(&self, entries: Vec<StreamEntry>) -> Result<usize> {
        for (index, entry) in entries.iter().enumerate() {
            entry.check(index)?;
        }
        let count = entries.len();
        let mut left = entries.into_iter().peekable();
        let mut accepted = 0;
        while left.peek().is_some() {
            let mut chunk = Vec::new();
            let mut bytes = 0;
            while let Some(entry) = left
                .next_if(|entry| chunk.len() < MOST_RECORDS && bytes + entry.bytes() <= MOST_BYTES)
            {
                bytes += entry.bytes();
                chunk.push(entry);
            }
            accepted += self.put_chunk(chunk, (accepted, count)).await?;
        }
        Ok(accepted)
    }

    /// Puts what fits one call; `progress` is how many records of how many are on the stream.
    async fn put_chunk(
        &self,
        mut chunk: Vec<StreamEntry>,
        (before, count): (usize, usize),
    ) -> Result<usize> {
        let size = chunk.len();
        let mut reason = String::new();
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                pause(attempt, Duration::from_millis(100)).await;
            }
            let records = chunk
                .iter()
                .map(|entry| {
                    PutRecordsRequestEntry::builder()
                        .partition_key(&entry.partition_key)
                        .data(Blob::new(entry.data.as_slice()))
                        .build()
                        .map_err(|error| {
                            Error::internal("a stream record is incomplete").with_source(error)
                        })
                })
                .collect::<Result<Vec<_>>>()?;
            let answer = self
                .client
                .put_records()
                .stream_name(&self.name)
                .set_records(Some(records))
                .send()
                .await
                .map_err(|error| {
                    failed(
                        "kinesis:PutRecords",
                        &format!("the stream {}", self.name),
                        error,
                    )
                    .context(format!(
                        "{} of {count} records are on the stream",
                        before + size - chunk.len()
                    ))
                })?;
            if answer.records().len() != chunk.len() {
                return Err(Error::new(
                    ErrorKind::Storage,
                    format!(
                        "Kinesis answered for {} records of {}",
                        answer.records().len(),
                        chunk.len()
                    ),
                ));
            }
            let mut verdicts = answer.records().iter();
            chunk.retain(|_| {
                let Some(verdict) = verdicts.next() else {
                    return true;
                };
                if let Some(code) = verdict.error_code() {
                    reason = format!("{code}: {}", verdict.error_message().unwrap_or_default());
                }
                verdict.error_code().is_some()
            });
            if chunk.is_empty() {
                return Ok(size);
            }
            tracing::debug!(stream = self.name, refused = chunk.len(), attempt, reason);
        }
        let accepted = before + size - chunk.len();
        Err(Error::new(
            ErrorKind::Storage,
            format!(
                "{} of {count} records were not accepted by the stream {} ({} of them in {ATTEMPTS} \
                 attempts, last with {reason}); give it more shards, or try again",
                count - accepted,
                self.name,
                chunk.len()
            ),
        )
        .retryable(true))
    }
}
