//! Old versions and files that nobody names.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tarn_core::ports::{Objects, PutMode};
use tarn_core::{Error, ErrorKind};
use tarn_table::{Maintained, Retention, VersionRef};

use crate::lake::{Fault, Lake, change, orders};

const DAY: i32 = 20_000;

fn retention(at_least: usize) -> Retention {
    Retention {
        keep_for: TimeDelta::days(7),
        at_least,
        orphans_after: TimeDelta::days(3),
    }
}

fn in_days(days: i64) -> DateTime<Utc> {
    Utc::now() + TimeDelta::days(days)
}

async fn maintain(lake: &Lake, retention: Retention, now: DateTime<Utc>) -> Maintained {
    lake.tables
        .maintain(&orders().name, &retention, now, false)
        .await
        .unwrap()
}

async fn keys(lake: &Lake) -> BTreeSet<String> {
    let listed = lake.folder.list("curated/orders/").await.unwrap();
    listed.into_iter().map(|file| file.key).collect()
}

/// Every version of the table opens, and each of its files is there.
async fn every_version_is_whole(lake: &Lake) {
    let table = lake.current().await;
    for version in table.versions() {
        let version = VersionRef::Snapshot(version.snapshot_id);
        for file in table.files(&version, None).await.unwrap() {
            assert!(lake.folder.head(&file.key).await.is_ok(), "{}", file.key);
        }
    }
}

/// Four versions: two additions, a replacement of the first file, another addition.
async fn four_versions() -> Lake {
    let lake = Lake::new();
    lake.orders().await;
    lake.append("a", 0..10, DAY).await;
    lake.append("b", 10..20, DAY).await;
    let first = lake.live().await[0].clone();
    let uri = lake.folder.uri(&first);
    let file = lake.file("c", 0..5, Some(DAY)).await;
    lake.commit(tarn_table::Change {
        add: vec![file],
        remove: vec![uri],
        ..change("c")
    })
    .await
    .unwrap();
    lake.append("d", 30..40, DAY).await;
    lake
}

fn numbers(lake: &tarn_table::Table) -> Vec<u64> {
    lake.versions()
        .iter()
        .map(|version| version.number)
        .collect()
}

#[tokio::test]
async fn versions_expire_by_age_but_the_newest_are_kept() {
    let lake = four_versions().await;
    let before = keys(&lake).await;
    let live = lake.live().await;
    let young = maintain(&lake, retention(1), in_days(6)).await;
    assert_eq!(young.expired, [0; 0]);
    assert_eq!(numbers(&lake.current().await), [1, 2, 3, 4]);
    let old = maintain(&lake, retention(2), in_days(8)).await;
    assert_eq!(old.expired, [1, 2]);
    assert_eq!(old.left, [""; 0]);
    assert_eq!(numbers(&lake.current().await), [3, 4]);
    // The file that was replaced was deleted with the versions that named it.
    let replaced: Vec<_> = before
        .iter()
        .filter(|key| key.contains("/data/") && !live.contains(key))
        .collect();
    assert_eq!(replaced.len(), 1);
    assert!(old.deleted.contains_key(replaced[0]), "{old:#?}");
    assert!(old.deleted[replaced[0]].is_some_and(|bytes| bytes > 0));
    let after = keys(&lake).await;
    for key in old.deleted.keys() {
        assert!(!after.contains(key), "{key}");
    }
    assert_eq!(lake.live().await, live);
    every_version_is_whole(&lake).await;
    // The next commit goes on from there, and a second round has nothing to do.
    lake.append("e", 50..60, DAY).await;
    every_version_is_whole(&lake).await;
    let again = maintain(&lake, retention(9), in_days(8)).await;
    assert_eq!(again.expired, [0; 0]);
    assert_eq!(numbers(&lake.current().await), [3, 4, 5]);
}

#[tokio::test]
async fn what_stays_is_exactly_what_the_kept_versions_name() {
    let lake = four_versions().await;
    maintain(&lake, retention(1), in_days(30)).await;
    let after = keys(&lake).await;
    let table = lake.current().await;
    let mut named: BTreeSet<String> = lake.live().await.into_iter().collect();
    named.insert(lake.folder.key_of(table.metadata_location()).unwrap());
    // Data files and the one metadata file; the rest are manifests and their list, and the metadata
    // file that was current before.
    let others: Vec<_> = after.difference(&named).collect();
    let metadata = others.iter().filter(|key| key.ends_with(".metadata.json"));
    assert_eq!(metadata.count(), 1);
    let avro = others.iter().filter(|key| key.ends_with(".avro"));
    assert_eq!(avro.count(), others.len() - 1, "{others:?}");
    let lists = others.iter().filter(|key| key.contains("/snap-")).count();
    assert_eq!(lists, 1);
    assert!(named.is_subset(&after));
    every_version_is_whole(&lake).await;
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let lake = four_versions().await;
    let before = keys(&lake).await;
    let would = lake
        .tables
        .maintain(&orders().name, &retention(1), in_days(8), true)
        .await
        .unwrap();
    assert_eq!(would.expired, [1, 2, 3]);
    assert_eq!(keys(&lake).await, before);
    assert_eq!(numbers(&lake.current().await), [1, 2, 3, 4]);
    let done = maintain(&lake, retention(1), in_days(8)).await;
    assert_eq!(done.expired, would.expired);
    for key in would.deleted.keys() {
        assert!(done.deleted.contains_key(key), "{key}");
    }
}

