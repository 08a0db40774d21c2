//! SQLite databases: the tables of a shop, read row by row.
//!
//! The file is opened read-only and honours its locks. What could make its content wrong or
//! incomplete is an error before the first row: write-ahead logging (the newest transactions may be
//! in a `-wal` file that was not uploaded), a lock, a file that is shorter than its header says.
//! The header is described at <https://www.sqlite.org/fileformat.html#the_database_header>.

mod cursor;

use std::collections::BTreeMap;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use hashbrown::HashSet;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Map, Value};
use tarn_core::contract::{Contract, SchemaDrift};
use tarn_core::{Error, ErrorKind, Result};

use crate::batch::{Batch, Reader, Rejected};
use crate::drift::{self, NewColumn};
use crate::source::sqlite::cursor::{Cursor, Stored};
use crate::source::value::{Decoder, Scalar};

const MAGIC: &[u8] = b"SQLite format 3\0";
const HEADER_BYTES: usize = 100;

/// A batch ends after so many rows or so many bytes of text.
const BATCH_ROWS: usize = 64 * 1024;
const BATCH_BYTES: usize = 16 << 20;

/// Rows by which the type of a column is guessed that no contract knows.
const SAMPLE_ROWS: u32 = 1000;

/// How long a lock of another process is waited for.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

fn bad(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::BadSource, text)
}

/// An error of SQLite as an error of the source, with the way out.
fn source_error(error: rusqlite::Error) -> Error {
    use rusqlite::ErrorCode;
    let code = error.sqlite_error_code();
    let text = match code {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "the database is locked by another process; try again when it has finished, or upload a \
             copy made with VACUUM INTO"
        }
        Some(ErrorCode::DatabaseCorrupt) => {
            "the database is damaged; check it with PRAGMA integrity_check and upload a sound copy"
        }
        Some(ErrorCode::NotADatabase) => "the file is no SQLite database, or it is encrypted",
        Some(ErrorCode::SystemIoFailure) => {
            "the database cannot be read to its end; is it complete?"
        }
        _ => "the database cannot be read",
    };
    let locked = matches!(
        code,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    );
    bad(text).with_source(error).retryable(locked)
}

fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}

/// Checks what the header says of the file.
fn check_header(path: &Path) -> Result<()> {
    let unreadable = |error| {
        Error::new(
            ErrorKind::Storage,
            format!("{} cannot be read", path.display()),
        )
        .with_source(error)
    };
    let mut file = File::open(path).map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    let mut header = Vec::with_capacity(HEADER_BYTES);
    file.by_ref()
        .take(HEADER_BYTES as u64)
        .read_to_end(&mut header)
        .map_err(unreadable)?;
    if header.is_empty() {
        return Err(bad("the file is empty: no database"));
    }
    if header.starts_with(&[0x1f, 0x8b]) {
        return Err(bad(
            "the file is compressed with gzip; decompress the database before the upload",
        ));
    }
    if !header.starts_with(&MAGIC[..MAGIC.len().min(header.len())]) {
        return Err(bad(
            "the file is no SQLite database: it does not begin with 'SQLite format 3'",
        ));
    }
    if header.len() < HEADER_BYTES {
        return Err(bad(format!(
            "the database is cut off after {size} bytes, within its header"
        )));
    }
    if header[18] == 2 || header[19] == 2 {
        return Err(bad(
            "the database is in WAL mode, so its newest transactions may be in a -wal file that is not \
             part of it; run PRAGMA journal_mode=DELETE, or VACUUM INTO a new file, and upload that",
        ));
    }
    let number = |at: usize| {
        header[at..at + 4]
            .iter()
            .fold(0u64, |number, &byte| number << 8 | u64::from(byte))
    };
    let page_bytes = match u64::from(header[16]) << 8 | u64::from(header[17]) {
        1 => 65_536,
        bytes => bytes,
    };
    let (changes, pages, valid_for) = (number(24), number(28), number(92));
    // The page count is only to be trusted when it was written by the last change.
    if changes == valid_for && pages > 0 && size < pages * page_bytes {
        return Err(bad(format!(
            "the database is cut off: it has {size} of {} bytes; upload it again",
            pages * page_bytes
        )));
    }
    Ok(())
}

