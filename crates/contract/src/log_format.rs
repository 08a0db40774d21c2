//! The layout of an access log's lines, in the notation of the server that writes them: Apache's `LogFormat`
//! (`%h %l %u %t "%r" %>s %b`) or nginx's `log_format` (`$remote_addr [$time_local] "$request" $status`).
//!
//! References: <https://httpd.apache.org/docs/2.4/mod/mod_log_config.html#formats> and
//! <https://nginx.org/en/docs/http/ngx_http_log_module.html#log_format>.

use std::fmt;

mod apache;
mod nginx;
mod time;

pub use time::LogTimePattern;

/// A layout: texts, with fields between them.
#[derive(Debug, Clone, PartialEq)]
pub struct LogFormat {
    notation: String,
    /// What comes before the first field.
    pub start: String,
    /// The fields in order.
    pub fields: Vec<LogField>,
    /// Whether control characters, quotes and others are written as JSON escapes them: the layout is an object.
    pub is_json: bool,
}

/// A field of a line.
#[derive(Debug, Clone, PartialEq)]
pub struct LogField {
    /// What it says.
    pub value: LogValue,
    /// The text that follows it; empty only after the last field.
    pub after: String,
}

/// What a field of an access log says.
#[derive(Debug, Clone, PartialEq)]
pub enum LogValue {
    /// When the request was received.
    Time(LogTime),
    /// The client's address or host name, or a list of addresses that the request was forwarded for.
    Client,
    /// Addresses that the request was forwarded for.
    ForwardedFor,
    /// The server's name, perhaps with a port.
    Server,
    /// The server's port.
    Port,
    /// The identity of RFC 1413.
    Ident,
    /// The user of HTTP authentication.
    User,
    /// Method, target and protocol.
    Request,
    /// The method.
    Method,
    /// The target with its query.
    Target,
    /// The target without its query.
    Path,
    /// The query, perhaps after a question mark.
    Query,
    /// The protocol.
    Protocol,
    /// The status of the answer.
    Status,
    /// Bytes of the answer's body.
    Bytes,
    /// Bytes received, the head of the request included.
    BytesReceived,
    /// Bytes sent, the head of the answer included.
    BytesSent,
    /// How long the request took.
    Duration(LogUnit),
    /// The referer.
    Referer,
    /// The user agent.
    Agent,
    /// Anything else: it is skipped.
    Other,
}

/// How a time is written.
#[derive(Debug, Clone, PartialEq)]
pub enum LogTime {
    /// `10/Oct/2000:13:55:36 -0700`; with `brackets`, they are part of the field.
    Common {
        /// Whether the field has brackets around it.
        brackets: bool,
    },
    /// ISO 8601 with an offset.
    Iso,
    /// The time since 1970-01-01T00:00:00Z, in this unit, perhaps with a fraction.
    Epoch(LogUnit),
    /// By directives of `strftime`.
    Pattern(LogTimePattern),
}

/// A unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogUnit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// Microseconds.
    Microseconds,
}

impl LogUnit {
    /// Microseconds of one.
    pub fn micros(self) -> i64 {
        match self {
            LogUnit::Seconds => 1_000_000,
            LogUnit::Milliseconds => 1_000,
            LogUnit::Microseconds => 1,
        }
    }
}

/// What a notation consists of, before it is a layout.
#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Text(char),
    Field(LogValue),
    /// `%{…}t` of Apache with a `strftime` format, or the fraction of its second.
    Time(String),
}

/// What is wrong with a notation, and what to write instead.
pub type LogFormatFault = (String, String);

fn wrong(what: impl Into<String>, help: impl Into<String>) -> LogFormatFault {
    (what.into(), help.into())
}

impl LogFormat {
    /// Parses a notation: nginx's where it has a `$` before a letter, else Apache's. Of several fields with the same
    /// meaning the first counts; Apache's `%>s` counts before `%s`.
    ///
    /// # Errors
    /// What is wrong with it: a directive that is unknown, two fields without a text between them, or no time.
    pub fn parse(notation: &str) -> Result<Self, LogFormatFault> {
        let pieces = if nginx::is_notation(notation) {
            nginx::pieces(notation)
        } else {
            apache::pieces(notation)?
        };
        let (start, fields) = layout(pieces)?;
        if !fields
            .iter()
            .any(|field| matches!(field.value, LogValue::Time(_)))
        {
            return Err(wrong(
                "logFormat has no time",
                "add the field that the log writes it with: %t of Apache, $time_local or $time_iso8601 of nginx",
            ));
        }
        let is_json = start.trim_start().starts_with('{');
        Ok(LogFormat {
            notation: notation.to_owned(),
            start,
            fields: first_of_each(fields),
            is_json,
        })
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.notation)
    }
}

/// The text before the first field, and the fields with the texts after them.
fn layout(pieces: Vec<Piece>) -> Result<(String, Vec<LogField>), LogFormatFault> {
    let mut start = String::new();
    let mut fields: Vec<LogField> = Vec::new();
    let mut pieces = pieces.into_iter().peekable();
    while let Some(piece) = pieces.next() {
        let value = match piece {
            Piece::Text(text) => {
                let before = fields
                    .last_mut()
                    .map_or(&mut start, |field| &mut field.after);
                before.push(text);
                continue;
            }
            Piece::Field(value) => value,
            Piece::Time(first) => {
                LogValue::Time(LogTime::Pattern(time::pattern(first, &mut pieces)?))
            }
        };
        if let Some(before) = fields.last()
            && before.after.is_empty()
        {
            return Err(wrong(
                "logFormat has two fields without a text between them",
                "a reader cannot tell where the first one ends: have the server write a space or another text there",
            ));
        }
        fields.push(LogField {
            value,
            after: String::new(),
        });
    }
    if fields.is_empty() {
        return Err(wrong(
            "logFormat has no field",
            "write the server's own notation, for example %h %l %u %t \"%r\" %>s %b",
        ));
    }
    Ok((start, fields))
}

/// The fields, in which a second one of the same meaning is skipped.
fn first_of_each(mut fields: Vec<LogField>) -> Vec<LogField> {
    let mut seen = Vec::new();
    for field in &mut fields {
        let meaning = std::mem::discriminant(&field.value);
        if field.value != LogValue::Other && seen.contains(&meaning) {
            field.value = LogValue::Other;
        }
        seen.push(meaning);
    }
    // An address that the request was forwarded for is the client's where the log has no other.
    if !fields.iter().any(|field| field.value == LogValue::Client)
        && let Some(field) = fields
            .iter_mut()
            .find(|field| field.value == LogValue::ForwardedFor)
    {
        field.value = LogValue::Client;
    }
    fields
}

#[cfg(test)]
mod tests;
