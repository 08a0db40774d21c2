//! The routes.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tarn_contract::Contract;
use tarn_core::privacy::Protection;
use tarn_core::schema::Zone;
use tarn_core::{Error, ErrorKind, Result};
use tarn_lake::Lake;
use tarn_query::{Answer, OutputFormat};
use tokio::sync::Semaphore;

use crate::error::ApiError;
use crate::query::{QueryRequest, answer};

/// Bounds of a request.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Rows of an answer where the request does not say.
    pub default_rows: usize,
    /// Rows of an answer at most.
    pub most_rows: usize,
    /// How long a client waits for an answer.
    pub timeout: Duration,
    /// Queries that run at once; more wait.
    pub concurrency: usize,
    /// Bytes of an answer at most, as Lambda counts them (see [`sent_bytes`]); None for no bound.
    pub answer_bytes: Option<u64>,
}

/// When an answer is too late: a request may carry it as an extension, and it then bounds the query
/// in addition to [`Limits::timeout`].
#[derive(Debug, Clone, Copy)]
pub struct Deadline(pub Instant);

impl Default for Limits {
    fn default() -> Self {
        Limits {
            default_rows: 1_000,
            most_rows: 100_000,
            timeout: Duration::from_secs(29),
            concurrency: 4,
            answer_bytes: None,
        }
    }
}

struct Service {
    lake: Lake,
    limits: Limits,
    permits: Arc<Semaphore>,
}

type Shared = State<Arc<Service>>;
type Answered<T> = Result<T, ApiError>;

