//! A store that was moved, and metadata that are rewritten for it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tarn_core::ports::{Catalog, Objects};
use tarn_core::{Error, ErrorKind};
use tarn_table::{
    Base, Change, Committed, FileFilter, Relocated, SourceRef, Table, Version, VersionRef,
};

use crate::lake::{Fault, Lake, change, orders};

const DAY: i32 = 20_000;

const BEFORE: &str = "/srv/before";

fn source(place: &str, name: &str) -> String {
    format!("file://{place}/raw/{name}")
}

/// Three versions that were made in another place: two additions and a replacement, so that manifests have
/// entries of every state.
async fn moved() -> (Lake, PathBuf) {
    let lake = Lake::new();
    let here = lake.folder_path("");
    lake.record(Path::new(BEFORE));
    lake.orders().await;
    lake.append(&source(BEFORE, "a"), 0..10, DAY).await;
    lake.append(&source(BEFORE, "b"), 10..20, DAY + 1).await;
    let first = lake.live().await[0].clone();
    let file = lake.file(&source(BEFORE, "a"), 0..12, Some(DAY)).await;
    lake.commit(Change {
        add: vec![file],
        remove: vec![lake.folder.uri(&first)],
        ..change(&source(BEFORE, "a"))
    })
    .await
    .unwrap();
    (lake, here)
}

async fn relocate(lake: &Lake) -> tarn_core::Result<Relocated> {
    lake.tables
        .relocate(&orders().name, false, &mut |_, _| {})
        .await
}

/// What a reader learns of each version, but for the place.
async fn versions(lake: &Lake) -> Vec<(Version, Vec<tarn_table::DataFileInfo>)> {
    let table = lake.current().await;
    let mut found = Vec::new();
    for mut version in table.versions() {
        let id = VersionRef::Snapshot(version.snapshot_id);
        let files = table.files(&id, None).await.unwrap();
        let mut files: Vec<_> = files.iter().map(|file| (**file).clone()).collect();
        for file in &mut files {
            assert!(lake.folder_path(&file.key).is_file(), "{}", file.key);
            file.uri = String::new();
        }
        let sources = version.summary.remove("tarn.sources").unwrap();
        let sources: Vec<SourceRef> = serde_json::from_str(&sources).unwrap();
        for source in sources {
            version
                .summary
                .insert(lake.folder.key_of(&source.uri).unwrap(), source.version);
        }
        found.push((version, files));
    }
    found
}

/// Every path in the current metadata and in all that they name.
async fn paths(lake: &Lake) -> BTreeSet<String> {
    let table = lake.current().await;
    let pointer = lake.catalog.load(&orders().name).await.unwrap().unwrap();
    let mut paths = BTreeSet::from([pointer.metadata_location.clone()]);
    let key = lake.folder.key_of(&pointer.metadata_location).unwrap();
    let json: Value = serde_json::from_slice(&lake.folder.get(&key, None).await.unwrap()).unwrap();
    paths.insert(json["location"].as_str().unwrap().to_owned());
    for (list, path) in [
        ("snapshots", "manifest-list"),
        ("metadata-log", "metadata-file"),
    ] {
        for entry in json[list].as_array().unwrap() {
            paths.insert(entry[path].as_str().unwrap().to_owned());
        }
    }
    for version in table.versions() {
        let id = VersionRef::Snapshot(version.snapshot_id);
        for file in table.files(&id, None).await.unwrap() {
            paths.insert(file.uri.clone());
        }
    }
    paths
}

fn all_in(paths: &BTreeSet<String>, place: &Path) -> bool {
    let place = format!("file://{}", place.join("").display());
    paths.iter().all(|path| path.starts_with(&place))
}

