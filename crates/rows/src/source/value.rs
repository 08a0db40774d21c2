//! Single values: from what a source writes to what a column holds, by the contract's type and
//! encoding. Shared by every format whose columns the contract names.
//!
//! Nothing is guessed and nothing is lost: a value that the column cannot hold exactly is refused
//! with a reason, except where the contract asks for rounding ([`Encoding::Real`]) and for fractions
//! of seconds beyond microseconds, which are dropped.
//!
//! - A whole number may be written `12`, `12.0` or `1.2e1`, and `"12"`, as many writers quote 64-bit numbers, because
//!   those of JavaScript end at 2⁵³; any other text is not a number.
//! - A string column takes a whole number by its digits: ids are written either way.
//! - A decimal is an exact number or its text; a floating point number only where the encoding says so.
//! - An instant as a number is refused where it is not plausible in its unit: before the year 2000, or more than two
//!   years ahead, unless the contract has bounds of its own.
//! - A boolean is `true` or `false`, and 0 or 1, or a text, where the contract says so. A database, which has no
//!   booleans of its own, may store 0 and 1 for either.

use std::borrow::Cow;
use tarn_core::calendar;

use chrono::Utc;
use tarn_contract::{Bounded, Column, Encoding};
use tarn_core::schema::ColumnType;
use tarn_core::{Error, ErrorKind};

use crate::column::ColumnData;
use crate::display;
use crate::reason::Reason;
use crate::source::number::{self, Number, POWERS_OF_TEN, SmallDecimal};
use crate::source::time::{self, Fault};
use crate::source::written;

/// A value as a source has it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scalar<'a> {
    /// True or false.
    Boolean(bool),
    /// A 64-bit integer, from a database.
    Integer(i64),
    /// A floating point number, from a database.
    Real(f64),
    /// A number in digits, from JSON.
    Number(Number<'a>),
    /// Text, valid UTF-8.
    Text(&'a [u8]),
}

/// A value of the contract's own, of the column's type.
#[derive(Debug, Clone)]
enum Fixed {
    Text(Vec<u8>),
    Int(i32),
    Long(i64),
    Double(f64),
    Boolean(bool),
    List(Vec<String>),
}

/// How the values of one column are read; made once per column.
#[derive(Debug, Clone)]
pub(crate) struct Decoder {
    written: Written,
    kind: Kind,
    default: Option<Fixed>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Int,
    Long,
    Double,
    Boolean,
    ZeroOne,
    BooleanText,
    Date,
    Timestamp,
    /// An instant as a number of units; this many digits of a unit's fraction make a microsecond.
    Epoch {
        digits: u8,
        plausible: Plausible,
    },
    /// An exact number; values beyond `limit` have too many digits.
    Decimal {
        scale: u8,
        limit: u64,
    },
    /// A whole number of units of 10^-unit.
    Minor {
        unit: u8,
        scale: u8,
        limit: u64,
    },
    /// A floating point number to be rounded.
    Real {
        scale: u8,
        limit: u64,
    },
    List,
}

/// How texts are written that are not in the one form that a column is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    Plainly,
    /// A number with this decimal sign.
    Number(u8),
    /// A day, perhaps with a time.
    Day {
        first: bool,
    },
}

impl Written {
    /// How a column's texts are written, and its encoding once they are read.
    fn of(encoding: Encoding) -> (Self, Encoding) {
        match encoding {
            Encoding::DecimalComma => (Written::Number(b','), Encoding::Natural),
            Encoding::DecimalPoint => (Written::Number(b'.'), Encoding::Natural),
            Encoding::DayMonthYear => (Written::Day { first: true }, Encoding::Natural),
            Encoding::MonthDayYear => (Written::Day { first: false }, Encoding::Natural),
            other => (Written::Plainly, other),
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Written::Plainly => "a text",
            Written::Number(b',') => "a number such as 1234,50 or 1.234,50",
            Written::Number(_) => "a number such as 1234.50 or 1,234.50",
            Written::Day { first: true } => "a day such as 31/01/2026",
            Written::Day { first: false } => "a day such as 01/31/2026",
        }
    }
}

/// The instants, in microseconds, that a number may mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Plausible {
    least: i64,
    greatest: i64,
}

impl Plausible {
    /// 2000-01-01T00:00:00Z.
    const LEAST: i64 = 946_684_800 * calendar::MICROS;

