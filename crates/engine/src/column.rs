//! Columns while they are being filled: what the readers write into, one value per row.
//!
//! Repeated texts are interned as they arrive, so that later steps (checks, Parquet pages) look at
//! each distinct text once. A text column that turns out to hold mostly distinct values stops
//! interning, because then the table costs more than it saves.

mod text;

use std::ops::Range;

pub use text::{TextColumn, Texts};

/// Which rows have a value. Costs nothing while every row has one.
#[derive(Debug, Clone, Default)]
pub struct Validity {
    bits: Vec<u8>,
    len: usize,
    nulls: usize,
}

impl Validity {
    /// Rows that all have a value.
    pub fn all_valid(len: usize) -> Self {
        Validity {
            len,
            ..Validity::default()
        }
    }

    /// Appends a row.
    #[inline]
    pub fn push(&mut self, valid: bool) {
        if !valid && self.nulls == 0 {
            // The first null: every row so far had a value.
            self.bits = vec![0xff; self.len.div_ceil(8)];
            if let (Some(last), used @ 1..) = (self.bits.last_mut(), self.len % 8) {
                *last &= (1 << used) - 1;
            }
        }
        if !valid {
            self.nulls += 1;
        }
        if self.nulls > 0 {
            if self.len.is_multiple_of(8) {
                self.bits.push(0);
            }
            if valid && let Some(last) = self.bits.last_mut() {
                *last |= 1 << (self.len % 8);
            }
        }
        self.len += 1;
    }

    /// Whether row `index` has a value.
    #[inline]
    pub fn get(&self, index: usize) -> bool {
        self.nulls == 0 || self.bits[index / 8] >> (index % 8) & 1 == 1
    }

    /// Rows without a value.
    pub fn nulls(&self) -> usize {
        self.nulls
    }

    /// Rows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bits, least significant first; None where every row has a value.
    pub fn into_bits(self) -> Option<(Vec<u8>, usize)> {
        (self.nulls > 0).then_some((self.bits, self.len))
    }

    /// Appends some rows of another.
    fn extend(&mut self, other: &Validity, rows: Range<usize>) {
        if other.nulls == 0 {
            self.extend_valid(rows.len());
        } else {
            rows.for_each(|row| self.push(other.get(row)));
        }
    }

    /// Appends rows with a value.
    fn extend_valid(&mut self, rows: usize) {
        if self.nulls == 0 {
            self.len += rows;
        } else {
            (0..rows).for_each(|_| self.push(true));
        }
    }

    /// Appends rows without a value.
    fn extend_null(&mut self, rows: usize) {
        if rows > 0 {
            self.push(false);
            self.nulls += rows - 1;
            self.len += rows - 1;
            self.bits.resize(self.len.div_ceil(8), 0);
        }
    }

    /// Cuts to `len` rows.
    pub fn truncate(&mut self, len: usize) {
        if len >= self.len {
            return;
        }
        if self.nulls > 0 {
            self.nulls -= (len..self.len).filter(|&index| !self.get(index)).count();
            self.bits.truncate(len.div_ceil(8));
            if let (Some(last), used @ 1..) = (self.bits.last_mut(), len % 8) {
                *last &= (1 << used) - 1;
            }
            if self.nulls == 0 {
                self.bits.clear();
            }
        }
        self.len = len;
    }
}

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

    /// Appends rows without a value up to so many rows.
    #[inline]
    pub fn pad(&mut self, rows: usize) {
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
    pub fn constant(list: &[&[u8]], rows: usize) -> Self {
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

    /// A column without a list in any row.
    pub fn nulls(rows: usize) -> Self {
        let mut column = ListColumn::new();
        column.ends = vec![0; rows];
        column.validity.extend_null(rows);
        column
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

    /// Appends a row without a value.
    #[inline]
    pub fn push_null(&mut self) {
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

    /// Makes room for so many more rows.
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

    /// Makes room for so many more bytes of texts, where each row has its own.
    pub fn reserve_text_bytes(&mut self, bytes: usize) {
        match self {
            ColumnData::Text(column) if !column.interned => column.texts.bytes.reserve(bytes),
            _ => {}
        }
    }

    /// Bytes of the texts.
    pub fn text_bytes(&self) -> usize {
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
        #[test]
        fn validity_remembers_every_row(rows in prop::collection::vec(any::<bool>(), 0..200), cut in 0usize..200) {
            let mut validity = Validity::default();
            for &row in &rows {
                validity.push(row);
            }
            validity.truncate(cut);
            let expected = &rows[..cut.min(rows.len())];
            let seen: Vec<bool> = (0..validity.len()).map(|row| validity.get(row)).collect();
            prop_assert_eq!(&seen, expected);
            prop_assert_eq!(validity.nulls(), expected.iter().filter(|valid| !**valid).count());
            validity.push(false);
            validity.push(true);
            prop_assert!(!validity.get(expected.len()) && validity.get(expected.len() + 1));
        }

        #[test]
        fn rows_of_a_column_are_appended_as_they_are(
            rows in prop::collection::vec(prop::option::of("[a-c]{0,2}|[a-z]{8}|[a-b]{17}"), 1..200),
            picked in prop::collection::btree_set(0usize..200, 0..200),
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
            rows in prop::collection::vec(prop::option::of("[a-d]{0,2}"), 0..300), repeat in 1usize..20,
        ) {
            let mut column = TextColumn::new(true);
            let rows: Vec<_> = rows.iter().cycle().take(rows.len() * repeat).enumerate()
                .map(|(row, text)| text.as_ref().map(|text| if repeat > 10 { format!("{text}{row}") } else { text.clone() }))
                .collect();
            for row in &rows {
                match row {
                    Some(text) => column.push(text.as_bytes()),
                    None => column.push_null(),
                }
            }
            for (index, row) in rows.iter().enumerate() {
                prop_assert_eq!(column.get(index), row.as_ref().map(|text| text.as_bytes()));
            }
        }
    }
}
