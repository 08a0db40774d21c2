//! Faults, and what must hold in spite of them.

use std::time::Duration;

use serde_json::{Value, json};

use crate::deployment::{Deployment, required, root, succeed, wait_for};
use crate::inputs::{Shop, access_log};
use crate::story::put_record;

/// Short redeliveries for the tests; the deployed value is six times a function's timeout.
const VISIBILITY_SECONDS: u64 = 12;

const FOLDER: &str = "raw/web/access_logs/ingest_date=2026-02-02";

/// As many writers of one table as there are files.
pub fn six_files_at_once_lose_no_row(lake: &Deployment) {
    let before = lake.count("curated.web_requests", "TRUE").unwrap();
    let files: Vec<_> = (0..6)
        .map(|number| access_log(lake.scratch(), &format!("writer{number}"), 1000))
        .collect();
    std::thread::scope(|scope| {
        for file in &files {
            scope.spawn(|| {
                let name = file.file_name().unwrap().to_str().unwrap();
                lake.upload(file, &format!("{FOLDER}/{name}"));
            });
        }
    });
    lake.wait_for_rows("curated.web_requests", "TRUE", before + 6000);
    for number in 0..6 {
        lake.wait_for_rows(
            "curated.web_requests",
            &format!("_source_uri LIKE '%/writer{number}.log'"),
            1000,
        );
    }
}

/// Events of new objects name the key as it is, without any encoding.
pub fn keys_are_taken_as_they_are(lake: &Deployment) {
    let file = access_log(lake.scratch(), "odd", 3);
    let name = "odd name + 100%41 ünï.log";
    lake.upload(&file, &format!("{FOLDER}/{name}"));
    lake.wait_for_rows(
        "curated.web_requests",
        &format!("_source_uri LIKE '%/{name}'"),
        3,
    );
}

/// A folder made in the console is an empty object that S3 announces. It is skipped, and does not become
/// a dead letter.
pub fn folders_are_no_objects(lake: &Deployment) {
    let folder = format!("{FOLDER}/made in the console/");
    lake.aws_ok(&[
        "s3api",
        "put-object",
        "--bucket",
        lake.output("raw_bucket"),
        "--key",
        &folder,
    ]);
    let file = access_log(lake.scratch(), "in_folder", 3);
    lake.upload(&file, &format!("{folder}in_folder.log"));
    lake.wait_for_rows(
        "curated.web_requests",
        "_source_uri LIKE '%/in_folder.log'",
        3,
    );
    wait_for("an empty queue", 60, || {
        match lake.depth(lake.output("ingest_queue_url")) {
            0 => Ok(()),
            left => Err(format!("{left} messages")),
        }
    });
    assert_eq!(lake.depth(lake.output("ingest_dlq_url")), 0);
}

/// Records of arbitrary bytes, including one that only looks like an aggregated record.
pub fn records_that_are_no_events_delay_nobody(lake: &Deployment) {
    let sound = |id: &str| {
        format!(
            "{{\"event_id\":\"{id}\",\"event_ts\":1767225600000,\"event_type\":\"click\",\"platform\":\"google\",\"campaign_id\":1}}"
        )
    };
    let first = sound("before-poison");
    let last = sound("after-poison");
    let rejected = lake.count("quality.quarantine_ad_events", "TRUE").unwrap();
    let records: [&[u8]; 5] = [
        first.as_bytes(),
        b"\xf3\x89\x9a\xc2 this is not an aggregated one",
        b"\x00\xff\xfe",
        b"{\"event_id\":",
        last.as_bytes(),
    ];
    for record in records {
        put_record(lake, record);
    }
    lake.wait_for_rows(
        "curated.ad_events",
        "event_id IN ('before-poison', 'after-poison')",
        2,
    );
    lake.wait_for_rows("quality.quarantine_ad_events", "TRUE", rejected + 3);
    assert_eq!(lake.depth(lake.output("archive_dlq_url")), 0);
}

fn redeliver_soon(lake: &Deployment) {
    lake.aws_ok(&[
        "sqs",
        "set-queue-attributes",
        "--queue-url",
        lake.output("ingest_queue_url"),
        "--attributes",
        &format!("VisibilityTimeout={VISIBILITY_SECONDS}"),
    ]);
}

