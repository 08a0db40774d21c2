//! Killed processes, lost races and services that do not answer.

use tarn_core::ErrorKind;
use tarn_core::run::ObjectState;
use tarn_ingest::{Bounds, ingest_batch};

use crate::doubles::{Gate, gated};
use crate::lake::{
    EVENTS, Fixture, LOG, about, bounds, contents, deliver, failed, open, rows, sample, soon,
};

const KEYS: [&str; 2] = [LOG, EVENTS];

async fn undisturbed() -> Fixture {
    let fixture = Fixture::new();
    fixture
        .put(LOG, sample("access_log/mixed_formats.log"))
        .await;
    fixture.put(EVENTS, sample("ads/missing.ndjson")).await;
    fixture
}

/// Texts without the folder that the lake is in.
async fn seen(fixture: &Fixture, lake: &tarn_lake::Lake) -> Vec<String> {
    let folder = fixture.local.root().display().to_string();
    let contents = contents(lake).await;
    contents
        .into_iter()
        .map(|text| text.replace(&folder, ""))
        .collect()
}

#[tokio::test]
async fn a_process_killed_at_any_write_leaves_what_the_next_delivery_finishes() {
    let whole = undisturbed().await;
    assert_eq!(failed(&deliver(&whole.lake, &KEYS).await), [""; 0]);
    let expected = seen(&whole, &whole.lake).await;
    let mut moment = 0;
    loop {
        let fixture = undisturbed().await;
        let gate = Gate::stop_at(moment);
        let lake = gated(&fixture.local, &gate);
        let bounds = bounds();
        let finished = tokio::select! {
            batch = ingest_batch(about(&KEYS), &lake, &bounds) => {
                assert_eq!(failed(&batch), [""; 0]);
                true
            }
            () = gate.reached() => false,
        };
        // A new process.
        let lake = open(&fixture.local);
        let batch = deliver(&lake, &KEYS).await;
        assert_eq!(failed(&batch), [""; 0], "killed at {moment}");
        assert_eq!(seen(&fixture, &lake).await, expected, "killed at {moment}");
        for key in KEYS {
            let record = lake.ledger.object(key).await.unwrap().unwrap();
            assert_eq!(record.state, ObjectState::Committed, "killed at {moment}");
        }
        if finished {
            break;
        }
        moment += 1;
    }
    // Two moments for each write of ledger, files, metadata and pointers of both objects.
    assert!(moment > 60, "only {moment} moments were met");
}

#[tokio::test]
async fn a_commit_that_loses_its_race_is_run_again() {
    let fixture = undisturbed().await;
    let gate = Gate::refuse("swap", 5, ErrorKind::Conflict);
    let lake = gated(&fixture.local, &gate);
    assert_eq!(failed(&deliver(&lake, &KEYS).await), [""; 0]);
    let whole = undisturbed().await;
    deliver(&whole.lake, &KEYS).await;
    assert_eq!(
        seen(&fixture, &fixture.lake).await,
        seen(&whole, &whole.lake).await
    );
}

#[tokio::test]
async fn a_store_that_throttles_fails_the_message_and_the_next_delivery_succeeds() {
    for write in ["put", "put_file", "put_object", "put_run"] {
        let fixture = undisturbed().await;
        let gate = Gate::refuse(write, 1, ErrorKind::Storage);
        let lake = gated(&fixture.local, &gate);
        let first = deliver(&lake, &[LOG]).await;
        assert_eq!(failed(&first), ["0"], "{write}");
        // The cause passes by itself: the message need not wait for the visibility timeout.
        assert_eq!(soon(&first), [("receipt-0".to_owned(), 2)], "{write}");
        let second = deliver(&lake, &[LOG]).await;
        assert_eq!(failed(&second), [""; 0], "{write}");
        assert!(rows(&lake, "web_requests").await > 0);
    }
}

#[tokio::test]
async fn only_messages_whose_failure_passes_are_delivered_again_soon() {
    let fixture = undisturbed().await;
    let poison = "raw/shop/database/ingest_date=2026-01-31/shop.sqlite";
    fixture.put(poison, &b"no database"[..]).await;
    let mut batch = deliver(&fixture.lake, &[poison, LOG]).await;
    assert_eq!(
        (failed(&batch), soon(&batch)),
        (vec!["0".to_owned()], vec![])
    );
    // Rows are committed, and the marts could not be notified.
    batch.fail_changed();
    assert_eq!(failed(&batch), ["0", "1"]);
    assert_eq!(soon(&batch), [("receipt-1".to_owned(), 2)]);
    // No time was left to begin with.
    let bounds = Bounds {
        until: Some(std::time::Instant::now()),
        ..bounds()
    };
    let batch = ingest_batch(about(&[EVENTS]), &fixture.lake, &bounds).await;
    assert_eq!(soon(&batch), [("receipt-0".to_owned(), 2)]);
}
