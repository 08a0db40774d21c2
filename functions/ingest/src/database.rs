//! Databases: each table with a contract is upserted from a full snapshot.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tarn_core::contract::{Contract, DeletedRows};
use tarn_core::privacy::PseudonymKey;
use tarn_core::run::{DatasetOutcome, Drift, Reconciliation};
use tarn_core::schema::TableField;
use tarn_core::{Error, ErrorKind, Result};
use tarn_engine::check::Survey;
use tarn_engine::ingest::{Job, Staged};
use tarn_engine::snapshot::{self, CurrentFile, Merge};
use tarn_engine::source::sqlite::Database;
use tarn_engine::stamp::Stamp;
use tarn_lake::{blocking, source_version, staged_files};
use tarn_table::{Base, Change, Committed, SourceRef, Table, VersionRef};

use crate::evolve::{evolved, prepend};
use crate::quarantine::Quarantine;
use crate::rules::{Tables, ordered};
use crate::{ATTEMPTS, Run, back_off};

/// A table that is to be read.
struct ToRead {
    contract: Arc<Contract>,
    fields: Vec<TableField>,
    quarantine: Quarantine,
}

struct StagedTable {
    contract: Arc<Contract>,
    quarantine: Quarantine,
    staged: Staged,
    /// `count(*)` at the source.
    source_rows: u64,
}

pub(crate) async fn ingest(
    run: &Run<'_>,
    contracts: Vec<Contract>,
    unclaimed_tables: &mut BTreeMap<String, u64>,
) -> Result<Vec<DatasetOutcome>> {
    // Every table is read to its end before anything is committed: a damaged database changes nothing.
    let mut contracts: Vec<Arc<Contract>> = ordered(contracts).into_iter().map(Arc::new).collect();
    let mut drift: BTreeMap<String, Vec<Drift>> = BTreeMap::new();
    let (mut staged, unclaimed) = loop {
        let mut tables = Vec::new();
        for contract in contracts {
            let table = run.lake.tables.ensure(&contract.table_spec()).await?;
            tables.push(ToRead {
                quarantine: Quarantine::open(run, &contract).await?,
                contract,
                fields: table.fields(),
            });
        }
        let (staged, unclaimed) = stage(run, tables).await?;
        if staged
            .iter()
            .all(|table| table.staged.new_columns.is_empty())
        {
            break (staged, unclaimed);
        }
        contracts = Vec::new();
        for StagedTable {
            contract, staged, ..
        } in staged
        {
            if staged.new_columns.is_empty() {
                contracts.push(contract);
                continue;
            }
            drift.insert(contract.dataset.clone(), staged.outcome.drift);
            contracts.push(evolved(run, &contract, staged.new_columns).await?);
        }
    };
    *unclaimed_tables = unclaimed;
    for table in &mut staged {
        let before = drift.remove(&table.contract.dataset).unwrap_or_default();
        prepend(&before, &mut table.staged.outcome.drift);
    }
    for table in &staged {
        table.quarantine.commit(run, &table.staged.rejected).await?;
    }
    let mut outcomes = Vec::new();
    for table in staged {
        outcomes.push(upsert(run, table).await?);
    }
    Ok(outcomes)
}

async fn stage(
    run: &Run<'_>,
    tables: Vec<ToRead>,
) -> Result<(Vec<StagedTable>, BTreeMap<String, u64>)> {
    let copy = run.lake.objects.fetch_version(&run.info).await?;
    let contracts: Vec<Arc<Contract>> = tables.iter().map(|table| table.contract.clone()).collect();
    let mut rules = Tables::open(run, &contracts).await?;
    let mut jobs: Vec<(ToRead, Stamp, Option<PseudonymKey>, PathBuf)> = Vec::new();
    for table in tables {
        let contract = &table.contract;
        let staging = run.staging.subfolder(&contract.dataset)?;
        let (stamp, key) = (run.stamp(&contract.version), run.key(contract).await?);
        jobs.push((table, stamp, key, staging));
    }
    let bytes = run.info.size;
    let (uri, put_at) = (run.uri.clone(), run.info.last_modified.timestamp_micros());
    blocking(move || {
        let database = Database::open(copy.path())?;
        let unclaimed = {
            let contracts: Vec<&Contract> = jobs.iter().map(|(table, ..)| &*table.contract).collect();
            database.unclaimed_tables(&contracts)?
        };
        let mut staged: Vec<StagedTable> = Vec::new();
        for (table, stamp, key, staging) in jobs {
            let ToRead { contract, fields, quarantine } = table;
            let survey = match contract.has_outlier_rule() {
                true => Some(Survey::of(&mut database.table(&contract)?.1, &contract)?),
                false => None,
            };
            let (source_rows, mut reader) = database.table(&contract)?;
            let job = Job {
                contract: &contract,
                fields,
                quarantine: quarantine.layout(),
                stamp,
                key,
                staging,
                existing: Vec::new(),
                bytes,
                put_at,
                references: rules.references(&contract)?,
                survey,
            };
            let table = tarn_engine::ingest::run(&mut reader, &job)?;
            drop(reader);
            rules.stage(&contract, &job.fields, &table.accepted, &uri);
            if table.outcome.received != source_rows {
                return Err(Error::new(
                    ErrorKind::BadSource,
                    format!(
                        "the table of {} has {source_rows} rows by its own count, but {} were read: \
                         the database is damaged; check it with PRAGMA integrity_check",
                        contract.dataset, table.outcome.received
                    ),
                ));
            }
            staged.push(StagedTable { contract, quarantine, staged: table, source_rows });
        }
        // Rules over tables look at all of them as they will be.
        for table in &mut staged {
            rules.judge(&table.contract, &mut table.staged.outcome)?;
        }
        Ok((staged, unclaimed))
    })
    .await
}