/// The visibility timeout that Terraform built.
fn redeliver_as_deployed(lake: &Deployment, seconds: &str) {
    lake.aws_ok(&[
        "sqs",
        "set-queue-attributes",
        "--queue-url",
        lake.output("ingest_queue_url"),
        "--attributes",
        &format!("VisibilityTimeout={seconds}"),
    ]);
}

fn visibility(lake: &Deployment) -> String {
    lake.aws_ok(&[
        "sqs",
        "get-queue-attributes",
        "--queue-url",
        lake.output("ingest_queue_url"),
        "--attribute-names",
        "VisibilityTimeout",
    ])["Attributes"]["VisibilityTimeout"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// SIGKILL at several moments; the message comes again, and every row is there once.
pub fn a_function_killed_at_work_is_repeated(lake: &Deployment) {
    if !lake.emulator.is_own() {
        eprintln!("NOT RUN: the functions of an emulator elsewhere cannot be killed");
        return;
    }
    let deployed = visibility(lake);
    redeliver_soon(lake);
    let mut killed = 0;
    for (number, delay) in [50, 200, 400, 800].into_iter().enumerate() {
        let file = access_log(lake.scratch(), &format!("killed{number}"), 60_000);
        lake.upload(&file, &format!("{FOLDER}/killed{number}.log"));
        std::thread::sleep(Duration::from_millis(delay));
        killed += kill_functions(lake);
    }
    assert!(killed > 0, "no function was running");
    for number in 0..4 {
        lake.wait_for_rows(
            "curated.web_requests",
            &format!("_source_uri LIKE '%/killed{number}.log'"),
            60_000,
        );
    }
    assert_eq!(lake.depth(lake.output("ingest_dlq_url")), 0);
    redeliver_as_deployed(lake, &deployed);
}

/// Kills the processes of the function `ingest`; returns how many there were.
fn kill_functions(lake: &Deployment) -> usize {
    lake.emulator
        .processes("ingest")
        .iter()
        .filter(|(id, _)| {
            let status = std::process::Command::new("kill")
                .args(["-KILL", id])
                .status();
            status.unwrap().success()
        })
        .count()
}

/// For a while the marts cannot be notified of a change. The message comes again within half a minute,
/// and not after the visibility timeout of half an hour.
pub fn a_failure_that_passes_is_repeated_soon(lake: &Deployment) {
    let queue = lake.output("ingest_queue_url");
    assert_eq!(visibility(lake), "1800");
    assert_eq!(lake.depth(queue), 0);
    let function = lake.outputs["functions"]["ingest"].as_str().unwrap();
    let deployed = lake.aws_ok(&[
        "lambda",
        "get-function-configuration",
        "--function-name",
        function,
    ])["Environment"]
        .clone();
    let mut broken = deployed.clone();
    broken["Variables"]["TARN_MARTS_QUEUE_URL"] =
        json!(format!("{}-gone", lake.output("marts_queue_url")));
    configure(lake, function, &broken);
    let file = access_log(lake.scratch(), "passing", 10);
    lake.upload(&file, &format!("{FOLDER}/passing.log"));
    lake.wait_for_rows(
        "curated.web_requests",
        "_source_uri LIKE '%/passing.log'",
        10,
    );
    // The rows are committed; the failure comes after that.
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(lake.depth(queue), 1, "the message is not done");
    configure(lake, function, &deployed);
    wait_for("the message to come again", 90, || {
        match lake.depth(queue) {
            0 => Ok(()),
            left => Err(format!("{left} messages")),
        }
    });
    assert_eq!(lake.depth(lake.output("ingest_dlq_url")), 0);
    lake.wait_for_rows(
        "curated.web_requests",
        "_source_uri LIKE '%/passing.log'",
        10,
    );
}

/// Gives a function another environment.
fn configure(lake: &Deployment, function: &str, environment: &Value) {
    lake.aws_ok(&[
        "lambda",
        "update-function-configuration",
        "--function-name",
        function,
        "--environment",
        &json!({"Variables": environment["Variables"]}).to_string(),
    ]);
    lake.aws_ok(&[
        "lambda",
        "wait",
        "function-updated-v2",
        "--function-name",
        function,
    ]);
}

/// A snapshot that lacks most rows fails, and changes nothing until somebody confirms it.
pub fn a_snapshot_that_deletes_too_much_waits_for_a_confirmation(lake: &Deployment, shop: &Shop) {
    let deployed = visibility(lake);
    redeliver_soon(lake);
    let path = lake.scratch().join("shop-2099-01-01.sqlite");
    std::fs::copy(shop.of("shop/database").last().unwrap(), &path).unwrap();
    let database = rusqlite::Connection::open(&path).unwrap();
    database
        .execute("DELETE FROM order_items WHERE item_id % 10 > 0", [])
        .unwrap();
    let count = "SELECT COUNT(*) FROM order_items";
    let left: i64 = database.query_row(count, [], |row| row.get(0)).unwrap();
    drop(database);
    let before = lake.count("curated.order_items", "TRUE").unwrap();
    let key = "raw/shop/database/ingest_date=2026-02-02/shop-2099-01-01.sqlite";
    lake.upload(&path, key);
    wait_for("the snapshot in the dead-letter queue", 240, || {
        let dead = lake.output("ingest_dlq_url");
        let reply = lake.aws_ok(&["sqs", "receive-message", "--queue-url", dead]);
        let body = reply["Messages"][0]["Body"].as_str().unwrap_or_default();
        body.contains("shop-2099-01-01")
            .then_some(())
            .ok_or_else(|| format!("{body:?}"))
    });
    assert_eq!(lake.count("curated.order_items", "TRUE"), Ok(before));
    let function = lake.outputs["functions"]["ingest"].as_str().unwrap();
    let configuration = lake.aws_ok(&[
        "lambda",
        "get-function-configuration",
        "--function-name",
        function,
    ]);
    let mut replay = std::process::Command::new(required("TARN_BIN"));
    replay
        .args(["--aws", "replay", key, "--confirm-deletions"])
        .env("AWS_ENDPOINT_URL", &lake.emulator.endpoint)
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_REGION", lake.output("region"))
        .env_remove("AWS_SESSION_TOKEN")
        .env_remove("AWS_PROFILE");
    // The ingest function has nothing to do with marts, but the command line reads all of a lake.
    replay
        .env("TARN_ANALYTICS_BUCKET", lake.output("analytics_bucket"))
        .env("TARN_ANALYTICS_DATABASE", lake.output("analytics_database"));
    for (name, value) in configuration["Environment"]["Variables"]
        .as_object()
        .unwrap()
    {
        if name.starts_with("TARN_") {
            replay.env(name, value.as_str().unwrap());
        }
    }
    succeed(&mut replay);
    lake.wait_for_rows("curated.order_items", "TRUE", left.try_into().unwrap());
    redeliver_as_deployed(lake, &deployed);
}

/// A file that cannot be read is tried several times and then set aside; its neighbours are not.
pub fn a_poison_file_ends_in_the_dead_letter_queue(lake: &Deployment) {
    let deployed = visibility(lake);
    redeliver_soon(lake);
    let dead = lake.output("ingest_dlq_url");
    assert_eq!(lake.depth(dead), 0);
    let poison = root().join("events/access_log/truncated.log.gz");
    lake.upload(
        &access_log(lake.scratch(), "neighbour1", 10),
        &format!("{FOLDER}/neighbour1.log"),
    );
    lake.upload(&poison, &format!("{FOLDER}/poison.log.gz"));
    lake.upload(
        &access_log(lake.scratch(), "neighbour2", 10),
        &format!("{FOLDER}/neighbour2.log"),
    );
    for name in ["neighbour1.log", "neighbour2.log"] {
        lake.wait_for_rows(
            "curated.web_requests",
            &format!("_source_uri LIKE '%/{name}'"),
            10,
        );
    }
    let message = wait_for("the poison in the dead-letter queue", 180, || {
        let reply = lake.aws_ok(&["sqs", "receive-message", "--queue-url", dead]);
        reply["Messages"][0]["Body"]
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| "no message".to_owned())
    });
    let event: Value = serde_json::from_str(&message).unwrap();
    assert_eq!(
        event["detail"]["object"]["key"],
        format!("{FOLDER}/poison.log.gz")
    );
    assert_eq!(lake.depth(dead), 1);
    assert_eq!(lake.depth(lake.output("ingest_queue_url")), 0);
    assert_eq!(
        lake.count("curated.web_requests", "_source_uri LIKE '%/poison.log.gz'"),
        Ok(0)
    );
    redeliver_as_deployed(lake, &deployed);
}
