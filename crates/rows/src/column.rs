//! Columns while they are being filled: what the readers write into, one value per row.
//!
//! Repeated texts are interned as they arrive, so that later steps (checks, Parquet pages) look at
//! each distinct text once. A text column that turns out to hold mostly distinct values stops
//! interning, because then the table costs more than it saves.

mod text;
mod validity;

use std::ops::Range;

pub use text::{ShortText, TextColumn, Texts};
pub use validity::Validity;

/// A column of numbers or booleans.
#[derive(Debug, Clone)]
pub struct Plain<T> {
    /// One value per row, the default for a null.
    pub values: Vec<T>,
    /// Which rows have a value.
    pub validity: Validity,
}

/// Some rows of a batch, in order: as runs of neighbours, since most are.
#[derive(Debug, Clone)]
pub enum Rows {
    /// One run.
    Run(Range<usize>),
    /// Several, and the number of their rows.
    Runs(Vec<Range<usize>>, usize),
}

impl Rows {
    /// The rows with these numbers, which are in order.
    pub fn new(rows: &[u32]) -> Self {
        let runs = rows
            .chunk_by(|before, after| before + 1 == *after)
            .filter_map(|run| Some(*run.first()? as usize..*run.last()? as usize + 1));
        Rows::Runs(runs.collect(), rows.len())
    }

    /// One row.
    pub fn one(row: usize) -> Self {
        Rows::Run(row..row + 1)
    }

    /// Number of rows.
    pub fn count(&self) -> usize {
        match self {
            Rows::Run(run) => run.len(),
            Rows::Runs(_, count) => *count,
        }
    }

    fn runs(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        match self {
            Rows::Run(run) => std::slice::from_ref(run),
            Rows::Runs(runs, _) => runs,
        }
        .iter()
        .cloned()
    }

    /// Their numbers.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.runs().flatten()
    }
}

impl<T: Copy + Default> Plain<T> {
    /// Appends some rows of another column.
    fn append(&mut self, other: &Plain<T>, rows: &Rows) {
        self.values.reserve(rows.count());
        for run in rows.runs() {
            self.values.extend_from_slice(&other.values[run.clone()]);
            self.validity.extend(&other.validity, run);
        }
    }

    /// An empty column.
    pub fn new() -> Self {
        Plain {
            values: Vec::new(),
            validity: Validity::default(),
        }
    }

    /// A column of these values, one per row.
    pub fn of(values: Vec<T>) -> Self {
        Plain {
            validity: Validity::all_valid(values.len()),
            values,
        }
    }

    /// Appends a value.
    #[inline]
    pub fn push(&mut self, value: T) {
        self.values.push(value);
        self.validity.push(true);
    }

    /// Appends a row without a value.
    #[inline]
    pub fn push_null(&mut self) {
        self.values.push(T::default());
        self.validity.push(false);
    }

    /// Appends rows without a value up to this many rows.
    #[inline]
    pub(crate) fn pad(&mut self, rows: usize) {
        if let Some(missing @ 1..) = rows.checked_sub(self.values.len()) {
            self.values.resize(rows, T::default());
            self.validity.extend_null(missing);
        }
    }

    /// The value of a row, None for a null.
    #[inline]
    pub fn get(&self, row: usize) -> Option<T> {
        self.validity.get(row).then(|| self.values[row])
    }

    /// Cuts to `len` rows.
    pub fn truncate(&mut self, len: usize) {
        self.values.truncate(len);
        self.validity.truncate(len);
    }
}

impl<T: Copy + Default> Default for Plain<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// A column of lists of texts: row `i` holds items `ends[i - 1]..ends[i]`.
#[derive(Debug, Clone)]
pub struct ListColumn {
    /// The items of all rows.
    pub items: TextColumn,
    /// Where each row ends.
    pub ends: Vec<i64>,
    /// Which rows have a list; an empty list is not a null.
    pub validity: Validity,
}

impl ListColumn {
    /// An empty column.
    pub fn new() -> Self {
        ListColumn {
            items: TextColumn::new(true),
            ends: Vec::new(),
            validity: Validity::default(),
        }
    }

    /// A column of the same list in every row.
    pub(crate) fn constant(list: &[&[u8]], rows: usize) -> Self {
        let mut column = ListColumn::new();
        list.iter().for_each(|item| column.push_item(item));
        if let (1.., Some(more)) = (list.len(), rows.checked_sub(1)) {
            column.items.keys = column.items.keys.repeat(1 + more);
            column.items.validity = Validity::all_valid(column.items.keys.len());
        }
        column.ends = (1..=rows).map(|row| (row * list.len()) as i64).collect();
        column.validity = Validity::all_valid(rows);
        column
    }