/// The API over a lake.
pub fn router(lake: Lake, limits: Limits) -> Router {
    let service = Service {
        lake,
        limits,
        permits: Arc::new(Semaphore::new(limits.concurrency)),
    };
    Router::new()
        .route("/health", get(health))
        .route("/ready", get(ready))
        .route("/tables", get(tables))
        .route("/tables/{table}", get(schema))
        .route("/tables/{table}/versions", get(versions))
        .route("/query", post(query))
        .fallback(unknown)
        .layer(DefaultBodyLimit::max(64 * 1024))
        .with_state(Arc::new(service))
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

async fn unknown() -> ApiError {
    ApiError(Error::new(
        ErrorKind::NotFound,
        "no such route; there are GET /health, GET /ready, GET /tables, GET /tables/{table}, \
         GET /tables/{table}/versions and POST /query",
    ))
}

/// Says that the service runs. On AWS it is open to everyone, so it reads nothing from the lake: neither
/// its content nor its costs are public.
async fn health() -> Json<Value> {
    Json(json!({ "status": "ok", "version": VERSION }))
}

/// Says that the lake answers.
async fn ready(State(service): Shared) -> Answered<Json<Value>> {
    // Listing the tables shows that the catalog answers.
    let tables = service.lake.catalog.list().await?.len();
    Ok(Json(
        json!({ "status": "ready", "version": VERSION, "tables": tables }),
    ))
}

async fn tables(State(service): Shared) -> Answered<Json<Value>> {
    let tables: Vec<Value> = service
        .lake
        .table_infos()
        .await?
        .into_iter()
        .map(|info| {
            json!({
                "table": info.name.to_string(),
                "description": info.doc,
                "rows": info.rows,
                "files": info.files,
                "versions": info.versions,
                "metadata_location": info.metadata_location,
            })
        })
        .collect();
    Ok(Json(json!({ "tables": tables })))
}

async fn schema(State(service): Shared, Path(name): Path<String>) -> Answered<Json<Value>> {
    let name = service.lake.find_table(&name).await?;
    let table = service.lake.table(&name).await?;
    let contract = (name.zone == Zone::Curated)
        .then(|| service.lake.contracts.get(&name.name))
        .flatten();
    let columns: Vec<Value> = table
        .fields()
        .into_iter()
        .map(|field| {
            let name = &field.field.name;
            let known = contract.and_then(|contract| contract.column(name));
            json!({
                "name": name,
                "type": field.field.ty.to_string(),
                "required": field.field.required,
                "description": field.field.doc,
                "primary_key": contract.is_some_and(|contract| is_key(contract, name)),
                "classification": known.and_then(|column| column.classification.as_ref()),
                "protection": known.and_then(|column| column.protection).map(Protection::as_str),
            })
        })
        .collect();
    let partitioning = table.partitioning();
    Ok(Json(json!({
        "table": name.to_string(),
        "columns": columns,
        "partitioned_by": partitioning,
        "contract": contract.map(|contract| json!({
            "name": contract.name,
            "version": contract.version,
        })),
        "metadata_location": table.metadata_location(),
    })))
}

/// Whether a column is one of the contract's primary key.
fn is_key(contract: &Contract, name: &str) -> bool {
    let columns = contract.primary_key.iter();
    columns
        .filter_map(|&index| contract.columns.get(index))
        .any(|column| column.name == name)
}

async fn versions(State(service): Shared, Path(name): Path<String>) -> Answered<Json<Value>> {
    let name = service.lake.find_table(&name).await?;
    let versions: Vec<Value> = service
        .lake
        .table(&name)
        .await?
        .versions()
        .iter()
        .map(|version| {
            json!({
                "version": version.number,
                // As text: JavaScript would round it.
                "snapshot_id": version.snapshot_id.to_string(),
                "committed_at": version.committed_at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
                "operation": version.operation,
                "rows": version.rows,
                "files": version.files,
            })
        })
        .collect();
    Ok(Json(
        json!({ "table": name.to_string(), "versions": versions }),
    ))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QueryBody {
    sql: String,
    #[serde(default)]
    format: Option<String>,
    #[serde(default)]
    as_of: Option<Value>,
    #[serde(default)]
    limit: Option<usize>,
}

async fn query(
    State(service): Shared,
    deadline: Option<Extension<Deadline>>,
    body: Result<Json<QueryBody>, JsonRejection>,
) -> Answered<Response> {
    let Json(body) = body.map_err(|rejection| {
        Error::new(
            ErrorKind::BadRequest,
            format!(
                "send {{\"sql\": \"SELECT …\"}} as application/json: {}",
                rejection.body_text()
            ),
        )
    })?;
    let format = match body.format.as_deref() {
        None => None,
        Some(name) => Some(OutputFormat::parse(name).ok_or_else(|| {
            let names: Vec<&str> = OutputFormat::NAMES.iter().map(|(name, _)| *name).collect();
            Error::new(
                ErrorKind::BadRequest,
                format!("no format {name}; there are {}", names.join(", ")),
            )
        })?),
    };
    let as_of = match body.as_of {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text),
        Some(Value::Number(number)) => Some(number.to_string()),
        Some(_) => {
            return Err(
                Error::new(ErrorKind::BadRequest, "as_of is a version number or a time").into(),
            );
        }
    };
    let limits = service.limits;
    let limit = body
        .limit
        .unwrap_or(limits.default_rows)
        .min(limits.most_rows);
    let busy = |_| {
        Error::new(ErrorKind::Storage, "the query takes too long; ask for less").retryable(true)
    };
    let left =
        deadline.map(|Extension(Deadline(end))| end.saturating_duration_since(Instant::now()));
    let timeout = left.map_or(limits.timeout, |left| left.min(limits.timeout));
    // Writing is part of the query: the time and the permit last until the end of it. Where a client leaves,
    // or the time is over, this future is dropped, which ends the work; the permit is free once it has ended.
    let (media_type, bytes) = tokio::time::timeout(timeout, async {
        let permit = Arc::clone(&service.permits).acquire_owned().await;
        let permit = permit
            .map_err(|error| Error::internal("the service is shutting down").with_source(error))?;
        let request = QueryRequest {
            sql: body.sql,
            as_of,
            limit: Some(limit),
            held: Some(Arc::new(permit)),
        };
        let answer = answer(&service.lake, request).await?;
        written(answer, format, limits.answer_bytes).await
    })
    .await
    .map_err(busy)??;
    if let Some(most) = limits.answer_bytes {
        let sent = sent_bytes(media_type, &bytes);
        if sent > most {
            return Err(too_large(sent, most).into());
        }
    }
    Ok(([(CONTENT_TYPE, media_type)], bytes).into_response())
}

const JSON: &str = "application/json";

/// A body that grows to a bound.
struct Body {
    bytes: Vec<u8>,
    most: u64,
    is_full: bool,
}

impl Write for Body {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if (self.bytes.len() + bytes.len()) as u64 > self.most {
            self.is_full = true;
            return Err(std::io::Error::other("the answer is too large"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

async fn written(
    mut answer: Answer,
    format: Option<OutputFormat>,
    most: Option<u64>,
) -> Result<(&'static str, Vec<u8>)> {
    let mut body = Body {
        bytes: Vec::new(),
        most: most.unwrap_or(u64::MAX),
        is_full: false,
    };
    let written = match format {
        Some(format) => answer.write(format, &mut body).await,
        None => answer.write_document(&mut body).await,
    };
    match (written, most) {
        (Err(_), Some(most)) if body.is_full => Err(too_large(most + 1, most)),
        (Err(error), _) => Err(error),
        (Ok(()), _) => Ok((format.map_or(JSON, OutputFormat::media_type), body.bytes)),
    }
}

/// Bytes of an answer as Lambda sends them: a text as a JSON string, anything else in Base64.
pub fn sent_bytes(media_type: &str, bytes: &[u8]) -> u64 {
    if !media_type.starts_with("text/") && !media_type.starts_with(JSON) {
        return (bytes.len() as u64).div_ceil(3) * 4;
    }
    bytes
        .iter()
        .map(|byte| match byte {
            b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0C => 2,
            0x00..0x20 => 6,
            _ => 1,
        })
        .sum()
}

fn too_large(sent: u64, most: u64) -> Error {
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    Error::new(
        ErrorKind::BadRequest,
        format!(
            "the answer has {:.1} MB as it is sent, and at most {:.1} MB can be: ask for fewer rows with \
             LIMIT or \"limit\", for fewer columns, or for the smaller \"format\": \"parquet\"",
            megabytes(sent),
            megabytes(most)
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_counted_as_lambda_sends_it() {
        let text = "{\"a\":\"x\\\\y\\n\u{1}ü\"}\n\u{1}\t";
        let sent = serde_json::to_string(text).unwrap_or_default().len() as u64 - 2;
        assert_eq!(sent_bytes("application/json", text.as_bytes()), sent);
        assert_eq!(sent_bytes("text/csv; charset=utf-8", text.as_bytes()), sent);
        for (bytes, sent) in [(0, 0), (1, 4), (3, 4), (4, 8)] {
            let media_type = "application/vnd.apache.parquet";
            assert_eq!(sent_bytes(media_type, &vec![0; bytes]), sent);
        }
    }
}
