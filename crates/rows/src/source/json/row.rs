//! One JSON object into one row, by a contract's columns.

use tarn_contract::{Column, Encoding};
use tarn_core::schema::ColumnType;
use tarn_core::{Error, ErrorKind, Result};

use crate::batch::RowPlace;
use crate::column::ColumnData;
use crate::source::json::cursor::Cursor;
use crate::source::json::keys::{KeyTable, Member};
use crate::source::json::paths::Paths;
use crate::source::json::target::{RowFault, RowResult, Target, read_again, read_value};
use crate::source::json::unknown::UnknownKey;
use crate::source::value::Decoder;
use tarn_core::calendar::{MICROS, MICROS_PER_DAY};

/// The source name of a column that holds when the event reached the stream.
pub(crate) const ARRIVAL_TIME: &str = "$arrivalTime";

/// The source name of a column that holds how many whole seconds after its event time an event arrived.
pub(crate) const LATENESS_SECONDS: &str = "$latenessSeconds";

/// Fills columns from objects: each column from the key that is its source name.
pub(crate) struct RowReader {
    keys: KeyTable,
    /// Per known key: what is filled from it.
    fields: Vec<Field>,
    /// Columns that are filled from within values; their keys follow those of `fields`.
    paths: Paths,
    arrival: Option<usize>,
    lateness: Option<usize>,
    event_time: Option<usize>,
    /// Per key that no column is filled from.
    unknown: Vec<UnknownKey>,
    /// Whether an object had a key beyond those that are remembered.
    unnamed: bool,
    /// Whether an object with a key that no column is filled from is not a row.
    refuse_unknown: bool,
    watch_unknown: bool,
    /// Whether the first value of an unknown key was kept and its place is not known yet.
    unplaced: bool,
    /// Whether some object had every known key.
    complete: bool,
    /// Per known key: whether an object without some other one had it.
    present: Vec<bool>,
    /// Known keys that the last incomplete object did not have.
    missing: Vec<usize>,
    /// Keys of the last object that no column is filled from.
    noted: Vec<usize>,
    scratch: Vec<u8>,
}

/// What is filled from a known key.
struct Field {
    target: Target,
    /// Further columns with the same source name.
    others: Vec<Target>,
}

impl Field {
    fn targets(&self) -> impl Iterator<Item = &Target> {
        std::iter::once(&self.target).chain(&self.others)
    }
}

impl RowReader {
    /// A reader for a contract's columns. `event_time` names the column that lateness is counted from.
    ///
    /// # Errors
    /// `BadContract` where a column cannot be filled from JSON.
    pub(crate) fn new(columns: &[Column], event_time: Option<&str>) -> Result<Self> {
        let index_of = |source: &str| {
            columns
                .iter()
                .position(|column| column.source_name == source)
        };
        let mut names: Vec<&str> = Vec::new();
        let mut fields: Vec<Field> = Vec::new();
        let mut paths = Paths::new(columns);
        for (index, column) in columns.iter().enumerate() {
            let name = column.source_name.as_str();
            if name.starts_with('$') {
                check_envelope_column(column)?;
                continue;
            }
            let target = Target {
                column: index,
                decoder: Decoder::new(column)?,
            };
            if paths.takes(name) {
                paths.add(name, target);
                continue;
            }
            match names.iter().position(|other| *other == name) {
                Some(slot) => fields[slot].others.push(target),
                None => {
                    names.push(name);
                    fields.push(Field {
                        target,
                        others: Vec::new(),
                    });
                }
            }
        }
        let (arrival, lateness) = (index_of(ARRIVAL_TIME), index_of(LATENESS_SECONDS));
        let event_time = columns
            .iter()
            .position(|column| Some(column.name.as_str()) == event_time);
        if lateness.is_some() && event_time.is_none() {
            return Err(Error::new(
                ErrorKind::BadContract,
                format!(
                    "{LATENESS_SECONDS} needs a partition column: it is counted from that time"
                ),
            ));
        }
        Ok(RowReader {
            present: vec![false; names.len()],
            keys: KeyTable::new(names.into_iter().chain(paths.heads())),
            fields,
            paths,
            missing: Vec::new(),
            noted: Vec::new(),
            arrival,
            lateness,
            event_time,
            unknown: Vec::new(),
            unnamed: false,
            refuse_unknown: false,
            watch_unknown: false,
            unplaced: false,
            complete: false,
            scratch: Vec::new(),
        })
    }

