//! What is known of data files, and which of them a filter leaves out.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow_array::{ArrayRef, Float64Array, Int32Array, Int64Array, StringArray};
use tarn_core::ErrorKind;
use tarn_core::schema::{PartitionUnit, Partitioning, TableSpec};
use tarn_table::{Bound, Change, FileFilter, VersionRef};

use crate::lake::{Lake, MICROS_PER_DAY, change, columns, done, orders};

#[tokio::test]
async fn counts_and_bounds_come_from_the_footer() {
    let lake = Lake::new();
    let table = lake.orders().await;
    let source = "s3://raw/a/name/that/is/longer/than/sixteen/characters";
    lake.append(source, 0..12, 2).await;
    let file = lake
        .current()
        .await
        .files(&VersionRef::Current, None)
        .await
        .unwrap()
        .remove(0);
    assert_eq!(
        (file.rows, file.partition, file.only_source()),
        (12, Some(2), Some(source))
    );
    assert_eq!(
        file.bytes,
        std::fs::metadata(lake.folder_path(&file.key))
            .unwrap()
            .len()
    );
    let of = |name: &str| {
        let field = table
            .fields()
            .into_iter()
            .find(|field| field.field.name == name)
            .unwrap();
        let column = file.column(field.id).unwrap();
        (column.nulls, column.lower.clone(), column.upper.clone())
    };
    let int = |value| Some(Bound::Integer(value));
    let text = |value: &str| Some(Bound::String(value.into()));
    let day = 2 * MICROS_PER_DAY;
    assert_eq!(of("order_id"), (Some(0), int(0), int(11)));
    assert_eq!(of("ordered_at"), (Some(0), int(day), int(day + 11)));
    assert_eq!(of("shipped_on"), (Some(0), int(2), int(2)));
    assert_eq!(of("amount"), (Some(0), int(-5), int(6)));
    assert_eq!(of("discount"), (Some(0), int(-5), int(6)));
    assert_eq!(
        of("note"),
        (Some(0), text("a note longer th"), text("a note longer ti"))
    );
    assert_eq!(
        of("score"),
        (Some(0), Some(Bound::Double(0.0)), Some(Bound::Double(2.75)))
    );
    assert_eq!(
        of("paid"),
        (
            Some(0),
            Some(Bound::Boolean(false)),
            Some(Bound::Boolean(true))
        )
    );
    assert_eq!(of("quantity"), (Some(4), int(7), int(7)));
    let tags = file.column(12).unwrap();
    assert_eq!((tags.values, &tags.lower), (Some(16), &None));
}

#[tokio::test]
async fn a_column_with_nan_or_nulls_only_has_no_bounds() {
    let lake = Lake::new();
    let table = lake.orders().await;
    let mut values = columns(&table.fields(), "s3://raw/a", 0..3, Some(1));
    values[6].1 = Arc::new(Float64Array::from(vec![f64::NAN; 3]));
    values[8].1 = Arc::new(Int32Array::from(vec![None; 3]));
    let file = lake.upload(&table, &values, Some(1)).await;
    done(
        lake.commit(Change {
            add: vec![file],
            ..change("a")
        })
        .await
        .unwrap(),
    );
    let file = lake
        .current()
        .await
        .files(&VersionRef::Current, None)
        .await
        .unwrap()
        .remove(0);
    assert_eq!(
        (
            &file.column(7).unwrap().lower,
            &file.column(7).unwrap().upper
        ),
        (&None, &None)
    );
    assert_eq!(
        (
            &file.column(9).unwrap().lower,
            file.column(9).unwrap().nulls
        ),
        (&None, Some(3))
    );
}

