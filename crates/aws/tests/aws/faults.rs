//! What the ports make of services that are slow, fail, or answer into the void.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use chrono::Utc;
use futures::future::join_all;
use serde_json::{Value, json};
use tarn_aws::{CALL_ATTEMPTS, StreamEntry};
use tarn_core::ErrorKind;
use tarn_core::ports::{Catalog, PutMode};
use tarn_core::run::{ObjectRecord, ObjectState};
use tarn_core::schema::{ColumnType, Field, TableName, TableSpec, Zone};

use crate::server::{Answer, Call, Fault, Server, aws};

fn spec() -> TableSpec {
    TableSpec {
        name: TableName::new(Zone::Curated, "orders"),
        doc: String::new(),
        fields: vec![Field::new("id", ColumnType::Long, true)],
        partitioning: None,
        identifier: Vec::new(),
    }
}

/// Glue with one table, which compares versions as Glue does.
#[derive(Default)]
struct Glue {
    table: Mutex<Option<(u64, Value)>>,
}

impl Glue {
    fn answer(&self, call: &Call) -> Answer {
        let mut table = self.table.lock().unwrap();
        let mut input = call.json();
        match (call.what.as_str(), &mut *table) {
            ("GetTable", Some((version, input))) => {
                let mut entry = input.clone();
                entry["VersionId"] = json!(version.to_string());
                Answer::json(json!({"Table": entry}))
            }
            ("GetTable" | "UpdateTable", None) => Answer::error(400, "EntityNotFoundException"),
            ("CreateTable", Some(_)) => Answer::error(400, "AlreadyExistsException"),
            ("CreateTable", none) => {
                *none = Some((1, input["TableInput"].take()));
                Answer::json(json!({}))
            }
            ("UpdateTable", Some((version, there))) => {
                if input["VersionId"] != json!(version.to_string()) {
                    return Answer::error(400, "ConcurrentModificationException");
                }
                *version += 1;
                *there = input["TableInput"].take();
                Answer::json(json!({}))
            }
            (what, _) => panic!("{what}"),
        }
    }

    /// Another writer swaps.
    fn move_on(&self, location: &str) {
        if let Some((version, input)) = &mut *self.table.lock().unwrap() {
            *version += 1;
            input["Parameters"]["metadata_location"] = json!(location);
        }
    }
}

async fn glue() -> (Arc<Glue>, Arc<Server>, Arc<dyn Catalog>) {
    let glue = Arc::new(Glue::default());
    let behind = Arc::clone(&glue);
    let server = Server::start(move |call| behind.answer(call)).await;
    let catalog = aws(&server.url, "t").await.catalog();
    (glue, server, catalog)
}

#[tokio::test]
async fn injected_throttling_and_server_errors_are_retried() {
    let (_, server, catalog) = glue().await;
    let throttled = || Fault::Answer(Answer::error(400, "ThrottlingException"));
    server.inject("CreateTable", [throttled(), throttled()]);
    let failing = Fault::Answer(Answer::error(500, "InternalServiceException"));
    server.inject("CreateTable", [failing]);
    let pointer = catalog
        .swap(&spec(), None, "s3://b/1", &BTreeMap::new())
        .await;
    assert_eq!(pointer.unwrap().version, "1");
    assert_eq!(server.count("CreateTable"), 4);
}

#[tokio::test]
async fn retries_are_bounded_and_their_error_can_be_retried() {
    let (_, server, catalog) = glue().await;
    let throttled = Fault::Answer(Answer::error(400, "ThrottlingException"));
    server.inject("GetTable", vec![throttled; 20]);
    let error = catalog.load(&spec().name).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert!(error.is_retryable(), "{error}");
    assert!(error.to_string().contains("throttled"), "{error}");
    assert_eq!(server.count("GetTable"), CALL_ATTEMPTS as usize);
}

#[tokio::test]
async fn a_refusal_of_rights_is_not_retried_and_names_action_and_resource() {
    let (_, server, catalog) = glue().await;
    let denied = Fault::Answer(Answer::error(400, "AccessDeniedException"));
    server.inject("GetTable", [denied]);
    let error = catalog.load(&spec().name).await.unwrap_err();
    assert!(!error.is_retryable(), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("glue:GetTable on the Glue table t_curated.orders"),
        "{text}"
    );
    assert_eq!(server.count("GetTable"), 1);
}

