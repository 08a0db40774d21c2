//! The tests of the workspace. All test programs are built first and then run, two at a time: while one
//! waits for the emulator or for Terraform, the other uses the processor.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Instant;

use serde_json::Value;

use crate::process::{self, cargo};
use crate::{Outcome, root};

/// Test programs that run side by side.
const LANES: usize = 2;

/// The programs that take longest, by package and target. They start first.
const LONGEST: [(&str, &str); 4] = [
    ("tarn-tests", "e2e"),
    ("tarn-tests", "aws"),
    ("tarn-tests", "infra"),
    ("tarn-ingest", "ingest"),
];

/// A program of tests.
struct Program {
    package: String,
    target: String,
    command: Command,
}

impl Program {
    fn name(&self) -> String {
        if self.package.replace('-', "_") == self.target {
            return self.package.clone();
        }
        format!("{} {}", self.package, self.target)
    }
}

/// The counts in the last line of a test program.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
    ignored: u64,
    measured: u64,
    filtered: u64,
}

impl Counts {
    /// `test result: ok. 8 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s`
    fn parse(line: &str) -> Option<Counts> {
        let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
        let mut found = Counts::default();
        for part in counts.split("; ") {
            let Some((number, what)) = part.split_once(' ') else {
                continue;
            };
            let count = match what {
                "passed" => &mut found.passed,
                "failed" => &mut found.failed,
                "ignored" => &mut found.ignored,
                "measured" => &mut found.measured,
                "filtered out" => &mut found.filtered,
                _ => continue,
            };
            *count = number.parse().ok()?;
        }
        Some(found)
    }

    fn add(&mut self, other: Counts) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
        self.measured += other.measured;
        self.filtered += other.filtered;
    }
}

/// The results so far.
#[derive(Default)]
struct Results {
    counts: Counts,
    failed: Vec<String>,
}

/// Builds the test programs of a selection and returns them.
fn programs(selection: &[&str], variables: &[(&str, PathBuf)]) -> Outcome<Vec<Program>> {
    let mut command = cargo(&[
        "test",
        "--no-run",
        "--message-format",
        "json-render-diagnostics",
    ]);
    command.args(selection).stderr(Stdio::inherit());
    let output = command
        .output()
        .map_err(|error| format!("cargo test --no-run: {error}"))?;
    if !output.status.success() {
        return Err(format!("the tests cannot be built ({})", output.status));
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let mut found = Vec::new();
    for line in messages.lines() {
        let message: Value = serde_json::from_str(line)
            .map_err(|error| format!("cargo test --no-run: {error}: {line}"))?;
        let (Some(executable), true) = (
            message["executable"].as_str(),
            message["profile"]["test"] == true,
        ) else {
            continue;
        };
        let manifest = message["manifest_path"].as_str().map(PathBuf::from);
        let folder = manifest
            .as_ref()
            .and_then(|path| path.parent())
            .ok_or_else(|| format!("{executable} has no manifest"))?;
        let package = package_name(message["package_id"].as_str().unwrap_or_default());
        let target = message["target"]["name"].as_str().unwrap_or_default();
        let mut command = Command::new(executable);
        process::without_own_package(&mut command);
        // As Cargo runs them.
        command
            .arg("--include-ignored")
            .current_dir(folder)
            .env("CARGO", env!("CARGO"))
            .env("CARGO_MANIFEST_DIR", folder)
            .envs(variables.iter().map(|(name, value)| (name, value)));
        found.push(Program {
            package,
            target: target.to_owned(),
            command,
        });
    }
    Ok(found)
}

/// The name in a package id such as `path+file:///tarn/crates/core#tarn-core@0.1.0`. The id omits the name
/// if the folder has the same name.
fn package_name(id: &str) -> String {
    let (place, version) = id.rsplit_once('#').unwrap_or((id, ""));
    match version.split_once('@') {
        Some((name, _)) => name.to_owned(),
        None => place.rsplit('/').next().unwrap_or(place).to_owned(),
    }
}

/// Builds and runs all tests. Shows their output line by line, each line with the name of its program; the
/// last line is the sum over all programs.
pub fn run(selections: &[&[&str]], variables: &[(&str, PathBuf)]) -> Outcome {
    eprintln!("\n==> tests");
    let mut all = Vec::new();
    for selection in selections {
        all.extend(programs(selection, variables)?);
    }
    all.sort_by_key(|program| {
        let is = |(package, target): &(&str, &str)| {
            program.package == *package && program.target == *target
        };
        LONGEST.iter().position(is).unwrap_or(LONGEST.len())
    });
    all.push(documentation());
    let started = Instant::now();
    let waiting = Mutex::new(VecDeque::from(all));
    let results = Mutex::new(Results::default());
    std::thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| lane(&waiting, &results));
        }
    });
    let results = results.into_inner().map_err(|error| error.to_string())?;
    summary(&results, started)
}

