//! `cargo xtask bench`: CPU time of an ingest against what a user would write instead, of queries against DuckDB,
//! and the API's cold start.
//!
//! Both sides read the same file and write Parquet with zstd level 1, in turn, in one run; the ratio
//! is of the medians of user + system time. Ours is the path that production uses: the raw object is
//! in the lake, and `tarn ingest` reads, checks, protects, deduplicates, writes and commits it. The
//! peers protect nothing, so contracts that protect columns are measured without that, too.

mod queries;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::process::{self, cargo, step};
use crate::{Outcome, package, python, root, target};

/// Options of the benchmark.
#[derive(clap::Args)]
pub struct Args {
    /// Folder with `gen.py` and `peers/` (see docs/concepts/performance.md)
    #[arg(long, default_value = "../shared/bench")]
    pub peers: PathBuf,
    /// Size of the data: 1 is a log of 4 million lines, about 1 GB
    #[arg(long, default_value_t = 0.1)]
    pub scale: f64,
    /// Runs of each side; the median counts
    #[arg(long, default_value_t = 5)]
    pub runs: usize,
    /// Only these: logs, logsgz, ads, social, sqlite, rules, anomalies, queries, coldstart
    #[arg(long, value_delimiter = ',')]
    pub only: Vec<String>,
}

struct Case {
    name: &'static str,
    data: &'static str,
    /// The lake's folder of the file.
    place: &'static str,
    file: &'static str,
    floor: f64,
    /// Contracts other than the shop's.
    contracts: Option<&'static str>,
    peers: &'static [(&'static str, &'static str)],
}

const CASES: &[Case] = &[
    Case {
        name: "logs",
        data: "logs",
        place: "raw/web/access_logs/ingest_date=2026-01-31",
        file: "access.log",
        floor: 6.0,
        contracts: None,
        peers: &[("DuckDB", "duckdb_etl.py"), ("Polars", "polars_etl.py")],
    },
    Case {
        name: "logsgz",
        data: "logs",
        place: "raw/web/access_logs/ingest_date=2026-01-31",
        file: "access.log.gz",
        floor: 6.0,
        contracts: None,
        peers: &[("DuckDB", "duckdb_etl.py")],
    },
    Case {
        name: "ads",
        data: "ads",
        place: "raw/ads/events/ingest_date=2026-01-31",
        file: "ads.ndjson",
        floor: 2.0,
        contracts: None,
        peers: &[
            ("DuckDB", "duckdb_etl.py"),
            ("Polars", "polars_etl.py"),
            ("PyArrow", "pyarrow_etl.py"),
        ],
    },
    Case {
        name: "social",
        data: "social",
        place: "raw/social/posts/ingest_date=2026-01-31",
        file: "social.ndjson",
        floor: 1.0,
        contracts: None,
        peers: &[
            ("DuckDB", "duckdb_etl.py"),
            ("Polars", "polars_etl.py"),
            ("PyArrow", "pyarrow_etl.py"),
        ],
    },
    Case {
        name: "sqlite",
        data: "sqlite",
        place: "raw/shop/database/ingest_date=2026-01-31",
        file: "shop.sqlite",
        floor: 2.0,
        contracts: Some("xtask/bench/contracts"),
        peers: &[("DuckDB", "duckdb_etl.py"), ("Polars", "polars_etl.py")],
    },
];

/// CPU seconds of the children that were waited for, user and system.
fn children_cpu() -> Outcome<f64> {
    // Fields 16 and 17 of /proc/self/stat, in clock ticks of 10 ms (proc(5)), counted from the last ')'.
    let stat = std::fs::read_to_string("/proc/self/stat")
        .map_err(|error| format!("/proc/self/stat: {error}"))?;
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks = |index: usize| {
        fields
            .get(index)
            .and_then(|field| field.parse::<f64>().ok())
    };
    match (ticks(13), ticks(14)) {
        (Some(user), Some(system)) => Ok((user + system) / 100.0),
        _ => Err("/proc/self/stat has another form than proc(5) says".to_owned()),
    }
}

fn measured(command: &mut Command) -> Outcome<f64> {
    let before = children_cpu()?;
    let program = command.get_program().display().to_string();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{program} cannot be started: {error}"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("{program} failed ({}): {text}", output.status));
    }
    Ok(children_cpu()? - before)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> String + '_ {
    move |error| format!("{}: {error}", path.display())
}

fn parquet_bytes(folder: &Path) -> Outcome<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder).map_err(io(folder))? {
        let path = entry.map_err(io(folder))?.path();
        if path.is_dir() {
            bytes += parquet_bytes(&path)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "parquet")
        {
            bytes += path.metadata().map_err(io(&path))?.len();
        }
    }
    Ok(bytes)
}

