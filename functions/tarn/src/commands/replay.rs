//! `tarn replay` and `tarn backfill`: raw objects are read again under the present contracts.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use serde_json::{Map, Value, json};
use tarn_api::query::{QueryRequest, answer};
use tarn_contract::Format;
use tarn_contract::quarantine;
use tarn_core::ports::ObjectInfo;
use tarn_core::run::{ObjectState, RunKind, RunRecord};
use tarn_core::{Error, ErrorKind, Result, layout};
use tarn_ingest::{DryRun, Options, dry_run, is_unfinished, moved, read_again};

use crate::cli::{BackfillArgs, Global, ReplayArgs};
use crate::commands::ingest::end;
use crate::session::{Session, open};
use crate::terminal::{Terminal, count, plural};

fn bad(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::BadRequest, text)
}

/// Reads the objects again that are named, or that rejected rows came from.
pub async fn replay(global: &Global, args: &ReplayArgs, terminal: &Terminal) -> Result<ExitCode> {
    let session = open(global).await?;
    let options = Options {
        kind: RunKind::Replay,
        confirm_deletions: args.confirm_deletions,
        replace: args.replace,
    };
    if !args.keys.is_empty() {
        let keys = named(&session, args).await?;
        return again(&session, &keys, options, args.dry_run, terminal).await;
    }
    let wanted = Wanted::new(&session, args)?;
    let mut keys = wanted.objects(&session).await?;
    for record in session.lake.ledger.objects(layout::RAW).await? {
        // A run that stopped between the commits of two tables has left the object pending.
        if wanted.claims(&session, &record.key) && is_unfinished(&session.lake, &record).await? {
            keys.insert(record.key);
        }
    }
    let keys = in_order(&session, keys).await?;
    if keys.is_empty() {
        terminal.note("No rejected row matches: there is nothing to replay.");
        return Ok(ExitCode::SUCCESS);
    }
    again(&session, &keys, options, args.dry_run, terminal).await
}

/// The objects with these names, with or without `raw/`, in the order of their puts.
async fn named(session: &Session, args: &ReplayArgs) -> Result<Vec<String>> {
    let mut keys = BTreeSet::new();
    for name in &args.keys {
        let key = match name.strip_prefix(layout::RAW) {
            Some(_) => name.clone(),
            None => format!("{}{name}", layout::RAW),
        };
        let contracts = session.lake.contracts.claiming(&key);
        if contracts.is_empty() {
            return Err(bad(format!(
                "no contract claims {key}; name the whole key, as tarn runs shows it, for example \
                 raw/web/access_logs/ingest_date=2026-01-31/access.log"
            )));
        }
        if args.replace && !contracts.iter().all(|contract| contract.is_log()) {
            return Err(bad(format!(
                "--replace is for logs; the newest version of {key} has replaced the others already"
            )));
        }
        session.lake.objects.head(&key).await.map_err(|error| {
            if error.kind() != ErrorKind::NotFound {
                return error;
            }
            bad(format!(
                "there is no object {key}; list the objects with: tarn runs"
            ))
        })?;
        keys.insert(key);
    }
    in_order(session, keys).await
}

/// Reads the objects again that were put on some days.
pub async fn backfill(
    global: &Global,
    args: &BackfillArgs,
    terminal: &Terminal,
) -> Result<ExitCode> {
    if args.to < args.from {
        return Err(bad("--to is before --from"));
    }
    let session = open(global).await?;
    check_dataset(&session, args.dataset.as_deref())?;
    let (mut keys, mut done) = (BTreeSet::new(), 0);
    for object in session.lake.objects.list(layout::RAW).await? {
        let in_range =
            ingest_date(&object.key).is_some_and(|date| (args.from..=args.to).contains(&date));
        if !in_range || !claims(&session, args.dataset.as_deref(), &object.key) {
            continue;
        }
        if is_done(&session, &object).await? {
            done += 1;
        } else {
            keys.insert(object.key);
        }
    }
    let keys = in_order(&session, keys).await?;
    if done > 0 {
        terminal.note(&format!(
            "{} already read under these versions of the contracts",
            plural(done, "object")
        ));
    }
    if keys.is_empty() {
        terminal.note("No object is left to be read again.");
        return Ok(ExitCode::SUCCESS);
    }
    let options = Options {
        kind: RunKind::Backfill,
        ..Options::default()
    };
    again(&session, &keys, options, args.dry_run, terminal).await
}

