//! Logs: files of lines that grow, are renamed, compressed and cut off. Each line is taken once, whatever
//! its file is called; a version of an object adds what is new in it to what was taken before.
//!
//! 1. What is new is planned by the contents that were taken ([`recognise`](crate::recognise)).
//! 2. It is read, checked and staged.
//! 3. The content is claimed by compare-and-swap of its entry in the ledger. Who comes second plans again.
//! 4. The rejected rows are committed, then the accepted ones.
//! 5. The claim becomes a content that was taken.
//!
//! Stopped before 3, nothing happened. Stopped behind it, the claim is found by the next run of the object,
//! which does all of it again, or by a run of another object with the same lines: the table says whether
//! the claim's rows are in it, and if not, and its run has stopped, that run takes its lines over. Of the
//! two one commits ([`tarn_table::Takeover`]).

use std::collections::BTreeSet;
use std::sync::Arc;

use tarn_contract::Contract;
use tarn_core::content::{Beginning, Comparison, Measure, Stage, Taken, compare};
use tarn_core::ports::LocalCopy;
use tarn_core::run::{DatasetOutcome, Drift};
use tarn_core::{Error, ErrorKind, Result};
use tarn_engine::ingest::Staged;
use tarn_engine::remove::RowsOf;
use tarn_lake::{LocalFiles, blocking, source_version};
use tarn_rows::source::Part;
use tarn_rows::source::content::{self, Head};
use tarn_table::{Base, Takeover};

use crate::append::{self, Reading, changed_all_the_time, stage};
use crate::commit::{self, Put, committed_outcome};
use crate::contents::{self, Contents};
use crate::evolve::{evolved, prepend};
use crate::owned::{Owned, Range, Window, has_rows};
use crate::quarantine::Quarantine;
use crate::recognise::{Log, Plan, Standing, at_work};
use crate::run::{Run, committed_before};
use crate::{ATTEMPTS, back_off};

/// What a run did with an object whose rows are added to a table.
#[derive(Default)]
pub(crate) struct Worked {
    pub datasets: Vec<DatasetOutcome>,
    /// Why there was nothing to do, where there was not.
    pub skipped: Option<String>,
    pub warnings: Vec<String>,
}

impl Worked {
    pub(crate) fn done(outcome: DatasetOutcome) -> Self {
        Worked {
            datasets: vec![outcome],
            ..Worked::default()
        }
    }

    pub(crate) fn skipped(reason: String) -> Self {
        Worked {
            skipped: Some(reason),
            ..Worked::default()
        }
    }
}

pub(crate) async fn ingest(run: &Run<'_>, contract: Arc<Contract>) -> Result<Worked> {
    let copy = Arc::new(run.lake.objects.fetch_version(&run.info).await?);
    let head = {
        let copy = Arc::clone(&copy);
        blocking(move || content::head(copy.path())).await?
    };
    if head.is_archive {
        // Its records have numbers of their own, and the archive step puts each once.
        return Ok(Worked::done(append::ingest(run, contract, copy).await?));
    }
    if run.again && !run.replace && is_taken(run, &contract, &head).await? {
        return again(run, contract, copy, &head).await;
    }
    take(run, contract, copy, &head).await
}

/// The lines that the tables have of this version of the object as its own.
async fn own_range(run: &Run<'_>, contract: &Contract, version: &str) -> Result<Option<Range>> {
    let owned = Owned::of(run.lake, contract, &run.info.key)
        .await?
        .range(version);
    let window = Window::new(run.lake, contract, &run.info.key, version);
    Ok(match (owned, window.open().await?) {
        (Some(owned), Some(window)) => Some(owned.and(window)),
        (one, other) => one.or(other),
    })
}

/// Whether this version of the object was taken, and has lines of its own. The rejected rows of a run that
/// was stopped before its commit are not all that it had.
async fn is_taken(run: &Run<'_>, contract: &Contract, head: &Head) -> Result<bool> {
    let (key, version) = (&run.info.key, source_version(&run.info));
    let window = Window::new(run.lake, contract, key, &version);
    let owned = Owned::of(run.lake, contract, &run.info.key).await?;
    if owned.has_accepted(&version) || window.open().await?.is_some() {
        return Ok(true);
    }
    if owned.range(&version).is_none() || run.never_taken {
        return Ok(false);
    }
    let contents = Contents::open(run, contract, head, false).await?;
    let own = contents
        .as_ref()
        .and_then(|contents| contents.of(key, &version));
    let claimed = |own: &Taken| matches!(own.stage, Stage::Claimed { again: false, .. });
    Ok(!own.is_some_and(claimed))
}

/// The run's object as a content that was taken.
fn own(run: &Run<'_>, measure: Option<Measure>) -> Taken {
    Taken {
        key: run.info.key.clone(),
        version: source_version(&run.info),
        run_id: run.id.clone(),
        stage: Stage::Taken,
        measure,
    }
}

