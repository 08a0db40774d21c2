//! The rows of an answer, as they are computed.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray};
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::{Map, Value};
use tarn_core::{Error, ErrorKind, Result};
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinHandle;

use crate::error::panicked;
use crate::files::Files;
use crate::names::free;
use crate::scan::FileCounts;
use crate::stop::StopOnDrop;
use crate::types;
use crate::value::json;

/// A column of an answer.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct AnswerColumn {
    /// Its name.
    pub name: String,
    /// Its type, as contracts write types where there is one.
    #[serde(rename = "type")]
    pub ty: String,
}

/// What was read for an answer so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Scanned {
    /// Live files of the tables, once for each time that a table is named.
    pub files: u64,
    /// Files that the bounds in the manifests left out.
    pub files_pruned: u64,
    /// Files that were to be read.
    pub files_read: u64,
    /// Bytes of all live files.
    pub bytes: u64,
    /// Bytes that were read.
    pub bytes_read: u64,
    /// Reads of parts of files: requests, where the files are in S3.
    pub requests: u64,
}

/// Where what is read is counted.
pub(crate) struct Progress {
    pub files: Arc<Files>,
    pub counts: Arc<FileCounts>,
}

impl Progress {
    fn scanned(&self) -> Scanned {
        let (files, files_read) = self.counts.files();
        Scanned {
            files,
            files_pruned: files.saturating_sub(files_read),
            files_read,
            bytes: self.counts.bytes_considered.load(Ordering::Relaxed),
            bytes_read: self.files.counts.bytes.load(Ordering::Relaxed),
            requests: self.files.counts.requests.load(Ordering::Relaxed),
        }
    }
}

/// Rows, None after the last ones, or why there are no more.
pub(crate) type Given = Result<Option<RecordBatch>>;

/// The task that computes an answer. It ends when this is dropped.
pub(crate) struct Work {
    task: JoinHandle<()>,
    _stop: StopOnDrop,
}

impl Work {
    pub fn new(task: JoinHandle<()>, stop: StopOnDrop) -> Self {
        Work { task, _stop: stop }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The rows as they come from the task.
pub(crate) struct Incoming {
    rows: Receiver<Given>,
    is_complete: bool,
    _work: Work,
}

impl Incoming {
    pub fn new(rows: Receiver<Given>, work: Work) -> Self {
        Incoming {
            rows,
            is_complete: false,
            _work: work,
        }
    }

    async fn next(&mut self) -> Given {
        if self.is_complete {
            return Ok(None);
        }
        match self.rows.recv().await {
            Some(given) => {
                self.is_complete = matches!(given, Ok(None));
                given
            }
            // The task has not said that these were all.
            None => Err(panicked()),
        }
    }
}

/// An answer on its way. Dropping it ends the work.
pub struct Answer {
    /// As computed; `schema` is what readers get.
    computed: SchemaRef,
    schema: SchemaRef,
    rows: Incoming,
    limit: Option<usize>,
    given: usize,
    is_truncated: bool,
    progress: Progress,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer")
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}

impl Answer {
    pub(crate) fn new(
        computed: SchemaRef,
        rows: Incoming,
        limit: Option<usize>,
        progress: Progress,
    ) -> Self {
        let mut names: Vec<String> = Vec::new();
        let fields: Vec<Field> = computed
            .fields()
            .iter()
            .map(|field| {
                let name = free(field.name(), |name| names.iter().any(|known| known == name));
                names.push(name.clone());
                Field::new(name, types::common(field.data_type()), true)
            })
            .collect();
        Answer {
            computed,
            schema: Arc::new(Schema::new(fields)),
            rows,
            limit,
            given: 0,
            is_truncated: false,
            progress,
        }
    }

    /// Columns in order.
    pub fn columns(&self) -> Vec<AnswerColumn> {
        columns(&self.computed, &self.schema)
    }

    /// What was read for it so far.
    pub fn scanned(&self) -> Scanned {
        self.progress.scanned()
    }

    /// Whether rows beyond the limit were left out, as far as it was written.
    pub fn is_truncated(&self) -> bool {
        self.is_truncated
    }

    /// The rows that were given so far.
    pub fn given(&self) -> usize {
        self.given
    }

    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The next rows; None where there are no more.
    ///
    /// # Errors
    /// What the computation returns.
    pub(crate) async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            if self.is_truncated {
                return Ok(None);
            }
            let Some(mut batch) = self.rows.next().await? else {
                return Ok(None);
            };
            let left = self.limit.map_or(usize::MAX, |limit| limit - self.given);
            if batch.num_rows() > left {
                batch = batch.slice(0, left);
                self.is_truncated = true;
            }
            if batch.num_rows() > 0 {
                self.given += batch.num_rows();
                return converted(&batch, &self.schema)
                    .map(Some)
                    .map_err(unwritable);
            }
        }
    }