/// An open database; every read sees the same state of it.
pub struct Database {
    connection: Connection,
}

impl Database {
    /// Opens a database file.
    ///
    /// # Errors
    /// `BadSource` with the cause for anything but a complete, unlocked database.
    pub fn open(path: &Path) -> Result<Self> {
        check_header(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(source_error)?;
        connection
            .busy_timeout(LOCK_PATIENCE)
            .map_err(source_error)?;
        // The file is foreign: no function of its schema is to run, no damaged cell to be followed.
        connection
            .execute_batch("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; BEGIN;")
            .map_err(source_error)?;
        let database = Database { connection };
        // The first read takes the lock and fails here where there is none to be had.
        database.tables()?;
        Ok(database)
    }

    /// The names of its tables, in order.
    pub fn tables(&self) -> Result<Vec<String>> {
        let mut statement = self
            .connection
            .prepare(
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
                 AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY name",
            )
            .map_err(source_error)?;
        let names = statement
            .query_map([], |row| row.get(0))
            .map_err(source_error)?;
        names.collect::<Result<_, _>>().map_err(source_error)
    }

    fn count(&self, table: &str) -> Result<u64> {
        let sql = format!("SELECT count(*) FROM {}", quoted(table));
        let rows: i64 = self
            .connection
            .query_row(&sql, [], |row| row.get(0))
            .map_err(source_error)?;
        u64::try_from(rows).map_err(|error| bad("a table has a negative size").with_source(error))
    }

    /// The tables that none of the contracts reads, with their row counts.
    pub fn unclaimed_tables(&self, contracts: &[&Contract]) -> Result<BTreeMap<String, u64>> {
        let mut unclaimed = BTreeMap::new();
        for name in self.tables()? {
            if !contracts
                .iter()
                .any(|contract| source_table(contract).eq_ignore_ascii_case(&name))
            {
                unclaimed.insert(name.clone(), self.count(&name)?);
            }
        }
        Ok(unclaimed)
    }

    /// Columns of a table: name, declared type, place in the primary key (0 for none), not null.
    pub fn columns(&self, table: &str) -> Result<Vec<TableColumn>> {
        let mut statement = self
            .connection
            .prepare("SELECT name, type, pk, \"notnull\" FROM pragma_table_info(?1)")
            .map_err(source_error)?;
        let columns = statement
            .query_map([table], |row| {
                Ok(TableColumn {
                    name: row.get(0)?,
                    declared: row.get(1)?,
                    key: row.get(2)?,
                    required: row.get(3)?,
                })
            })
            .map_err(source_error)?;
        columns.collect::<Result<_, _>>().map_err(source_error)
    }

    /// The storage classes of some rows of a table, for guessing what a column holds.
    pub fn sample(&self, table: &str, rows: u32) -> Result<Vec<Vec<rusqlite::types::Value>>> {
        let sql = format!("SELECT * FROM {} LIMIT {rows}", quoted(table));
        let mut statement = self.connection.prepare(&sql).map_err(source_error)?;
        let width = statement.column_count();
        let found = statement
            .query_map([], |row| (0..width).map(|index| row.get(index)).collect())
            .map_err(source_error)?;
        found.collect::<Result<_, _>>().map_err(source_error)
    }

    /// Shows the stored values of the first rows of a table, each with the index of its column in
    /// [`Database::columns`].
    pub fn scan(
        &self,
        table: &str,
        columns: &[TableColumn],
        rows: u64,
        mut each: impl FnMut(usize, ValueRef<'_>),
    ) -> Result<()> {
        let list: Vec<String> = columns.iter().map(|column| quoted(&column.name)).collect();
        let list = list.join(", ");
        let sql = format!("SELECT {list} FROM {} LIMIT {rows}", quoted(table));
        let mut statement = self.connection.prepare(&sql).map_err(source_error)?;
        let mut found = statement.query([]).map_err(source_error)?;
        while let Some(row) = found.next().map_err(source_error)? {
            for index in 0..columns.len() {
                each(index, row.get_ref(index).map_err(source_error)?);
            }
        }
        Ok(())
    }

    /// The columns of a table that the database keeps unique, each by itself.
    pub fn unique_columns(&self, table: &str) -> Result<Vec<String>> {
        self.names(
            "SELECT min(info.name) FROM pragma_index_list(?1) AS list, pragma_index_info(list.name) AS info \
             WHERE list.\"unique\" = 1 AND list.partial = 0 GROUP BY list.name HAVING count(*) = 1",
            table,
        )
    }

    /// The foreign keys of one column that a table declares.
    pub fn foreign_keys(&self, table: &str) -> Result<Vec<ForeignKey>> {
        let mut statement = self
            .connection
            .prepare(
                "SELECT min(\"from\"), \"table\", min(\"to\") FROM pragma_foreign_key_list(?1) \
                 GROUP BY id, \"table\" HAVING count(*) = 1 ORDER BY id DESC",
            )
            .map_err(source_error)?;
        let keys = statement
            .query_map([table], |row| {
                Ok(ForeignKey {
                    column: row.get(0)?,
                    table: row.get(1)?,
                    key: row.get(2)?,
                })
            })
            .map_err(source_error)?;
        keys.collect::<Result<_, _>>().map_err(source_error)
    }

    fn names(&self, sql: &str, table: &str) -> Result<Vec<String>> {
        let mut statement = self.connection.prepare(sql).map_err(source_error)?;
        let names = statement
            .query_map([table], |row| row.get::<_, Option<String>>(0))
            .map_err(source_error)?;
        let names: Vec<Option<String>> = names.collect::<Result<_, _>>().map_err(source_error)?;
        // An index of an expression has no column.
        Ok(names.into_iter().flatten().collect())
    }

    /// The row count of a contract's table by the database's own word, and a reader of its rows.
    ///
    /// # Errors
    /// `BadSource` where the database has no such table or the table lacks a column.
    pub fn table<'a>(&'a self, contract: &'a Contract) -> Result<(u64, TableReader<'a>)> {
        let table = source_table(contract);
        let names = self.tables()?;
        let Some(table) = names.iter().find(|name| name.eq_ignore_ascii_case(table)) else {
            return Err(bad(format!(
                "the database has no table {table}, which contract {} reads; it has {}",
                contract.dataset,
                names.join(", ")
            )));
        };
        let columns = self.columns(table)?;
        let known = |name: &str| {
            columns
                .iter()
                .any(|column| column.name.eq_ignore_ascii_case(name))
        };
        for column in &contract.columns {
            if !known(&column.source_name) {
                return Err(bad(format!(
                    "table {table} has no column {}, which contract {} reads; it has {}",
                    column.source_name,
                    contract.dataset,
                    columns
                        .iter()
                        .map(|column| column.name.as_str())
                        .collect::<Vec<_>>()
                        .join(", ")
                )));
            }
        }
        let mut reader = TableReader::new(self, contract, table, &columns)?;
        reader.new_columns = self.new_columns(contract, table, &columns)?;
        Ok((self.count(table)?, reader))
    }

    fn new_columns(
        &self,
        contract: &Contract,
        table: &str,
        columns: &[TableColumn],
    ) -> Result<Vec<NewColumn>> {
        let new: Vec<(usize, &TableColumn)> = columns
            .iter()
            .enumerate()
            .filter(|(_, column)| {
                !contract
                    .columns
                    .iter()
                    .any(|known| known.source_name.eq_ignore_ascii_case(&column.name))
            })
            .collect();
        if new.is_empty() || contract.schema_drift == SchemaDrift::Ignore {
            return Ok(Vec::new());
        }
        let rows = self.sample(table, SAMPLE_ROWS)?;
        let found = new.into_iter().map(|(index, column)| {
            let values: Vec<_> = rows.iter().filter_map(|row| row.get(index)).collect();
            drift::of_table_column(table, column, &values)
        });
        Ok(found.collect())
    }
}

fn source_table(contract: &Contract) -> &str {
    contract
        .source_table
        .as_deref()
        .unwrap_or(&contract.dataset)
}

/// A column of a source table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableColumn {
    /// Its name.
    pub name: String,
    /// Its declared type, as written.
    pub declared: String,
    /// Its place in the primary key, counted from 1; 0 for none.
    pub key: i64,
    /// Whether it is declared NOT NULL.
    pub required: bool,
}

