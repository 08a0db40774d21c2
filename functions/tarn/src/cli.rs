//! The command line.

use std::path::PathBuf;

use chrono::{DateTime, NaiveDate, Utc};
use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;

use tarn_sample::faults::Faults;

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
    /// Folder of the lake; it is made when something is first put into it [default: ./lake]
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
    /// Generate a small shop, ingest it, build marts and show what came of it
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
    /// Show the state of the pipeline: backlog, last success, broken rules and promises, anomalies
    Status(StatusArgs),
    /// List rejected rows, or show one with its payload, place and reason
    Quarantine(QuarantineArgs),
    /// Read objects again that rejected rows came from, under the present contracts
    #[command(after_long_help = REPLAY_HELP)]
    Replay(ReplayArgs),
    /// Read objects of some days again under the present contracts
    Backfill(BackfillArgs),
    /// List the runs, newest first, or show one
    Runs(RunsArgs),
    /// Forget old versions of tables, delete files that no version names, and what stopped processes left
    #[command(after_long_help = MAINTAIN_HELP)]
    Maintain(MaintainArgs),
    /// Read everything that is kept, and say what is not what was written
    #[command(after_long_help = VERIFY_HELP)]
    Verify(VerifyArgs),
    /// Let the tables of a moved folder name the place where it is, for other readers of them
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
With --faults the demo is another one: four weeks of sales with a fault on each of some days, in a lake \
of its own (default ./lake-faults) with contracts of its own. The reports of all days are made, and the \
demo says which finding named each fault and whether anything else was flagged. The exit code is 0 only \
if every fault was found and nothing else was flagged.

Faults: nulls, duplicates, out-of-range, orphans, dropped-day, volume-spike, drifted-type, new-column; \
all (what --faults alone means), or none.

Examples:
  tarn demo
  tarn demo --faults
  tarn demo --faults=orphans,volume-spike --lake ./two-faults
  tarn demo --faults=none --lake ./no-faults";

const INGEST_HELP: &str = "\
A file keeps its name and goes to raw/<source>/<dataset>/ingest_date=<today>/<name>. Which source and \
dataset: what --to says; else the folders that the file is in, where a contract claims them; else the \
one contract of the format that its content shows. A file that fits no contract is kept under \
raw/unclaimed and listed, never ingested by guess. A file of the lake's own raw folder is ingested \
where it is. Files of one name keep as many of their folders in front of it as tell them apart.

Each line of a log is taken once: a log that has grown brings its new lines alone, and one that was renamed, \
copied or compressed brings none. The run record says what was taken before, and by which run. Logs of less \
than 64 KiB in different folders of the raw zone count each, because two servers may have logged the same. \
With --as-new every line counts.

A file that cannot be read, a name that is not UTF-8, a pipe or a link to nothing is listed as failed; the \
others are ingested.

The exit code is 0 if every file was ingested (or was before), 1 if a run failed or the tables do not hold \
what the runs accepted, 3 if a file is unclaimed.

On AWS the file is uploaded, and the function ingests it; the command follows the ledger until that is \
done, or with --no-wait ends after the upload.

Examples:
  tarn ingest access.log.gz shop.sqlite
  tarn ingest --to web/access_logs server7.txt
  tarn ingest web1/access.log web2/access.log
  tarn ingest ./data
  tarn --env infra/dev ingest access.log.gz";

const STREAM_HELP: &str = "\
On AWS the lines are put on the Kinesis stream as records, and the command ends: the functions archive \
and ingest them within a minute or so.";

const QUALITY_HELP: &str = "\
Without a command: sums up the newest runs, records what they found in the table quality.results, and \
writes the reports of new runs, of their days, of today and of yesterday to results/reports/ in the lake. \
On AWS the schedule does this every hour.

Examples:
  tarn quality
  tarn quality report --day 2026-01-31 --out ./report
  tarn quality anomalies
  tarn quality dismiss orders/row_count/2026-01-31 --note 'the winter sale began'";

const QUERY_HELP: &str = "\
Tables are curated.<dataset>, analytics.<mart>, quality.quarantine and quality.results; the database may be left out. \
Times are UTC. In JSON, decimals and times are text.

Examples:
  tarn query 'SELECT status, count(*) AS orders FROM orders GROUP BY status'
  tarn query --as-of 3 'SELECT count(*) FROM orders'
  tarn query --as-of 2026-01-31T10:00:00Z --format csv 'SELECT * FROM daily_sales'";

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

