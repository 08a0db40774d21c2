//! `tarn query`

use std::fs::File;
use std::io::{BufWriter, IsTerminal, Read, Write};
use std::process::ExitCode;

use tarn_api::query::{QueryRequest, answer};
use tarn_core::{Error, ErrorKind, Result};
use tarn_query::{Limits, OutputFormat, Scanned};

use crate::cli::{Format, Global, QueryArgs};
use crate::session::{open, shown};
use crate::terminal::{Terminal, closed, count, plural};

/// Answers a query.
pub async fn run(global: &Global, args: &QueryArgs, terminal: &Terminal) -> Result<ExitCode> {
    let format = match args.format {
        Format::Table if terminal.is_json() => OutputFormat::Json,
        Format::Table => OutputFormat::Table,
        Format::Json => OutputFormat::Json,
        Format::Ndjson => OutputFormat::Ndjson,
        Format::Csv => OutputFormat::Csv,
        Format::Parquet => OutputFormat::Parquet,
        Format::Arrow => OutputFormat::Arrow,
    };
    if format.is_binary() && args.out.is_none() && std::io::stdout().is_terminal() {
        return Err(Error::new(
            ErrorKind::BadRequest,
            "this format is not for a terminal; name a file with --out, or redirect the output",
        ));
    }
    let session = open(global).await?;
    let request = QueryRequest {
        sql: sql(args)?,
        as_of: args.as_of.clone(),
        limit: args.limit,
        held: None,
    };
    let memory = mebibytes(args.memory);
    let lake = session.lake.with_limits(Limits {
        query_memory: memory,
        memory,
        ..Limits::default()
    });
    let mut answer = answer(&lake, request).await?;
    match &args.out {
        None => {
            let mut out = BufWriter::new(std::io::stdout());
            answer.write(format, &mut out).await?;
            out.flush().map_err(closed)?;
        }
        Some(path) => {
            let unwritable = |error| {
                Error::new(
                    ErrorKind::BadRequest,
                    format!("{} cannot be written", path.display()),
                )
                .with_source(error)
            };
            let mut out = BufWriter::new(File::create(path).map_err(unwritable)?);
            answer.write(format, &mut out).await?;
            out.flush().map_err(unwritable)?;
            terminal.note(&format!(
                "{} in {}",
                plural(answer.given() as u64, "row"),
                shown(path)
            ));
        }
    }
    if let Some(read) = read(answer.scanned()) {
        terminal.note(&read);
    }
    Ok(ExitCode::SUCCESS)
}

/// What was read for an answer; None where it is of no file.
fn read(scanned: Scanned) -> Option<String> {
    (scanned.files > 0).then(|| {
        format!(
            "read {} of {}, {} of {} bytes, in {}",
            count(scanned.files_read),
            plural(scanned.files, "file"),
            count(scanned.bytes_read),
            count(scanned.bytes),
            plural(scanned.requests, "request"),
        )
    })
}

/// Bytes.
pub fn mebibytes(number: u32) -> usize {
    usize::try_from(number).map_or(usize::MAX, |number| number.saturating_mul(1024 * 1024))
}

fn sql(args: &QueryArgs) -> Result<String> {
    if args.sql != "-" {
        return Ok(args.sql.clone());
    }
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| {
            Error::new(
                ErrorKind::BadRequest,
                "the query cannot be read from standard input",
            )
            .with_source(error)
        })?;
    Ok(text)
}
