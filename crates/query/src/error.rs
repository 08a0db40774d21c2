//! DataFusion's errors as the lake's: what is wrong, where, and what to do. No path, plan or internal name is
//! in a message.

use std::error::Error as StdError;

use datafusion::arrow::error::ArrowError;
use datafusion::common::{DataFusionError, Diagnostic, SchemaError};
use datafusion::sql::sqlparser::ast::Statement;
use tarn_core::{Error, ErrorKind};

use crate::names::{place, suggestion};

fn bad(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::BadRequest, text)
}

/// The cause that the lake itself reported: a file that cannot be read, or is damaged.
fn own(error: &(dyn StdError + 'static)) -> Option<Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(own) = error.downcast_ref::<Error>() {
            return Some(Error::new(own.kind(), own.to_string()).retryable(own.is_retryable()));
        }
        if let Some(shared) = error.downcast_ref::<std::sync::Arc<DataFusionError>>()
            && let Some(found) = own(shared.as_ref())
        {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// Whether the query needs more memory than it may have.
pub(crate) fn is_out_of_memory(error: &DataFusionError) -> bool {
    matches!(error.find_root(), DataFusionError::ResourcesExhausted(_))
}

/// An error of a query as a message for the one who wrote it.
pub(crate) fn explained(error: &DataFusionError, statement: &Statement, memory: usize) -> Error {
    if let Some(own) = own(error) {
        return own;
    }
    if let Some(Diagnostic {
        message,
        span: Some(span),
        ..
    }) = error.diagnostic()
        && message.contains("GROUP BY")
    {
        let start = span.start;
        let named = message.split('\'').nth(1).unwrap_or_default();
        return bad(format!(
            "{}, line {}, column {}, is neither in GROUP BY nor within an aggregate such as MAX(…)",
            named.rsplit('.').next().unwrap_or_default(),
            start.line,
            start.column
        ));
    }
    let mut inner = error.find_root();
    while let DataFusionError::Context(_, within) | DataFusionError::Diagnostic(_, within) = inner {
        inner = within;
    }
    match inner {
        DataFusionError::SchemaError(error, _) => schema(error, statement),
        DataFusionError::Plan(text) if text.contains("wrong number of fields") => Error::new(
            ErrorKind::Unsupported,
            "a window beside a condition with IN or EXISTS within OR, NOT or CASE is not supported: filter in a \
             subquery in FROM",
        ),
        DataFusionError::Plan(text) => {
            bad(format!("the query cannot be answered: {}", clean(text)))
        }
        DataFusionError::NotImplemented(text) if text.contains("logical expression") => Error::new(
            ErrorKind::Unsupported,
            "this form of a correlated subquery is not supported: join with a grouped subquery instead",
        ),
        DataFusionError::NotImplemented(text) => Error::new(
            ErrorKind::Unsupported,
            format!("the query is not supported: {}", clean(text)),
        ),
        DataFusionError::Execution(text) | DataFusionError::Configuration(text) => {
            bad(format!("the query failed: {}", clean(text)))
        }
        DataFusionError::ArrowError(error, _) => arrow(error),
        DataFusionError::ResourcesExhausted(text) if text.contains("disk") => bad(format!(
            "the query needs more space on disk than it may use: narrow it by WHERE, or select fewer columns ({})",
            clean(text)
        )),
        DataFusionError::ResourcesExhausted(_) => bad(format!(
            "the query needs more than the {} MiB of memory that it may use: narrow it by WHERE, join on equal \
             columns, or aggregate before joining",
            memory / 1024 / 1024
        )),
        DataFusionError::ParquetError(_) | DataFusionError::ObjectStore(_) => {
            tracing::error!(%error, "a file of a table cannot be read");
            Error::new(ErrorKind::Storage, "a file of a table cannot be read").retryable(true)
        }
        other => {
            tracing::error!(error = %other, "a query failed within the engine");
            not_supported()
        }
    }
}

fn schema(error: &SchemaError, statement: &Statement) -> Error {
    match error {
        SchemaError::FieldNotFound {
            field,
            valid_fields,
        } => {
            let known: Vec<&str> = valid_fields.iter().map(|column| column.name()).collect();
            let near = suggestion(&field.name, known.iter().copied());
            let list = if near.is_empty() && !known.is_empty() {
                let mut list = known;
                list.dedup();
                format!("; there are {}", list.join(", "))
            } else {
                near
            };
            let name = match &field.relation {
                Some(relation) => format!("{}.{}", relation.table(), field.name),
                None => field.name.clone(),
            };
            bad(format!(
                "there is no column {name}{}{list}",
                place(statement, &field.name)
            ))
        }
        SchemaError::AmbiguousReference { field } => bad(format!(
            "the column {} is in several tables{}; write table.{}",
            field.name,
            place(statement, &field.name),
            field.name
        )),
        SchemaError::DuplicateQualifiedField { name, .. }
        | SchemaError::DuplicateUnqualifiedField { name } => bad(format!(
            "the name {name} is given twice{}; name one of them by AS",
            place(statement, name)
        )),
    }
}

fn arrow(error: &ArrowError) -> Error {
    match error {
        ArrowError::ArithmeticOverflow(_) => bad(
            "a number of the query is too large for its type: cast an operand, as in CAST(x AS DECIMAL(38, 2)) or \
             CAST(x AS DOUBLE)",
        ),
        ArrowError::DivideByZero => bad("the query divides by zero: write NULLIF(x, 0)"),
        ArrowError::CastError(text)
        | ArrowError::ParseError(text)
        | ArrowError::InvalidArgumentError(text)
        | ArrowError::ComputeError(text) => bad(format!("the query failed: {}", clean(text))),
        other => bad(format!("the query failed: {}", clean(&other.to_string()))),
    }
}

/// A message of DataFusion's as one line, without what only its developers need.
fn clean(text: &str) -> String {
    let first = text.split("\n\nbacktrace:").next().unwrap_or(text);
    let mut line = first.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "Error during planning: ",
        "Arrow error: ",
        "Execution error: ",
    ] {
        line = line.replace(part, "");
    }
    line
}

/// The error of a query that ended in a panic.
pub(crate) fn panicked() -> Error {
    tracing::error!("a query ended in a panic");
    not_supported()
}

fn not_supported() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "the query is not supported: the engine failed on it; write it in another way",
    )
}
