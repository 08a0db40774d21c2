//! The archive step: records of a stream into the raw zone, unread.
//!
//! Whatever a record holds, it is kept: no record can hold up the stream, and each can be read again
//! from what its producer sent.
#![cfg_attr(not(test), warn(unused_crate_dependencies))]

mod aggregate;
mod batch;

use std::io::BufRead;

use bytes::Bytes;
use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use tarn_contract::{Contract, Format};
use tarn_core::layout;
use tarn_core::ports::{ObjectInfo, PutMode};
use tarn_core::{Error, ErrorKind, Result};
use tarn_lake::Lake;
use tarn_rows::source::archive::{Record, encode};

pub use aggregate::split;
pub use batch::{Archived, BatchResponse, archive_batch, archive_shard};

/// A record of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamRecord {
    /// Its place in the shard; later records have greater ones.
    pub sequence_number: String,
    /// When the stream received it.
    pub arrived_at: DateTime<Utc>,
    /// The producer's partition key.
    pub partition_key: String,
    /// The producer's bytes.
    pub data: Vec<u8>,
}

/// Puts a batch of records into the raw zone of a dataset as one object. The same records make the
/// same object, so that a repeated delivery changes nothing.
///
/// # Errors
/// `Storage` where the object cannot be put, `BadRequest` for an empty batch.
pub async fn archive(
    lake: &Lake,
    contract: &Contract,
    stream: &str,
    shard: &str,
    records: &[StreamRecord],
) -> Result<ObjectInfo> {
    let (key, body) = object(contract, stream, shard, records)?;
    lake.objects.put(&key, body, PutMode::Overwrite).await
}

/// [`archive`] for a stream that never gives two records the same sequence number: an object that is
/// there already is the same, and is not put again.
async fn archive_once(
    lake: &Lake,
    contract: &Contract,
    stream: &str,
    shard: &str,
    records: &[StreamRecord],
) -> Result<String> {
    let (key, body) = object(contract, stream, shard, records)?;
    match lake.objects.put(&key, body, PutMode::IfAbsent).await {
        Ok(_) => Ok(key),
        // A conflict may also be a race that nobody has won yet.
        Err(error) if error.kind() == ErrorKind::Conflict => {
            lake.objects.head(&key).await.map(|_| key)
        }
        Err(error) => Err(error),
    }
}

/// The key and the content of the object that holds these records.
fn object(
    contract: &Contract,
    stream: &str,
    shard: &str,
    records: &[StreamRecord],
) -> Result<(String, Bytes)> {
    let (Some(first), Some(last)) = (records.first(), records.last()) else {
        return Err(Error::new(ErrorKind::BadRequest, "a batch without records"));
    };
    let wrapped: Vec<Record<'_>> = records
        .iter()
        .map(|record| Record {
            sequence_number: &record.sequence_number,
            arrival_time: record.arrived_at.timestamp_micros(),
            partition_key: &record.partition_key,
            data: &record.data,
        })
        .collect();
    let body = encode(stream, shard, &wrapped)?;
    let (source, dataset) = contract.key_pattern.folder().ok_or_else(|| {
        Error::internal(format!(
            "the key pattern of {} names no folder",
            contract.dataset
        ))
    })?;
    let name = format!(
        "{stream}-{shard}-{}-{}.ndjson.gz",
        first.sequence_number, last.sequence_number
    );
    let key = layout::raw_key(source, dataset, last.arrived_at, &name);
    Ok((key, Bytes::from(body)))
}

/// The contract that takes stream records: the one of format `jsonLines`, or the named one.
///
/// # Errors
/// `BadRequest` where it is not clear which one is meant.
pub fn stream_contract<'a>(lake: &'a Lake, dataset: Option<&str>) -> Result<&'a Contract> {
    let candidates: Vec<&Contract> = lake
        .contracts
        .iter()
        .filter(|contract| contract.format == Format::JsonLines)
        .filter(|contract| dataset.is_none_or(|name| contract.dataset == name))
        .collect();
    match candidates.as_slice() {
        [contract] => Ok(contract),
        [] => Err(Error::new(
            ErrorKind::BadRequest,
            match dataset {
                Some(name) => format!("no contract of format jsonLines is called {name}"),
                None => {
                    "no contract has the format jsonLines, so nothing takes a stream".to_owned()
                }
            },
        )),
        several => Err(Error::new(
            ErrorKind::BadRequest,
            format!(
                "say which dataset the records are for with --dataset: {}",
                several
                    .iter()
                    .map(|contract| contract.dataset.as_str())
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
        )),
    }
}