/// A column whose values are in a column of another table, as a database declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    /// The column.
    pub column: String,
    /// The other table.
    pub table: String,
    /// Its column; None for its primary key.
    pub key: Option<String>,
}

/// Reads the rows of one table.
pub struct TableReader<'a> {
    contract: &'a Contract,
    cursor: Cursor<'a>,
    decoders: Vec<Decoder>,
    /// Names of the table's columns.
    source_columns: Vec<String>,
    /// Whether the first column of the cursor is the rowid.
    has_rowid: bool,
    row: i64,
    /// Primary keys seen so far, where the database does not keep them unique itself.
    keys: Option<Keys>,
    new_columns: Vec<NewColumn>,
}

struct Keys {
    seen: HashSet<u128>,
    hashers: [RandomState; 2],
}

impl<'a> TableReader<'a> {
    fn new(
        database: &'a Database,
        contract: &'a Contract,
        table: &str,
        columns: &[TableColumn],
    ) -> Result<Self> {
        let list: Vec<String> = contract
            .columns
            .iter()
            .map(|column| quoted(&column.source_name))
            .collect();
        let (list, table) = (list.join(", "), quoted(table));
        let with_rowid = format!("SELECT _rowid_, {list} FROM {table}");
        // Tables made WITHOUT ROWID have none.
        let (cursor, has_rowid) = match Cursor::open(&database.connection, &with_rowid) {
            Ok(cursor) => (cursor, true),
            Err(_) => {
                let sql = format!("SELECT {list} FROM {table}");
                (
                    Cursor::open(&database.connection, &sql).map_err(source_error)?,
                    false,
                )
            }
        };
        let decoders = contract
            .columns
            .iter()
            .map(Decoder::new)
            .collect::<Result<_>>()?;
        Ok(TableReader {
            contract,
            cursor,
            decoders,
            source_columns: columns.iter().map(|column| column.name.clone()).collect(),
            has_rowid,
            row: 0,
            keys: (!is_rowid_key(contract, columns)).then(|| Keys {
                seen: HashSet::new(),
                hashers: [RandomState::new(), RandomState::new()],
            }),
            new_columns: Vec::new(),
        })
    }

