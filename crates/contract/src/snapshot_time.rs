//! The time of a database snapshot: the moment whose state it shows. It orders the snapshots of a
//! database, in whatever order they arrive.

use std::fmt;

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use regex::{Captures, Regex};
use serde::{Deserialize, Serialize};

use tarn_core::{Error, ErrorKind, Result};

/// How the time of a snapshot is known.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum SnapshotTime {
    /// By the one ISO 8601 date or time in the file's name; where there is none, or several that differ, by
    /// the time of the put.
    #[default]
    Name,
    /// By the time of the put only.
    Put,
    /// By a date or time in the key, written as the pattern says. The part `ingest_date=…`, which says when
    /// the object arrived, does not count.
    Key(TimePattern),
    /// By the greatest value of this column of the contract's table.
    Column(String),
}

impl SnapshotTime {
    /// Parses `name`, `put`, `key:<pattern>` or `column:<name>`; the error says what to write instead.
    pub fn parse(text: &str) -> std::result::Result<Self, String> {
        match text.split_once(':') {
            None if text == "name" => Ok(SnapshotTime::Name),
            None if text == "put" => Ok(SnapshotTime::Put),
            Some(("key", pattern)) => TimePattern::parse(pattern).map(SnapshotTime::Key),
            Some(("column", name)) if !name.is_empty() => Ok(SnapshotTime::Column(name.to_owned())),
            _ => Err(
                "write name, put, a pattern such as key:%Y%m%d-%H%M, or a column such as column:updated_at"
                    .to_owned(),
            ),
        }
    }

    /// The time of the snapshot with this key (UTC), if the key has it.
    ///
    /// # Errors `BadContract` if the contract says that the key has it, and the key does not.
    pub fn of_key(&self, key: &str) -> Result<Option<DateTime<Utc>>> {
        match self {
            SnapshotTime::Put | SnapshotTime::Column(_) => Ok(None),
            SnapshotTime::Name => Ok(iso_time(key.rsplit('/').next().unwrap_or(key))),
            SnapshotTime::Key(pattern) => match pattern.find(&without_arrival(key)) {
                Some(time) => Ok(Some(time)),
                None => Err(Error::new(
                    ErrorKind::BadContract,
                    format!(
                        "the key {key} does not tell the snapshot's time: no one place of it reads as \
                         snapshotTime '{self}' says; rename the object, or correct snapshotTime in the contract"
                    ),
                )),
            },
        }
    }
}

/// The key without the day on which the object arrived.
fn without_arrival(key: &str) -> String {
    let parts: Vec<&str> = key
        .split('/')
        .filter(|part| !part.starts_with("ingest_date="))
        .collect();
    parts.join("/")
}

impl fmt::Display for SnapshotTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SnapshotTime::Name => f.write_str("name"),
            SnapshotTime::Put => f.write_str("put"),
            SnapshotTime::Key(pattern) => write!(f, "key:{}", pattern.text),
            SnapshotTime::Column(name) => write!(f, "column:{name}"),
        }
    }
}

/// The order of a snapshot among those of its database: by its own time if that is known, else by that of
/// the put. Snapshots of one time are ordered by their puts, then by their keys.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SnapshotOrder {
    /// The snapshot's own time, or that of the put; None if the column that has it has no value; None
    /// comes before any time.
    pub time: Option<DateTime<Utc>>,
    /// When the object was put.
    pub put_at: DateTime<Utc>,
    /// The object.
    pub key: String,
}

/// A date or a time within a text, in the notation of strftime: `%Y`, `%m`, `%d`, and if it is a time
/// `%H`, `%M`, `%S`; everything else stands for itself. Times are UTC.
#[derive(Debug, Clone)]
pub struct TimePattern {
    text: String,
    regex: Regex,
}

