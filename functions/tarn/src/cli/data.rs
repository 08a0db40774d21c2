//! Options of the commands that put data into the lake and read it.

use std::path::PathBuf;

use chrono::NaiveDate;
use clap::{Args, ValueEnum, ValueHint, value_parser};

pub(super) const INGEST_HELP: &str = "\
A file keeps its name and goes to raw/<source>/<dataset>/ingest_date=<today>/<name>. The source and \
dataset come from --to; else from the folders that the file is in, if a contract claims them; else from \
the one contract whose format fits the content. A file that fits no contract is kept under \
raw/unclaimed and listed, never ingested by guess. A file in the lake's own raw folder is ingested \
where it is. Files with the same name keep as many of their folders as distinguish them.

Each line of a log is taken once: a log that has grown adds only its new lines, and one that was renamed, \
copied or compressed adds none. The run record says what was taken before, and by which run. Logs of less \
than 64 KiB in different folders of the raw zone are all taken, because two servers may have logged the \
same. With --as-new every line is taken.

A file that cannot be read, a name that is not UTF-8, a pipe or a link to nothing is listed as failed; the \
others are ingested.

The exit code is 0 if every file was ingested (now or before), 1 if a run failed or the tables do not hold \
what the runs accepted, 3 if no contract claims a file, and 4 if a file has rows and all of them were \
rejected. Of several files the first of these that applies to one counts.

On AWS the file is uploaded, and a function ingests it. The command waits until that is done; with \
--no-wait it ends after the upload.

Examples:
  tarn ingest access.log.gz shop.sqlite
  tarn ingest --to web/access_logs server7.txt
  tarn ingest web1/access.log web2/access.log
  tarn ingest ./data
  tarn --env infra/dev ingest access.log.gz";

/// `tarn ingest`
#[derive(Debug, Args)]
pub struct IngestArgs {
    /// Files and folders
    #[arg(required = true, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
    /// Where in the raw zone they belong, for example web/access_logs
    #[arg(long, value_name = "SOURCE/DATASET")]
    pub to: Option<String>,
    /// Take every line of these logs, even if it was taken before
    #[arg(long)]
    pub as_new: bool,
    /// On AWS: end after the upload
    #[arg(long)]
    pub no_wait: bool,
}

pub(super) const STREAM_HELP: &str = "\
On AWS the lines are put on the Kinesis stream as records, and the command ends. Functions archive and \
ingest them within about a minute.";

/// `tarn stream`
#[derive(Debug, Args)]
pub struct StreamArgs {
    /// File of events, plain or gzip [default: standard input]
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,
    /// Dataset of the events, if more than one contract takes events
    #[arg(long)]
    pub dataset: Option<String>,
    /// Replay: let the events arrive on this UTC day, evenly spread over it [default: now]
    #[arg(long, value_name = "YYYY-MM-DD", requires = "file")]
    pub arrived_on: Option<NaiveDate>,
}

/// `tarn marts`
#[derive(Debug, Args)]
pub struct MartsArgs {
    /// Compute and write every mart again, even if nothing has changed; this replaces damaged files
    #[arg(long)]
    pub rebuild: bool,
}

pub(super) const QUERY_HELP: &str = "\
Tables are curated.<dataset>, analytics.<mart>, quality.quarantine and quality.results; the database may be omitted. \
Times are UTC. In JSON, decimals and times are text.

Examples:
  tarn query 'SELECT status, count(*) AS orders FROM orders GROUP BY status'
  tarn query --as-of 3 'SELECT count(*) FROM orders'
  tarn query --as-of 2026-01-31T10:00:00Z --format csv 'SELECT * FROM daily_sales'";

/// `tarn query`
#[derive(Debug, Args)]
pub struct QueryArgs {
    /// One SELECT; - reads it from standard input
    pub sql: String,
    /// How to write the answer
    #[arg(long, short, value_enum, default_value_t = Format::Table)]
    pub format: Format,
    /// Read this version: its number, its snapshot id, or a time
    #[arg(long, value_name = "VERSION|TIME")]
    pub as_of: Option<String>,
    /// Return at most this many rows
    #[arg(long, short = 'n')]
    pub limit: Option<usize>,
    /// Write to a file instead of standard output
    #[arg(long, short, value_hint = ValueHint::FilePath)]
    pub out: Option<PathBuf>,
    /// Memory for sorting, grouping and joining, in MiB; what needs more is done on disk
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = value_parser!(u32).range(32..))]
    pub memory: u32,
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned, for people
    Table,
    /// One array of objects
    Json,
    /// One object per line
    Ndjson,
    /// Comma-separated values with a header line
    Csv,
    /// A Parquet file
    Parquet,
    /// An Arrow IPC file
    Arrow,
}

/// `tarn serve`
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Port on localhost; 0 takes a free one
    #[arg(long, short, default_value_t = 8080)]
    pub port: u16,
    /// Memory of all queries together, in MiB; one query may use half of it
    #[arg(long, value_name = "MIB", default_value_t = 2048, value_parser = value_parser!(u32).range(64..))]
    pub memory: u32,
    /// Seconds that a query may take, the writing of its answer included
    #[arg(long, value_name = "SECONDS", default_value_t = 29, value_parser = value_parser!(u32).range(1..))]
    pub timeout: u32,
}

/// `tarn versions`
#[derive(Debug, Args)]
pub struct VersionsArgs {
    /// Table, with or without its database
    pub table: String,
}
