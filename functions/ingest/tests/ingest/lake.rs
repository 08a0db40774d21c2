//! A lake for one test.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use tarn_api::query::{QueryRequest, answer};
use tarn_contract::load_dir;
use tarn_core::ports::{Catalog, Ledger, Objects, PutMode};
use tarn_core::schema::{TableName, Zone};
use tarn_ingest::{Batch, Bounds, ingest_batch};
use tarn_lake::{Lake, Message};
use tarn_local::LocalLake;
use tempfile::TempDir;

pub const BUCKET: &str = "tarn-dev-raw-123456789012";
pub const LOG: &str = "raw/web/access_logs/ingest_date=2026-01-31/access.log";
pub const EVENTS: &str = "raw/ads/events/ingest_date=2026-01-31/events.ndjson";

pub struct Fixture {
    pub local: LocalLake,
    pub lake: Lake,
    _folder: TempDir,
}

impl Fixture {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let local = LocalLake::create(folder.path()).unwrap();
        let lake = open(&local);
        Fixture {
            local,
            lake,
            _folder: folder,
        }
    }

    pub async fn put(&self, key: &str, content: impl Into<Bytes>) {
        self.local
            .objects()
            .put(key, content.into(), PutMode::Overwrite)
            .await
            .unwrap();
    }
}

pub fn open(local: &LocalLake) -> Lake {
    open_with(local, local.objects(), local.catalog(), local.ledger())
}

/// A lake in the same folder, with other ports.
pub fn open_with(
    local: &LocalLake,
    objects: Arc<dyn Objects>,
    catalog: Arc<dyn Catalog>,
    ledger: Arc<dyn Ledger>,
) -> Lake {
    Lake::new(objects, catalog, ledger, contracts(), &local.scratch()).with_keys(local.keys())
}

/// The shop's.
pub fn contracts() -> tarn_contract::Contracts {
    // Cargo runs tests in the folder of their package.
    load_dir(Path::new("../../contracts")).unwrap()
}

pub fn sample(path: &str) -> Vec<u8> {
    std::fs::read(format!("../../events/{path}")).unwrap()
}

/// An event of EventBridge about a key.
pub fn created(bucket: &str, key: &str) -> Value {
    let mut event: Value = serde_json::from_slice(&sample("s3/eventbridge_created.json")).unwrap();
    event["detail"]["bucket"]["name"] = bucket.into();
    event["detail"]["object"]["key"] = key.into();
    event
}

/// A batch of messages with these bodies, numbered from 0, delivered for the second time.
pub fn messages(bodies: &[String]) -> Vec<Message> {
    let message = |(number, body): (usize, &String)| Message {
        id: number.to_string(),
        receipt: format!("receipt-{number}"),
        receives: 2,
        body: body.clone(),
    };
    bodies.iter().enumerate().map(message).collect()
}

pub fn about(keys: &[&str]) -> Vec<Message> {
    let bodies: Vec<String> = keys
        .iter()
        .map(|key| created(BUCKET, key).to_string())
        .collect();
    messages(&bodies)
}

pub fn bounds() -> Bounds {
    Bounds {
        bucket: Some(BUCKET.to_owned()),
        until: None,
    }
}

pub async fn deliver(lake: &Lake, keys: &[&str]) -> Batch {
    ingest_batch(about(keys), lake, &bounds()).await
}

/// Numbers of the messages that are to come again.
pub fn failed(batch: &Batch) -> Vec<String> {
    batch.failed().to_vec()
}

/// The deliveries that are to be followed by another soon, as receipt and number of deliveries.
pub fn soon(batch: &Batch) -> Vec<(String, u32)> {
    batch
        .soon()
        .iter()
        .map(|again| (again.receipt.clone(), again.receives))
        .collect()
}

pub fn curated(name: &str) -> TableName {
    TableName::new(Zone::Curated, name)
}

/// The rows that a query answers, as JSON texts in order.
pub async fn query(lake: &Lake, sql: &str) -> Vec<String> {
    let request = QueryRequest {
        sql: sql.to_owned(),
        ..QueryRequest::default()
    };
    let answer = answer(lake, request).await.unwrap();
    let rows = answer.collect().await.unwrap();
    rows.objects()
        .map(|row| Value::from(row).to_string())
        .collect()
}

/// Rows of a table.
pub async fn rows(lake: &Lake, table: &str) -> u64 {
    let table = lake.find_table(table).await.unwrap();
    let versions = lake.table(&table).await.unwrap().versions();
    versions.last().map_or(0, |version| version.rows)
}

/// What the tables hold but for what differs from run to run.
pub async fn contents(lake: &Lake) -> Vec<String> {
    let mut contents = Vec::new();
    for (table, columns) in [
        (
            "ad_events",
            "event_id, event_time, event_type, _source_offset",
        ),
        (
            "web_requests",
            "client_ip, event_time, path, _source_offset",
        ),
        (
            "quarantine_ad_events",
            "event_id, _rule, _reason, _line, _payload_encoding, _payload_bytes, _source_offset",
        ),
        (
            "quarantine_web_requests",
            "_rule, _reason, _line, _payload_encoding, _payload_bytes, _source_offset",
        ),
    ] {
        let sql = format!("SELECT {columns}, _source_uri FROM {table}");
        let mut rows = query(lake, &sql).await;
        rows.sort();
        contents.push(format!("{table}: {rows:#?}"));
    }
    contents
}

/// Makes a database with one product.
pub fn products(path: &Path, name: &str) {
    let database = rusqlite::Connection::open(path).unwrap();
    database
        .execute_batch(
            "CREATE TABLE products (product_id INTEGER PRIMARY KEY, sku TEXT, name TEXT, category TEXT, \
             price_cents INTEGER, cost_cents INTEGER, currency TEXT, active INTEGER)",
        )
        .unwrap();
    database
        .execute(
            "INSERT INTO products VALUES (1, 'A-1', ?1, 'cups', 1250, 700, 'EUR', 1)",
            [name],
        )
        .unwrap();
}
