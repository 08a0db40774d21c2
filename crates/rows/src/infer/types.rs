//! The type of a column from what its source stores: seen value by value, so that any number of rows
//! needs no more memory than one.

use rusqlite::types::{Value as Stored, ValueRef};
use serde_json::Value;
use tarn_contract::propose::names;
use tarn_contract::{DraftColumn, Encoding, snake_case};
use tarn_core::schema::ColumnType;
use tarn_core::text::count;

use crate::batch::TableColumn;
use crate::source::time;

/// A type is proposed if at least this many of 100 values have it; the others would be rejected rows.
pub(super) const FITTING: u64 = 95;

/// After this many texts, those that look like plain text are no longer examined.
const ENOUGH_TEXTS: u64 = 1000;

/// Seconds since 1970 of the years 2001 to 2096: what an epoch time most likely is.
const PLAUSIBLE_SECONDS: std::ops::Range<i64> = 1_000_000_000..4_000_000_000;

/// What the values of a column are; nulls are left out.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    integers: u64,
    reals: u64,
    booleans: u64,
    lists: u64,
    objects: u64,
    blobs: u64,
    texts: u64,
    least: Option<i64>,
    greatest: Option<i64>,
    /// The shape of the texts.
    dates: u64,
    timestamps: u64,
    decimals: u64,
    /// Digits after the point of the decimals.
    scale: u8,
}

/// What is to be decided where some of the values do not have the type that was chosen.
pub(super) fn misfits(rest: u64, present: u64, ty: &ColumnType) -> Option<String> {
    (rest > 0).then(|| {
        format!(
            "Decide: {} of {} values are not {ty}; their rows would be rejected.",
            count(rest),
            count(present)
        )
    })
}

/// Digits after the point of a plain decimal number.
fn scale_of(text: &[u8]) -> Option<u8> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let point = digits.iter().position(|&byte| byte == b'.');
    let (whole, part) = digits.split_at(point.unwrap_or(digits.len()));
    let part = part.strip_prefix(b".").unwrap_or(part);
    let are_digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let sound = are_digits(whole) && whole.len() <= 12 && (point.is_none() || are_digits(part));
    u8::try_from(part.len())
        .ok()
        .filter(|scale| sound && *scale <= 6)
}

impl Seen {
    fn add_integer(&mut self, value: i64) {
        self.integers += 1;
        self.least = Some(self.least.map_or(value, |least| least.min(value)));
        self.greatest = Some(self.greatest.map_or(value, |greatest| greatest.max(value)));
    }

    fn add_text(&mut self, text: &[u8]) {
        self.texts += 1;
        let special = self.dates + self.timestamps + self.decimals;
        if self.texts > ENOUGH_TEXTS && 2 * special < self.texts {
            return;
        }
        if text.iter().all(u8::is_ascii_digit) {
            // A number, even where it reads as a day without separators.
            self.decimals += u64::from(scale_of(text).is_some());
        } else if time::date(text).is_ok() {
            self.dates += 1;
        } else if time::timestamp(text).is_ok() {
            self.timestamps += 1;
        } else if let Some(scale) = scale_of(text) {
            self.decimals += 1;
            self.scale = self.scale.max(scale);
        }
    }

    /// Takes a value of a database into account.
    pub(crate) fn add_stored(&mut self, value: ValueRef<'_>) {
        match value {
            ValueRef::Null => {}
            ValueRef::Integer(value) => self.add_integer(value),
            ValueRef::Real(_) => self.reals += 1,
            ValueRef::Text(text) => self.add_text(text),
            ValueRef::Blob(_) => self.blobs += 1,
        }
    }

    /// Takes a value of a JSON object into account.
    pub(crate) fn add_json(&mut self, value: &Value) {
        match value {
            Value::Null => {}
            Value::Bool(_) => self.booleans += 1,
            Value::Number(number) => match number.as_i64() {
                Some(number) => self.add_integer(number),
                None => self.reals += 1,
            },
            Value::String(text) => self.add_text(text.as_bytes()),
            Value::Array(items) if items.iter().all(Value::is_string) => self.lists += 1,
            Value::Array(_) | Value::Object(_) => self.objects += 1,
        }
    }

    fn numbers(&self) -> u64 {
        self.integers + self.reals
    }

    fn present(&self) -> u64 {
        self.numbers() + self.booleans + self.lists + self.objects + self.blobs + self.texts
    }

    /// Whether enough of the values are of a kind to call the column so.
    fn mostly(&self, part: u64) -> bool {
        part > 0 && 100 * part >= FITTING * self.present()
    }