    /// How far ahead of now an instant may be.
    const DAYS_AHEAD: i64 = 2 * 366;

    fn of(bounded: Bounded) -> Self {
        let greatest = Utc::now().timestamp_micros() + Self::DAYS_AHEAD * calendar::MICROS_PER_DAY;
        Plausible {
            least: if bounded.below { i64::MIN } else { Self::LEAST },
            greatest: if bounded.above { i64::MAX } else { greatest },
        }
    }

    /// Whether rules decide alone.
    fn is_any(self) -> bool {
        (self.least, self.greatest) == (i64::MIN, i64::MAX)
    }

    #[inline]
    fn holds(self, micros: i64) -> bool {
        (self.least..=self.greatest).contains(&micros)
    }
}

/// The default of a column as one row of it; None where it has none.
///
/// # Errors
/// `BadContract` where it is not a value of the column.
pub(crate) fn default_of(column: &Column) -> tarn_core::Result<Option<ColumnData>> {
    if column.default.is_none() {
        return Ok(None);
    }
    let mut data = ColumnData::new(&column.ty);
    Decoder::new(column)?.push_default(&mut data);
    Ok(Some(data))
}

impl Decoder {
    /// The decoder of a column.
    ///
    /// # Errors
    /// `BadContract` where the encoding does not belong to the type, or the default is not a value of it.
    pub(crate) fn new(column: &Column) -> tarn_core::Result<Decoder> {
        let wrong = |what: String| {
            Error::new(
                ErrorKind::BadContract,
                format!("column {}: {what}", column.name),
            )
        };
        let (written, encoding) = Written::of(column.encoding);
        let kind = match (&column.ty, encoding) {
            (ColumnType::String, Encoding::Natural) => Kind::Text,
            (ColumnType::Int, Encoding::Natural) => Kind::Int,
            (ColumnType::Long, Encoding::Natural) => Kind::Long,
            (ColumnType::Double, Encoding::Natural | Encoding::Real) => Kind::Double,
            (ColumnType::Boolean, Encoding::Natural) => Kind::Boolean,
            (ColumnType::Boolean, Encoding::ZeroOne) => Kind::ZeroOne,
            (ColumnType::Date, Encoding::Natural) => Kind::Date,
            (ColumnType::Timestamp, Encoding::Natural) => Kind::Timestamp,
            (ColumnType::Boolean, Encoding::BooleanText) => Kind::BooleanText,
            (
                ColumnType::Timestamp,
                encoding @ (Encoding::EpochSeconds | Encoding::EpochMillis | Encoding::EpochMicros),
            ) => Kind::Epoch {
                digits: match encoding {
                    Encoding::EpochSeconds => 6,
                    Encoding::EpochMillis => 3,
                    _ => 0,
                },
                plausible: Plausible::of(column.bounded),
            },
            (ColumnType::StringList, Encoding::Natural) => Kind::List,
            (&ColumnType::Decimal { precision, scale }, encoding) => {
                let limit = 10u64
                    .checked_pow(u32::from(precision))
                    .filter(|_| precision <= 18 && scale <= precision)
                    .ok_or_else(|| wrong(format!("{} has more than 18 digits", column.ty)))?;
                match encoding {
                    Encoding::Natural => Kind::Decimal { scale, limit },
                    Encoding::MinorUnits(unit) => Kind::Minor { unit, scale, limit },
                    Encoding::Real => Kind::Real { scale, limit },
                    _ => {
                        return Err(wrong(format!(
                            "{encoding:?} is not an encoding of {}",
                            column.ty
                        )));
                    }
                }
            }
            (ty, encoding) => {
                return Err(wrong(format!("{encoding:?} is not an encoding of {ty}")));
            }
        };
        let mut decoder = Decoder {
            written: Written::Plainly,
            kind,
            default: None,
        };
        if let Some(text) = &column.default {
            let fixed = decoder.fixed(text, &column.ty);
            decoder.default =
                Some(fixed.map_err(|reason| wrong(format!("the default {text:?}: {reason}")))?);
        }
        // The default is the contract's, in the plain form.
        decoder.written = written;
        Ok(decoder)
    }

    /// Whether the column is one of lists, which are not scalars.
    pub(crate) fn is_list(&self) -> bool {
        self.kind == Kind::List
    }

    /// Whether a text is taken as it is, so that there is nothing to decode.
    #[inline]
    pub(crate) fn is_text(&self) -> bool {
        self.kind == Kind::Text
    }

