//! Ad events through the archive step.

use serde_json::json;

use crate::lake::{Lake, assert_accounted, lines};

pub fn event(id: &str, time: &str, kind: &str) -> String {
    // Milliseconds since 1970 of a time in January 2026.
    let (day, hour) = time.split_once('T').unwrap();
    let millis = 1_767_225_600_000i64
        + (day.parse::<i64>().unwrap() - 1) * 86_400_000
        + hour.parse::<i64>().unwrap() * 3_600_000;
    json!({
        "event_id": id, "event_ts": millis, "event_type": kind, "platform": "google", "campaign_id": 7,
        "ad_id": 70, "user_id": 1, "device": "mobile", "placement": "feed", "country": "DE",
        "cost_micros": 1500, "bid": 0.25, "order_id": null, "session_id": "s1",
    })
    .to_string()
}

pub fn stream(lake: &Lake, name: &str, events: &[String], day: &str) -> Vec<serde_json::Value> {
    let file = lake.file(name, events.join("\n"));
    let records = lines(&lake.ok(&[
        "--json",
        "stream",
        "--arrived-on",
        day,
        file.to_str().unwrap(),
    ]));
    records.iter().for_each(assert_accounted);
    records
}

#[test]
fn events_are_deduplicated_within_the_window_and_kept_beyond_it() {
    let lake = Lake::new();
    let records = stream(
        &lake,
        "a.ndjson",
        &[
            event("a", "10T5", "click"),
            event("b", "10T6", "click"),
            event("a", "10T5", "click"),
        ],
        "2026-01-10",
    );
    assert_eq!(records[0]["datasets"][0]["accepted"], 2);
    assert_eq!(
        records[0]["datasets"][0]["rejected_by"],
        json!({"duplicate": 1})
    );
    // Another object, another partition, the same event; and the same id far outside the window.
    let records = stream(
        &lake,
        "b.ndjson",
        &[
            event("b", "11T0", "click"),
            event("b", "30T0", "click"),
            event("c", "11T0", "click"),
        ],
        "2026-01-30",
    );
    assert_eq!(records[0]["datasets"][0]["accepted"], 2);
    assert_eq!(
        records[0]["datasets"][0]["rejected_by"],
        json!({"duplicate": 1})
    );
    assert_eq!(
        lake.query("SELECT event_id, event_time FROM ad_events ORDER BY event_time, event_id"),
        [
            json!({"event_id": "a", "event_time": "2026-01-10T05:00:00Z"}),
            json!({"event_id": "b", "event_time": "2026-01-10T06:00:00Z"}),
            json!({"event_id": "c", "event_time": "2026-01-11T00:00:00Z"}),
            json!({"event_id": "b", "event_time": "2026-01-30T00:00:00Z"}),
        ]
    );
}

#[test]
fn a_late_event_is_in_the_partition_of_its_event_time_with_its_lateness() {
    let lake = Lake::new();
    let records = stream(
        &lake,
        "late.ndjson",
        &[event("a", "2T0", "click"), event("b", "5T0", "click")],
        "2026-01-05",
    );
    assert_eq!(records[0]["datasets"][0]["late"], 1);
    // Arrival times are spread over the day of arrival: the first event arrives as it begins.
    assert_eq!(
        lake.query("SELECT event_id, lateness_seconds FROM ad_events WHERE event_time < '2026-01-03T00:00:00Z'"),
        [json!({"event_id": "a", "lateness_seconds": 3 * 86_400})]
    );
}

#[test]
fn broken_events_delay_no_others_and_are_kept_as_they_were_sent() {
    let lake = Lake::new();
    let events = [
        event("a", "1T0", "click"),
        "{\"event_id\": \"broken\", ".to_owned(),
        event("b", "1T0", "shrug"),
        "[1, 2]".to_owned(),
        event("c", "1T1", "impression").replace("1500", "-1"),
        event("d", "1T1", "impression"),
    ];
    let records = stream(&lake, "events.ndjson", &events, "2026-01-01");
    assert_eq!(records[0]["datasets"][0]["accepted"], 2);
    assert_eq!(records[0]["datasets"][0]["rejected"], 4);
    let rejected = lake.query(
        "SELECT event_id, _rule, _payload_encoding, user_id FROM quarantine_ad_events ORDER BY _source_offset",
    );
    let [torn, shrug, list, negative] = rejected.as_slice() else {
        panic!("{rejected:?}")
    };
    for unread in [torn, list] {
        assert_eq!(unread["_payload_encoding"], "withheld", "{unread}");
        assert!(unread["event_id"].is_null(), "{unread}");
    }
    for (read, id) in [(shrug, "b"), (negative, "c")] {
        assert_eq!(read["_payload_encoding"], "json", "{read}");
        assert_eq!(read["event_id"], id, "{read}");
        assert_eq!(read["user_id"].as_str().unwrap().len(), 32, "{read}");
    }
    // In the raw zone they are as they were sent.
    let sent: Vec<String> = (1..=4)
        .map(|number: u32| lake.ok(&["quarantine", &number.to_string(), "--payload"]))
        .collect();
    let expected = [1, 2, 3, 4].map(|index: usize| format!("{}\n", events[index]));
    assert_eq!(sent, expected);
}

#[test]
fn a_replay_of_the_same_file_changes_nothing() {
    let lake = Lake::new();
    let events = [event("a", "1T0", "click"), event("b", "1T0", "click")];
    stream(&lake, "events.ndjson", &events, "2026-01-01");
    let before = lake.tables();
    stream(&lake, "events.ndjson", &events, "2026-01-01");
    assert_eq!(lake.tables(), before);
}

