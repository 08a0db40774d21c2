//! The outcomes of the messages of a batch.

use std::collections::BTreeSet;
use std::time::Instant;

use serde_json::Value;
use tarn_core::run::{ObjectState, RunStatus, SkipReason};
use tarn_ingest::{Bounds, ingest_batch};

use crate::lake::{
    BUCKET, EVENTS, Fixture, LOG, about, bounds, created, curated, deliver, failed, messages,
    query, rows, sample,
};

#[tokio::test]
async fn the_sample_batch_names_one_object_twice_and_ingests_it_once() {
    let fixture = Fixture::new();
    let key =
        "raw/web/access_logs/ingest_date=2026-01-31/file name with spaces + plus ünïçode %41.log";
    fixture.put(key, sample("access_log/combined.log")).await;
    let event: Value = serde_json::from_slice(&sample("s3/sqs_batch.json")).unwrap();
    let records = event["Records"].as_array().unwrap();
    let bodies: Vec<String> = records
        .iter()
        .map(|record| record["body"].as_str().unwrap().to_owned())
        .collect();
    let batch = ingest_batch(messages(&bodies), &fixture.lake, &bounds()).await;
    assert_eq!(failed(&batch), [""; 0]);
    assert_eq!(batch.changed, BTreeSet::from([curated("web_requests")]));
    let [ingested] = batch.ingested.as_slice() else {
        panic!("{:?}", batch.ingested)
    };
    assert_eq!(ingested.run.status, RunStatus::Succeeded);
    assert_eq!(ingested.run.received(), 4);
    assert!(ingested.put_at.is_some());
    assert_eq!(rows(&fixture.lake, "web_requests").await, 4);
}

#[tokio::test]
async fn a_poison_file_fails_its_message_and_no_other() {
    let fixture = Fixture::new();
    fixture.put(LOG, sample("access_log/combined.log")).await;
    let poison = "raw/shop/database/ingest_date=2026-01-31/shop.sqlite";
    fixture.put(poison, &b"no database"[..]).await;
    let keys = [poison, LOG];
    let batch = deliver(&fixture.lake, &keys).await;
    assert_eq!(failed(&batch), ["0"]);
    assert_eq!(batch.changed, BTreeSet::from([curated("web_requests")]));
    assert_eq!(batch.ingested[0].run.status, RunStatus::Failed);
    assert_eq!(
        batch.ingested[0].run.error_kind.as_deref(),
        Some("bad_source")
    );
    // It fails again as long as nothing has changed, so that it ends in the dead-letter queue.
    let again = deliver(&fixture.lake, &keys[..1]).await;
    assert_eq!(failed(&again), ["0"]);
    let record = fixture.lake.ledger.object(poison).await.unwrap().unwrap();
    assert_eq!(record.state, ObjectState::Failed);
}

#[tokio::test]
async fn the_ledger_remembers_when_a_dataset_got_rows_last() {
    let fixture = Fixture::new();
    let committed = async |dataset: &str| {
        let seen = fixture.lake.seen(dataset).await.unwrap();
        seen.committed
    };
    fixture.put(EVENTS, sample("ads/events.ndjson")).await;
    // Not one of its lines is a request.
    let broken = "raw/web/access_logs/ingest_date=2026-01-31/broken.log";
    fixture.put(broken, &b"no request\n"[..]).await;
    let batch = deliver(&fixture.lake, &[EVENTS, broken]).await;
    assert_eq!(failed(&batch), [""; 0]);
    let ended = batch.ingested[0].run.ended_at.unwrap();
    let found = committed("ad_events").await.unwrap();
    // The ledger keeps microseconds.
    assert_eq!(found.timestamp_micros(), ended.timestamp_micros());
    assert_eq!(committed("web_requests").await, None);
    fixture.put(LOG, sample("access_log/combined.log")).await;
    deliver(&fixture.lake, &[LOG, EVENTS]).await;
    assert!(committed("web_requests").await.unwrap() > found);
    // An object that was committed before is not committed again.
    assert_eq!(committed("ad_events").await, Some(found));
}

