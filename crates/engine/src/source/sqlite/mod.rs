//! SQLite databases: the tables of a shop, read row by row.
//!
//! The file is opened read-only and honours its locks. What could make its content wrong or
//! incomplete is an error before the first row: write-ahead logging (the newest transactions may be
//! in a `-wal` file that was not uploaded), a lock, a file that is shorter than its header says.
//! The header is described at <https://www.sqlite.org/fileformat.html#the_database_header>.

mod cursor;
mod pages;
mod reader;
mod rows;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use tarn_core::contract::{Column, Contract, SchemaDrift};
use tarn_core::{Error, ErrorKind, Result};

use crate::drift::{self, NewColumn};

pub use reader::TableReader;

const MAGIC: &[u8] = b"SQLite format 3\0";
const HEADER_BYTES: usize = 100;

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

    /// The contract's column that is another name of the rowid: the table's INTEGER PRIMARY KEY, unless
    /// it has an index of its own, as one that is declared DESC has
    /// (<https://www.sqlite.org/lang_createtable.html#rowids_and_the_integer_primary_key>).
    fn rowid_column(
        &self,
        contract: &Contract,
        table: &str,
        columns: &[TableColumn],
    ) -> Result<Option<usize>> {
        let Some(key) = integer_key(columns) else {
            return Ok(None);
        };
        let indexes = self.names(
            "SELECT name FROM pragma_index_list(?1) WHERE origin = 'pk'",
            table,
        )?;
        let is_key = |column: &Column| column.source_name.eq_ignore_ascii_case(&key.name);
        Ok(match indexes.is_empty() {
            true => contract.columns.iter().position(is_key),
            false => None,
        })
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
        let rows = self.count(table)?;
        let mut reader = TableReader::new(self, contract, table, &columns, rows)?;
        reader.new_columns = self.new_columns(contract, table, &columns)?;
        Ok((rows, reader))
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
        let mut personal = vec![None; new.len()];
        if contract.schema_drift == SchemaDrift::Evolve {
            // They may be added: every value counts.
            let columns: Vec<TableColumn> = new.iter().map(|(_, one)| (*one).clone()).collect();
            self.scan(table, &columns, i64::MAX as u64, |index, value| {
                if let (ValueRef::Text(text), None) = (value, personal[index]) {
                    personal[index] = drift::personal_in_text(text);
                }
            })?;
        }
        let found = new.into_iter().zip(personal);
        let found = found.map(|((index, column), personal)| {
            let values: Vec<_> = rows.iter().filter_map(|row| row.get(index)).collect();
            drift::of_table_column(table, column, &values).with_personal(personal)
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

/// The one column of the primary key, where it is declared INTEGER.
fn integer_key(columns: &[TableColumn]) -> Option<&TableColumn> {
    let keys: Vec<&TableColumn> = columns.iter().filter(|column| column.key > 0).collect();
    match keys.as_slice() {
        [only] if only.declared.eq_ignore_ascii_case("INTEGER") => Some(only),
        _ => None,
    }
}
