//! The contents that were taken, as the ledger keeps them: an entry for each beginning, named
//! `content/<dataset>/<digest>`, and `content/<dataset>` for contents that are too short to have one.

use chrono::{TimeDelta, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use tarn_contract::Contract;
use tarn_core::content::{Beginning, Entry, Measure, Stage, Taken};
use tarn_core::digest::Digest;
use tarn_core::layout::RAW;
use tarn_core::ports::{LocalCopy, ObjectInfo};
use tarn_core::run::ObjectState;
use tarn_core::{ErrorKind, Result};
use tarn_lake::{Lake, blocking, version_parts, version_text};
use tarn_rows::source::bytes::Input;
use tarn_rows::source::content::{self, Head};
use tarn_table::SourceRef;

use crate::commit::APPEND;
use crate::own_lines::OwnLines;
use crate::process;
use crate::run::{RUN_ID, Run};
use crate::value::{Value, change};

/// How long no other run takes lines that a run is about to commit, unless that run is known to have stopped.
const CLAIM: TimeDelta = TimeDelta::minutes(5);

/// Objects of a lake from before contents were recognised that are looked at, the newest first.
const OLDER_OBJECTS: usize = 1_000;

/// The bytes of such an object that its beginning is looked for in.
const OLDER_BYTES: u64 = 64 << 10;

/// Such objects that are looked at together.
const CONCURRENT: usize = 16;

/// Contents without a whole line that are remembered.
const MOST_PARTS: usize = 200;

/// What is known of a dataset's contents besides its entries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Register {
    /// Contents without a whole line, by length and digest, oldest first: they may go on.
    parts: Vec<(u64, Digest)>,
}

fn register_name(dataset: &str) -> String {
    format!("content/{dataset}")
}

fn entry_name(dataset: &str, beginning: Beginning) -> Option<String> {
    match beginning {
        Beginning::Empty => None,
        Beginning::Whole(digest) => Some(format!("content/{dataset}/{digest}")),
        Beginning::Part(digest) => Some(format!("content/{dataset}/part-{digest}")),
    }
}

/// What was taken that begins like one content.
pub(crate) struct Contents<'a> {
    lake: &'a Lake,
    dataset: String,
    beginning: Beginning,
    entry: Value<Entry>,
    /// Contents without a whole line that this one goes on from: of entries of their own.
    parts: Vec<Taken>,
    /// Contents of stopped runs whose lines are being taken over.
    taken_over: Vec<Taken>,
}

impl<'a> Contents<'a> {
    /// What was taken that begins like an object; None where that is empty. In a lake from before contents
    /// were recognised, the beginnings of what is there are looked at once, and written down where the
    /// caller may `write`.
    pub async fn open(
        run: &Run<'a>,
        contract: &Contract,
        head: &Head,
        write: bool,
    ) -> Result<Option<Self>> {
        let lake = run.lake;
        let dataset = contract.dataset.clone();
        let Some(name) = entry_name(&dataset, head.beginning) else {
            return Ok(None);
        };
        let (register, older) = register(run, contract, write).await?;
        let mut entry = Value::<Entry>::read(lake, name).await?;
        let same = older
            .into_iter()
            .filter(|(beginning, _, _)| *beginning == head.beginning);
        entry.value.contents.extend(same.map(|(_, _, taken)| taken));
        let mut contents = Contents {
            entry,
            lake,
            dataset,
            beginning: head.beginning,
            parts: Vec::new(),
            taken_over: Vec::new(),
        };
        for (length, digest) in register.parts {
            let begins = head.text.get(..length as usize).map(Digest::of);
            let part = entry_name(&contents.dataset, Beginning::Part(digest));
            if begins == Some(digest)
                && let Some(name) = part.filter(|name| *name != contents.entry.name)
            {
                let entry = Value::<Entry>::read(lake, name).await?;
                contents.parts.extend(entry.value.contents);
            }
        }
        Ok(Some(contents))
    }

