//! The header of CSV, and what it shows of the object: the delimiter, the line ends, where the rows begin.

use std::path::Path;

use tarn_contract::{Column, CsvLayout};
use tarn_core::{Error, ErrorKind, Result};

use super::charset::TextReader;
use super::record::{Dialect, Field, Found, Record, find};
use crate::source::bytes;

/// Bytes in which the header must end.
const HEAD_BYTES: usize = 256 * 1024;

/// Delimiters that are recognised where the contract names none.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// What Excel writes before the header to say which delimiter follows.
const SEPARATOR: &[u8] = b"sep=";

/// Rows whose fields are counted to see whether a text is CSV.
const ROWS: usize = 20;

/// How an object of CSV begins.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub dialect: Dialect,
    /// The names of the columns, without the blanks around them.
    pub names: Vec<String>,
    /// The header as it is written.
    pub raw: Vec<u8>,
    /// Whether the next rows have as many fields: at least one, and no other number.
    is_regular: bool,
}

impl Head {
    /// Reads the header; None where the object has no text.
    ///
    /// # Errors
    /// As of [`bytes::open`]; `BadSource` for a header that cannot be read.
    pub fn read(path: &Path, layout: CsvLayout, columns: &[Column]) -> Result<Option<Head>> {
        let mut reader = TextReader::new(bytes::open_in_any_charset(path)?, layout.charset)?;
        reader.fill(HEAD_BYTES)?;
        let text = &reader.text;
        let line_end = if !text.contains(&b'\n') && text.contains(&b'\r') {
            b'\r'
        } else {
            b'\n'
        };
        let mut begin = 0;
        let mut delimiter = layout.delimiter;
        loop {
            let rest = &text[begin..];
            let length = memchr::memchr(line_end, rest).unwrap_or(rest.len());
            let line = rest[..length].trim_ascii();
            match line.strip_prefix(SEPARATOR) {
                Some([separator]) => delimiter = delimiter.or(Some(*separator)),
                _ if line.is_empty() => {}
                _ => break,
            }
            if length == rest.len() && !reader.ended {
                return Err(Error::new(
                    ErrorKind::BadSource,
                    format!("the first {HEAD_BYTES} bytes have no header of CSV"),
                ));
            }
            if length == rest.len() {
                return Ok(None);
            }
            begin += length + 1;
        }
        let at = Beginning {
            text,
            begin,
            ended: reader.ended,
            line_end,
        };
        at.head(delimiter, columns).map(Some)
    }

    /// The header of an object without text.
    pub fn of_nothing(columns: &[Column]) -> Head {
        Head {
            dialect: Dialect {
                delimiter: b',',
                line_end: b'\n',
            },
            names: columns
                .iter()
                .map(|column| column.source_name.clone())
                .collect(),
            raw: Vec::new(),
            is_regular: false,
        }
    }

    /// Whether the header has every column that a contract needs, and one of its columns at least.
    pub fn fits(&self, columns: &[Column]) -> bool {
        let mut needed = columns
            .iter()
            .filter(|column| column.required && column.default.is_none());
        self.known(columns) > 0 && needed.all(|column| self.names.contains(&column.source_name))
    }

    /// Whether it looks like the header of CSV, whatever its columns: several names, all different, and rows of as
    /// many fields.
    pub fn looks_like_one(&self) -> bool {
        let mut names = self.names.clone();
        names.sort_unstable();
        names.dedup();
        let is_name = |name: &String| {
            (1..=100).contains(&name.len()) && name.chars().any(char::is_alphabetic)
        };
        names.len() > 1
            && names.len() == self.names.len()
            && names.iter().all(is_name)
            && self.is_regular
    }

    fn known(&self, columns: &[Column]) -> usize {
        columns
            .iter()
            .filter(|column| self.names.contains(&column.source_name))
            .count()
    }
}

/// Where the header is.
struct Beginning<'t> {
    text: &'t [u8],
    begin: usize,
    ended: bool,
    line_end: u8,
}

impl Beginning<'_> {
    /// The header by the delimiter under which it has the most of these columns, or else the most fields.
    fn head(&self, delimiter: Option<u8>, columns: &[Column]) -> Result<Head> {
        let candidates = delimiter.map_or(DELIMITERS.to_vec(), |delimiter| vec![delimiter]);
        let mut best: Option<(usize, Head)> = None;
        let mut fault = None;
        for delimiter in candidates {
            let dialect = Dialect {
                delimiter,
                line_end: self.line_end,
            };
            match self.with(dialect) {
                Ok(head) => {
                    let score = head.known(columns) * 10_000 + head.names.len().min(9_999);
                    if best.as_ref().is_none_or(|(best, _)| score > *best) {
                        best = Some((score, head));
                    }
                }
                Err(reason) => fault = fault.or(Some(reason)),
            }
        }
        best.map(|(_, head)| head).ok_or_else(|| {
            let why = fault.unwrap_or_default();
            Error::new(
                ErrorKind::BadSource,
                format!("the first line cannot be a header of CSV: {why}"),
            )
        })
    }

    fn with(&self, dialect: Dialect) -> std::result::Result<Head, String> {
        let mut fields = Vec::new();
        let find = |begin: usize, fields: &mut Vec<Field>| {
            find(self.text, begin, self.ended, dialect, fields)
        };
        let record = match find(self.begin, &mut fields) {
            Found::Record(record) => record,
            Found::Broken(_, reason) => return Err(reason),
            Found::Long | Found::More | Found::End => {
                return Err(format!("it does not end within {HEAD_BYTES} bytes"));
            }
        };
        let names = names(self.text, &fields);
        let mut is_regular = true;
        let (mut rows, mut next) = (0, record.next);
        while rows < ROWS {
            match find(next, &mut fields) {
                Found::Record(Record { next: after, .. }) => {
                    is_regular &= fields.len() == names.len();
                    (rows, next) = (rows + 1, after);
                }
                Found::Broken(..) | Found::Long => {
                    is_regular = false;
                    break;
                }
                Found::More | Found::End => break,
            }
        }
        Ok(Head {
            dialect,
            names,
            raw: self.text[record.begin..record.end].to_vec(),
            is_regular: is_regular && rows > 0,
        })
    }
}

fn names(text: &[u8], fields: &[Field]) -> Vec<String> {
    let mut scratch = Vec::new();
    let mut names: Vec<String> = fields
        .iter()
        .map(|field| {
            let name = field.text(text, &mut scratch);
            String::from_utf8_lossy(name).trim().to_owned()
        })
        .collect();
    // Programs write a delimiter after the last name.
    while names.len() > 1 && names.last().is_some_and(String::is_empty) {
        names.pop();
    }
    names
}