    /// Reads the row under the cursor into the batch, or says why it is rejected: rule, column, reason.
    fn read_row(
        &mut self,
        batch: &mut Batch,
        first: usize,
    ) -> Result<(), (String, String, String)> {
        if self.contract.schema_drift == SchemaDrift::Quarantine
            && let Some(new) = self.new_columns.first()
        {
            let column = new.drift.column.clone();
            let reason = format!("the contract knows no column {column}");
            return Err((drift::RULE.to_owned(), column, reason));
        }
        for (index, (column, decoder)) in
            self.contract.columns.iter().zip(&self.decoders).enumerate()
        {
            let data = &mut batch.columns[index];
            let scalar = match self.cursor.value(first + index) {
                Stored::Null => {
                    decoder.push_missing(data);
                    continue;
                }
                Stored::Integer(value) => Scalar::Integer(value),
                Stored::Real(value) => Scalar::Real(value),
                Stored::Text(bytes) if simdutf8::basic::from_utf8(bytes).is_ok() => {
                    Scalar::Text(bytes)
                }
                Stored::Text(_) => {
                    return Err(type_fault(
                        &column.name,
                        "text that is not UTF-8".to_owned(),
                    ));
                }
                Stored::Blob(bytes) => {
                    let found = format!(
                        "a blob of {} bytes; expected {}",
                        bytes.len(),
                        decoder.expected()
                    );
                    return Err(type_fault(&column.name, found));
                }
            };
            decoder
                .push(scalar, data)
                .map_err(|reason| type_fault(&column.name, reason.into_owned()))?;
        }
        if let Some(keys) = &mut self.keys
            && !keys.insert(&self.cursor, first, &self.contract.primary_key)
        {
            let names: Vec<&str> = self
                .contract
                .primary_key
                .iter()
                .map(|&index| self.contract.columns[index].name.as_str())
                .collect();
            let names = names.join(", ");
            let reason = format!("the primary key ({names}) was seen before in this table");
            return Err((crate::ingest::DUPLICATE.to_owned(), names, reason));
        }
        Ok(())
    }

