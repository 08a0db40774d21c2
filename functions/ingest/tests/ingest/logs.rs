//! Logs that two processes take at once, or that one takes over from another that has stopped.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use tarn_core::ports::PutMode;
use tarn_core::run::{RunKind, RunStatus};
use tarn_ingest::{Options, ingest, ingest_version, read_again};
use tarn_lake::Lake;

use crate::doubles::{Gate, Remembering, gated};
use crate::lake::{Fixture, LOG, open, open_with, query, rows};

const COPY: &str = "raw/web/access_logs/ingest_date=2026-02-01/access.log.1";
const GROWN: &str = "raw/web/access_logs/ingest_date=2026-02-01/access.log.2";

const REPLAY: Options = Options {
    kind: RunKind::Replay,
    confirm_deletions: false,
    replace: false,
};

/// Some requests, and two lines that are none.
fn log(requests: usize) -> String {
    let mut text = "broken\n".to_owned();
    for id in 0..requests {
        text += &format!(
            "203.0.113.7 - - [14/Nov/2025:12:00:{:02} +0000] \"GET /{id} HTTP/1.1\" 200 1\n",
            id % 60
        );
    }
    text + "broken too\n"
}

/// Claims of runs that were dropped in the middle look like those of this very process: as if it had
/// been another one, which has ended.
fn forget_holders(fixture: &Fixture) {
    let path = fixture.local.root().join(".tarn/lake.sqlite");
    let state = rusqlite::Connection::open(path).unwrap();
    let mut found = state
        .prepare("SELECT name, value FROM ledger_state WHERE name LIKE 'content/%'")
        .unwrap();
    let entries: Vec<(String, String)> = found
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    for (name, value) in entries {
        let Ok(mut entry) = serde_json::from_str::<Value>(&value) else {
            continue;
        };
        for taken in entry["contents"].as_array_mut().into_iter().flatten() {
            if let Some(claim) = taken["stage"].get_mut("claimed") {
                claim["until"] = "2020-01-01T00:00:00Z".into();
                claim["by"] = Value::Null;
            }
        }
        let changed = state.execute(
            "UPDATE ledger_state SET value = ?2 WHERE name = ?1",
            [name, entry.to_string()],
        );
        changed.unwrap();
    }
}

/// Each request and each line that is none is there once.
async fn assert_once(lake: &Lake, requests: usize, rejected: u64, when: &str) {
    let sql = "SELECT path, COUNT(*) AS n FROM web_requests GROUP BY path HAVING COUNT(*) <> 1";
    assert_eq!(query(lake, sql).await, [""; 0], "{when}");
    assert_eq!(rows(lake, "web_requests").await, requests as u64, "{when}");
    assert_eq!(
        rows(lake, "quarantine_web_requests").await,
        rejected,
        "{when}"
    );
}

#[tokio::test]
async fn a_process_killed_at_any_write_leaves_what_a_copy_or_the_grown_log_takes_over() {
    let mut moment = 0;
    loop {
        let fixture = Fixture::new();
        fixture.put(LOG, log(5)).await;
        let gate = Gate::stop_at(moment);
        let finished = {
            let lake = gated(&fixture.local, &gate);
            tokio::select! {
                run = ingest(&lake, LOG) => { run.unwrap(); true }
                () = gate.reached() => false,
            }
        };
        forget_holders(&fixture);
        let lake = open(&fixture.local);
        let others = match moment % 2 {
            0 => [COPY, LOG, GROWN],
            _ => [GROWN, COPY, LOG],
        };
        fixture.put(COPY, log(5)).await;
        fixture
            .put(GROWN, log(5) + &log(8)[log(5).len() - 11..])
            .await;
        for key in others {
            let run = ingest(&lake, key).await.unwrap();
            assert_ne!(run.status, RunStatus::Failed, "killed at {moment}: {run:?}");
        }
        assert_once(&lake, 8, 3, &format!("killed at {moment}")).await;
        // A replay of all of them changes nothing.
        for key in others {
            for run in read_again(&lake, key, REPLAY).await.unwrap() {
                assert_ne!(run.status, RunStatus::Failed, "killed at {moment}: {run:?}");
            }
        }
        assert_once(&lake, 8, 3, &format!("killed at {moment}, and read again")).await;
        if finished {
            break;
        }
        moment += 1;
    }
    assert!(moment > 30, "only {moment} moments were met");
}

