//! Tells what a file is by its content, for putting it where a contract claims it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::{Map, Value};
use tarn_contract::{Contract, Format, LogFormat};
use tarn_core::{Error, ErrorKind, Result};

use super::{access_log, archive, bytes, csv, sqlite};

/// Bytes of text that are looked at.
pub(crate) const HEAD_BYTES: usize = 256 * 1024;

/// Lines of text that are looked at.
const LINES: usize = 20;

/// The format of a file, or None where it is none of those that the lake reads.
///
/// # Errors
/// `Storage` where the file cannot be read.
pub fn sniff(path: &Path, contracts: &[&Contract]) -> Result<Option<Format>> {
    let unreadable = |error| {
        Error::new(
            ErrorKind::Storage,
            format!("{} cannot be read", path.display()),
        )
        .with_source(error)
    };
    let mut magic = Vec::new();
    File::open(path)
        .and_then(|file| {
            file.take(sqlite::MAGIC.len() as u64)
                .read_to_end(&mut magic)
        })
        .map_err(unreadable)?;
    // A database that was encrypted is one all the same: its reader says what to do.
    if magic == sqlite::MAGIC
        || is_named_like_a_database(path) && sqlite::looks_encrypted(path).map_err(unreadable)?
    {
        return Ok(Some(Format::Sqlite));
    }
    for contract in contracts {
        if contract.format == Format::Csv && csv::reads_csv(path, contract)? {
            return Ok(Some(Format::Csv));
        }
    }
    let head = match text_head(path) {
        Ok(head) => head,
        // No text at all, or damaged: nothing that a contract could claim by its content.
        Err(error) if error.kind() == ErrorKind::BadSource => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(match format_of_text(&head, contracts) {
        None if csv::looks_like_csv(path)? => Some(Format::Csv),
        format => format,
    })
}

/// Why no contract could read a file, as far as its content shows it: it holds no text, or is damaged; or it is CSV
/// with other columns. None where it may be anything.
///
/// # Errors
/// `Storage` where the file cannot be read.
pub fn why_unread(path: &Path) -> Result<Option<String>> {
    match text_head(path) {
        Err(error) if error.kind() == ErrorKind::BadSource => Ok(Some(error.to_string())),
        Err(error) => Err(error),
        Ok(_) if csv::looks_like_csv(path)? => {
            let names = csv::names(path)?.join(", ");
            Ok(Some(format!(
                "no contract reads CSV with the columns {names}; draft one with: tarn contract infer"
            )))
        }
        Ok(_) => Ok(None),
    }
}

/// Whether a line of a text file can be read as this contract of access logs says.
///
/// # Errors
/// Where the file cannot be read.
pub fn reads_log(path: &Path, contract: &Contract) -> Result<bool> {
    let head = text_head(path)?;
    Ok(is_log(&head, contract.log_format.as_ref()))
}

fn is_log(head: &[u8], format: Option<&LogFormat>) -> bool {
    access_log::reads(format, head_lines(head).take(LINES))
}

fn is_named_like_a_database(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| {
        ["sqlite", "sqlite3", "db", "db3", "s3db", "sl3"]
            .iter()
            .any(|known| known.eq_ignore_ascii_case(extension))
    })
}

/// The first bytes of the text of a plain or gzip file, without a byte-order mark.
pub(crate) fn text_head(path: &Path) -> Result<Vec<u8>> {
    let mut head = Vec::new();
    bytes::open(path)?.fill(&mut head, HEAD_BYTES)?;
    if head.starts_with(b"\xef\xbb\xbf") {
        head.drain(..3);
    }
    Ok(head)
}

/// The first lines that are not blank; the last of a long text may be cut, so it is left out.
pub(crate) fn head_lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    let whole = if head.len() < HEAD_BYTES {
        head.len()
    } else {
        memchr::memrchr(b'\n', head).unwrap_or(0)
    };
    head[..whole]
        .split(|&byte| byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty())
}

fn format_of_text(head: &[u8], contracts: &[&Contract]) -> Option<Format> {
    let mut formats = contracts
        .iter()
        .filter_map(|contract| contract.log_format.as_ref());
    if formats.any(|format| is_log(head, Some(format))) {
        return Some(Format::AccessLog);
    }
    match head.trim_ascii_start().first()? {
        b'[' | b'{' => {
            let line = head_lines(head).next().unwrap_or_default();
            if line.starts_with(b"{") && archive::is_header(line).unwrap_or(true) {
                return Some(Format::JsonLines);
            }
            let keys = first_keys(head);
            let is_event = |contract: &&Contract| is_event(contract, &keys);
            Some(if contracts.iter().any(is_event) {
                Format::JsonLines
            } else {
                Format::SocialPosts
            })
        }
        _ => {
            let looks_like_a_log = |line: &[u8]| {
                memchr::memchr(b'[', line).is_some_and(|at| {
                    let time = &line[at + 1..];
                    time.len() > 21 && time[2] == b'/' && time[6] == b'/' && time[11] == b':'
                })
            };
            let is_log = head_lines(head).take(LINES).any(looks_like_a_log) || is_log(head, None);
            is_log.then_some(Format::AccessLog)
        }
    }
}

/// The keys of the first object, whether in an array or not; none where there is no object.
fn first_keys(head: &[u8]) -> Vec<String> {
    let text = head.trim_ascii_start();
    let text = text.strip_prefix(b"[").unwrap_or(text);
    let mut values = serde_json::Deserializer::from_slice(text).into_iter::<Map<String, Value>>();
    match values.next() {
        Some(Ok(object)) => object.into_iter().map(|(key, _)| key).collect(),
        _ => Vec::new(),
    }
}

/// Whether an object with these keys is an event of a contract: it has what the contract needs; of a contract that
/// needs nothing, half of its keys are columns, or every column is one of its keys.
fn is_event(contract: &Contract, keys: &[String]) -> bool {
    let has = |name: &str| keys.iter().any(|key| key == name);
    let mut needed = contract
        .columns
        .iter()
        .filter(|column| column.required && column.default.is_none())
        .peekable();
    let fits = match needed.peek() {
        Some(_) => needed.all(|column| {
            let name = &column.source_name;
            has(name) || has(name.split('.').next().unwrap_or_default())
        }),
        None => {
            let is_known = |key: &&String| {
                let mut columns = contract.columns.iter();
                columns.any(|column| column.source_name == **key)
            };
            let known = keys.iter().filter(is_known).count();
            known > 0 && (2 * known >= keys.len() || known == contract.columns.len())
        }
    };
    contract.format == Format::JsonLines && !keys.is_empty() && fits
}