/// When records read from a file are said to have arrived.
#[derive(Debug, Clone)]
pub enum Arrival {
    /// Now.
    Now,
    /// On a day, evenly spread over it: for replaying an old file, `lines` long, under a name of its own.
    On {
        /// The UTC day.
        day: NaiveDate,
        /// Lines of the file.
        lines: u64,
        /// Names the records, so that the same replay makes the same objects.
        name: String,
    },
}

impl Arrival {
    fn of(&self, line: u64) -> DateTime<Utc> {
        match self {
            Arrival::Now => Utc::now(),
            Arrival::On { day, lines, .. } => {
                let begin = day.and_time(NaiveTime::MIN).and_utc();
                let end = day
                    .checked_add_days(Days::new(1))
                    .map_or(begin, |next| next.and_time(NaiveTime::MIN).and_utc());
                let span = (end - begin).num_microseconds().unwrap_or_default();
                let share = i128::from(span) * i128::from(line) / i128::from((*lines).max(1));
                begin + chrono::Duration::microseconds(i64::try_from(share).unwrap_or_default())
            }
        }
    }
}

/// A batch holds at most this many records and bytes. It becomes one object and one commit.
const BATCH_RECORDS: usize = 10_000;
const BATCH_BYTES: usize = 6 << 20;

/// A record of a stream holds at most this many bytes (Kinesis: 1 MiB). A longer line is cut into several
/// records, none of which is JSON, so that all of it shows up in quarantine.
const RECORD_BYTES: usize = 1 << 20;

/// Sends each line of `input` as a record and archives them batch by batch. Blank lines are
/// skipped. `each` is called with every object that was put and the records so far.
///
/// # Errors
/// `Storage` where the input cannot be read or an object cannot be put.
pub async fn stream_lines(
    lake: &Lake,
    contract: &Contract,
    input: &mut (dyn BufRead + Send),
    arrival: &Arrival,
    each: &mut (dyn FnMut(&ObjectInfo, u64) + Send),
) -> Result<u64> {
    const STREAM: &str = "events";
    let shard = match arrival {
        Arrival::Now => "local".to_owned(),
        Arrival::On { name, .. } => name.clone(),
    };
    let started = Utc::now().timestamp_micros();
    let (mut batch, mut bytes, mut line, mut records) = (Vec::new(), 0, 0u64, 0u64);
    loop {
        let mut data = Vec::new();
        let ended = read_record(input, &mut data, RECORD_BYTES)?;
        if !data.iter().all(u8::is_ascii_whitespace) {
            let sequence_number = match arrival {
                Arrival::Now => format!("{started:020}{records:012}"),
                Arrival::On { .. } => format!("{records:012}"),
            };
            bytes += data.len();
            batch.push(StreamRecord {
                partition_key: format!("line-{line}"),
                sequence_number,
                arrived_at: arrival.of(line),
                data,
            });
            records += 1;
        }
        line += 1;
        if !batch.is_empty() && (ended || batch.len() >= BATCH_RECORDS || bytes >= BATCH_BYTES) {
            let info = archive(lake, contract, STREAM, &shard, &batch).await?;
            each(&info, records);
            batch.clear();
            bytes = 0;
        }
        if ended {
            return Ok(records);
        }
    }
}

/// Appends up to the next newline to an empty `line`, or `most` bytes of a longer line; whether the input has ended.
///
/// # Errors
/// `Storage` where the input cannot be read.
pub fn read_record(input: &mut dyn BufRead, line: &mut Vec<u8>, most: usize) -> Result<bool> {
    loop {
        let available = match input.fill_buf() {
            Ok(available) => available,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => {
                return Err(
                    Error::new(ErrorKind::Storage, "the events cannot be read").with_source(error)
                );
            }
        };
        if available.is_empty() {
            return Ok(true);
        }
        let room = most.saturating_sub(line.len());
        let window = &available[..available.len().min(room)];
        match window.iter().position(|&byte| byte == b'\n') {
            Some(end) => {
                line.extend_from_slice(&window[..end]);
                input.consume(end + 1);
                return Ok(false);
            }
            None => {
                let taken = window.len();
                line.extend_from_slice(window);
                input.consume(taken);
                if line.len() >= most {
                    return Ok(false);
                }
            }
        }
    }
}