/// Ingests an object, stopped before one of its writes; false where it ended before that.
async fn stopped(fixture: &Fixture, key: &str, moment: u64) -> bool {
    let gate = Gate::stop_at(moment);
    let lake = gated(&fixture.local, &gate);
    let stopped = tokio::select! {
        run = ingest(&lake, key) => { run.unwrap(); false }
        () = gate.reached() => true,
    };
    forget_holders(fixture);
    stopped
}

#[tokio::test]
async fn a_run_that_took_over_another_and_was_killed_too_leaves_what_a_third_takes_over() {
    let text = log(8);
    let cut = text.len() - 60;
    let (mut moment, mut both) = (0, 0);
    loop {
        let mut is_over = false;
        // Each moment of the second within seven moments of the first.
        for second in (moment % 7..).step_by(7) {
            let fixture = Fixture::new();
            fixture.put(LOG, text[..cut].to_owned()).await;
            fixture.put(COPY, text.clone()).await;
            fixture.put(GROWN, text.clone()).await;
            is_over = !stopped(&fixture, LOG, moment).await;
            let is_second_over = !stopped(&fixture, COPY, second).await;
            let lake = open(&fixture.local);
            let when = format!("killed at {moment} and {second}");
            let run = ingest(&lake, GROWN).await.unwrap();
            assert_eq!(run.status, RunStatus::Succeeded, "{when}: {run:?}");
            assert_once(&lake, 8, 2, &when).await;
            both += 1;
            if is_second_over {
                break;
            }
        }
        if is_over {
            break;
        }
        moment += 1;
    }
    assert!(both > 150, "only {both} pairs of moments were met");
}

#[tokio::test]
async fn a_process_that_stood_still_while_another_took_over_adds_nothing() {
    let mut moment = 0;
    loop {
        let fixture = Fixture::new();
        fixture.put(LOG, log(5)).await;
        fixture.put(COPY, log(5)).await;
        let gate = Gate::pause_at(moment);
        let slow = gated(&fixture.local, &gate);
        let task = tokio::spawn(async move { ingest(&slow, LOG).await });
        let mut task = task;
        let finished = tokio::select! {
            run = &mut task => { run.unwrap().unwrap(); true }
            () = gate.reached() => false,
        };
        forget_holders(&fixture);
        let lake = open(&fixture.local);
        let run = ingest(&lake, COPY).await.unwrap();
        assert_ne!(
            run.status,
            RunStatus::Failed,
            "stood still at {moment}: {run:?}"
        );
        if !finished {
            gate.wake();
            let run = task.await.unwrap().unwrap();
            assert_ne!(
                run.status,
                RunStatus::Failed,
                "stood still at {moment}: {run:?}"
            );
        }
        assert_once(&lake, 5, 2, &format!("stood still at {moment}")).await;
        if finished {
            break;
        }
        moment += 1;
    }
}