/// `tarn ingest`
#[derive(Debug, Args)]
pub struct IngestArgs {
    /// Files and folders
    #[arg(required = true, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
    /// Where in the raw zone they belong, for example web/access_logs
    #[arg(long, value_name = "SOURCE/DATASET")]
    pub to: Option<String>,
    /// Take every line of these logs, whatever was taken before
    #[arg(long)]
    pub as_new: bool,
    /// On AWS: end after the upload
    #[arg(long)]
    pub no_wait: bool,
}

/// `tarn stream`
#[derive(Debug, Args)]
pub struct StreamArgs {
    /// File of events, plain or gzip [default: standard input]
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,
    /// Dataset that the events are for, where more than one contract takes events
    #[arg(long)]
    pub dataset: Option<String>,
    /// Replay: say that the events arrived on this UTC day, evenly spread over it [default: now]
    #[arg(long, value_name = "YYYY-MM-DD", requires = "file")]
    pub arrived_on: Option<NaiveDate>,
}

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
    /// At most so many rows
    #[arg(long, short = 'n')]
    pub limit: Option<usize>,
    /// Write to a file instead of standard output
    #[arg(long, short, value_hint = ValueHint::FilePath)]
    pub out: Option<PathBuf>,
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
}

/// `tarn versions`
#[derive(Debug, Args)]
pub struct VersionsArgs {
    /// Table, with or without its database
    pub table: String,
}

/// `tarn quality`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct QualityArgs {
    /// Sum up so many of the newest runs
    #[arg(long, default_value_t = 1000)]
    pub runs: usize,
    #[command(subcommand)]
    pub command: Option<QualityCommand>,
}

/// What to do about quality.
#[derive(Debug, Subcommand)]
pub enum QualityCommand {
    /// Make the report of a day or of a run, as JSON and as a page
    Report(QualityReportArgs),
    /// List values that their history does not let one expect
    Anomalies(AnomaliesArgs),
    /// Say that something was wrong: the value leaves the history
    Confirm(JudgeArgs),
    /// Say that nothing was wrong: the value stays in the history
    Dismiss(JudgeArgs),
}

/// `tarn quality report`
#[derive(Debug, Args)]
pub struct QualityReportArgs {
    /// Report on this run
    #[arg(long, value_name = "RUN_ID", conflicts_with_all = ["day", "as_of"])]
    pub run: Option<String>,
    /// Report on this UTC day [default: today]
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub day: Option<NaiveDate>,
    /// Report what was known at this time [default: when the day was settled, or now]
    #[arg(long, value_name = "TIME")]
    pub as_of: Option<DateTime<Utc>>,
    /// Write report.json and report.html to this folder [default: to the lake]
    #[arg(long, short, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub out: Option<PathBuf>,
}

/// `tarn quality anomalies`
#[derive(Debug, Args)]
pub struct AnomaliesArgs {
    /// Days to look at
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3_660))]
    pub days: u32,
    /// The last of them (UTC) [default: today]
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub until: Option<NaiveDate>,
    /// Also those that were judged
    #[arg(long)]
    pub all: bool,
}

/// `tarn quality confirm` and `tarn quality dismiss`
#[derive(Debug, Args)]
pub struct JudgeArgs {
    /// The anomaly's name, as the list and reports give it
    #[arg(value_name = "ID")]
    pub id: String,
    /// Why
    #[arg(long)]
    pub note: Option<String>,
}

/// `tarn status`
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// End with exit code 1 where something waits, failed or is broken
    #[arg(long)]
    pub check: bool,
}

/// `tarn quarantine`
#[derive(Debug, Args)]
pub struct QuarantineArgs {
    /// Show one rejected row by its number in the list
    pub number: Option<u64>,
    /// Rows of this dataset only
    #[arg(long)]
    pub dataset: Option<String>,
    /// Rows that broke this rule only
    #[arg(long)]
    pub rule: Option<String>,
    /// Print the row as it was received, read from the raw object; it may hold personal data
    #[arg(long)]
    pub payload: bool,
    /// At most so many rows
    #[arg(long, short = 'n', default_value_t = 20)]
    pub limit: usize,
}