#[tokio::test]
async fn a_creation_and_a_swap_whose_replies_are_lost_are_seen_as_success() {
    let (_, server, catalog) = glue().await;
    server.inject("CreateTable", [Fault::LoseAnswer]);
    let none = BTreeMap::new();
    let first = catalog
        .swap(&spec(), None, "s3://b/1", &none)
        .await
        .unwrap();
    assert_eq!(first.version, "1");
    assert_eq!(server.count("CreateTable"), 2);
    server.inject("UpdateTable", [Fault::LoseAnswer]);
    let second = catalog
        .swap(&spec(), Some(&first.version), "s3://b/2", &none)
        .await
        .unwrap();
    assert_eq!(second.version, "2");
    assert_eq!(server.count("UpdateTable"), 2);
    assert_eq!(catalog.load(&spec().name).await.unwrap(), Some(second));
}

#[tokio::test]
async fn a_lost_swap_that_others_have_moved_on_from_is_a_conflict() {
    let glue = Arc::new(Glue::default());
    let behind = Arc::clone(&glue);
    let updates = AtomicUsize::new(0);
    let server = Server::start(move |call| {
        if call.what == "UpdateTable" && updates.fetch_add(1, Ordering::Relaxed) == 1 {
            behind.move_on("s3://b/others");
        }
        behind.answer(call)
    })
    .await;
    let catalog = aws(&server.url, "t").await.catalog();
    let none = BTreeMap::new();
    let first = catalog
        .swap(&spec(), None, "s3://b/1", &none)
        .await
        .unwrap();
    server.inject("UpdateTable", [Fault::LoseAnswer]);
    let error = catalog
        .swap(&spec(), Some(&first.version), "s3://b/2", &none)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let now = catalog.load(&spec().name).await.unwrap().unwrap();
    assert_eq!(now.metadata_location, "s3://b/others");
}

