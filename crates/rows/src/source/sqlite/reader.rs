//! A table's rows as batches of its contract's columns.

use serde_json::{Map, Value};
use tarn_contract::{Contract, Encoding, SchemaDrift};
use tarn_core::schema::ColumnType;
use tarn_core::{Result, rule_id};

use crate::batch::{Batch, NewColumn, Reader, Rejected, RowPlace, TableColumn, Violation};
use crate::column::ColumnData;
use crate::display::payload_text;
use crate::reason::Reason;
use crate::source::sqlite::cursor::Stored;
use crate::source::sqlite::rows::Rows;
use crate::source::sqlite::{Database, quoted, source_error};
use crate::source::value::{Decoder, Scalar};

/// A batch ends after this many rows or this many bytes of text.
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
    /// Whether the database keeps the primary keys of the rows apart.
    unique_keys: bool,
    /// The table's rows by the database's own count.
    expected_rows: u64,
    pub(super) new_columns: Vec<NewColumn>,
}

impl<'a> TableReader<'a> {
    pub(super) fn new(
        database: &'a Database,
        contract: &'a Contract,
        table: &str,
        columns: &[TableColumn],
        expected_rows: u64,
    ) -> Result<Self> {
        let alias = database.rowid_column(contract, table, columns)?;
        let wanted: Vec<&str> = contract
            .columns
            .iter()
            .map(|column| column.source_name.as_str())
            .collect();
        let list: Vec<String> = wanted.iter().map(|name| quoted(name)).collect();
        let sql = format!("SELECT {} FROM {}", list.join(", "), quoted(table));
        let connection = &database.connection;
        // Tables made WITHOUT ROWID have none.
        let (rows, rowid) = match database.rowid_name(table, columns) {
            None => (Rows::of_query(connection, sql), None),
            Some(rowid) => match alias {
                // Each value that is not asked for twice saves a tenth of a narrow row's time.
                Some(column) => {
                    let name = contract.columns[column].source_name.as_str();
                    let rows = Rows::of_table(connection, table, &wanted, Some(name), sql);
                    (rows, Some(column))
                }
                None => {
                    let sql = format!("SELECT {}, {rowid} FROM {}", list.join(", "), quoted(table));
                    let rows = Rows::of_table(connection, table, &wanted, None, sql);
                    (rows, Some(wanted.len()))
                }
            },
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
            unique_keys: keeps_keys_apart(contract, alias),
            expected_rows,
            new_columns: Vec::new(),
        })
    }

    /// Reads the current row into the batch, or says why it is rejected.
    fn read_row(&mut self, batch: &mut Batch) -> Result<(), Violation> {
        if self.contract.schema_drift == SchemaDrift::Quarantine
            && let Some(new) = self.new_columns.first()
        {
            let reason = format!("the contract knows no column {}", new.name);
            return Err(Violation::new(
                rule_id::SCHEMA_DRIFT,
                Some(&new.name),
                reason,
            ));
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
                    return Err(type_fault(&column.name, "text that is not UTF-8".into()));
                }
                Stored::Blob(bytes) => {
                    let found = format!("a blob of {} bytes", bytes.len());
                    let reason = Reason::mismatch(decoder.expected(), found);
                    return Err(type_fault(&column.name, reason));
                }
            };
            decoder
                .push(scalar, data)
                .map_err(|reason| type_fault(&column.name, reason))?;
        }
        Ok(())
    }

    /// Notes the primary key of the current row, which was rejected, as the table would keep it: a part
    /// that cannot be read is null. Tells where it is in the batch's keys.
    fn note_key(&self, batch: &mut Batch) -> usize {
        let key = &self.contract.primary_key;
        if batch.unread_keys.is_empty() {
            let columns = key.iter().map(|&index| &self.contract.columns[index]);
            batch.unread_keys = columns.map(|column| ColumnData::new(&column.ty)).collect();
        }
        let place = batch.unread_keys.first().map_or(0, ColumnData::len);
        for (&index, data) in key.iter().zip(&mut batch.unread_keys) {
            let decoder = &self.decoders[index];
            let read = match self.rows.value(index) {
                Stored::Integer(value) => {
                    decoder.push_integer(value, data)
                        || decoder.push(Scalar::Integer(value), data).is_ok()
                }
                Stored::Real(value) => decoder.push(Scalar::Real(value), data).is_ok(),
                Stored::Text(bytes) if is_utf8(bytes) => {
                    decoder.push(Scalar::Text(bytes), data).is_ok()
                }
                Stored::Null | Stored::Text(_) | Stored::Blob(_) => false,
            };
            data.truncate(place + usize::from(read));
            if !read {
                data.push_null();
            }
        }
        place
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
                    Stored::Text(bytes) => Value::from(payload_text(bytes).0),
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

fn type_fault(column: &str, reason: Reason) -> Violation {
    Violation::new(rule_id::type_of(column), Some(column), reason)
}

/// Whether the primary key is another name of the rowid, which SQLite keeps unique, and different numbers
/// stay different values.
fn keeps_keys_apart(contract: &Contract, alias: Option<usize>) -> bool {
    let [key] = contract.primary_key.as_slice() else {
        return contract.primary_key.is_empty();
    };
    let column = &contract.columns[*key];
    alias == Some(*key)
        && matches!(column.ty, ColumnType::Int | ColumnType::Long)
        && column.encoding == Encoding::Natural
}

impl Reader for TableReader<'_> {
    fn has_unique_keys(&self) -> bool {
        self.unique_keys
    }

    fn expected_rows(&self) -> Option<u64> {
        Some(self.expected_rows)
    }

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
                Err(violation) => {
                    batch
                        .columns
                        .iter_mut()
                        .for_each(|column| column.truncate(rows));
                    let payload = self.payload();
                    bytes += payload.len();
                    let key = self.note_key(&mut batch);
                    let place = RowPlace { line: None, offset };
                    batch.rejected.push(Rejected {
                        key: Some(key),
                        ..Rejected::new(violation, place, payload.as_bytes())
                    });
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
