//! The columns of CSV, whose values are all texts: each type is tried on them as it would read them.

use std::path::Path;

use tarn_contract::{Column, Contract, Draft, DraftColumn, Encoding, Format};
use tarn_core::schema::ColumnType;
use tarn_core::text::count;
use tarn_core::{Error, ErrorKind, Result};

use super::contract_of;
use super::types::{FITTING, Seen, misfits};
use crate::column::ColumnData;
use crate::source;
use crate::source::value::Decoder;

/// Rows by which types are chosen; all rows are measured by them later.
const ROWS: usize = 100_000;

/// The most digits after the decimal sign that a decimal is proposed for.
const SCALE: u8 = 6;

/// The draft of a file of CSV.
///
/// # Errors
/// `BadSource` where it has no header.
pub(super) fn draft(path: &Path, source: &str) -> Result<Draft> {
    let names = source::csv_names(path)?;
    let mut notes = Vec::new();
    let mut texts: Vec<DraftColumn> = Vec::new();
    for name in &names {
        if name.is_empty() {
            notes.push("Left out: a column without a name.".to_owned());
        } else if names.iter().filter(|other| *other == name).count() > 1 {
            let note = format!("Left out: {name}, which the header has several times.");
            if !notes.contains(&note) {
                notes.push(note);
            }
        } else {
            texts.push(DraftColumn::new(
                name,
                ColumnType::String,
                Encoding::Natural,
            ));
        }
    }
    let mut draft = Draft {
        dataset: format!("{source}_rows"),
        format: Format::Csv,
        source_table: None,
        key_folder: format!("raw/{source}/rows"),
        notes,
        columns: texts,
    };
    let Some(contract) = contract_of(&mut draft) else {
        return Err(Error::new(
            ErrorKind::BadSource,
            "the header has no names that columns could have",
        ));
    };
    draft.columns = typed(path, &contract)?;
    Ok(draft)
}

/// The columns with the types that fit their texts.
fn typed(path: &Path, texts: &Contract) -> Result<Vec<DraftColumn>> {
    let mut tried = texts
        .columns
        .iter()
        .map(|_| Tried::new())
        .collect::<Result<Vec<_>>>()?;
    let mut reader = source::open(texts, path)?;
    let mut rows = 0;
    while rows < ROWS
        && let Some(batch) = reader.next_batch()?
    {
        rows += batch.rows();
        for (tried, data) in tried.iter_mut().zip(&batch.columns) {
            let ColumnData::Text(data) = data else {
                continue;
            };
            for text in (0..batch.rows()).filter_map(|row| data.get(row)) {
                tried.add(text);
            }
        }
    }
    let columns = texts.columns.iter().zip(&tried);
    Ok(columns
        .map(|(column, tried)| tried.column(&column.source_name))
        .collect())
}

/// Types that are tried on a column's values.
struct Tried {
    present: u64,
    list: Vec<Candidate>,
    /// Whole numbers as such, which may be times or cents.
    integers: Seen,
    /// Values that begin with a zero that a number would lose.
    zeros: u64,
    /// Numbers whose sign may be either one: `1,234`.
    unclear_numbers: u64,
}

/// A type and encoding, and how many values have it.
struct Candidate {
    ty: ColumnType,
    encoding: Encoding,
    decoder: Decoder,
    fitting: u64,
    /// The most digits after the decimal sign.
    scale: u8,
}

impl Tried {
    fn new() -> Result<Self> {
        let decimal = || ColumnType::Decimal {
            precision: 18,
            scale: SCALE,
        };
        let list = [
            (ColumnType::Long, Encoding::Natural),
            (ColumnType::Boolean, Encoding::BooleanText),
            (decimal(), Encoding::Natural),
            (ColumnType::Double, Encoding::Natural),
            (decimal(), Encoding::DecimalComma),
            (decimal(), Encoding::DecimalPoint),
            (ColumnType::Date, Encoding::Natural),
            (ColumnType::Timestamp, Encoding::Natural),
            (ColumnType::Date, Encoding::DayMonthYear),
            (ColumnType::Date, Encoding::MonthDayYear),
            (ColumnType::Timestamp, Encoding::DayMonthYear),
            (ColumnType::Timestamp, Encoding::MonthDayYear),
        ];
        let list = list.map(|(ty, encoding)| {
            Ok(Candidate {
                decoder: Decoder::new(&Column::optional("value", ty.clone(), encoding))?,
                ty,
                encoding,
                fitting: 0,
                scale: 0,
            })
        });
        Ok(Tried {
            present: 0,
            list: list.into_iter().collect::<Result<_>>()?,
            integers: Seen::default(),
            zeros: 0,
            unclear_numbers: 0,
        })
    }