/// The day in a key of the raw zone.
pub fn ingest_date(key: &str) -> Option<NaiveDate> {
    let (_, rest) = key.split_once("/ingest_date=")?;
    rest.get(..10)?.parse().ok()
}

/// Whether a contract claims the object, that of the dataset where one is named.
pub fn claims(session: &Session, dataset: Option<&str>, key: &str) -> bool {
    let mut claiming = session.lake.contracts.claiming(key).into_iter();
    claiming.any(|contract| dataset.is_none_or(|dataset| contract.dataset == dataset))
}

/// Refuses a dataset that no contract describes.
pub fn check_dataset(session: &Session, dataset: Option<&str>) -> Result<()> {
    match dataset {
        Some(dataset) if session.lake.contracts.get(dataset).is_none() => Err(bad(format!(
            "no contract describes {dataset}; there are {}",
            session
                .lake
                .contracts
                .iter()
                .map(|contract| contract.dataset.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        ))),
        _ => Ok(()),
    }
}

/// Whether the object's rows are in tables under the present versions of their contracts, or a newer
/// snapshot has replaced them.
async fn is_done(session: &Session, object: &ObjectInfo) -> Result<bool> {
    let Some(record) = session.lake.ledger.object(&object.key).await? else {
        return Ok(false);
    };
    if record.version != object.version || record.sequencer != object.sequencer {
        return Ok(false);
    }
    match record.state {
        ObjectState::Committed => {}
        ObjectState::Superseded => return Ok(true),
        ObjectState::Pending | ObjectState::Failed | ObjectState::Unclaimed => return Ok(false),
    }
    let Some(run) = session.lake.ledger.run(&record.run_id).await? else {
        return Ok(false);
    };
    let contracts = session.lake.contracts.claiming(&object.key);
    Ok(contracts.iter().all(|contract| {
        run.datasets.iter().any(|outcome| {
            outcome.dataset == contract.dataset && outcome.contract_version == contract.version
        })
    }))
}

/// Which rejected rows are asked for.
struct Wanted<'a> {
    args: &'a ReplayArgs,
    since: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
}

impl<'a> Wanted<'a> {
    fn new(session: &Session, args: &'a ReplayArgs) -> Result<Self> {
        check_dataset(session, args.dataset.as_deref())?;
        let time = |text: &Option<String>| text.as_deref().map(instant).transpose();
        Ok(Wanted {
            args,
            since: time(&args.since)?,
            until: time(&args.until)?,
        })
    }

    fn claims(&self, session: &Session, key: &str) -> bool {
        claims(session, self.args.dataset.as_deref(), key)
    }

    /// The objects that such rows came from.
    async fn objects(&self, session: &Session) -> Result<BTreeSet<String>> {
        let mut keys = BTreeSet::new();
        for table in session.lake.catalog.list().await? {
            let Some(dataset) = quarantine::dataset_of(&table) else {
                continue;
            };
            if self
                .args
                .dataset
                .as_deref()
                .is_some_and(|wanted| wanted != dataset)
            {
                continue;
            }
            let request = QueryRequest {
                sql: format!(
                    "SELECT DISTINCT _source_uri, _rule, _run_id, _ingested_at FROM {table}"
                ),
                ..QueryRequest::default()
            };
            let rows = answer(&session.lake, request).await?.collect().await?;
            for row in rows.objects() {
                if self.matches(&row)? {
                    keys.extend(session.lake.objects.key_of(text(&row, "_source_uri")));
                }
            }
        }
        Ok(keys)
    }