/// The generated file of a case at a scale, made where it is not there.
fn generate(python: &Path, peers: &Path, scale: f64, data: &Path, case: &Case) -> Outcome<PathBuf> {
    let file = data.join(case.file);
    if file.exists() {
        return Ok(file);
    }
    std::fs::create_dir_all(data).map_err(io(data))?;
    eprintln!("generating {} at scale {scale}", case.data);
    let plain = data.join(case.file.trim_end_matches(".gz"));
    if !plain.exists() {
        measured(
            Command::new(python)
                .arg(peers.join("gen.py"))
                .args([case.data, &scale.to_string()])
                .env("OUT", data),
        )?;
    }
    if case.file.ends_with(".gz") {
        measured(Command::new("gzip").arg("-kf").arg(&plain))?;
    }
    Ok(file)
}

/// The optimised build of a program: development builds are for tests.
fn optimised(program: &str) -> Outcome<PathBuf> {
    Ok(target()?.join("release").join(program))
}

fn case_of(name: &str) -> Outcome<&'static Case> {
    CASES
        .iter()
        .find(|case| case.name == name)
        .ok_or_else(|| format!("there is no case {name}"))
}

/// Puts a file into a lake's raw zone and ingests it; CPU seconds. `contracts` are other than the shop's.
fn ingested(case: &Case, contracts: Option<&Path>, file: &Path, lake: &Path) -> Outcome<f64> {
    let place = lake.join(case.place);
    std::fs::create_dir_all(&place).map_err(io(&place))?;
    let object = place.join(case.file);
    std::fs::hard_link(file, &object)
        .or_else(|_| std::fs::copy(file, &object).map(drop))
        .map_err(io(&object))?;
    let mut command = Command::new(optimised("tarn")?);
    command
        .arg("ingest")
        .arg("--quiet")
        .arg("--lake")
        .arg(lake)
        .arg(&object);
    if let Some(contracts) = contracts {
        command.arg("--contracts").arg(contracts);
    }
    measured(&mut command)
}

/// One ingest into a new lake; CPU seconds and the bytes of the dataset's files.
fn ours(case: &Case, contracts: Option<&Path>, file: &Path, lake: &Path) -> Outcome<(f64, u64)> {
    if lake.exists() {
        std::fs::remove_dir_all(lake).map_err(io(lake))?;
    }
    let seconds = ingested(case, contracts, file, lake)?;
    Ok((seconds, parquet_bytes(&lake.join("curated"))?))
}

/// The shop's contracts without their protections: what is left of a list of properties without its
/// only entry, and the tag of what must be protected, go with them.
fn unprotected(work: &Path) -> Outcome<PathBuf> {
    let folder = work.join("unprotected");
    std::fs::create_dir_all(&folder).map_err(io(&folder))?;
    let contracts = root().join("contracts");
    for entry in std::fs::read_dir(&contracts).map_err(io(&contracts))? {
        let path = entry.map_err(io(&contracts))?.path();
        let Some(name) = path
            .file_name()
            .filter(|_| path.extension().is_some_and(|e| e == "yaml"))
        else {
            continue;
        };
        let text = std::fs::read_to_string(&path).map_err(io(&path))?;
        let lines = text
            .lines()
            .filter(|line| !line.contains("property: protection"));
        let lines: Vec<&str> = lines.collect();
        let mut kept = String::new();
        for (number, line) in lines.iter().enumerate() {
            let emptied = line.trim() == "customProperties:"
                && lines
                    .get(number + 1)
                    .is_none_or(|next| !next.trim().starts_with("- {"));
            if !emptied {
                kept.push_str(&line.replace("pii:direct", "direct"));
                kept.push('\n');
            }
        }
        let to = folder.join(name);
        std::fs::write(&to, kept).map_err(io(&to))?;
    }
    Ok(folder)
}

/// DuckDB with its extension for SQLite, which is taken from a package: nothing is downloaded by DuckDB.
fn sqlite_environment() -> Outcome<PathBuf> {
    let environment = python::environment("bench-sqlite", python::SQLITE_PACKAGES)?;
    let import = "import duckdb_extensions; duckdb_extensions.import_extension('sqlite_scanner')";
    measured(
        Command::new(environment.join("bin/python"))
            .args(["-c", import])
            .env("HOME", &environment),
    )?;
    Ok(environment)
}

/// A peer's program and the Python environment that runs it.
struct Peer<'a> {
    environment: &'a Path,
    script: PathBuf,
}

