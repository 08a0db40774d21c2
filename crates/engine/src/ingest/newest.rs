//! Keeps the newest of the rows that are equal in some columns: the one whose object was put last. A null is
//! equal to a null.
//!
//! Within an object the first stays, which [`crate::ingest::duplicates`] sees to. Across objects the keys of the accepted
//! rows are compared with the files of the table around their days, a slice of a file at a time. Keys are
//! compared by a 128-bit hash.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};
use tarn_core::rule_id;

use hashbrown::HashMap;
use polars::prelude::{DataFrame, DataType, Expr, IdxSize, PolarsError, StringChunked, col};
use tarn_contract::Contract;
use tarn_core::schema::{PartitionValue, TableField, system};
use tarn_core::{Error, ErrorKind, Result};
use xxhash_rust::xxh3::xxh3_128_with_seed;

use crate::scan;
use tarn_core::calendar::MICROS_PER_DAY;
use tarn_rows::batch::{Batch, Violation};
use tarn_rows::column::ColumnData;
use tarn_rows::display;

/// How many rows of a file are read at a time.
const SLICE: usize = 128 * 1024;

/// A row and an equal one are at most this many days apart.
const DAYS: i32 = 1;

/// Between two parts of a key. No UTF-8 text holds this byte, so parts cannot run into each other.
const NEXT: u8 = 0xff;

/// A part without a value. No UTF-8 text holds this byte either.
const NULL: u8 = 0xfe;

/// Writes the values of a row in some columns down, so that equal ones are equal bytes.
pub(crate) fn key_of(
    contract: &Contract,
    columns: &[usize],
    data: &[ColumnData],
    row: usize,
    key: &mut Vec<u8>,
) {
    key.clear();
    for (place, &column) in columns.iter().enumerate() {
        if place > 0 {
            key.push(NEXT);
        }
        match &data[column] {
            ColumnData::Text(data) => match data.get(row) {
                Some(text) => key.extend_from_slice(text),
                None => key.push(NULL),
            },
            data if !data.validity().get(row) => key.push(NULL),
            data => {
                let ty = contract.columns[column].kept_type();
                key.extend_from_slice(display::value(data, row, &ty).as_bytes());
            }
        }
    }
}

/// The day of a row by a date or timestamp column, counted from 1970-01-01 (UTC).
pub(crate) fn day_of(data: &ColumnData, row: usize) -> Option<i32> {
    match data {
        ColumnData::Long(column) => Some(column.get(row)?.div_euclid(MICROS_PER_DAY) as i32),
        ColumnData::Int(column) => column.get(row),
        _ => None,
    }
}

/// Keys that objects put later have in the table: rows of the object under ingest with one of them are
/// rejected.
#[derive(Debug, Clone)]
pub struct Later {
    /// Nobody can choose keys that share a hash without knowing it.
    seed: u64,
    /// By the hash of a key an index into `objects`.
    keys: HashMap<u128, usize>,
    objects: Vec<String>,
}

impl Default for Later {
    fn default() -> Self {
        Later {
            seed: RandomState::new().build_hasher().finish(),
            keys: HashMap::new(),
            objects: Vec::new(),
        }
    }
}

impl Later {
    /// Takes note of a key that a later object has in the table; false where it was known.
    pub fn add(&mut self, key: Key, object: &str) -> bool {
        if self.keys.contains_key(&key.0) {
            return false;
        }
        let known = self.objects.iter().position(|known| known == object);
        let index = known.unwrap_or_else(|| {
            self.objects.push(object.to_owned());
            self.objects.len() - 1
        });
        self.keys.insert(key.0, index);
        true
    }

    /// Takes the rows out of a batch whose keys later objects have.
    pub(crate) fn reject(&self, contract: &Contract, batch: &mut Batch) {
        if self.keys.is_empty() {
            return;
        }
        let columns = &contract.newest_by;
        let names: Vec<&str> = columns
            .iter()
            .map(|&index| contract.columns[index].name.as_str())
            .collect();
        let names = names.join(", ");
        let mut key = Vec::new();
        let mut keep = Vec::with_capacity(batch.rows());
        let mut rejected = Vec::new();
        for row in 0..batch.rows() {
            key_of(contract, columns, &batch.columns, row, &mut key);
            let later = self.keys.get(&xxh3_128_with_seed(&key, self.seed));
            let Some(object) = later.and_then(|&index| self.objects.get(index)) else {
                keep.push(row as u32);
                continue;
            };
            let reason = format!(
                "{names} {} is in the table by {object}, which was put later",
                display_values(contract, columns, &batch.columns, row)
            );
            let violation = Violation::new(rule_id::DUPLICATE, Some(&names), reason);
            rejected.push(batch.reject_row(row, violation));
        }
        batch.keep_rows(&keep);
        batch.rejected.extend(rejected);
    }
}