    /// The row as it is stored, as JSON.
    fn payload(&self, first: usize) -> String {
        let object: Map<String, Value> = self
            .contract
            .columns
            .iter()
            .enumerate()
            .map(|(index, column)| {
                let value = match self.cursor.value(first + index) {
                    Stored::Null => Value::Null,
                    Stored::Integer(value) => Value::from(value),
                    Stored::Real(value) => Value::from(value),
                    Stored::Text(bytes) => Value::from(crate::quarantine::payload_text(bytes).0),
                    Stored::Blob(bytes) => Value::from(
                        bytes
                            .iter()
                            .map(|byte| format!("{byte:02x}"))
                            .collect::<String>(),
                    ),
                };
                (column.source_name.clone(), value)
            })
            .collect();
        Value::Object(object).to_string()
    }
}

fn type_fault(column: &str, reason: String) -> (String, String, String) {
    (format!("{column}.type"), column.to_owned(), reason)
}

/// Whether the primary key is the table's INTEGER PRIMARY KEY, which SQLite keeps unique by itself.
fn is_rowid_key(contract: &Contract, columns: &[TableColumn]) -> bool {
    let [key] = contract.primary_key.as_slice() else {
        return contract.primary_key.is_empty();
    };
    let keys: Vec<&TableColumn> = columns.iter().filter(|column| column.key > 0).collect();
    matches!(keys.as_slice(), [only] if only.declared.eq_ignore_ascii_case("INTEGER")
        && only.name.eq_ignore_ascii_case(&contract.columns[*key].source_name))
}

impl Keys {
    fn insert(&mut self, cursor: &Cursor<'_>, first: usize, key: &[usize]) -> bool {
        let mut bytes = Vec::with_capacity(16);
        for &index in key {
            match cursor.value(first + index) {
                // A key without a value is for the checks to reject.
                Stored::Null => return true,
                Stored::Integer(value) => bytes.extend_from_slice(value.to_string().as_bytes()),
                Stored::Real(value) => bytes.extend_from_slice(value.to_string().as_bytes()),
                Stored::Text(text) | Stored::Blob(text) => bytes.extend_from_slice(text),
            }
            bytes.push(0);
        }
        let [low, high] = &self.hashers;
        self.seen
            .insert(u128::from(high.hash_one(&bytes)) << 64 | u128::from(low.hash_one(&bytes)))
    }
}

impl Reader for TableReader<'_> {
    fn source_columns(&self) -> Option<Vec<String>> {
        Some(self.source_columns.clone())
    }

    fn next_batch(&mut self) -> Result<Option<Batch>> {
        let mut batch = Batch::new(self.contract);
        let first = usize::from(self.has_rowid);
        let mut bytes = 0;
        while batch.rows() < BATCH_ROWS && bytes < BATCH_BYTES {
            if !self.cursor.step().map_err(source_error)? {
                break;
            }
            self.row += 1;
            let offset = match self.cursor.value(0) {
                Stored::Integer(rowid) if self.has_rowid => rowid,
                _ => self.row,
            };
            let rows = batch.rows();
            match self.read_row(&mut batch, first) {
                Ok(()) => batch.offsets.push(offset),
                Err((rule, column, reason)) => {
                    batch
                        .columns
                        .iter_mut()
                        .for_each(|column| column.truncate(rows));
                    let payload = self.payload(first);
                    bytes += payload.len();
                    batch.rejected.push(Rejected::new(
                        rule,
                        Some(&column),
                        reason,
                        None,
                        offset,
                        payload.as_bytes(),
                    ));
                }
            }
            // Measuring is not free: once in a while is enough for a bound.
            if rows.is_multiple_of(4096) {
                bytes = bytes.max(batch.columns.iter().map(|column| column.memory()).sum());
            }
        }
        Ok((batch.rows() > 0 || !batch.rejected.is_empty()).then_some(batch))
    }

    fn new_columns(&self) -> Vec<NewColumn> {
        self.new_columns.clone()
    }
}