    /// What the column takes, for messages about something that is not a single value.
    pub(crate) fn expected(&self) -> &'static str {
        match self.kind {
            Kind::Text => "a text",
            Kind::Int | Kind::Long | Kind::Minor { .. } => "a whole number",
            Kind::Double | Kind::Real { .. } => "a number",
            Kind::Boolean => "true or false",
            Kind::ZeroOne => "0 or 1",
            Kind::BooleanText => BOOLEAN_TEXT,
            Kind::Date => "a date",
            Kind::Timestamp | Kind::Epoch { .. } => "a time",
            Kind::Decimal { .. } => "a decimal",
            Kind::List => "a list of texts",
        }
    }

    /// Appends a value to the column that the decoder was made for.
    ///
    /// # Errors
    /// The reason why the column cannot hold the value; nothing was appended.
    #[inline]
    pub(crate) fn push(&self, value: Scalar<'_>, data: &mut ColumnData) -> Result<(), Reason> {
        match value {
            Scalar::Text(text) if self.written != Written::Plainly => self.push_written(text, data),
            value => self.push_plain(value, data),
        }
    }

    /// Appends a text that is written as people of a country do.
    fn push_written(&self, text: &[u8], data: &mut ColumnData) -> Result<(), Reason> {
        let plain = match self.written {
            Written::Plainly => return self.push_plain(Scalar::Text(text), data),
            Written::Number(decimal) => written::number(text, decimal),
            Written::Day { first } => written::time(text, first),
        };
        let Some(plain) = plain else {
            return Err(mismatch(self.written.expected(), Scalar::Text(text)));
        };
        let value = match Number::parse(plain.text()) {
            Some(number) => Scalar::Number(number),
            None => Scalar::Text(plain.text()),
        };
        self.push_plain(value, data)
    }

    /// Appends a field of CSV, which is a text whatever it stands for.
    ///
    /// # Errors
    /// As of [`Decoder::push`].
    #[inline]
    pub(crate) fn push_field(&self, text: &[u8], data: &mut ColumnData) -> Result<(), Reason> {
        if self.kind == Kind::Text {
            return self.push_plain(Scalar::Text(text), data);
        }
        let text = text.trim_ascii();
        if self.written != Written::Plainly {
            return self.push_written(text, data);
        }
        let value = match self.kind {
            Kind::Boolean if text.eq_ignore_ascii_case(b"true") => Scalar::Boolean(true),
            Kind::Boolean if text.eq_ignore_ascii_case(b"false") => Scalar::Boolean(false),
            Kind::Text | Kind::Boolean | Kind::BooleanText | Kind::Date | Kind::Timestamp => {
                Scalar::Text(text)
            }
            _ => return self.push_digits(text, data),
        };
        self.push_plain(value, data)
    }

    /// Appends a number that is a text, perhaps with a plus or zeros before it.
    #[inline]
    fn push_digits(&self, text: &[u8], data: &mut ColumnData) -> Result<(), Reason> {
        if let Some((number, used)) = number::small_decimal(text)
            && used == text.len()
            && self.push_small(number, data)
        {
            return Ok(());
        }
        if let Some(number) = Number::parse(text) {
            return self.push_plain(Scalar::Number(number), data);
        }
        let is_plain = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.');
        let padded = text
            .iter()
            .all(is_plain)
            .then(|| written::number(text, b'.'));
        match padded.flatten() {
            Some(plain) => {
                let number = Number::parse(plain.text());
                self.push_plain(number.map_or(Scalar::Text(text), Scalar::Number), data)
            }
            None => self.push_plain(Scalar::Text(text), data),
        }
    }

    #[inline]
    fn push_plain(&self, value: Scalar<'_>, data: &mut ColumnData) -> Result<(), Reason> {
        match (self.kind, data) {
            (Kind::Text, ColumnData::Text(data)) => match value {
                Scalar::Text(text) => data.push(text),
                Scalar::Number(number) if number.is_digits() => data.push(number.text),
                Scalar::Integer(value) => data.push(value.to_string().as_bytes()),
                _ => return Err(mismatch("a text", value)),
            },
            (Kind::Int, ColumnData::Int(data)) => {
                let whole = integer(value)?;
                data.push(
                    i32::try_from(whole).map_err(|_| out_of_range("a 32-bit integer", value))?,
                );
            }
            (Kind::Long, ColumnData::Long(data)) => data.push(integer(value)?),
            (Kind::Double, ColumnData::Double(data)) => data.push(double(value)?),
            (Kind::Boolean, ColumnData::Boolean(data)) => data.push(match value {
                Scalar::Boolean(value) => value,
                Scalar::Integer(value @ 0..=1) => value == 1,
                _ => return Err(mismatch("true or false", value)),
            }),
            (Kind::ZeroOne, ColumnData::Boolean(data)) => data.push(match integer(value) {
                Ok(value @ 0..=1) => value == 1,
                _ => return Err(mismatch("0 or 1", value)),
            }),
            (Kind::BooleanText, ColumnData::Boolean(data)) => data.push(boolean_text(value)?),
            (Kind::Date, ColumnData::Int(data)) => match value {
                Scalar::Text(text) => {
                    data.push(time::date(text).map_err(|fault| bad_date(fault, value))?)
                }
                _ => return Err(mismatch("a date such as 2026-01-31", value)),
            },
            (Kind::Timestamp, ColumnData::Long(data)) => match value {
                Scalar::Text(text) => {
                    data.push(time::timestamp(text).map_err(|fault| bad_timestamp(fault, value))?);
                }
                _ => return Err(mismatch("a time such as 2026-01-31T10:00:00Z", value)),
            },
            (Kind::Epoch { digits, plausible }, ColumnData::Long(data)) => {
                data.push(epoch(value, digits, plausible)?);
            }
            (Kind::Decimal { scale, limit }, ColumnData::Long(data)) => {
                data.push(within(limit, decimal(value, scale)?, value)?);
            }
            (Kind::Minor { unit, scale, limit }, ColumnData::Long(data)) => {
                data.push(within(limit, minor_units(value, unit, scale)?, value)?);
            }
            (Kind::Real { scale, limit }, ColumnData::Long(data)) => {
                data.push(within(limit, real(value, scale)?, value)?);
            }
            (Kind::List, ColumnData::List(_)) => return Err(mismatch("a list of texts", value)),
            _ => return Err("the column has another type than its contract".into()),
        }
        Ok(())
    }

    /// Appends a whole number; see [`Decoder::push_small`].
    #[inline(always)]
    pub(crate) fn push_integer(&self, value: i64, data: &mut ColumnData) -> bool {
        let number = SmallDecimal {
            mantissa: value,
            fraction: 0,
        };
        self.push_small(number, data)
    }

    /// Appends a number to the column that the decoder was made for, in the common cases. False where it
    /// is for [`Decoder::push`] to judge, and nothing was appended.
    #[inline(always)]
    pub(crate) fn push_small(&self, number: SmallDecimal, data: &mut ColumnData) -> bool {
        let SmallDecimal {
            mantissa: value,
            fraction,
        } = number;
        let value = match self.kind {
            Kind::Decimal { scale, limit } => scale
                .checked_sub(fraction)
                .and_then(|missing| POWERS_OF_TEN.get(usize::from(missing)))
                .and_then(|&power| value.checked_mul(power as i64))
                .filter(|value| value.unsigned_abs() < limit),
            _ if fraction > 0 => None,
            Kind::Long => Some(value),
            Kind::Minor { unit, scale, limit } if unit == scale => {
                Some(value).filter(|value| value.unsigned_abs() < limit)
            }
            Kind::Epoch {
                digits: 3,
                plausible,
            } => value
                .checked_mul(1000)
                .filter(|micros| plausible.holds(*micros))
                .and_then(calendar::in_range),
            _ => None,
        };
        match (value, data) {
            (Some(value), ColumnData::Long(data)) => {
                data.push(value);
                true
            }
            _ => false,
        }
    }

    /// Appends a null for a value that the source does not have. The contract decides what happens to it.
    #[inline]
    pub(crate) fn push_missing(&self, data: &mut ColumnData) {
        data.push_null();
    }

    /// Appends the contract's default.
    fn push_default(&self, data: &mut ColumnData) {
        let Some(default) = &self.default else {
            return;
        };
        match (default, data) {
            (Fixed::Text(text), ColumnData::Text(data)) => data.push(text),
            (Fixed::Int(value), ColumnData::Int(data)) => data.push(*value),
            (Fixed::Long(value), ColumnData::Long(data)) => data.push(*value),
            (Fixed::Double(value), ColumnData::Double(data)) => data.push(*value),
            (Fixed::Boolean(value), ColumnData::Boolean(data)) => data.push(*value),
            (Fixed::List(items), ColumnData::List(data)) => {
                items
                    .iter()
                    .for_each(|item| data.push_item(item.as_bytes()));
                data.finish_row();
            }
            (_, data) => data.push_null(),
        }
    }

    /// The contract's own text for a value, in the natural form of the type.
    fn fixed(&self, text: &str, ty: &ColumnType) -> Result<Fixed, Reason> {
        let value = Scalar::Text(text.as_bytes());
        let number = || {
            Number::parse(text.as_bytes())
                .map(Scalar::Number)
                .ok_or_else(|| mismatch("a number", value))
        };
        Ok(match *ty {
            ColumnType::String => Fixed::Text(text.as_bytes().to_vec()),
            ColumnType::Int => {
                let whole = integer(number()?)?;
                Fixed::Int(
                    i32::try_from(whole).map_err(|_| out_of_range("a 32-bit integer", value))?,
                )
            }
            ColumnType::Long => Fixed::Long(integer(number()?)?),
            ColumnType::Double => Fixed::Double(double(number()?)?),
            ColumnType::Boolean => match text {
                "true" => Fixed::Boolean(true),
                "false" => Fixed::Boolean(false),
                _ => return Err(mismatch("true or false", value)),
            },
            ColumnType::Date => {
                Fixed::Int(time::date(text.as_bytes()).map_err(|fault| bad_date(fault, value))?)
            }
            ColumnType::Timestamp => Fixed::Long(
                time::timestamp(text.as_bytes()).map_err(|fault| bad_timestamp(fault, value))?,
            ),
            ColumnType::Decimal { scale, .. } => match self.kind {
                Kind::Decimal { limit, .. }
                | Kind::Minor { limit, .. }
                | Kind::Real { limit, .. } => {
                    Fixed::Long(within(limit, decimal(value, scale)?, value)?)
                }
                _ => return Err(mismatch("a decimal", value)),
            },
            ColumnType::StringList => Fixed::List(
                serde_json::from_str(text).map_err(|_| mismatch("a JSON list of texts", value))?,
            ),
        })
    }
}

