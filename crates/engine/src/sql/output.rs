//! Answers as text and files.

use std::io::Write;

use polars::prelude::{AnyValue, DataType, PolarsError, SerWriter, TimeUnit};
use polars_io::ipc::IpcWriter;
use polars_io::parquet::write::ParquetWriter;
use serde_json::{Map, Value};
use tarn_core::{Error, ErrorKind, Result};

use super::Answer;
use tarn_rows::display;

/// Rows of a row group of a Parquet file.
const ROW_GROUP: usize = 64 * 1024;

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputFormat {
    /// For people, aligned.
    Table,
    /// One JSON array of objects.
    Json,
    /// One JSON object per line.
    Ndjson,
    /// RFC 4180 with a header line; a null is an empty field.
    Csv,
    /// A Parquet file.
    Parquet,
    /// An Arrow IPC file.
    Arrow,
}

impl OutputFormat {
    /// The formats by name.
    pub const NAMES: [(&'static str, OutputFormat); 6] = [
        ("table", OutputFormat::Table),
        ("json", OutputFormat::Json),
        ("ndjson", OutputFormat::Ndjson),
        ("csv", OutputFormat::Csv),
        ("parquet", OutputFormat::Parquet),
        ("arrow", OutputFormat::Arrow),
    ];

    /// The format of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::NAMES
            .into_iter()
            .find(|(known, _)| *known == name)
            .map(|(_, format)| format)
    }

    /// Whether the bytes are not for a terminal.
    pub fn is_binary(self) -> bool {
        matches!(self, OutputFormat::Parquet | OutputFormat::Arrow)
    }

    /// The media type for HTTP.
    pub fn media_type(self) -> &'static str {
        match self {
            OutputFormat::Table => "text/plain; charset=utf-8",
            OutputFormat::Json => "application/json",
            OutputFormat::Ndjson => "application/x-ndjson",
            OutputFormat::Csv => "text/csv; charset=utf-8",
            OutputFormat::Parquet => "application/vnd.apache.parquet",
            OutputFormat::Arrow => "application/vnd.apache.arrow.file",
        }
    }
}

/// The name of a type in answers: the contract's name where it has one.
pub(super) fn type_name(dtype: &DataType) -> String {
    match dtype {
        DataType::String => "string".to_owned(),
        DataType::Int32 => "int".to_owned(),
        DataType::Int64 => "bigint".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Date => "date".to_owned(),
        DataType::Datetime(_, Some(_)) => "timestamptz".to_owned(),
        DataType::Decimal(precision, scale) => format!("decimal({precision},{scale})"),
        DataType::List(inner) => format!("array<{}>", type_name(inner)),
        other => other.to_string(),
    }
}

fn micros(value: i64, unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Nanoseconds => value.div_euclid(1_000),
        TimeUnit::Microseconds => value,
        TimeUnit::Milliseconds => value.saturating_mul(1_000),
    }
}

/// A value as JSON. Decimals, dates and times are text, so that no reader rounds them.
fn json(value: AnyValue<'_>) -> Value {
    match value {
        AnyValue::Null => Value::Null,
        AnyValue::Boolean(value) => Value::from(value),
        AnyValue::String(text) => Value::from(text),
        AnyValue::StringOwned(text) => Value::from(text.as_str()),
        AnyValue::UInt8(value) => Value::from(value),
        AnyValue::UInt16(value) => Value::from(value),
        AnyValue::UInt32(value) => Value::from(value),
        AnyValue::UInt64(value) => Value::from(value),
        AnyValue::Int8(value) => Value::from(value),
        AnyValue::Int16(value) => Value::from(value),
        AnyValue::Int32(value) => Value::from(value),
        AnyValue::Int64(value) => Value::from(value),
        AnyValue::Float32(value) => Value::from(value),
        AnyValue::Float64(value) => Value::from(value),
        AnyValue::Date(day) => Value::from(display::date(day)),
        AnyValue::Datetime(value, unit, _) => Value::from(display::timestamp(micros(value, unit))),
        AnyValue::DatetimeOwned(value, unit, _) => {
            Value::from(display::timestamp(micros(value, unit)))
        }
        AnyValue::Decimal(value, _, scale) => Value::from(display::decimal(
            value,
            u8::try_from(scale).unwrap_or(u8::MAX),
        )),
        AnyValue::List(items) => items.iter().map(json).collect(),
        other => Value::from(other.to_string()),
    }
}