#[tokio::test]
async fn files_of_a_source_object_are_found_by_their_exact_bounds() {
    let lake = Lake::new();
    let table = lake.orders().await;
    let name = |n: i64| format!("s3://raw/the/same/long/prefix/for/all/of/them/{n}.log");
    for n in 0..3 {
        lake.append(&name(n), n * 4..n * 4 + 4, 1).await;
    }
    let mut mixed = columns(&table.fields(), "", 12..15, Some(1));
    let rows: ArrayRef = Arc::new(StringArray::from_iter_values([name(0), name(2), name(0)]));
    mixed[10].1 = rows;
    let file = lake.upload(&table, &mixed, Some(1)).await;
    done(
        lake.commit(Change {
            add: vec![file],
            ..change("mixed")
        })
        .await
        .unwrap(),
    );

    let table = lake.current().await;
    let found = async |uri: &str| {
        let files = table
            .files(&VersionRef::Current, Some(&FileFilter::source_uri(uri)))
            .await
            .unwrap();
        files
            .iter()
            .map(|file| file.only_source().map(str::to_owned))
            .collect::<Vec<_>>()
    };
    assert_eq!(found(&name(0)).await, [Some(name(0)), None]);
    // The mixed file may hold rows of it for all that its bounds say.
    assert_eq!(found(&name(1)).await, [Some(name(1)), None]);
    assert_eq!(found(&name(3)).await, Vec::<Option<String>>::new());
    assert_eq!(found("s3://raw/the").await, Vec::<Option<String>>::new());
}

#[tokio::test]
async fn days_before_1970_and_rows_without_a_day_have_partitions_of_their_own() {
    let lake = Lake::new();
    lake.orders().await;
    for day in [Some(-400), Some(-1), Some(0), None, Some(20_000)] {
        let file = lake.file("s3://raw/a", 0..3, day).await;
        done(
            lake.commit(Change {
                add: vec![file],
                ..change("a")
            })
            .await
            .unwrap(),
        );
    }
    let table = lake.current().await;
    let found = async |filter: FileFilter| {
        let gets = lake.folder.gets.load(Ordering::Relaxed);
        let files = table
            .files(&VersionRef::Current, Some(&filter))
            .await
            .unwrap();
        let manifests = lake.folder.gets.load(Ordering::Relaxed) - gets - 1;
        (
            files.iter().map(|file| file.partition).collect::<Vec<_>>(),
            manifests,
        )
    };
    assert_eq!(
        found(FileFilter::Days(-1..=0)).await,
        (vec![Some(-1), Some(0)], 2)
    );
    assert_eq!(
        found(FileFilter::Days(i32::MIN..=-1)).await,
        (vec![Some(-400), Some(-1)], 2)
    );
    assert_eq!(found(FileFilter::Days(1..=2)).await, (vec![], 0));
    assert_eq!(
        found(FileFilter::Partitions([None].into())).await,
        (vec![None], 1)
    );
    assert_eq!(
        found(FileFilter::Partitions([None, Some(20_000)].into())).await,
        (vec![None, Some(20_000)], 2)
    );
    let all = table.files(&VersionRef::Current, None).await.unwrap();
    assert_eq!(all.len(), 5);
}

#[tokio::test]
async fn a_range_of_days_finds_the_months_that_it_touches() {
    let lake = Lake::new();
    let months = Partitioning {
        column: "shipped_on".to_owned(),
        unit: PartitionUnit::Month,
    };
    let table = lake
        .tables
        .ensure(&TableSpec {
            partitioning: Some(months),
            ..orders()
        })
        .await
        .unwrap();
    for (day, month) in [(-1, -1), (0, 0), (31, 1)] {
        let values = columns(&table.fields(), "s3://raw/a", 0..3, Some(day));
        let file = lake.upload(&table, &values, Some(month)).await;
        done(
            lake.commit(Change {
                add: vec![file],
                ..change("a")
            })
            .await
            .unwrap(),
        );
    }
    let table = lake.current().await;
    for (days, expected) in [
        (-31..=-31, vec![-1]),
        (-32..=-32, vec![]),
        (30..=31, vec![0, 1]),
        (i32::MIN..=i32::MAX, vec![-1, 0, 1]),
    ] {
        let files = table
            .files(&VersionRef::Current, Some(&FileFilter::Days(days.clone())))
            .await
            .unwrap();
        assert_eq!(
            files
                .iter()
                .filter_map(|file| file.partition)
                .collect::<Vec<_>>(),
            expected,
            "{days:?}"
        );
    }
}