    fn are_in(&self, range: &std::ops::Range<i64>) -> bool {
        let inside = |value: Option<i64>| value.is_some_and(|value| range.contains(&value));
        inside(self.least) && inside(self.greatest)
    }

    /// Notes what does not fit the type that was chosen.
    fn note_rest(&self, draft: &mut DraftColumn, fitting: u64) {
        if let Some(note) = misfits(self.present() - fitting, self.present(), &draft.ty) {
            draft.comment = Some(match draft.comment.take() {
                Some(comment) => format!("{comment}. {note}"),
                None => note,
            });
        }
    }

    /// What integers of this name are, unless they are plain numbers.
    fn special_integer(&self, name: &str) -> Option<DraftColumn> {
        let lower = name.to_lowercase();
        for (ending, digits) in [("_cents", 2), ("_micros", 6)] {
            if let Some(short) = lower.strip_suffix(ending) {
                let ty = ColumnType::Decimal {
                    precision: 18,
                    scale: digits,
                };
                let mut draft = DraftColumn::new(name, ty, Encoding::MinorUnits(digits));
                draft.name = name.get(..short.len()).unwrap_or(name).to_owned();
                return Some(draft);
            }
        }
        let sounds_like_time = ["_ts", "time", "_at", "date", "created", "updated"]
            .iter()
            .any(|word| lower.contains(word));
        let millis = PLAUSIBLE_SECONDS.start * 1000..PLAUSIBLE_SECONDS.end * 1000;
        let micros = millis.start * 1000..millis.end * 1000;
        for (range, encoding) in [
            (micros, Encoding::EpochMicros),
            (millis, Encoding::EpochMillis),
            (PLAUSIBLE_SECONDS, Encoding::EpochSeconds),
        ] {
            if sounds_like_time && self.are_in(&range) {
                return Some(DraftColumn::new(name, ColumnType::Timestamp, encoding));
            }
        }
        None
    }

    fn text(&self, name: &str) -> DraftColumn {
        let times = self.dates + self.timestamps;
        let (ty, fitting) = if self.mostly(self.dates) {
            (ColumnType::Date, self.dates)
        } else if self.mostly(times) {
            (ColumnType::Timestamp, times)
        } else if sounds_like_money(name) && self.mostly(self.decimals) {
            let scale = self.scale.max(2);
            let precision = 18;
            (ColumnType::Decimal { precision, scale }, self.decimals)
        } else {
            (ColumnType::String, self.texts)
        };
        let mut draft = DraftColumn::new(name, ty, Encoding::Natural);
        self.note_rest(&mut draft, fitting);
        draft
    }

    /// The column of a database that these values make; None for one of blobs, which no table holds.
    pub(super) fn stored(&self, declared: &TableColumn) -> Option<DraftColumn> {
        let present = self.present();
        if declared.declared.eq_ignore_ascii_case("BLOB") || 2 * self.blobs > present {
            return None;
        }
        let name = declared.name.as_str();
        let upper = declared.declared.to_ascii_uppercase();
        let number = self.mostly(self.numbers());
        let whole = number && self.reals == 0;
        let text = self.mostly(self.texts);
        let numbers = |ty, encoding| {
            let mut draft = DraftColumn::new(name, ty, encoding);
            self.note_rest(&mut draft, self.numbers());
            draft
        };
        let zero_one = whole && self.are_in(&(0..2));
        let mut draft = if let Some((precision, scale)) = declared_decimal(&upper) {
            let ty = ColumnType::Decimal { precision, scale };
            if text {
                DraftColumn::new(name, ty, Encoding::Natural)
            } else {
                numbers(ty, Encoding::Real)
            }
        } else if number && !whole && sounds_like_money(name) {
            let mut draft = DraftColumn::new(name, MONEY, Encoding::Real);
            draft.comment = Some(
                "Decide: money stored as a floating point number, taken to two decimals".to_owned(),
            );
            self.note_rest(&mut draft, self.numbers());
            draft
        } else if number && !whole || present == 0 && upper.contains("REAL") {
            numbers(ColumnType::Double, Encoding::Natural)
        } else if zero_one && (upper.contains("BOOL") || names::is_flag(&snake_case(name))) {
            numbers(ColumnType::Boolean, Encoding::ZeroOne)
        } else if whole && let Some(mut draft) = self.special_integer(name) {
            self.note_rest(&mut draft, self.integers);
            draft
        } else if whole || present == 0 && upper.contains("INT") {
            let mut draft = DraftColumn::new(name, ColumnType::Long, Encoding::Natural);
            if sounds_like_money(name) {
                draft.comment = Some(
                    "Decide: if this is money in cents, use decimal(18,2) with encoding minorUnits:2"
                        .to_owned(),
                );
            } else if zero_one && declared.key == 0 && self.least != self.greatest {
                draft.comment = Some(
                    "Decide: if 0 and 1 mean no and yes, use boolean with encoding zeroOne"
                        .to_owned(),
                );
            }
            self.note_rest(&mut draft, self.integers);
            draft
        } else {
            self.text(name)
        };
        draft.primary_key = declared.key > 0;
        draft.required = draft.primary_key || declared.required;
        Some(draft)
    }

