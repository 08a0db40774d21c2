//! A table's rows as batches of its contract's columns.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashSet;
use serde_json::{Map, Value};
use tarn_core::Result;
use tarn_core::contract::{Contract, SchemaDrift};

use crate::batch::{Batch, Reader, Rejected};
use crate::drift::{self, NewColumn};
use crate::source::sqlite::cursor::{Cursor, Stored};
use crate::source::sqlite::rows::Rows;
use crate::source::sqlite::{Database, TableColumn, integer_key, quoted, source_error};
use crate::source::value::{Decoder, Scalar};

/// A batch ends after so many rows or so many bytes of text.
const BATCH_ROWS: usize = 64 * 1024;
const BATCH_BYTES: usize = 16 << 20;

/// Reads the rows of one table.
pub struct TableReader<'a> {
    contract: &'a Contract,
    rows: Rows<'a>,
    decoders: Vec<Decoder>,
    /// Names of the table's columns.
    source_columns: Vec<String>,
    /// Which column of the rows is the rowid.
    rowid: Option<usize>,
    row: i64,
    /// Primary keys seen so far, where the database does not keep them unique itself.
    keys: Option<Keys>,
    pub(super) new_columns: Vec<NewColumn>,
}

struct Keys {
    seen: HashSet<u128>,
    hashers: [RandomState; 2],
}

impl<'a> TableReader<'a> {
    pub(super) fn new(
        database: &'a Database,
        contract: &'a Contract,
        table: &str,
        columns: &[TableColumn],
    ) -> Result<Self> {
        let wanted: Vec<&str> = contract
            .columns
            .iter()
            .map(|column| column.source_name.as_str())
            .collect();
        let list: Vec<String> = wanted.iter().map(|name| quoted(name)).collect();
        let sql = format!("SELECT {} FROM {}", list.join(", "), quoted(table));
        let connection = &database.connection;
        let with_rowid = format!("SELECT {}, _rowid_ FROM {}", list.join(", "), quoted(table));
        // Tables made WITHOUT ROWID have none.
        let (rows, rowid) = if Cursor::open(connection, &with_rowid).is_err() {
            (Rows::of_query(connection, sql), None)
        } else if let Some(column) = database.rowid_column(contract, table, columns)? {
            // Each value that is not asked for twice saves a tenth of a narrow row's time.
            let name = contract.columns[column].source_name.as_str();
            let rows = Rows::of_table(connection, table, &wanted, Some(name), sql);
            (rows, Some(column))
        } else {
            let rows = Rows::of_table(connection, table, &wanted, None, with_rowid);
            (rows, Some(wanted.len()))
        };
        let rows = rows.map_err(source_error)?;
        let decoders = contract
            .columns
            .iter()
            .map(Decoder::new)
            .collect::<Result<_>>()?;
        Ok(TableReader {
            contract,
            rows,
            decoders,
            source_columns: columns.iter().map(|column| column.name.clone()).collect(),
            rowid,
            row: 0,
            keys: (!is_rowid_key(contract, columns)).then(|| Keys {
                seen: HashSet::new(),
                hashers: [RandomState::new(), RandomState::new()],
            }),
            new_columns: Vec::new(),
        })
    }

    /// Reads the current row into the batch, or says why it is rejected: rule, column, reason.
    fn read_row(&mut self, batch: &mut Batch) -> Result<(), (String, String, String)> {
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
            let scalar = match self.rows.value(index) {
                Stored::Null => {
                    decoder.push_missing(data);
                    continue;
                }
                Stored::Integer(value) if decoder.push_integer(value, data) => continue,
                Stored::Integer(value) => Scalar::Integer(value),
                Stored::Real(value) => Scalar::Real(value),
                Stored::Text(bytes) if is_utf8(bytes) => Scalar::Text(bytes),
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
            && !keys.insert(&self.rows, &self.contract.primary_key)
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
    fn payload(&self) -> String {
        let object: Map<String, Value> = self
            .contract
            .columns
            .iter()
            .enumerate()
            .map(|(index, column)| {
                let value = match self.rows.value(index) {
                    Stored::Null => Value::Null,
                    Stored::Integer(value) => Value::from(value),
                    Stored::Real(value) => Value::from(value),
                    Stored::Text(bytes) => Value::from(crate::quarantine::payload_text(bytes).0),
                    Stored::Blob(bytes) => Value::from(hex::encode(bytes)),
                };
                (column.source_name.clone(), value)
            })
            .collect();
        Value::Object(object).to_string()
    }
}

/// Most values of a shop are a few ASCII characters, for which a loop is faster than SIMD.
#[inline]
fn is_utf8(text: &[u8]) -> bool {
    text.is_ascii() || simdutf8::basic::from_utf8(text).is_ok()
}

fn type_fault(column: &str, reason: String) -> (String, String, String) {
    (format!("{column}.type"), column.to_owned(), reason)
}

/// Whether the primary key is the table's INTEGER PRIMARY KEY, which SQLite keeps unique by itself.
fn is_rowid_key(contract: &Contract, columns: &[TableColumn]) -> bool {
    let [key] = contract.primary_key.as_slice() else {
        return contract.primary_key.is_empty();
    };
    integer_key(columns).is_some_and(|only| {
        only.name
            .eq_ignore_ascii_case(&contract.columns[*key].source_name)
    })
}

impl Keys {
    fn insert(&mut self, rows: &Rows<'_>, key: &[usize]) -> bool {
        let mut bytes = Vec::with_capacity(16);
        for &index in key {
            match rows.value(index) {
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
        for column in &mut batch.columns {
            column.reserve(BATCH_ROWS);
        }
        let mut bytes = 0;
        while batch.rows() < BATCH_ROWS && bytes < BATCH_BYTES {
            if !self.rows.step().map_err(source_error)? {
                break;
            }
            self.row += 1;
            let offset = match self.rowid.map(|column| self.rows.value(column)) {
                Some(Stored::Integer(rowid)) => rowid,
                _ => self.row,
            };
            let rows = batch.rows();
            match self.read_row(&mut batch) {
                Ok(()) => batch.offsets.push(offset),
                Err((rule, column, reason)) => {
                    batch
                        .columns
                        .iter_mut()
                        .for_each(|column| column.truncate(rows));
                    let payload = self.payload();
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
