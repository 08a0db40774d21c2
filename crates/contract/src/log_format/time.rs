//! Times that are written by directives of `strftime`, in one `%{…}t` of Apache or in several of them.

use std::fmt::Write;
use std::iter::Peekable;

use chrono::format::{Item, StrftimeItems};
use chrono::{DateTime, FixedOffset, NaiveDateTime};

use super::{LogFormatFault, Piece, wrong};

/// How a time is written.
#[derive(Debug, Clone, PartialEq)]
pub struct LogTimePattern {
    format: String,
    /// A time as it is written.
    example: String,
    /// Whether it is in UTC by a `Z` in the text.
    is_utc: bool,
}

/// Reads the rest of a time, from the pieces after its first directive: texts and further directives.
pub(super) fn pattern(
    first: String,
    pieces: &mut Peekable<impl Iterator<Item = Piece> + Clone>,
) -> Result<LogTimePattern, LogFormatFault> {
    let mut format = first;
    loop {
        // A text belongs to the time where another of its directives follows.
        let mut ahead = pieces.clone();
        let mut text = String::new();
        while let Some(Piece::Text(char)) = ahead.next_if(|piece| matches!(piece, Piece::Text(_))) {
            text.push(char);
            if char == '%' {
                text.push('%');
            }
        }
        let Some(Piece::Time(next)) = ahead.next() else {
            return LogTimePattern::of(format);
        };
        format += &text;
        format += &next;
        *pieces = ahead;
    }
}

impl LogTimePattern {
    fn of(format: String) -> Result<Self, LogFormatFault> {
        let items: Vec<Item<'_>> = StrftimeItems::new(&format).collect();
        if items.contains(&Item::Error)
            || ["%e", "%k", "%l", "%c", "%x", "%X"]
                .iter()
                .any(|one| format.contains(one))
        {
            return Err(wrong(
                format!("logFormat has a time '{format}' that cannot be read"),
                "use directives of a fixed width and in English, such as %Y-%m-%dT%H:%M:%S%z",
            ));
        }
        let is_utc = format.ends_with('Z') && !format.ends_with("%Z");
        let has_zone = ["%z", "%:z", "%s", "%+"]
            .iter()
            .any(|one| format.contains(one));
        if !has_zone && !is_utc {
            return Err(wrong(
                format!("logFormat has a time '{format}' without an offset from UTC"),
                "have the server write it too: %z; or Z after the time, where its clock is in UTC",
            ));
        }
        let mut example = String::new();
        // 2026-11-30T10:11:12Z.
        let time = DateTime::from_timestamp(1_796_033_472, 0)
            .map(|time| time.fixed_offset())
            .unwrap_or_default();
        let parsed = write!(example, "{}", time.format_with_items(items.iter()))
            .is_ok()
            .then(|| parse(&format, is_utc, &example))
            .flatten();
        if parsed != Some(time) {
            return Err(wrong(
                format!("logFormat has a time '{format}' that does not say when"),
                "it needs year, month, day, hour, minute and second, as %Y-%m-%dT%H:%M:%S%z",
            ));
        }
        Ok(LogTimePattern {
            format,
            example,
            is_utc,
        })
    }

    /// How often this byte is in a time.
    pub fn count_of(&self, byte: u8) -> usize {
        self.example.bytes().filter(|&other| other == byte).count()
    }

    /// Reads a time.
    pub fn parse(&self, text: &str) -> Option<DateTime<FixedOffset>> {
        parse(&self.format, self.is_utc, text)
    }
}

fn parse(format: &str, is_utc: bool, text: &str) -> Option<DateTime<FixedOffset>> {
    if is_utc {
        let time = NaiveDateTime::parse_from_str(text, format).ok()?;
        return Some(time.and_utc().fixed_offset());
    }
    DateTime::parse_from_str(text, format).ok()
}