    /// Reads the entry again.
    pub async fn reload(&mut self) -> Result<()> {
        self.entry = Value::read(self.lake, self.entry.name.clone()).await?;
        self.taken_over.clear();
        Ok(())
    }

    /// All of it, without what is being taken over.
    pub fn all(&self) -> impl Iterator<Item = &Taken> {
        let all = self.entry.value.contents.iter().chain(&self.parts);
        all.filter(|taken| !is_among(&self.taken_over, taken))
    }

    /// What is known of a version of an object.
    pub fn of(&self, key: &str, version: &str) -> Option<&Taken> {
        self.all().find(|taken| taken.is(key, version))
    }

    /// Leaves a content out until the next reload.
    pub fn leave_out(&mut self, taken: &Taken) {
        let is = |other: &Taken| other.is(&taken.key, &taken.version);
        self.entry.value.contents.retain(|other| !is(other));
        self.parts.retain(|other| !is(other));
    }

    /// Leaves the content of a stopped run out, until the next reload or until this run's content is taken.
    /// Until then the entry keeps it: if this run stops too, the next one takes over both.
    pub fn take_over(&mut self, taken: Taken) {
        self.taken_over.push(taken);
    }

    /// The contents of stopped runs whose lines are being taken over.
    pub fn taken_over(&self) -> &[Taken] {
        &self.taken_over
    }

    /// Notes a fact about a content, until the next reload.
    pub fn learn(&mut self, taken: Taken) {
        let all = self.entry.value.contents.iter_mut().chain(&mut self.parts);
        for known in all.filter(|known| known.is(&taken.key, &taken.version)) {
            *known = taken.clone();
        }
    }

    /// Records that a run is about to commit a content, or to commit it `again`. What was left out or learned is
    /// written too.
    ///
    /// # Errors
    /// `Conflict` if another run has changed the entry since it was read.
    pub async fn claim(&mut self, taken: &Taken, again: bool) -> Result<()> {
        if let (Beginning::Part(digest), Some(measure)) = (self.beginning, &taken.measure) {
            let part = (measure.bytes, digest);
            change(
                self.lake,
                &register_name(&self.dataset),
                |register: &Register| {
                    let mut next = register.clone();
                    next.parts.retain(|known| *known != part);
                    next.parts.push(part);
                    while next.parts.len() > MOST_PARTS {
                        next.parts.remove(0);
                    }
                    (!register.parts.contains(&part)).then_some(next)
                },
            )
            .await?;
        }
        let claimed = Taken {
            stage: Stage::Claimed {
                until: Utc::now() + CLAIM,
                by: process::this_process(),
                again,
            },
            ..taken.clone()
        };
        let mut entry = self.entry.value.clone();
        entry.put(claimed, |_| false);
        self.entry.write(self.lake, entry).await
    }

    /// Records that a content is in tables. It replaces those that `within` accepts, and those that were
    /// taken over.
    pub async fn taken(&self, taken: &Taken, within: impl Fn(&Taken) -> bool) -> Result<()> {
        change(self.lake, &self.entry.name, |entry: &Entry| {
            let mut next = entry.clone();
            next.contents
                .retain(|known| !is_among(&self.taken_over, known));
            let taken = Taken {
                stage: Stage::Taken,
                ..taken.clone()
            };
            next.put(taken, &within);
            Some(next)
        })
        .await
    }

    /// Says that a content whose commit was found is in tables.
    pub async fn settle(&self, key: &str, version: &str) -> Result<()> {
        change(self.lake, &self.entry.name, |entry: &Entry| {
            let mut next = entry.clone();
            let known = next
                .contents
                .iter_mut()
                .find(|known| known.is(key, version))?;
            known.stage = Stage::Taken;
            Some(next)
        })
        .await
    }

    /// Remembers an object whose beginning alone is known.
    pub async fn note(&self, taken: &Taken) -> Result<()> {
        note(self.lake, &self.entry.name, taken).await
    }
}

