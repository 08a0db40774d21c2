//! Rules for single values: which rows of a column break them.

use tarn_contract::{Bound, Missing, ValueCheck};
use tarn_core::schema::ColumnType;

use crate::column::{ColumnData, Plain, TextColumn};
use crate::display;

/// Rows without a value, or with a text that stands for one.
pub(crate) fn missing_rows(missing: &Missing, data: &ColumnData) -> Vec<usize> {
    let validity = data.validity();
    let nulls = || (0..data.len()).filter(|&row| !validity.get(row));
    match data {
        ColumnData::Text(column) if !missing.is_nulls() => {
            let mut rows = rows_where(column, |text| missing.matches(text));
            if validity.nulls() > 0 {
                rows.extend(nulls());
                rows.sort_unstable();
            }
            rows
        }
        _ if validity.nulls() == 0 => Vec::new(),
        _ => nulls().collect(),
    }
}

/// Rows whose value breaks the check; a null never does.
pub(crate) fn broken_rows(check: &ValueCheck, data: &ColumnData, ty: &ColumnType) -> Vec<usize> {
    match data {
        ColumnData::Text(column) => of_text(check, column),
        ColumnData::Int(column) => match integer_breach(check) {
            Some(breach) => rows_of(column, |value| breach(i64::from(value))),
            None => by_text(check, data, ty),
        },
        ColumnData::Long(column) => match integer_breach(check) {
            Some(breach) => rows_of(column, breach),
            None => by_text(check, data, ty),
        },
        ColumnData::Double(column) => match check {
            ValueCheck::Minimum(bound) => rows_of(column, |value| value < double(*bound)),
            ValueCheck::Maximum(bound) => rows_of(column, |value| value > double(*bound)),
            ValueCheck::ExclusiveMinimum(bound) => rows_of(column, |value| value <= double(*bound)),
            ValueCheck::ExclusiveMaximum(bound) => rows_of(column, |value| value >= double(*bound)),
            _ => by_text(check, data, ty),
        },
        ColumnData::Boolean(_) => by_text(check, data, ty),
        // A rule of a list holds for each of its items.
        ColumnData::List(column) => {
            let mut rows: Vec<usize> = of_text(check, &column.items)
                .into_iter()
                .map(|item| column.ends.partition_point(|&end| end as usize <= item))
                .collect();
            rows.dedup();
            rows
        }
    }
}

fn of_text(check: &ValueCheck, column: &TextColumn) -> Vec<usize> {
    let text =
        |bytes: &[u8], holds: &dyn Fn(&str) -> bool| std::str::from_utf8(bytes).is_ok_and(holds);
    match check {
        ValueCheck::Pattern(pattern) => {
            rows_where(column, |bytes| !text(bytes, &|text| pattern.is_match(text)))
        }
        ValueCheck::Format(format) => {
            rows_where(column, |bytes| !text(bytes, &|text| format.matches(text)))
        }
        ValueCheck::NotBlank => rows_where(column, tarn_core::profile::is_blank),
        ValueCheck::MinLength(least) => rows_where(column, |text| {
            // A character has at most four bytes.
            (text.len() as u64) < least.saturating_mul(4) && characters(text) < *least
        }),
        ValueCheck::MaxLength(most) => rows_where(column, |text| {
            text.len() as u64 > *most && characters(text) > *most
        }),
        ValueCheck::OneOf(values) => rows_where(column, |text| {
            !values.iter().any(|value| value.as_bytes() == text)
        }),
        ValueCheck::NoneOf(values) => rows_where(column, |text| {
            values.iter().any(|value| value.as_bytes() == text)
        }),
        // Bounds are refused on text when the contract is read.
        _ => Vec::new(),
    }
}

/// Rows whose text satisfies `predicate`, which is asked once per distinct text where texts are
/// interned.
pub(crate) fn rows_where(column: &TextColumn, predicate: impl Fn(&[u8]) -> bool) -> Vec<usize> {
    if column.interned {
        let matching: Vec<bool> = (0..column.texts.len())
            .map(|text| predicate(column.texts.get(text)))
            .collect();
        if !matching.contains(&true) {
            return Vec::new();
        }
        return (0..column.len())
            .filter(|&row| column.validity.get(row) && matching[column.keys[row] as usize])
            .collect();
    }
    (0..column.len())
        .filter(|&row| column.validity.get(row) && predicate(column.texts.get(row)))
        .collect()
}

fn rows_of<T: Copy + Default>(column: &Plain<T>, predicate: impl Fn(T) -> bool) -> Vec<usize> {
    // Two passes: the first has no branch per row and is nearly always the only one.
    if !column
        .values
        .iter()
        .fold(false, |any, &value| any | predicate(value))
    {
        return Vec::new();
    }
    (0..column.values.len())
        .filter(|&row| column.validity.get(row) && predicate(column.values[row]))
        .collect()
}

fn characters(text: &[u8]) -> u64 {
    text.iter().filter(|&&byte| byte & 0xc0 != 0x80).count() as u64
}

fn double(bound: Bound) -> f64 {
    match bound {
        Bound::Double(value) => value,
        Bound::Integer(value) => value as f64,
    }
}

/// What breaks a bound of a number that is stored as an integer. Bounds are cut to what a column can
/// hold: 64 bits compare many at a time.
fn integer_breach(check: &ValueCheck) -> Option<Box<dyn Fn(i64) -> bool>> {
    if let ValueCheck::MultipleOf(unit) = check {
        let unit = i64::try_from(*unit).ok()?;
        return Some(Box::new(move |value| value % unit != 0));
    }
    let (low, high) = match *check {
        ValueCheck::Minimum(Bound::Integer(bound)) => (bound, i128::MAX),
        ValueCheck::Maximum(Bound::Integer(bound)) => (i128::MIN, bound),
        ValueCheck::ExclusiveMinimum(Bound::Integer(bound)) => (bound.saturating_add(1), i128::MAX),
        ValueCheck::ExclusiveMaximum(Bound::Integer(bound)) => (i128::MIN, bound.saturating_sub(1)),
        _ => return None,
    };
    let cut = |bound: i128| bound.clamp(i64::MIN.into(), i64::MAX.into()) as i64;
    if low > i128::from(i64::MAX) || high < i128::from(i64::MIN) {
        return Some(Box::new(|_| true));
    }
    let (low, high) = (cut(low), cut(high));
    Some(Box::new(move |value| value < low || value > high))
}

/// For rules of text on columns that are not: the value is written out first.
fn by_text(check: &ValueCheck, data: &ColumnData, ty: &ColumnType) -> Vec<usize> {
    let breaks = |text: &str| match check {
        ValueCheck::Pattern(pattern) => !pattern.is_match(text),
        ValueCheck::OneOf(values) => !values.iter().any(|value| value == text),
        ValueCheck::NoneOf(values) => values.iter().any(|value| value == text),
        _ => false,
    };
    (0..data.len())
        .filter(|&row| data.validity().get(row) && breaks(&display::value(data, row, ty)))
        .collect()
}
