#![allow(clippy::unwrap_used)]

use std::io::Read;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD as STANDARD;
use bytes::Bytes;
use chrono::DateTime;
use tarn_contract::{Contracts, load_dir};
use tarn_core::ports::{LocalCopy, ObjectInfo, Objects, Original, PutMode};
use tarn_core::{Error, ErrorKind, Result};
use tarn_local::LocalLake;
use tempfile::TempDir;

use super::*;
use crate::stream_contract;

const FIRST: &str = "49590338271490256608559692538361571095921575989136588898";

fn batch() -> Vec<(String, StreamRecord)> {
    let text = std::fs::read_to_string("../../events/kinesis/batch.json").unwrap();
    let event: serde_json::Value = serde_json::from_str(&text).unwrap();
    let records = event["Records"].as_array().unwrap();
    records
        .iter()
        .map(|record| {
            let id = record["eventID"].as_str().unwrap();
            let kinesis = &record["kinesis"];
            let arrived = kinesis["approximateArrivalTimestamp"].as_f64().unwrap();
            let record = StreamRecord {
                sequence_number: kinesis["sequenceNumber"].as_str().unwrap().to_owned(),
                arrived_at: DateTime::from_timestamp_millis((arrived * 1e3).round() as i64)
                    .unwrap(),
                partition_key: kinesis["partitionKey"].as_str().unwrap().to_owned(),
                data: STANDARD.decode(kinesis["data"].as_str().unwrap()).unwrap(),
            };
            (id.split(':').next().unwrap().to_owned(), record)
        })
        .collect()
}

fn contracts() -> Contracts {
    load_dir(Path::new("../../contracts")).unwrap()
}

fn lake_in(folder: &TempDir) -> (LocalLake, Lake) {
    let local = LocalLake::create(folder.path()).unwrap();
    let lake = Lake::new(
        local.objects(),
        local.catalog(),
        local.ledger(),
        contracts(),
        &local.scratch(),
    );
    (local, lake)
}

