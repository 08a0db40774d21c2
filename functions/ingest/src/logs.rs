//! Logs: files of lines that grow, are renamed, compressed and cut off. Each line is taken once, whatever
//! its file is called; a version of an object adds what is new in it to what was taken before.
//!
//! 1. The new part is found by comparison with the contents that were taken ([`recognise`](crate::recognise)).
//! 2. It is read, checked and staged.
//! 3. The content is claimed by compare-and-swap of its entry in the ledger. The run that loses plans again.
//! 4. The rejected rows are committed, then the accepted ones.
//! 5. The claim becomes a content that was taken.
//!
//! If a run stops before 3, nothing has happened. If it stops later, the next run of the object finds the claim
//! and does all of it again; or a run of another object with the same lines finds it. The table shows whether
//! the claim's rows are in it. If they are not, and the claiming run has stopped, the other run takes its lines
//! over. Only one of the two commits ([`tarn_table::Takeover`]).

use std::collections::BTreeSet;
use std::sync::Arc;

use tarn_contract::Contract;
use tarn_core::content::{Beginning, Comparison, Measure, Stage, Taken, compare};
use tarn_core::ports::LocalCopy;
use tarn_core::run::{DatasetOutcome, Drift};
use tarn_core::{Error, ErrorKind, Result};
use tarn_engine::ingest::{Nothing, Staged};
use tarn_lake::{blocking, source_version};
use tarn_rows::planned::RowsOf;
use tarn_rows::source::content::{self, Head};
use tarn_table::{Base, Table, Takeover};

use crate::append::{self, Reading, changed_all_the_time, stage};
use crate::commit::{self, Put, committed_outcome};
use crate::contents::{self, Contents};
use crate::evolve::{evolved, prepend};
use crate::job::Target;
use crate::own_lines::{LineRange, OwnLines, Window, has_rows};
use crate::quarantine::Quarantine;
use crate::recognise::{Log, Plan, Standing, at_work};
use crate::run::{Run, committed_before};
use crate::{ATTEMPTS, back_off};

/// What a run did with an object whose rows are added to a table.
#[derive(Default)]
pub(crate) struct Worked {
    pub datasets: Vec<DatasetOutcome>,
    /// Why there was nothing to do; None where there was something.
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
async fn own_range(run: &Run<'_>, contract: &Contract, version: &str) -> Result<Option<LineRange>> {
    let owned = OwnLines::of(run.lake, contract, &run.info.key)
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
    let owned = OwnLines::of(run.lake, contract, &run.info.key).await?;
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
    target: Arc<Target>,
    staged: Staged,
    measure: Measure,
}

/// None where another run was faster: a run that loses a race plans again.
fn unless_lost<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Err(error) if error.kind() == ErrorKind::Conflict => Ok(None),
        result => result.map(Some),
    }
}

/// Takes what is new in an object.
async fn take(
    run: &Run<'_>,
    mut contract: Arc<Contract>,
    copy: Arc<LocalCopy>,
    head: &Head,
) -> Result<Worked> {
    let Some(mut contents) = Contents::open(run, &contract, head, true).await? else {
        // It is empty.
        return Ok(Worked::done(append::ingest(run, contract, copy).await?));
    };
    let mut log = Log::new(run, Arc::clone(&contract), Arc::clone(&copy));
    let mut drift: Vec<Drift> = Vec::new();
    let mut ready: Option<Ready> = None;
    for attempt in 0..ATTEMPTS {
        let quarantine = Quarantine::open(run, &contract).await?;
        let table = run.lake.tables.ensure(&contract.table_spec()).await?;
        if !run.again
            && let Some(done) = done_before(run, &contract, &contents, &table).await?
        {
            return Ok(done);
        }
        let plan = log.plan(&mut contents).await?;
        if plan.part.is_none() {
            quarantine.forget(run, &source_version(&run.info)).await?;
            return Ok(known(&contract, plan));
        }
        let prepared = match ready.take().filter(|ready| ready.plan == plan) {
            Some(ready) => ready,
            None => {
                let target = Arc::new(Target {
                    contract: Arc::clone(&contract),
                    fields: table.fields(),
                    quarantine,
                });
                let mut prepared = prepare(run, target, plan, &log, &contents).await?;
                if !prepared.staged.new_columns.is_empty() {
                    drift = prepared.staged.outcome.drift;
                    contract = evolved(run, &contract, prepared.staged.new_columns).await?;
                    continue;
                }
                prepend(&drift, &mut prepared.staged.outcome.drift);
                prepared
            }
        };
        if let Some(outcome) = commit_new(run, &log, &mut contents, &prepared).await? {
            return Ok(ended(outcome, prepared.plan));
        }
        ready = Some(prepared);
        back_off(attempt).await;
        contents.reload().await?;
    }
    Err(changed_all_the_time(&contract.table_spec()))
}
/// The end of a run whose version was taken before; None where it was not.
async fn done_before(
    run: &Run<'_>,
    contract: &Contract,
    contents: &Contents<'_>,
    table: &Table,
) -> Result<Option<Worked>> {
    let (key, version) = (&run.info.key, source_version(&run.info));
    if let Some(by) = taken_by(run, contract, contents).await? {
        return Ok(Some(Worked::skipped(by)));
    }
    if let Some(outcome) = committed_outcome(run, table)? {
        contents.settle(key, &version).await?;
        // In a lake from before contents were recognised, the content is not known yet.
        contents.note(&own(run, None)).await?;
        return Ok(Some(Worked::done(outcome)));
    }
    // Its snapshot has expired, and the ledger's record of the object was not written.
    let known = contents.of(key, &version);
    let known = known.filter(|known| known.stage == Stage::Taken);
    Ok(known.map(|known| Worked::skipped(committed_before(&known.run_id))))
}

