//! Sends dead letters again.

use serde::Deserialize;
use tarn_archive::{StreamRecord, archive_shard, stream_contract};
use tarn_aws::{Aws, Queue, Received};
use tarn_core::{Error, ErrorKind, Result};
use tarn_lake::Lake;

use crate::cli::{DeadLetters, Global, RedriveArgs};
use crate::cloud::Redriven;
use crate::cloud::environment::Environment;
use crate::session::open;

/// Sends the dead letters of a queue again, or only counts them.
///
/// # Errors
/// `BadRequest` if the environment does not name the queue; `Storage` if the queue does not answer.
pub async fn redrive(global: &Global, args: &RedriveArgs) -> Result<Redriven> {
    let environment = Environment::read(global.env.as_deref())?;
    let (dead, back) = match args.queue {
        DeadLetters::Ingest => {
            let urls = ["TARN_INGEST_DLQ_URL", "TARN_INGEST_QUEUE_URL"];
            (environment.need(urls)?, Back::ToQueue)
        }
        DeadLetters::Marts => {
            let urls = ["TARN_MARTS_DLQ_URL", "TARN_MARTS_QUEUE_URL"];
            (environment.need(urls)?, Back::ToQueue)
        }
        DeadLetters::Archive => {
            let names = ["TARN_ARCHIVE_DLQ_URL", "TARN_STREAM"];
            (environment.need(names)?, Back::FromStream)
        }
    };
    let [dead, target] = dead;
    let aws = Aws::connect(environment.settings(&[])?).await;
    let dead = aws.queue(&dead);
    let depth = dead.depth().await?;
    // A message that fails once more comes back while this goes on: each is moved once.
    let limit = args
        .limit
        .unwrap_or_else(|| usize::try_from(depth).unwrap_or(usize::MAX));
    let moved = match back {
        _ if args.dry_run => 0,
        Back::ToQueue => dead.redrive_to(&aws.queue(&target), limit).await?,
        Back::FromStream => {
            let dataset = environment.get("TARN_STREAM_DATASET");
            let lake = open(global).await?.lake;
            Archive {
                aws: &aws,
                lake: &lake,
                dataset: dataset.as_deref(),
                stream: &target,
            }
            .redrive(&dead, limit)
            .await?
        }
    };
    Ok(Redriven { depth, moved })
}

/// How dead letters get on their way again.
enum Back {
    /// As messages of the queue that they come from.
    ToQueue,
    /// They say which records of the stream could not be archived.
    FromStream,
}

/// What Lambda says about a batch of the stream that failed for good. The records are not in it.
#[derive(Deserialize)]
struct FailedBatch {
    #[serde(rename = "KinesisBatchInfo")]
    batch: BatchInfo,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BatchInfo {
    shard_id: String,
    start_sequence_number: String,
    end_sequence_number: String,
}

/// Archives records of the stream from here that the function could not archive.
struct Archive<'a> {
    aws: &'a Aws,
    lake: &'a Lake,
    dataset: Option<&'a str>,
    stream: &'a str,
}

impl Archive<'_> {
    /// Archives the batches of at most `limit` dead letters. A letter is deleted once its records are in the
    /// raw zone. Returns the number of letters.
    async fn redrive(&self, dead: &Queue, limit: usize) -> Result<usize> {
        let mut moved = 0;
        while moved < limit {
            let letters = dead.take(limit - moved).await?;
            if letters.is_empty() {
                break;
            }
            for letter in letters {
                self.letter(&letter).await.map_err(|error| {
                    error.context(format!("{moved} dead letters were archived"))
                })?;
                dead.delete(&letter).await?;
                moved += 1;
            }
        }
        Ok(moved)
    }

    async fn letter(&self, letter: &Received) -> Result<()> {
        let BatchInfo {
            shard_id: shard,
            start_sequence_number: first,
            end_sequence_number: last,
        } = failed_batch(&letter.body)?;
        let records = self
            .aws
            .stream(self.stream)
            .read(&shard, &first, &last)
            .await?;
        let records = records
            .into_iter()
            .map(|record| StreamRecord {
                sequence_number: record.sequence_number,
                arrived_at: record.arrived_at,
                partition_key: record.partition_key,
                data: record.data,
            })
            .collect();
        let contract = stream_contract(self.lake, self.dataset)?;
        archive_shard(self.lake, contract, self.stream, &shard, records).await?;
        Ok(())
    }
}

fn failed_batch(body: &str) -> Result<BatchInfo> {
    let letter: FailedBatch = serde_json::from_str(body).map_err(|error| {
        Error::new(
            ErrorKind::BadRequest,
            "a dead letter does not say which records of the stream it is about; read it, and delete it \
             by hand",
        )
        .with_source(error)
    })?;
    Ok(letter.batch)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_letter_of_lambda_names_the_records_that_were_not_archived() {
        let body = std::fs::read_to_string("../../events/kinesis/failed_batch.json").unwrap();
        let found = failed_batch(&body).unwrap();
        assert_eq!(found.shard_id, "shardId-000000000006");
        assert_eq!(found.start_sequence_number, found.end_sequence_number);
        assert!(failed_batch("{}").is_err());
    }
}
