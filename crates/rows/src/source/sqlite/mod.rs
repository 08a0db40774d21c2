//! SQLite databases: the tables of a shop, read row by row.
//!
//! The file is opened read-only and honours its locks. What could make its content wrong or
//! incomplete is an error before the first row: write-ahead logging (the newest transactions may be
//! in a `-wal` file that was not uploaded), a lock, a file that is shorter than its header says.
//! The header is described at <https://www.sqlite.org/fileformat.html#the_database_header>.

mod collation;
mod cursor;
mod header;
mod pages;
mod reader;
mod rows;
mod schema;

use crate::batch::TableColumn;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, OpenFlags};
use tarn_contract::{Contract, SchemaDrift};
use tarn_core::{Error, ErrorKind, Result};

use tarn_core::privacy::personal_in_text;

use crate::batch::{NewColumn, NewValues};

pub(crate) use header::{MAGIC, looks_encrypted};
pub use reader::TableReader;
pub use schema::ForeignKey;
use schema::{Kind, ODD};

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
        Some(ErrorCode::NotADatabase) => "the file is not a SQLite database, or it is encrypted",
        Some(ErrorCode::SystemIoFailure) => {
            "the database cannot be read to its end; is it complete?"
        }
        Some(ErrorCode::OperationInterrupted) => {
            "a column is computed by comparing texts by a collation that only the database's own \
             application knows; leave the column out, or upload a copy in which it is stored"
        }
        _ if says(&error, "no such function") || says(&error, "unknown function") => {
            "a column is computed by a function that only the database's own application knows; leave \
             the column out, or upload a copy in which it is stored"
        }
        _ => "the database cannot be read",
    };
    let locked = matches!(
        code,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    );
    bad(text).with_source(error).retryable(locked)
}

/// Whether SQLite's message is about this.
fn says(error: &rusqlite::Error, about: &str) -> bool {
    match error {
        rusqlite::Error::SqliteFailure(_, Some(message)) => message.starts_with(about),
        rusqlite::Error::SqlInputError { msg, .. } => msg.starts_with(about),
        _ => false,
    }
}

fn quoted(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
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
        header::check(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(source_error)?;
        connection
            .busy_timeout(LOCK_PATIENCE)
            .map_err(source_error)?;
        collation::stand_in(&connection).map_err(source_error)?;
        // The file is foreign: no function of its schema is to run, no damaged cell to be followed.
        connection
            .execute_batch("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; BEGIN;")
            .map_err(source_error)?;
        let database = Database { connection };
        // The first read takes the lock and fails here where there is none to be had.
        database.tables()?;
        Ok(database)
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

    /// The stored values of a column in some rows of a table, for guessing what it holds.
    fn sample(&self, table: &str, column: &str, rows: u32) -> rusqlite::Result<Vec<Value>> {
        let sql = format!(
            "SELECT {} FROM {} LIMIT {rows}",
            quoted(column),
            quoted(table)
        );
        let mut statement = self.connection.prepare(&sql)?;
        let mut found = statement.query([])?;
        let mut values = Vec::new();
        while let Some(row) = found.next()? {
            values.push(match row.get_ref(0)? {
                ValueRef::Null => Value::Null,
                ValueRef::Integer(value) => Value::Integer(value),
                ValueRef::Real(value) => Value::Real(value),
                ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
                ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
            });
        }
        Ok(values)
    }

    /// Why the first rows of a table cannot show a column; None where they can. A column that is computed
    /// when it is read may need a function that only its application has, or fail on a value.
    pub(crate) fn why_unreadable(
        &self,
        table: &str,
        column: &TableColumn,
        rows: u64,
    ) -> Option<Error> {
        if column.name.contains(ODD) {
            return Some(bad("its name is not UTF-8"));
        }
        if !column.computed {
            return None;
        }
        let sql = format!(
            "SELECT count(c) FROM (SELECT {} AS c FROM {} LIMIT {rows})",
            quoted(&column.name),
            quoted(table)
        );
        let counted = self
            .connection
            .query_row(&sql, [], |row| row.get::<_, i64>(0));
        counted.err().map(source_error)
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

    /// The row count of a contract's table by the database's own word, and a reader of its rows.
    ///
    /// # Errors
    /// `BadSource` where the database has no such table or the table lacks a column.
    pub fn table<'a>(&'a self, contract: &'a Contract) -> Result<(u64, TableReader<'a>)> {
        let table = source_table(contract);
        let relations = self.relations()?;
        let found = relations
            .iter()
            .find(|relation| relation.name.eq_ignore_ascii_case(table));
        let table = match found.map(|found| (&found.kind, found.name.as_str())) {
            Some((Kind::Table | Kind::Shadow, name)) => name,
            Some((Kind::View, name)) => {
                return Err(bad(format!(
                    "{name}, which contract {} reads, is a view; name the table whose rows it shows, or \
                     upload a copy in which it is a table: CREATE TABLE … AS SELECT * FROM {name}",
                    contract.dataset
                )));
            }
            Some((Kind::Virtual(module), name)) => {
                return Err(bad(format!(
                    "{name}, which contract {} reads, is a virtual table of the module {module}; name the \
                     table that it looks into, or upload a copy in which it is a plain table",
                    contract.dataset
                )));
            }
            None => {
                let names = self.tables()?;
                return Err(bad(format!(
                    "the database has no table {table}, which contract {} reads; it has {}",
                    contract.dataset,
                    if names.is_empty() {
                        "none".to_owned()
                    } else {
                        names.join(", ")
                    }
                )));
            }
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
        let new: Vec<&TableColumn> = columns
            .iter()
            .filter(|column| {
                !contract
                    .columns
                    .iter()
                    .any(|known| known.source_name.eq_ignore_ascii_case(&column.name))
            })
            .collect();
        if new.is_empty() || contract.schema_drift == SchemaDrift::Ignore {
            return Ok(Vec::new());
        }
        // They may be added: every value counts.
        let every = match contract.schema_drift {
            SchemaDrift::Evolve => i64::MAX as u64,
            _ => u64::from(SAMPLE_ROWS),
        };
        let mut found = Vec::with_capacity(new.len());
        for column in new {
            if let Some(why) = self.why_unreadable(table, column, every) {
                found.push(NewColumn {
                    name: column.name.clone(),
                    values: NewValues::Unreadable {
                        table: table.to_owned(),
                        why: why.to_string(),
                    },
                    rows: 0,
                    personal: None,
                });
                continue;
            }
            let values = self
                .sample(table, &column.name, SAMPLE_ROWS)
                .map_err(source_error)?;
            let mut personal = None;
            if contract.schema_drift == SchemaDrift::Evolve {
                self.scan(table, std::slice::from_ref(column), every, |_, value| {
                    if let (ValueRef::Text(text), None) = (value, personal) {
                        personal = personal_in_text(text);
                    }
                })?;
            }
            found.push(NewColumn {
                name: column.name.clone(),
                values: NewValues::Stored {
                    table: table.to_owned(),
                    declared: column.clone(),
                    values,
                },
                rows: 0,
                personal,
            });
        }
        Ok(found)
    }
}

fn source_table(contract: &Contract) -> &str {
    contract
        .source_table
        .as_deref()
        .unwrap_or(&contract.dataset)
}

#[cfg(test)]
mod tests;
