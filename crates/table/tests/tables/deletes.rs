//! Rows that another engine deleted by delete files.

use std::sync::Arc;

use bytes::Bytes;
use iceberg::io::FileIO;
use iceberg::spec::{
    DataContentType, DataFile, DataFileBuilder, DataFileFormat, Datum, Literal, MAIN_BRANCH,
    ManifestFile, ManifestList, ManifestListWriter, ManifestWriterBuilder, Operation, Snapshot,
    Struct, Summary, TableMetadata,
};
use tarn_core::ErrorKind;
use tarn_core::ports::{Catalog, Objects, PutMode};
use tarn_table::{Change, FileFilter, Table, VersionRef};

use crate::lake::{Lake, change, done, orders};

/// A file that deletes rows of a data file at `path`, or by equality.
fn delete_file(lake: &Lake, content: DataContentType, day: i32, path: &str) -> DataFile {
    let mut file = DataFileBuilder::default();
    file.content(content)
        .file_path(lake.folder.uri("curated/orders/data/deletes.parquet"))
        .file_format(DataFileFormat::Parquet)
        .partition(Struct::from_iter([Some(Literal::date(day))]))
        .record_count(1)
        .file_size_in_bytes(1);
    if content == DataContentType::PositionDeletes {
        file.lower_bounds([(2_147_483_546, Datum::string(path))].into())
            .upper_bounds([(2_147_483_546, Datum::string(path))].into());
    } else {
        file.equality_ids(Some(vec![1]));
    }
    file.build().unwrap()
}

/// Commits a delete file as other engines do.
async fn delete_rows(lake: &Lake, content: DataContentType, day: i32, path: &str, live: bool) {
    let table = lake.current().await;
    let json = lake
        .folder
        .get(&key(lake, table.metadata_location()), None)
        .await
        .unwrap();
    let metadata: TableMetadata = serde_json::from_slice(&json).unwrap();
    let (snapshot_id, sequence) = (
        4711 + metadata.next_sequence_number(),
        metadata.next_sequence_number(),
    );
    let file = delete_file(lake, content, day, path);
    let io = FileIO::new_with_memory();
    let manifest_uri = lake
        .folder
        .uri(&format!("curated/orders/metadata/{snapshot_id}-m.avro"));
    let mut writer = ManifestWriterBuilder::new(
        io.new_output(&manifest_uri).unwrap(),
        Some(snapshot_id),
        metadata.current_schema().clone(),
        metadata.default_partition_spec().as_ref().clone(),
    )
    .build_v2_deletes();
    if live {
        writer.add_file(file, -1).unwrap();
    } else {
        writer
            .add_delete_file(file, sequence - 1, Some(sequence - 1))
            .unwrap();
    }
    let manifest = writer.write_manifest_file().await.unwrap();
    put(lake, &io, &manifest_uri).await;
    let parent = metadata.current_snapshot().unwrap().clone();
    let list = lake
        .folder
        .get(&key(lake, parent.manifest_list()), None)
        .await
        .unwrap();
    let mut manifests: Vec<ManifestFile> =
        ManifestList::parse_with_version(&list, metadata.format_version())
            .unwrap()
            .entries()
            .to_vec();
    manifests.push(manifest);
    let list_uri = lake
        .folder
        .uri(&format!("curated/orders/metadata/{snapshot_id}-list.avro"));
    let output = io.new_output(&list_uri).unwrap().writer().await.unwrap();
    let mut list =
        ManifestListWriter::v2(output, snapshot_id, Some(parent.snapshot_id()), sequence);
    list.add_manifests(manifests.into_iter()).unwrap();
    list.close().await.unwrap();
    put(lake, &io, &list_uri).await;
    let snapshot = Snapshot::builder()
        .with_snapshot_id(snapshot_id)
        .with_parent_snapshot_id(Some(parent.snapshot_id()))
        .with_sequence_number(sequence)
        .with_timestamp_ms(metadata.last_updated_ms())
        .with_manifest_list(list_uri)
        .with_summary(Summary {
            operation: Operation::Delete,
            additional_properties: Default::default(),
        })
        .build();
    swap(lake, &table, metadata, snapshot).await;
}