/// The values of a row in some columns, for people.
pub(crate) fn display_values(
    contract: &Contract,
    columns: &[usize],
    data: &[ColumnData],
    row: usize,
) -> String {
    let values: Vec<String> = columns
        .iter()
        .map(|&index| {
            let column = &contract.columns[index];
            if column.is_personal() {
                "(not shown)".to_owned()
            } else if !data[index].validity().get(row) {
                "null".to_owned()
            } else {
                display::value(&data[index], row, &column.kept_type())
            }
        })
        .collect();
    values.join(", ")
}

/// Stands for the values by which a row is identified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key(u128);

/// Bytes of a key's hash and of the day after it.
const ENTRY: usize = 20;

/// The day of a row that has none.
const NO_DAY: i32 = i32::MIN;

/// The keys of the accepted rows of an object, each once and with its day.
#[derive(Debug, Default)]
pub struct Accepted {
    seed: u64,
    /// Hashes with their days, packed: there is one per row. Sorted once they are complete.
    entries: Vec<[u8; ENTRY]>,
}

impl Accepted {
    /// None yet, to be compared with those of the same run.
    pub(crate) fn new(later: &Later) -> Self {
        Accepted {
            seed: later.seed,
            entries: Vec::new(),
        }
    }

    /// Takes note of a batch's rows, whose keys all differ.
    pub(crate) fn note(&mut self, contract: &Contract, columns: &[ColumnData], rows: usize) {
        if contract.newest_by.is_empty() {
            return;
        }
        let by = contract.partitioning.as_ref();
        let time = by.and_then(|by| {
            contract
                .columns
                .iter()
                .position(|column| column.name == by.column)
        });
        let time = time.and_then(|index| columns.get(index));
        let mut key = Vec::new();
        for row in 0..rows {
            key_of(contract, &contract.newest_by, columns, row, &mut key);
            let day = time.and_then(|time| day_of(time, row)).unwrap_or(NO_DAY);
            let hash = xxh3_128_with_seed(&key, self.seed);
            let mut entry = [0; ENTRY];
            entry[..16].copy_from_slice(&hash.to_be_bytes());
            entry[16..].copy_from_slice(&day.to_be_bytes());
            self.entries.push(entry);
        }
    }

    /// Says that no more are coming.
    pub(crate) fn completed(mut self) -> Self {
        self.entries.sort_unstable();
        self
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether all of them are among others of the same run.
    pub fn are_within(&self, others: &Accepted) -> bool {
        self.entries
            .iter()
            .all(|entry| others.entries.binary_search(entry).is_ok())
    }

    /// The partitions in which rows with one of these keys may be.
    pub fn partitions(&self) -> BTreeSet<PartitionValue> {
        let days: BTreeSet<i32> = self.entries.iter().map(day).collect();
        let around = |day: i32| (-DAYS..=DAYS).map(move |by| Some(day.saturating_add(by)));
        let mut partitions: BTreeSet<PartitionValue> = days
            .iter()
            .filter(|day| **day != NO_DAY)
            .flat_map(|&day| around(day))
            .collect();
        if days.contains(&NO_DAY) {
            partitions.insert(None);
        }
        partitions
    }

    /// Whether a row with this key is near enough to a partition to be the same as one in it.
    fn near(&self, hash: u128, partition: PartitionValue) -> bool {
        let hash = hash.to_be_bytes();
        let found = self
            .entries
            .binary_search_by(|entry| entry[..16].cmp(&hash[..]));
        let entry = found.ok().and_then(|index| self.entries.get(index));
        match (entry.map(day), partition) {
            (Some(NO_DAY), None) => true,
            (Some(NO_DAY), _) | (_, None) | (None, _) => false,
            (Some(day), Some(other)) => day.abs_diff(other) <= DAYS.unsigned_abs(),
        }
    }
}

fn day(entry: &[u8; ENTRY]) -> i32 {
    let [.., a, b, c, d] = *entry;
    i32::from_be_bytes([a, b, c, d])
}

/// Where a row of the table came from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The URI of its object.
    pub uri: String,
    /// The version of it.
    pub version: String,
    /// The run that read it.
    pub run_id: String,
    /// When it did, in microseconds since 1970-01-01T00:00:00Z.
    pub ingested_at: i64,
}

