//! SQL over the lake's tables: one query at a time, over known tables and nothing else.

mod output;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use polars::prelude::{DataFrame, LazyFrame, PolarsError};
use polars::sql::SQLContext;
use tarn_core::schema::{ColumnType, TableField, TableName};
use tarn_core::{Error, ErrorKind, Result};

use crate::scan;

pub use output::OutputFormat;
pub use tarn_contract::sql::{Query, TableReference};

/// A table of the lake as a query sees it: its columns and files at one version.
#[derive(Debug, Clone)]
pub struct Relation {
    /// Its full name.
    pub name: TableName,
    /// Its columns.
    pub fields: Vec<TableField>,
    /// Its live data files, as local paths.
    pub files: Vec<PathBuf>,
}

/// The rows of an answer.
pub struct Answer {
    frame: DataFrame,
    /// Whether rows beyond the limit were left out.
    pub truncated: bool,
}

/// A column of an answer.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct AnswerColumn {
    /// Its name.
    pub name: String,
    /// Its type, as contracts write types where there is one.
    #[serde(rename = "type")]
    pub ty: String,
}

impl Answer {
    /// All rows of a frame.
    pub(crate) fn whole(frame: DataFrame) -> Self {
        Answer {
            frame,
            truncated: false,
        }
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.frame.height()
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
        if self.frame.height() != 1 || self.frame.width() != 1 {
            return Err(wrong(format!(
                "{} rows of {} columns",
                self.frame.height(),
                self.frame.width()
            )));
        }
        let column = &self.frame.columns()[0];
        if column.null_count() == 1 {
            return Ok(None);
        }
        let ty = column.dtype().clone();
        if !ty.is_numeric() && !ty.is_decimal() {
            return Err(wrong(output::type_name(&ty)));
        }
        let number = column.cast(&polars::prelude::DataType::Float64);
        Ok(number.map_err(refused)?.f64().map_err(refused)?.get(0))
    }

    /// Columns in order.
    pub fn columns(&self) -> Vec<AnswerColumn> {
        self.frame
            .columns()
            .iter()
            .map(|column| AnswerColumn {
                name: column.name().to_string(),
                ty: output::type_name(column.dtype()),
            })
            .collect()
    }
}

fn refused(error: PolarsError) -> Error {
    Error::new(ErrorKind::BadRequest, "the query cannot be answered").with_source(error)
}

/// Runs a checked query over the relations that it names; at most `limit` rows come back.
///
/// # Errors
/// `BadRequest` where the query names unknown columns or functions or does not type-check.
pub fn run(query: &Query, relations: &[Relation], limit: Option<usize>) -> Result<Answer> {
    let frames = relations
        .iter()
        .map(|relation| {
            Ok((
                relation.name.clone(),
                relation.fields.clone(),
                scan::table(&relation.fields, &relation.files)?,
            ))
        })
        .collect::<Result<_>>()?;
    run_frames(query, frames, limit)
}

/// Runs a checked query over tables: of each the name, the columns and the rows.
///
/// # Errors
/// As [`run`].
pub(crate) fn run_frames(
    query: &Query,
    tables: Vec<(TableName, Vec<TableField>, LazyFrame)>,
    limit: Option<usize>,
) -> Result<Answer> {
    let mut context = SQLContext::new();
    for (name, _, frame) in &tables {
        context.register(&name.to_string(), frame.clone());
    }
    let of_type = |instant: bool| {
        tables
            .iter()
            .flat_map(|(_, fields, _)| fields)
            .filter(move |field| (field.field.ty == ColumnType::Timestamp) == instant)
            .map(|field| field.field.name.as_str())
            .collect::<BTreeSet<&str>>()
    };
    // A name that is also something else in another table is left alone.
    let instants: BTreeSet<&str> = of_type(true).difference(&of_type(false)).copied().collect();
    let text = query.text(&instants);
    // Polars panics on some queries it does not support; a service must survive them.
    let frame = catch_unwind(AssertUnwindSafe(|| {
        let plan: LazyFrame = context.execute(&text)?;
        let plan = match limit {
            // One row more than asked for shows whether there were more.
            Some(limit) => plan.limit(u32::try_from(limit.saturating_add(1)).unwrap_or(u32::MAX)),
            None => plan,
        };
        plan.collect()
    }))
    .map_err(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_default();
        Error::new(
            ErrorKind::BadRequest,
            format!("the query is not supported: {text}"),
        )
    })?
    .map_err(refused)?;
    let truncated = limit.is_some_and(|limit| frame.height() > limit);
    let frame = match limit {
        Some(limit) if truncated => frame.head(Some(limit)),
        _ => frame,
    };
    Ok(Answer { frame, truncated })
}