/// The examples in the documentation of the crates that have any.
fn documentation() -> Program {
    let mut command = cargo(&[
        "test",
        "--quiet",
        "--doc",
        "--workspace",
        "--features",
        "tarn/aws",
    ]);
    command.current_dir(root());
    Program {
        package: "documentation".to_owned(),
        target: "documentation".to_owned(),
        command,
    }
}

/// Runs programs until none is left.
fn lane(waiting: &Mutex<VecDeque<Program>>, results: &Mutex<Results>) {
    loop {
        let next = waiting
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .pop_front();
        let Some(mut program) = next else {
            return;
        };
        let name = program.name();
        let outcome = watched(&name, &mut program.command);
        let mut results = results
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        match outcome {
            Ok((counts, true)) => results.counts.add(counts),
            Ok((counts, false)) => {
                results.counts.add(counts);
                results.failed.push(name);
            }
            Err(error) => {
                eprintln!("{error}");
                results.failed.push(name);
            }
        }
    }
}

/// Runs one program and shows its output. Returns its counts and whether it succeeded.
fn watched(name: &str, command: &mut Command) -> Outcome<(Counts, bool)> {
    let failed = |error: std::io::Error| format!("{name}: {error}");
    let started = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let counts = shown(name, &mut child);
    let status = child.wait().map_err(failed)?;
    eprintln!("{name}: {:.0} s", started.elapsed().as_secs_f64());
    match counts {
        Some(counts) => Ok((counts, status.success())),
        None => Err(format!("{name}: ended without a result ({status})")),
    }
}

/// Shows both outputs of a program line by line. Returns the sum of the results in them; None if there is
/// no result.
fn shown(name: &str, child: &mut Child) -> Option<Counts> {
    let errors = child.stderr.take();
    let output = child.stdout.take();
    std::thread::scope(|scope| {
        scope.spawn(|| errors.map(|errors| lines(name, errors)));
        output.and_then(|output| lines(name, output))
    })
}

fn lines(name: &str, from: impl Read) -> Option<Counts> {
    let mut sum: Option<Counts> = None;
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    // A test may print bytes that are not UTF-8.
    while from.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        if let Some(counts) = Counts::parse(text) {
            sum.get_or_insert_default().add(counts);
        }
        println!("{name}: {text}");
        line.clear();
    }
    sum
}

/// Prints the last line: the sum over all programs, in the format of a test program.
fn summary(results: &Results, started: Instant) -> Outcome {
    for name in &results.failed {
        eprintln!("failed: {name}");
    }
    let Counts {
        passed,
        failed,
        ignored,
        measured,
        filtered,
    } = results.counts;
    let verdict = if results.failed.is_empty() {
        "ok"
    } else {
        "FAILED"
    };
    println!(
        "\ntest result: {verdict}. {passed} passed; {failed} failed; {ignored} ignored; \
         {measured} measured; {filtered} filtered out; finished in {:.2}s",
        started.elapsed().as_secs_f64()
    );
    if results.failed.is_empty() {
        Ok(())
    } else {
        Err(format!("tests failed: {}", results.failed.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_of_a_program_is_read_from_its_last_line() {
        let line = "test result: FAILED. 151 passed; 5 failed; 2 ignored; 1 measured; 3 filtered out; \
                    finished in 778.40s";
        let counts = Counts {
            passed: 151,
            failed: 5,
            ignored: 2,
            measured: 1,
            filtered: 3,
        };
        assert_eq!(Counts::parse(line), Some(counts));
        for other in ["", "running 3 tests", "test result", "test demo::a ... ok"] {
            assert_eq!(Counts::parse(other), None, "{other}");
        }
    }

    fn shell(script: &str) -> Outcome<(Counts, bool)> {
        watched("shell", Command::new("sh").args(["-c", script]))
    }

    #[test]
    fn a_program_that_ends_without_a_result_or_with_an_error_has_failed() {
        let line = "test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out";
        let two = Counts {
            passed: 2,
            ..Counts::default()
        };
        assert_eq!(shell(&format!("echo '{line}'")), Ok((two, true)));
        assert_eq!(shell(&format!("echo '{line}'; exit 1")), Ok((two, false)));
        assert!(shell("echo nothing").is_err());
        assert!(shell("kill -9 $$").is_err());
        // Bytes that are not UTF-8 do not hide the result.
        let odd = format!("printf '\\377\\n'; echo '{line}'");
        assert_eq!(shell(&odd), Ok((two, true)));
    }

    #[test]
    fn a_failed_program_fails_the_whole() {
        let results = Results {
            counts: Counts::default(),
            failed: vec!["tarn-core".to_owned()],
        };
        let error = summary(&results, Instant::now()).expect_err("it failed");
        assert!(error.contains("tarn-core"), "{error}");
        assert_eq!(summary(&Results::default(), Instant::now()), Ok(()));
    }

    #[test]
    fn packages_are_named_by_their_id() {
        for (id, name) in [
            ("path+file:///tarn/crates/core#tarn-core@0.1.0", "tarn-core"),
            ("path+file:///tarn/xtask#0.1.0", "xtask"),
        ] {
            assert_eq!(package_name(id), name);
        }
    }
}