/// A row of the table with the key of an accepted row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Match {
    /// The key.
    pub key: Key,
    /// The row's place in its file, from 0.
    pub position: usize,
    /// Index of its origin.
    pub origin: usize,
}

/// What is searched for in the files of a table.
#[derive(Clone, Copy)]
pub struct KeySearch<'a> {
    /// The table's columns.
    pub fields: &'a [TableField],
    /// The columns of the key.
    pub columns: &'a [&'a str],
    /// The keys.
    pub accepted: &'a Accepted,
    /// URIs of the object under ingest, whose own rows are passed over.
    pub own: &'a [String],
}

/// The rows of the table with the keys of accepted rows.
#[derive(Debug, Default)]
pub struct Matches {
    /// Where they came from, each once.
    pub origins: Vec<Origin>,
    known: HashMap<Origin, usize>,
}

impl Matches {
    /// Searches a file of the table, all of whose rows are of one partition. Where none of them matches, only
    /// the columns of the key are read.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn of_file(
        &mut self,
        search: &KeySearch<'_>,
        path: &Path,
        partition: PartitionValue,
    ) -> Result<Vec<Match>> {
        let failed = |error: PolarsError| unreadable(path, error);
        let rows = scan::rows_of_file(path)?;
        let mut matches = Vec::new();
        let mut key = Vec::new();
        let mut begin = 0;
        while begin < rows {
            let length = SLICE.min(rows - begin);
            let slice = |columns: Vec<Expr>| -> Result<DataFrame> {
                let all = scan::table(search.fields, &[PathBuf::from(path)])?.select(columns);
                all.slice(begin as i64, length as IdxSize)
                    .collect()
                    .map_err(failed)
            };
            let columns = search.columns.iter();
            let texts = columns
                .clone()
                .map(|name| col(*name).cast(DataType::String));
            let frame = slice(texts.collect())?;
            let parts: Vec<&StringChunked> = columns
                .map(|name| frame.column(name)?.str())
                .collect::<Result<_, PolarsError>>()
                .map_err(failed)?;
            let mut found = Vec::new();
            for row in 0..frame.height() {
                key.clear();
                for (place, part) in parts.iter().enumerate() {
                    if place > 0 {
                        key.push(NEXT);
                    }
                    match part.get(row) {
                        Some(text) => key.extend_from_slice(text.as_bytes()),
                        None => key.push(NULL),
                    }
                }
                let hash = xxh3_128_with_seed(&key, search.accepted.seed);
                if search.accepted.near(hash, partition) {
                    found.push((row, Key(hash)));
                }
            }
            if !found.is_empty() {
                let frame = slice(vec![
                    col(system::SOURCE_URI),
                    col(system::SOURCE_VERSION),
                    col(system::RUN_ID),
                    col(system::INGESTED_AT).cast(DataType::Int64),
                ])?;
                let found = found.into_iter().map(|(row, key)| (row, begin + row, key));
                self.note(&frame, found, search.own, &mut matches)
                    .map_err(failed)?;
            }
            begin += length;
        }
        Ok(matches)
    }

    /// Takes note of rows of a slice, each with its place in it and in the file.
    fn note(
        &mut self,
        frame: &DataFrame,
        found: impl Iterator<Item = (usize, usize, Key)>,
        own: &[String],
        matches: &mut Vec<Match>,
    ) -> Result<(), PolarsError> {
        let text = |name: &str| frame.column(name)?.str();
        let (uris, versions) = (text(system::SOURCE_URI)?, text(system::SOURCE_VERSION)?);
        let (runs, times) = (
            text(system::RUN_ID)?,
            frame.column(system::INGESTED_AT)?.i64()?,
        );
        for (row, position, key) in found {
            let uri = uris.get(row).unwrap_or_default();
            if own.iter().any(|own| own == uri) {
                continue;
            }
            let origin = Origin {
                uri: uri.to_owned(),
                version: versions.get(row).unwrap_or_default().to_owned(),
                run_id: runs.get(row).unwrap_or_default().to_owned(),
                ingested_at: times.get(row).unwrap_or_default(),
            };
            let origin = match self.known.get(&origin) {
                Some(&known) => known,
                None => {
                    self.origins.push(origin.clone());
                    self.known.insert(origin, self.origins.len() - 1);
                    self.origins.len() - 1
                }
            };
            matches.push(Match {
                key,
                position,
                origin,
            });
        }
        Ok(())
    }
}

fn unreadable(path: &Path, error: PolarsError) -> Error {
    Error::new(
        ErrorKind::Storage,
        format!("the data file {} cannot be read", path.display()),
    )
    .with_source(error)
}