#[tokio::test]
async fn a_replay_killed_at_any_write_loses_and_doubles_nothing() {
    let mut moment = 0;
    loop {
        let fixture = Fixture::new();
        // The last line of the first was cut off, and is whole in the second.
        let text = log(8);
        fixture.put(LOG, text[..text.len() - 60].to_owned()).await;
        fixture.put(GROWN, text).await;
        ingest(&fixture.lake, LOG).await.unwrap();
        if moment % 3 == 0 {
            ingest(&fixture.lake, GROWN).await.unwrap();
        }
        let gate = Gate::stop_at(moment);
        let finished = {
            let lake = gated(&fixture.local, &gate);
            tokio::select! {
                run = read_again(&lake, LOG, REPLAY) => { run.unwrap(); true }
                () = gate.reached() => false,
            }
        };
        forget_holders(&fixture);
        let lake = open(&fixture.local);
        let keys = match moment % 2 {
            0 => [LOG, GROWN],
            _ => [GROWN, LOG],
        };
        for key in keys {
            let run = ingest(&lake, key).await.unwrap();
            assert_ne!(run.status, RunStatus::Failed, "killed at {moment}: {run:?}");
        }
        assert_once(&lake, 8, 2, &format!("killed at {moment}")).await;
        if finished {
            break;
        }
        moment += 1;
    }
    assert!(moment > 20, "only {moment} moments were met");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn copies_that_are_taken_at_the_same_moment_count_once() {
    let fixture = Fixture::new();
    let keys: Vec<String> = (0..4).map(|number| format!("{COPY}.{number}")).collect();
    for (number, key) in keys.iter().enumerate() {
        let text = log(200);
        fixture
            .put(key, text[..text.len() - 40 * number].to_owned())
            .await;
    }
    let mut waiting = keys;
    for _ in 0..10 {
        let runs = waiting.iter().map(|key| {
            let (lake, key) = (open(&fixture.local), key.clone());
            tokio::spawn(async move { (ingest(&lake, &key).await.unwrap(), key) })
        });
        let runs: Vec<_> = runs.collect();
        waiting = Vec::new();
        for run in runs {
            let (run, key) = run.await.unwrap();
            if run.status == RunStatus::Failed {
                assert!(run.retryable, "{run:?}");
                waiting.push(key);
            }
        }
        if waiting.is_empty() {
            break;
        }
    }
    assert_eq!(waiting, [""; 0]);
    assert_once(&fixture.lake, 200, 2, "at once").await;
}

#[tokio::test]
async fn every_version_of_a_log_is_taken_whichever_event_comes_first() {
    let fixture = Fixture::new();
    let local = &fixture.local;
    let lake = open_with(
        local,
        Arc::new(Remembering::new(local.objects())),
        local.catalog(),
        local.ledger(),
    );
    let put = async |text: String| {
        let body = Bytes::from(text);
        lake.objects
            .put(LOG, body, PutMode::Overwrite)
            .await
            .unwrap()
    };
    let first = put(log(5)[..200].to_owned()).await;
    let second = put(log(6).replace("GET /", "GET /other")).await;
    let third = put(log(5)).await;
    // The event of the newest one comes first, and each comes twice.
    for (version, accepted) in [
        (&third, 5),
        (&first, 0),
        (&second, 6),
        (&first, 0),
        (&third, 0),
        (&second, 0),
    ] {
        let run = ingest_version(&lake, LOG, &version.version).await.unwrap();
        assert_ne!(run.status, RunStatus::Failed, "{run:?}");
        assert_eq!(run.accepted(), accepted, "{run:?}");
        assert_eq!(run.version, version.version);
    }
    assert_once(&lake, 11, 4, "in any order").await;
    // The object's record speaks of the newest, and a replay reads both that brought something.
    let record = lake.ledger.object(LOG).await.unwrap().unwrap();
    assert_eq!(record.version, third.version);
    let runs = read_again(&lake, LOG, REPLAY).await.unwrap();
    let seen: Vec<&str> = runs.iter().map(|run| run.version.as_str()).collect();
    assert_eq!(seen, [second.version.as_str(), third.version.as_str()]);
    assert_once(&lake, 11, 4, "read again").await;
    // What is gone from the raw zone is not taken any more.
    put(log(20)).await;
    lake.objects.delete(LOG).await.unwrap();
    let run = ingest_version(&lake, LOG, &first.version).await.unwrap();
    assert_eq!(run.status, RunStatus::Skipped);
    assert!(run.reason.unwrap().contains("gone"));
}
