//! Tests of [`crate::ports::Ledger`].

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;

use super::{Verdict, done, fails, holds, same, unique};
use crate::error::ErrorKind;
use crate::feedback::{Feedback, Judgement};
use crate::ports::Ledger;
use crate::run::{DatasetOutcome, ObjectRecord, ObjectState, RunRecord, RunStatus};

fn now() -> DateTime<Utc> {
    // Whole seconds: a ledger need not keep fractions of a second.
    DateTime::from_timestamp(1_767_225_600, 0).unwrap_or_default()
}

fn object(key: &str) -> ObjectRecord {
    ObjectRecord {
        key: key.to_owned(),
        version: "v1".to_owned(),
        sequencer: "0001".to_owned(),
        state: ObjectState::Pending,
        run_id: unique("run-"),
        reason: None,
        updated_at: now(),
        revision: 0,
    }
}

fn run(run_id: String, started_at: DateTime<Utc>) -> RunRecord {
    RunRecord {
        run_id,
        key: "raw/a b+ü/x.log".to_owned(),
        version: "v1".to_owned(),
        bytes: 1 << 40,
        status: RunStatus::Running,
        reason: None,
        error_kind: None,
        retryable: false,
        started_at,
        ended_at: None,
        datasets: Vec::new(),
        kind: crate::run::RunKind::Ingest,
        unclaimed_tables: BTreeMap::new(),
        put_at: None,
        seconds: None,
        peak_memory_bytes: None,
        program_version: None,
        skipped: None,
        deletions_confirmed: false,
        warnings: Vec::new(),
    }
}

/// A record is written only over the revision that was read.
pub async fn an_object_record_needs_the_revision_that_is_there(ledger: Arc<dyn Ledger>) -> Verdict {
    let key = unique("raw/suite/ü +/");
    same(
        done(ledger.object(&key).await, "object")?,
        None,
        "record of an unknown key",
    )?;
    let mut record = object(&key);
    fails(
        ledger.put_object(&record, Some(1)).await,
        ErrorKind::Conflict,
        "put with the revision of a record that does not exist",
    )?;
    let first = done(ledger.put_object(&record, None).await, "first put")?;
    record.revision = first;
    same(
        done(ledger.object(&key).await, "object")?.as_ref(),
        Some(&record),
        "record",
    )?;
    fails(
        ledger.put_object(&record, None).await,
        ErrorKind::Conflict,
        "second first put",
    )?;
    record.state = ObjectState::Failed;
    record.reason = Some("broken at line 3: \"…\"".to_owned());
    let second = done(ledger.put_object(&record, Some(first)).await, "second put")?;
    holds(second != first, "a write changes the revision")?;
    fails(
        ledger.put_object(&record, Some(first)).await,
        ErrorKind::Conflict,
        "put with a stale revision",
    )?;
    record.revision = second;
    same(
        done(ledger.object(&key).await, "object")?,
        Some(record),
        "record after the refused put",
    )
}

/// Records are found by prefix, in key order.
pub async fn object_records_are_listed_by_prefix_in_key_order(ledger: Arc<dyn Ledger>) -> Verdict {
    let folder = unique("raw/suite/");
    let mut keys: Vec<_> = ["b", "a/2", "a/1", "a-1", "ä", "a\u{10ffff}"]
        .iter()
        .map(|name| format!("{folder}/{name}"))
        .collect();
    for key in &keys {
        done(ledger.put_object(&object(key), None).await, "put")?;
    }
    keys.sort();
    for prefix in ["", "/", "/a", "/a/", "/none"] {
        let prefix = format!("{folder}{prefix}");
        let found: Vec<_> = done(ledger.objects(&prefix).await, "objects")?
            .into_iter()
            .map(|record| record.key)
            .collect();
        let expected: Vec<_> = keys
            .iter()
            .filter(|key| key.starts_with(&prefix))
            .cloned()
            .collect();
        same(found, expected, &format!("keys that begin with {prefix}"))?;
    }
    Ok(())
}

/// If many writers use the same revision, one succeeds.
pub async fn of_many_writers_of_one_revision_one_wins(ledger: Arc<dyn Ledger>) -> Verdict {
    let key = unique("raw/suite/");
    for expected in 0..4_u64 {
        let current = done(ledger.object(&key).await, "object")?.map(|record| record.revision);
        holds(
            current.is_some() == (expected > 0),
            "each round left a record",
        )?;
        let puts = (0..6).map(|_| {
            let (ledger, record) = (ledger.clone(), object(&key));
            async move {
                ledger
                    .put_object(&record, current)
                    .await
                    .map(|_| record.run_id)
            }
        });
        let mut winners = Vec::new();
        for result in join_all(puts).await {
            match result {
                Ok(run_id) => winners.push(run_id),
                Err(error) => same(
                    error.kind(),
                    ErrorKind::Conflict,
                    "kind of error of a loser",
                )?,
            }
        }
        let kept = done(ledger.object(&key).await, "object")?.map(|record| record.run_id);
        same(winners, kept.into_iter().collect(), "winners")?;
    }
    Ok(())
}