impl PartialEq for TimePattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl TimePattern {
    fn parse(text: &str) -> std::result::Result<Self, String> {
        let mut regex = String::from("(?s)");
        let mut seen = Vec::new();
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            if character != '%' {
                regex.push_str(&regex::escape(character.encode_utf8(&mut [0; 4])));
                continue;
            }
            let digits = match characters.next() {
                Some('%') => {
                    regex.push('%');
                    continue;
                }
                Some(unit @ 'Y') => (unit, 4),
                Some(unit @ ('m' | 'd' | 'H' | 'M' | 'S')) => (unit, 2),
                other => {
                    let other = other.map(String::from).unwrap_or_default();
                    return Err(format!(
                        "'%{other}' is not known here; use %Y, %m, %d, %H, %M, %S, and %% for a per cent sign"
                    ));
                }
            };
            let (unit, width) = digits;
            if seen.contains(&unit) {
                return Err(format!("'%{unit}' is given twice; name each part once"));
            }
            seen.push(unit);
            regex.push_str(&format!("(?<{unit}>[0-9]{{{width}}})"));
        }
        if !['Y', 'm', 'd'].iter().all(|unit| seen.contains(unit)) {
            return Err("a date needs %Y, %m and %d, for example key:%Y-%m-%d".to_owned());
        }
        if seen.contains(&'S') && !seen.contains(&'M')
            || seen.contains(&'M') && !seen.contains(&'H')
        {
            return Err("minutes need %H, and seconds %M".to_owned());
        }
        let regex = Regex::new(&regex).map_err(|_| "the pattern is too long".to_owned())?;
        Ok(TimePattern {
            text: text.to_owned(),
            regex,
        })
    }

    /// The time that the text holds; None where it holds none, or several that differ.
    fn find(&self, text: &str) -> Option<DateTime<Utc>> {
        // A match may begin within another one: `11-2026-01-05` holds one date for `%d-%Y-%m`.
        let mut found = None;
        let mut from = 0;
        while let Some(captures) = self.regex.captures_at(text, from) {
            let begin = captures.get(0)?.start();
            from = begin + text[begin..].chars().next().map_or(1, char::len_utf8);
            let Some(time) = time_of(&captures, ["Y", "m", "d", "H", "M", "S"]) else {
                continue;
            };
            if found.is_some_and(|other| other != time) {
                return None;
            }
            found = Some(time);
            if from > text.len() {
                break;
            }
        }
        found
    }
}

fn number(captures: &Captures<'_>, group: &str) -> Option<u32> {
    captures.name(group)?.as_str().parse().ok()
}

/// The time of the named groups; groups of a time of day that are missing are 0.
fn time_of(
    captures: &Captures<'_>,
    [year, month, day, hour, minute, second]: [&str; 6],
) -> Option<DateTime<Utc>> {
    let part = |group: &str| number(captures, group).unwrap_or(0);
    let year = i32::try_from(number(captures, year)?).ok()?;
    let date = NaiveDate::from_ymd_opt(year, number(captures, month)?, number(captures, day)?)?;
    let time = NaiveTime::from_hms_opt(part(hour), part(minute), part(second))?;
    Some(date.and_time(time).and_utc())
}