    /// Appends one row to `columns`, which hold `rows` rows; leaves them as they were where the
    /// object is not a row. `object` must be UTF-8; `arrival` is in microseconds. The columns of the arrival
    /// are complete after [`RowReader::finish`].
    #[inline]
    pub(crate) fn read(
        &mut self,
        object: &[u8],
        arrival: Option<i64>,
        columns: &mut [ColumnData],
        rows: usize,
    ) -> RowResult {
        let result = self.read_members(object, columns);
        match result {
            Ok(()) => self.add_arrival(arrival, columns, rows),
            Err(_) => columns.iter_mut().for_each(|data| data.truncate(rows)),
        }
        result
    }

    #[inline]
    fn read_members(&mut self, object: &[u8], columns: &mut [ColumnData]) -> RowResult {
        let mut cursor = Cursor::new(object);
        cursor.enter_object()?;
        self.keys.begin();
        self.noted.clear();
        let mut filled = 0;
        loop {
            let key = match self.keys.next(&mut cursor)? {
                Member::Key(key) => key,
                Member::Other => {
                    self.unnamed = true;
                    cursor.skip_unread()?;
                    if self.refuse_unknown {
                        return Err(Box::new(RowFault::NewColumn("…".to_owned())));
                    }
                    continue;
                }
                Member::End => break,
            };
            let Some(field) = self.fields.get(key) else {
                let begin = cursor.position();
                let value = cursor.skip_unread()?;
                if let Some(number) = self.paths.number_of(key - self.fields.len()) {
                    self.paths.found(number, begin);
                    continue;
                }
                self.note_unknown(key, value);
                if self.refuse_unknown {
                    let name = self.keys.name(key).to_owned();
                    return Err(Box::new(RowFault::NewColumn(name)));
                }
                continue;
            };
            filled += 1;
            let begin = cursor.position();
            read_value(&mut cursor, &field.target, columns, &mut self.scratch)?;
            if !field.others.is_empty() {
                read_again(
                    &mut cursor,
                    begin,
                    &field.others,
                    columns,
                    &mut self.scratch,
                )?;
            }
        }
        cursor.finish()?;
        if !self.paths.is_empty() {
            self.paths.read(object, columns, &mut self.scratch)?;
        }
        if filled < self.fields.len() {
            self.add_missing(columns, filled);
        } else {
            self.complete = true;
        }
        Ok(())
    }

    fn note_unknown(&mut self, key: usize, value: &[u8]) {
        let number = key - self.keys.known();
        self.noted.push(number);
        if self.unknown.len() <= number {
            self.unknown.resize_with(number + 1, UnknownKey::default);
        }
        let unknown = &mut self.unknown[number];
        unknown.note(value, self.watch_unknown);
        self.unplaced |= unknown.place.is_none() && !unknown.values.is_empty();
    }

    /// The last object is read again, or a part of it: what was counted of it counts then.
    pub(crate) fn forget_last(&mut self) {
        for number in self.noted.drain(..) {
            self.unknown[number].count -= 1;
        }
    }

    /// From now on an object with a key that no column is filled from is not a row.
    pub(crate) fn refuse_unknown(&mut self) {
        self.refuse_unknown = true;
    }

    /// From now on every value of a key that no column is filled from is looked at: it may become a
    /// column.
    pub(crate) fn watch_unknown(&mut self) {
        self.watch_unknown = true;
    }

    /// Says where the object was that was read last, for keys that were seen for the first time.
    #[inline]
    pub(crate) fn place(&mut self, place: RowPlace) {
        if self.unplaced {
            self.unplaced = false;
            for unknown in &mut self.unknown {
                if !unknown.values.is_empty() {
                    unknown.place.get_or_insert(place);
                }
            }
        }
    }

