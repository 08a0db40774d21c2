//! Columns are found in files by field id, never by name.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::parquet::arrow::{ArrowWriter, PARQUET_FIELD_ID_META_KEY};
use serde_json::{Value, json};
use tarn_core::ErrorKind;
use tarn_core::schema::{ColumnType, Field as Column, TableField, TableName, Zone};
use tarn_local::LocalLake;
use tarn_query::{Engine, Limits, Part, Query, Source};
use tarn_rows::planned::TableState;

/// Writes a file whose columns have these names, ids and values.
fn file(folder: &Path, name: &str, columns: Vec<(&str, Option<i32>, ArrayRef)>) -> PathBuf {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, id, values)| {
            let metadata = id.map(|id| (PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_string()));
            Field::new(*name, values.data_type().clone(), true)
                .with_metadata(HashMap::from_iter(metadata))
        })
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let values = columns.into_iter().map(|(_, _, values)| values).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), values).unwrap();
    let path = folder.join(name);
    let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), schema, None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    path
}

fn column(id: i32, name: &str, ty: ColumnType) -> TableField {
    TableField {
        field: Column::new(name, ty, false),
        id,
        element_id: None,
    }
}

async fn answer(
    folder: &Path,
    fields: Vec<TableField>,
    files: Vec<PathBuf>,
    sql: &str,
) -> tarn_core::Result<Vec<Value>> {
    let local = LocalLake::create(folder).unwrap();
    let engine = Engine::new(local.objects(), local.scratch(), Limits::default());
    let name = TableName::new(Zone::Curated, "things");
    let query = Query::parse(sql, &|_| Ok(name.clone())).unwrap();
    let source = Source {
        name: name.clone(),
        fields: fields.clone(),
        part: Part::Planned(
            TableState {
                dataset: "things".to_owned(),
                fields,
                current: files,
                staged: None,
            },
            Vec::new(),
        ),
    };
    let answer = engine.run(&query, &[source], None, None).await?;
    let rows = answer.collect().await?;
    Ok(rows.objects().map(Value::Object).collect())
}

#[tokio::test]
async fn a_renamed_column_keeps_its_values_and_one_that_was_added_again_has_none() {
    let folder = tempfile::tempdir().unwrap();
    let numbers = |values: &[i64]| -> ArrayRef { Arc::new(Int64Array::from(values.to_vec())) };
    // Before: b was called a, and a column b was dropped since.
    let before = file(
        folder.path(),
        "before.parquet",
        vec![
            ("a", Some(1), numbers(&[1, 2])),
            ("b", Some(2), numbers(&[10, 20])),
        ],
    );
    // After: in another order, with a new column a.
    let after = file(
        folder.path(),
        "after.parquet",
        vec![
            ("a", Some(3), numbers(&[300])),
            ("b", Some(1), numbers(&[3])),
        ],
    );
    let fields = || {
        vec![
            column(1, "b", ColumnType::Long),
            column(3, "a", ColumnType::Long),
        ]
    };
    let ask = async |sql: &str| {
        let files = vec![before.clone(), after.clone()];
        answer(folder.path(), fields(), files, sql).await.unwrap()
    };
    assert_eq!(
        ask("SELECT * FROM things ORDER BY b").await,
        [
            json!({ "b": 1, "a": null }),
            json!({ "b": 2, "a": null }),
            json!({ "b": 3, "a": 300 })
        ]
    );
    // Conditions and their pruning go by id as well.
    assert_eq!(
        ask("SELECT b FROM things WHERE a = 300").await,
        [json!({ "b": 3 })]
    );
    assert_eq!(
        ask("SELECT COUNT(*) AS n FROM things WHERE a IS NULL AND b < 3").await,
        [json!({ "n": 2 })]
    );
    assert_eq!(
        ask("SELECT SUM(b) AS s FROM things WHERE b > 1").await,
        [json!({ "s": 5 })]
    );
}

#[tokio::test]
async fn a_column_that_grew_is_read_from_older_files() {
    let folder = tempfile::tempdir().unwrap();
    let small: ArrayRef = Arc::new(Int32Array::from(vec![i32::MAX]));
    let large: ArrayRef = Arc::new(Int64Array::from(vec![i64::from(i32::MAX) + 1]));
    let files = vec![
        file(folder.path(), "small.parquet", vec![("n", Some(1), small)]),
        file(folder.path(), "large.parquet", vec![("n", Some(1), large)]),
    ];
    let fields = vec![column(1, "n", ColumnType::Long)];
    let sql = "SELECT n FROM things WHERE n >= 2147483647 ORDER BY n";
    let rows = answer(folder.path(), fields, files, sql).await.unwrap();
    assert_eq!(
        rows,
        [
            json!({ "n": 2_147_483_647_i64 }),
            json!({ "n": 2_147_483_648_i64 })
        ]
    );
}

#[tokio::test]
async fn a_file_without_field_ids_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
    assert_eq!(texts.data_type(), &DataType::Utf8);
    let files = vec![file(
        folder.path(),
        "foreign.parquet",
        vec![("s", None, texts)],
    )];
    let fields = vec![column(1, "s", ColumnType::String)];
    let error = answer(
        folder.path(),
        fields,
        files,
        "SELECT s FROM things WHERE s = 'x'",
    )
    .await
    .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BadRequest, "{error}");
    assert!(error.to_string().contains("without a field id"), "{error}");
}