/// Whole numbers up to here are exact in a floating point number.
const EXACT_REAL: f64 = 9_007_199_254_740_992.0;

#[inline]
fn integer(value: Scalar<'_>) -> Result<i64, Reason> {
    match value {
        Scalar::Integer(value) => Ok(value),
        Scalar::Number(number) => number.scaled(0).ok_or_else(|| {
            let what = "a whole number of at most 64 bits";
            if number.is_digits() {
                out_of_range(what, value)
            } else {
                mismatch(what, value)
            }
        }),
        Scalar::Real(real) if real.fract() == 0.0 && real.abs() <= EXACT_REAL => Ok(real as i64),
        Scalar::Text(text) => match Number::parse(text).filter(Number::is_digits) {
            Some(number) => integer(Scalar::Number(number)),
            None => Err(mismatch("a whole number", value)),
        },
        _ => Err(mismatch("a whole number", value)),
    }
}

#[inline]
fn double(value: Scalar<'_>) -> Result<f64, Reason> {
    let double = match value {
        Scalar::Number(number) => number.as_f64(),
        Scalar::Real(real) => real,
        Scalar::Integer(integer) => integer as f64,
        _ => return Err(mismatch("a number", value)),
    };
    if double.is_finite() {
        Ok(double)
    } else {
        Err(out_of_range("a 64-bit floating point number", value))
    }
}

