//! Python environments for the independent readers and the peers.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Outcome, root, target};

/// The packages that the tests use. The last two open reports in a browser and check them against their
/// schema.
pub const TEST_PACKAGES: &[&str] = &[
    "chdb==4.4.0",
    "datacontract-cli==1.2.8",
    "duckdb==2.0.0",
    "fsspec==2026.9.0",
    "polars==2.1.0",
    "pyiceberg[glue,pyarrow]==0.12.0",
    "jsonschema==4.26.0",
    "playwright==1.65.2",
    "typos==1.52.0",
    "vaderSentiment==3.3.2",
];

/// The AWS command line, with which the tests upload.
pub const AWS_CLI: &[&str] = &["awscli==1.46.3"];

/// What judges the Terraform plans.
pub const CHECKOV: &[&str] = &["checkov==3.3.30"];

/// What the benchmark compares with.
pub const BENCH_PACKAGES: &[&str] = &[
    "duckdb==2.0.0",
    "polars==2.1.0",
    "pyarrow==26.0.1",
    "numpy==2.4.6",
];

/// What it compares with for databases: DuckDB reads them by an extension, which this is the newest
/// version of that can be installed as a package.
pub const SQLITE_PACKAGES: &[&str] = &[
    "duckdb==1.5.5",
    "duckdb-extensions==1.5.5",
    "duckdb-extension-sqlite-scanner==1.5.5",
    "polars==2.1.0",
    "pyarrow==26.0.1",
    "numpy==2.4.6",
];

/// A virtual environment with the packages, made once: a file in it says what it holds.
pub fn environment(name: &str, packages: &[&str]) -> Outcome<PathBuf> {
    let folder = target()?.join("python").join(name);
    let mark = folder.join("packages.txt");
    let wanted = packages.join("\n");
    if std::fs::read_to_string(&mark).is_ok_and(|found| found == wanted) {
        return Ok(folder);
    }
    eprintln!("\n==> Python environment {name}: {}", packages.join(", "));
    run(Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&folder))?;
    run(Command::new(folder.join("bin/python"))
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ])
        .args(packages))?;
    std::fs::write(&mark, wanted).map_err(|error| format!("{}: {error}", mark.display()))?;
    Ok(folder)
}

/// A virtual environment with the packages of a requirements file.
pub fn environment_of(name: &str, requirements: &Path) -> Outcome<PathBuf> {
    let text = std::fs::read_to_string(requirements)
        .map_err(|error| format!("{}: {error}", requirements.display()))?;
    let packages: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    environment(name, &packages)
}

fn run(command: &mut Command) -> Outcome {
    let program = command.get_program().display().to_string();
    let status = command.status().map_err(|error| {
        format!("{program} cannot be started: {error}; Python 3.10 or later with venv is needed")
    })?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{program} failed ({status})"))
    }
}

/// The shop's contracts in name order.
pub fn contracts() -> Outcome<Vec<PathBuf>> {
    let folder = root().join("contracts");
    let unreadable = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&folder)
        .map_err(unreadable)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(unreadable)?;
    paths.retain(|path: &PathBuf| is_contract(path));
    paths.sort();
    Ok(paths)
}

fn is_contract(path: &Path) -> bool {
    path.to_str()
        .is_some_and(|path| path.ends_with(".odcs.yaml"))
}