#[tokio::test]
async fn a_table_without_partitions_and_sources_takes_files_too() {
    let lake = Lake::new();
    let mut spec = TableSpec {
        partitioning: None,
        ..orders()
    };
    spec.fields.pop();
    let table = lake.tables.ensure(&spec).await.unwrap();
    let file = lake
        .upload(&table, &columns(&table.fields(), "", 0..3, Some(1)), None)
        .await;
    done(
        lake.commit(Change {
            add: vec![file],
            ..change("a")
        })
        .await
        .unwrap(),
    );
    let table = lake.current().await;
    let files = table
        .files(&VersionRef::Current, Some(&FileFilter::Days(5..=6)))
        .await
        .unwrap();
    assert_eq!(
        (files.len(), files[0].partition, files[0].only_source()),
        (1, None, None)
    );
    let error = table
        .files(&VersionRef::Current, Some(&FileFilter::source_uri("a")))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn a_file_that_does_not_fit_the_table_is_not_added() {
    let lake = Lake::new();
    let table = lake.orders().await;
    let good = columns(&table.fields(), "s3://raw/a", 0..3, Some(1));
    let refused =
        async |values: &[(tarn_core::schema::TableField, ArrayRef)], partition, what: &str| {
            let file = lake.upload(&table, values, partition).await;
            let error = lake
                .commit(Change {
                    add: vec![file],
                    ..change("a")
                })
                .await
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Internal);
            assert!(error.to_string().contains(what), "{error}");
        };
    refused(
        &good,
        Some(2),
        "its partition is Some(2), but ordered_at has the value",
    )
    .await;
    refused(&good, None, "its partition is None").await;
    refused(
        &good[1..],
        Some(1),
        "the required column order_id is missing",
    )
    .await;
    let mut values = good.clone();
    values[3].0.id = 99;
    refused(&values, Some(1), "amount carries no field id of the table").await;
    let mut values = good.clone();
    values[4].0.id = 4;
    refused(&values, Some(1), "discount is stored as").await;
    let mut values = good.clone();
    values[8].0.id = 1;
    values[8].0.field.ty = tarn_core::schema::ColumnType::Long;
    values[8].1 = Arc::new(Int64Array::from(vec![1; 3]));
    refused(&values, Some(1), "two columns carry the field id 1").await;
    let nulls = columns(&table.fields(), "s3://raw/a", 0..3, None);
    refused(&nulls, Some(1), "ordered_at has nulls").await;
    let mut values = good.clone();
    values[0].0.field.required = false;
    values[0].1 = Arc::new(Int64Array::from(vec![Some(1), None, Some(2)]));
    refused(&values, Some(1), "the required column order_id has nulls").await;
    assert!(lake.current().await.versions().is_empty());
    assert_eq!(lake.metadata_files().await, 1, "nothing is left behind");

    let mut file = lake.file("s3://raw/a", 0..3, Some(1)).await;
    std::fs::write(&file.local, b"PAR1 no parquet PAR1").unwrap();
    let broken = Change {
        add: vec![file.clone()],
        ..change("a")
    };
    assert_eq!(
        lake.commit(broken).await.unwrap_err().kind(),
        ErrorKind::Storage
    );
    file.local = lake.folder_path(&file.key);
    let twice = Change {
        add: vec![file.clone(), file],
        ..change("a")
    };
    assert!(
        lake.commit(twice)
            .await
            .unwrap_err()
            .to_string()
            .contains("added twice")
    );
}