    /// Fills the columns of keys that the object does not have; it has `filled` others.
    #[inline]
    fn add_missing(&mut self, columns: &mut [ColumnData], filled: usize) {
        // Objects of one source lack the same keys again and again.
        let same = filled + self.missing.len() == self.fields.len()
            && self.missing.iter().all(|&key| !self.keys.seen(key));
        if !same {
            self.find_missing();
        }
        for field in self.missing.iter().filter_map(|&key| self.fields.get(key)) {
            for target in field.targets() {
                if let Some(data) = columns.get_mut(target.column) {
                    target.decoder.push_missing(data);
                }
            }
        }
    }

    #[inline(never)]
    fn find_missing(&mut self) {
        self.missing.clear();
        for (key, present) in self.present.iter_mut().enumerate() {
            if self.keys.seen(key) {
                *present = true;
            } else {
                self.missing.push(key);
            }
        }
    }

    #[inline]
    fn add_arrival(&self, arrival: Option<i64>, columns: &mut [ColumnData], row: usize) {
        let Some(arrival) = arrival else {
            return;
        };
        let push = |columns: &mut [ColumnData], index: Option<usize>, value: i64| {
            if let Some(ColumnData::Long(data)) = index.and_then(|index| columns.get_mut(index)) {
                data.pad(row);
                data.push(value);
            }
        };
        push(columns, self.arrival, arrival);
        if self.lateness.is_some() {
            let event_time = match self.event_time.and_then(|index| columns.get(index)) {
                Some(ColumnData::Long(data)) => data.get(row),
                Some(ColumnData::Int(data)) => {
                    data.get(row).map(|day| i64::from(day) * MICROS_PER_DAY)
                }
                _ => None,
            };
            if let Some(event) = event_time {
                push(columns, self.lateness, ((arrival - event) / MICROS).max(0));
            }
        }
    }

    /// Ends a batch of this many rows: those that did not say when they arrived have no arrival time and
    /// no lateness.
    pub(crate) fn finish(&self, columns: &mut [ColumnData], rows: usize) {
        for index in [self.arrival, self.lateness].into_iter().flatten() {
            if let Some(ColumnData::Long(data)) = columns.get_mut(index) {
                data.pad(rows);
            }
        }
    }

    /// Every key that some object had: those that columns are filled from, then the others. Keys beyond
    /// the first few hundred go together under the name `…`.
    pub(crate) fn seen_keys(&self) -> Vec<String> {
        let known = (0..self.fields.len())
            .filter(|&key| self.complete || self.present[key])
            .map(|key| self.keys.name(key).to_owned());
        known
            .chain(self.paths.seen_heads().map(str::to_owned))
            .chain(self.unknown_keys().map(|(name, _)| name.to_owned()))
            .chain(self.unnamed.then(|| "…".to_owned()))
            .collect()
    }

    /// Keys that no column is filled from: the first few hundred of them.
    pub(crate) fn unknown_keys(&self) -> impl Iterator<Item = (&str, &UnknownKey)> {
        let named = self.unknown.iter().enumerate();
        named
            .filter(|(_, unknown)| unknown.count > 0)
            .map(|(number, unknown)| (self.keys.name(self.keys.known() + number), unknown))
    }
}

fn check_envelope_column(column: &Column) -> Result<()> {
    let ty = match column.source_name.as_str() {
        ARRIVAL_TIME => ColumnType::Timestamp,
        LATENESS_SECONDS => ColumnType::Long,
        other => {
            return Err(Error::new(
                ErrorKind::BadContract,
                format!(
                    "column {}: there is no {other}; write {ARRIVAL_TIME} or {LATENESS_SECONDS}, or a key \
                     without $",
                    column.name
                ),
            ));
        }
    };
    if column.ty != ty || column.encoding != Encoding::Natural || column.default.is_some() {
        return Err(Error::new(
            ErrorKind::BadContract,
            format!(
                "column {}: {} is a {ty} without encoding and default",
                column.name, column.source_name
            ),
        ));
    }
    Ok(())
}