/// What a boolean is as a text.
const BOOLEAN_TEXT: &str = "true or false, t or f, yes or no, y or n, 1 or 0";

fn boolean_text(value: Scalar<'_>) -> Result<bool, Reason> {
    let is = |text: &[u8], words: &[&str]| {
        words
            .iter()
            .any(|word| text.eq_ignore_ascii_case(word.as_bytes()))
    };
    match value {
        Scalar::Boolean(value) => Ok(value),
        Scalar::Text(text) if is(text, &["true", "t", "yes", "y"]) => Ok(true),
        Scalar::Text(text) if is(text, &["false", "f", "no", "n"]) => Ok(false),
        _ => match integer(value) {
            Ok(value @ 0..=1) => Ok(value == 1),
            _ => Err(mismatch(BOOLEAN_TEXT, value)),
        },
    }
}

/// Units in which a time since 1970 is written: their names, and how many digits of a fraction make a microsecond;
/// of the last, digits are too many.
const EPOCH_UNITS: [(&str, i32); 4] = [
    ("seconds", 6),
    ("milliseconds", 3),
    ("microseconds", 0),
    ("nanoseconds", -3),
];

fn epoch(value: Scalar<'_>, digits: u8, plausible: Plausible) -> Result<i64, Reason> {
    let unit = EPOCH_UNITS
        .iter()
        .find(|(_, other)| *other == i32::from(digits))
        .map_or("", |(name, _)| name);
    let what = || format!("{unit} since 1970");
    let micros = match value {
        Scalar::Number(number) => number.scaled(digits),
        Scalar::Integer(units) => units.checked_mul(10i64.pow(u32::from(digits))),
        Scalar::Real(real) => rounded_real(real, digits),
        Scalar::Text(text) => match Number::parse(text) {
            Some(number) => number.scaled(digits),
            None => return Err(mismatch(what(), value)),
        },
        Scalar::Boolean(_) => return Err(mismatch(what(), value)),
    };
    let micros = micros
        .and_then(calendar::in_range)
        .ok_or_else(|| out_of_range(&what(), value));
    match micros {
        Ok(micros) if plausible.holds(micros) => Ok(micros),
        Ok(micros) => Err(implausible(value, micros as f64, digits, plausible)),
        Err(reason) => match approximate(value).filter(|_| !plausible.is_any()) {
            Some(units) => Err(implausible(
                value,
                units * 10f64.powi(i32::from(digits)),
                digits,
                plausible,
            )),
            None => Err(reason),
        },
    }
}