/// Reads, checks and splits the part of a log that is new.
async fn prepare(
    run: &Run<'_>,
    target: Arc<Target>,
    plan: Plan,
    log: &Log<'_>,
    contents: &Contents<'_>,
) -> Result<Ready> {
    let lengths: BTreeSet<u64> = contents
        .all()
        .filter_map(|taken| taken.measure.as_ref())
        .flat_map(Measure::lengths)
        .collect();
    let reading = Reading {
        copy: Arc::clone(&log.copy),
        part: plan.part.clone(),
        lengths: Some(lengths),
        replaces: replaced(run, contents, &plan),
    };
    let (staged, measure) = stage(run, &target, Arc::new(Nothing), &reading).await?;
    let measure =
        measure.ok_or_else(|| Error::internal("the reader of a log has not measured it"))?;
    Ok(Ready {
        plan,
        target,
        staged,
        measure,
    })
}

/// Claims the content and commits its new lines; None where another run was faster.
async fn commit_new(
    run: &Run<'_>,
    log: &Log<'_>,
    contents: &mut Contents<'_>,
    ready: &Ready,
) -> Result<Option<DatasetOutcome>> {
    let (plan, staged, contract) = (&ready.plan, &ready.staged, &ready.target.contract);
    let own = own(run, Some(ready.measure.clone()));
    if unless_lost(contents.claim(&own, false).await)?.is_none() {
        return Ok(None);
    }
    let mut outcome = DatasetOutcome {
        taken_before: plan.before.clone(),
        completed: plan.completes.clone().map(|(_, line)| line),
        ..staged.outcome.clone()
    };
    if let Some(line) = &outcome.completed {
        let window = Window::new(run.lake, contract, &line.key, &line.version);
        window.end_before(line.offset).await?;
    }
    let former = if run.replace {
        former_beginnings(run, contract).await?
    } else {
        Vec::new()
    };
    let this = (own.key.as_str(), own.version.as_str());
    for beginning in &former {
        contents::give_up(run.lake, contract, *beginning, this, false).await?;
    }
    let replaces = replaced(run, contents, plan);
    let takeover = log.takeover(contents);
    let quarantine = &ready.target.quarantine;
    let rejected = quarantine.put(run, &staged.rejected, &replaces, &takeover);
    let Some(rejected) = unless_lost(rejected.await)? else {
        return Ok(None);
    };
    if let Some(line) = &mut outcome.completed {
        line.rejected = taken_back(&replaces, &rejected.removed);
    }
    let put = Put {
        spec: &contract.table_spec(),
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
    let Some(done) = unless_lost(commit::put(run, put).await)? else {
        return Ok(None);
    };
    outcome.snapshot_id = done.snapshot_id;
    if let Some(line) = &mut outcome.completed {
        line.accepted = taken_back(&replaces, &done.removed);
    }
    let within = |known: &Taken| {
        let measure = known.measure.as_ref();
        let compared = measure.map(|known| compare(known, &ready.measure));
        matches!(compared, Some(Comparison::Extends | Comparison::Within))
    };
    contents.taken(&own, within).await?;
    for beginning in former {
        contents::give_up(run.lake, contract, beginning, this, true).await?;
    }
    Ok(Some(outcome))
}

/// The beginnings of the versions that the object has rows of, as far as they are kept.
async fn former_beginnings(run: &Run<'_>, contract: &Contract) -> Result<Vec<Beginning>> {
    let mut beginnings = Vec::new();
    for version in OwnLines::of(run.lake, contract, &run.info.key)
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

/// Why nothing is to be done for a version that is older than the one in the ledger's record of the object.
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
        // The caller looks for its commit.
        Some(_) => return Ok(None),
        None => {}
    }
    let table = contract.table();
    let is_there = has_rows(run.lake, &table, &run.info.key, &version).await?;
    Ok(is_there.then(|| "this version was committed before".to_owned()))
}