/// The ISO 8601 date or time in a text, in the extended (`2026-01-31T10:00:00Z`) or the basic form
/// (`20260131T100000`). Other separators may replace colons, which names of files cannot have. A time
/// without an offset is UTC. None where there is none, or where several differ.
fn iso_time(text: &str) -> Option<DateTime<Utc>> {
    const DATE: &str =
        r"(?<Y>[0-9]{4})(?:-(?<m>[0-9]{2})-(?<d>[0-9]{2})|(?<bm>[0-9]{2})(?<bd>[0-9]{2}))";
    const TIME: &str = r"(?:[Tt _.-]?(?<H>[0-9]{2})[:._-]?(?<M>[0-9]{2})(?:[:._-]?(?<S>[0-9]{2}))?(?:[Zz]|(?<o>[+-][0-9]{2}:?[0-9]{2}))?)?";
    static PATTERN: std::sync::LazyLock<Option<Regex>> =
        std::sync::LazyLock::new(|| Regex::new(&format!("^{DATE}{TIME}")).ok());
    static DAY: std::sync::LazyLock<Option<Regex>> =
        std::sync::LazyLock::new(|| Regex::new(&format!("^{DATE}")).ok());
    let is_digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    let mut found: Option<DateTime<Utc>> = None;
    let mut from = 0;
    while from < text.len() {
        let begin = from;
        from += text[begin..].chars().next().map_or(1, char::len_utf8);
        let before = begin.checked_sub(1).and_then(|at| text.as_bytes().get(at));
        if !is_digit(text.as_bytes().get(begin)) || is_digit(before) {
            continue;
        }
        let whole = |pattern: &Option<Regex>| {
            let captures = pattern.as_ref()?.captures(&text[begin..])?;
            let end = begin + captures.get(0)?.end();
            // A longer number is not a date.
            (!is_digit(text.as_bytes().get(end))).then_some(())?;
            Some((iso_captures(&captures)?, end))
        };
        let Some((time, end)) = whole(&PATTERN).or_else(|| whole(&DAY)) else {
            continue;
        };
        if found.is_some_and(|other| other != time) {
            return None;
        }
        found = Some(time);
        from = end;
    }
    found
}