/// What was staged, and by which plan.
struct Ready {
    plan: Plan,
    staged: Staged,
    measure: Measure,
}

/// Takes what is new in an object.
async fn take(
    run: &Run<'_>,
    mut contract: Arc<Contract>,
    copy: Arc<LocalCopy>,
    head: &Head,
) -> Result<Worked> {
    let version = source_version(&run.info);
    let Some(mut contents) = Contents::open(run, &contract, head, true).await? else {
        // Nothing is in it.
        return Ok(Worked::done(append::ingest(run, contract, copy).await?));
    };
    let mut log = Log::new(run, Arc::clone(&contract), Arc::clone(&copy));
    let mut drift: Vec<Drift> = Vec::new();
    let mut ready: Option<Ready> = None;
    for attempt in 0..ATTEMPTS {
        let spec = contract.table_spec();
        let quarantine = Quarantine::open(run, &contract).await?;
        let table = run.lake.tables.ensure(&spec).await?;
        if !run.again {
            if let Some(by) = taken_by(run, &contract, &contents).await? {
                return Ok(Worked::skipped(by));
            }
            if let Some(outcome) = committed_outcome(run, &table)? {
                contents.settle(&run.info.key, &version).await?;
                // From before contents were recognised.
                contents.note(&own(run, None)).await?;
                return Ok(Worked::done(outcome));
            }
            // Its snapshot is forgotten, and the ledger's record of the object was not written.
            let known = contents.of(&run.info.key, &version);
            if let Some(known) = known.filter(|known| known.stage == Stage::Taken) {
                return Ok(Worked::skipped(committed_before(&known.run_id)));
            }
        }
        let plan = log.plan(&mut contents).await?;
        let Some(part) = plan.part.clone() else {
            quarantine.forget(run, &version).await?;
            return Ok(known(&contract, plan));
        };
        let replaces = replaced(run, &log, &plan);
        if ready.as_ref().is_none_or(|ready| ready.plan != plan) {
            let lengths: BTreeSet<u64> = contents
                .all()
                .filter_map(|taken| taken.measure.as_ref())
                .flat_map(Measure::lengths)
                .collect();
            let reading = Reading {
                copy: Arc::clone(&copy),
                part: Some(part),
                lengths: Some(lengths),
                replaces: replaces.clone(),
            };
            let none = LocalFiles::default();
            let staged =
                stage(run, &contract, &table.fields(), &quarantine, none, &reading).await?;
            let (staged, measure) = staged;
            if !staged.new_columns.is_empty() {
                drift = staged.outcome.drift;
                contract = evolved(run, &contract, staged.new_columns).await?;
                continue;
            }
            let measure = measure
                .ok_or_else(|| Error::internal("the reader of a log has not measured it"))?;
            ready = Some(Ready {
                plan: plan.clone(),
                staged,
                measure,
            });
        }
        let Some(Ready {
            staged, measure, ..
        }) = &ready
        else {
            continue;
        };
        let own = own(run, Some(measure.clone()));
        match contents.claim(&own, false).await {
            Err(error) if error.kind() == ErrorKind::Conflict => {
                back_off(attempt).await;
                contents.reload().await?;
                continue;
            }
            claimed => claimed?,
        }
        let mut outcome = DatasetOutcome {
            taken_before: plan.before.clone(),
            completed: plan.completes.clone().map(|(_, line)| line),
            ..staged.outcome.clone()
        };
        prepend(&drift, &mut outcome.drift);
        if let Some(line) = &outcome.completed {
            let window = Window::new(run.lake, &contract, &line.key, &line.version);
            window.end_before(line.offset).await?;
        }
        let stopped = log.takes_over.iter().map(|taken| taken.run_id.clone());
        let takeover = Takeover {
            runs: stopped.filter(|run| !run.is_empty()).collect(),
            ..run.takeover()
        };
        let former = match run.replace {
            true => former_beginnings(run, &contract).await?,
            false => Vec::new(),
        };
        let this = (run.info.key.as_str(), version.as_str());
        for beginning in &former {
            contents::give_up(run.lake, &contract, *beginning, this, false).await?;
        }
        let rejected = quarantine.put(run, &staged.rejected, &replaces, &takeover);
        let rejected = match rejected.await {
            Err(error) if error.kind() == ErrorKind::Conflict => {
                back_off(attempt).await;
                contents.reload().await?;
                continue;
            }
            rejected => rejected?,
        };
        if let Some(line) = &mut outcome.completed {
            line.rejected = taken_back(&replaces, &rejected.removed);
        }
        let put = Put {
            spec: &spec,
            files: &staged.accepted,
            replaces: &replaces,
            rewritten: &[],
            base: Base::Any,
            unless_committed: !run.again,
            outcome: Some(&outcome),
            takeover: Takeover {
                unless_committed: true,
                ..takeover
            },
        };
        match commit::put(run, put).await {
            Ok(done) => {
                outcome.snapshot_id = done.snapshot_id;
                if let Some(line) = &mut outcome.completed {
                    line.accepted = taken_back(&replaces, &done.removed);
                }
                let within = |known: &Taken| {
                    let compared = known.measure.as_ref().map(|known| compare(known, measure));
                    matches!(compared, Some(Comparison::Extends | Comparison::Within))
                };
                contents.taken(&own, within).await?;
                for beginning in former {
                    contents::give_up(run.lake, &contract, beginning, this, true).await?;
                }
                return Ok(ended(outcome, plan));
            }
            Err(error) if error.kind() == ErrorKind::Conflict => {
                back_off(attempt).await;
                contents.reload().await?;
            }
            Err(error) => return Err(error),
        }
    }
    Err(changed_all_the_time(&contract.table_spec()))
}