fn is_among(contents: &[Taken], taken: &Taken) -> bool {
    contents
        .iter()
        .any(|other| other.is(&taken.key, &taken.version))
}

/// Records that the rows of the other versions of an object are about to be taken out: from then on the table
/// shows whether their lines are taken. With `away` they are out, and are forgotten.
pub(crate) async fn give_up(
    lake: &Lake,
    contract: &Contract,
    beginning: Beginning,
    (key, version): (&str, &str),
    away: bool,
) -> Result<()> {
    let Some(name) = entry_name(&contract.dataset, beginning) else {
        return Ok(());
    };
    change(lake, &name, |entry: &Entry| {
        let mut next = entry.clone();
        let is_other = |taken: &Taken| taken.key == key && taken.version != version;
        if away {
            next.contents.retain(|taken| !is_other(taken));
        }
        for taken in next.contents.iter_mut().filter(|taken| is_other(taken)) {
            taken.stage = Stage::Claimed {
                until: Utc::now(),
                by: None,
                again: false,
            };
            // No run will commit it.
            taken.run_id.clear();
        }
        (next != *entry).then_some(next)
    })
    .await
}

async fn note(lake: &Lake, name: &str, taken: &Taken) -> Result<()> {
    change(lake, name, |entry: &Entry| {
        let known = |other: &Taken| other.is(&taken.key, &taken.version);
        if entry.contents.iter().any(known) {
            return None;
        }
        let mut next = entry.clone();
        next.put(taken.clone(), |_| false);
        Some(next)
    })
    .await
}

/// An object from before contents were recognised: its beginning, and the bytes of that.
type Older = (Beginning, u64, Taken);

/// The dataset's register. A lake that has none was made before contents were recognised, or nothing of the
/// dataset was ingested yet: the beginnings of what is there are looked at, and written down, or handed
/// out where nothing is to be written.
async fn register(
    run: &Run<'_>,
    contract: &Contract,
    write: bool,
) -> Result<(Register, Vec<Older>)> {
    let lake = run.lake;
    let name = register_name(&contract.dataset);
    let mut register = Value::<Register>::read(lake, name.clone()).await?;
    if register.text.is_some() {
        return Ok((register.value, Vec::new()));
    }
    let older = older(run, contract).await?;
    let parts = older
        .iter()
        .filter_map(|(beginning, length, _)| match beginning {
            Beginning::Part(digest) => Some((*length, *digest)),
            _ => None,
        });
    let mut parts: Vec<(u64, Digest)> = parts.collect();
    let parts = parts.split_off(parts.len().saturating_sub(MOST_PARTS));
    let all = Register { parts };
    if !write {
        return Ok((all, older));
    }
    for (beginning, _, taken) in older {
        if let Some(name) = entry_name(&contract.dataset, beginning) {
            note(lake, &name, &taken).await?;
        }
    }
    match register.write(lake, all).await {
        // Another run did the same.
        Err(error) if error.kind() == ErrorKind::Conflict => {
            register = Value::read(lake, name).await?;
        }
        written => written?,
    }
    Ok((register.value, Vec::new()))
}

/// The beginnings of the dataset's objects that were ingested, oldest first: those of the newest
/// [`OLDER_OBJECTS`], and of the run's own object.
async fn older(run: &Run<'_>, contract: &Contract) -> Result<Vec<Older>> {
    let lake = run.lake;
    let prefix = match contract.key_pattern.folder() {
        Some((source, dataset)) => format!("{RAW}{source}/{dataset}/"),
        None => RAW.to_owned(),
    };
    let mut records = lake.ledger.objects(&prefix).await?;
    records.retain(|record| {
        record.state == ObjectState::Committed && contract.key_pattern.matches(&record.key)
    });
    records.sort_by(|a, b| (a.updated_at, &a.key).cmp(&(b.updated_at, &b.key)));
    let left = records.len().saturating_sub(OLDER_OBJECTS);
    if left > 0 {
        tracing::warn!(
            dataset = contract.dataset,
            objects = left,
            "what was ingested long ago is not recognised when it comes again"
        );
    }
    // Collected first: a stream over a lazy iterator of borrowed items is not `Send`.
    let known = records.split_off(left).into_iter().map(|record| Taken {
        version: version_text(&record.version, &record.sequencer),
        key: record.key,
        run_id: record.run_id,
        stage: Stage::Taken,
        measure: None,
    });
    let own = own_versions(run, contract).await?;
    let looks: Vec<_> = known
        .chain(own)
        .map(|taken| beginning_of(lake, taken))
        .collect();
    let found: Vec<Option<_>> = stream::iter(looks)
        .buffered(CONCURRENT)
        .try_collect()
        .await?;
    Ok(found.into_iter().flatten().collect())
}

