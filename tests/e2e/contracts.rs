//! Contracts: mistakes are refused at start, drafts are usable, columns can be added.

use std::path::PathBuf;

use serde_json::json;

use crate::lake::{Lake, root};

pub fn shop(lake: &Lake, change: impl Fn(&str, String) -> String) -> PathBuf {
    let folder = lake.scratch().join("contracts");
    std::fs::create_dir_all(&folder).unwrap();
    for entry in std::fs::read_dir(root().join("contracts")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = change(&name, std::fs::read_to_string(&path).unwrap());
        std::fs::write(folder.join(name), text).unwrap();
    }
    folder
}

#[test]
fn pages_of_datasets_are_written_for_the_contracts_that_are_named() {
    let mut lake = Lake::new();
    let out = lake.scratch().join("pages");
    lake.ok(&["contract", "docs", out.to_str().unwrap()]);
    let count = || std::fs::read_dir(&out).unwrap().count();
    assert_eq!(count(), 10, "nine datasets and the list of them");
    let page = std::fs::read_to_string(out.join("orders.md")).unwrap();
    for part in [
        "`curated.orders`",
        "`quality.quarantine_orders`",
        "| `total` | decimal(12,2) |",
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    std::fs::remove_dir_all(&out).unwrap();
    let folder = lake.scratch().join("one");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(
        root().join("contracts/products.odcs.yaml"),
        folder.join("products.odcs.yaml"),
    )
    .unwrap();
    lake.contracts = Some(folder);
    lake.ok(&["contract", "docs", out.to_str().unwrap()]);
    assert_eq!(count(), 2);
}

#[test]
fn a_contract_with_a_mistake_is_refused_at_start_with_file_line_and_remedy() {
    let mut lake = Lake::new();
    let folder = shop(&lake, |name, text| match name {
        "orders.odcs.yaml" => {
            text.replacen("physicalType: timestamptz", "physicalType: timestamptzz", 1)
        }
        _ => text,
    });
    let line = std::fs::read_to_string(folder.join("orders.odcs.yaml"))
        .unwrap()
        .lines()
        .position(|line| line.contains("timestamptzz"))
        .unwrap()
        + 1;
    lake.contracts = Some(folder.clone());
    let log = lake.file("access.log", "");
    for args in [
        vec!["ingest", log.to_str().unwrap()],
        vec!["contract", "lint"],
    ] {
        let output = lake.run(&args);
        assert_eq!(output.status.code(), Some(1));
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(text.contains(&format!("orders.odcs.yaml:{line}")), "{text}");
        assert!(
            text.contains("timestamptzz") && text.contains("help:"),
            "{text}"
        );
    }
    assert!(!lake.path().exists(), "nothing was done");
}

#[test]
fn the_shops_contracts_have_no_fault() {
    Lake::new().ok(&[
        "contract",
        "lint",
        root().join("contracts").to_str().unwrap(),
    ]);
}

#[test]
fn a_column_added_to_a_contract_is_added_to_the_table() {
    let mut lake = Lake::new();
    let line = |day: u32| {
        format!(
            "127.0.0.1 - ann [0{day}/Jan/2026:00:00:00 +0000] \"GET / HTTP/1.1\" 200 5 \"https://example.com/\" \"curl/8\"\n"
        )
    };
    lake.contracts = Some(shop(&lake, |name, text| {
        if name != "web_requests.odcs.yaml" {
            return text;
        }
        // A log without the referer.
        let (before, rest) = text.split_once("      - name: referer\n").unwrap();
        let (_, after) = rest.split_once("      - name: ").unwrap();
        format!("{before}      - name: {after}")
    }));
    lake.ingest(&[&lake.file("first.log", line(1))]);
    assert!(
        !lake
            .run(&["query", "SELECT referer FROM web_requests"])
            .status
            .success()
    );
    lake.contracts = Some(root().join("contracts"));
    lake.ingest(&[&lake.file("second.log", line(2))]);
    assert_eq!(
        lake.query("SELECT referer, status FROM web_requests ORDER BY event_time"),
        [
            json!({"referer": null, "status": 200}),
            json!({"referer": "https://example.com/", "status": 200})
        ]
    );
    let old = lake.ok(&[
        "query",
        "--as-of",
        "1",
        "--format",
        "csv",
        "SELECT COUNT(*) AS n FROM web_requests",
    ]);
    assert_eq!(old, "n\n1\n");
}

#[test]
fn drafts_of_every_kind_of_source_can_be_used_at_once() {
    let lake = Lake::new();
    let sample = lake.scratch().join("sample");
    lake.ok(&[
        "generate",
        "--days",
        "2",
        "--scale",
        "0.1",
        "--out",
        sample.to_str().unwrap(),
    ]);
    let one = |folder: &str| {
        let mut files: Vec<_> = std::fs::read_dir(sample.join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        files.remove(0)
    };
    for folder in [
        "shop/database",
        "web/access_logs",
        "social/posts",
        "ads/events",
    ] {
        let file = one(folder);
        let mut lake = Lake::new();
        let drafts = lake.scratch().join("drafts");
        lake.ok(&[
            "contract",
            "infer",
            "--source",
            "new",
            "--out",
            drafts.to_str().unwrap(),
            file.to_str().unwrap(),
        ]);
        lake.ok(&["contract", "lint", drafts.to_str().unwrap()]);
        lake.contracts = Some(drafts);
        // Under a name of its own: the folders of the sample belong to the shop's contracts.
        let copy = lake.file(
            file.file_name().unwrap().to_str().unwrap(),
            std::fs::read(&file).unwrap(),
        );
        let records = lake.ingest(&[&copy]);
        assert_eq!(
            records[0]["status"], "succeeded",
            "{folder}: {}",
            records[0]
        );
        let accepted: u64 = records[0]["datasets"]
            .as_array()
            .unwrap()
            .iter()
            .map(|outcome| outcome["accepted"].as_u64().unwrap())
            .sum();
        assert!(accepted > 0, "{folder}: {}", records[0]);
    }
}
