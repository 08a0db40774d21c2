//! Merges of staged databases into files of a table.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use tarn_contract::quarantine;
use tarn_contract::{Contract, parse_str};
use tarn_core::schema::TableSpec;

use polars::prelude::lit;
use tarn_contract::DeletedRows;

use super::*;
use crate::columns::from_frame;
use crate::ingest::{Job, run};
use tarn_rows::check::References;
use tarn_rows::source::sqlite::Database;

fn contract(deleted: &str) -> Contract {
    let text = format!(
        "apiVersion: v3.1.0\nkind: DataContract\nid: t\nversion: 1.0.0\nstatus: active\n\
         description: {{ purpose: Things. }}\ncustomProperties:\n  - {{ property: sourceFormat, value: sqlite }}\n  \
         - {{ property: keyPattern, value: raw/t/things/** }}\n  - {{ property: deletedRows, value: {deleted} }}\n\
         schema:\n  - name: things\n    properties:\n      \
         - {{ name: id, logicalType: number, physicalType: \"decimal(9,2)\", required: true, primaryKey: true }}\n      \
         - {{ name: day, logicalType: date, physicalType: date, partitioned: true, customProperties: [{{ property: partitionUnit, value: month }}] }}\n      \
         - {{ name: n, logicalType: integer, physicalType: bigint, logicalTypeOptions: {{ minimum: 0 }} }}\n"
    );
    parse_str("things", &text).unwrap_or_else(|faults| panic!("{faults:?}"))
}

fn fields(spec: &TableSpec) -> Vec<TableField> {
    (1..)
        .zip(&spec.fields)
        .map(|(id, field)| TableField {
            field: field.clone(),
            id,
            element_id: None,
        })
        .collect()
}

fn system_columns(at: i64) -> SystemColumns {
    SystemColumns {
        run_id: format!("run {at}"),
        source_uri: "uri".to_owned(),
        source_version: "v@1".to_owned(),
        ingested_at: at,
        contract_version: "1.0.0".to_owned(),
    }
}

/// Rows `(id, day, n)` of SQL as they are staged.
fn staged(contract: &Contract, rows: &str, at: i64, folder: &Path) -> StagedRows {
    std::fs::create_dir_all(folder.join("staging")).unwrap();
    let path = folder.join("shop.sqlite");
    let connection = rusqlite::Connection::open(&path).unwrap();
    let values = if rows.is_empty() {
        String::new()
    } else {
        format!("INSERT INTO things VALUES {rows};")
    };
    connection
        .execute_batch(&format!(
            "CREATE TABLE things(id TEXT, day TEXT, n INTEGER); {values}"
        ))
        .unwrap();
    let database = Database::open(&path).unwrap();
    let (_, mut reader) = database.table(contract).unwrap();
    let quarantine = quarantine::table_spec(contract);
    let job = Job {
        contract,
        fields: fields(&contract.table_spec()),
        quarantine: (fields(&quarantine), quarantine.partitioning),
        system_columns: system_columns(at),
        key: None,
        staging: folder.join("staging"),
        earlier: std::sync::Arc::new(crate::ingest::Nothing),
        bytes: 0,
        put_at: 0,
        references: References::new(),
        survey: None,
        later: Default::default(),
    };
    let staged = run(&mut reader, &job).unwrap();
    StagedRows {
        accepted: staged.accepted,
        rejected: staged.rejected,
        rejected_fields: job.quarantine.0,
    }
}

/// The changes of an upsert at this time into a table of these files.
fn upserted(
    contract: &Contract,
    files: &[CurrentFile],
    staged: &StagedRows,
    at: i64,
    staging: &Path,
) -> Changes {
    std::fs::create_dir_all(staging).unwrap();
    let fields = fields(&contract.table_spec());
    let whole = |files: &[&CurrentFile]| Ok(files.iter().map(|file| file.path.clone()).collect());
    let table = CurrentTable {
        contract,
        fields: &fields,
        files,
        whole: &whole,
    };
    upsert(&table, staged, &system_columns(at), staging).unwrap()
}

/// The files of a table after some changes.
fn changed(files: &[ParquetFile], changes: &Changes) -> Vec<ParquetFile> {
    files
        .iter()
        .filter(|file| !changes.remove.contains(&file.path.display().to_string()))
        .chain(&changes.add)
        .cloned()
        .collect()
}

