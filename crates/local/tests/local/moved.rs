//! A lake's folder that is moved, copied, or named by older records.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use tarn_core::ports::PutMode;
use tarn_core::schema::{TableName, TableSpec, Zone};
use tarn_local::LocalLake;

fn spec() -> TableSpec {
    TableSpec {
        name: TableName::new(Zone::Curated, "orders"),
        doc: String::new(),
        fields: Vec::new(),
        partitioning: None,
        identifier: Vec::new(),
    }
}

fn text(path: &Path) -> String {
    path.canonicalize().unwrap().to_str().unwrap().to_owned()
}

/// A lake with one table.
async fn lake(root: &Path) -> LocalLake {
    let lake = LocalLake::create(root).unwrap();
    let location = lake
        .objects()
        .uri("curated/orders/metadata/0.metadata.json");
    lake.catalog()
        .swap(&spec(), None, &location, &BTreeMap::new())
        .await
        .unwrap();
    lake
}

#[tokio::test]
async fn a_moved_lake_records_its_former_place_until_it_is_told_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (dir.path().join("first"), dir.path().join("second #1"));
    let made = lake(&first).await;
    made.objects()
        .put("raw/a", Bytes::from_static(b"x"), PutMode::IfAbsent)
        .await
        .unwrap();
    assert_eq!(made.recorded_elsewhere(), None);
    drop(made);
    let was = text(&first);
    std::fs::rename(&first, &second).unwrap();
    let is = text(&second);
    for _ in 0..2 {
        let moved = LocalLake::open(&second).unwrap();
        let objects = moved.objects();
        assert_eq!(moved.recorded_elsewhere(), Some(was.clone()));
        assert_eq!(objects.uri("raw/a"), format!("file://{was}/raw/a"));
        // A reader would lose the part of a URI after its number sign.
        assert_eq!(objects.location("raw/a"), format!("{is}/raw/a"));
        for uri in objects.uris("raw/a") {
            let key = objects.key_of(&uri).unwrap();
            assert_eq!(objects.get(&key, None).await.unwrap().as_ref(), b"x");
        }
        assert_eq!(
            objects.key_of(&format!("file://{was}/../first/raw/a")),
            None
        );
    }
    let moved = LocalLake::open(&second).unwrap();
    moved.record_here().unwrap();
    for lake in [moved, LocalLake::open(&second).unwrap()] {
        let objects = lake.objects();
        assert_eq!(lake.recorded_elsewhere(), None);
        assert_eq!(objects.uri("raw/a"), format!("{is}/raw/a"));
        assert_eq!(objects.uris("raw/a").len(), 3);
        let former = format!("file://{was}/raw/a");
        assert_eq!(objects.key_of(&former).as_deref(), Some("raw/a"));
    }
}

#[tokio::test]
async fn a_lake_without_tables_has_recorded_nothing_and_is_at_home_anywhere() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (dir.path().join("first"), dir.path().join("second"));
    drop(LocalLake::create(&first).unwrap());
    std::fs::rename(&first, &second).unwrap();
    let moved = LocalLake::open(&second).unwrap();
    assert_eq!(moved.recorded_elsewhere(), None);
    let uri = format!("file://{}/raw/a", text(&second));
    assert_eq!(moved.objects().uri("raw/a"), uri);
}

#[tokio::test]
async fn what_is_assumed_is_not_remembered() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (dir.path().join("first"), dir.path().join("second"));
    drop(lake(&first).await);
    std::fs::rename(&first, &second).unwrap();
    let moved = LocalLake::open(&second).unwrap();
    moved.assume_here();
    assert_eq!(moved.recorded_elsewhere(), None);
    let again = LocalLake::open(&second).unwrap();
    assert!(again.recorded_elsewhere().is_some());
}