impl Peer<'_> {
    /// CPU seconds of a case, and the bytes written to `out`.
    fn run(&self, case: &Case, data: &Path, out: &Path) -> Outcome<(f64, u64)> {
        if out.exists() {
            std::fs::remove_dir_all(out).map_err(io(out))?;
        }
        std::fs::create_dir_all(out).map_err(io(out))?;
        let seconds = measured(
            Command::new(self.environment.join("bin/python"))
                .arg(&self.script)
                .arg(case.name)
                .env("BENCH_DATA", data)
                .env("BENCH_OUT", out)
                // DuckDB keeps its extensions there.
                .env("HOME", self.environment),
        )?;
        Ok((seconds, parquet_bytes(out)?))
    }
}

/// How well the anomaly methods find what was changed in seeded series.
fn anomalies() -> Outcome {
    step(
        "precision and recall of the anomaly methods",
        &mut cargo(&[
            "run",
            "--release",
            "--package",
            "tarn-quality",
            "--example",
            "anomalies",
        ]),
    )
}

/// A run with thirty rules may cost this many times as much as a run with none.
const RULES_CEILING: f64 = 1.5;

/// The cost of rules: the access log with thirty of them against none. What was missed, if anything.
fn rules(args: &Args, generator: &Path, data: &Path, work: &Path) -> Outcome<Option<String>> {
    let logs = case_of("logs")?;
    let file = generate(generator, &args.peers, args.scale, data, logs)?;
    let rules = root().join("xtask/bench/rules");
    let (none, thirty) = (rules.join("none"), rules.join("thirty"));
    let (mut without, mut ruled) = (Vec::new(), Vec::new());
    for _ in 0..args.runs {
        without.push(ours(logs, Some(&none), &file, &work.join("lake"))?.0);
        ruled.push(ours(logs, Some(&thirty), &file, &work.join("lake"))?.0);
    }
    let (without, ruled) = (median(without), median(ruled));
    let ratio = ruled / without;
    println!("\n| rules | CPU s | times none |\n|---:|---:|---:|");
    println!("| 0 | {without:.2} | 1.00 |\n| 30 | {ruled:.2} | {ratio:.2} |");
    Ok((ratio > RULES_CEILING)
        .then(|| format!("rules: {ratio:.2} times the cost instead of at most {RULES_CEILING}")))
}

/// What several runs of one side took and wrote.
#[derive(Clone, Default)]
struct Measured {
    seconds: Vec<f64>,
    bytes: u64,
}

impl Measured {
    fn add(&mut self, (seconds, bytes): (f64, u64)) {
        self.seconds.push(seconds);
        self.bytes = bytes;
    }
}

/// A line of the table: a case under one contract.
struct Line<'a> {
    case: &'a Case,
    contract: &'a str,
    /// Whether Tarn must be as many times faster as the case's floor says.
    has_floor: bool,
    /// Whether Tarn's files must not be larger.
    has_ceiling: bool,
}

impl Line<'_> {
    /// Prints the comparison with a peer. Returns the goals that were missed.
    fn print(&self, peer: &str, own: &Measured, other: &Measured) -> Vec<String> {
        let Line { case, contract, .. } = self;
        let (own_seconds, seconds) = (median(own.seconds.clone()), median(other.seconds.clone()));
        let ratio = seconds / own_seconds;
        let floor = if self.has_floor {
            format!("{:.0}", case.floor)
        } else {
            String::new()
        };
        println!(
            "| {} | {contract} | {peer} | {own_seconds:.2} | {seconds:.2} | {ratio:.2} | {floor} | {:.1} | {:.1} |",
            case.name,
            own.bytes as f64 / 1e6,
            other.bytes as f64 / 1e6,
        );
        let mut missed = Vec::new();
        if self.has_floor && ratio < case.floor {
            missed.push(format!(
                "{}: {ratio:.2} instead of {}",
                case.name, case.floor
            ));
        }
        if self.has_ceiling && own.bytes > other.bytes {
            missed.push(format!(
                "social: {} bytes instead of at most {}",
                own.bytes, other.bytes
            ));
        }
        missed
    }
}

/// What every case is run with.
struct Bench<'a> {
    args: &'a Args,
    /// The Python environment of the peers.
    environment: PathBuf,
    generator: PathBuf,
    work: PathBuf,
    data: PathBuf,
    /// The production contracts without protections.
    unprotected: PathBuf,
}

