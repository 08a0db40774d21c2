//! Options of the commands that look after the lake.

use chrono::NaiveDate;
use clap::{Args, Subcommand, ValueEnum};

/// `tarn quarantine`
#[derive(Debug, Args)]
pub struct QuarantineArgs {
    /// Show one rejected row by its number in the list
    pub number: Option<u64>,
    /// Only rows of this dataset
    #[arg(long)]
    pub dataset: Option<String>,
    /// Only rows that broke this rule
    #[arg(long)]
    pub rule: Option<String>,
    /// Print the row as it was received, read from the raw object; it may hold personal data
    #[arg(long)]
    pub payload: bool,
    /// List at most this many rows
    #[arg(long, short = 'n', default_value_t = 20)]
    pub limit: usize,
}

pub(super) const REPLAY_HELP: &str = "\
The rows of each object replace those that it has in the table and in the quarantine. Rows that pass now \
leave the quarantine and have this run in _run_id. You can run it any number of times. For a database, \
every later snapshot is read again too, so the newest decides. For a log, each version that has lines in \
the table is read again, and only its own lines. Name the fixed contracts with --contracts.

With --replace the present content of a log replaces all rows that its object ever brought. Use it for a \
file that was wrong and was put again under its name: otherwise its rows would be added.

Examples:
  tarn replay --dataset web_requests
  tarn replay raw/web/access_logs/ingest_date=2026-01-31/access.log
  tarn replay --replace raw/web/access_logs/ingest_date=2026-01-31/access.log";

/// `tarn replay`
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Objects of the raw zone to read again, with rejected rows or without [default: all objects with
    /// rejected rows]
    #[arg(value_name = "KEY", conflicts_with_all = ["dataset", "rule", "since", "until", "run"])]
    pub keys: Vec<String>,
    /// Replace all rows that the objects of these logs ever brought with their present content
    #[arg(long, requires = "keys")]
    pub replace: bool,
    /// Confirm that all rows that these database snapshots delete are gone at their source, however many
    /// they are (see maximumDeletedShare in docs/concepts/contracts.md)
    #[arg(long, requires = "keys", conflicts_with = "dry_run")]
    pub confirm_deletions: bool,
    /// Only rows of this dataset
    #[arg(long)]
    pub dataset: Option<String>,
    /// Only rows that broke this rule
    #[arg(long)]
    pub rule: Option<String>,
    /// Rows rejected at this time or later, for example 2026-01-31 or 2026-01-31T10:00:00Z
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Rows rejected before this time
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Only rows that this run rejected
    #[arg(long, value_name = "RUN_ID")]
    pub run: Option<String>,
    /// Change nothing; show how many rows would pass, and how row counts and sums would change
    #[arg(long)]
    pub dry_run: bool,
}

/// `tarn backfill`
#[derive(Debug, Args)]
pub struct BackfillArgs {
    /// First day (ingest_date of the objects)
    #[arg(long, value_name = "DATE")]
    pub from: NaiveDate,
    /// Last day
    #[arg(long, value_name = "DATE")]
    pub to: NaiveDate,
    /// Only objects of this dataset
    #[arg(long)]
    pub dataset: Option<String>,
    /// Change nothing; show how many rows would pass, and how row counts and sums would change
    #[arg(long)]
    pub dry_run: bool,
}

/// `tarn runs`
#[derive(Debug, Args)]
pub struct RunsArgs {
    /// Show one run in full
    pub run_id: Option<String>,
    /// List at most this many runs
    #[arg(long, short = 'n', default_value_t = 20)]
    pub limit: usize,
}

pub(super) const MAINTAIN_HELP: &str = "\
In a folder this also removes the unfinished files of processes that have ended (those of running processes \
stay, however old they are), former contents of reports that older versions of Tarn kept, and former \
contents of raw objects that were erased. If users other than the lake's owner can read files in the raw \
zone or in .tarn, it takes that right away; tables and reports keep their modes.";

