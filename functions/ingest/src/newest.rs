//! Datasets in which the newest of equal rows stays: which rows of the table are replaced by those of the
//! object under ingest, and which rows of the object are rejected because an object that was put later has
//! them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use tarn_contract::Contract;
use tarn_core::run::Replaced;
use tarn_core::schema::system;
use tarn_core::{Error, ErrorKind, Result};
use tarn_engine::ingest::newest::{Accepted, KeySearch, Later, Match, Matches, Origin};
use tarn_engine::ingest::{Nothing, Staged};
use tarn_engine::parquet::ParquetFile;
use tarn_engine::remove::{self, RemovedRows};
use tarn_lake::{blocking, version_parts};
use tarn_rows::planned::RowsOf;
use tarn_table::{DataFileInfo, FileFilter, Table, VersionRef};

use crate::append::{self, Compared, Reading};
use crate::job::Target;
use crate::put_times::PutTimes;
use crate::run::Run;

/// Run records that are looked up at once.
const CONCURRENT_LOOKUPS: usize = 8;

/// A file of the table that loses rows.
#[derive(Debug)]
pub(crate) struct Rewritten {
    /// The file.
    pub file: Arc<DataFileInfo>,
    /// What is left of it, without rows of the object under ingest.
    pub rest: Vec<ParquetFile>,
}

/// Reads, checks and splits an object as [`append::stage`] does, and finds out what its rows replace.
pub(crate) async fn stage(
    run: &Run<'_>,
    target: &Arc<Target>,
    table: Option<&Table>,
    reading: &Reading,
) -> Result<(Staged, Vec<Rewritten>)> {
    let puts = PutTimes::new(run.lake, &target.contract);
    let put_at = puts.record(run, &reading.copy).await?;
    let mut later = Later::default();
    let mut first: Option<(Arc<Accepted>, Found)> = None;
    loop {
        let compared = Compared {
            earlier: Arc::new(Nothing),
            later: Arc::new(later.clone()),
        };
        let mut read = append::read(run, target, compared, reading).await?;
        if !read.staged.new_columns.is_empty() {
            return Ok((read.staged, Vec::new()));
        }
        let keys = Arc::new(std::mem::take(&mut read.staged.keys));
        let found = match first.take() {
            // Rows that were rejected since do not bring new keys.
            Some((all, found)) if keys.are_within(&all) => found,
            _ => {
                let found = Found::of(run, target, table, &keys).await?;
                let found = found.ranked(run, &puts, put_at).await?;
                if found.note_later(&mut later) {
                    first = Some((keys, found));
                    continue;
                }
                found
            }
        };
        let (rewritten, replaced) = found.take_out(run, target).await?;
        read.staged.outcome.replaced = replaced;
        let staged = append::judge(run.lake, target, reading, read, &rewritten);
        return Ok((staged.await?, rewritten));
    }
}

/// How an object compares with the one under ingest.
struct Rank {
    /// Its key in the raw zone.
    key: String,
    /// Its version.
    version: String,
    /// Whether it was put after the one under ingest.
    is_later: bool,
}

/// A file of the table with rows that have keys of the object under ingest.
struct FoundFile {
    info: Arc<DataFileInfo>,
    matches: Vec<Match>,
}

/// The rows of the table with keys of the object under ingest.
struct Found {
    files: Vec<FoundFile>,
    /// Where the rows came from.
    origins: Vec<Origin>,
    /// By their places among the origins.
    ranks: Vec<Rank>,
}

impl Found {
    /// Looks for rows with these keys.
    async fn of(
        run: &Run<'_>,
        target: &Arc<Target>,
        table: Option<&Table>,
        keys: &Arc<Accepted>,
    ) -> Result<Found> {
        let mut files = match table {
            Some(table) if !keys.is_empty() => {
                let filter = FileFilter::Partitions(keys.partitions());
                table.files(&VersionRef::Current, Some(&filter)).await?
            }
            _ => Vec::new(),
        };
        files.retain(|file| !file.is_only_of(&run.uris));
        let mut compared = target.fields.clone();
        compared.retain(|field| is_compared(&target.contract, &field.field.name));
        let files = run.lake.fetch_columns(files, &compared).await?;
        let target = Arc::clone(target);
        let (keys, own) = (Arc::clone(keys), run.uris.clone());
        let (files, matches) = blocking(move || {
            let contract = &target.contract;
            let columns: Vec<&str> = contract
                .newest_by
                .iter()
                .filter_map(|&index| contract.columns.get(index))
                .map(|column| column.name.as_str())
                .collect();
            let search = KeySearch {
                fields: &compared,
                columns: &columns,
                accepted: &keys,
                own: &own,
            };
            let mut matches = Matches::default();
            let mut found = Vec::new();
            for (info, path) in files.iter() {
                let rows = matches.of_file(&search, path, info.partition)?;
                if !rows.is_empty() {
                    found.push(FoundFile {
                        info: info.clone(),
                        matches: rows,
                    });
                }
            }
            Ok((found, matches))
        })
        .await?;
        Ok(Found {
            files,
            origins: matches.origins,
            ranks: Vec::new(),
        })
    }