impl Bench<'_> {
    /// Runs a case and prints its lines. Returns the goals that were missed.
    fn case(&self, case: &Case) -> Outcome<Vec<String>> {
        let mut missed = Vec::new();
        let Args { peers, scale, .. } = self.args;
        let file = generate(&self.generator, peers, *scale, &self.data, case)?;
        let environment = match case.name {
            "sqlite" => sqlite_environment()?,
            _ => self.environment.clone(),
        };
        // The contract of the case, or the production contract with and without protections.
        let contracts = match case.contracts {
            Some(contracts) => vec![("its own", Some(root().join(contracts)))],
            None => vec![
                ("production", None),
                ("unprotected", Some(self.unprotected.clone())),
            ],
        };
        let mut own = vec![Measured::default(); contracts.len()];
        let mut others: BTreeMap<&str, Measured> = BTreeMap::new();
        for _ in 0..self.args.runs {
            for ((_, contracts), own) in contracts.iter().zip(&mut own) {
                own.add(ours(
                    case,
                    contracts.as_deref(),
                    &file,
                    &self.work.join("lake"),
                )?);
            }
            for (name, script) in case.peers {
                let peer = Peer {
                    environment: &environment,
                    script: self.args.peers.join("peers").join(script),
                };
                let found = peer.run(case, &self.data, &self.work.join("out"))?;
                others.entry(name).or_default().add(found);
            }
        }
        for (number, ((contract, _), own)) in contracts.iter().zip(&own).enumerate() {
            for (name, other) in &others {
                let line = Line {
                    case,
                    contract,
                    // Time is compared for what production does.
                    has_floor: *name == "DuckDB" && number == 0,
                    // Bytes are compared for the same values: a pseudonym has more digits than a number
                    // and never repeats.
                    has_ceiling: *name == "DuckDB"
                        && case.name == "social"
                        && *contract == "unprotected",
                };
                missed.extend(line.print(name, own, other));
            }
        }
        Ok(missed)
    }
}

/// Starts the API's function, and prints how long its first answer takes, and its size.
fn cold_start(python: &Path, starts: usize) -> Outcome {
    let binary = optimised(package::FUNCTIONS)?;
    let bytes = binary.metadata().map_err(io(&binary))?.len();
    let printed = process::capture(
        "cold_start.py",
        Command::new(python)
            .arg(root().join("xtask/bench/cold_start.py"))
            .arg(&binary)
            .arg(root())
            .arg(starts.to_string()),
    )?;
    let mut columns = [Vec::new(), Vec::new()];
    for line in String::from_utf8_lossy(&printed).lines() {
        for (column, number) in columns.iter_mut().zip(line.split(' ')) {
            column.push(
                number
                    .parse()
                    .map_err(|_| format!("cold_start.py printed {line}"))?,
            );
        }
    }
    let [clock, cpu] = columns.map(median);
    println!("\n| cold start of the API | ms | CPU ms | binary MB |\n|---|---:|---:|---:|");
    println!(
        "| to /health | {clock:.0} | {cpu:.0} | {:.0} |",
        bytes as f64 / 1e6
    );
    Ok(())
}

/// Runs the benchmark and prints the ratios.
pub fn run(args: &Args) -> Outcome {
    let asked = |name: &str| args.only.is_empty() || args.only.iter().any(|only| only == name);
    if asked("anomalies") {
        anomalies()?;
        if args.only.len() == 1 {
            return Ok(());
        }
    }
    let peers = root().join(&args.peers);
    let args = &Args {
        peers,
        only: args.only.clone(),
        ..*args
    };
    if !args.peers.join("gen.py").exists() {
        return Err(format!(
            "{} has no gen.py: the generator and the peers are not part of this repository; name their \
             folder with --peers",
            args.peers.display()
        ));
    }
    step(
        "optimised build",
        cargo(&["build", "--release"]).args(package::RELEASE),
    )?;
    let environment = python::environment("bench", python::BENCH_PACKAGES)?;
    let work = target()?.join("bench");
    let bench = Bench {
        args,
        generator: environment.join("bin/python"),
        environment,
        data: work.join(format!("data-{}", args.scale)),
        unprotected: unprotected(&work)?,
        work,
    };
    let mut missed = Vec::new();
    println!(
        "| source | contract | peer | Tarn CPU s | peer CPU s | ratio | floor | Tarn MB | peer MB |"
    );
    println!("|---|---|---|---:|---:|---:|---:|---:|---:|");
    for case in CASES.iter().filter(|case| asked(case.name)) {
        missed.extend(bench.case(case)?);
    }
    if asked("rules") {
        missed.extend(rules(args, &bench.generator, &bench.data, &bench.work)?);
    }
    if asked("queries") {
        queries::run(&bench)?;
    }
    if asked("coldstart") {
        cold_start(&bench.generator, args.runs)?;
    }
    if missed.is_empty() {
        Ok(())
    } else {
        Err(format!("below the floor: {}", missed.join("; ")))
    }
}
