//! Computes the marts whose inputs have changed and commits those whose content has.
#![cfg_attr(not(test), warn(unused_crate_dependencies))]

mod event;

use std::collections::BTreeMap;

use tarn_contract::Contracts;
use tarn_core::schema::{TableField, TableName, Zone};
use tarn_core::{Error, ErrorKind, Result};
use tarn_engine::marts::{self, Built, Inputs, Mart};
use tarn_lake::{Lake, Staging, blocking, new_run_id, staged_files};
use tarn_table::{Base, Change, Committed, VersionRef};

pub use event::{Handled, on_messages, on_schedule};

/// The outcome for a mart.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum MartStatus {
    /// A new version was written.
    Built {
        /// The version's snapshot.
        snapshot_id: i64,
    },
    /// The inputs changed but the rows did not, or the inputs did not.
    Unchanged,
    /// A curated table that it reads does not exist yet.
    Waiting {
        /// Those tables.
        missing: Vec<String>,
    },
}

/// One mart after a run.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct MartOutcome {
    /// Its table.
    pub mart: String,
    /// Its rows.
    pub rows: u64,
    /// Its outcome.
    #[serde(flatten)]
    pub status: MartStatus,
}

const ATTEMPTS: u32 = 5;

/// Brings every mart up to date; `each` is called with each mart's name before its turn.
///
/// # Errors
/// `BadContract` where a curated table lacks a column that a mart reads.
pub async fn build_all(
    lake: &Lake,
    each: &mut (dyn FnMut(&str) + Send),
) -> Result<Vec<MartOutcome>> {
    build_each(lake, false, each).await
}

/// Computes and writes every mart again, even if its inputs and rows have not changed. This replaces damaged
/// files.
///
/// # Errors
/// As of [`build_all`].
pub async fn rebuild_all(
    lake: &Lake,
    each: &mut (dyn FnMut(&str) + Send),
) -> Result<Vec<MartOutcome>> {
    build_each(lake, true, each).await
}

async fn build_each(
    lake: &Lake,
    again: bool,
    each: &mut (dyn FnMut(&str) + Send),
) -> Result<Vec<MartOutcome>> {
    let mut outcomes = Vec::new();
    for mart in applicable(&lake.contracts) {
        each(mart.name);
        outcomes.push(build(lake, mart, again).await?);
    }
    Ok(outcomes)
}

fn applicable(contracts: &Contracts) -> impl Iterator<Item = &'static Mart> {
    marts::ALL
        .into_iter()
        .filter(|mart| has_datasets(mart, contracts))
}

/// Marts are of the shop's datasets; with contracts of another shop those that do not apply are
/// left out.
fn has_datasets(mart: &Mart, contracts: &Contracts) -> bool {
    mart.inputs
        .iter()
        .all(|input| contracts.get(input.table).is_some())
}

/// The property of a snapshot that identifies the content of its rows.
const CONTENT: &str = "tarn.content";

/// The curated tables that a mart reads.
#[derive(Default)]
struct Sources {
    /// Each with its current snapshot, and the columns that are read.
    tables: Vec<(TableName, Option<i64>, &'static [&'static str])>,
    /// Those that do not exist.
    missing: Vec<String>,
}

impl Sources {
    async fn of(lake: &Lake, mart: &Mart) -> Result<Self> {
        let mut sources = Sources::default();
        for input in mart.inputs {
            let name = TableName::new(Zone::Curated, input.table);
            match lake.tables.load(&name).await? {
                Some(table) => {
                    let snapshot = table.current_snapshot_id();
                    sources.tables.push((name, snapshot, input.columns));
                }
                None => sources.missing.push(name.to_string()),
            }
        }
        Ok(sources)
    }

    /// Their snapshots as JSON, which the ledger remembers.
    fn snapshots(&self) -> Result<String> {
        let snapshots: BTreeMap<String, Option<i64>> = self
            .tables
            .iter()
            .map(|(name, snapshot, _)| (name.to_string(), *snapshot))
            .collect();
        serde_json::to_string(&snapshots).map_err(|error| {
            Error::internal("the snapshots of a mart's inputs cannot be written as JSON")
                .with_source(error)
        })
    }
}

async fn build(lake: &Lake, mart: &'static Mart, again: bool) -> Result<MartOutcome> {
    let outcome = |rows, status| MartOutcome {
        mart: mart.name.to_owned(),
        rows,
        status,
    };
    for _ in 0..ATTEMPTS {
        let sources = Sources::of(lake, mart).await?;
        if !sources.missing.is_empty() {
            let missing = sources.missing;
            return Ok(outcome(0, MartStatus::Waiting { missing }));
        }
        let spec = mart.table_spec();
        let table = lake.tables.ensure(&spec).await?;
        let versions = table.versions();
        let last = versions.last();
        let read = sources.snapshots()?;
        let state = format!("mart/{}/inputs", mart.name);
        let rows = last.map_or(0, |version| version.rows);
        let last = last.filter(|_| !again);
        if last.is_some() && lake.ledger.state(&state).await?.as_deref() == Some(read.as_str()) {
            return Ok(outcome(rows, MartStatus::Unchanged));
        }
        let run_id = new_run_id();
        let staging = lake.staging(&run_id)?;
        let built = compute(lake, mart, &sources, table.fields(), &staging).await?;
        if last.is_some_and(|version| version.summary.get(CONTENT) == Some(&built.content)) {
            lake.ledger.put_state(&state, &read).await?;
            return Ok(outcome(rows, MartStatus::Unchanged));
        }
        let live = table.files(&VersionRef::Current, None).await?;
        let change = Change {
            add: staged_files(lake, &spec.name, &run_id, &built.files).await?,
            remove: live.iter().map(|file| file.uri.clone()).collect(),
            base: Base::Exactly(table.current_snapshot_id()),
            sources: Vec::new(),
            kind: "mart".to_owned(),
            unless_committed: false,
            snapshot: None,
            summary: BTreeMap::from([
                ("tarn.run-id".to_owned(), run_id.clone()),
                ("tarn.inputs".to_owned(), read.clone()),
                (CONTENT.to_owned(), built.content.clone()),
            ]),
        };
        let status = match lake.tables.commit(&spec.name, change).await {
            Ok(
                Committed::Done { snapshot_id, .. } | Committed::AlreadyThere { snapshot_id, .. },
            ) => MartStatus::Built { snapshot_id },
            Ok(Committed::NothingToDo) => MartStatus::Unchanged,
            Err(error) if error.kind() == ErrorKind::Conflict => continue,
            Err(error) => return Err(error),
        };
        lake.ledger.put_state(&state, &read).await?;
        return Ok(outcome(built.rows, status));
    }
    Err(Error::new(
        ErrorKind::Conflict,
        format!(
            "{} is built by other processes all the time; try again",
            mart.name
        ),
    ))
}

/// Computes a mart from these versions of its sources, to files in a folder of the run.
async fn compute(
    lake: &Lake,
    mart: &'static Mart,
    sources: &Sources,
    fields: Vec<TableField>,
    staging: &Staging,
) -> Result<Built> {
    let mut opened = Vec::new();
    for (name, snapshot, columns) in &sources.tables {
        let version = snapshot.map_or(VersionRef::Current, VersionRef::Snapshot);
        opened.push(lake.open(name, &version, columns).await?);
    }
    let relations: Vec<_> = opened
        .iter()
        .map(|opened| opened.relation.clone())
        .collect();
    let folder = staging.subfolder(mart.name)?;
    // `opened` lives on: it keeps the files readable.
    blocking(move || marts::build(mart, &Inputs::new(&relations)?, &fields, &folder)).await
}
