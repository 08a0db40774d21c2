//! Answers as text and files.

use std::io::Write;

use comfy_table::{CellAlignment, Table, TableComponent, presets};
use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::ipc::writer::FileWriter;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::arrow::arrow_writer::ArrowWriterOptions;
use datafusion::parquet::basic::Compression;
use datafusion::parquet::errors::ParquetError;
use datafusion::parquet::file::properties::WriterProperties;
use serde_json::{Map, Value};
use tarn_core::{Error, ErrorKind, Result};

use crate::answer::Answer;
use crate::value::{json, text};

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

fn closed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Storage, "the answer cannot be written").with_source(error)
}

/// The library wraps what the output returned, such as a closed pipe.
fn closed_parquet(error: ParquetError) -> Error {
    match error {
        ParquetError::External(inner) => {
            Error::new(ErrorKind::Storage, "the answer cannot be written").with_source(inner)
        }
        other => closed(other),
    }
}

impl Answer {
    /// Writes the answer as it is computed. A table for people is aligned, so its rows are collected first.
    ///
    /// # Errors
    /// What the computation returns; `Storage` where the output cannot be written.
    pub async fn write(
        &mut self,
        format: OutputFormat,
        out: &mut (dyn Write + Send),
    ) -> Result<()> {
        match format {
            OutputFormat::Table => self.write_table(out).await,
            OutputFormat::Json => self.write_json(out).await,
            OutputFormat::Ndjson => self.write_ndjson(out).await,
            OutputFormat::Csv => self.write_csv(out).await,
            OutputFormat::Parquet => self.write_parquet(out).await,
            OutputFormat::Arrow => self.write_arrow(out).await,
        }
    }

    fn names(&self) -> Vec<String> {
        let fields = self.schema().fields().iter();
        fields.map(|field| field.name().clone()).collect()
    }

    async fn write_json(&mut self, out: &mut (dyn Write + Send)) -> Result<()> {
        let names = self.names();
        out.write_all(b"[").map_err(closed)?;
        let mut is_first = true;
        while let Some(batch) = self.next().await? {
            for row in 0..batch.num_rows() {
                let separator: &[u8] = if is_first { b"\n " } else { b",\n " };
                out.write_all(separator).map_err(closed)?;
                is_first = false;
                serde_json::to_writer(&mut *out, &object(&names, batch.columns(), row))
                    .map_err(closed)?;
            }
        }
        out.write_all(b"\n]\n").map_err(closed)
    }

    /// Writes one JSON object: `columns`, `rows`, `row_count`, `truncated`, and `scanned`, what was read for it.
    ///
    /// # Errors
    /// As of [`Answer::write`].
    pub async fn write_document(&mut self, out: &mut (dyn Write + Send)) -> Result<()> {
        out.write_all(b"{\"columns\":").map_err(closed)?;
        serde_json::to_writer(&mut *out, &self.columns()).map_err(closed)?;
        out.write_all(b",\"rows\":").map_err(closed)?;
        self.write_json(out).await?;
        let end = serde_json::json!({
            "row_count": self.given(),
            "truncated": self.is_truncated(),
            "scanned": self.scanned(),
        });
        let end = end.to_string();
        write!(out, ",{}", end.trim_start_matches('{')).map_err(closed)
    }

    async fn write_ndjson(&mut self, out: &mut (dyn Write + Send)) -> Result<()> {
        let names = self.names();
        while let Some(batch) = self.next().await? {
            for row in 0..batch.num_rows() {
                serde_json::to_writer(&mut *out, &object(&names, batch.columns(), row))
                    .map_err(closed)?;
                out.write_all(b"\n").map_err(closed)?;
            }
        }
        Ok(())
    }

    async fn write_csv(&mut self, out: &mut (dyn Write + Send)) -> Result<()> {
        let mut csv = csv::Writer::from_writer(out);
        csv.write_record(self.names()).map_err(closed)?;
        while let Some(batch) = self.next().await? {
            for row in 0..batch.num_rows() {
                csv.write_record(batch.columns().iter().map(|values| text(values, row)))
                    .map_err(closed)?;
            }
        }
        csv.flush().map_err(closed)
    }

    async fn write_parquet(&mut self, out: &mut (dyn Write + Send)) -> Result<()> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(Default::default()))
            .set_max_row_group_row_count(Some(ROW_GROUP))
            .build();
        let options = ArrowWriterOptions::new()
            .with_properties(properties)
            .with_skip_arrow_metadata(true);
        let mut writer = ArrowWriter::try_new_with_options(out, self.schema().clone(), options)
            .map_err(closed_parquet)?;
        while let Some(batch) = self.next().await? {
            writer.write(&batch).map_err(closed_parquet)?;
        }
        writer.close().map(drop).map_err(closed_parquet)
    }

    async fn write_arrow(&mut self, out: &mut (dyn Write + Send)) -> Result<()> {
        let mut writer = FileWriter::try_new(out, self.schema()).map_err(closed)?;
        while let Some(batch) = self.next().await? {
            writer.write(&batch).map_err(closed)?;
        }
        writer.finish().map_err(closed)
    }

    async fn write_table(&mut self, out: &mut (dyn Write + Send)) -> Result<()> {
        let mut table = Table::new();
        table.load_preset(presets::UTF8_HORIZONTAL_ONLY);
        table.remove_style(TableComponent::HorizontalLines);
        table.remove_style(TableComponent::MiddleIntersections);
        table.set_header(self.names());
        while let Some(batch) = self.next().await? {
            for row in 0..batch.num_rows() {
                table.add_row(batch.columns().iter().map(|values| text(values, row)));
            }
        }
        for (index, field) in self.schema().fields().iter().enumerate() {
            if field.data_type().is_numeric()
                && let Some(column) = table.column_mut(index)
            {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        writeln!(out, "{table}").map_err(closed)?;
        let rows = self.given();
        let plural = if rows == 1 { "" } else { "s" };
        let more = if self.is_truncated() {
            ", and more"
        } else {
            ""
        };
        writeln!(out, "{rows} row{plural}{more}").map_err(closed)
    }
}

fn object(names: &[String], columns: &[ArrayRef], row: usize) -> Map<String, Value> {
    let values = columns.iter().map(|values| json(values, row));
    names.iter().cloned().zip(values).collect()
}