/// Makes the snapshot the current one of the table.
async fn swap(lake: &Lake, table: &Table, metadata: TableMetadata, snapshot: Snapshot) {
    let snapshot_id = snapshot.snapshot_id();
    let built = metadata.into_builder(Some(table.metadata_location().to_owned()));
    let built = built
        .set_branch_snapshot(snapshot, MAIN_BRANCH)
        .unwrap()
        .build()
        .unwrap();
    let location = lake.folder.uri(&format!(
        "curated/orders/metadata/00009-{snapshot_id}.metadata.json"
    ));
    let json = serde_json::to_vec(&built.metadata).unwrap();
    lake.folder
        .put(&key(lake, &location), json.into(), PutMode::IfAbsent)
        .await
        .unwrap();
    let pointer = lake.catalog.load(table.name()).await.unwrap().unwrap();
    let shown = Default::default();
    lake.catalog
        .swap(&table.spec(), Some(&pointer.version), &location, &shown)
        .await
        .unwrap();
}

fn key(lake: &Lake, uri: &str) -> String {
    lake.folder.key_of(uri).unwrap()
}

async fn put(lake: &Lake, io: &FileIO, uri: &str) {
    let bytes: Bytes = io.new_input(uri).unwrap().read().await.unwrap();
    lake.folder
        .put(&key(lake, uri), bytes, PutMode::IfAbsent)
        .await
        .unwrap();
}

async fn two_days() -> (Arc<Lake>, String) {
    let lake = Arc::new(Lake::new());
    lake.orders().await;
    lake.append("s3://raw/a", 0..3, 1).await;
    lake.append("s3://raw/b", 3..6, 2).await;
    let uri = lake
        .current()
        .await
        .files(&VersionRef::Current, None)
        .await
        .unwrap()[0]
        .uri
        .clone();
    (lake, uri)
}

async fn read_day(table: &Table, day: i32) -> Result<usize, ErrorKind> {
    let files = table
        .files(&VersionRef::Current, Some(&FileFilter::Days(day..=day)))
        .await;
    files.map(|files| files.len()).map_err(|error| error.kind())
}

#[tokio::test]
async fn a_file_with_rows_deleted_by_position_is_refused_and_others_are_read() {
    let (lake, uri) = two_days().await;
    delete_rows(&lake, DataContentType::PositionDeletes, 1, &uri, true).await;
    let table = lake.current().await;
    assert_eq!(read_day(&table, 1).await, Err(ErrorKind::Unsupported));
    assert_eq!(read_day(&table, 2).await, Ok(1));
    assert_eq!(
        table
            .files(&VersionRef::Number(2), None)
            .await
            .unwrap()
            .len(),
        2,
        "the version before"
    );
    // Files that are added later in the same partition are untouched by it, and so is a commit.
    lake.append("s3://raw/c", 6..9, 1).await;
    assert_eq!(
        read_day(&lake.current().await, 1).await,
        Err(ErrorKind::Unsupported)
    );
    done(
        lake.commit(Change {
            remove: vec![uri],
            ..change("s3://raw/a")
        })
        .await
        .unwrap(),
    );
    assert_eq!(read_day(&lake.current().await, 1).await, Ok(1));
}

#[tokio::test]
async fn rows_deleted_by_value_concern_older_files_of_the_partition() {
    let (lake, _) = two_days().await;
    delete_rows(&lake, DataContentType::EqualityDeletes, 2, "", true).await;
    lake.append("s3://raw/c", 6..9, 3).await;
    let table = lake.current().await;
    assert_eq!(read_day(&table, 1).await, Ok(1));
    assert_eq!(read_day(&table, 2).await, Err(ErrorKind::Unsupported));
    assert_eq!(read_day(&table, 3).await, Ok(1));
    assert_eq!(table.name(), &orders().name);
}

#[tokio::test]
async fn a_delete_file_that_is_gone_itself_deletes_nothing() {
    let (lake, uri) = two_days().await;
    delete_rows(&lake, DataContentType::PositionDeletes, 1, &uri, false).await;
    assert_eq!(read_day(&lake.current().await, 1).await, Ok(1));
}