/// About how much a number is.
fn approximate(value: Scalar<'_>) -> Option<f64> {
    match value {
        Scalar::Number(number) => Some(number.as_f64()),
        Scalar::Integer(integer) => Some(integer as f64),
        Scalar::Real(real) => Some(real),
        Scalar::Text(text) => Number::parse(text).map(|number| number.as_f64()),
        Scalar::Boolean(_) => None,
    }
}

/// The reason for an instant that nobody means, with the unit that would make it plausible.
#[cold]
fn implausible(value: Scalar<'_>, micros: f64, digits: u8, plausible: Plausible) -> Reason {
    let units = micros / 10f64.powi(i32::from(digits));
    let holds = |digits: i32| {
        let micros = units * 10f64.powi(digits);
        micros.abs() < 9e18 && plausible.holds(micros as i64)
    };
    let mut unit = "";
    let mut likely = None;
    for (name, other) in EPOCH_UNITS {
        if other == i32::from(digits) {
            unit = name;
        } else if holds(other) {
            likely = likely.or(Some(name));
        }
    }
    let year = |micros: i64| {
        let days = micros.div_euclid(calendar::MICROS_PER_DAY);
        display::date(i32::try_from(days).unwrap_or_default())
    };
    let range = match (plausible.least, plausible.greatest) {
        (least, i64::MAX) => format!(", not before {}", year(least)),
        (i64::MIN, greatest) => format!(", not after {}", year(greatest)),
        (least, greatest) => format!(", from {} to {}", year(least), year(greatest)),
    };
    let likely = likely.map_or(String::new(), |name| {
        format!("; the number looks like {name}")
    });
    mismatch(format!("{unit} since 1970{range}{likely}"), value)
}

#[inline]
fn decimal(value: Scalar<'_>, scale: u8) -> Result<i64, Reason> {
    let number = match value {
        Scalar::Number(number) => number,
        Scalar::Integer(integer) => {
            let scaled = integer.checked_mul(10i64.pow(u32::from(scale)));
            return scaled.ok_or_else(|| out_of_range("a decimal", value));
        }
        Scalar::Text(text) => match Number::parse(text.strip_prefix(b"+").unwrap_or(text)) {
            Some(number) => number,
            None => return Err(mismatch("a decimal such as 12.50", value)),
        },
        Scalar::Real(_) => {
            return Err(mismatch(
                "an exact number; set the column's encoding to real to round it",
                value,
            ));
        }
        Scalar::Boolean(_) => return Err(mismatch("a decimal such as 12.50", value)),
    };
    number.scaled(scale).ok_or_else(|| {
        // Twenty significant digits or more are too many, wherever the point is.
        if number.rounded(scale).is_some() {
            mismatch(format!("at most {scale} digits after the point"), value)
        } else {
            out_of_range("a decimal", value)
        }
    })
}