    /// Appends rows without a list up to this many rows.
    pub(crate) fn pad(&mut self, rows: usize) {
        if let Some(missing @ 1..) = rows.checked_sub(self.ends.len()) {
            self.ends.resize(rows, self.items.len() as i64);
            self.validity.extend_null(missing);
        }
    }

    /// Appends an item to the row being filled.
    #[inline]
    pub fn push_item(&mut self, text: &[u8]) {
        self.items.push(text);
    }

    /// Ends the row being filled.
    #[inline]
    pub fn finish_row(&mut self) {
        self.ends.push(self.items.len() as i64);
        self.validity.push(true);
    }

    /// Appends a row without a list.
    #[inline]
    pub fn push_null(&mut self) {
        self.ends.push(self.items.len() as i64);
        self.validity.push(false);
    }

    /// Appends some rows of another column.
    fn append(&mut self, other: &ListColumn, rows: &Rows) {
        let place = |row: usize| match row {
            0 => 0,
            _ => other.ends[row - 1] as usize,
        };
        self.ends.reserve(rows.count());
        for run in rows.runs() {
            let items = place(run.start)..place(run.end);
            let shift = self.items.len() as i64 - items.start as i64;
            self.items.append(&other.items, &Rows::Run(items));
            let ends = &other.ends[run.clone()];
            self.ends.extend(ends.iter().map(|end| end + shift));
            self.validity.extend(&other.validity, run);
        }
    }

    /// Cuts to `len` finished rows and takes back the items of an unfinished one.
    pub fn truncate(&mut self, len: usize) {
        self.ends.truncate(len);
        self.validity.truncate(len);
        self.items
            .truncate(self.ends.last().copied().unwrap_or(0) as usize);
    }
}

impl Default for ListColumn {
    fn default() -> Self {
        Self::new()
    }
}

/// A column of any type.
#[derive(Debug, Clone)]
pub enum ColumnData {
    /// `String`
    Text(TextColumn),
    /// `Int`, and `Date` as days since 1970-01-01
    Int(Plain<i32>),
    /// `Long`, `Timestamp` as microseconds since 1970-01-01T00:00:00Z, and `Decimal` scaled by its scale
    Long(Plain<i64>),
    /// `Double`
    Double(Plain<f64>),
    /// `Boolean`
    Boolean(Plain<bool>),
    /// `StringList`
    List(ListColumn),
}

impl ColumnData {
    /// An empty column for a type.
    pub fn new(ty: &tarn_core::schema::ColumnType) -> Self {
        use tarn_core::schema::ColumnType;
        match ty {
            ColumnType::String => ColumnData::Text(TextColumn::new(true)),
            ColumnType::Int | ColumnType::Date => ColumnData::Int(Plain::new()),
            ColumnType::Long | ColumnType::Timestamp | ColumnType::Decimal { .. } => {
                ColumnData::Long(Plain::new())
            }
            ColumnType::Double => ColumnData::Double(Plain::new()),
            ColumnType::Boolean => ColumnData::Boolean(Plain::new()),
            ColumnType::StringList => ColumnData::List(ListColumn::new()),
        }
    }

    /// A column for a type, without a value in any of this many rows.
    pub fn nulls(ty: &tarn_core::schema::ColumnType, rows: usize) -> Self {
        let mut column = ColumnData::new(ty);
        match &mut column {
            ColumnData::Text(column) => column.pad(rows),
            ColumnData::Int(column) => column.pad(rows),
            ColumnData::Long(column) => column.pad(rows),
            ColumnData::Double(column) => column.pad(rows),
            ColumnData::Boolean(column) => column.pad(rows),
            ColumnData::List(column) => column.pad(rows),
        }
        column
    }