/// The beginnings of the versions that the object has rows of, as far as they are kept.
async fn former_beginnings(run: &Run<'_>, contract: &Contract) -> Result<Vec<Beginning>> {
    let mut beginnings = Vec::new();
    for version in Owned::of(run.lake, contract, &run.info.key)
        .await?
        .versions()
    {
        let former = Taken {
            version,
            ..own(run, None)
        };
        match contents::raw(run.lake, &former).await {
            Ok(raw) => {
                let head = blocking(move || content::head(raw.path())).await?;
                beginnings.push(head.beginning);
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(beginnings)
}

/// Rows of an incomplete line that were taken out.
fn taken_back(replaces: &[RowsOf], removed: &[u64]) -> u64 {
    let all = replaces.iter().zip(removed);
    all.filter(|(rows, _)| rows.from.is_some())
        .map(|(_, rows)| rows)
        .sum()
}

/// Why nothing is to be done for a version, although the ledger's record of the object does not say so: it
/// is of a newer one.
async fn taken_by(
    run: &Run<'_>,
    contract: &Contract,
    contents: &Contents<'_>,
) -> Result<Option<String>> {
    if !run.is_late {
        return Ok(None);
    }
    let version = source_version(&run.info);
    match contents.of(&run.info.key, &version) {
        Some(own) if own.stage == Stage::Taken => {
            return Ok(Some(committed_before(&own.run_id)));
        }
        // Its commit is looked for.
        Some(_) => return Ok(None),
        None => {}
    }
    let table = contract.table();
    let is_there = has_rows(run.lake, &table, &run.info.key, &version).await?;
    Ok(is_there.then(|| "this version was committed before".to_owned()))
}

/// What a run would read of a log, and the rows that it would take the place of.
pub(crate) struct Preview {
    pub plan: Plan,
    pub replaces: Vec<RowsOf>,
}

/// Says what a run would do; None where the object is read whole, whatever was taken before.
pub(crate) async fn preview(
    run: &Run<'_>,
    contract: &Arc<Contract>,
    copy: &Arc<LocalCopy>,
) -> Result<Option<Preview>> {
    let version = source_version(&run.info);
    let head = {
        let copy = Arc::clone(copy);
        blocking(move || content::head(copy.path())).await?
    };
    if head.is_archive {
        return Ok(None);
    }
    if run.again && !run.replace && is_taken(run, contract, &head).await? {
        let range = own_range(run, contract, &version).await?;
        let part = range.map(|range| Part {
            from: u64::try_from(range.first).unwrap_or_default(),
            last: Some(range.last),
        });
        return Ok(Some(Preview {
            plan: Plan {
                part,
                ..Plan::default()
            },
            replaces: vec![RowsOf::version(&run.uris, &version)],
        }));
    }
    let Some(mut contents) = Contents::open(run, contract, &head, false).await? else {
        return Ok(None);
    };
    let mut log = Log::new(run, Arc::clone(contract), Arc::clone(copy));
    let plan = log.plan(&mut contents).await?;
    let replaces = replaced(run, &log, &plan);
    Ok(Some(Preview { plan, replaces }))
}

/// The rows that those of a log take the place of.
fn replaced(run: &Run<'_>, log: &Log<'_>, plan: &Plan) -> Vec<RowsOf> {
    let own = match run.replace {
        true => RowsOf::object(&run.uris),
        false => RowsOf::version(&run.uris, &source_version(&run.info)),
    };
    let completed = plan.completes.iter().map(|(rows, _)| rows.clone());
    let taken_over = log.takes_over.iter().map(|taken| {
        let uris = run.lake.objects.uris(&taken.key);
        RowsOf::version(&uris, &taken.version)
    });
    [own]
        .into_iter()
        .chain(completed)
        .chain(taken_over)
        .collect()
}

/// The end of a run for whose object there was nothing to do.
fn known(contract: &Contract, plan: Plan) -> Worked {
    let outcome = DatasetOutcome {
        dataset: contract.dataset.clone(),
        contract_version: contract.version.clone(),
        ..DatasetOutcome::default()
    };
    ended(outcome, plan)
}

/// The end of a run.
fn ended(mut outcome: DatasetOutcome, plan: Plan) -> Worked {
    outcome.taken_before = plan.before;
    if outcome.is_taken_before() {
        // Nothing can be said of no rows.
        outcome.checks.clear();
        outcome.profile.clear();
        outcome.partitions = None;
    }
    Worked {
        warnings: plan.warnings,
        ..Worked::done(outcome)
    }
}

/// Reads again what an object has in tables as its own.
async fn again(
    run: &Run<'_>,
    mut contract: Arc<Contract>,
    copy: Arc<LocalCopy>,
    head: &Head,
) -> Result<Worked> {
    let version = source_version(&run.info);
    let replaces = [RowsOf::version(&run.uris, &version)];
    let mut drift: Vec<Drift> = Vec::new();
    let mut ready: Option<(Range, Staged)> = None;
    for attempt in 0..ATTEMPTS {
        let spec = contract.table_spec();
        let quarantine = Quarantine::open(run, &contract).await?;
        let table = run.lake.tables.ensure(&spec).await?;
        let Some(range) = own_range(run, &contract, &version).await? else {
            let reason = "its only line was cut off, and is whole in another object";
            return Ok(Worked::skipped(reason.to_owned()));
        };
        if ready
            .as_ref()
            .is_none_or(|(staged_for, _)| *staged_for != range)
        {
            let reading = Reading {
                copy: Arc::clone(&copy),
                part: Some(Part {
                    from: u64::try_from(range.first).unwrap_or_default(),
                    last: Some(range.last),
                }),
                lengths: None,
                replaces: replaces.to_vec(),
            };
            let none = LocalFiles::default();
            let fields = table.fields();
            let (staged, _) = stage(run, &contract, &fields, &quarantine, none, &reading).await?;
            if !staged.new_columns.is_empty() {
                drift = staged.outcome.drift;
                contract = evolved(run, &contract, staged.new_columns).await?;
                continue;
            }
            ready = Some((range, staged));
        }
        // From here on nobody completes its last line.
        let claimed = match hold(run, &contract, &copy, head).await {
            Err(error) if error.kind() == ErrorKind::Conflict && attempt + 1 < ATTEMPTS => {
                back_off(attempt).await;
                continue;
            }
            claimed => claimed?,
        };
        if own_range(run, &contract, &version).await? != Some(range) {
            continue;
        }
        let Some((_, staged)) = &ready else {
            continue;
        };
        let window = Window::new(run.lake, &contract, &run.info.key, &version);
        window.begin(range).await?;
        quarantine
            .put(run, &staged.rejected, &replaces, &run.takeover())
            .await?;
        let mut outcome = staged.outcome.clone();
        prepend(&drift, &mut outcome.drift);
        let put = Put {
            spec: &spec,
            files: &staged.accepted,
            replaces: &replaces,
            rewritten: &[],
            base: Base::Any,
            unless_committed: false,
            outcome: Some(&outcome),
            takeover: run.takeover(),
        };
        match commit::put(run, put).await {
            Ok(done) => {
                window.end().await?;
                if let Some(contents) = claimed {
                    contents.settle(&run.info.key, &version).await?;
                }
                outcome.snapshot_id = done.snapshot_id;
                return Ok(Worked::done(outcome));
            }
            Err(error) if error.kind() == ErrorKind::Conflict => back_off(attempt).await,
            Err(error) => return Err(error),
        }
    }
    Err(changed_all_the_time(&contract.table_spec()))
}

/// Claims a content whose lines are about to be put into tables again, where it is among those that are
/// known.
///
/// # Errors
/// `Conflict` where another run is at work on a content that begins like it.
async fn hold<'a>(
    run: &Run<'a>,
    contract: &Arc<Contract>,
    copy: &Arc<LocalCopy>,
    head: &Head,
) -> Result<Option<Contents<'a>>> {
    let version = source_version(&run.info);
    let Some(mut contents) = Contents::open(run, contract, head, true).await? else {
        return Ok(None);
    };
    let Some(own) = contents.of(&run.info.key, &version).cloned() else {
        return Ok(None);
    };
    let log = Log::new(run, Arc::clone(contract), Arc::clone(copy));
    let others = contents
        .all()
        .filter(|other| !other.is(&own.key, &own.version));
    for other in others.cloned().collect::<Vec<_>>() {
        if let Standing::AtWork = log.standing(&other).await? {
            return Err(at_work(&other));
        }
    }
    contents.claim(&own, true).await?;
    Ok(Some(contents))
}
