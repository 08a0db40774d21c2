//! Records and fields of CSV (RFC 4180), as programs and people really write them.
//!
//! - A field that begins with a quote, perhaps after blanks, ends at the next quote that is not doubled; line ends and
//!   delimiters inside belong to it. A quote inside any other field is a character like others.
//! - A record whose quotes cannot be right (something follows a closing one, or none closes within
//!   [`RECORD_LIMIT`]) is broken: its first line is not read, and the next record begins on the line after it.

use memchr::{memchr, memchr_iter, memchr2};

/// A longer record is not read. An opening quote that nothing closes would take all that follows with it.
pub(super) const RECORD_LIMIT: usize = 1 << 20;

/// What separates fields and records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dialect {
    pub delimiter: u8,
    /// `\n`, also for `\r\n`; `\r` where there is no `\n`.
    pub line_end: u8,
}

/// A field of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field {
    begin: usize,
    end: usize,
    pub is_quoted: bool,
    has_quotes: bool,
}

impl Field {
    /// The field's text.
    pub fn text<'t>(&self, text: &'t [u8], scratch: &'t mut Vec<u8>) -> &'t [u8] {
        let raw = &text[self.begin..self.end];
        if !self.has_quotes {
            return raw;
        }
        scratch.clear();
        let mut rest = raw;
        while let Some(quote) = memchr(b'"', rest) {
            scratch.extend_from_slice(&rest[..=quote]);
            rest = rest.get(quote + 2..).unwrap_or_default();
        }
        scratch.extend_from_slice(rest);
        scratch
    }

    fn is_empty(&self) -> bool {
        self.begin == self.end
    }
}

/// A record's text, `text[begin..end]`; the next one begins at `next`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    pub begin: usize,
    pub end: usize,
    pub next: usize,
}

/// What a text has at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// A record, whose fields were listed.
    Record(Record),
    /// A line that cannot be a record, and why.
    Broken(Record, String),
    /// A record that is longer than [`RECORD_LIMIT`], without its end.
    Long,
    /// More of the object is needed.
    More,
    /// Nothing: the object ends.
    End,
}

/// Finds the record that begins at `begin`, and lists its fields. `ended` says that nothing follows the text.
pub(super) fn find(
    text: &[u8],
    begin: usize,
    ended: bool,
    dialect: Dialect,
    fields: &mut Vec<Field>,
) -> Found {
    fields.clear();
    let rest = text.get(begin..).unwrap_or_default();
    if rest.is_empty() {
        return if ended { Found::End } else { Found::More };
    }
    let Some(line) = first_line(text, begin, ended, dialect) else {
        return if rest.len() > RECORD_LIMIT {
            Found::Long
        } else {
            Found::More
        };
    };
    if line.end - line.begin > RECORD_LIMIT {
        return Found::Long;
    }
    if memchr(b'"', &text[line.begin..line.end]).is_none() {
        let mut from = begin;
        for delimiter in memchr_iter(dialect.delimiter, &text[begin..line.end]) {
            fields.push(plain(from, begin + delimiter));
            from = begin + delimiter + 1;
        }
        fields.push(plain(from, line.end));
        return Found::Record(line);
    }
    let mut quoted = Quoted {
        text,
        begin,
        ended,
        dialect,
    };
    match quoted.read(fields) {
        Outcome::Record(record) => Found::Record(record),
        Outcome::More => Found::More,
        Outcome::Broken(reason) => {
            fields.clear();
            Found::Broken(line, reason)
        }
    }
}

/// The first line; None where its end is not there yet.
fn first_line(text: &[u8], begin: usize, ended: bool, dialect: Dialect) -> Option<Record> {
    let rest = &text[begin..];
    let (end, next) = match memchr(dialect.line_end, rest) {
        Some(end) => (begin + end, begin + end + 1),
        None if ended => (text.len(), text.len()),
        None => return None,
    };
    let has_return = dialect.line_end == b'\n' && text[begin..end].ends_with(b"\r");
    Some(Record {
        begin,
        end: end - usize::from(has_return),
        next,
    })
}

fn plain(begin: usize, end: usize) -> Field {
    Field {
        begin,
        end,
        is_quoted: false,
        has_quotes: false,
    }
}