    /// Rows.
    pub fn len(&self) -> usize {
        self.validity().len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Which rows have a value.
    pub fn validity(&self) -> &Validity {
        match self {
            ColumnData::Text(column) => &column.validity,
            ColumnData::Int(column) => &column.validity,
            ColumnData::Long(column) => &column.validity,
            ColumnData::Double(column) => &column.validity,
            ColumnData::Boolean(column) => &column.validity,
            ColumnData::List(column) => &column.validity,
        }
    }

    /// Appends a row without a value. Most such are numbers that do not apply, as the order of an event
    /// without one: those take no call.
    #[inline]
    pub fn push_null(&mut self) {
        match self {
            ColumnData::Long(column) => column.push_null(),
            column => column.push_other_null(),
        }
    }

    #[inline(never)]
    fn push_other_null(&mut self) {
        match self {
            ColumnData::Text(column) => column.push_null(),
            ColumnData::Int(column) => column.push_null(),
            ColumnData::Long(column) => column.push_null(),
            ColumnData::Double(column) => column.push_null(),
            ColumnData::Boolean(column) => column.push_null(),
            ColumnData::List(column) => column.push_null(),
        }
    }

    /// An empty column of the same type.
    pub fn empty_like(&self) -> Self {
        match self {
            ColumnData::Text(column) => ColumnData::Text(TextColumn::new(column.interned)),
            ColumnData::Int(_) => ColumnData::Int(Plain::new()),
            ColumnData::Long(_) => ColumnData::Long(Plain::new()),
            ColumnData::Double(_) => ColumnData::Double(Plain::new()),
            ColumnData::Boolean(_) => ColumnData::Boolean(Plain::new()),
            ColumnData::List(_) => ColumnData::List(ListColumn::new()),
        }
    }

    /// Appends some rows of another column of the same type; a column of another type is ignored in
    /// release builds, since the caller made both from one contract.
    pub fn append(&mut self, other: &ColumnData, rows: &Rows) {
        match (self, other) {
            (ColumnData::Text(to), ColumnData::Text(from)) => to.append(from, rows),
            (ColumnData::Int(to), ColumnData::Int(from)) => to.append(from, rows),
            (ColumnData::Long(to), ColumnData::Long(from)) => to.append(from, rows),
            (ColumnData::Double(to), ColumnData::Double(from)) => to.append(from, rows),
            (ColumnData::Boolean(to), ColumnData::Boolean(from)) => to.append(from, rows),
            (ColumnData::List(to), ColumnData::List(from)) => to.append(from, rows),
            _ => debug_assert!(false, "columns of different types"),
        }
    }

    /// Makes room for this many more rows.
    pub fn reserve(&mut self, rows: usize) {
        match self {
            ColumnData::Text(column) => column.reserve(rows),
            ColumnData::Int(column) => column.values.reserve(rows),
            ColumnData::Long(column) => column.values.reserve(rows),
            ColumnData::Double(column) => column.values.reserve(rows),
            ColumnData::Boolean(column) => column.values.reserve(rows),
            ColumnData::List(column) => column.ends.reserve(rows),
        }
    }

    /// Makes room for this many more bytes of texts, where each row has its own.
    pub(crate) fn reserve_text_bytes(&mut self, bytes: usize) {
        match self {
            ColumnData::Text(column) if !column.interned => column.texts.bytes.reserve(bytes),
            _ => {}
        }
    }

    /// Bytes of the texts.
    pub(crate) fn text_bytes(&self) -> usize {
        match self {
            ColumnData::Text(column) => column.texts.bytes.len(),
            _ => 0,
        }
    }

    /// Bytes held, roughly: what decides when a buffer is written.
    pub fn memory(&self) -> usize {
        match self {
            ColumnData::Text(column) => {
                column.texts.bytes.len() + 8 * column.texts.len() + 4 * column.keys.len()
            }
            ColumnData::Int(column) => 4 * column.values.len(),
            ColumnData::Long(column) => 8 * column.values.len(),
            ColumnData::Double(column) => 8 * column.values.len(),
            ColumnData::Boolean(column) => column.values.len(),
            ColumnData::List(column) => {
                8 * column.ends.len()
                    + column.items.texts.bytes.len()
                    + 8 * column.items.texts.len()
            }
        }
    }

    /// Cuts to `len` rows.
    pub fn truncate(&mut self, len: usize) {
        match self {
            ColumnData::Text(column) => column.truncate(len),
            ColumnData::Int(column) => column.truncate(len),
            ColumnData::Long(column) => column.truncate(len),
            ColumnData::Double(column) => column.truncate(len),
            ColumnData::Boolean(column) => column.truncate(len),
            ColumnData::List(column) => column.truncate(len),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        // Each case has hundreds of rows.
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn rows_of_a_column_are_appended_as_they_are(
            rows in prop::collection::vec(prop::option::of("[a-c]{0,2}|[a-z]{8}|[a-b]{17}"), 1..200),
            picked in prop_oneof![
                prop::collection::btree_set(0usize..200, 0..200),
                (0usize..200, 0usize..200).prop_map(|(from, rows)| (from..from + rows).collect()),
            ],
            intern in any::<(bool, bool)>(),
        ) {
            let (mut from, mut to) = (TextColumn::new(intern.0), TextColumn::new(intern.1));
            let mut numbers = (Plain::new(), Plain::new());
            let mut expected = vec![Some("before")];
            to.push(b"before");
            numbers.1.push(6);
            for row in &rows {
                match row {
                    Some(text) => from.push(text.as_bytes()),
                    None => from.push_null(),
                }
                match row {
                    Some(text) => numbers.0.push(text.len()),
                    None => numbers.0.push_null(),
                }
            }
            let picked: Vec<u32> = picked.into_iter().filter(|&row| row < rows.len()).map(|row| row as u32).collect();
            expected.extend(picked.iter().map(|&row| rows[row as usize].as_deref()));
            to.append(&from, &Rows::new(&picked));
            numbers.1.append(&numbers.0, &Rows::new(&picked));
            prop_assert_eq!(to.len(), expected.len());
            for (row, expected) in expected.into_iter().enumerate() {
                prop_assert_eq!(to.get(row), expected.map(str::as_bytes));
                prop_assert_eq!(numbers.1.get(row), expected.map(str::len));
            }
        }

        #[test]
        fn a_text_column_gives_back_what_it_was_given(
            rows in prop::collection::vec(prop::option::of("[a-d]{0,2}|[a-b\u{0}]{0,18}"), 0..300),
            repeat in 1usize..20, intern: bool,
        ) {
            let mut column = TextColumn::new(intern);
            let rows: Vec<_> = rows.iter().cycle().take(rows.len() * repeat).enumerate()
                .map(|(row, text)| text.as_ref().map(|text| if repeat > 10 { format!("{text}{row}") } else { text.clone() }))
                .collect();
            for (index, row) in rows.iter().enumerate() {
                match row.as_ref().map(|text| (text, ShortText::of(text.as_bytes()))) {
                    Some((text, Some(short))) if index % 3 > 0 => column.push_short(short, text.as_bytes()),
                    Some((text, _)) => column.push(text.as_bytes()),
                    None => column.push_null(),
                }
            }
            for (index, row) in rows.iter().enumerate() {
                prop_assert_eq!(column.get(index), row.as_ref().map(|text| text.as_bytes()));
            }
        }

        #[test]
        fn a_changed_column_has_each_row_changed(
            rows in prop::collection::vec(prop::option::weighted(0.8, "[a-f]{0,2}|[a-z]{8}"), 0..200),
            intern: bool, cut in 0usize..250,
        ) {
            let mut column = TextColumn::new(intern);
            for row in &rows {
                match row {
                    Some(text) => column.push(text.as_bytes()),
                    None => column.push_null(),
                }
            }
            column.truncate(cut);
            // Different texts become one.
            let change = |text: &[u8], kept: &mut Vec<u8>| kept.extend(text.iter().take(1).chain(b"!"));
            let changed = column.map(8, change);
            prop_assert_eq!(changed.len(), rows.len().min(cut));
            for (row, text) in rows.iter().take(cut).enumerate() {
                let expected = text.as_ref().map(|text| format!("{}!", text.get(..1).unwrap_or_default()));
                prop_assert_eq!(changed.get(row), expected.as_ref().map(|text| text.as_bytes()));
            }
        }

        #[test]
        fn rows_without_a_value_are_made_up_for(before in 0usize..20, missing in 0usize..20, intern: bool) {
            let mut columns = [
                ColumnData::Text(TextColumn::new(intern)),
                ColumnData::Long(Plain::new()),
                ColumnData::List(ListColumn::new()),
            ];
            let rows = before + missing;
            for column in &mut columns {
                match column {
                    ColumnData::Text(column) => {
                        (0..before).for_each(|_| column.push(b"before"));
                        column.pad(rows);
                        column.push(b"after");
                    }
                    ColumnData::Long(column) => {
                        (0..before).for_each(|_| column.push(2));
                        column.pad(rows);
                        column.push(1);
                    }
                    ColumnData::List(column) => {
                        (0..before).for_each(|_| column.finish_row());
                        column.pad(rows);
                        column.push_item(b"after");
                        column.finish_row();
                    }
                    _ => {}
                }
                prop_assert_eq!(column.len(), rows + 1);
                prop_assert_eq!(column.validity().nulls(), missing);
                for row in 0..=rows {
                    let valid = row < before || row == rows;
                    prop_assert_eq!(column.validity().get(row), valid, "{}", row);
                }
            }
            let [ColumnData::Text(texts), ColumnData::Long(numbers), ColumnData::List(lists)] = &columns else {
                panic!("other columns");
            };
            prop_assert_eq!((texts.get(rows), numbers.get(rows)), (Some(b"after".as_slice()), Some(1)));
            prop_assert_eq!(lists.ends.iter().copied().max(), Some(1));
            if before > 0 {
                prop_assert_eq!((texts.get(0), numbers.get(0)), (Some(b"before".as_slice()), Some(2)));
            }
        }
    }
}