/// The versions of the run's own object that have rows in the table: the ledger's record of the object is this
/// run's by now.
async fn own_versions(run: &Run<'_>, contract: &Contract) -> Result<Vec<Taken>> {
    let (lake, key) = (run.lake, &run.info.key);
    let Some(table) = lake.tables.load(&contract.table()).await? else {
        return Ok(Vec::new());
    };
    let snapshots = table.versions();
    let owned = OwnLines::of(lake, contract, key).await?;
    Ok(owned
        .versions()
        .into_iter()
        .map(|version| {
            let source = SourceRef {
                uri: run.uri.clone(),
                version: version.clone(),
            };
            let made_by = table.committed(&source, APPEND).and_then(|id| {
                let snapshot = snapshots.iter().find(|one| one.snapshot_id == id)?;
                snapshot.summary.get(RUN_ID).cloned()
            });
            Taken {
                key: key.clone(),
                version,
                run_id: made_by.unwrap_or_default(),
                stage: Stage::Taken,
                measure: None,
            }
        })
        .collect())
}

async fn beginning_of(lake: &Lake, taken: Taken) -> Result<Option<Older>> {
    let read = async {
        let info = lake.objects.head(&taken.key).await?;
        if info.version != version_parts(&taken.version).0 {
            // It was overwritten, or has grown where it is.
            let former = raw(lake, &taken).await?;
            return blocking(move || content::head(former.path())).await;
        }
        let range = 0..OLDER_BYTES.min(info.size);
        let bytes = lake.objects.get(&taken.key, Some(range)).await?;
        Input::in_any_charset(Box::new(std::io::Cursor::new(bytes))).and_then(content::head_of)
    };
    let head = match read.await {
        Ok(head) if !head.is_archive => head,
        Ok(_) => return Ok(None),
        Err(error) if matches!(error.kind(), ErrorKind::BadSource | ErrorKind::NotFound) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    Ok(Some((head.beginning, head.text.len() as u64, taken)))
}

/// The raw object of a content, as it was taken.
///
/// # Errors
/// `NotFound` where it is no longer kept.
pub(crate) async fn raw(lake: &Lake, taken: &Taken) -> Result<LocalCopy> {
    let (version, sequencer) = version_parts(&taken.version);
    let size = match &taken.measure {
        // That of the object itself where it is not compressed.
        Some(measure) => measure.bytes,
        None => {
            let run = lake.ledger.run(&taken.run_id).await?;
            run.map_or(0, |run| run.bytes)
        }
    };
    let info = ObjectInfo {
        key: taken.key.clone(),
        size,
        version: version.to_owned(),
        sequencer: sequencer.to_owned(),
        last_modified: Utc::now(),
    };
    lake.objects.fetch_version(&info).await
}

/// The same with what must be known of it; None where its object is no longer kept.
pub(crate) async fn measured(lake: &Lake, taken: &Taken) -> Result<Option<Taken>> {
    let copy = match raw(lake, taken).await {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        copy => copy?,
    };
    let lengths = [].into();
    let measure: Measure =
        blocking(move || Ok(content::measure(copy.path(), &lengths)?.measure)).await?;
    Ok(Some(Taken {
        measure: Some(measure),
        ..taken.clone()
    }))
}
