//! The rows of a table straight from the pages of its b-tree, in half the time that SQLite's own
//! machine takes for a scan (<https://www.sqlite.org/fileformat2.html#b_tree_pages>).
//!
//! What is not certain is left to SQLite: only plain tables with a rowid in a UTF-8 database are read
//! here, and only while every page and record is exactly as the format says. At the first doubt the
//! reader of this module stops, and its caller continues with a [`super::cursor::Cursor`] after the rows
//! that it has. Pages are read through SQLite's own file and under the lock of its transaction.

use std::ffi::{c_int, c_void};

use rusqlite::{Connection, OptionalExtension, Result, ffi};

use super::cursor::Stored;

/// A page or a record is not as it should be, or cannot be read. SQLite is to say what that means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Doubt;

type Sure<T> = std::result::Result<T, Doubt>;

/// SQLite's own bound of a b-tree's depth.
const DEEPEST: usize = 20;

/// Longer rows are left to SQLite.
const LONGEST_ROW: usize = 64 << 20;

const LEAF: u8 = 13;
const INTERIOR: u8 = 5;

/// A column of a table as it is stored.
#[derive(Debug, Clone)]
struct StoredColumn {
    name: String,
    /// Whole numbers are stored as such and read as floating point numbers.
    real: bool,
    /// What older rows hold that were written before the column was added.
    has_default: bool,
    /// Whether it is stored like any other.
    plain: bool,
}

/// The rows of a table in the order of their rowids.
pub(super) struct Pages<'a> {
    file: PageFile<'a>,
    /// The interior pages above the leaf, each with the number of its next child.
    path: Vec<(Vec<u8>, usize)>,
    leaf: Vec<u8>,
    cells: usize,
    next_cell: usize,
    rowid: i64,
    /// Where the row's record is: in the leaf, or in `spilled` where it continues in other pages.
    record: (usize, usize),
    is_spilled: bool,
    spilled: Vec<u8>,
    /// Serial type and place of each column of the record; it has `filled` of them.
    slots: Vec<(u64, usize)>,
    filled: usize,
    /// For each column asked for, its place in the table and whether it is real; None for the rowid.
    wanted: Vec<Option<(usize, bool)>>,
    /// A record of fewer columns lacks one whose default only SQLite knows.
    least_columns: usize,
}

impl<'a> Pages<'a> {
    /// A reader of the columns `wanted`, in their order, and after them the rowid; None where the table or
    /// the database is not of the simple kind. `rowid_column` is another name of the rowid.
    pub(super) fn open(
        connection: &'a Connection,
        table: &str,
        wanted: &[&str],
        rowid_column: Option<&str>,
        sql: &str,
    ) -> Result<Option<Self>> {
        let encoding: String = connection.query_row("PRAGMA encoding", [], |row| row.get(0))?;
        // An index that has all columns is shorter than its table, and SQLite reads it instead.
        let plan: Vec<String> = connection
            .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?
            .query_map([], |row| row.get(3))?
            .collect::<Result<_>>()?;
        let scans_table = matches!(plan.as_slice(), [step] if *step == format!("SCAN {table}"));
        let columns = stored_columns(connection, table)?;
        let shadowed = columns
            .iter()
            .any(|column| column.name.eq_ignore_ascii_case("_rowid_"));
        let plain = columns.iter().all(|column| column.plain);
        if encoding != "UTF-8" || !scans_table || shadowed || !plain {
            return Ok(None);
        }
        let root: Option<u32> = connection
            .query_row(
                "SELECT rootpage FROM sqlite_schema WHERE type = 'table' AND name = ?1",
                [table],
                |row| row.get(0),
            )
            .optional()?;
        let place = |name: &&str| match rowid_column {
            Some(rowid) if rowid.eq_ignore_ascii_case(name) => Some(None),
            _ => columns
                .iter()
                .position(|column| column.name.eq_ignore_ascii_case(name))
                .map(|place| Some((place, columns[place].real))),
        };
        let wanted: Option<Vec<_>> = wanted.iter().map(place).collect();
        let file = PageFile::of(connection)?;
        let (Some(root), Some(mut wanted), Some(file)) = (root, wanted, file) else {
            return Ok(None);
        };
        wanted.push(None);
        let mut pages = Pages {
            leaf: vec![0; file.page_bytes],
            file,
            path: Vec::new(),
            cells: 0,
            next_cell: 0,
            rowid: 0,
            record: (0, 0),
            is_spilled: false,
            spilled: Vec::new(),
            slots: vec![(0, 0); columns.len()],
            filled: 0,
            wanted,
            least_columns: columns
                .iter()
                .rposition(|column| column.has_default)
                .map_or(0, |place| place + 1),
        };
        Ok(pages.descend(root).is_ok().then_some(pages))
    }