    /// All rows, in memory: for answers that are known to be small, or have a limit.
    ///
    /// # Errors
    /// What the computation returns.
    pub async fn collect(mut self) -> Result<Rows> {
        let mut batches = Vec::new();
        while let Some(batch) = self.next().await? {
            batches.push(batch);
        }
        Ok(Rows {
            columns: self.columns(),
            types: self
                .computed
                .fields()
                .iter()
                .map(|field| field.data_type().clone())
                .collect(),
            batches,
            is_truncated: self.is_truncated,
            scanned: self.scanned(),
        })
    }
}

fn columns(computed: &Schema, schema: &Schema) -> Vec<AnswerColumn> {
    let named = schema.fields().iter().zip(computed.fields());
    named
        .map(|(field, computed)| AnswerColumn {
            name: field.name().clone(),
            ty: types::type_name(computed.data_type()),
        })
        .collect()
}

pub(crate) fn unwritable(error: ArrowError) -> Error {
    Error::internal("an answer cannot be written").with_source(error)
}

/// Rows with the types that every reader knows.
fn converted(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| converted_column(column, field.data_type()))
        .collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
}

fn converted_column(column: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, ArrowError> {
    if column.data_type() == wanted {
        return Ok(Arc::clone(column));
    }
    let is_span = matches!(
        column.data_type(),
        DataType::Duration(_) | DataType::Interval(_) | DataType::Time32(_) | DataType::Time64(_)
    );
    if is_span {
        let options = FormatOptions::default()
            .with_duration_format(datafusion::arrow::util::display::DurationFormat::Pretty);
        let formatter = ArrayFormatter::try_new(column.as_ref(), &options)?;
        let texts = (0..column.len()).map(|row| {
            column
                .is_valid(row)
                .then(|| formatter.value(row).to_string())
        });
        return Ok(Arc::new(texts.collect::<StringArray>()));
    }
    // A value that does not fit is an error, not a null.
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    cast_with_options(column, wanted, &options)
}

/// The rows of an answer in memory.
#[derive(Debug)]
pub struct Rows {
    /// Columns in order.
    pub columns: Vec<AnswerColumn>,
    /// Whether rows beyond the limit were left out.
    pub is_truncated: bool,
    /// What was read for it.
    pub scanned: Scanned,
    types: Vec<DataType>,
    batches: Vec<RecordBatch>,
}

impl Rows {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// As JSON objects. Decimals, dates and times are text, so that no reader rounds them.
    pub fn objects(&self) -> impl Iterator<Item = Map<String, Value>> + '_ {
        self.batches.iter().flat_map(move |batch| {
            (0..batch.num_rows()).map(move |row| {
                self.columns
                    .iter()
                    .zip(batch.columns())
                    .map(|(column, values)| (column.name.clone(), json(values, row)))
                    .collect()
            })
        })
    }

    /// The one number of the answer; None where it is null.
    ///
    /// # Errors
    /// `BadRequest` where the answer has several rows or columns, or something else than a number.
    pub fn number(&self) -> Result<Option<f64>> {
        let wrong = |found: String| {
            Error::new(
                ErrorKind::BadRequest,
                format!("expected one number, found {found}"),
            )
        };
        let rows: Vec<&RecordBatch> = self
            .batches
            .iter()
            .filter(|batch| batch.num_rows() > 0)
            .collect();
        let ([batch], [ty], 1) = (rows.as_slice(), self.types.as_slice(), self.len()) else {
            return Err(wrong(format!(
                "{} rows of {} columns",
                self.len(),
                self.columns.len()
            )));
        };
        let column = batch.column(0);
        if column.is_null(0) {
            return Ok(None);
        }
        if !ty.is_numeric() {
            return Err(wrong(types::type_name(ty)));
        }
        let number = converted_column(column, &DataType::Float64).map_err(unwritable)?;
        let number: &datafusion::arrow::array::Float64Array =
            datafusion::arrow::array::AsArray::as_primitive(number.as_ref());
        Ok(Some(number.value(0)))
    }
}
