//! Developer automation: `cargo xtask test`, `bench`, `dist`, `docs`, `package` and `local`.
#![cfg_attr(not(test), warn(unused_crate_dependencies))]
#![cfg_attr(test, allow(clippy::expect_used))]

mod bench;
mod dist;
mod docs;
mod elf;
mod emulator;
mod local;
mod package;
mod process;
mod programs;
mod python;
mod sbom;
mod sql_page;
mod steps;
mod terraform;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Developer automation for Tarn.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run everything there is: formatting, clippy, contracts, generated docs, unit, property and
    /// end-to-end tests, and the independent readers in a Python environment of their own
    Test,
    /// Measure CPU time against DuckDB, Polars for Python and PyArrow in one run
    Bench(bench::Args),
    /// Write the zip file of the functions, for AWS Lambda
    Package(package::Options),
    /// Write the files of a release for this machine's platform: archive of the command line, zip file
    /// of the functions, bill of materials, SHA-256 sums
    Dist(dist::Options),
    /// The lake on an emulator of AWS on this machine
    Local(local::Options),
    /// Write the generated reference pages
    Docs {
        /// Only check that they are up to date
        #[arg(long)]
        check: bool,
    },
}

/// What a step fails with: a text for people.
type Outcome<T = ()> = Result<T, String>;

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Test => steps::test(),
        Command::Bench(args) => bench::run(&args),
        Command::Package(options) => package::run(&options),
        Command::Dist(options) => dist::run(&options),
        Command::Local(options) => local::run(&options),
        Command::Docs { check } => steps::build().and_then(|()| docs::run(check)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("xtask: {text}");
            ExitCode::FAILURE
        }
    }
}

/// The workspace's folder.
fn root() -> PathBuf {
    // Cargo says it to a program that it runs. It is not compiled in: a build may be shared by clones
    // in several places.
    std::env::var_os("CARGO_MANIFEST_DIR")
        .and_then(|package| Path::new(&package).parent().map(Path::to_path_buf))
        .unwrap_or_else(|| PathBuf::from("."))
}

/// The folder of build output, which Cargo is asked for: it may be set in many ways.
fn target() -> Outcome<PathBuf> {
    let output = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps"])
        .current_dir(root())
        .output()
        .map_err(|error| format!("cargo metadata: {error}"))?;
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("cargo metadata: {error}"))?;
    let folder = metadata["target_directory"]
        .as_str()
        .ok_or("cargo metadata names no target folder")?;
    Ok(PathBuf::from(folder))
}

/// The binary of the command line, as [`steps::build`] builds it.
fn tarn() -> Outcome<PathBuf> {
    Ok(target()?.join("debug/tarn"))
}