fn text(value: AnyValue<'_>) -> String {
    match json(value) {
        Value::Null => String::new(),
        Value::String(text) => text,
        other => other.to_string(),
    }
}

fn failed(error: PolarsError) -> Error {
    Error::internal("the answer cannot be encoded").with_source(error)
}

fn closed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Storage, "the answer cannot be written").with_source(error)
}

impl Answer {
    fn value(&self, column: usize, row: usize) -> Result<AnyValue<'_>> {
        self.frame.columns()[column].get(row).map_err(failed)
    }

    /// The rows as JSON objects.
    pub fn objects(&self) -> impl Iterator<Item = Result<Map<String, Value>>> + '_ {
        let names: Vec<String> = self
            .frame
            .columns()
            .iter()
            .map(|column| column.name().to_string())
            .collect();
        (0..self.rows()).map(move |row| {
            names
                .iter()
                .enumerate()
                .map(|(column, name)| Ok((name.clone(), json(self.value(column, row)?))))
                .collect()
        })
    }

    /// The rows as texts, for a table or CSV.
    pub fn texts(&self) -> impl Iterator<Item = Result<Vec<String>>> + '_ {
        (0..self.rows()).map(|row| {
            (0..self.frame.width())
                .map(|column| Ok(text(self.value(column, row)?)))
                .collect()
        })
    }

    /// Writes the answer.
    pub fn write(&mut self, format: OutputFormat, out: &mut dyn Write) -> Result<()> {
        match format {
            OutputFormat::Table => self.write_table(out),
            OutputFormat::Json => {
                out.write_all(b"[").map_err(closed)?;
                for (index, object) in self.objects().enumerate() {
                    out.write_all(if index == 0 { b"\n " } else { b",\n " })
                        .map_err(closed)?;
                    serde_json::to_writer(&mut *out, &object?).map_err(closed)?;
                }
                out.write_all(b"\n]\n").map_err(closed)
            }
            OutputFormat::Ndjson => {
                for object in self.objects() {
                    serde_json::to_writer(&mut *out, &object?).map_err(closed)?;
                    out.write_all(b"\n").map_err(closed)?;
                }
                Ok(())
            }
            OutputFormat::Csv => {
                let mut csv = csv::Writer::from_writer(out);
                csv.write_record(
                    self.frame
                        .columns()
                        .iter()
                        .map(|column| column.name().as_str()),
                )
                .map_err(closed)?;
                for row in self.texts() {
                    csv.write_record(row?).map_err(closed)?;
                }
                csv.flush().map_err(closed)
            }
            // The library gives each page of a column the nulls of all of them: one page is right.
            OutputFormat::Parquet => ParquetWriter::new(out)
                .with_row_group_size(Some(ROW_GROUP))
                .with_data_page_size(Some(usize::MAX))
                .finish(&mut self.frame)
                .map_err(failed)
                .map(drop),
            OutputFormat::Arrow => IpcWriter::new(out).finish(&mut self.frame).map_err(failed),
        }
    }

    fn write_table(&self, out: &mut dyn Write) -> Result<()> {
        let mut table = comfy_table::Table::new();
        table.load_preset(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
        table.remove_style(comfy_table::TableComponent::HorizontalLines);
        table.remove_style(comfy_table::TableComponent::MiddleIntersections);
        table.set_header(
            self.frame
                .columns()
                .iter()
                .map(|column| column.name().as_str()),
        );
        for row in self.texts() {
            table.add_row(row?);
        }
        for (index, column) in self.frame.columns().iter().enumerate() {
            if column.dtype().is_numeric()
                && let Some(column) = table.column_mut(index)
            {
                column.set_cell_alignment(comfy_table::CellAlignment::Right);
            }
        }
        writeln!(out, "{table}").map_err(closed)?;
        let rows = self.rows();
        let plural = if rows == 1 { "" } else { "s" };
        let more = if self.truncated { ", and more" } else { "" };
        writeln!(out, "{rows} row{plural}{more}").map_err(closed)
    }
}