    /// Goes to the next row; false at the end.
    #[inline]
    pub(super) fn step(&mut self) -> Sure<bool> {
        while self.next_cell >= self.cells {
            if !self.next_leaf()? {
                return Ok(false);
            }
        }
        let cell = cell_at(&self.leaf, 8, self.next_cell, self.cells, self.file.usable)?;
        self.next_cell += 1;
        self.read_cell(cell)?;
        Ok(true)
    }

    /// A column of the current row.
    // Inlined, a value needs no place in memory between here and its column.
    #[inline(always)]
    pub(super) fn value(&self, index: usize) -> Stored<'_> {
        let (place, real) = match self.wanted.get(index) {
            Some(Some(column)) => *column,
            Some(None) => return Stored::Integer(self.rowid),
            None => return Stored::Null,
        };
        let Some(&(serial, at)) = self.slots.get(place).filter(|_| place < self.filled) else {
            return Stored::Null;
        };
        let record = if self.is_spilled {
            self.spilled.as_slice()
        } else {
            self.leaf
                .get(self.record.0..self.record.1)
                .unwrap_or_default()
        };
        let rest = record.get(at..).unwrap_or_default();
        stored(serial, rest, real).unwrap_or(Stored::Null)
    }

    /// Goes down to the leftmost leaf below a page.
    fn descend(&mut self, mut page: u32) -> Sure<()> {
        let is_root = self.path.is_empty();
        loop {
            let mut buffer = std::mem::take(&mut self.leaf);
            buffer.resize(self.file.page_bytes, 0);
            let read = self.file.read(page, &mut buffer);
            self.leaf = buffer;
            read?;
            let cells = usize::from(u16_at(&self.leaf, 3)?);
            if cells > (self.file.usable - 8) / 6 {
                return Err(Doubt);
            }
            match self.leaf.first() {
                Some(&LEAF) if cells > 0 || (is_root && self.path.is_empty()) => {
                    (self.cells, self.next_cell) = (cells, 0);
                    return Ok(());
                }
                Some(&INTERIOR) if cells > 0 && self.path.len() + 1 < DEEPEST => {
                    let interior = std::mem::take(&mut self.leaf);
                    page = self.child(&interior, 0)?;
                    self.path.push((interior, 1));
                }
                _ => return Err(Doubt),
            }
        }
    }

    fn next_leaf(&mut self) -> Sure<bool> {
        loop {
            let Some((interior, next)) = self.path.last() else {
                return Ok(false);
            };
            let cells = usize::from(u16_at(interior, 3)?);
            if *next > cells {
                self.path.pop();
                continue;
            }
            let page = self.child(interior, *next)?;
            if let Some((_, next)) = self.path.last_mut() {
                *next += 1;
            }
            self.descend(page)?;
            return Ok(true);
        }
    }

    /// The child of an interior page left of cell `index`, or its last one.
    fn child(&self, interior: &[u8], index: usize) -> Sure<u32> {
        let cells = usize::from(u16_at(interior, 3)?);
        if index == cells {
            return u32_at(interior, 8);
        }
        let at = cell_at(interior, 12, index, cells, self.file.usable)?;
        let page = interior.get(..self.file.usable).ok_or(Doubt)?;
        varint(page, &mut (at + 4))?;
        u32_at(page, at)
    }

    #[inline]
    fn read_cell(&mut self, cell: usize) -> Sure<()> {
        let usable = self.file.usable;
        let page = self.leaf.get(..usable).ok_or(Doubt)?;
        let mut at = cell;
        let payload = usize::try_from(varint(page, &mut at)?).map_err(|_| Doubt)?;
        self.rowid = varint(page, &mut at)? as i64;
        // https://www.sqlite.org/fileformat2.html#cell_payload_overflow_pages
        let (most, least) = (usable - 35, (usable - 12) * 32 / 255 - 23);
        self.is_spilled = payload > most;
        let record = if self.is_spilled {
            if payload > LONGEST_ROW {
                return Err(Doubt);
            }
            let local = least + (payload - least) % (usable - 4);
            let local = if local > most { least } else { local };
            let here = page.get(at..at + local).ok_or(Doubt)?;
            let next = u32_at(page, at + local)?;
            self.spilled.clear();
            self.spilled.extend_from_slice(here);
            self.file.append(&mut self.spilled, payload, next)?;
            self.spilled.as_slice()
        } else {
            self.record = (at, at + payload);
            page.get(at..at + payload).ok_or(Doubt)?
        };
        let mut at = 0;
        let header = usize::try_from(varint(record, &mut at)?).map_err(|_| Doubt)?;
        let types = record.get(..header).ok_or(Doubt)?;
        let mut body = header;
        self.filled = 0;
        while at < header {
            let serial = varint(types, &mut at)?;
            *self.slots.get_mut(self.filled).ok_or(Doubt)? = (serial, body);
            self.filled += 1;
            body = body.checked_add(length_of(serial)?).ok_or(Doubt)?;
        }
        if body == record.len() && self.filled >= self.least_columns {
            Ok(())
        } else {
            Err(Doubt)
        }
    }
}

