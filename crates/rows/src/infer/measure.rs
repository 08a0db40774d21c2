//! Reads a source through a drafted contract and measures what its values look like.

use std::collections::{BTreeMap, BTreeSet};

use tarn_contract::Contract;
use tarn_contract::propose::Texts;
use tarn_core::Result;
use tarn_core::profile::{ColumnProfile, Measures, is_blank, is_sentinel};

use super::shape::Shape;
use crate::batch::{Batch, Reader};
use crate::check::count_values;
use crate::column::{ColumnData, TextColumn};
use crate::profile::{Counted, Frequencies, Profiler};
use tarn_core::privacy::{PersonalPattern, found};

/// At most how many texts that stand for a missing value are listed.
const MISSING_LISTED: usize = 10;

/// What was measured of the rows of a contract's source.
pub(super) struct Measured {
    /// Rows read, those that the types do not fit among them.
    pub rows: u64,
    /// Rows that the types do not fit, by the rule that they break.
    pub rejected: BTreeMap<String, u64>,
    /// Whether the source has more rows.
    pub partial: bool,
    /// One per column.
    pub columns: Vec<MeasuredColumn>,
    /// How often the values of `together` occur, as one.
    pub together: Counted,
}

/// What was measured of a column.
pub(super) struct MeasuredColumn {
    pub profile: ColumnProfile,
    pub texts: Texts,
    pub frequencies: Counted,
}

/// Measures at least this many rows, if there are. `together` names columns that may be a key.
pub(super) fn measure(
    reader: &mut dyn Reader,
    contract: &Contract,
    limit: u64,
    together: &[usize],
) -> Result<Measured> {
    let measures = Measures {
        distinct: true,
        frequencies: true,
        ..Measures::default()
    };
    let folder = std::env::temp_dir();
    let measures = vec![measures; contract.columns.len()];
    let mut profiler = Profiler::new(contract, measures, &folder);
    let mut watches: Vec<Watch> = vec![Watch::default(); contract.columns.len()];
    let (mut rows, mut rejected, mut partial) = (0, BTreeMap::new(), false);
    let mut keys = Frequencies::new(&folder);
    while let Some(batch) = reader.next_batch()? {
        if rows >= limit {
            partial = true;
            break;
        }
        rows += (batch.rows() + batch.rejected.len()) as u64;
        for row in &batch.rejected {
            *rejected.entry(row.rule.clone()).or_default() += 1;
        }
        if !together.is_empty() {
            count_values(contract, together, &batch, &mut keys)?;
        }
        profiler.add(&batch)?;
        watch(&mut watches, &batch);
    }
    let profiled = profiler.finish()?;
    let profiles = profiled.columns();
    let frequencies = profiled.into_frequencies();
    let columns = profiles
        .into_iter()
        .zip(frequencies)
        .zip(watches)
        .map(|((profile, frequencies), watch)| MeasuredColumn {
            texts: watch.finish(profile.distinct.unwrap_or_default()),
            profile,
            frequencies,
        })
        .collect();
    Ok(Measured {
        rows,
        rejected,
        partial,
        columns,
        together: keys.finish()?,
    })
}

/// What the texts of a column look like, so far.
#[derive(Clone, Default)]
struct Watch {
    personal: [u64; PersonalPattern::ALL.len()],
    shape: Shape,
    longest: u64,
    missing: BTreeSet<String>,
}

fn watch(watches: &mut [Watch], batch: &Batch) {
    for (watch, data) in watches.iter_mut().zip(&batch.columns) {
        match data {
            ColumnData::Text(column) => watch.add_column(column),
            ColumnData::List(column) => watch.count_personal_items(&column.items),
            _ => {}
        }
    }
}

impl Watch {
    fn add_column(&mut self, column: &TextColumn) {
        if !column.interned {
            for row in (0..column.len()).filter(|&row| column.validity.get(row)) {
                self.add(column.texts.get(row), 1);
            }
            return;
        }
        let mut rows = vec![0_u64; column.texts.len()];
        for (row, &key) in column.keys.iter().enumerate() {
            if column.validity.get(row) {
                rows[key as usize] += 1;
            }
        }
        for (text, rows) in rows.into_iter().enumerate().filter(|(_, rows)| *rows > 0) {
            self.add(column.texts.get(text), rows);
        }
    }

    /// A text and the rows that have it.
    fn add(&mut self, text: &[u8], rows: u64) {
        // What stands for no value has no part in the shape of the others.
        if is_blank(text) || is_sentinel(text) {
            if self.missing.len() <= MISSING_LISTED {
                self.missing
                    .insert(String::from_utf8_lossy(text).into_owned());
            }
        } else {
            self.shape.add(text);
        }
        // Bytes that continue a character are none.
        let characters = text.iter().filter(|&&byte| byte & 0xc0 != 0x80).count();
        self.longest = self.longest.max(characters as u64);
        self.count_personal(text, rows);
    }

    fn count_personal(&mut self, text: &[u8], rows: u64) {
        if !found(text, &PersonalPattern::ALL.map(|(_, pattern)| pattern)) {
            return;
        }
        for (count, (_, pattern)) in self.personal.iter_mut().zip(PersonalPattern::ALL) {
            *count += rows * u64::from(found(text, &[pattern]));
        }
    }

    fn count_personal_items(&mut self, items: &TextColumn) {
        for item in 0..items.len() {
            if let Some(text) = items.get(item) {
                self.count_personal(text, 1);
            }
        }
    }

    fn finish(self, distinct: u64) -> Texts {
        Texts {
            personal: self
                .personal
                .into_iter()
                .zip(PersonalPattern::ALL)
                .filter(|(rows, _)| *rows > 0)
                .map(|(rows, (_, pattern))| (pattern, rows))
                .collect(),
            shape: self
                .shape
                .pattern(distinct)
                .filter(|_| self.missing.is_empty()),
            longest: self.longest,
            missing: if self.missing.len() > MISSING_LISTED {
                Vec::new()
            } else {
                self.missing.into_iter().collect()
            },
        }
    }
}
