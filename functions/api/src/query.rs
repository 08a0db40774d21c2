//! SQL queries over the lake, for the command line and HTTP alike.

use tarn_core::{Error, ErrorKind, Result};
use tarn_lake::{Lake, resolve};
use tarn_query::{Answer, Held, Query};
use tarn_table::VersionRef;

/// A query and its options.
#[derive(Debug, Clone, Default)]
pub struct QueryRequest {
    /// One SELECT.
    pub sql: String,
    /// The version to read: a number, a snapshot id or a time; the current one where None.
    pub as_of: Option<String>,
    /// The most rows to return.
    pub limit: Option<usize>,
    /// What is held until the last of the work has ended, also where the answer is dropped before its end.
    pub held: Option<Held>,
}

/// Answers a query.
///
/// # Errors
/// `BadRequest` for anything but one query that can be answered, `NotFound` for an unknown table or
/// version.
pub async fn answer(lake: &Lake, request: QueryRequest) -> Result<Answer> {
    let tables = lake.catalog.list().await?;
    let query = Query::parse(&request.sql, &|reference| resolve(&tables, reference))?;
    let as_of = match &request.as_of {
        Some(text) => VersionRef::parse(text)?,
        None => VersionRef::Current,
    };
    if !matches!(as_of, VersionRef::Current | VersionRef::AsOf(_)) && query.tables().len() > 1 {
        return Err(Error::new(
            ErrorKind::BadRequest,
            "each table counts its own versions: for several tables give a time, such as 2026-01-31T10:00:00Z",
        ));
    }
    let mut sources = Vec::new();
    for name in query.tables() {
        sources.push(lake.source(name, &as_of).await?);
    }
    lake.engine
        .run(&query, &sources, request.limit, request.held)
        .await
}
