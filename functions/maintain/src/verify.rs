//! Reads everything in a lake to its end and compares it with what was written.

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt};
use serde::Serialize;
use tarn_core::digest::Digest;
use tarn_core::layout::RAW;
use tarn_core::run::{ObjectRecord, ObjectState};
use tarn_core::schema::TableName;
use tarn_core::{ErrorKind, Result};
use tarn_lake::{Lake, Remedy};
use tarn_table::{Part, Verified};

/// Raw objects that are read at once.
const CONCURRENT_READS: usize = 4;

/// A file that is not what was written, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Its key.
    pub key: String,
    /// `metadata`, `manifest_list`, `manifest`, `data`, `raw`, `former_version` or `state`.
    pub part: &'static str,
    /// What is wrong with it.
    pub what: String,
    /// Whether the present content of the lake needs it, not only a former version.
    pub current: bool,
    /// The raw object that all rows of a data file came from, where there is one only.
    pub source: Option<String>,
    /// What to do.
    pub remedy: String,
}

/// The result of reading a part of the lake.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The table, `raw`, `former versions` or `state`.
    pub subject: String,
    /// Files that were read, and those that are gone.
    pub files: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// Files without a known digest and without a fault.
    pub unknown: u64,
    /// How many of these have a known digest from now on.
    pub remembered: u64,
    /// Raw objects that the ledger knows and that were erased.
    pub erased: u64,
    /// Files that are not what was written.
    pub faults: Vec<Fault>,
}

/// Reads every file of a table.
///
/// # Errors
/// `NotFound` where there is no such table, and where the catalog does not answer.
pub async fn verify_table(
    lake: &Lake,
    name: &TableName,
    each: &mut (dyn FnMut(u64, u64) + Send),
) -> Result<Outcome> {
    let step = &mut |so_far: &Verified| each(so_far.files, so_far.bytes);
    let done = lake.tables.verify(name, step).await?;
    let faults = done.faults.into_iter().map(|fault| {
        let remedy = match fault.part {
            Part::Data => lake.remedy(name, fault.source.as_deref()),
            Part::Metadata | Part::ManifestList | Part::Manifest => Remedy::Restore,
        };
        let former = if fault.current {
            ""
        } else {
            "only former versions of the table need it; "
        };
        Fault {
            key: fault.key,
            part: fault.part.as_str(),
            what: fault.what,
            current: fault.current,
            source: fault.source,
            remedy: format!("{former}{}", remedy.text()),
        }
    });
    Ok(Outcome {
        subject: name.to_string(),
        files: done.files,
        bytes: done.bytes,
        unknown: done.unknown,
        remembered: done.remembered,
        erased: 0,
        faults: faults.collect(),
    })
}

/// Reads every raw object, and compares it with what was put and what was ingested.
///
/// # Errors
/// Where the objects cannot be listed, or the ledger does not answer. An object that cannot be read is a
/// fault of the result.
pub async fn verify_raw(lake: &Lake, each: &mut (dyn FnMut(u64, u64) + Send)) -> Result<Outcome> {
    let mut records: BTreeMap<String, ObjectRecord> = BTreeMap::new();
    for record in lake.ledger.objects(RAW).await? {
        records.insert(record.key.clone(), record);
    }
    let mut done = Outcome {
        subject: "raw".to_owned(),
        ..Outcome::default()
    };
    let reads: Vec<_> = lake
        .objects
        .keys(RAW)
        .await?
        .into_iter()
        .map(|key| async move { (lake.objects.examine(&key).await, key) })
        .collect();
    let mut reads = stream::iter(reads).buffered(CONCURRENT_READS);
    while let Some((examined, key)) = reads.next().await {
        let record = records.remove(&key);
        let what = match examined {
            // Erased since they were listed.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => Some(error.to_string()),
            Ok(examined) => {
                done.bytes += examined.size;
                let ingested = record
                    .filter(|record| record.state == ObjectState::Committed)
                    .and_then(|record| Digest::parse(&record.version));
                if ingested.is_none() && examined.written.is_none() {
                    done.unknown += 1;
                }
                differs(&key, examined.found, ingested, examined.written)
            }
        };
        done.files += 1;
        if let Some(what) = what {
            done.faults.push(Fault {
                key,
                part: "raw",
                what,
                current: true,
                source: None,
                remedy: "restore it from a copy before anything reads it again; its rows are in the tables as \
                         they were ingested. If it was changed on purpose, ingest it: it is a new version"
                    .to_owned(),
            });
        }
        each(done.files, done.bytes);
    }
    done.erased = records.len() as u64;
    Ok(done)
}

/// How a raw object differs from what was put, or from what was ingested.
fn differs(
    key: &str,
    found: Digest,
    ingested: Option<Digest>,
    put: Option<Digest>,
) -> Option<String> {
    if let Some(ingested) = ingested.filter(|ingested| *ingested != found) {
        return Some(format!(
            "{key} is not what was ingested: that had the digest {ingested}, and it has {found} now"
        ));
    }
    let put = put.filter(|put| *put != found)?;
    Some(format!(
        "{key} is not what was put: that had the digest {put}, and it has {found} now"
    ))
}