const REPLAY_HELP: &str = "\
The rows of each object take the place of those that it has in the table and in the quarantine, so that rows \
which pass now leave the quarantine and have this run in _run_id. Run it again as often as you like. Of a \
database every later one is read again too, so that the newest has the last word. Of a log each version is \
read again that has lines in the table, and as much of it as is its own. Mended contracts are given with \
--contracts.

With --replace the present content of a log takes the place of all that its object ever brought: for a file \
that was wrong and was put again under its name, whose rows would otherwise be added.

Examples:
  tarn replay --dataset web_requests
  tarn replay raw/web/access_logs/ingest_date=2026-01-31/access.log
  tarn replay --replace raw/web/access_logs/ingest_date=2026-01-31/access.log";

/// `tarn replay`
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Objects of the raw zone to read again, whether rows of them were rejected or not [default: all that
    /// rejected rows came from]
    #[arg(value_name = "KEY", conflicts_with_all = ["dataset", "rule", "since", "until", "run"])]
    pub keys: Vec<String>,
    /// Let the present content of these logs take the place of all that their objects ever brought
    #[arg(long, requires = "keys")]
    pub replace: bool,
    /// The rows that these snapshots of a database delete are really gone at their source, however many
    /// they are (see maximumDeletedShare in docs/concepts/contracts.md)
    #[arg(long, requires = "keys", conflicts_with = "dry_run")]
    pub confirm_deletions: bool,
    /// Rows of this dataset only
    #[arg(long)]
    pub dataset: Option<String>,
    /// Rows that broke this rule only
    #[arg(long)]
    pub rule: Option<String>,
    /// Rows rejected at this time or later, for example 2026-01-31 or 2026-01-31T10:00:00Z
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Rows rejected before this time
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// Rows that this run rejected only
    #[arg(long, value_name = "RUN_ID")]
    pub run: Option<String>,
    /// Change nothing; say how many rows would pass, and how row counts and sums would move
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
    /// Objects of this dataset only
    #[arg(long)]
    pub dataset: Option<String>,
    /// Change nothing; say how many rows would pass, and how row counts and sums would move
    #[arg(long)]
    pub dry_run: bool,
}

/// `tarn runs`
#[derive(Debug, Args)]
pub struct RunsArgs {
    /// Show one run in full
    pub run_id: Option<String>,
    /// At most so many runs
    #[arg(long, short = 'n', default_value_t = 20)]
    pub limit: usize,
}

const MAINTAIN_HELP: &str = "\
In a folder this also removes unfinished files of processes that are gone (those of living ones stay, however \
old they are), what older versions of Tarn kept of reports that were written again, and former contents of \
raw objects that were erased. What others than the lake's owner could read of the raw zone and of .tarn is \
made its owner's alone; tables and reports keep their modes.";

/// `tarn maintain`
#[derive(Debug, Args)]
pub struct MaintainArgs {
    /// Change nothing; say what would be done
    #[arg(long)]
    pub dry_run: bool,
    /// Keep versions that are younger than so many days
    #[arg(long, env = "TARN_KEEP_DAYS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(0..=36_500))]
    pub keep_days: u32,
    /// Keep at least so many of the newest versions of each table
    #[arg(long, env = "TARN_KEEP_VERSIONS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub keep_versions: u32,
    /// Delete files that no version names once they are so many days old
    #[arg(long, env = "TARN_ORPHAN_DAYS", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub orphan_days: u32,
}

const VERIFY_HELP: &str = "\
Every file that a version of a table needs is read to its end: metadata, manifests, data files; and every \
raw object with its former versions, and the state. Each is held against the digest that it was written \
with, which its name carries, or, for raw objects, the ledger knows. A file that an older version of Tarn or \
another engine wrote has none in its name: it is held against what names it (sizes, counts), and in a folder \
its digest is remembered, so that the next time tells.

Queries, marts and ingests look at a data file in a folder when they meet it for the first time, and again \
once its size or a time of it has changed; a bit that turned over on the disk later is found by this command \
alone. On AWS they look at each file that they fetch.

For each file that is not what was written this says what to do: which raw object to read again, which mart \
to compute again, or that the file must come from a copy of the lake.

The exit code is 0 if nothing is wrong, files without a digest among it, and 1 if a file is damaged or gone.

Examples:
  tarn verify
  tarn verify orders order_items
  tarn --json verify > verified.ndjson";