/// `tarn maintain`
#[derive(Debug, Args)]
pub struct MaintainArgs {
    /// Change nothing; show what would be done
    #[arg(long)]
    pub dry_run: bool,
    /// Keep versions that are younger than this many days
    #[arg(long, env = "TARN_KEEP_DAYS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(0..=36_500))]
    pub keep_days: u32,
    /// Keep at least this many of the newest versions of each table
    #[arg(long, env = "TARN_KEEP_VERSIONS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub keep_versions: u32,
    /// Delete files that no version names once they are this many days old
    #[arg(long, env = "TARN_ORPHAN_DAYS", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub orphan_days: u32,
}

pub(super) const VERIFY_HELP: &str = "\
Every file that a version of a table needs is read to its end: metadata, manifests, data files; and every \
raw object with its former versions, and the state. Each is compared with the digest that it was \
written with, which is in its name, or, for raw objects, in the ledger. A file that an older version of Tarn \
or another engine wrote has no digest in its name: it is compared with the file that names it (sizes, \
counts), and in a folder its digest is remembered for the next time.

Queries, marts and ingests check a data file in a folder when they read it for the first time, and again \
if its size or one of its times has changed. Only this command finds a bit that flipped on the disk later. \
On AWS they check each file that they fetch whole.

For each file that is not what was written it says what to do: which raw object to read again, which mart \
to compute again, or that the file must be restored from a copy of the lake.

The exit code is 0 if nothing is wrong, even if some files have no digest, and 1 if a file is damaged or gone.

Examples:
  tarn verify
  tarn verify orders order_items
  tarn --json verify > verified.ndjson";

/// `tarn verify`
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Only these tables, with or without their databases; raw objects and the state are left out
    #[arg(value_name = "TABLE")]
    pub tables: Vec<String>,
}

pub(super) const RELOCATE_HELP: &str = "\
A lake whose folder was moved, copied or mounted elsewhere works as before: Tarn reads its paths below the \
folder where it is now. Other programs (pyiceberg, DuckDB, Spark) follow the paths in the tables' metadata, \
which name the former place. This command rewrites the metadata of every table, with the present place in \
every path of every version that is kept. Everything written from then on names the present place too. \
Data files are neither changed nor copied, and versions keep their numbers.

Each table changes at once or not at all. If the command stops, run it again; it does only what is left. \
The column _source_uri of rows stays as it is: it says where the object was when the row was written, and \
the lake still finds the object by it.

A lake on AWS cannot be relocated: copy its raw bucket, and ingest the objects there.

The exit code is 1 if a table could not be relocated.

Examples:
  mv ./lake /srv/lake && tarn --lake /srv/lake relocate
  tarn --lake /srv/lake relocate --dry-run";

/// `tarn relocate`
#[derive(Debug, Args)]
pub struct RelocateArgs {
    /// Change nothing; show what would be rewritten
    #[arg(long)]
    pub dry_run: bool,
}

/// `tarn redrive`
#[derive(Debug, Args)]
pub struct RedriveArgs {
    /// The queue whose dead letters are sent again
    #[arg(value_enum)]
    pub queue: DeadLetters,
    /// Send at most this many messages [default: all]
    #[arg(long, short = 'n')]
    pub limit: Option<usize>,
    /// Send nothing; show how many there are
    #[arg(long)]
    pub dry_run: bool,
}

/// A queue with dead letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DeadLetters {
    /// New objects that could not be ingested
    Ingest,
    /// Changed tables whose marts could not be built
    Marts,
    /// Records of the stream that could not be archived; they are read from the stream again
    Archive,
}

/// `tarn keys`
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// List the versions of the key; the keys themselves are never shown
    List,
    /// Add a new key, which all new rows use; the same value gets another pseudonym than before
    Rotate(RotateArgs),
}

/// `tarn keys rotate`
#[derive(Debug, Args)]
pub struct RotateArgs {
    /// Continue without the keys that rows were made with, if they are lost and no backup has them
    #[arg(long)]
    pub lost: bool,
}