    fn matches(&self, row: &Map<String, Value>) -> Result<bool> {
        let is = |wanted: &Option<String>, name: &str| {
            wanted
                .as_deref()
                .is_none_or(|wanted| wanted == text(row, name))
        };
        if !is(&self.args.rule, "_rule") || !is(&self.args.run, "_run_id") {
            return Ok(false);
        }
        let at: DateTime<Utc> = text(row, "_ingested_at").parse().map_err(|error| {
            Error::internal("a time in the quarantine cannot be read").with_source(error)
        })?;
        Ok(self.since.is_none_or(|since| at >= since) && self.until.is_none_or(|until| at < until))
    }
}

fn text<'a>(row: &'a Map<String, Value>, name: &str) -> &'a str {
    row.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A time, or the beginning of a day (UTC).
fn instant(text: &str) -> Result<DateTime<Utc>> {
    if let Ok(day) = text.parse::<NaiveDate>() {
        return Ok(day.and_time(NaiveTime::MIN).and_utc());
    }
    text.parse().map_err(|error| {
        bad(format!(
            "{text:?} is not a time; write for example 2026-01-31 or 2026-01-31T10:00:00Z"
        ))
        .with_source(error)
    })
}

/// The objects in the order in which they were put.
async fn in_order(session: &Session, keys: BTreeSet<String>) -> Result<Vec<String>> {
    let mut order: BTreeSet<(DateTime<Utc>, String)> = BTreeSet::new();
    for key in keys {
        match session.lake.objects.head(&key).await {
            Ok(info) => order.insert((info.last_modified, key)),
            // Its run says that it is gone.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                order.insert((DateTime::<Utc>::MIN_UTC, key))
            }
            Err(error) => return Err(error),
        };
    }
    Ok(order.into_iter().map(|(_, key)| key).collect())
}

async fn again(
    session: &Session,
    keys: &[String],
    options: Options,
    dry_run: bool,
    terminal: &Terminal,
) -> Result<ExitCode> {
    if dry_run {
        return dry_run_all(session, keys, options.replace, terminal).await;
    }
    let progress = terminal.progress();
    let mut records: Vec<RunRecord> = Vec::new();
    for (number, key) in keys.iter().enumerate() {
        progress.step(format!("{}/{} {key}", number + 1, keys.len()));
        let _lock = match session.folder() {
            Some(local) => Some(local.ingest_lock(key).await?),
            None => None,
        };
        records.extend(read_again(&session.lake, key, options).await?);
    }
    drop(progress);
    let code = end(session, &records, terminal).await?;
    if !terminal.is_json() {
        terminal.note("Bring the KPI tables up to date with: tarn marts");
    }
    Ok(code)
}