/// `tarn verify`
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// These tables alone, with or without their databases, and neither raw objects nor the state
    #[arg(value_name = "TABLE")]
    pub tables: Vec<String>,
}

/// `tarn marts`
#[derive(Debug, Args)]
pub struct MartsArgs {
    /// Compute every mart and write it anew, also where nothing has changed: files that are damaged are
    /// replaced
    #[arg(long)]
    pub rebuild: bool,
}

const RELOCATE_HELP: &str = "\
A lake whose folder was moved, copied or mounted elsewhere works as before: its own paths are read below \
the folder where it is now. Other programs (pyiceberg, DuckDB, Spark) follow the paths in the tables' \
metadata, which name the place where the lake was recorded. This command writes the metadata of every \
table anew, with the present place in every path of every version that is kept, and lets all that is \
written from then on name it too. Data files are neither changed nor copied, versions keep their numbers.

Each table changes at once or not at all. After a stop, run the command again; where nothing is left to do \
it changes nothing. The column _source_uri of rows is left as it is: it says where the object was when the \
row was written, and the lake finds the object by it all the same.

A lake on AWS cannot be relocated: copy its raw bucket, and ingest the objects there.

The exit code is 1 where a table could not be relocated.

Examples:
  mv ./lake /srv/lake && tarn --lake /srv/lake relocate
  tarn --lake /srv/lake relocate --dry-run";

/// `tarn relocate`
#[derive(Debug, Args)]
pub struct RelocateArgs {
    /// Change nothing; say what would be written anew
    #[arg(long)]
    pub dry_run: bool,
}

/// `tarn redrive`
#[derive(Debug, Args)]
pub struct RedriveArgs {
    /// The queue whose dead letters are to be sent again
    #[arg(value_enum)]
    pub queue: DeadLetters,
    /// At most so many messages [default: as many as there are]
    #[arg(long, short = 'n')]
    pub limit: Option<usize>,
    /// Send nothing; say how many there are
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
    /// Add a new key, which all new rows use; pseudonyms of the same value differ from those before
    Rotate(RotateArgs),
}

/// `tarn keys rotate`
#[derive(Debug, Args)]
pub struct RotateArgs {
    /// Go on without the keys that rows were made with, where they are lost and no backup has them
    #[arg(long)]
    pub lost: bool,
}

/// `tarn contract`
#[derive(Debug, Subcommand)]
pub enum ContractCommand {
    /// Check contracts; every fault is listed with its file, line and the way to mend it
    Lint(LintArgs),
    /// Draft contracts from a file: one per table of a database, one for any other file
    Infer(InferArgs),
    /// List what changed between two versions of contracts, and whom it breaks
    #[command(after_long_help = DIFF_HELP)]
    Diff(DiffArgs),
    /// Say what the contracts would reject of files or raw objects, and why, without writing
    #[command(after_long_help = TEST_HELP)]
    Test(ContractTestArgs),
    /// Write a page per dataset for those who query it, as Markdown
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
}

const TEST_HELP: &str = "\
Files are read as if they were ingested now, against the tables of the lake; without a lake, against \
empty tables. The exit code is 1 where a row would be rejected, a run would fail, or a rule that does not \
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
    /// Instead of files, the objects of the raw zone from this day on (their ingest_date) …
    #[arg(long, value_name = "DATE", requires = "to")]
    pub from: Option<NaiveDate>,
    /// … to this day
    #[arg(long, value_name = "DATE", requires = "from")]
    pub to: Option<NaiveDate>,
    /// Verdicts on this dataset only
    #[arg(long)]
    pub dataset: Option<String>,
    /// Source and dataset of the files in the raw zone, where their content does not show it, for
    /// example web/access_logs
    #[arg(long = "as", value_name = "SOURCE/DATASET", conflicts_with = "from")]
    pub to_folder: Option<String>,
}

const DIFF_HELP: &str = "\
A change is breaking for consumers where rows are permitted that were not before, or where what they \
read is gone or of another type; for producers where rows that were accepted may be rejected now. The \
exit code is 1 where a breaking change comes without a new major version.

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
    /// Whose needs decide what is breaking
    #[arg(long = "for", value_enum, default_value_t = PartyArg::Consumers, value_name = "PARTY")]
    pub party: PartyArg,
}

/// Who relies on a contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PartyArg {
    /// Those who read the table
    Consumers,
    /// Those who send the data
    Producers,
}

/// `tarn completions`
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}
