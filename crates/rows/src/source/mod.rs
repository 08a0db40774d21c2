//! Readers of the sources: each turns an object into batches of the contract's columns.

mod access_log;
pub mod archive;
mod batch_builder;
pub mod bytes;
pub mod content;
mod csv;
pub(crate) mod json;
pub mod json_lines;
mod line_reader;
pub(crate) mod lines;
mod measuring;
pub(crate) mod number;
pub mod sniff;
mod social;
pub mod sqlite;
pub mod time;
pub(crate) mod value;
mod written;

use std::collections::BTreeSet;
use std::path::Path;

use tarn_contract::{Contract, Format};
use tarn_core::{Error, Result};

use crate::batch::{Reader, UpTo};
use crate::display;

pub(crate) use csv::names as csv_names;
pub use csv::reads_csv;
pub use sniff::{reads_log, sniff, why_unread};

/// Opens an object of lines or documents as its contract says.
///
/// # Errors
/// `BadSource` where the content shows that it is something else.
pub fn open(contract: &Contract, path: &Path) -> Result<Box<dyn Reader>> {
    Ok(match contract.format {
        Format::AccessLog => Box::new(access_log::AccessLogReader::new(
            bytes::open(path)?,
            contract,
            access_log::AccessLogOptions::default(),
        )?),
        Format::SocialPosts => Box::new(social::SocialReader::open(path, contract)?),
        Format::JsonLines => Box::new(json_lines::JsonLinesReader::new(
            bytes::open(path)?,
            &sniff::text_head(path)?,
            contract,
        )?),
        Format::Csv => Box::new(csv::CsvReader::new(
            bytes::open_in_any_charset(path)?,
            path,
            contract,
        )?),
        Format::Sqlite => return Err(Error::internal("a database is not read as lines")),
    })
}

/// Which lines of a log are read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Part {
    /// The byte that they begin at, which begins a line.
    pub from: u64,
    /// The byte that the last of them begins at; None reads to the end.
    pub last: Option<i64>,
}

/// Opens a part of a log. Offsets and line numbers are those of the whole. Where `lengths` is given, all of
/// the object is measured on the way, at the usual lengths and at these.
///
/// # Errors
/// As of [`open`]; `BadSource` where the object ends before the part begins, `Internal` for a contract
/// whose objects are not logs.
pub fn open_part(
    contract: &Contract,
    path: &Path,
    part: &Part,
    lengths: Option<&BTreeSet<u64>>,
) -> Result<Box<dyn Reader>> {
    let mut input = match contract.format {
        Format::Csv => bytes::open_in_any_charset(path)?,
        _ => bytes::open(path)?,
    };
    if let Some(lengths) = lengths {
        input.measure(lengths);
    }
    input.skip(part.from)?;
    let reader: Box<dyn Reader> = match contract.format {
        Format::AccessLog => Box::new(access_log::AccessLogReader::of_part(
            input,
            bytes::open(path)?,
            part.from,
            contract,
        )?),
        Format::JsonLines => {
            let head = sniff::text_head(path)?;
            Box::new(json_lines::JsonLinesReader::new(input, &head, contract)?)
        }
        Format::Csv => Box::new(csv::CsvReader::new(input, path, contract)?),
        Format::SocialPosts | Format::Sqlite => {
            return Err(Error::internal("only logs are read in parts"));
        }
    };
    Ok(match part.last {
        Some(last) => Box::new(UpTo::new(reader, last)),
        None => reader,
    })
}

/// The rows at one place of an object, as they were received: several where records of a stream were
/// sent together.
///
/// # Errors
/// Those of the reader.
pub fn payloads_at(
    contract: &Contract,
    reader: &mut dyn Reader,
    offset: i64,
) -> Result<Vec<Vec<u8>>> {
    let mut found = Vec::new();
    while let Some(batch) = reader.next_batch()? {
        let here = batch.rejected.iter().filter(|row| row.offset == offset);
        found.extend(here.map(|row| row.payload.clone()));
        for row in (0..batch.rows()).filter(|&row| batch.offsets[row] == offset) {
            found.push(match batch.payload(row) {
                Some(payload) => payload.to_vec(),
                None => display::row_as_json(contract, &batch.columns, row).into_bytes(),
            });
        }
    }
    Ok(found)
}