/// Says what a replay would do.
async fn dry_run_all(
    session: &Session,
    keys: &[String],
    replace: bool,
    terminal: &Terminal,
) -> Result<ExitCode> {
    let progress = terminal.progress();
    let mut datasets: BTreeMap<String, Vec<DryRun>> = BTreeMap::new();
    let mut notes = Vec::new();
    for (number, key) in keys.iter().enumerate() {
        progress.step(format!("{}/{} {key}", number + 1, keys.len()));
        for one in dry_run(&session.lake, key, replace).await? {
            if let Some(reason) = &one.superseded {
                notes.push(format!(
                    "{key}: {reason}; the table stays as it is, and the rejected rows of this snapshot would leave \
                     the quarantine"
                ));
                continue;
            }
            if let Some(reason) = &one.unconfirmed {
                notes.push(format!(
                    "{key}: {reason}; the replay would fail without --confirm-deletions"
                ));
            }
            datasets.entry(one.dataset.clone()).or_default().push(one);
        }
    }
    drop(progress);
    notes.iter().for_each(|note| terminal.note(note));
    let effects: Vec<Effect> = datasets
        .iter()
        .map(|(dataset, dry_runs)| Effect::of(session, dataset, dry_runs))
        .collect();
    if terminal.is_json() {
        for effect in &effects {
            terminal.json(&effect.json())?;
        }
    } else {
        print(&effects, terminal)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What a replay would do to one dataset.
struct Effect<'a> {
    dataset: &'a str,
    objects: usize,
    in_quarantine: u64,
    rejected: u64,
    /// By how much the number of rows would change.
    rows_change: i128,
    /// By how much the sums of columns would change.
    sums_change: BTreeMap<String, String>,
}

impl<'a> Effect<'a> {
    fn of(session: &Session, dataset: &'a str, dry_runs: &[DryRun]) -> Self {
        let contract = session.lake.contracts.get(dataset);
        let is_database = contract.is_some_and(|contract| contract.format == Format::Sqlite);
        // The newest database decides; the objects of other datasets add up.
        let counted: Vec<&DryRun> = match dry_runs.last() {
            Some(newest) if is_database => vec![newest],
            _ => dry_runs.iter().collect(),
        };
        let rows = |of: fn(&DryRun) -> u64| -> i128 {
            counted.iter().map(|one| i128::from(of(one))).sum()
        };
        Effect {
            dataset,
            objects: dry_runs.len(),
            in_quarantine: dry_runs.iter().map(|one| one.in_quarantine).sum(),
            rejected: dry_runs.iter().map(|one| one.outcome.rejected).sum(),
            rows_change: rows(|one| one.after.rows) - rows(|one| one.before.rows),
            sums_change: moved(&counted),
        }
    }

    /// Rows of the quarantine that would be accepted.
    fn would_pass(&self) -> u64 {
        self.in_quarantine.saturating_sub(self.rejected)
    }

    fn json(&self) -> Value {
        json!({
            "dataset": self.dataset,
            "objects": self.objects,
            "in_quarantine": self.in_quarantine,
            "would_pass": self.would_pass(),
            "would_be_rejected": self.rejected,
            "rows_change": i64::try_from(self.rows_change).unwrap_or_default(),
            "sums_change": self.sums_change,
        })
    }
}

fn print(effects: &[Effect<'_>], terminal: &Terminal) -> Result<()> {
    let numbers = [
        "objects",
        "in quarantine",
        "would pass",
        "would be rejected",
        "rows",
    ];
    let mut head = vec!["dataset"];
    head.extend(numbers);
    let lines = effects.iter().map(|effect| {
        vec![
            effect.dataset.to_owned(),
            effect.objects.to_string(),
            count(effect.in_quarantine),
            count(effect.would_pass()),
            count(effect.rejected),
            format!("{:+}", effect.rows_change),
        ]
    });
    terminal.table(&head, &numbers, lines.collect())?;
    let sums: Vec<Vec<String>> = effects
        .iter()
        .flat_map(|effect| {
            let sums = effect.sums_change.iter();
            sums.map(|(column, change)| {
                vec![effect.dataset.to_owned(), column.clone(), change.clone()]
            })
        })
        .collect();
    if !sums.is_empty() {
        terminal.table(&["dataset", "column", "sum"], &["sum"], sums)?;
    }
    terminal.note("Nothing was changed; run it without --dry-run to do it.");
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn keys_tell_their_day() {
        let key = "raw/web/access_logs/ingest_date=2026-01-31/a/b.log";
        assert_eq!(ingest_date(key), NaiveDate::from_ymd_opt(2026, 1, 31));
        for other in [
            "raw/web/access_logs/a.log",
            "raw/x/y/ingest_date=2026-02-31/a",
            "raw/x/y/ingest_date=é",
        ] {
            assert_eq!(ingest_date(other), None, "{other}");
        }
    }

    #[test]
    fn a_time_may_be_a_day() {
        assert_eq!(
            instant("2026-01-31").unwrap(),
            instant("2026-01-31T00:00:00Z").unwrap()
        );
        assert!(instant("yesterday").is_err());
    }
}
