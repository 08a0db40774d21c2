//! Queries of analysts against DuckDB on the same Parquet files, in one run: CPU time, and that both give the same
//! answer.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Args, Bench, case_of, generate, ingested, io, measured, median, optimised};
use crate::{Outcome, process, root};

/// What the lake of the queries is made of, and how large each part is at scale 1: ten million orders with
/// thirty million items, as many log lines and events.
const PARTS: [(&str, f64); 3] = [("sqlite", 10.0), ("logs", 2.5), ("ads", 2.0)];

/// Each a file in `xtask/bench/queries`, and how many times DuckDB's CPU time it may take.
const QUERIES: [(&str, f64); 7] = [
    ("revenue_by_day_and_country", 1.3),
    ("top_products", 1.3),
    ("sessions", 2.0),
    ("funnel", 2.0),
    ("roas", 1.3),
    ("rfm", 2.0),
    ("one_day", 1.3),
];

/// A lake with the benchmark's orders, requests and events; made once for each scale.
fn lake(bench: &Bench<'_>) -> Outcome<PathBuf> {
    let Args { peers, scale, .. } = bench.args;
    let lake = bench.work.join(format!("queries-{scale}"));
    let mark = lake.join("complete");
    if mark.exists() {
        return Ok(lake);
    }
    if lake.exists() {
        std::fs::remove_dir_all(&lake).map_err(io(&lake))?;
    }
    for (name, factor) in PARTS {
        let case = case_of(name)?;
        let data = bench.work.join(format!("data-queries-{scale}"));
        let file = generate(&bench.generator, peers, scale * factor, &data, case)?;
        let contracts = case.contracts.map(|folder| root().join(folder));
        ingested(case, contracts.as_deref(), &file, &lake)?;
    }
    std::fs::write(&mark, "").map_err(io(&mark))?;
    Ok(lake)
}

/// What is printed of a query.
struct Line {
    own: f64,
    peer: f64,
    bytes: u64,
    bytes_by_hand: u64,
    files: u64,
    files_read: u64,
}

/// Runs a query in turn with DuckDB, which checks the answer.
fn compare(bench: &Bench<'_>, lake: &Path, name: &str) -> Outcome<Line> {
    let statement = root().join(format!("xtask/bench/queries/{name}.sql"));
    let sql = std::fs::read_to_string(&statement).map_err(io(&statement))?;
    let answer = bench.work.join("answer.csv");
    let (mut own, mut peer, mut bytes_by_hand) = (Vec::new(), Vec::new(), 0);
    let query = |options: &[&str]| -> Outcome<Command> {
        let mut command = Command::new(optimised("tarn")?);
        command.arg("query").arg(&sql).arg("--lake").arg(lake);
        command.args(options);
        Ok(command)
    };
    for _ in 0..bench.args.runs {
        let mut command = query(&["--quiet", "--format", "csv", "--out"])?;
        own.push(measured(command.arg(&answer))?);
        let printed = process::capture(
            "queries.py",
            Command::new(&bench.generator)
                .arg(root().join("xtask/bench/queries.py"))
                .args([lake, &statement, &answer]),
        )?;
        let printed = String::from_utf8_lossy(&printed).into_owned();
        let unread = || format!("queries.py printed {printed}");
        let (seconds, bytes) = printed.trim().split_once(' ').ok_or_else(unread)?;
        peer.push(seconds.parse().map_err(|_| unread())?);
        bytes_by_hand = bytes.parse().map_err(|_| unread())?;
    }
    let [files_read, files, bytes, ..] = said(&mut query(&["--format", "csv"])?)?;
    Ok(Line {
        own: median(own),
        peer: median(peer),
        bytes,
        bytes_by_hand,
        files,
        files_read,
    })
}

/// What `tarn query` prints about its reading: files read and considered, bytes read and considered, requests.
fn said(query: &mut Command) -> Outcome<[u64; 5]> {
    let output = query
        .output()
        .map_err(|error| format!("tarn cannot be started: {error}"))?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = text.lines().find(|line| line.starts_with("read "));
    let numbers: Option<Vec<u64>> = line.map(|line| {
        let digits = line.replace(',', "");
        let numbers = digits.split(|other: char| !other.is_ascii_digit());
        numbers.filter_map(|number| number.parse().ok()).collect()
    });
    numbers
        .and_then(|numbers| numbers.try_into().ok())
        .ok_or_else(|| format!("tarn query does not say what it read: {text}"))
}

/// Prints the comparison. What takes longer than the goal is marked; nothing fails.
pub fn run(bench: &Bench<'_>) -> Outcome {
    let lake = lake(bench)?;
    println!(
        "\n| query | Tarn CPU s | DuckDB CPU s | ratio | goal | files read | MB read | MB by hand |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|---:|");
    for (name, goal) in QUERIES {
        let line = compare(bench, &lake, name)?;
        let ratio = line.own / line.peer;
        let mark = if ratio > goal { " (missed)" } else { "" };
        println!(
            "| {name} | {:.3} | {:.3} | {ratio:.2} | {goal:.1}{mark} | {} of {} | {:.2} | {:.2} |",
            line.own,
            line.peer,
            line.files_read,
            line.files,
            line.bytes as f64 / 1e6,
            line.bytes_by_hand as f64 / 1e6,
        );
    }
    Ok(())
}
