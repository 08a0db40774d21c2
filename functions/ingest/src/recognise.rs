//! Which part of a log is new: its content is compared with those that were taken and begin like it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use tarn_contract::Contract;
use tarn_core::content::{
    Comparison, Measure, Origin, SURE_BYTES, Stage, Taken, compare, is_as_new,
};
use tarn_core::ports::LocalCopy;
use tarn_core::run::{Completed, RunStatus, TakenBefore};
use tarn_core::{Error, ErrorKind, Result};
use tarn_lake::{blocking, source_version};
use tarn_rows::planned::RowsOf;
use tarn_rows::source::Part;
use tarn_rows::source::content::{self, Measured};
use tarn_table::Takeover;

use crate::contents::{self, Contents};
use crate::own_lines::has_rows;
use crate::process;
use crate::run::Run;

/// How often a claim of another run is looked at before this one gives up, and the pause in between.
const LOOKS: u32 = 10;
const PAUSE: Duration = Duration::from_secs(1);

/// Which part of a log is to be read.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Plan {
    /// Its new lines; None where there is none.
    pub part: Option<Part>,
    /// What was taken before.
    pub before: Option<TakenBefore>,
    /// The incomplete line that it completes, and the row that was made of it.
    pub completes: Option<(RowsOf, Completed)>,
    /// Warnings for the run record.
    pub warnings: Vec<String>,
}

impl Plan {
    /// All of it is new.
    fn whole() -> Self {
        Plan {
            part: Some(Part::default()),
            ..Plan::default()
        }
    }
}

/// A log, and what is known of its content.
pub(crate) struct Log<'a> {
    run: &'a Run<'a>,
    contract: Arc<Contract>,
    pub copy: Arc<LocalCopy>,
    /// What was measured of it, and at which lengths.
    measured: Option<(BTreeSet<u64>, Measured)>,
}

/// How much of a log one that was taken holds.
struct Match {
    taken: Taken,
    /// Equal bytes.
    bytes: u64,
    /// New lines begin here; None where there are none.
    from: Option<u64>,
    /// Lines before that.
    lines: u64,
    /// Whether the other has more lines after that.
    parts: bool,
}

impl<'a> Log<'a> {
    pub fn new(run: &'a Run<'a>, contract: Arc<Contract>, copy: Arc<LocalCopy>) -> Self {
        Log {
            run,
            contract,
            copy,
            measured: None,
        }
    }

    /// The run as it commits, with the runs that it takes over.
    pub fn takeover(&self, contents: &Contents<'_>) -> Takeover {
        let stopped = contents.taken_over().iter();
        let stopped = stopped.map(|taken| taken.run_id.clone());
        Takeover {
            runs: stopped.filter(|run| !run.is_empty()).collect(),
            ..self.run.takeover()
        }
    }

    /// Measures it at these lengths at least; what was measured before is not read again.
    pub async fn measured(&mut self, lengths: BTreeSet<u64>) -> Result<&Measured> {
        let known = self
            .measured
            .take()
            .filter(|(known, _)| lengths.is_subset(known));
        let measured = match known {
            Some(known) => known,
            None => {
                let copy = Arc::clone(&self.copy);
                blocking(move || {
                    let measured = content::measure(copy.path(), &lengths)?;
                    Ok((lengths, measured))
                })
                .await?
            }
        };
        Ok(&self.measured.insert(measured).1)
    }

    /// Decides which part of it is new. Contents of this version of the object are left out. If it is to replace
    /// the object's other versions, theirs are left out too.
    ///
    /// # Errors
    /// `Conflict` where another run is about to commit the same lines, and does not end in some seconds.
    pub async fn plan(&mut self, contents: &mut Contents<'_>) -> Result<Plan> {
        let (key, version) = (&self.run.info.key, source_version(&self.run.info));
        if is_as_new(key) {
            return Ok(Plan::whole());
        }
        let mut looks = 0;
        loop {
            let is_other = |taken: &&Taken| {
                if self.run.replace {
                    taken.key != *key
                } else {
                    !taken.is(key, &version)
                }
            };
            let others: Vec<Taken> = contents.all().filter(is_other).cloned().collect();
            if others.is_empty() {
                return Ok(Plan::whole());
            }
            if let Some(unknown) = others.iter().find(|taken| taken.measure.is_none()) {
                // From before contents were recognised: it is looked at once.
                match contents::measured(self.run.lake, unknown).await? {
                    Some(known) => contents.learn(known),
                    None => contents.leave_out(unknown),
                }
                continue;
            }
            let (best, warnings) = self.best(&others).await?;
            let Some(best) = best else {
                return Ok(Plan {
                    warnings,
                    ..Plan::whole()
                });
            };
            if let Stage::Claimed { .. } = best.taken.stage {
                match self.standing(&best.taken).await? {
                    Standing::Taken => contents.learn(Taken {
                        stage: Stage::Taken,
                        ..best.taken
                    }),
                    Standing::Stopped => contents.take_over(best.taken),
                    Standing::AtWork if looks < LOOKS => {
                        looks += 1;
                        tokio::time::sleep(PAUSE).await;
                        contents.reload().await?;
                    }
                    Standing::AtWork => return Err(at_work(&best.taken)),
                }
                continue;
            }
            return Ok(self.of(best, warnings));
        }
    }