    /// The column of JSON objects that these values make; None where no type holds them.
    pub(super) fn json(&self, name: &str) -> Option<DraftColumn> {
        let of = |ty, fitting| {
            let mut draft = DraftColumn::new(name, ty, Encoding::Natural);
            self.note_rest(&mut draft, fitting);
            draft
        };
        if self.mostly(self.booleans) {
            return Some(of(ColumnType::Boolean, self.booleans));
        }
        if self.mostly(self.integers) && self.reals == 0 {
            if let Some(mut draft) = self.special_integer(name) {
                self.note_rest(&mut draft, self.integers);
                return Some(draft);
            }
            return Some(of(ColumnType::Long, self.integers));
        }
        if self.mostly(self.numbers()) {
            let mut draft = DraftColumn::new(name, ColumnType::Double, Encoding::Natural);
            if sounds_like_money(name) || name.to_lowercase().contains("bid") {
                draft.ty = ColumnType::Decimal {
                    precision: 18,
                    scale: 6,
                };
                draft.comment = Some("Decide: taken for money with up to six decimals".to_owned());
            }
            self.note_rest(&mut draft, self.numbers());
            return Some(draft);
        }
        if self.mostly(self.texts) {
            return Some(self.text(name));
        }
        if self.mostly(self.lists) {
            return Some(of(ColumnType::StringList, self.lists));
        }
        // A text column takes whole numbers by their digits.
        let texts = self.texts + self.integers;
        if self.present() > 0 && !self.mostly(texts) {
            return None;
        }
        let mut draft = DraftColumn::new(name, ColumnType::String, Encoding::Natural);
        if self.present() > 0 {
            draft.comment = Some("Decide: the values are texts and whole numbers".to_owned());
            self.note_rest(&mut draft, texts);
        }
        Some(draft)
    }
}

/// The column of a database's table by some of its values; None for one of blobs.
pub(crate) fn stored_column(declared: &TableColumn, values: &[&Stored]) -> Option<DraftColumn> {
    let mut seen = Seen::default();
    for value in values {
        seen.add_stored(ValueRef::from(*value));
    }
    seen.stored(declared)
}

/// The column of JSON objects by some of its values; None where no type holds them.
pub(crate) fn json_column(name: &str, values: &[&Value]) -> Option<DraftColumn> {
    let mut seen = Seen::default();
    for value in values {
        seen.add_json(value);
    }
    seen.json(name)
}

const MONEY: ColumnType = ColumnType::Decimal {
    precision: 18,
    scale: 2,
};

fn sounds_like_money(name: &str) -> bool {
    let name = name.to_lowercase();
    [
        "price", "amount", "total", "cost", "revenue", "tax", "discount", "fee", "balance",
    ]
    .iter()
    .any(|word| name.contains(word))
}

/// The number of digits and decimals of a declaration such as NUMERIC(10,2).
fn declared_decimal(declared: &str) -> Option<(u8, u8)> {
    let (name, rest) = declared.split_once('(')?;
    if !matches!(name.trim(), "NUMERIC" | "DECIMAL" | "DEC" | "MONEY") {
        return None;
    }
    let (precision, scale) = rest.trim_end().strip_suffix(')')?.split_once(',')?;
    let (precision, scale) = (precision.trim().parse().ok()?, scale.trim().parse().ok()?);
    ((1..=18).contains(&precision) && scale <= precision).then_some((precision, scale))
}