/// The bytes of a value.
#[inline]
fn length_of(serial: u64) -> Sure<usize> {
    Ok(match serial {
        0 | 8 | 9 => 0,
        1..=4 => serial as usize,
        5 => 6,
        6 | 7 => 8,
        10 | 11 => return Err(Doubt),
        _ => usize::try_from((serial - 12) / 2).map_err(|_| Doubt)?,
    })
}

#[inline(always)]
fn stored(serial: u64, bytes: &[u8], real: bool) -> Option<Stored<'_>> {
    let integer = match serial {
        0 => return Some(Stored::Null),
        1 => i64::from(*bytes.first()? as i8),
        2 => i64::from(i16::from_be_bytes(*bytes.first_chunk()?)),
        3 => {
            let &[a, b, c] = bytes.first_chunk()?;
            i64::from(i32::from_be_bytes([a, b, c, 0]) >> 8)
        }
        4 => i64::from(i32::from_be_bytes(*bytes.first_chunk()?)),
        5 => {
            let &[a, b, c, d, e, f] = bytes.first_chunk()?;
            i64::from_be_bytes([a, b, c, d, e, f, 0, 0]) >> 16
        }
        6 => i64::from_be_bytes(*bytes.first_chunk()?),
        7 => {
            let value = f64::from_be_bytes(*bytes.first_chunk()?);
            // SQLite knows no NaN.
            return Some(if value.is_nan() {
                Stored::Null
            } else {
                Stored::Real(value)
            });
        }
        8 => 0,
        9 => 1,
        _ => {
            let bytes = bytes.get(..length_of(serial).ok()?)?;
            return Some(match serial % 2 {
                1 => Stored::Text(bytes),
                _ => Stored::Blob(bytes),
            });
        }
    };
    Some(if real {
        Stored::Real(integer as f64)
    } else {
        Stored::Integer(integer)
    })
}

#[inline]
fn u16_at(page: &[u8], at: usize) -> Sure<u16> {
    let bytes = page.get(at..).and_then(|rest| rest.first_chunk());
    bytes.map(|bytes| u16::from_be_bytes(*bytes)).ok_or(Doubt)
}

#[inline]
fn u32_at(page: &[u8], at: usize) -> Sure<u32> {
    let bytes = page.get(at..).and_then(|rest| rest.first_chunk());
    bytes.map(|bytes| u32::from_be_bytes(*bytes)).ok_or(Doubt)
}

/// Where a cell begins, which is behind the list of cells.
#[inline]
fn cell_at(page: &[u8], header: usize, index: usize, cells: usize, usable: usize) -> Sure<usize> {
    let at = usize::from(u16_at(page, header + 2 * index)?);
    if at < header + 2 * cells || at + 4 > usable {
        return Err(Doubt);
    }
    Ok(at)
}

/// Seven bits per byte, most significant first, while the highest bit is set; a ninth byte has eight.
#[inline(always)]
fn varint(bytes: &[u8], at: &mut usize) -> Sure<u64> {
    match bytes.get(*at) {
        Some(&byte) if byte < 0x80 => {
            *at += 1;
            Ok(u64::from(byte))
        }
        _ => long_varint(bytes, at),
    }
}

fn long_varint(bytes: &[u8], at: &mut usize) -> Sure<u64> {
    let mut value = 0;
    for _ in 0..8 {
        let byte = *bytes.get(*at).ok_or(Doubt)?;
        *at += 1;
        value = value << 7 | u64::from(byte & 0x7f);
        if byte < 0x80 {
            return Ok(value);
        }
    }
    let byte = *bytes.get(*at).ok_or(Doubt)?;
    *at += 1;
    Ok(value << 8 | u64::from(byte))
}