fn current(files: &[ParquetFile]) -> Vec<CurrentFile> {
    files
        .iter()
        .map(|file| CurrentFile {
            path: file.path.clone(),
            uri: file.path.display().to_string(),
            partition: file.partition,
            outdated: false,
        })
        .collect()
}

/// The rows of files: id times 100, n, and whether they are marked as deleted.
fn rows(contract: &Contract, files: &[ParquetFile]) -> Vec<(i64, i64, bool)> {
    let fields = fields(&contract.table_spec());
    let soft = contract.deleted_rows == DeletedRows::Soft;
    let gone = if soft {
        col(system::DELETED_AT).is_not_null()
    } else {
        lit(false)
    };
    let frame = scan::table(&fields, &paths(files))
        .unwrap()
        .with_column(gone.alias("gone"))
        .collect()
        .unwrap();
    let columns = from_frame::columns(&frame, &fields).unwrap();
    let number = |column: usize, row: usize| match &columns[column] {
        tarn_rows::column::ColumnData::Long(numbers) => numbers.values[row],
        other => panic!("{other:?}"),
    };
    let gone = frame.column("gone").unwrap().bool().unwrap().clone();
    let mut rows: Vec<_> = (0..frame.height())
        .map(|row| (number(0, row), number(2, row), gone.get(row).unwrap()))
        .collect();
    rows.sort_unstable();
    rows
}

#[test]
fn a_table_whose_rows_were_multiplied_is_made_whole_by_the_next_snapshot() {
    for deleted in ["keep", "soft", "remove"] {
        let contract = contract(deleted);
        let folder = tempfile::tempdir().unwrap();
        let stage =
            |rows: &str, at: i64| staged(&contract, rows, at, &folder.path().join(at.to_string()));
        // Key 1 is there three times, twice in one month, and key 2 twice; key 3 is gone at its source.
        let first = stage(
            "('1','2026-01-05',1),('2','2026-01-05',2),('3','2026-02-01',3)",
            1,
        );
        let second = stage("('1.0','2026-01-06',4),('2','2026-01-05',2)", 2);
        let third = stage("('1.00','2026-02-06',5)", 3);
        let mut files = Vec::new();
        for incoming in [&first, &second, &third] {
            files.extend(incoming.accepted.clone());
        }
        let incoming = stage(
            "('1','2026-01-05',7),('2.00','2026-01-05',2),('4','2026-03-01',8)",
            4,
        );
        let at = folder.path().join("first");
        let changes = upserted(&contract, &current(&files), &incoming, 4, &at);
        assert_eq!((changes.repeated, changes.inserted), (3, 1));
        let kept = changed(&files, &changes);
        let mut expected = vec![
            (100, 7, false),
            (200, 2, false),
            (300, 3, deleted == "soft"),
            (400, 8, false),
        ];
        expected.retain(|row| deleted != "remove" || row.0 != 300);
        assert_eq!(rows(&contract, &kept), expected, "{deleted}");
        assert!(changes.comparison.agrees());

        // The same again changes nothing.
        let at = folder.path().join("again");
        let again = upserted(&contract, &current(&kept), &incoming, 5, &at);
        assert_eq!(
            (again.repeated, again.add.len(), again.remove.len()),
            (0, 0, 0)
        );

        // But for a file that is to be written again: its partition has the same rows afterwards.
        let mut outdated = current(&kept);
        outdated[0].outdated = true;
        let renewed = upserted(&contract, &outdated, &incoming, 6, &at);
        assert_eq!(renewed.inserted + renewed.updated + renewed.deleted, 0);
        assert!(renewed.remove.contains(&outdated[0].uri));
        let kept = changed(&kept, &renewed);
        assert_eq!(rows(&contract, &kept), expected, "{deleted}");
    }
}

#[test]
fn the_latest_time_of_a_column_is_that_of_the_accepted_rows() {
    let contract = contract("keep");
    let folder = tempfile::tempdir().unwrap();
    let fields = fields(&contract.table_spec());
    let rows = "('1','2026-01-05',1),('2','2026-03-05',-1),('3','2026-02-05',1),('4',NULL,1)";
    let incoming = staged(&contract, rows, 1, folder.path());
    let found = latest(&fields, &incoming.accepted, "day").unwrap();
    assert_eq!(found.unwrap().to_rfc3339(), "2026-02-05T00:00:00+00:00");
    assert_eq!(latest(&fields, &[], "day").unwrap(), None);
}