/// The part of a log that a run would read, and the rows that it would replace.
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
        return Ok(Some(Preview {
            plan: Plan {
                part: range.map(LineRange::part),
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
    let replaces = replaced(run, &contents, &plan);
    Ok(Some(Preview { plan, replaces }))
}

/// The rows that those of a log replace.
fn replaced(run: &Run<'_>, contents: &Contents<'_>, plan: &Plan) -> Vec<RowsOf> {
    let own = if run.replace {
        RowsOf::object(&run.uris)
    } else {
        RowsOf::version(&run.uris, &source_version(&run.info))
    };
    let completed = plan.completes.iter().map(|(rows, _)| rows.clone());
    let taken_over = contents.taken_over().iter().map(|taken| {
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
        // There are no rows to check.
        outcome.checks.clear();
        outcome.profile.clear();
        outcome.partitions = None;
    }
    Worked {
        warnings: plan.warnings,
        ..Worked::done(outcome)
    }
}

/// Reads again the lines that the tables have of an object.
async fn again(
    run: &Run<'_>,
    mut contract: Arc<Contract>,
    copy: Arc<LocalCopy>,
    head: &Head,
) -> Result<Worked> {
    let version = source_version(&run.info);
    let mut drift: Vec<Drift> = Vec::new();
    let mut ready: Option<(LineRange, Arc<Target>, Staged)> = None;
    for attempt in 0..ATTEMPTS {
        let quarantine = Quarantine::open(run, &contract).await?;
        let table = run.lake.tables.ensure(&contract.table_spec()).await?;
        let Some(range) = own_range(run, &contract, &version).await? else {
            let reason = "its only line was cut off, and is whole in another object";
            return Ok(Worked::skipped(reason.to_owned()));
        };
        let prepared = match ready.take().filter(|(of, ..)| *of == range) {
            Some(prepared) => prepared,
            None => {
                let target = Arc::new(Target {
                    contract: Arc::clone(&contract),
                    fields: table.fields(),
                    quarantine,
                });
                let reading = Reading {
                    copy: Arc::clone(&copy),
                    part: Some(range.part()),
                    lengths: None,
                    replaces: vec![RowsOf::version(&run.uris, &version)],
                };
                let (mut staged, _) = stage(run, &target, Arc::new(Nothing), &reading).await?;
                if !staged.new_columns.is_empty() {
                    drift = staged.outcome.drift;
                    contract = evolved(run, &contract, staged.new_columns).await?;
                    continue;
                }
                prepend(&drift, &mut staged.outcome.drift);
                (range, target, staged)
            }
        };
        let (_, target, staged) = ready.insert(prepared);
        // From here on no other run completes its last line.
        let claimed = match claim_again(run, &contract, &copy, head).await {
            Err(error) if error.kind() == ErrorKind::Conflict && attempt + 1 < ATTEMPTS => {
                back_off(attempt).await;
                continue;
            }
            claimed => claimed?,
        };
        if own_range(run, &contract, &version).await? != Some(range) {
            continue;
        }
        if let Some(outcome) = commit_again(run, target, staged, range).await? {
            if let Some(contents) = claimed {
                contents.settle(&run.info.key, &version).await?;
            }
            return Ok(Worked::done(outcome));
        }
        back_off(attempt).await;
    }
    Err(changed_all_the_time(&contract.table_spec()))
}

/// Replaces the rows of these lines; None where the table was changed meanwhile.
async fn commit_again(
    run: &Run<'_>,
    target: &Target,
    staged: &Staged,
    range: LineRange,
) -> Result<Option<DatasetOutcome>> {
    let version = source_version(&run.info);
    let replaces = [RowsOf::version(&run.uris, &version)];
    let window = Window::new(run.lake, &target.contract, &run.info.key, &version);
    window.begin(range).await?;
    target
        .quarantine
        .put(run, &staged.rejected, &replaces, &run.takeover())
        .await?;
    let mut outcome = staged.outcome.clone();
    let put = Put {
        spec: &target.contract.table_spec(),
        files: &staged.accepted,
        replaces: &replaces,
        rewritten: &[],
        base: Base::Any,
        unless_committed: false,
        outcome: Some(&outcome),
        takeover: run.takeover(),
    };
    let Some(done) = unless_lost(commit::put(run, put).await)? else {
        return Ok(None);
    };
    window.end().await?;
    outcome.snapshot_id = done.snapshot_id;
    Ok(Some(outcome))
}

/// Claims a content whose lines are about to be put into tables again, where it is among those that are
/// known.
///
/// # Errors
/// `Conflict` where another run is at work on a content that begins like it.
async fn claim_again<'a>(
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