#[tokio::test]
async fn a_folder_made_in_a_console_is_skipped_with_a_reason() {
    let fixture = Fixture::new();
    fixture.put(LOG, sample("access_log/combined.log")).await;
    let folders = [
        "raw/",
        "raw/web/access_logs/",
        "raw/web/access_logs/ingest_date=2026-01-31/",
    ];
    let batch = deliver(&fixture.lake, &[&folders[..], &[LOG]].concat()).await;
    assert_eq!(failed(&batch), [""; 0]);
    assert_eq!(batch.changed, BTreeSet::from([curated("web_requests")]));
    for (ingested, key) in batch.ingested.iter().zip(folders) {
        let run = &ingested.run;
        assert_eq!((run.key.as_str(), run.status), (key, RunStatus::Skipped));
        assert_eq!(run.skipped, Some(SkipReason::Folder));
        assert!(run.reason.as_ref().unwrap().contains("slash"), "{run:?}");
        // Its outcome is recorded.
        let kept = fixture.lake.ledger.run(&run.run_id).await.unwrap();
        assert_eq!(kept.as_ref(), Some(run));
        assert_eq!(fixture.lake.ledger.object(key).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_message_that_comes_again_changes_nothing_and_tells_of_the_change_again() {
    let fixture = Fixture::new();
    fixture.put(EVENTS, sample("ads/events.ndjson")).await;
    let mut first = deliver(&fixture.lake, &[EVENTS]).await;
    assert_eq!(failed(&first), [""; 0]);
    // As if the marts queue had not answered.
    first.fail_changed();
    assert_eq!(failed(&first), ["0"]);
    let table = curated("ad_events");
    let before = fixture.lake.table(&table).await.unwrap().versions().len();
    let second = deliver(&fixture.lake, &[EVENTS, EVENTS]).await;
    assert_eq!(failed(&second), [""; 0]);
    assert_eq!(second.ingested.len(), 1);
    assert_eq!(second.ingested[0].run.status, RunStatus::Skipped);
    assert_eq!(second.changed, BTreeSet::from([table.clone()]));
    assert_eq!(
        fixture.lake.table(&table).await.unwrap().versions().len(),
        before
    );
}

#[tokio::test]
async fn events_of_former_versions_that_come_late_or_in_any_order_leave_the_newest_rows() {
    let fixture = Fixture::new();
    let log = sample("access_log/combined.log");
    let line = log.split(|&byte| byte == b'\n').next().unwrap();
    fixture.put(LOG, log.clone()).await;
    fixture.put(LOG, line.to_vec()).await;
    // The event of the first version comes when the second is there already.
    let batch = deliver(&fixture.lake, &[LOG]).await;
    assert_eq!(failed(&batch), [""; 0]);
    assert_eq!(rows(&fixture.lake, "web_requests").await, 1);
    fixture.put(LOG, log).await;
    for _ in 0..3 {
        let batch = deliver(&fixture.lake, &[LOG]).await;
        assert_eq!(failed(&batch), [""; 0]);
        assert_eq!(rows(&fixture.lake, "web_requests").await, 4);
    }
}

#[tokio::test]
async fn an_object_that_is_gone_is_recorded_and_not_tried_for_ever() {
    let fixture = Fixture::new();
    let batch = deliver(&fixture.lake, &[LOG]).await;
    assert_eq!(failed(&batch), [""; 0]);
    let runs = fixture.lake.ledger.runs(10).await.unwrap();
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0].key, LOG);
    assert_eq!(runs[0].status, RunStatus::Skipped);
    assert!(runs[0].reason.as_ref().unwrap().contains("gone"));
}

#[tokio::test]
async fn an_event_for_a_key_that_no_contract_claims_is_a_success() {
    let fixture = Fixture::new();
    let key = "raw/unclaimed/files/ingest_date=2026-01-31/notes.txt";
    fixture.put(key, &b"anything"[..]).await;
    let batch = deliver(&fixture.lake, &[key]).await;
    assert_eq!(failed(&batch), [""; 0]);
    assert_eq!(batch.changed, BTreeSet::new());
    let record = fixture.lake.ledger.object(key).await.unwrap().unwrap();
    assert_eq!(record.state, ObjectState::Unclaimed);
}

#[tokio::test]
async fn messages_that_cannot_be_read_or_are_of_another_bucket_fail_alone() {
    let fixture = Fixture::new();
    fixture.put(LOG, sample("access_log/combined.log")).await;
    let batch = messages(&[
        "no JSON".to_owned(),
        created("somebody-elses-bucket", LOG).to_string(),
        created(BUCKET, LOG).to_string(),
    ]);
    let batch = ingest_batch(batch, &fixture.lake, &bounds()).await;
    assert_eq!(failed(&batch), ["0", "1"]);
    assert_eq!(batch.ingested.len(), 1);
}

#[tokio::test]
async fn messages_for_which_no_time_is_left_are_delivered_again() {
    let fixture = Fixture::new();
    fixture.put(LOG, sample("access_log/combined.log")).await;
    let bounds = Bounds {
        until: Some(Instant::now()),
        ..bounds()
    };
    let batch = ingest_batch(about(&[LOG, LOG]), &fixture.lake, &bounds).await;
    assert_eq!(failed(&batch), ["0", "1"]);
    assert_eq!(batch.ingested, []);
}

#[tokio::test]
async fn an_event_archived_twice_is_accepted_once() {
    let fixture = Fixture::new();
    let other = EVENTS.replace("events.ndjson", "again.ndjson");
    fixture.put(EVENTS, sample("ads/events.ndjson")).await;
    fixture.put(&other, sample("ads/events.ndjson")).await;
    let batch = deliver(&fixture.lake, &[EVENTS, &other]).await;
    assert_eq!(failed(&batch), [""; 0]);
    let found = query(
        &fixture.lake,
        "SELECT count(*) AS n, count(DISTINCT event_id) AS ids FROM ad_events",
    )
    .await;
    assert_eq!(found, [r#"{"n":4,"ids":4}"#]);
}
