//! What an ingest reads where reading takes requests: it follows the days of an object and not the size of its
//! table.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use tarn_core::Result;
use tarn_core::ports::{LocalCopy, ObjectInfo, Objects, Original, PutMode};
use tarn_core::run::RunStatus;
use tarn_ingest::ingest;
use tarn_lake::Lake;
use tarn_table::VersionRef;

use crate::doubles::Copying;
use crate::lake::{EVENTS, Fixture, open_with};

/// Objects that hand out copies and parts, and count them.
struct Counting {
    objects: Copying,
    counts: Mutex<Counts>,
}

/// Requests and bytes of reading data files, and requests of all kinds by their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Counts {
    requests: BTreeMap<&'static str, u64>,
    data_files: u64,
    data_bytes: u64,
}

impl Counting {
    fn new(fixture: &Fixture) -> Arc<Self> {
        Arc::new(Counting {
            objects: Copying(fixture.local.objects()),
            counts: Mutex::default(),
        })
    }

    fn lake(self: &Arc<Self>, fixture: &Fixture) -> Lake {
        let local = &fixture.local;
        open_with(local, self.clone(), local.catalog(), local.ledger())
    }

    fn taken(&self) -> Counts {
        std::mem::take(&mut self.counts.lock().unwrap())
    }

    fn count(&self, name: &'static str, key: &str, bytes: u64) {
        let mut counts = self.counts.lock().unwrap();
        *counts.requests.entry(name).or_default() += 1;
        if key.contains("/data/") && name != "put_file" {
            counts.data_files += 1;
            counts.data_bytes += bytes;
        }
    }
}

#[async_trait]
impl Objects for Counting {
    fn uri(&self, key: &str) -> String {
        self.objects.uri(key)
    }
    fn key_of(&self, uri: &str) -> Option<String> {
        self.objects.key_of(uri)
    }
    async fn head(&self, key: &str) -> Result<ObjectInfo> {
        self.count("head", key, 0);
        self.objects.head(key).await
    }
    async fn head_version(&self, key: &str, version: &str) -> Result<ObjectInfo> {
        self.count("head", key, 0);
        self.objects.head_version(key, version).await
    }
    async fn get(&self, key: &str, range: Option<Range<u64>>) -> Result<Bytes> {
        let bytes = self.objects.get(key, range).await?;
        self.count("get", key, bytes.len() as u64);
        Ok(bytes)
    }
    async fn put(&self, key: &str, body: Bytes, mode: PutMode) -> Result<ObjectInfo> {
        self.count("put", key, 0);
        self.objects.put(key, body, mode).await
    }
    async fn put_file(
        &self,
        key: &str,
        path: &Path,
        mode: PutMode,
        original: Original,
    ) -> Result<ObjectInfo> {
        self.count("put_file", key, 0);
        self.objects.put_file(key, path, mode, original).await
    }
    async fn fetch(&self, key: &str) -> Result<LocalCopy> {
        let copy = self.objects.fetch(key).await?;
        let size = std::fs::metadata(copy.path()).unwrap().len();
        self.count("fetch", key, size);
        Ok(copy)
    }
    async fn fetch_version(&self, info: &ObjectInfo) -> Result<LocalCopy> {
        self.count("fetch", &info.key, info.size);
        self.objects.fetch_version(info).await
    }
    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>> {
        self.count("list", prefix, 0);
        self.objects.list(prefix).await
    }
    async fn delete(&self, key: &str) -> Result<()> {
        self.objects.delete(key).await
    }
    async fn presign(&self, key: &str, seconds: u64) -> Result<String> {
        self.objects.presign(key, seconds).await
    }
}

const DAY: i64 = 86_400_000;

/// 2026-01-31.
const LAST: i64 = 1_769_817_600_000;

/// Events of these days before the last one, the same number each.
fn events(days: Range<i64>, each: i64) -> String {
    let mut text = String::new();
    for day in days {
        for number in 0..each {
            let time = LAST - day * DAY + number * 1_000;
            text += &format!(
                "{{\"event_id\":\"00000000-0000-4000-a000-{:012}\",\"event_ts\":{time},\
                 \"event_type\":\"impression\",\"platform\":\"meta\",\"campaign_id\":7,\"ad_id\":701,\
                 \"user_id\":{number},\"device\":\"mobile\",\"placement\":\"feed\",\"country\":\"DE\",\
                 \"cost_micros\":{},\"bid\":1.6348,\"order_id\":null,\"session_id\":\"s{number}\"}}\n",
                day * 1_000 + number,
                number * 7_919 % 100_000,
            );
        }
    }
    text
}

async fn taken(lake: &Lake, key: &str) -> (u64, u64) {
    let run = ingest(lake, key).await.unwrap();
    assert_eq!(run.status, RunStatus::Succeeded, "{run:?}");
    let outcome = &run.datasets[0];
    (outcome.accepted, outcome.rejected)
}

/// What it takes to ingest some events of a day into a table that has a file for each of `days` days.
async fn cost_with(days: i64) -> Counts {
    let fixture = Fixture::new();
    fixture.put(EVENTS, events(0..days, 2)).await;
    assert_eq!(taken(&fixture.lake, EVENTS).await, (2 * days as u64, 0));
    let store = Counting::new(&fixture);
    let lake = store.lake(&fixture);
    let table = lake.find_table("ad_events").await.unwrap();
    let files = lake.table(&table).await.unwrap().versions();
    assert_eq!(files.last().unwrap().files, days as u64);
    store.taken();
    // Two that are there, and one that is new.
    let key = EVENTS.replace("events.ndjson", "more.ndjson");
    fixture.put(&key, events(20..21, 3)).await;
    assert_eq!(taken(&lake, &key).await, (1, 2));
    let counts = store.taken();
    println!("{days} days: {counts:?}");
    counts
}

#[tokio::test]
async fn events_are_compared_with_files_of_the_days_around_them_however_large_the_table() {
    let small = cost_with(100).await;
    // A file's end is one request, and small files are whole then.
    assert_eq!(small.data_files, 15);
    for days in [1_000, 10_000] {
        let large = cost_with(days).await;
        assert_eq!(large.requests, small.requests, "{days}");
        assert_eq!(large.data_files, small.data_files, "{days}");
        assert!(large.data_bytes < small.data_bytes * 11 / 10, "{days}");
    }
}

#[tokio::test]
async fn of_a_large_file_the_identifiers_are_read() {
    let fixture = Fixture::new();
    fixture.put(EVENTS, events(20..21, 60_000)).await;
    assert_eq!(taken(&fixture.lake, EVENTS).await, (60_000, 0));
    let store = Counting::new(&fixture);
    let lake = store.lake(&fixture);
    let table = lake.find_table("ad_events").await.unwrap();
    let files = lake.table(&table).await.unwrap();
    let files = files.files(&VersionRef::Current, None).await.unwrap();
    let size: u64 = files.iter().map(|file| file.bytes).sum();
    store.taken();
    let key = EVENTS.replace("events.ndjson", "more.ndjson");
    fixture.put(&key, events(20..21, 60_001)).await;
    assert_eq!(taken(&lake, &key).await, (1, 60_000));
    let counts = store.taken();
    println!("{size} bytes: {counts:?}");
    assert!(counts.data_bytes < size / 2, "{counts:?} of {size}");
}