/// A record that has quotes.
struct Quoted<'t> {
    text: &'t [u8],
    begin: usize,
    ended: bool,
    dialect: Dialect,
}

enum Outcome {
    Record(Record),
    Broken(String),
    More,
}

/// What follows a field.
enum After {
    Delimiter,
    LineEnd(usize),
    Else,
    More,
}

impl Quoted<'_> {
    fn read(&mut self, fields: &mut Vec<Field>) -> Outcome {
        let mut at = self.begin;
        loop {
            let begin = self.skip_blanks(at);
            let end = if self.text.get(begin) == Some(&b'"') {
                let field = match self.quoted(begin + 1, fields.len()) {
                    Ok(field) => field,
                    Err(outcome) => return outcome,
                };
                fields.push(field);
                self.skip_blanks(field.end + 1)
            } else {
                let rest = &self.text[at..];
                let (delimiter, line_end) = (self.dialect.delimiter, self.dialect.line_end);
                let end = match memchr2(delimiter, line_end, rest) {
                    Some(end) => at + end,
                    None if self.ended => self.text.len(),
                    None => return Outcome::More,
                };
                let has_return = line_end == b'\n'
                    && self.text.get(end) != Some(&delimiter)
                    && self.text[at..end].ends_with(b"\r");
                let end = end - usize::from(has_return);
                fields.push(plain(at, end));
                end
            };
            match self.after(end) {
                After::Delimiter => at = end + 1,
                After::LineEnd(next) => {
                    return Outcome::Record(Record {
                        begin: self.begin,
                        end,
                        next,
                    });
                }
                After::More => return Outcome::More,
                After::Else => {
                    return Outcome::Broken(format!(
                        "field {} has text after its closing quote",
                        fields.len()
                    ));
                }
            }
        }
    }

    /// The field after an opening quote.
    fn quoted(&self, begin: usize, number: usize) -> Result<Field, Outcome> {
        let mut has_quotes = false;
        let mut at = begin;
        let unclosed = || {
            Outcome::Broken(format!(
                "the quote that opens field {} is not closed",
                number + 1
            ))
        };
        loop {
            let Some(quote) = self.text.get(at..).and_then(|rest| memchr(b'"', rest)) else {
                let is_long = self.text.len() - self.begin > RECORD_LIMIT;
                return Err(if self.ended || is_long {
                    unclosed()
                } else {
                    Outcome::More
                });
            };
            let quote = at + quote;
            if quote - self.begin > RECORD_LIMIT {
                return Err(unclosed());
            }
            match self.text.get(quote + 1) {
                Some(b'"') => (has_quotes, at) = (true, quote + 2),
                None if !self.ended => return Err(Outcome::More),
                _ => {
                    return Ok(Field {
                        begin,
                        end: quote,
                        is_quoted: true,
                        has_quotes,
                    });
                }
            }
        }
    }

    fn after(&self, end: usize) -> After {
        let line_end = self.dialect.line_end;
        match (self.text.get(end), self.text.get(end + 1)) {
            (Some(&byte), _) if byte == self.dialect.delimiter => After::Delimiter,
            (Some(&byte), _) if byte == line_end => After::LineEnd(end + 1),
            (Some(b'\r'), Some(&byte)) if byte == line_end => After::LineEnd(end + 2),
            (Some(b'\r'), None) if self.ended => After::LineEnd(end + 1),
            (None, _) if self.ended => After::LineEnd(end),
            (None, _) | (Some(b'\r'), None) => After::More,
            _ => After::Else,
        }
    }

    fn skip_blanks(&self, at: usize) -> usize {
        let rest = self.text.get(at..).unwrap_or_default();
        let is_blank =
            |byte: &&u8| **byte == b' ' || **byte == b'\t' && self.dialect.delimiter != b'\t';
        at + rest.iter().take_while(is_blank).count()
    }
}

/// Whether the fields from this one on are all empty: programs write delimiters after the last field.
pub(super) fn are_empty(fields: &[Field]) -> bool {
    fields
        .iter()
        .all(|field| field.is_empty() && !field.is_quoted)
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