fn minor_units(value: Scalar<'_>, unit: u8, scale: u8) -> Result<i64, Reason> {
    let units = match value {
        Scalar::Boolean(_) => return Err(mismatch("a whole number of the smallest unit", value)),
        value => integer(value)?,
    };
    if unit <= scale {
        let power = 10i64.checked_pow(u32::from(scale - unit));
        return power
            .and_then(|power| units.checked_mul(power))
            .ok_or_else(|| out_of_range("a decimal", value));
    }
    match 10i64.checked_pow(u32::from(unit - scale)) {
        Some(power) if units % power == 0 => Ok(units / power),
        None if units == 0 => Ok(0),
        _ => Err(mismatch(
            format!("units of 10^-{unit} with at most {scale} digits after the point"),
            value,
        )),
    }
}

fn real(value: Scalar<'_>, scale: u8) -> Result<i64, Reason> {
    let rounded = match value {
        Scalar::Number(number) if number.exact => number.rounded(scale),
        Scalar::Number(number) => rounded_real(number.as_f64(), scale),
        Scalar::Real(real) => rounded_real(real, scale),
        Scalar::Integer(integer) => integer.checked_mul(10i64.pow(u32::from(scale))),
        _ => return Err(mismatch("a number", value)),
    };
    rounded.ok_or_else(|| out_of_range("a decimal", value))
}

/// `real × 10^scale` as a whole number, ties to even. What is rounded is the shortest decimal that
/// stands for the number, since that is what was written: 1.005 becomes 1.00, not 1.01, by the rule
/// for ties, and not because its binary form happens to be a little less.
fn rounded_real(real: f64, scale: u8) -> Option<i64> {
    if !real.is_finite() {
        return None;
    }
    let scaled = real * 10f64.powi(i32::from(scale));
    // Far from a tie the product's own error, below 1e-4 here, cannot change the result.
    if scaled.abs() < 1e11 && (scaled.fract().abs() - 0.5).abs() > 1e-3 {
        return Some(scaled.round_ties_even() as i64);
    }
    let text = format!("{real:e}");
    Number::parse(text.as_bytes())?.rounded(scale)
}

#[inline]
fn within(limit: u64, scaled: i64, value: Scalar<'_>) -> Result<i64, Reason> {
    if scaled.unsigned_abs() < limit {
        Ok(scaled)
    } else {
        Err(out_of_range("the column's decimal", value))
    }
}

/// How many characters of a value are shown in a reason.
const SHOWN: usize = 40;

/// A value as a reason shows it.
fn found(value: Scalar<'_>) -> String {
    match value {
        Scalar::Boolean(value) => value.to_string(),
        Scalar::Integer(value) => value.to_string(),
        Scalar::Real(value) => value.to_string(),
        Scalar::Number(number) => shortened(number.text),
        Scalar::Text(text) => format!("the text \"{}\"", shortened(text)),
    }
}

/// The beginning of a text, on one line.
pub(crate) fn shortened(text: &[u8]) -> String {
    let head = text.get(..4 * SHOWN).unwrap_or(text);
    let head = String::from_utf8_lossy(head);
    let mut short: String = head
        .chars()
        .take(SHOWN)
        .flat_map(char::escape_default)
        .collect();
    if head.chars().count() > SHOWN {
        short.push('…');
    }
    short
}

#[cold]
fn mismatch(expected: impl Into<Cow<'static, str>>, value: Scalar<'_>) -> Reason {
    Reason::mismatch(expected, found(value))
}

#[cold]
fn out_of_range(what: &str, value: Scalar<'_>) -> Reason {
    mismatch(format!("a number in the range of {what}"), value)
}

#[cold]
fn bad_date(fault: Fault, value: Scalar<'_>) -> Reason {
    match fault {
        Fault::Form => mismatch("a date such as 2026-01-31", value),
        Fault::NoSuchDay => mismatch("a day of the calendar", value),
        Fault::NoSuchTime => mismatch("a time of day", value),
    }
}

#[cold]
fn bad_timestamp(fault: Fault, value: Scalar<'_>) -> Reason {
    match fault {
        Fault::Form => mismatch("a time such as 2026-01-31T10:00:00Z", value),
        fault => bad_date(fault, value),
    }
}

#[cfg(test)]
#[path = "value_tests.rs"]
mod tests;
