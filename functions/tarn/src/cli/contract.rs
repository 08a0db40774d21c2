//! Options of the commands about contracts.

use std::path::PathBuf;

use chrono::NaiveDate;
use clap::{ArgGroup, Args, Subcommand, ValueEnum, ValueHint};

/// `tarn contract`
#[derive(Debug, Subcommand)]
pub enum ContractCommand {
    /// Check contracts; every fault is listed with its file, line and how to fix it
    Lint(LintArgs),
    /// Draft contracts from a file: one per table of a database, one for any other file
    Infer(InferArgs),
    /// List what changed between two versions of contracts, and for whom it is breaking
    #[command(after_long_help = DIFF_HELP)]
    Diff(DiffArgs),
    /// Show what the contracts would reject in files or raw objects, and why, without writing
    #[command(after_long_help = TEST_HELP)]
    Test(ContractTestArgs),
    /// Write a Markdown page for each dataset, for people who query it
    Docs(ContractDocsArgs),
}

/// `tarn contract docs`
#[derive(Debug, Args)]
pub struct ContractDocsArgs {
    /// Folder to write the pages and their README.md to; pages that are there are replaced
    #[arg(value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,
}

/// `tarn contract lint`
#[derive(Debug, Args)]
pub struct LintArgs {
    /// Files or folders [default: --contracts, or ./contracts]
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
}

/// `tarn contract infer`
#[derive(Debug, Args)]
pub struct InferArgs {
    /// The file
    #[arg(value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// Folder to write the drafts to [default: print them]
    #[arg(long, short, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub out: Option<PathBuf>,
    /// Name of the source in raw/<source>/… [default: from the file's name]
    #[arg(long)]
    pub source: Option<String>,
    /// Name of the dataset, and of its folder in raw/<source>/…, of a file other than a database
    #[arg(long)]
    pub name: Option<String>,
    /// Replace drafts that are in the folder already
    #[arg(long, requires = "out")]
    pub force: bool,
}

const TEST_HELP: &str = "\
Files are read as if they were ingested now, against the tables of the lake; without a lake, against \
empty tables. The exit code is 1 if a row would be rejected, a run would fail, or a rule that does not \
only warn is broken.

Examples:
  tarn contract test shop.sqlite
  tarn --contracts ./changed contract test --from 2026-01-01 --to 2026-01-31 --dataset orders";

/// `tarn contract test`
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("subject").args(["files", "from"]).required(true).multiple(false))]
pub struct ContractTestArgs {
    /// Files or folders
    #[arg(value_name = "FILE", value_hint = ValueHint::AnyPath)]
    pub files: Vec<PathBuf>,
    /// Instead of files, test the objects of the raw zone from this day on (their ingest_date) …
    #[arg(long, value_name = "DATE", requires = "to")]
    pub from: Option<NaiveDate>,
    /// … to this day
    #[arg(long, value_name = "DATE", requires = "from")]
    pub to: Option<NaiveDate>,
    /// Only results for this dataset
    #[arg(long)]
    pub dataset: Option<String>,
    /// Source and dataset of the files in the raw zone, if their content does not show it, for
    /// example web/access_logs
    #[arg(long = "as", value_name = "SOURCE/DATASET", conflicts_with = "from")]
    pub to_folder: Option<String>,
}

const DIFF_HELP: &str = "\
A change is breaking for consumers if it permits rows that were not permitted before, or if something \
they read is gone or has another type. It is breaking for producers if rows that were accepted may be \
rejected now. The exit code is 1 if a breaking change comes without a new major version.

Examples:
  tarn contract diff orders.odcs.yaml new/orders.odcs.yaml
  git worktree add ../released v1.4.0 && tarn contract diff ../released/contracts contracts";

/// `tarn contract diff`
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// The contract as it was, or a folder of contracts
    #[arg(value_hint = ValueHint::AnyPath)]
    pub old: PathBuf,
    /// The contract as it is, or a folder of contracts
    #[arg(value_hint = ValueHint::AnyPath)]
    pub new: PathBuf,
    /// For whom to decide what is breaking
    #[arg(long = "for", value_enum, default_value_t = PartyArg::Consumers, value_name = "PARTY")]
    pub party: PartyArg,
}

/// Who relies on a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PartyArg {
    /// People who read the table
    Consumers,
    /// People who send the data
    Producers,
}