#[tokio::test]
async fn a_moved_table_is_read_and_changed_where_it_is() {
    let (lake, here) = moved().await;
    let before = versions(&lake).await;
    assert!(all_in(&paths(&lake).await, Path::new(BEFORE)));
    lake.record(&here);
    assert_eq!(versions(&lake).await.len(), before.len());
    // Rows of an object are found by the name that it has now.
    let table: Table = lake.current().await;
    let found = |name: &str| {
        FileFilter::source_uri(&source(here.to_str().unwrap().trim_end_matches('/'), name))
    };
    for (name, rows) in [("a", 12), ("b", 10)] {
        let files = table
            .files(&VersionRef::Current, Some(&found(name)))
            .await
            .unwrap();
        assert_eq!(files.len(), 1, "{name}");
        assert_eq!(files[0].rows, rows);
        let uris = lake.folder.uris(&format!("raw/{name}"));
        assert!(files[0].is_only_of(&uris), "{uris:?}");
    }
    // A commit of the same object and version is recognised by any of its names.
    let again = Change {
        add: vec![lake.file("x", 0..1, Some(DAY)).await],
        unless_committed: true,
        ..change(&lake.folder.uri("raw/b"))
    };
    let committed = lake.commit(again).await.unwrap();
    assert!(matches!(
        committed,
        Committed::AlreadyThere { version: 2, .. }
    ));
    // A file is removed by the name that the table has for it.
    let old = table.files(&VersionRef::Current, None).await.unwrap()[0]
        .uri
        .clone();
    let done = lake
        .commit(Change {
            remove: vec![old],
            base: Base::Exactly(table.current_snapshot_id()),
            ..change("x")
        })
        .await
        .unwrap();
    assert!(matches!(done, Committed::Done { version: 4, .. }));
}

#[tokio::test]
async fn a_relocation_names_the_present_place_everywhere_and_changes_nothing_else() {
    let (lake, here) = moved().await;
    lake.record(&here);
    let before = versions(&lake).await;
    let swaps = lake
        .catalog
        .swaps
        .load(std::sync::atomic::Ordering::Relaxed);
    let would = lake
        .tables
        .relocate(&orders().name, true, &mut |_, _| {})
        .await
        .unwrap();
    assert_eq!(
        lake.catalog
            .swaps
            .load(std::sync::atomic::Ordering::Relaxed),
        swaps
    );
    let mut steps = Vec::new();
    let done = lake
        .tables
        .relocate(&orders().name, false, &mut |at, of| steps.push((at, of)))
        .await
        .unwrap();
    assert_eq!(done, would);
    assert_eq!((done.metadata_files, done.manifest_lists), (1, 3));
    assert_eq!(steps.len() as u64, done.manifests);
    assert!(
        all_in(&paths(&lake).await, &here),
        "{:?}",
        paths(&lake).await
    );
    assert_eq!(versions(&lake).await, before);
    // It goes on from there, and there is nothing left to do.
    lake.append(&lake.folder.uri("raw/c"), 20..30, DAY).await;
    assert!(all_in(&paths(&lake).await, &here));
    assert_eq!(relocate(&lake).await.unwrap(), Relocated::default());
}

#[tokio::test]
async fn a_relocation_survives_lost_races_and_lost_replies() {
    let (lake, here) = moved().await;
    lake.record(&here);
    let before = versions(&lake).await;
    let lost = || Error::new(ErrorKind::Storage, "no reply").retryable(true);
    lake.catalog
        .inject([Fault::Refuse, Fault::Fail(lost()), Fault::Lose(lost())]);
    let done = relocate(&lake).await.unwrap();
    assert_eq!(done.metadata_files, 1);
    assert_eq!(versions(&lake).await, before);
    assert!(all_in(&paths(&lake).await, &here));
    assert_eq!(relocate(&lake).await.unwrap(), Relocated::default());
}

#[tokio::test]
async fn a_relocation_that_stops_before_its_swap_changes_nothing() {
    let (lake, here) = moved().await;
    lake.record(&here);
    let before = versions(&lake).await;
    lake.catalog
        .inject([Fault::Fail(Error::new(ErrorKind::Storage, "gone"))]);
    relocate(&lake).await.unwrap_err();
    assert!(all_in(&paths(&lake).await, Path::new(BEFORE)));
    assert_eq!(versions(&lake).await, before);
    relocate(&lake).await.unwrap();
    assert!(all_in(&paths(&lake).await, &here));
    assert_eq!(versions(&lake).await, before);
}

#[tokio::test]
async fn a_path_outside_the_store_is_refused() {
    let (lake, _) = moved().await;
    let table = lake.current().await;
    lake.catalog
        .swap(
            &table.spec(),
            Some("4"),
            "file:///etc/curated/orders/metadata/1.metadata.json",
            &std::collections::BTreeMap::new(),
        )
        .await
        .unwrap();
    let refused = relocate(&lake).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported, "{refused}");
}