/// A run's record is replaced by its later state; the newest runs come first.
pub async fn runs_are_kept_whole_and_listed_newest_first(ledger: Arc<dyn Ledger>) -> Verdict {
    // Far in the future, so that these are the newest in a ledger that others use too.
    let begin = now() + TimeDelta::days(36_500);
    let mut runs: Vec<_> = (0..5)
        .map(|n| run(unique("run-"), begin + TimeDelta::seconds(n)))
        .collect();
    for run in runs.iter().rev() {
        done(ledger.put_run(run).await, "put_run")?;
    }
    same(
        done(ledger.run("no such run").await, "run")?,
        None,
        "unknown run",
    )?;
    let Some(last) = runs.last_mut() else {
        return Ok(());
    };
    last.status = RunStatus::Succeeded;
    last.ended_at = Some(begin + TimeDelta::seconds(60));
    last.datasets.push(DatasetOutcome {
        dataset: "orders".to_owned(),
        received: 3,
        accepted: 2,
        rejected: 1,
        rejected_by: BTreeMap::from([("order_id.required".to_owned(), 1)]),
        snapshot_id: Some(i64::MAX),
        ..DatasetOutcome::default()
    });
    done(ledger.put_run(last).await, "put_run of the later state")?;
    same(
        done(ledger.run(&last.run_id).await, "run")?.as_ref(),
        Some(&*last),
        "later state",
    )?;
    runs.reverse();
    let listed = done(ledger.runs(1_000).await, "runs")?;
    let ours: Vec<_> = listed
        .into_iter()
        .filter(|listed| runs.iter().any(|run| run.run_id == listed.run_id))
        .collect();
    same(&ours, &runs, "runs of this test")?;
    same(done(ledger.runs(2).await, "runs")?.len(), 2, "limited list")
}

/// Advancing a named value keeps the greatest value.
pub async fn a_named_value_that_advances_never_goes_back(ledger: Arc<dyn Ledger>) -> Verdict {
    let name = unique("suite/advancing/ü/");
    // The greatest stays, whatever the order.
    let values: Vec<String> = (0..20)
        .map(|n| format!("2026-01-{:02}", 1 + n * 7 % 20))
        .collect();
    let puts = values
        .iter()
        .map(|value| ledger.advance_state(&name, value));
    for put in join_all(puts).await {
        done(put, "advance_state")?;
    }
    let is = |expected: &'static str| {
        let (ledger, name) = (ledger.clone(), name.clone());
        async move {
            let found = done(ledger.state(&name).await, "state")?;
            same(found.as_deref(), Some(expected), "value")
        }
    };
    is("2026-01-20").await?;
    for (value, expected) in [
        ("2026-01-20", "2026-01-20"),
        ("2025-12-31", "2026-01-20"),
        ("2026-01-2", "2026-01-20"),
        ("2026-02-01", "2026-02-01"),
    ] {
        done(ledger.advance_state(&name, value).await, "advance_state")?;
        is(expected).await?;
    }
    // What is set is set.
    done(ledger.put_state(&name, "2000").await, "put_state")?;
    is("2000").await
}

/// A named value is the last one that was set.
pub async fn a_named_value_is_the_last_that_was_set(ledger: Arc<dyn Ledger>) -> Verdict {
    let name = unique("marts/");
    same(
        done(ledger.state(&name).await, "state")?,
        None,
        "unknown name",
    )?;
    for value in ["{\"a\": 1}", "", "ünï 🛍"] {
        done(ledger.put_state(&name, value).await, "put_state")?;
        same(
            done(ledger.state(&name).await, "state")?.as_deref(),
            Some(value),
            "value",
        )?;
    }
    Ok(())
}

/// A named value is swapped only against the one that is there.
pub async fn a_named_value_is_swapped_for_the_one_that_is_there(
    ledger: Arc<dyn Ledger>,
) -> Verdict {
    let name = unique("content/ü +/");
    fails(
        ledger.swap_state(&name, Some(""), "a").await,
        ErrorKind::Conflict,
        "swap of a value that is not there",
    )?;
    done(ledger.swap_state(&name, None, "").await, "first swap")?;
    fails(
        ledger.swap_state(&name, None, "a").await,
        ErrorKind::Conflict,
        "second first swap",
    )?;
    let long = "{\"ünï\": \"🛍\"}".repeat(10_000);
    done(ledger.swap_state(&name, Some(""), &long).await, "swap")?;
    done(ledger.put_state(&name, "b").await, "put_state")?;
    fails(
        ledger.swap_state(&name, Some(&long), "c").await,
        ErrorKind::Conflict,
        "swap of a value that was replaced",
    )?;
    same(
        done(ledger.state(&name).await, "state")?.as_deref(),
        Some("b"),
        "value after the refused swap",
    )?;
    let swaps = (0..6).map(|number| {
        let (ledger, name) = (ledger.clone(), name.clone());
        let value = format!("{number}");
        async move {
            let swapped = ledger.swap_state(&name, Some("b"), &value).await;
            swapped.map(|()| value)
        }
    });
    let mut winners = Vec::new();
    for result in join_all(swaps).await {
        match result {
            Ok(value) => winners.push(value),
            Err(error) => same(
                error.kind(),
                ErrorKind::Conflict,
                "kind of error of a loser",
            )?,
        }
    }
    let kept = done(ledger.state(&name).await, "state")?;
    same(winners, kept.into_iter().collect(), "winners")
}

/// All judgements of anomalies are kept, in order of time.
pub async fn what_is_said_of_anomalies_is_kept_in_order_of_time(
    ledger: Arc<dyn Ledger>,
) -> Verdict {
    let anomaly = unique("orders/row_count/ü ");
    let said = |minute, judgement, note: Option<&str>| Feedback {
        anomaly: anomaly.clone(),
        judgement,
        note: note.map(str::to_owned),
        at: now() + TimeDelta::minutes(minute),
    };
    let later = said(2, Judgement::Dismissed, None);
    let earlier = said(1, Judgement::Confirmed, Some("the \"sale\" began 🛍"));
    for one in [&later, &earlier] {
        done(ledger.put_feedback(one).await, "put_feedback")?;
    }
    let found: Vec<Feedback> = done(ledger.feedback().await, "feedback")?
        .into_iter()
        .filter(|one| one.anomaly == anomaly)
        .collect();
    same(found, vec![earlier, later], "what was said")
}