fn iso_captures(captures: &Captures<'_>) -> Option<DateTime<Utc>> {
    let (month, day) = match captures.name("m") {
        Some(_) => ("m", "d"),
        None => ("bm", "bd"),
    };
    let time: NaiveDateTime = time_of(captures, ["Y", month, day, "H", "M", "S"])?.naive_utc();
    let Some(offset) = captures.name("o") else {
        return Some(time.and_utc());
    };
    let digits: String = offset
        .as_str()
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    let minutes =
        digits.get(..2)?.parse::<i32>().ok()? * 60 + digits.get(2..)?.parse::<i32>().ok()?;
    let sign = if offset.as_str().starts_with('-') {
        -1
    } else {
        1
    };
    let offset = FixedOffset::east_opt(sign * minutes * 60)?;
    Some(time.and_local_timezone(offset).single()?.to_utc())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn shown(time: Option<DateTime<Utc>>) -> String {
        time.map_or_else(
            || "none".to_owned(),
            |time| time.format("%Y-%m-%dT%H:%M:%S").to_string(),
        )
    }

    #[test]
    fn the_name_of_a_file_has_the_time_of_a_snapshot() {
        for (name, expected) in [
            ("shop-2026-01-05.sqlite", "2026-01-05T00:00:00"),
            ("2026-01-05.sqlite", "2026-01-05T00:00:00"),
            ("shop_20260105.db", "2026-01-05T00:00:00"),
            ("shop-20260105T220130Z.db", "2026-01-05T22:01:30"),
            ("shop-20260105-2201.db", "2026-01-05T22:01:00"),
            ("shop 2026-01-05T22:01:30Z", "2026-01-05T22:01:30"),
            ("shop-2026-01-05T22-01-30.sqlite", "2026-01-05T22:01:30"),
            ("shop-2026-01-05_22.01.sqlite", "2026-01-05T22:01:00"),
            ("shop-2026-01-05T22:01:30+0200.db", "2026-01-05T20:01:30"),
            ("shop-2026-01-05T22:01:30-05:30.db", "2026-01-06T03:31:30"),
            // The same again, and a number that is not a time of day.
            ("2026-01-05/shop-2026-01-05.db", "2026-01-05T00:00:00"),
            ("shop-2026-01-05-9999.db", "2026-01-05T00:00:00"),
            ("shop-2026-01-05-1.db", "2026-01-05T00:00:00"),
            // Two times, a longer number, no date of the calendar.
            ("2026-01-05-to-2026-01-12.db", "none"),
            ("shop-120260105.db", "none"),
            ("shop-202601051.db", "none"),
            ("shop-20261305.db", "none"),
            ("shop-2026-02-30.db", "none"),
            ("shop.sqlite", "none"),
            ("ünï-2026-01-05-é.db", "2026-01-05T00:00:00"),
            ("", "none"),
        ] {
            assert_eq!(shown(iso_time(name)), expected, "{name}");
        }
        let key = "raw/shop/database/ingest_date=2026-01-09/shop-2026-01-05.sqlite";
        assert_eq!(
            shown(SnapshotTime::Name.of_key(key).unwrap()),
            "2026-01-05T00:00:00"
        );
        let key = "raw/shop/database/ingest_date=2026-01-09/shop.sqlite";
        assert_eq!(SnapshotTime::Name.of_key(key).unwrap(), None);
    }

    #[test]
    fn a_pattern_finds_the_time_in_the_key() {
        for (pattern, key, expected) in [
            (
                "key:%Y%m%d-%H%M",
                "raw/shop/db/a/20260105-2201.db",
                "2026-01-05T22:01:00",
            ),
            (
                "key:%d.%m.%Y",
                "raw/shop/db/ingest_date=2026-01-09/05.01.2026.db",
                "2026-01-05T00:00:00",
            ),
            (
                "key:/%Y/%m/%d/",
                "raw/shop/db/2026/01/05/shop.db",
                "2026-01-05T00:00:00",
            ),
            (
                "key:100%%_%Y%m%d",
                "raw/shop/db/100%_20260105.db",
                "2026-01-05T00:00:00",
            ),
        ] {
            let time = SnapshotTime::parse(pattern).unwrap();
            assert_eq!(shown(time.of_key(key).unwrap()), expected, "{pattern}");
            assert_eq!(time.to_string(), pattern);
        }
        let time = SnapshotTime::parse("key:%Y-%m-%d").unwrap();
        for key in [
            "raw/shop/db/shop.db",
            "raw/shop/db/ingest_date=2026-01-09/shop.db",
            "raw/shop/db/2026-01-09/shop-2026-01-05.db",
            "raw/shop/db/shop-2026-02-31.db",
        ] {
            let error = time.of_key(key).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BadContract, "{key}");
        }
    }

    #[test]
    fn an_unknown_source_of_the_time_is_refused_with_what_to_write() {
        for (text, help) in [
            ("", "write name, put"),
            ("Name", "write name, put"),
            ("column:", "column:updated_at"),
            ("key:", "%Y, %m and %d"),
            ("key:%Y-%m", "%Y, %m and %d"),
            ("key:%Y%m%d%S", "seconds %M"),
            ("key:%Y%m%d%M", "minutes need %H"),
            ("key:%Y%m%d%Y", "twice"),
            ("key:%Y%m%d%j", "'%j' is not known"),
            ("key:%Y%m%d%", "'%' is not known"),
        ] {
            let fault = SnapshotTime::parse(text).unwrap_err();
            assert!(fault.contains(help), "{text}: {fault}");
        }
        assert_eq!(
            SnapshotTime::parse("column:updated_at").unwrap(),
            SnapshotTime::Column("updated_at".to_owned())
        );
    }

    #[test]
    fn snapshots_are_ordered_by_time_then_put_then_key() {
        let order = |time: Option<i64>, put: i64, key: &str| SnapshotOrder {
            time: time.and_then(|time| DateTime::from_timestamp(time, 0)),
            put_at: DateTime::from_timestamp(put, 0).unwrap(),
            key: key.to_owned(),
        };
        let sorted = [
            order(None, 9, "z"),
            order(Some(1), 8, "z"),
            order(Some(2), 1, "z"),
            order(Some(2), 2, "a"),
            order(Some(2), 2, "b"),
        ];
        assert!(sorted.is_sorted());
        let text = serde_json::to_string(&sorted[0]).unwrap();
        assert_eq!(
            serde_json::from_str::<SnapshotOrder>(&text).unwrap(),
            sorted[0]
        );
    }
}
