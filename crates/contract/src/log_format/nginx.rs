//! The notation of nginx: variables after `$`, any other text as it is.

use super::{LogTime, LogUnit, LogValue, Piece};

/// Whether a notation is nginx's: it names a variable.
pub(super) fn is_notation(notation: &str) -> bool {
    let is_variable = |(at, _): (usize, &str)| {
        let name = notation[at + 1..].trim_start_matches('{');
        name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
    };
    notation.match_indices('$').any(is_variable)
}

pub(super) fn pieces(notation: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = notation;
    while let Some(first) = rest.chars().next() {
        let after = &rest[first.len_utf8()..];
        let (name, next) = match (first, after.strip_prefix('{')) {
            ('$', Some(braced)) => braced.split_once('}').unwrap_or(("", after)),
            ('$', None) => {
                let is_name = |char: char| char.is_ascii_alphanumeric() || char == '_';
                after.split_at(after.find(|char| !is_name(char)).unwrap_or(after.len()))
            }
            _ => ("", after),
        };
        if name.is_empty() {
            pieces.push(Piece::Text(first));
            rest = after;
        } else {
            pieces.push(Piece::Field(value(name)));
            rest = next;
        }
    }
    pieces
}

/// What a variable says. A server may define variables of its own: any other is skipped.
fn value(name: &str) -> LogValue {
    match name {
        "time_local" => LogValue::Time(LogTime::Common { brackets: false }),
        "time_iso8601" => LogValue::Time(LogTime::Iso),
        "msec" => LogValue::Time(LogTime::Epoch(LogUnit::Seconds)),
        "remote_addr" => LogValue::Client,
        "http_x_forwarded_for" | "proxy_add_x_forwarded_for" => LogValue::ForwardedFor,
        "host" | "http_host" | "server_name" => LogValue::Server,
        "server_port" => LogValue::Port,
        "remote_user" => LogValue::User,
        "request" => LogValue::Request,
        "request_method" => LogValue::Method,
        "request_uri" => LogValue::Target,
        "uri" | "document_uri" => LogValue::Path,
        "args" | "query_string" => LogValue::Query,
        "server_protocol" => LogValue::Protocol,
        "status" => LogValue::Status,
        "body_bytes_sent" => LogValue::Bytes,
        "bytes_sent" => LogValue::BytesSent,
        "request_length" => LogValue::BytesReceived,
        "request_time" => LogValue::Duration(LogUnit::Seconds),
        "http_referer" => LogValue::Referer,
        "http_user_agent" => LogValue::Agent,
        _ => LogValue::Other,
    }
}