async fn upsert(run: &Run<'_>, table: StagedTable) -> Result<DatasetOutcome> {
    let name = table.contract.table();
    for attempt in 0..ATTEMPTS {
        let current = run.lake.table(&name).await?;
        let merge = merge(run, &table, &current).await?;
        let outcome = |snapshot_id, reconciliation| DatasetOutcome {
            inserted: merge.inserted,
            updated: merge.updated,
            unchanged: merge.unchanged,
            deleted: merge.deleted,
            snapshot_id,
            reconciliation: Some(reconciliation),
            ..table.staged.outcome.clone()
        };
        if merge.add.is_empty() && merge.remove.is_empty() {
            return Ok(outcome(None, reconcile(run, &table).await?));
        }
        let change = Change {
            add: staged_files(run.lake, &name, &run.id, &merge.add).await?,
            remove: merge.remove.clone(),
            // What changes was computed from this version and no other.
            base: Base::Exactly(current.current_snapshot_id()),
            sources: vec![SourceRef {
                uri: run.uri.clone(),
                version: source_version(&run.info),
            }],
            kind: "upsert".to_owned(),
            // The comparison with the table itself tells whether there is something to do.
            unless_committed: false,
            summary: run.summary(),
        };
        match run.lake.tables.commit(&name, change).await {
            Ok(
                Committed::Done { snapshot_id, .. } | Committed::AlreadyThere { snapshot_id, .. },
            ) => {
                return Ok(outcome(Some(snapshot_id), reconcile(run, &table).await?));
            }
            Ok(Committed::NothingToDo) => return Ok(outcome(None, reconcile(run, &table).await?)),
            Err(error) if error.kind() == ErrorKind::Conflict => back_off(attempt).await,
            Err(error) => return Err(error),
        }
    }
    Err(Error::new(
        ErrorKind::Conflict,
        format!("{name} is changed by others all the time"),
    ))
}

async fn merge(run: &Run<'_>, table: &StagedTable, current: &Table) -> Result<Merge> {
    let local = run
        .lake
        .fetch_table(current, &VersionRef::Current, None)
        .await?;
    let files: Vec<CurrentFile> = local
        .iter()
        .map(|(file, path)| CurrentFile {
            path: path.to_owned(),
            uri: file.uri.clone(),
            partition: file.partition,
        })
        .collect();
    let (contract, fields) = (table.contract.clone(), current.fields());
    let incoming = table.staged.accepted.clone();
    let stamp = run.stamp(&contract.version);
    let staging = run
        .staging
        .subfolder(&format!("{}-merge", contract.dataset))?;
    blocking(move || {
        let merge = snapshot::merge(&contract, &fields, &files, incoming, &stamp, &staging);
        drop(local);
        merge
    })
    .await
}

/// Compares the table as it now is with the source's own count.
async fn reconcile(run: &Run<'_>, table: &StagedTable) -> Result<Reconciliation> {
    let opened = run
        .lake
        .open(&table.contract.table(), &VersionRef::Current)
        .await?;
    let table_rows = blocking(move || {
        // Taken as a whole: it keeps its files readable.
        let opened = opened;
        snapshot::living_rows(&opened.relation.fields, &opened.relation.files)
    })
    .await?;
    let outcome = &table.staged.outcome;
    let same = match table.contract.deleted_rows {
        // Rows that are gone at the source stay in the table and look like any other.
        DeletedRows::Keep => table_rows >= outcome.accepted,
        DeletedRows::Soft | DeletedRows::Remove => table_rows == outcome.accepted,
    };
    Ok(Reconciliation {
        source_rows: table.source_rows,
        read_rows: outcome.received,
        table_rows,
        matches: same && table.source_rows == outcome.received,
    })
}
