//! The command line.

mod contract;
mod data;
mod quality;
mod upkeep;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueHint};
use clap_complete::Shell;
use tarn_sample::faults::Faults;

pub use self::contract::{
    ContractCommand, ContractDocsArgs, ContractTestArgs, DiffArgs, InferArgs, LintArgs, PartyArg,
};
pub use self::data::{
    Format, IngestArgs, MartsArgs, QueryArgs, ServeArgs, StreamArgs, VersionsArgs,
};
use self::data::{INGEST_HELP, QUERY_HELP, STREAM_HELP};
use self::quality::QUALITY_HELP;
pub use self::quality::{
    AnomaliesArgs, JudgeArgs, QualityArgs, QualityCommand, QualityReportArgs, StatusArgs,
};
pub use self::upkeep::{
    BackfillArgs, DeadLetters, KeysCommand, MaintainArgs, QuarantineArgs, RedriveArgs,
    RelocateArgs, ReplayArgs, RunsArgs, VerifyArgs,
};
use self::upkeep::{MAINTAIN_HELP, RELOCATE_HELP, REPLAY_HELP, VERIFY_HELP};

/// A data lake for an online shop, in a folder or on AWS.
#[derive(Debug, Parser)]
#[command(name = "tarn", version, max_term_width = 100, propagate_version = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Folder of the lake, created by the first command that writes to it [default: ./lake]
    #[arg(long, global = true, env = "TARN_LAKE", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub lake: Option<PathBuf>,
    /// Work on the lake on AWS that the TARN_* variables name, instead of a folder
    #[arg(long, global = true)]
    pub aws: bool,
    /// Work on the lake on AWS that was deployed from this Terraform root, for example infra/dev
    #[arg(long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub env: Option<PathBuf>,
    /// Folder of the data contracts (*.odcs.yaml) [default: the shop's, built in]
    #[arg(long, global = true, env = "TARN_CONTRACTS", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub contracts: Option<PathBuf>,
    /// Print JSON for programs instead of text for people
    #[arg(long, global = true)]
    pub json: bool,
    /// Print nothing but results and errors
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

impl Global {
    /// The folder of the lake.
    pub fn lake(&self) -> PathBuf {
        self.lake.clone().unwrap_or_else(|| "./lake".into())
    }

    /// Whether the lake on AWS is meant.
    pub fn is_on_aws(&self) -> bool {
        self.aws || self.env.is_some()
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Generate a small shop, ingest it, build marts and show the results
    #[command(after_long_help = DEMO_HELP)]
    Demo(DemoArgs),
    /// Write sample data of every kind of source
    Generate(GenerateArgs),
    /// Put files into the raw zone and ingest them
    #[command(after_long_help = INGEST_HELP)]
    Ingest(IngestArgs),
    /// Send ad events, one JSON object per line, through the archive step into the lake
    #[command(after_long_help = STREAM_HELP)]
    Stream(StreamArgs),
    /// Bring the marts up to date
    Marts(MartsArgs),
    /// Answer a SQL query over the lake's tables
    #[command(after_long_help = QUERY_HELP)]
    Query(QueryArgs),
    /// Serve health, tables, schemas and SQL queries over HTTP on localhost
    Serve(ServeArgs),
    /// List the tables
    Tables,
    /// List the versions of a table
    Versions(VersionsArgs),
    /// Evaluate the quality of each dataset, report on it, and judge anomalies
    #[command(after_long_help = QUALITY_HELP)]
    Quality(QualityArgs),
    /// Show the state of the pipeline: backlog, last success, broken rules, missed service levels, anomalies
    Status(StatusArgs),
    /// List rejected rows, or show one with its payload, place and reason
    Quarantine(QuarantineArgs),
    /// Read the objects that rejected rows came from again, under the present contracts
    #[command(after_long_help = REPLAY_HELP)]
    Replay(ReplayArgs),
    /// Read the objects of some days again under the present contracts
    Backfill(BackfillArgs),
    /// List the runs, newest first, or show one
    Runs(RunsArgs),
    /// Expire old versions of tables, and delete files that no version names or stopped processes left
    #[command(after_long_help = MAINTAIN_HELP)]
    Maintain(MaintainArgs),
    /// Read everything in the lake, and list the files that are not what was written
    #[command(after_long_help = VERIFY_HELP)]
    Verify(VerifyArgs),
    /// Rewrite the paths in the tables of a moved lake, so that other programs can read them
    #[command(after_long_help = RELOCATE_HELP)]
    Relocate(RelocateArgs),
    /// Send the messages of a dead-letter queue to their queue again (on AWS)
    Redrive(RedriveArgs),
    /// List the keys that pseudonyms are made with, or add a new one
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Check data contracts, or draft them from a file
    #[command(subcommand)]
    Contract(ContractCommand),
    /// Print a script that completes this command line in a shell
    Completions(CompletionsArgs),
}

const DEMO_HELP: &str = "\
With --faults a different demo runs: four weeks of sales with a fault on some of the days, in a lake \
of its own (default ./lake-faults) with its own contracts. It writes the reports of all days, and \
says which finding named each fault and whether anything else was flagged. The exit code is 0 only \
if every fault was found and nothing else was flagged.

Faults: nulls, duplicates, out-of-range, orphans, dropped-day, volume-spike, drifted-type, new-column; \
all (the default of --faults), or none.

Examples:
  tarn demo
  tarn demo --faults
  tarn demo --faults=orphans,volume-spike --lake ./two-faults
  tarn demo --faults=none --lake ./no-faults";

/// `tarn demo`
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Seed of the sample data
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// Days of sample data
    #[arg(long, default_value_t = 14, value_parser = clap::value_parser!(u32).range(2..=366))]
    pub days: u32,
    /// Size of the shop: 1 is about 4,000 orders and 40,000 log lines
    #[arg(long, default_value_t = 1.0, value_parser = scale)]
    pub scale: f64,
    /// Seed faults in four weeks of sales instead, and show that each is found and nothing else flagged
    #[arg(
        long,
        value_name = "FAULT,…",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "all",
        conflicts_with_all = ["seed", "days", "scale"]
    )]
    pub faults: Option<Faults>,
}

/// `tarn generate`
#[derive(Debug, Args)]
pub struct GenerateArgs {
    /// Folder to write to
    #[arg(long, short, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub out: PathBuf,
    /// Seed: the same seed gives the same bytes
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
    /// Days of data
    #[arg(long, default_value_t = 14, value_parser = clap::value_parser!(u32).range(2..=366))]
    pub days: u32,
    /// Size of the shop: 1 is about 4,000 orders and 40,000 log lines
    #[arg(long, default_value_t = 1.0, value_parser = scale)]
    pub scale: f64,
}

fn scale(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(scale) if scale.is_finite() && scale > 0.0 && scale <= 1000.0 => Ok(scale),
        _ => Err("a number greater than 0, at most 1000".to_owned()),
    }
}

/// `tarn completions`
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}
