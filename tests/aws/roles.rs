//! IAM enforcement: every function's role allows its work and nothing else.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

use crate::deployment::{Deployment, text_of, wait_for};
use crate::inputs::access_log;
use crate::story::put_records;

/// The role, what it tries, and whether that is its work. `{…}` is an output of Terraform. A call that
/// is allowed may fail for other reasons: what it asks for need not be there.
const TABLE: &[(&str, &str, bool)] = &[
    (
        "ingest",
        "s3api get-object --bucket {raw_bucket} --key raw/x /dev/null",
        true,
    ),
    (
        "ingest",
        "s3api list-object-versions --bucket {raw_bucket} --prefix raw/",
        true,
    ),
    (
        "ingest",
        "s3api put-object --bucket {raw_bucket} --key raw/x",
        false,
    ),
    (
        "ingest",
        "s3api delete-object --bucket {raw_bucket} --key raw/x",
        false,
    ),
    (
        "ingest",
        "s3api put-object --bucket {curated_bucket} --key curated/x",
        true,
    ),
    (
        "ingest",
        "s3api put-object --bucket {quarantine_bucket} --key quality/x",
        true,
    ),
    (
        "ingest",
        "s3api put-object --bucket {analytics_bucket} --key analytics/x",
        false,
    ),
    (
        "ingest",
        "s3api put-object --bucket {curated_bucket} --key elsewhere/x",
        false,
    ),
    (
        "ingest",
        "glue get-table --database-name {curated_database} --name x",
        true,
    ),
    (
        "ingest",
        "glue update-table --database-name {quality_database} --table-input Name=x",
        true,
    ),
    (
        "ingest",
        "glue update-table --database-name {analytics_database} --table-input Name=x",
        false,
    ),
    (
        "ingest",
        "glue delete-table --database-name {curated_database} --name x",
        false,
    ),
    (
        "ingest",
        "dynamodb get-item --table-name {ledger_table} --key {KEY}",
        true,
    ),
    (
        "ingest",
        "dynamodb put-item --table-name {ledger_table} --item {KEY}",
        true,
    ),
    (
        "ingest",
        "dynamodb delete-item --table-name {ledger_table} --key {KEY}",
        false,
    ),
    (
        "ingest",
        "sqs receive-message --queue-url {ingest_queue_url}",
        true,
    ),
    (
        "ingest",
        "sqs send-message --queue-url {ingest_queue_url} --message-body x",
        false,
    ),
    (
        "ingest",
        "sqs change-message-visibility --queue-url {ingest_queue_url} --receipt-handle x --visibility-timeout 1",
        true,
    ),
    (
        "ingest",
        "sqs change-message-visibility --queue-url {marts_queue_url} --receipt-handle x --visibility-timeout 1",
        false,
    ),
    (
        "ingest",
        "kinesis describe-stream --stream-name {stream}",
        false,
    ),
    (
        "quality",
        "dynamodb put-item --table-name {ledger_table} --item {WATCHED}",
        true,
    ),
    (
        "quality",
        "dynamodb delete-item --table-name {ledger_table} --key {KEY}",
        false,
    ),
    ("ingest", "iam list-roles", false),
    (
        "archive",
        "s3api put-object --bucket {raw_bucket} --key raw/y",
        true,
    ),
    (
        "archive",
        "s3api delete-object --bucket {raw_bucket} --key raw/y",
        false,
    ),
    (
        "archive",
        "s3api get-object --bucket {curated_bucket} --key curated/x /dev/null",
        false,
    ),
    (
        "archive",
        "kinesis describe-stream --stream-name {stream}",
        true,
    ),
    (
        "archive",
        "kinesis put-record --stream-name {stream} --partition-key x --data eA==",
        false,
    ),
    (
        "archive",
        "dynamodb get-item --table-name {ledger_table} --key {KEY}",
        false,
    ),
    (
        "archive",
        "glue get-table --database-name {curated_database} --name x",
        false,
    ),
    (
        "marts",
        "s3api get-object --bucket {curated_bucket} --key curated/x /dev/null",
        true,
    ),
    (
        "marts",
        "s3api put-object --bucket {curated_bucket} --key curated/x",
        false,
    ),
    (
        "marts",
        "s3api put-object --bucket {analytics_bucket} --key analytics/x",
        true,
    ),
    (
        "marts",
        "s3api get-object --bucket {raw_bucket} --key raw/x /dev/null",
        false,
    ),
    (
        "marts",
        "glue update-table --database-name {analytics_database} --table-input Name=x",
        true,
    ),
    (
        "marts",
        "glue update-table --database-name {curated_database} --table-input Name=x",
        false,
    ),
    (
        "marts",
        "sqs receive-message --queue-url {marts_queue_url}",
        true,
    ),
    (
        "marts",
        "sqs receive-message --queue-url {ingest_queue_url}",
        false,
    ),
    (
        "quality",
        "dynamodb get-item --table-name {ledger_table} --key {KEY}",
        true,
    ),
    (
        "quality",
        "dynamodb put-item --table-name {ledger_table} --item {KEY}",
        false,
    ),
    (
        "quality",
        "s3api put-object --bucket {quarantine_bucket} --key quality/summary.json",
        true,
    ),
    (
        "quality",
        "s3api put-object --bucket {quarantine_bucket} --key quality/x",
        false,
    ),
    (
        "quality",
        "s3api put-object --bucket {quarantine_bucket} --key quality/results/data/x",
        true,
    ),
    (
        "quality",
        "s3api put-object --bucket {quarantine_bucket} --key quality/quarantine/data/x",
        false,
    ),
    (
        "quality",
        "s3api put-object --bucket {results_bucket} --key results/reports/x",
        true,
    ),
    (
        "quality",
        "s3api put-object --bucket {results_bucket} --key results/athena/x",
        false,
    ),
    (
        "maintain",
        "s3api delete-object --bucket {curated_bucket} --key curated/x",
        true,
    ),
    (
        "maintain",
        "s3api delete-object --bucket {raw_bucket} --key raw/x",
        false,
    ),
    (
        "maintain",
        "glue update-table --database-name {curated_database} --table-input Name=x",
        true,
    ),
    (
        "maintain",
        "glue delete-table --database-name {curated_database} --name x",
        false,
    ),
    (
        "api",
        "s3api get-object --bucket {raw_bucket} --key raw/x /dev/null",
        true,
    ),
    (
        "api",
        "s3api get-object --bucket {analytics_bucket} --key analytics/x /dev/null",
        true,
    ),
    (
        "api",
        "s3api put-object --bucket {analytics_bucket} --key analytics/x",
        false,
    ),
    (
        "api",
        "glue get-tables --database-name {quality_database}",
        true,
    ),
    (
        "api",
        "glue update-table --database-name {quality_database} --table-input Name=x",
        false,
    ),
    (
        "api",
        "dynamodb get-item --table-name {ledger_table} --key {KEY}",
        true,
    ),
    (
        "api",
        "dynamodb put-item --table-name {ledger_table} --item {KEY}",
        false,
    ),
    (
        "api",
        "sqs send-message --queue-url {marts_queue_url} --message-body x",
        false,
    ),
];