async fn lines(lake: &Lake, key: &str) -> Vec<serde_json::Value> {
    let bytes = lake.objects.get(key, None).await.unwrap();
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(bytes.as_ref())
        .read_to_string(&mut text)
        .unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn a_batch_becomes_one_object_that_holds_whatever_its_records_hold() {
    let folder = tempfile::tempdir().unwrap();
    let (_local, lake) = lake_in(&folder);
    let contract = stream_contract(&lake, Some("ad_events")).unwrap();
    let archived = archive_batch(batch(), &lake, contract, "tarn-dev-events").await;
    assert_eq!(archived.response().batch_item_failures, []);
    assert_eq!(archived.events, 7);
    let [key] = archived.keys.as_slice() else {
        panic!("{:?}", archived.keys)
    };
    assert!(
        key.starts_with(
            "raw/ads/events/ingest_date=2026-01-31/tarn-dev-events-shardId-000000000006-"
        ),
        "{key}"
    );
    let lines = lines(&lake, key).await;
    assert_eq!(lines[0]["shard"], "shardId-000000000006");
    assert_eq!(lines.len(), 8);
    assert_eq!(lines[1]["sequence_number"], FIRST);
    assert_eq!(lines[1]["arrival_time"], "2026-01-31T10:00:00.987000Z");
    assert_eq!(lines[2]["data_base64"], "//4gbm90IHRleHQ=");
    // Three events came out of one record; the last is not JSON.
    assert_eq!(lines[3]["partition_key"], "user-7");
    assert!(
        lines[5]["sequence_number"]
            .as_str()
            .unwrap()
            .ends_with(".2")
    );
    assert_eq!(lines[5]["data"], "no json");
    // The broken aggregate is there with all its bytes.
    assert!(
        lines[6]["data_base64"]
            .as_str()
            .unwrap()
            .starts_with("84mawg")
    );
    assert_eq!(lines[7]["data"], "");
}

#[tokio::test]
async fn the_same_batch_again_makes_the_same_object() {
    let folder = tempfile::tempdir().unwrap();
    let (_local, lake) = lake_in(&folder);
    let contract = stream_contract(&lake, Some("ad_events")).unwrap();
    let first = archive_batch(batch(), &lake, contract, "s").await;
    let before = lake.objects.head(&first.keys[0]).await.unwrap();
    let mut shuffled = batch();
    shuffled.reverse();
    let second = archive_batch(shuffled, &lake, contract, "s").await;
    assert_eq!(second.keys, first.keys);
    let after = lake.objects.head(&first.keys[0]).await.unwrap();
    assert_eq!(after.version, before.version);
    assert_eq!(lake.objects.list("raw/").await.unwrap().len(), 1);
}

/// Refuses every put whose key has this text in it.
struct Refusing(Arc<dyn Objects>, &'static str);

#[async_trait]
impl Objects for Refusing {
    fn uri(&self, key: &str) -> String {
        self.0.uri(key)
    }
    fn key_of(&self, uri: &str) -> Option<String> {
        self.0.key_of(uri)
    }
    async fn head(&self, key: &str) -> Result<ObjectInfo> {
        self.0.head(key).await
    }
    async fn head_version(&self, key: &str, version: &str) -> Result<ObjectInfo> {
        self.0.head_version(key, version).await
    }
    async fn get(&self, key: &str, range: Option<Range<u64>>) -> Result<Bytes> {
        self.0.get(key, range).await
    }
    async fn put(&self, key: &str, body: Bytes, mode: PutMode) -> Result<ObjectInfo> {
        if key.contains(self.1) {
            return Err(Error::new(ErrorKind::Storage, "slow down").retryable(true));
        }
        self.0.put(key, body, mode).await
    }
    async fn put_file(
        &self,
        key: &str,
        path: &Path,
        mode: PutMode,
        original: Original,
    ) -> Result<ObjectInfo> {
        self.0.put_file(key, path, mode, original).await
    }
    async fn fetch(&self, key: &str) -> Result<LocalCopy> {
        self.0.fetch(key).await
    }
    async fn fetch_version(&self, info: &ObjectInfo) -> Result<LocalCopy> {
        self.0.fetch_version(info).await
    }
    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>> {
        self.0.list(prefix).await
    }
    async fn delete(&self, key: &str) -> Result<()> {
        self.0.delete(key).await
    }
    async fn presign(&self, key: &str, seconds: u64) -> Result<String> {
        self.0.presign(key, seconds).await
    }
}

#[tokio::test]
async fn what_could_not_be_put_is_delivered_again_from_its_lowest_sequence_number() {
    let folder = tempfile::tempdir().unwrap();
    let (local, _) = lake_in(&folder);
    let lake = Lake::new(
        Arc::new(Refusing(local.objects(), "shardId-000000000006")),
        local.catalog(),
        local.ledger(),
        contracts(),
        &local.scratch(),
    );
    let contract = stream_contract(&lake, Some("ad_events")).unwrap();
    let mut records = batch();
    records.reverse();
    // A shorter number is a lower one, whatever its digits.
    let mut other = records[0].clone();
    other.0 = "shardId-000000000007".to_owned();
    other.1.sequence_number = "99".to_owned();
    records.push(other);
    let archived = archive_batch(records, &lake, contract, "s").await;
    let failures = archived.response().batch_item_failures;
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].item_identifier, FIRST);
    assert_eq!(
        serde_json::to_value(archived.response()).unwrap(),
        serde_json::json!({ "batchItemFailures": [{ "itemIdentifier": FIRST }] })
    );
    // The other shard's object was put.
    assert_eq!(archived.keys.len(), 1);
}

#[test]
fn sequence_numbers_are_compared_as_numbers() {
    for (a, b, expected) in [
        ("9", "10", Ordering::Less),
        ("010", "9", Ordering::Greater),
        ("12", "12", Ordering::Equal),
        ("", "1", Ordering::Less),
    ] {
        assert_eq!(by_number(a, b), expected, "{a} {b}");
    }
}