#[tokio::test]
async fn orphans_go_once_they_are_old_and_strange_files_never() {
    let lake = four_versions().await;
    for key in [
        "curated/orders/data/orphan.parquet",
        "curated/orders/metadata/orphan.avro",
        "curated/orders/data/notes.txt",
        "curated/orders_old/data/other.parquet",
    ] {
        lake.folder
            .put(key, "x".into(), PutMode::IfAbsent)
            .await
            .unwrap();
    }
    let young = maintain(&lake, retention(9), in_days(2)).await;
    assert_eq!(young, Maintained::default());
    let old = maintain(&lake, retention(9), in_days(4)).await;
    assert_eq!(
        old.deleted.keys().collect::<Vec<_>>(),
        [
            "curated/orders/data/orphan.parquet",
            "curated/orders/metadata/orphan.avro"
        ]
    );
    assert!(lake.folder_path("curated/orders/data/notes.txt").exists());
    assert!(
        lake.folder_path("curated/orders_old/data/other.parquet")
            .exists()
    );
    every_version_is_whole(&lake).await;
}

#[tokio::test]
async fn an_index_of_identifiers_lives_as_long_as_its_data_file() {
    let lake = four_versions().await;
    let table = lake.tables.load(&orders().name).await.unwrap().unwrap();
    let files = table.files(&VersionRef::Current, None).await.unwrap();
    let [kept, lost] = [files[0].key.as_str(), "curated/orders/data/gone.parquet"]
        .map(tarn_core::layout::identifiers_key);
    for key in [&kept, &lost] {
        let put = lake.folder.put(key, "x".into(), PutMode::IfAbsent);
        put.await.unwrap();
    }
    let young = maintain(&lake, retention(9), in_days(2)).await;
    assert_eq!(young, Maintained::default());
    let old = maintain(&lake, retention(9), in_days(4)).await;
    assert_eq!(old.deleted.keys().collect::<Vec<_>>(), [&lost]);
    assert!(lake.folder_path(&kept).exists());
}

#[tokio::test]
async fn former_metadata_files_are_kept_as_long_as_versions() {
    let lake = four_versions().await;
    let metadata = |keys: BTreeSet<String>| {
        keys.into_iter()
            .filter(|key| key.ends_with(".metadata.json"))
            .count()
    };
    assert_eq!(metadata(keys(&lake).await), 5);
    maintain(&lake, retention(9), in_days(6)).await;
    assert_eq!(metadata(keys(&lake).await), 5);
    maintain(&lake, retention(9), in_days(8)).await;
    assert_eq!(metadata(keys(&lake).await), 1);
    every_version_is_whole(&lake).await;
}

#[tokio::test]
async fn a_lost_race_and_a_lost_reply_are_seen() {
    for fault in [
        Fault::Refuse,
        Fault::Lose(Error::new(ErrorKind::Storage, "no reply").retryable(true)),
        Fault::Lose(Error::new(ErrorKind::Conflict, "retried by the client")),
    ] {
        let lake = four_versions().await;
        lake.catalog.inject([fault]);
        let done = maintain(&lake, retention(2), in_days(8)).await;
        assert_eq!(done.expired, [1, 2]);
        assert_eq!(numbers(&lake.current().await), [3, 4]);
        let after = keys(&lake).await;
        assert!(done.deleted.keys().all(|key| !after.contains(key)));
        every_version_is_whole(&lake).await;
    }
}

#[tokio::test]
async fn a_swap_that_fails_for_good_deletes_nothing() {
    let lake = four_versions().await;
    let before = keys(&lake).await;
    lake.catalog
        .inject([Fault::Fail(Error::new(ErrorKind::Storage, "access denied"))]);
    let error = lake
        .tables
        .maintain(&orders().name, &retention(1), in_days(8), false)
        .await
        .unwrap_err();
    assert!(!error.is_retryable());
    assert!(before.is_subset(&keys(&lake).await));
    every_version_is_whole(&lake).await;
}

#[tokio::test]
async fn commits_that_go_on_meanwhile_lose_nothing() {
    let lake = Arc::new(four_versions().await);
    let writer = tokio::spawn({
        let lake = lake.clone();
        async move {
            for number in 0..8 {
                let source = format!("w{number}");
                lake.append(&source, number * 100..number * 100 + 10, DAY)
                    .await;
            }
        }
    });
    let mut expired = 0;
    while !writer.is_finished() {
        let retention = Retention {
            keep_for: TimeDelta::zero(),
            ..retention(1)
        };
        expired += maintain(&lake, retention, Utc::now()).await.expired.len();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    writer.await.unwrap();
    assert!(expired > 0);
    assert_eq!(lake.live().await.len(), 3 + 8);
    every_version_is_whole(&lake).await;
}