/// A key of the ledger.
const KEY: &str = r#"{"pk":{"S":"x"},"sk":{"S":"x"}}"#;

/// A value that the function `quality` notes.
const WATCHED: &str = r#"{"pk":{"S":"state#watched/x"},"sk":{"S":"state"}}"#;

#[test]
#[ignore = "needs the emulator; run by cargo xtask test"]
fn every_role_may_do_its_work_and_nothing_else() {
    if std::env::var_os("AWS_ENDPOINT_URL").is_some() {
        eprintln!("NOT RUN: whether an emulator elsewhere enforces policies is not known");
        return;
    }
    let lake = Deployment::new(true);
    the_work_is_done_under_enforcement(&lake);
    // What these calls leave in the lake no longer matters.
    let roles = lake.outputs["function_roles"].as_object().unwrap();
    let mut wrong = Vec::new();
    for role in roles.keys() {
        let credentials = credentials(&lake, role);
        let rows: Vec<_> = TABLE.iter().filter(|(of, _, _)| of == role).collect();
        assert!(rows.iter().any(|row| row.2) && rows.iter().any(|row| !row.2));
        for (_, call, expected) in rows {
            let output = try_call(&lake, &credentials, call).output().unwrap();
            let text = text_of(&output);
            let refused = ["AccessDenied", "not authorized", "Forbidden"]
                .iter()
                .any(|sign| text.contains(sign));
            assert!(
                output.status.success() || refused || text.contains("An error occurred"),
                "{call} was not understood: {text}"
            );
            if refused == *expected {
                wrong.push(format!("{role}: {call}: {}", text.trim()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A file and an event come through, and marts are made of them.
fn the_work_is_done_under_enforcement(lake: &Deployment) {
    let log = access_log(lake.scratch(), "enforced", 100);
    lake.upload(
        &log,
        "raw/web/access_logs/ingest_date=2026-02-02/enforced.log",
    );
    put_records(
        lake,
        "{\"event_id\":\"a\",\"event_ts\":1767225600000,\"event_type\":\"click\",\"platform\":\"google\",\"campaign_id\":1}\nbroken\n",
    );
    lake.wait_for_rows("curated.web_requests", "TRUE", 100);
    lake.wait_for_rows("curated.ad_events", "TRUE", 1);
    lake.wait_for_rows("quality.quarantine_ad_events", "TRUE", 1);
    wait_for("a mart", 180, || {
        let (status, body) = lake.request(true, "/tables", None);
        body["tables"]
            .as_array()
            .filter(|_| status == 200)
            .and_then(|tables| {
                tables.iter().find(|table| {
                    table["table"]
                        .as_str()
                        .is_some_and(|name| name.starts_with("analytics."))
                })
            })
            .map(|_| ())
            .ok_or_else(|| format!("{status} {body}"))
    });
    for task in ["quality", "maintain"] {
        let answer = lake.scratch().join("answer.json");
        let reply = lake.aws_ok(&[
            "lambda",
            "invoke",
            "--function-name",
            lake.outputs["functions"][task].as_str().unwrap(),
            "--payload",
            &format!("{{\"task\":\"{task}\"}}"),
            answer.to_str().unwrap(),
        ]);
        assert_eq!(
            reply["FunctionError"],
            Value::Null,
            "{task}: {}",
            std::fs::read_to_string(&answer).unwrap()
        );
    }
}

/// The credentials that a function was given, from the environment of its process. Only Lambda can assume
/// the roles.
fn credentials(lake: &Deployment, role: &str) -> BTreeMap<String, String> {
    let function = lake.outputs["functions"][role].as_str().unwrap();
    let answer = lake.scratch().join("answer.json");
    // Whatever the result for an empty event, the function has started.
    lake.aws_ok(&[
        "lambda",
        "invoke",
        "--function-name",
        function,
        "--payload",
        "{}",
        answer.to_str().unwrap(),
    ]);
    let (_, environment) = lake
        .emulator
        .processes(role)
        .pop()
        .unwrap_or_else(|| panic!("{function} is not running"));
    environment
}

fn try_call(lake: &Deployment, credentials: &BTreeMap<String, String>, call: &str) -> Command {
    let args: Vec<String> = call
        .split(' ')
        .map(|word| match word.strip_prefix('{') {
            Some("KEY}") => KEY.to_owned(),
            Some("WATCHED}") => WATCHED.to_owned(),
            Some(name) => lake.output(name.trim_end_matches('}')).to_owned(),
            None => word.to_owned(),
        })
        .collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut command = lake.aws(&args);
    for name in [
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
    ] {
        command.env(name, &credentials[name]);
    }
    command
}
