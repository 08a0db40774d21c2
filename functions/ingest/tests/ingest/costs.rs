//! What an ingest reads where reading takes requests: it follows the days of an object and not the size of its
//! table.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use tarn_contract::{Contracts, parse_str};
use tarn_core::ports::PutMode;
use tarn_core::run::RunStatus;
use tarn_ingest::ingest;
use tarn_lake::Lake;
use tarn_table::VersionRef;

use crate::doubles::{Copying, Counts};
use crate::lake::{EVENTS, Fixture, contracts, open_with, query};

/// A fixture's lake over objects that are counted.
fn counted(fixture: &Fixture) -> (Arc<Copying>, Lake) {
    let local = &fixture.local;
    let store = Arc::new(Copying::new(local.objects()));
    let lake = open_with(local, store.clone(), local.catalog(), local.ledger());
    (store, lake)
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

/// What it takes to ingest some events of a day into a table that has a file for each of `days` days, and to count the
/// rows of a day once its metadata is known.
async fn cost_with(days: i64) -> [Counts; 2] {
    let fixture = Fixture::new();
    fixture.put(EVENTS, events(0..days, 2)).await;
    assert_eq!(taken(&fixture.lake, EVENTS).await, (2 * days as u64, 0));
    let (store, lake) = counted(&fixture);
    let table = lake.find_table("ad_events").await.unwrap();
    let files = lake.table(&table).await.unwrap().versions();
    assert_eq!(files.last().unwrap().files, days as u64);
    store.taken();
    // Two that are there, and one that is new.
    let key = EVENTS.replace("events.ndjson", "more.ndjson");
    fixture.put(&key, events(20..21, 3)).await;
    assert_eq!(taken(&lake, &key).await, (1, 2));
    let ingest = store.taken();
    let sql = "SELECT COUNT(*) AS n FROM ad_events \
               WHERE event_time >= '2026-01-11' AND event_time < '2026-01-12'";
    assert_eq!(query(&lake, sql).await, [r#"{"n":3}"#]);
    store.taken();
    let begun = Instant::now();
    assert_eq!(query(&lake, sql).await, [r#"{"n":3}"#]);
    let seconds = begun.elapsed().as_secs_f64();
    let counted = store.taken();
    println!("{days} days: {ingest:?}; a query in {seconds:.3} s: {counted:?}");
    [ingest, counted]
}

#[tokio::test]
async fn events_are_compared_with_files_of_the_days_around_them_however_large_the_table() {
    let small = cost_with(100).await;
    // A file's end is one request, and small files are whole then.
    assert_eq!(small[0].data_files, 15);
    // One column of the two files of the day.
    assert_eq!(small[1].requests, BTreeMap::from([("get", 2)]));
    // Back to the year 2000: what is earlier is not taken for the time of an event.
    for days in [1_000, 9_500] {
        for (small, large) in small.iter().zip(cost_with(days).await) {
            assert_eq!(large.requests, small.requests, "{days}");
            assert_eq!(large.data_files, small.data_files, "{days}");
            assert!(large.data_bytes < small.data_bytes * 11 / 10, "{days}");
        }
    }
}

#[tokio::test]
async fn values_that_rows_refer_to_are_read_once_while_their_table_stands() {
    let fixture = Fixture::new();
    let folder = tempfile::tempdir().unwrap();
    let shop = |orders: i64| {
        let path = folder.path().join(format!("{orders}.sqlite"));
        orders_of(&path, orders);
        std::fs::read(path).unwrap()
    };
    let database = "raw/shop/database/shop.sqlite";
    fixture.put(database, shop(1)).await;
    let (store, lake) = counted(&fixture);
    let lake = lake.with_contracts(with_reference());
    let run = ingest(&lake, database).await.unwrap();
    assert_eq!(run.status, RunStatus::Succeeded, "{run:?}");
    let conversion = |number: i64| events(number..number + 1, 1).replace("null", "2");
    let mut read = Vec::new();
    for number in 0..3 {
        let key = EVENTS.replace("events.ndjson", &format!("{number}.ndjson"));
        fixture.put(&key, conversion(100 * number)).await;
        store.taken();
        let run = ingest(&lake, &key).await.unwrap();
        let mut checks = run.datasets[0].checks.iter();
        let strange = checks.find(|check| check.id.starts_with("order_id.reference"));
        let strange = strange.unwrap_or_else(|| panic!("{run:?}"));
        read.push((store.taken().data_files, strange.failed));
        if number == 1 {
            fixture.put(database, shop(2)).await;
            let run = ingest(&lake, database).await.unwrap();
            assert_eq!(run.status, RunStatus::Succeeded, "{run:?}");
        }
    }
    // A new version of the orders is read again, and has the order.
    assert_eq!(read, [(1, 1), (0, 1), (1, 0)]);
}

/// The shop's contracts, with a rule that conversions name orders that there are.
fn with_reference() -> Contracts {
    let relationship = "          - to: orders.order_id\n";
    let rule = "        quality:\n          - { type: custom, engine: tarn, implementation: { kind: reference }, \
                mustBe: 0, severity: warn }\n";
    with(relationship, rule)
}

/// The shop's contracts, with this rule of events after a line.
fn with(line: &str, rule: &str) -> Contracts {
    let file = "../../contracts/ad_events.odcs.yaml";
    let text = std::fs::read_to_string(file).unwrap();
    let changed = text.replacen(line, &format!("{line}{rule}"), 1);
    assert_ne!(changed, text);
    let events = parse_str(file, &changed).unwrap();
    let all = contracts();
    let others = all
        .iter()
        .filter(|contract| contract.dataset != events.dataset);
    Contracts::new(others.cloned().chain([events.clone()]))
}

/// Makes a database with these orders.
fn orders_of(path: &Path, orders: i64) {
    let database = rusqlite::Connection::open(path).unwrap();
    database
        .execute_batch(
            "CREATE TABLE customers(customer_id INTEGER, email TEXT, name TEXT, country TEXT, created_at TEXT, \
                 segment TEXT, marketing_consent INTEGER);
             CREATE TABLE products(product_id INTEGER, sku TEXT, name TEXT, category TEXT, price_cents INTEGER, \
                 cost_cents INTEGER, currency TEXT, active INTEGER);
             CREATE TABLE orders(order_id INTEGER, customer_id INTEGER, order_ts TEXT, status TEXT, channel TEXT, \
                 country TEXT, currency TEXT, total_cents INTEGER, discount_cents INTEGER, shipping_cents INTEGER, \
                 coupon TEXT, campaign_id INTEGER);
             CREATE TABLE order_items(item_id INTEGER, order_id INTEGER, product_id INTEGER, quantity INTEGER, \
                 unit_price_cents INTEGER, currency TEXT);
             CREATE TABLE payments(payment_id INTEGER, order_id INTEGER, paid_at TEXT, method TEXT, status TEXT, \
                 amount TEXT, currency TEXT);
             CREATE TABLE refunds(refund_id INTEGER, order_id INTEGER, refunded_at TEXT, amount REAL, currency TEXT, \
                 reason TEXT);",
        )
        .unwrap();
    let order = "INSERT INTO orders VALUES (?1, 1, '2026-01-01 06:15:06', 'shipped', 'app', 'FR', 'EUR', 0, 0, 0, \
                 NULL, NULL)";
    for number in 1..=orders {
        database.execute(order, [number]).unwrap();
    }
}

#[tokio::test]
async fn a_rule_in_sql_reads_the_files_that_its_conditions_leave() {
    let mut read = Vec::new();
    for (condition, rows) in [
        ("cost < 0", 0.0),
        (
            "event_time >= '2026-01-01' AND event_time < '2026-01-02' AND ad_id > 700",
            2.0,
        ),
        // The rows that are about to be committed count.
        (
            "event_time >= '2026-01-11' AND event_time < '2026-01-12' AND ad_id > 700",
            3.0,
        ),
        ("ad_id > 700", 201.0),
    ] {
        let fixture = Fixture::new();
        fixture.put(EVENTS, events(0..100, 2)).await;
        assert_eq!(taken(&fixture.lake, EVENTS).await, (200, 0));
        let (store, lake) = counted(&fixture);
        let rule = format!(
            "      - {{ name: counted, type: sql, query: \"SELECT COUNT(*) FROM ${{object}} WHERE {condition}\", \
             mustBe: -1, severity: warn }}\n"
        );
        let lake = lake.with_contracts(with("    quality:\n", &rule));
        let key = EVENTS.replace("events.ndjson", "more.ndjson");
        fixture.put(&key, events(20..21, 3)).await;
        let run = ingest(&lake, &key).await.unwrap();
        assert_eq!(run.status, RunStatus::Succeeded, "{run:?}");
        let checks = &run.datasets[0].checks;
        let counted = checks.iter().find(|check| check.value == Some(rows));
        assert!(counted.is_some(), "{checks:?}");
        read.push(store.taken().data_files);
    }
    // The files of the days around the events are read for their identifiers, as without a rule. Of a file that
    // the rule reads, its end and the column.
    assert_eq!(read, [15, 17, 17, 215]);
}

#[tokio::test]
async fn of_a_large_file_the_identifiers_are_read() {
    let fixture = Fixture::new();
    fixture.put(EVENTS, events(20..21, 60_000)).await;
    assert_eq!(taken(&fixture.lake, EVENTS).await, (60_000, 0));
    let (store, lake) = counted(&fixture);
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

#[tokio::test]
async fn of_a_larger_file_an_index_of_the_identifiers_is_kept() {
    let fixture = Fixture::new();
    let many = 70_000;
    fixture.put(EVENTS, events(20..21, many)).await;
    assert_eq!(taken(&fixture.lake, EVENTS).await, (many as u64, 0));
    let ingested = async |lake: &Lake, name: &str, first: i64, count: i64| {
        let key = EVENTS.replace("events.ndjson", name);
        let lines = events(20..21, first + count);
        let lines: String = lines.split_inclusive('\n').skip(first as usize).collect();
        fixture.put(&key, lines).await;
        taken(lake, &key).await
    };
    let index = |lake: &Lake| {
        let lake = lake.clone();
        async move {
            let keys = lake.objects.keys("curated/ad_events/").await.unwrap();
            let mut keys = keys.into_iter();
            keys.find(|key| key.ends_with(".identifiers"))
        }
    };
    // The first ingest reads the identifiers, and makes the index; one that is to write nothing does not keep it.
    let (_, lake) = counted(&fixture);
    let dry = EVENTS.replace("events.ndjson", "dry.ndjson");
    fixture.put(&dry, events(20..21, 1)).await;
    let run = tarn_ingest::dry_run(&lake, &dry, false).await.unwrap();
    assert_eq!(run[0].outcome.rejected, 1, "{run:?}");
    assert_eq!(index(&lake).await, None);
    let (_, lake) = counted(&fixture);
    assert_eq!(ingested(&lake, "made.ndjson", many, 2).await, (2, 0));
    let index = index(&lake).await.unwrap();
    // Another process reads the index and neither the file nor, again, the index.
    let (store, lake) = counted(&fixture);
    let size = lake.objects.head(&index).await.unwrap().size;
    assert!(size < 4 * many as u64 * 11 / 10, "{size}");
    store.taken();
    assert_eq!(ingested(&lake, "new.ndjson", many + 2, 2).await, (2, 0));
    let first = store.taken();
    assert_eq!(ingested(&lake, "newer.ndjson", many + 4, 2).await, (2, 0));
    let second = store.taken();
    println!("{size} bytes of index; {first:?}; {second:?}");
    // Small files of the same day are read: one before the first of them, two before the second.
    assert_eq!((first.data_files, second.data_files), (2, 2));
    // An event that is there is found where its index has it, and the file is read once.
    assert_eq!(ingested(&lake, "again.ndjson", many - 1, 1).await, (0, 1));
    // Without the index, or with a damaged one, the answers are the same, and it is made again.
    for body in [None, Some("no index")] {
        let (_, lake) = counted(&fixture);
        match body {
            None => lake.objects.delete(&index).await.unwrap(),
            Some(body) => {
                let put = lake.objects.put(&index, body.into(), PutMode::Overwrite);
                put.await.unwrap();
            }
        }
        let name = format!("mended-{}.ndjson", body.is_some());
        assert_eq!(ingested(&lake, &name, 5, 7).await, (0, 7));
        assert_eq!(lake.objects.head(&index).await.unwrap().size, size);
    }
}

#[tokio::test]
async fn the_metadata_of_a_version_is_read_once() {
    let fixture = Fixture::new();
    fixture.put(EVENTS, events(0..30, 2)).await;
    assert_eq!(taken(&fixture.lake, EVENTS).await, (60, 0));
    let (store, lake) = counted(&fixture);
    let sql = "SELECT COUNT(*) AS n FROM ad_events WHERE event_time >= '2026-01-30'";
    let metadata = |counts: &Counts| counts.requests["get"] - counts.data_files;
    assert_eq!(query(&lake, sql).await, [r#"{"n":4}"#]);
    let first = store.taken();
    // Metadata file, manifest list and manifest.
    assert_eq!(metadata(&first), 3, "{first:?}");
    // Of each of two files the end and a column.
    assert_eq!(first.data_files, 4, "{first:?}");
    assert_eq!(query(&lake, sql).await, [r#"{"n":4}"#]);
    let again = store.taken();
    assert_eq!(metadata(&again), 0, "{again:?}");
    // The footers are known too.
    assert_eq!(again.data_files, 2, "{again:?}");
}
