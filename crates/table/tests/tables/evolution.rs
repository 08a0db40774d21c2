//! Creating tables and changing their columns.

use std::sync::atomic::Ordering;

use tarn_core::ErrorKind;
use tarn_core::ports::Catalog;
use tarn_core::schema::{ColumnType, Field, PartitionUnit, Partitioning};
use tarn_table::{Change, VersionRef};

use crate::lake::{Fault, Lake, change, columns, done, orders};

#[tokio::test]
async fn a_new_table_is_what_the_spec_says_and_has_no_version() {
    let lake = Lake::new();
    let table = lake.orders().await;
    assert_eq!(table.spec(), orders());
    assert_eq!(
        lake.catalog.describe(&orders().name).await.unwrap(),
        Some(orders())
    );
    assert_eq!(
        (table.current_snapshot_id(), table.versions().len()),
        (None, 0)
    );
    let ids: Vec<i32> = table.fields().iter().map(|field| field.id).collect();
    assert_eq!(ids, (1..=11).collect::<Vec<_>>());
    assert_eq!(table.fields()[9].element_id, Some(12));
    assert!(
        table
            .files(&VersionRef::Current, None)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(table.fields_at(&VersionRef::Current).unwrap().len(), 11);
}

#[tokio::test]
async fn the_same_spec_again_writes_nothing() {
    let lake = Lake::new();
    let location = lake.orders().await.metadata_location().to_owned();
    let (swaps, files) = (
        lake.catalog.swaps.load(Ordering::Relaxed),
        lake.metadata_files().await,
    );
    assert_eq!(lake.orders().await.metadata_location(), location);
    assert_eq!(lake.catalog.swaps.load(Ordering::Relaxed), swaps);
    assert_eq!(lake.metadata_files().await, files);
}

#[tokio::test]
async fn an_optional_column_is_added_and_old_versions_keep_their_columns() {
    let lake = Lake::new();
    lake.orders().await;
    lake.append("s3://raw/a", 0..4, 1).await;
    let mut spec = orders();
    spec.fields.insert(
        2,
        Field::new("channel", ColumnType::String, false).doc("Where it was ordered"),
    );
    spec.fields
        .insert(3, Field::new("labels", ColumnType::StringList, false));
    let table = lake.tables.ensure(&spec).await.unwrap();
    assert_eq!(table.versions().len(), 1, "no version is made");
    assert_eq!(table.spec(), spec);
    let added: Vec<_> = table.fields()[2..4]
        .iter()
        .map(|field| (field.id, field.element_id))
        .collect();
    assert_eq!(added, [(13, None), (14, Some(15))]);
    lake.append("s3://raw/b", 4..8, 1).await;

    let table = lake.current().await;
    assert_eq!(table.fields_at(&VersionRef::Number(1)).unwrap().len(), 11);
    assert_eq!(table.fields_at(&VersionRef::Number(2)).unwrap().len(), 13);
    let files = table.files(&VersionRef::Current, None).await.unwrap();
    assert!(files[0].column(13).is_none());
    assert_eq!(files[1].column(13).unwrap().values, Some(4));
    // A writer that was started before the change may still commit.
    let before = columns(
        &table.fields_at(&VersionRef::Number(1)).unwrap(),
        "s3://raw/c",
        8..9,
        Some(1),
    );
    let file = lake.upload(&table, &before, Some(1)).await;
    done(
        lake.commit(Change {
            add: vec![file],
            ..change("s3://raw/c")
        })
        .await
        .unwrap(),
    );
}

#[tokio::test]
async fn an_int_column_is_widened_and_files_of_both_widths_keep_their_bounds() {
    let lake = Lake::new();
    lake.orders().await;
    lake.append("s3://raw/a", 1..3, 1).await;
    let mut spec = orders();
    spec.fields[8].ty = ColumnType::Long;
    let table = lake.tables.ensure(&spec).await.unwrap();
    assert_eq!(
        (table.fields()[8].id, &table.fields()[8].field.ty),
        (9, &ColumnType::Long)
    );
    for commit in 0..60 {
        lake.append("s3://raw/b", 1..3 + commit, 1).await;
    }
    let files = lake
        .current()
        .await
        .files(&VersionRef::Current, None)
        .await
        .unwrap();
    assert_eq!(
        files[0].column(9).unwrap().lower,
        Some(tarn_table::Bound::Integer(7))
    );
    assert_eq!(
        files[1].column(9).unwrap().upper,
        Some(tarn_table::Bound::Integer(2 << 33))
    );
}

#[tokio::test]
async fn descriptions_and_optional_columns_follow_the_contract() {
    let lake = Lake::new();
    lake.orders().await;
    let mut spec = orders();
    spec.doc = "Orders, one row each".to_owned();
    spec.fields[5].doc = "What the customer wrote".to_owned();
    spec.fields[0].required = false;
    spec.identifier.clear();
    let table = lake.tables.ensure(&spec).await.unwrap();
    assert_eq!(table.spec(), spec);
    assert_eq!(lake.catalog.describe(&spec.name).await.unwrap(), Some(spec));
}

#[tokio::test]
async fn an_optional_column_that_the_contract_drops_stays_behind_the_others_and_may_return() {
    let lake = Lake::new();
    lake.orders().await;
    let mut spec = orders();
    let dropped = spec.fields.remove(7);
    assert!(!dropped.required);
    let table = lake.tables.ensure(&spec).await.unwrap();
    let names = |table: &tarn_table::Table| -> Vec<String> {
        let fields = table.fields();
        fields.into_iter().map(|field| field.field.name).collect()
    };
    assert_eq!(names(&table).last(), Some(&dropped.name));
    let location = table.metadata_location().to_owned();
    // Nothing is left to do, and nothing is written.
    let again = lake.tables.ensure(&spec).await.unwrap();
    assert_eq!(again.metadata_location(), location);
    let whole = lake.tables.ensure(&orders()).await.unwrap();
    assert_eq!(names(&whole)[7], dropped.name);
}

#[tokio::test]
async fn a_change_that_data_does_not_allow_is_refused_with_every_difference() {
    let lake = Lake::new();
    lake.orders().await;
    let mut spec = orders();
    spec.fields[1].ty = ColumnType::String;
    spec.fields[5].required = true;
    // The number of the order.
    spec.fields.remove(0);
    spec.identifier.clear();
    spec.fields
        .push(Field::new("country", ColumnType::String, true));
    let error = lake.tables.ensure(&spec).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadContract);
    let text = error.to_string();
    for part in [
        "curated.orders",
        "column ordered_at is timestamptz in the table and string in the contract",
        "column note is optional in the table and required in the contract",
        "column order_id is required in the table and not in the contract",
        "the new column country must be optional",
    ] {
        assert!(text.contains(part), "{text}");
    }
    let months = Partitioning {
        column: "ordered_at".to_owned(),
        unit: PartitionUnit::Month,
    };
    for partitioning in [Some(months), None] {
        let error = lake
            .tables
            .ensure(&tarn_core::schema::TableSpec {
                partitioning,
                ..orders()
            })
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadContract);
        assert!(
            error
                .to_string()
                .contains("by day of ordered_at in the table"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_spec_that_cannot_be_a_table_is_refused() {
    for (column, what) in [
        ("nothing", "no such column"),
        ("note", "only a date or a timestamp"),
    ] {
        let partitioning = Some(Partitioning {
            column: column.to_owned(),
            unit: PartitionUnit::Day,
        });
        let spec = tarn_core::schema::TableSpec {
            partitioning,
            ..orders()
        };
        let error = Lake::new().tables.ensure(&spec).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadContract);
        assert!(error.to_string().contains(what), "{error}");
    }
    let mut spec = orders();
    spec.fields
        .push(Field::new("ordered_at_day", ColumnType::Date, false));
    let error = Lake::new().tables.ensure(&spec).await.unwrap_err();
    assert!(
        error.to_string().contains("named ordered_at_day"),
        "{error}"
    );
    let spec = tarn_core::schema::TableSpec {
        identifier: vec!["nothing".to_owned()],
        ..orders()
    };
    assert_eq!(
        Lake::new().tables.ensure(&spec).await.unwrap_err().kind(),
        ErrorKind::BadContract
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 6)]
async fn writers_that_create_one_table_at_once_get_the_same_one() {
    let lake = std::sync::Arc::new(Lake::new());
    let writers: Vec<_> = (0..6)
        .map(|_| {
            let lake = lake.clone();
            tokio::spawn(async move { lake.orders().await.metadata_location().to_owned() })
        })
        .collect();
    for writer in writers {
        assert_eq!(
            writer.await.unwrap(),
            lake.current().await.metadata_location()
        );
    }
    assert_eq!(
        lake.metadata_files().await,
        1,
        "writers that lost leave no files"
    );
}

#[tokio::test]
async fn a_creation_whose_reply_is_lost_is_found() {
    let lake = Lake::new();
    lake.catalog.inject([Fault::Lose(tarn_core::Error::new(
        ErrorKind::Conflict,
        "too late",
    ))]);
    lake.orders().await;
    assert_eq!(lake.metadata_files().await, 1);
}

#[tokio::test]
async fn a_version_is_found_by_number_snapshot_and_time() {
    let lake = Lake::new();
    lake.orders().await;
    let none = lake
        .current()
        .await
        .find_version(&VersionRef::Number(1))
        .unwrap_err();
    assert!(none.to_string().contains("nothing was committed"), "{none}");
    let first = lake.append("s3://raw/a", 0..4, 1).await;
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    let second = lake.append("s3://raw/b", 4..8, 1).await;
    let table = lake.current().await;
    let at = |index: usize| table.versions()[index].committed_at;
    for (version, expected) in [
        (VersionRef::Current, second),
        (VersionRef::Number(1), first),
        (VersionRef::Number(first), first),
        (VersionRef::Snapshot(second), second),
        (VersionRef::AsOf(at(0)), first),
        (
            VersionRef::AsOf(at(1) - chrono::TimeDelta::milliseconds(1)),
            first,
        ),
        (VersionRef::AsOf(at(1)), second),
    ] {
        let found = table.find_version(&version).unwrap().unwrap();
        assert_eq!(found.snapshot_id, expected, "{version:?}");
    }
    let early = VersionRef::AsOf(at(0) - chrono::TimeDelta::milliseconds(1));
    for version in [
        VersionRef::Number(3),
        VersionRef::Number(0),
        VersionRef::Snapshot(1),
        early,
    ] {
        let error = table.files(&version, None).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("versions 1 to 2"), "{error}");
    }
}
