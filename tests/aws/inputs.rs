//! What is put into the lake, and into its twin in a folder.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::deployment::{required, succeed};

/// A generated shop: access logs, some of them compressed, databases and posts.
pub struct Shop {
    /// Files by the folder of the raw zone that they go to, in the order of their names.
    pub files: Vec<(&'static str, PathBuf)>,
}

const SOURCES: [&str; 3] = ["shop/database", "social/posts", "web/access_logs"];

impl Shop {
    pub fn generate(folder: &Path) -> Self {
        let out = folder.join("shop");
        succeed(
            std::process::Command::new(required("TARN_BIN"))
                .args(["generate", "--scale", "0.1", "--out"])
                .arg(&out),
        );
        let mut files = Vec::new();
        for source in SOURCES {
            let mut paths: Vec<PathBuf> = std::fs::read_dir(out.join(source))
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .collect();
            paths.sort();
            assert!(paths.len() >= 2, "{source}");
            files.extend(paths.into_iter().map(|path| (source, path)));
        }
        Shop { files }
    }

    pub fn of(&self, source: &str) -> Vec<&PathBuf> {
        self.files
            .iter()
            .filter(|(other, _)| *other == source)
            .map(|(_, path)| path)
            .collect()
    }
}

/// Rows of a file that holds one per line, however it is compressed.
pub fn lines(path: &Path) -> u64 {
    let bytes = std::fs::read(path).unwrap();
    let mut text = Vec::new();
    if path.extension().is_some_and(|extension| extension == "gz") {
        std::io::Read::read_to_end(
            &mut flate2::read::MultiGzDecoder::new(bytes.as_slice()),
            &mut text,
        )
        .unwrap();
    } else {
        text = bytes;
    }
    text.split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .count() as u64
}

/// An access log whose every line is sound and names the client `user`.
pub fn access_log(folder: &Path, name: &str, rows: usize) -> PathBuf {
    let mut text = String::new();
    for row in 0..rows {
        writeln!(
            text,
            "10.0.{}.{} - {name} [02/Feb/2026:{:02}:{:02}:{:02} +0000] \"GET /{name}/{row} HTTP/1.1\" 200 5 \"-\" \"curl/8\"",
            row / 250 % 250,
            row % 250,
            row / 3600 % 24,
            row / 60 % 60,
            row % 60,
        )
        .unwrap();
    }
    let path = folder.join(format!("{name}.log"));
    std::fs::write(&path, text).unwrap();
    path
}

/// Ad events as JSON lines. Every hundredth is broken in one of three ways.
pub fn events(folder: &Path, count: usize) -> PathBuf {
    let path = folder.join("events.ndjson");
    let mut file = std::fs::File::create(&path).unwrap();
    for number in 0..count {
        writeln!(file, "{}", event(number)).unwrap();
    }
    path
}

/// How many of this many events are broken.
pub fn broken(count: usize) -> u64 {
    (0..count).filter(|number| number % 100 == 99).count() as u64
}

fn event(number: usize) -> String {
    let mut event = json!({
        "event_id": format!("event-{number}"),
        // Through the first week of January 2026.
        "event_ts": 1_767_225_600_000i64 + (number as i64 * 119_557) % 604_800_000,
        "event_type": (["impression", "click", "conversion"][number % 3]),
        "platform": "google", "campaign_id": 1 + number % 7, "ad_id": 70 + number % 9,
        "user_id": number % 500, "device": "mobile", "placement": "feed", "country": "DE",
        "cost_micros": 1500, "bid": 0.25, "order_id": null, "session_id": format!("s{}", number % 700),
    });
    if number % 100 == 99 {
        match number / 100 % 3 {
            0 => return format!("{{\"event_id\": \"event-{number}\", cut off"),
            1 => event["event_id"] = json!(null),
            _ => event["event_type"] = json!("unheard of"),
        }
    }
    event.to_string()
}