fn stored_columns(connection: &Connection, table: &str) -> Result<Vec<StoredColumn>> {
    connection
        .prepare("SELECT name, type, dflt_value IS NOT NULL, hidden FROM pragma_table_xinfo(?1)")?
        .query_map([table], |row| {
            Ok(StoredColumn {
                name: row.get(0)?,
                real: is_real(&row.get::<_, String>(1)?),
                has_default: row.get(2)?,
                plain: row.get::<_, i64>(3)? == 0,
            })
        })?
        .collect()
}

/// Whether a declared type has the affinity REAL (<https://www.sqlite.org/datatype3.html#determination_of_column_affinity>).
fn is_real(declared: &str) -> bool {
    let declared = declared.to_ascii_uppercase();
    let has = |names: &[&str]| names.iter().any(|name| declared.contains(name));
    !has(&["INT", "CHAR", "CLOB", "TEXT", "BLOB"]) && has(&["REAL", "FLOA", "DOUB"])
}

/// The pages of a database.
struct PageFile<'a> {
    file: *mut ffi::sqlite3_file,
    page_bytes: usize,
    /// Bytes of a page without those reserved at its end.
    usable: usize,
    pages: u32,
    /// Keeps the file open and its lock held.
    _connection: &'a Connection,
}

impl<'a> PageFile<'a> {
    fn of(connection: &'a Connection) -> Result<Option<Self>> {
        let mut file: *mut ffi::sqlite3_file = std::ptr::null_mut();
        // SAFETY: the connection is open; SQLite writes the pointer to its file to the place it is given.
        let code = unsafe {
            ffi::sqlite3_file_control(
                connection.handle(),
                c"main".as_ptr(),
                ffi::SQLITE_FCNTL_FILE_POINTER,
                (&raw mut file).cast::<c_void>(),
            )
        };
        let pages: u32 = connection.query_row("PRAGMA page_count", [], |row| row.get(0))?;
        let page_bytes: u32 = connection.query_row("PRAGMA page_size", [], |row| row.get(0))?;
        let page_bytes = page_bytes as usize;
        let mut found = PageFile {
            file,
            page_bytes,
            usable: page_bytes,
            pages,
            _connection: connection,
        };
        let mut header = [0; 100];
        if code != ffi::SQLITE_OK || file.is_null() || !found.read_at(0, &mut header) {
            return Ok(None);
        }
        // With auto-vacuum SQLite takes short cuts to pages after the first of a long row.
        if header[52..56] != [0; 4] {
            return Ok(None);
        }
        found.usable = page_bytes.saturating_sub(usize::from(header[20]));
        // SQLite knows no smaller ones.
        Ok((found.usable >= 480).then_some(found))
    }

    fn read_at(&self, offset: i64, buffer: &mut [u8]) -> bool {
        let Ok(length) = c_int::try_from(buffer.len()) else {
            return false;
        };
        // SAFETY: the file is open as long as its connection, which is borrowed, and its methods are
        // those of the VFS that opened it; the buffer has the length that is named.
        unsafe {
            let Some(methods) = (*self.file).pMethods.as_ref() else {
                return false;
            };
            let Some(read) = methods.xRead else {
                return false;
            };
            read(self.file, buffer.as_mut_ptr().cast(), length, offset) == ffi::SQLITE_OK
        }
    }

    /// Reads a page; the first holds the schema and no table.
    fn read(&self, page: u32, buffer: &mut [u8]) -> Sure<()> {
        if page < 2 || page > self.pages {
            return Err(Doubt);
        }
        let offset = i64::from(page - 1) * self.page_bytes as i64;
        self.read_at(offset, buffer).then_some(()).ok_or(Doubt)
    }

    /// Appends what a chain of overflow pages holds of a record of this many bytes.
    fn append(&self, record: &mut Vec<u8>, length: usize, mut page: u32) -> Sure<()> {
        let mut buffer = vec![0; self.page_bytes];
        while record.len() < length {
            self.read(page, &mut buffer)?;
            page = u32_at(&buffer, 0)?;
            let rest = (length - record.len()).min(self.usable - 4);
            record.extend_from_slice(buffer.get(4..4 + rest).ok_or(Doubt)?);
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "pages_tests.rs"]
mod tests;