    /// Adds how the objects compare with the one under ingest, which counts as put at `put_at`.
    async fn ranked(
        self,
        run: &Run<'_>,
        puts: &PutTimes<'_>,
        put_at: DateTime<Utc>,
    ) -> Result<Found> {
        let ranks = ranks(run, puts, put_at, &self.origins).await?;
        Ok(Found { ranks, ..self })
    }

    /// Notes the keys that later objects have; false where all were known.
    fn note_later(&self, later: &mut Later) -> bool {
        let mut is_new = false;
        for row in self.files.iter().flat_map(|file| &file.matches) {
            if let Some(rank) = self.ranks.get(row.origin).filter(|rank| rank.is_later) {
                is_new |= later.add(row.key, &rank.key);
            }
        }
        is_new
    }

    /// Writes what is left of the files whose rows are replaced.
    async fn take_out(
        self,
        run: &Run<'_>,
        target: &Arc<Target>,
    ) -> Result<(Vec<Rewritten>, Vec<Replaced>)> {
        let mut rewritten = Vec::new();
        let mut replaced: BTreeMap<(String, String), u64> = BTreeMap::new();
        for (number, file) in self.files.iter().enumerate() {
            let mut positions = BTreeSet::new();
            for row in &file.matches {
                let Some(rank) = self.ranks.get(row.origin).filter(|rank| !rank.is_later) else {
                    continue;
                };
                positions.insert(row.position);
                let of = (rank.key.clone(), rank.version.clone());
                *replaced.entry(of).or_default() += 1;
            }
            if positions.is_empty() {
                continue;
            }
            let info = file.info.clone();
            if positions.len() as u64 == file.info.rows {
                let rest = Vec::new();
                rewritten.push(Rewritten { file: info, rest });
                continue;
            }
            let staging = run.staging.subfolder(&format!("newest-{number}"))?;
            let (copy, target) = (run.lake.fetch_file(&info).await?, Arc::clone(target));
            let own = [RowsOf::object(&run.uris)];
            let rest = blocking(move || {
                let by = target.contract.partitioning.as_ref();
                let rows = RemovedRows {
                    kinds: &own,
                    positions: &positions,
                };
                remove::without(&target.fields, copy.path(), rows, by, &staging)
            });
            let rest = rest.await?.map(|rest| rest.files).unwrap_or_default();
            rewritten.push(Rewritten { file: info, rest });
        }
        let replaced = replaced
            .into_iter()
            .map(|((key, version), rows)| Replaced { key, version, rows })
            .collect();
        Ok((rewritten, replaced))
    }
}

/// Whether a column tells which row is the same, or where a row came from.
fn is_compared(contract: &Contract, name: &str) -> bool {
    let origin = [
        system::SOURCE_URI,
        system::SOURCE_VERSION,
        system::RUN_ID,
        system::INGESTED_AT,
    ];
    let mut key = contract.newest_by.iter();
    origin.contains(&name)
        || key.any(|&index| {
            let column = contract.columns.get(index);
            column.is_some_and(|column| column.name == name)
        })
}

/// How the objects of some rows compare with the one under ingest. Sequencers order only the puts of one key,
/// so the times of the puts are compared, and the keys if the times are equal.
async fn ranks(
    run: &Run<'_>,
    puts: &PutTimes<'_>,
    put_at: DateTime<Utc>,
    origins: &[Origin],
) -> Result<Vec<Rank>> {
    let this = (put_at, run.info.key.as_str());
    let ranks = origins.iter().map(|origin| async move {
        let key = run.lake.objects.key_of(&origin.uri);
        let (version, _) = version_parts(&origin.version);
        let at = put_of(run, puts, origin, key.as_deref()).await?;
        let key = key.unwrap_or_else(|| origin.uri.clone());
        Ok::<Rank, Error>(Rank {
            is_later: (at, key.as_str()) > this,
            version: version.to_owned(),
            key,
        })
    });
    // Collected first: a stream over a lazy iterator of borrowed items is not `Send`.
    let ranks: Vec<_> = ranks.collect();
    stream::iter(ranks)
        .buffered(CONCURRENT_LOOKUPS)
        .try_collect()
        .await
}

/// When the object of a row counts as put: as was recorded for it; else as the record of its run says; else as
/// storage says about that version; else when the row was written.
async fn put_of(
    run: &Run<'_>,
    puts: &PutTimes<'_>,
    origin: &Origin,
    key: Option<&str>,
) -> Result<DateTime<Utc>> {
    if let Some(key) = key
        && let Some(at) = puts.of(key, &origin.version).await?
    {
        return Ok(at);
    }
    let record = run.lake.ledger.run(&origin.run_id).await?;
    if let Some(at) = record.and_then(|record| record.put_at) {
        return Ok(at);
    }
    let (version, _) = version_parts(&origin.version);
    if let Some(key) = key {
        match run.lake.objects.head_version(key, version).await {
            Ok(info) => return Ok(info.last_modified),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(DateTime::from_timestamp_micros(origin.ingested_at).unwrap_or_default())
}