#[tokio::test]
async fn a_swap_is_done_even_where_its_version_cannot_be_read_back() {
    let (_, server, catalog) = glue().await;
    let denied = Fault::Answer(Answer::error(400, "AccessDeniedException"));
    server.inject("GetTable", [denied]);
    let none = BTreeMap::new();
    let first = catalog
        .swap(&spec(), None, "s3://b/1", &none)
        .await
        .unwrap();
    assert_eq!(first.metadata_location, "s3://b/1");
    let stale = catalog
        .swap(&spec(), Some(&first.version), "s3://b/2", &none)
        .await;
    assert_eq!(stale.unwrap_err().kind(), ErrorKind::Conflict);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_six_concurrent_swappers_exactly_one_wins_each_round() {
    let (_, server, catalog) = glue().await;
    one_of_six_wins(catalog).await;
    assert!(server.count("UpdateTable") >= 10);
}

/// Ten rounds of six writers that all read the same version.
pub async fn one_of_six_wins(catalog: Arc<dyn Catalog>) {
    let none = BTreeMap::new();
    let mut current = catalog
        .swap(&spec(), None, "s3://b/0", &none)
        .await
        .unwrap();
    for round in 1..=10 {
        let swaps = (0..6).map(|writer| {
            let (catalog, expected, none) = (catalog.clone(), current.version.clone(), &none);
            async move {
                let location = format!("s3://b/{round}-{writer}");
                catalog
                    .swap(&spec(), Some(&expected), &location, none)
                    .await
            }
        });
        let results = join_all(swaps).await;
        let mut winners = Vec::new();
        for result in results {
            match result {
                Ok(pointer) => winners.push(pointer),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
            }
        }
        assert_eq!(winners.len(), 1, "round {round}: {winners:?}");
        current = catalog.load(&spec().name).await.unwrap().unwrap();
        assert_eq!(winners[0], current, "round {round}");
    }
}

fn record() -> ObjectRecord {
    ObjectRecord {
        key: "raw/a.log".to_owned(),
        version: "v".to_owned(),
        sequencer: "1".to_owned(),
        state: ObjectState::Pending,
        run_id: "r".to_owned(),
        reason: None,
        updated_at: Utc::now(),
        revision: 0,
    }
}

#[tokio::test]
async fn a_conditional_write_of_the_ledger_knows_its_own_lost_reply() {
    let kept: Mutex<Option<Value>> = Mutex::default();
    let server = Server::start(move |call| {
        let mut kept = kept.lock().unwrap();
        match &*kept {
            None => {
                *kept = Some(call.json()["Item"].clone());
                Answer::json(json!({}))
            }
            Some(item) => {
                let code = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException";
                let body = json!({"__type": code, "message": "failed", "Item": item});
                Answer::new(400, body.to_string())
            }
        }
    })
    .await;
    let ledger = aws(&server.url, "t").await.ledger();
    server.inject("PutItem", [Fault::LoseAnswer]);
    assert_eq!(ledger.put_object(&record(), None).await.unwrap(), 1);
    assert_eq!(server.count("PutItem"), 2);
    // Another writer's item is there now, from this call's point of view.
    let error = ledger.put_object(&record(), None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(
        error
            .to_string()
            .contains("expected revision none, found 1"),
        "{error}"
    );
}

fn entries(count: usize) -> Vec<StreamEntry> {
    (0..count)
        .map(|n| StreamEntry {
            partition_key: format!("key-{n}"),
            data: n.to_string().into_bytes(),
        })
        .collect()
}

/// A stream that refuses the records for which `refuse` says so, given the number of the call.
async fn stream_that_refuses(
    refuse: impl Fn(usize, usize) -> bool + Send + Sync + 'static,
) -> (Arc<Server>, Arc<Mutex<Vec<Vec<String>>>>) {
    let calls: Arc<Mutex<Vec<Vec<String>>>> = Arc::default();
    let seen = Arc::clone(&calls);
    let server = Server::start(move |call| {
        let body = call.json();
        let records = body["Records"].as_array().unwrap();
        let mut calls = seen.lock().unwrap();
        let number = calls.len();
        let keys = records
            .iter()
            .map(|record| record["PartitionKey"].as_str().unwrap());
        calls.push(keys.map(str::to_owned).collect());
        let verdicts: Vec<_> = (0..records.len())
            .map(|index| {
                if refuse(number, index) {
                    json!({
                        "ErrorCode": "ProvisionedThroughputExceededException",
                        "ErrorMessage": "Rate exceeded",
                    })
                } else {
                    json!({"SequenceNumber": "1", "ShardId": "s"})
                }
            })
            .collect();
        let refused = verdicts
            .iter()
            .filter(|verdict| !verdict["ErrorCode"].is_null());
        Answer::json(json!({"FailedRecordCount": refused.count(), "Records": verdicts}))
    })
    .await;
    (server, calls)
}

#[tokio::test]
async fn only_refused_records_are_streamed_again_and_chunks_are_what_kinesis_takes() {
    // The first call refuses every third record.
    let (server, calls) = stream_that_refuses(|call, index| call == 0 && index % 3 == 0).await;
    let stream = aws(&server.url, "t").await.stream("events");
    assert_eq!(stream.put(entries(1_200)).await.unwrap(), 1_200);
    let calls = calls.lock().unwrap();
    let sizes: Vec<_> = calls.iter().map(Vec::len).collect();
    assert_eq!(sizes, [500, 167, 500, 200]);
    let again: Vec<_> = (0..500).step_by(3).map(|n| format!("key-{n}")).collect();
    assert_eq!(calls[1], again);
}

#[tokio::test]
async fn chunks_have_at_most_five_mebibytes_and_too_large_records_are_refused_before_any() {
    let (server, calls) = stream_that_refuses(|_, _| false).await;
    let stream = aws(&server.url, "t").await.stream("events");
    let of = |bytes: usize| StreamEntry {
        partition_key: "k".to_owned(),
        data: vec![0; bytes],
    };
    assert_eq!(stream.put(vec![of((1 << 20) - 1); 11]).await.unwrap(), 11);
    let sizes: Vec<_> = calls.lock().unwrap().iter().map(Vec::len).collect();
    assert_eq!(sizes, [5, 5, 1]);
    let bad = [
        of(1 << 20),
        StreamEntry {
            partition_key: String::new(),
            data: Vec::new(),
        },
    ];
    for entry in bad {
        let error = stream.put(vec![of(1), entry]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadRequest);
        assert!(error.to_string().starts_with("record 2"), "{error}");
    }
    assert_eq!(calls.lock().unwrap().len(), 3);
    assert_eq!(stream.put(Vec::new()).await.unwrap(), 0);
}

#[tokio::test]
async fn records_that_are_never_accepted_are_counted_in_the_error() {
    let (server, calls) = stream_that_refuses(|call, index| index == 0 || call > 0).await;
    let stream = aws(&server.url, "t").await.stream("events");
    let error = stream.put(entries(600)).await.unwrap_err();
    assert!(error.is_retryable());
    let text = error.to_string();
    assert!(
        text.contains("101 of 600 records were not accepted"),
        "{text}"
    );
    assert!(text.contains("Rate exceeded"), "{text}");
    assert_eq!(calls.lock().unwrap().len(), 10);
}

const CONTENT: &str = "0123456789";

#[tokio::test]
async fn a_transfer_that_breaks_off_goes_on_where_it_stopped() {
    let begins: Arc<Mutex<Vec<[Option<String>; 2]>>> = Arc::default();
    let seen = Arc::clone(&begins);
    let server = Server::start(move |call| {
        let range = call.header("range").map(str::to_owned);
        let tag = call.header("if-match").map(str::to_owned);
        let from: usize = match &range {
            Some(range) => range[6..range.len() - 1].parse().unwrap(),
            None => 0,
        };
        seen.lock().unwrap().push([range, tag]);
        let mut answer = Answer::new(if from == 0 { 200 } else { 206 }, &CONTENT[from..]);
        answer.cut_at = (from < 6).then_some(3);
        answer.with("etag", "\"tag\"")
    })
    .await;
    let objects = aws(&server.url, "t").await.objects();
    let bytes = objects.get("raw/a", None).await.unwrap();
    assert_eq!(bytes, CONTENT);
    let of = |range: &str| [range, "\"tag\""].map(|text| Some(text.to_owned()));
    let expected = vec![[None, None], of("bytes=3-"), of("bytes=6-")];
    assert_eq!(*begins.lock().unwrap(), expected);
    let copy = objects.fetch("raw/a").await.unwrap();
    assert_eq!(std::fs::read_to_string(copy.path()).unwrap(), CONTENT);
}

#[tokio::test]
async fn a_transfer_that_always_breaks_off_is_given_up_with_an_error_that_can_be_retried() {
    let server = Server::start(|_| Answer {
        cut_at: Some(0),
        ..Answer::new(200, CONTENT).with("etag", "\"tag\"")
    })
    .await;
    let objects = aws(&server.url, "t").await.objects();
    let error = objects.get("raw/a", None).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert_eq!(server.count("GET"), 5);
}

#[tokio::test]
async fn a_put_if_absent_knows_its_own_lost_reply() {
    let token: Mutex<Option<String>> = Mutex::default();
    let server = Server::start(move |call| {
        let mut token = token.lock().unwrap();
        match (call.what.as_str(), &*token) {
            ("PUT", None) => {
                *token = call.header("x-amz-meta-tarn-put").map(str::to_owned);
                Answer::new(200, "").with("etag", "\"tag\"")
            }
            ("PUT", Some(_)) => Answer::new(
                412,
                "<Error><Code>PreconditionFailed</Code><Message>there</Message></Error>",
            ),
            (_, token) => Answer::new(200, "")
                .with("etag", "\"tag\"")
                .with("last-modified", "Sat, 31 Jan 2026 00:00:00 GMT")
                .with("x-amz-meta-tarn-put", token.as_deref().unwrap_or("none")),
        }
    })
    .await;
    let objects = aws(&server.url, "t").await.objects();
    server.inject("PUT", [Fault::LoseAnswer]);
    let body = Bytes::from_static(b"body");
    let info = objects
        .put("curated/t/metadata/1", body.clone(), PutMode::IfAbsent)
        .await
        .unwrap();
    assert_eq!((info.version.as_str(), info.size), ("etag:tag", 4));
    assert_eq!(server.count("PUT"), 2);
    let again = objects
        .put("curated/t/metadata/1", body, PutMode::IfAbsent)
        .await;
    assert_eq!(again.unwrap_err().kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn a_conflict_with_a_concurrent_request_for_the_key_is_begun_again() {
    let server = Server::start(|call| match call.what.as_str() {
        "PUT" => Answer::new(200, "").with("etag", "\"tag\""),
        _ => Answer::new(404, ""),
    })
    .await;
    let body = "<Error><Code>ConditionalRequestConflict</Code><Message>busy</Message></Error>";
    server.inject("PUT", vec![Fault::Answer(Answer::new(409, body)); 2]);
    let objects = aws(&server.url, "t").await.objects();
    let put = objects.put("curated/t/1", Bytes::new(), PutMode::IfAbsent);
    put.await.unwrap();
    assert!(server.count("PUT") >= 3);
}

#[tokio::test]
async fn a_service_that_cannot_be_reached_says_so_soon() {
    let catalog = aws("http://127.0.0.1:9", "t").await.catalog();
    let begin = Instant::now();
    let error = catalog.load(&spec().name).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert!(error.to_string().contains("AWS_ENDPOINT_URL"), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(30));
}

#[tokio::test]
async fn a_table_of_glue_that_is_not_iceberg_is_left_alone() {
    let (glue, _, catalog) = glue().await;
    let entry = json!({"Name": "orders", "Parameters": {"classification": "csv"}});
    *glue.table.lock().unwrap() = Some((1, entry));
    let error = catalog.load(&spec().name).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let none = BTreeMap::new();
    let swap = catalog.swap(&spec(), None, "s3://b/1", &none).await;
    assert!(swap.is_err());
}