    /// The content that holds most of it, and the warnings about those that are left out.
    async fn best(&mut self, others: &[Taken]) -> Result<(Option<Match>, Vec<String>)> {
        let lengths: BTreeSet<u64> = others
            .iter()
            .filter_map(|taken| taken.measure.as_ref())
            .flat_map(Measure::lengths)
            .collect();
        let measured = self.measured(lengths).await?.clone();
        let origin = Origin::of_key(&self.run.info.key);
        let (mut best, mut warnings): (Option<Match>, Vec<String>) = (None, Vec::new());
        for taken in others {
            let Some(found) = self.compared(taken, &measured, &origin).await? else {
                continue;
            };
            if !origin.may_be(&taken.origin()) && found.bytes < SURE_BYTES {
                warnings.push(elsewhere(&found));
                continue;
            }
            if best.as_ref().is_none_or(|best| found.bytes > best.bytes) {
                best = Some(found);
            }
        }
        if best.is_some() {
            Ok((best, Vec::new()))
        } else {
            Ok((None, warnings))
        }
    }

    /// How much of it `taken` holds; None where that is nothing, or too little to be sure.
    async fn compared(
        &self,
        taken: &Taken,
        measured: &Measured,
        origin: &Origin,
    ) -> Result<Option<Match>> {
        let Some(known) = &taken.measure else {
            return Ok(None);
        };
        let mine = &measured.measure;
        let found = |bytes: u64, from: Option<u64>, lines: u64| {
            Some(Match {
                taken: taken.clone(),
                bytes,
                from,
                lines,
                parts: from.is_some_and(|from| from < known.whole),
            })
        };
        let equal = match compare(known, mine) {
            Comparison::Differs => return Ok(None),
            Comparison::Within => return Ok(found(mine.bytes, None, measured.lines)),
            Comparison::Extends => {
                let lines = measured.lines_at.get(&known.bytes);
                let lines = lines.copied().unwrap_or_default();
                return Ok(found(known.bytes, Some(known.whole), lines));
            }
            Comparison::Open(equal) => equal,
        };
        // Only a content that is long enough can be recognised under another name.
        if !origin.may_be(&taken.origin()) && mine.bytes.min(known.bytes) < SURE_BYTES {
            return Ok(None);
        }
        let raw = match contents::raw(self.run.lake, taken).await {
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(gone(taken)),
            raw => raw?,
        };
        let copy = Arc::clone(&self.copy);
        let common = blocking(move || content::common(copy.path(), raw.path(), equal)).await?;
        if common.bytes == mine.bytes {
            return Ok(found(mine.bytes, None, measured.lines));
        }
        // They differ after a common beginning, which was taken, unless it is alike by accident.
        Ok(if common.whole >= SURE_BYTES {
            found(common.whole, Some(common.whole), common.lines)
        } else {
            None
        })
    }

    /// What is to be read besides what was taken.
    fn of(&self, best: Match, warnings: Vec<String>) -> Plan {
        let Match {
            taken, from, lines, ..
        } = best;
        let bytes = from.unwrap_or(best.bytes);
        let measure = taken.measure.as_ref();
        // If it goes on after a line that was cut off, that line is complete now.
        let cut = measure
            .filter(|known| known.is_open() && from == Some(known.whole))
            .map(|known| known.whole);
        let completes = cut.map(|offset| {
            let rows = RowsOf {
                from: Some(i64::try_from(offset).unwrap_or(i64::MAX)),
                ..RowsOf::version(&self.run.lake.objects.uris(&taken.key), &taken.version)
            };
            let line = Completed {
                key: taken.key.clone(),
                version: taken.version.clone(),
                offset,
                accepted: 0,
                rejected: 0,
            };
            (rows, line)
        });
        let warnings = if best.parts {
            vec![format!(
                "it is like {} up to byte {bytes} and then another: what is behind that was taken as new",
                taken.key
            )]
        } else {
            warnings
        };
        let before = (bytes > 0).then_some(TakenBefore {
            bytes,
            lines,
            key: taken.key,
            version: taken.version,
            run_id: taken.run_id,
        });
        Plan {
            part: from.map(|from| Part { from, last: None }),
            before,
            completes,
            warnings,
        }
    }

    /// How a claim of another run stands.
    pub async fn standing(&self, taken: &Taken) -> Result<Standing> {
        let Stage::Claimed { until, by, again } = &taken.stage else {
            return Ok(Standing::Taken);
        };
        let lake = self.run.lake;
        if !again && has_rows(lake, &self.contract.table(), &taken.key, &taken.version).await? {
            return Ok(Standing::Taken);
        }
        let stopped = by.as_deref().is_some_and(process::has_stopped) || *until < Utc::now();
        let run = lake.ledger.run(&taken.run_id).await?;
        let ended = run.is_none_or(|run| run.status != RunStatus::Running);
        Ok(match (stopped || ended, again) {
            (false, _) => Standing::AtWork,
            (true, false) => Standing::Stopped,
            (true, true) => Standing::Taken,
        })
    }
}

/// How a claim stands.
pub(crate) enum Standing {
    /// Its lines are in the table.
    Taken,
    /// Its run ended without them, or will never end.
    Stopped,
    /// Its run is at work.
    AtWork,
}

pub(crate) fn at_work(taken: &Taken) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!(
            "run {} is taking the same lines from {} at the moment; try again when it has ended",
            taken.run_id, taken.key
        ),
    )
}

fn gone(taken: &Taken) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!(
            "it begins like {}, which is no longer kept, so that nothing tells which of its lines are new; \
             to take all of them, put it into a folder named {}, which is what tarn ingest --as-new does",
            taken.key,
            tarn_core::content::AS_NEW
        ),
    )
}

/// A content so short that two servers may have logged the same.
fn elsewhere(found: &Match) -> String {
    format!(
        "its first {} bytes are those of {}, which is in another folder and was taken by run {}: below {} \
         bytes they count for both",
        found.bytes, found.taken.key, found.taken.run_id, SURE_BYTES
    )
}
