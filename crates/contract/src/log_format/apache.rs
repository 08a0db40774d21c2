//! The notation of Apache: `%`, perhaps a condition (`!200,304`) and `<` or `>`, perhaps an argument in braces, and
//! a letter. `\"`, `\n` and `\t` are as in the server's configuration.

use super::{LogFormatFault, LogTime, LogUnit, LogValue, Piece, wrong};

pub(super) fn pieces(notation: &str) -> Result<Vec<Piece>, LogFormatFault> {
    let mut pieces = Vec::new();
    // The status of the request before redirections, which counts only where that of the last is not logged.
    let mut originals = Vec::new();
    let mut rest = notation;
    while let Some(first) = rest.chars().next() {
        rest = &rest[first.len_utf8()..];
        match first {
            '\\' => {
                let mut chars = rest.chars();
                let text = match chars.next() {
                    Some('n') => '\n',
                    Some('t') => '\t',
                    Some(char @ ('"' | '\\')) => char,
                    _ => {
                        pieces.push(Piece::Text('\\'));
                        continue;
                    }
                };
                rest = chars.as_str();
                pieces.push(Piece::Text(text));
            }
            '%' => {
                let (directive, after) = Directive::read(rest)?;
                rest = after;
                if directive.letter == "s" && directive.is_original {
                    originals.push(pieces.len());
                }
                pieces.push(directive.piece()?);
            }
            text => pieces.push(Piece::Text(text)),
        }
    }
    let status = Piece::Field(LogValue::Status);
    let is_final =
        |(place, piece): (usize, &Piece)| *piece == status && !originals.contains(&place);
    if pieces.iter().enumerate().any(is_final) {
        for place in originals {
            pieces[place] = Piece::Field(LogValue::Other);
        }
    }
    Ok(pieces)
}

/// A directive, without its `%`.
struct Directive<'n> {
    /// The text between its braces.
    argument: Option<&'n str>,
    /// Its letter, or `^` and two letters.
    letter: &'n str,
    /// Whether it is of the request before redirections.
    is_original: bool,
}

impl<'n> Directive<'n> {
    /// Reads one, and returns the notation after it.
    fn read(notation: &'n str) -> Result<(Self, &'n str), LogFormatFault> {
        let condition = |char: char| char.is_ascii_digit() || matches!(char, '!' | ',');
        let mut rest = notation.trim_start_matches(condition);
        let mut is_original = !rest.starts_with('>');
        let mut argument = None;
        // The modifier and the argument come in either order.
        for _ in 0..2 {
            if let Some(after) = rest.strip_prefix(['<', '>']) {
                is_original = rest.starts_with('<');
                rest = after;
            }
            if let Some(after) = rest.strip_prefix('{') {
                let Some((inner, next)) = after.split_once('}') else {
                    return Err(wrong(
                        "logFormat has braces that are not closed",
                        "close them with }",
                    ));
                };
                (argument, rest) = (Some(inner), next);
            }
        }
        let length = match rest.strip_prefix('^') {
            Some(after) => 1 + after.chars().take(2).map(char::len_utf8).sum::<usize>(),
            None => rest.chars().next().map_or(0, char::len_utf8),
        };
        let (letter, rest) = rest.split_at(length);
        let directive = Directive {
            argument,
            letter,
            is_original,
        };
        Ok((directive, rest))
    }

    fn piece(&self) -> Result<Piece, LogFormatFault> {
        let header = self.argument.unwrap_or_default().to_ascii_lowercase();
        let value = match (self.letter, self.argument) {
            ("%", _) => return Ok(Piece::Text('%')),
            ("t", None) => LogValue::Time(LogTime::Common { brackets: true }),
            ("t", Some(format)) => return time(format),
            ("h" | "a", _) => LogValue::Client,
            ("v" | "V", _) => LogValue::Server,
            ("p", None | Some("canonical" | "local")) => LogValue::Port,
            ("l", _) => LogValue::Ident,
            ("u", _) => LogValue::User,
            ("r", _) => LogValue::Request,
            ("m", _) => LogValue::Method,
            ("U", _) => LogValue::Path,
            ("q", _) => LogValue::Query,
            ("H", _) => LogValue::Protocol,
            ("s", _) => LogValue::Status,
            ("b" | "B", _) => LogValue::Bytes,
            ("I", _) => LogValue::BytesReceived,
            ("O", _) => LogValue::BytesSent,
            ("D", _) | ("T", Some("us")) => LogValue::Duration(LogUnit::Microseconds),
            ("T", Some("ms")) => LogValue::Duration(LogUnit::Milliseconds),
            ("T", _) => LogValue::Duration(LogUnit::Seconds),
            ("i", _) if header == "x-forwarded-for" => LogValue::ForwardedFor,
            ("i", _) if header == "host" => LogValue::Server,
            ("i", _) if header == "referer" => LogValue::Referer,
            ("i", _) if header == "user-agent" => LogValue::Agent,
            ("i" | "o" | "e" | "n" | "C" | "x" | "c" | "g", Some(_)) => LogValue::Other,
            ("A" | "f" | "k" | "L" | "p" | "P" | "R" | "S" | "X", _) => LogValue::Other,
            ("^FB" | "^FU", _) => LogValue::Other,
            ("^ti" | "^to", Some(_)) => LogValue::Other,
            _ => {
                return Err(wrong(
                    format!("logFormat has the unknown directive '%{}'", self.letter),
                    "use those of Apache's mod_log_config, with %% for a percent sign, or nginx's variables",
                ));
            }
        };
        Ok(Piece::Field(value))
    }
}

/// `%{…}t`.
fn time(format: &str) -> Result<Piece, LogFormatFault> {
    let format = match format.split_once(':') {
        Some(("begin", format)) => format,
        Some(("end", _)) => return Ok(Piece::Field(LogValue::Other)),
        _ => format,
    };
    Ok(match format {
        "sec" => Piece::Field(LogValue::Time(LogTime::Epoch(LogUnit::Seconds))),
        "msec" => Piece::Field(LogValue::Time(LogTime::Epoch(LogUnit::Milliseconds))),
        "usec" => Piece::Field(LogValue::Time(LogTime::Epoch(LogUnit::Microseconds))),
        "msec_frac" => Piece::Time("%3f".to_owned()),
        "usec_frac" => Piece::Time("%6f".to_owned()),
        "" => {
            return Err(wrong(
                "logFormat has a time without a format",
                "write %t, or a format such as %{%Y-%m-%dT%H:%M:%S%z}t",
            ));
        }
        _ => Piece::Time(format.to_owned()),
    })
}
