//! One lake from start to end: built, filled, queried, damaged, destroyed.

use serde_json::json;

use crate::deployment::{Deployment, wait_for};
use crate::inputs::{Shop, broken, events, lines};
use crate::{faults, leftovers, twin};

/// Events put on the stream.
const EVENTS: usize = 5000;

#[test]
#[ignore = "needs the emulator; run by cargo xtask test"]
fn the_lake_is_built_filled_queried_damaged_and_destroyed_on_an_emulator() {
    let lake = Deployment::new(false);
    lake.assert_second_plan_is_empty();
    only_health_is_open(&lake);

    let shop = Shop::generate(lake.scratch());
    upload(&lake, &shop);
    let stream = events(lake.scratch(), EVENTS);
    put_records(&lake, &std::fs::read_to_string(&stream).unwrap());
    every_row_that_came_in_is_counted(&lake, &shop);

    twin::contents_equal_those_of_a_folder(&lake, &shop, &stream);

    faults::six_files_at_once_lose_no_row(&lake);
    faults::keys_are_taken_as_they_are(&lake);
    faults::folders_are_no_objects(&lake);
    faults::records_that_are_no_events_delay_nobody(&lake);
    faults::a_failure_that_passes_is_repeated_soon(&lake);
    faults::a_function_killed_at_work_is_repeated(&lake);
    faults::a_poison_file_ends_in_the_dead_letter_queue(&lake);
    faults::a_snapshot_that_deletes_too_much_waits_for_a_confirmation(&lake, &shop);

    lake.assert_second_plan_is_empty();
    lake.destroy();
    leftovers::assert_none(&lake);
}

fn only_health_is_open(lake: &Deployment) {
    let (status, body) = lake.request(false, "/health", None);
    assert_eq!((status, &body["status"]), (200, &json!("ok")), "{body}");
    for path in ["/ready", "/tables", "/query", "/anything"] {
        let (status, body) = lake.request(false, path, None);
        assert!([401, 403].contains(&status), "{path}: {status} {body}");
    }
    let (status, body) = lake.request(true, "/ready", None);
    assert_eq!((status, &body["status"]), (200, &json!("ready")), "{body}");
}

/// Puts everything at once, except the databases, which come one after the other: each is the shop's
/// state of a day.
fn upload(lake: &Deployment, shop: &Shop) {
    for (source, path) in &shop.files {
        let name = path.file_name().unwrap().to_str().unwrap();
        lake.upload(path, &format!("raw/{source}/ingest_date=2026-01-14/{name}"));
        if *source == "shop/database" {
            let uri = format!("%/{name}");
            wait_for(name, 180, || {
                let rows = lake.count("curated.orders", &format!("_source_uri LIKE '{uri}'"))?;
                (rows > 0).then_some(()).ok_or_else(|| "no rows".to_owned())
            });
        }
    }
}

/// `aws kinesis put-records`, 500 at a time, which is what AWS takes.
pub fn put_records(lake: &Deployment, lines: &str) {
    let lines: Vec<&str> = lines.lines().collect();
    for (number, batch) in lines.chunks(500).enumerate() {
        let records: Vec<_> = batch
            .iter()
            .enumerate()
            .map(|(key, data)| json!({"Data": data, "PartitionKey": key.to_string()}))
            .collect();
        let file = lake.scratch().join(format!("records-{number}.json"));
        std::fs::write(&file, json!(records).to_string()).unwrap();
        let reply = lake.aws_ok(&[
            "kinesis",
            "put-records",
            "--stream-name",
            lake.output("stream"),
            "--records",
            &format!("file://{}", file.display()),
        ]);
        assert_eq!(reply["FailedRecordCount"], 0, "{reply}");
    }
}

/// `aws kinesis put-record` of any bytes.
pub fn put_record(lake: &Deployment, data: &[u8]) {
    let file = lake.scratch().join("record");
    std::fs::write(&file, data).unwrap();
    lake.aws_ok(&[
        "kinesis",
        "put-record",
        "--stream-name",
        lake.output("stream"),
        "--partition-key",
        "one",
        "--data",
        &format!("fileb://{}", file.display()),
    ]);
}

/// Accepted and rejected rows, asked over HTTP, add up to what came in.
fn every_row_that_came_in_is_counted(lake: &Deployment, shop: &Shop) {
    let log_lines: u64 = shop
        .of("web/access_logs")
        .iter()
        .map(|path| lines(path))
        .sum();
    wait_for("every log line", 240, || {
        let accepted = lake.count("curated.web_requests", "TRUE")?;
        let rejected = lake.count("quality.quarantine_web_requests", "TRUE")?;
        assert!(accepted + rejected <= log_lines, "more rows than lines");
        if accepted + rejected == log_lines && rejected > 0 {
            return Ok(());
        }
        Err(format!("{accepted} + {rejected} of {log_lines}"))
    });
    lake.wait_for_rows("curated.ad_events", "TRUE", EVENTS as u64 - broken(EVENTS));
    lake.wait_for_rows("quality.quarantine_ad_events", "TRUE", broken(EVENTS));
    orders_equal_the_database(lake, shop);
}

/// The newest database's own answer, but for rows that break a rule.
fn orders_equal_the_database(lake: &Deployment, shop: &Shop) {
    let newest = *shop.of("shop/database").last().unwrap();
    let database = rusqlite::Connection::open(newest).unwrap();
    for table in ["orders", "customers", "payments"] {
        let rows: u64 = database
            .query_row(&format!("SELECT COUNT(*) FROM {table}"), [], |row| {
                row.get::<_, i64>(0)
            })
            .unwrap()
            .try_into()
            .unwrap();
        let name = newest.file_name().unwrap().to_str().unwrap();
        wait_for(table, 120, || {
            let accepted = lake.count(&format!("curated.{table}"), "TRUE")?;
            let rejected = lake.count(
                &format!("quality.quarantine_{table}"),
                &format!("_source_uri LIKE '%/{name}'"),
            )?;
            (accepted + rejected == rows)
                .then_some(())
                .ok_or_else(|| format!("{accepted} + {rejected} of {rows}"))
        });
    }
}