/// The characters of a declaration such as NVARCHAR(160).
pub(super) fn declared_length(declared: &str) -> Option<u64> {
    let upper = declared.to_ascii_uppercase();
    let (name, rest) = upper.split_once('(')?;
    if !name.contains("CHAR") {
        return None;
    }
    let length = rest.trim_end().strip_suffix(')')?.trim().parse().ok()?;
    (length > 0).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn table_column(name: &str, declared: &str) -> TableColumn {
        TableColumn {
            name: name.to_owned(),
            declared: declared.to_owned(),
            key: 0,
            required: false,
            computed: false,
        }
    }

    #[test]
    fn the_type_of_a_database_column_is_known_from_its_values() {
        use Encoding::{EpochSeconds, MinorUnits, Natural, Real, ZeroOne};
        let text = |text: &str| Stored::Text(text.to_owned());
        let int = Stored::Integer;
        let money = |precision, scale| ColumnType::Decimal { precision, scale };
        type Found = Option<(ColumnType, Encoding)>;
        #[rustfmt::skip]
        let cases: Vec<(&str, &str, Vec<Stored>, Found)> = vec![
            ("n", "INTEGER", vec![int(1), int(-2)], Some((ColumnType::Long, Natural))),
            ("n", "INTEGER", vec![], Some((ColumnType::Long, Natural))),
            ("n", "", vec![Stored::Real(1.5)], Some((ColumnType::Double, Natural))),
            ("amount", "REAL", vec![Stored::Real(1.5)], Some((money(18, 2), Real))),
            ("amount", "TEXT", vec![text("1.5"), text("-2.125")], Some((money(18, 3), Natural))),
            ("zip", "TEXT", vec![text("10115"), text("20095")], Some((ColumnType::String, Natural))),
            ("price_cents", "INTEGER", vec![int(5)], Some((money(18, 2), MinorUnits(2)))),
            ("price", "NUMERIC(10,2)", vec![Stored::Real(0.99)], Some((money(10, 2), Real))),
            ("active", "INTEGER", vec![int(0), int(1)], Some((ColumnType::Boolean, ZeroOne))),
            ("active", "INTEGER", vec![int(0), int(2)], Some((ColumnType::Long, Natural))),
            ("day", "TEXT", vec![text("2026-01-31")], Some((ColumnType::Date, Natural))),
            ("at", "TEXT", vec![text("2026-01-31 10:00:00"), text("2026-02-01")], Some((ColumnType::Timestamp, Natural))),
            ("paid_at", "INTEGER", vec![int(1_700_000_000)], Some((ColumnType::Timestamp, EpochSeconds))),
            ("at", "TEXT", vec![text("2026-01-31"), text("soon")], Some((ColumnType::String, Natural))),
            ("photo", "BLOB", vec![], None),
            ("photo", "", vec![Stored::Blob(vec![1])], None),
        ];
        for (name, declared, values, expected) in cases {
            let values: Vec<&Stored> = values.iter().collect();
            let draft = stored_column(&table_column(name, declared), &values);
            let found = draft.map(|draft| (draft.ty, draft.encoding));
            assert_eq!(found, expected, "{name} {declared} {values:?}");
        }
    }

    #[test]
    fn a_few_values_that_do_not_fit_are_named_and_change_no_type() {
        let mut values = vec![Stored::Text("12.50".to_owned()); 99];
        values.push(Stored::Text("n/a".to_owned()));
        let values: Vec<&Stored> = values.iter().collect();
        let draft = stored_column(&table_column("amount", "TEXT"), &values);
        let comment = draft.and_then(|draft| draft.comment);
        assert_eq!(
            comment.as_deref(),
            Some("Decide: 1 of 100 values are not decimal(18,2); their rows would be rejected.")
        );
    }

    #[test]
    fn the_type_of_a_json_key_is_known_from_its_values() {
        for (name, values, expected) in [
            ("a", json!([true, false]), ColumnType::Boolean),
            ("a", json!([1, 2]), ColumnType::Long),
            ("a", json!([1, 2.5]), ColumnType::Double),
            (
                "event_ts",
                json!([1_767_571_200_000_i64]),
                ColumnType::Timestamp,
            ),
            ("a", json!([["x"], []]), ColumnType::StringList),
            ("a", json!(["x", 1]), ColumnType::String),
        ] {
            let values: Vec<&Value> = values.as_array().into_iter().flatten().collect();
            let ty = json_column(name, &values).map(|column| column.ty);
            assert_eq!(ty, Some(expected), "{values:?}");
        }
        // No type holds objects, or values of every kind.
        for values in [
            json!([{"b": 1}]),
            json!(["x", true, 1.5]),
            json!([[1], [2]]),
        ] {
            let values: Vec<&Value> = values.as_array().into_iter().flatten().collect();
            assert_eq!(json_column("a", &values), None, "{values:?}");
        }
    }

    #[test]
    fn a_declared_length_is_of_texts_alone() {
        for (declared, expected) in [
            ("NVARCHAR(160)", Some(160)),
            ("varchar( 20 )", Some(20)),
            ("CHAR(0)", None),
            ("NUMERIC(10)", None),
            ("TEXT", None),
        ] {
            assert_eq!(declared_length(declared), expected, "{declared}");
        }
    }
}