    fn add(&mut self, text: &[u8]) {
        let text = text.trim_ascii();
        if text.is_empty() {
            return;
        }
        self.present += 1;
        let digits = text.strip_prefix(b"-").unwrap_or(text);
        self.zeros +=
            u64::from(digits.len() > 1 && digits[0] == b'0' && digits[1].is_ascii_digit());
        let unclear = |sign: u8| {
            let parts: Vec<&[u8]> = digits.split(|&byte| byte == sign).collect();
            matches!(parts.as_slice(), [whole, rest] if whole.len() <= 3 && rest.len() == 3)
        };
        self.unclear_numbers += u64::from(unclear(b',') && !digits.contains(&b'.'));
        if let Ok(text) = std::str::from_utf8(text)
            && let Ok(whole) = text.parse::<i64>()
        {
            self.integers.add_json(&serde_json::Value::from(whole));
        }
        let all_digits = text.iter().all(u8::is_ascii_digit);
        for candidate in &mut self.list {
            let is_day = matches!(candidate.ty, ColumnType::Date | ColumnType::Timestamp);
            let is_boolean = candidate.ty == ColumnType::Boolean;
            // A number, even where it reads as a day without separators, or as no and yes.
            if all_digits && (is_day || is_boolean) {
                continue;
            }
            let mut data = ColumnData::new(&candidate.ty);
            if candidate.decoder.push_field(text, &mut data).is_ok() {
                candidate.fitting += 1;
                let sign = if candidate.encoding == Encoding::DecimalComma {
                    b','
                } else {
                    b'.'
                };
                let after = text.iter().rev().position(|&byte| byte == sign);
                let after = after.and_then(|digits| u8::try_from(digits).ok());
                candidate.scale = candidate.scale.max(after.unwrap_or(0));
            }
        }
    }

    fn column(&self, name: &str) -> DraftColumn {
        let fits = |candidate: &&Candidate| {
            self.present > 0 && 100 * candidate.fitting >= FITTING * self.present
        };
        // The first of those that most values have: a plain form before the forms of a country.
        let mut best: Option<&Candidate> = None;
        for candidate in self.list.iter().filter(fits) {
            if best.is_none_or(|best| candidate.fitting > best.fitting) {
                best = Some(candidate);
            }
        }
        let text = DraftColumn::new(name, ColumnType::String, Encoding::Natural);
        let Some(best) = best else { return text };
        let is_number = matches!(
            best.ty,
            ColumnType::Long | ColumnType::Double | ColumnType::Decimal { .. }
        );
        if is_number && self.zeros > 0 {
            let mut text = text;
            text.comment = Some(format!(
                "Text, since {} of {} values begin with a zero",
                count(self.zeros),
                count(self.present)
            ));
            return text;
        }
        let mut draft = if best.ty == ColumnType::Long {
            self.integers.json(name).unwrap_or(text)
        } else {
            DraftColumn::new(name, best.ty.clone(), best.encoding)
        };
        if let ColumnType::Decimal { scale, .. } = &mut draft.ty
            && best.ty != ColumnType::Long
        {
            *scale = best.scale.clamp(2, SCALE);
        }
        let misfits = misfits(self.present - best.fitting, self.present, &draft.ty);
        if let Some(comment) = misfits.or_else(|| self.other_reading(best)) {
            draft.comment = Some(comment);
        }
        draft
    }

    /// What else all of the values may mean.
    fn other_reading(&self, best: &Candidate) -> Option<String> {
        let also = |encoding: Encoding| {
            self.list.iter().any(|candidate| {
                candidate.encoding == encoding
                    && candidate.ty == best.ty
                    && candidate.fitting == best.fitting
            })
        };
        match best.encoding {
            Encoding::DayMonthYear if also(Encoding::MonthDayYear) => Some(
                "Decide: no day is after the 12th, so the month may come first: encoding monthDayYear"
                    .to_owned(),
            ),
            Encoding::DecimalComma if also(Encoding::DecimalPoint) && self.unclear_numbers > 0 => {
                Some(
                    "Decide: the comma may be between thousands: encoding decimalPoint".to_owned(),
                )
            }
            _ => None,
        }
    }
}