#[test]
fn events_come_from_standard_input_too() {
    use std::io::Write;
    let lake = Lake::new();
    let mut child = lake
        .command()
        .args(["stream"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    writeln!(
        child.stdin.take().unwrap(),
        "{}",
        event("a", "1T0", "click")
    )
    .unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(
        lake.value("SELECT COUNT(*) AS n FROM ad_events WHERE arrived_at IS NOT NULL"),
        1
    );
}

#[test]
fn writers_that_race_lose_neither_an_event_nor_a_rejected_row() {
    const PROCESSES: u64 = 6;
    let lake = Lake::new();
    let mut events: Vec<String> = (0..200)
        .map(|number| event(&format!("e{number}"), "3T4", "click"))
        .collect();
    events.push("broken".to_owned());
    let mut children = Vec::new();
    for process in 0..PROCESSES {
        let file = lake.file(&format!("race-{process}.ndjson"), events.join("\n"));
        let mut command = lake.command();
        command
            .args(["--json", "stream", "--arrived-on", "2026-01-03"])
            .arg(file);
        children.push(
            command
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap(),
        );
    }
    let (mut accepted, mut rejected) = (0, 0);
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        for record in lines(&String::from_utf8(output.stdout).unwrap()) {
            assert_accounted(&record);
            accepted += record["datasets"][0]["accepted"].as_u64().unwrap();
            rejected += record["datasets"][0]["rejected"].as_u64().unwrap();
        }
    }
    assert_eq!((accepted, rejected), (200, PROCESSES * 201 - 200));
    assert_eq!(lake.value("SELECT COUNT(*) AS n FROM ad_events"), 200);
    assert_eq!(
        lake.value("SELECT COUNT(*) AS n FROM quarantine_ad_events"),
        rejected
    );
}

#[test]
fn a_line_of_a_stream_may_hold_several_events_and_quoted_numbers() {
    let lake = Lake::new();
    let quoted = event("d", "1T2", "impression")
        .replace("1500", "\"2000000\"")
        .replace(
            "\"event_ts\":1767232800000",
            "\"event_ts\":\"1767232800000\"",
        );
    let sent = [
        format!(
            "\u{feff}{}{}",
            event("a", "1T0", "click"),
            event("b", "1T0", "click")
        ),
        format!("[{}, {quoted}]", event("c", "1T1", "click")),
        event("s", "1T0", "click").replace("1767225600000", "1767225600"),
        event("k", "1T3", "click").replacen('{', r#"{"unread\ud83d":"\ude00","#, 1),
        event("e", "1T3", "click").replace("1500", "\"15 00\""),
    ];
    let records = stream(&lake, "events.ndjson", &sent, "2026-01-01");
    let dataset = &records[0]["datasets"][0];
    assert_eq!(
        (&dataset["accepted"], &dataset["rejected"]),
        (&json!(5), &json!(2)),
        "{dataset}"
    );
    assert_eq!(
        lake.query(
            "SELECT event_id, event_time, CAST(cost AS VARCHAR) AS cost FROM ad_events ORDER BY event_id"
        ),
        [
            json!({"event_id": "a", "event_time": "2026-01-01T00:00:00Z", "cost": "0.001500"}),
            json!({"event_id": "b", "event_time": "2026-01-01T00:00:00Z", "cost": "0.001500"}),
            json!({"event_id": "c", "event_time": "2026-01-01T01:00:00Z", "cost": "0.001500"}),
            json!({"event_id": "d", "event_time": "2026-01-01T02:00:00Z", "cost": "2.000000"}),
            json!({"event_id": "k", "event_time": "2026-01-01T03:00:00Z", "cost": "0.001500"}),
        ]
    );
    let rejected = lake.query("SELECT _rule, _reason FROM quarantine_ad_events ORDER BY _rule");
    let rules: Vec<_> = rejected.iter().map(|row| row["_rule"].as_str()).collect();
    assert_eq!(rules, [Some("cost.type"), Some("event_time.type")]);
    let reason = rejected[1]["_reason"].as_str().unwrap();
    assert!(reason.contains("the number looks like seconds"), "{reason}");
}

const BUS: &str = r#"apiVersion: v3.1.0
kind: DataContract
id: bus
name: bus
version: 1.0.0
status: active
description: { purpose: Events of a bus. }
customProperties:
  - { property: sourceFormat, value: jsonLines }
  - { property: keyPattern, value: "raw/bus/events/**" }
schema:
  - name: bus_events
    properties:
      - name: id
        description: Identifier.
        logicalType: string
        physicalType: string
        required: true
        customProperties:
          - { property: sourceName, value: detail.event_id }
"#;

#[test]
fn an_envelope_is_read_by_paths_and_an_array_without_line_ends_by_values() {
    let lake = Lake::with_contract("bus.odcs.yaml", BUS);
    let event = |id: u32| format!(r#"{{"id":"x","detail":{{"event_id":"e{id}","more":[1]}}}}"#);
    let several: Vec<String> = (0..3).map(event).collect();
    for (name, text, rows) in [
        ("array.json", format!("[{}]", several.join(",")), 3),
        ("joined.json", several.concat(), 6),
        (
            "spread.json",
            "{\n  \"detail\": {\n    \"event_id\": \"e9\"\n  }\n}\n".to_owned(),
            7,
        ),
        (
            "flat.ndjson",
            "{\"detail.event_id\":\"e10\"}\n".to_owned(),
            8,
        ),
    ] {
        let file = lake.file(name, text);
        lake.ok(&["ingest", "--to", "bus/events", file.to_str().unwrap()]);
        assert_eq!(
            lake.value("SELECT COUNT(*) AS n FROM bus_events WHERE id LIKE 'e%'"),
            rows,
            "{name}"
        );
    }
}
