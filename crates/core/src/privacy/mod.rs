//! Personal data: how a contract protects it where it enters the lake, as functions from values to
//! values, and the keys of pseudonyms.

mod check_digits;
mod keys;
mod patterns;
mod redact;

use std::net::{Ipv4Addr, Ipv6Addr};

pub use check_digits::{is_iban, is_luhn};
pub use keys::{KEY_BYTES, KeyInfo, KeyRing, PSEUDONYM_DIGITS, PseudonymKey};
pub use patterns::{PersonalPattern, found, personal_in_text};
pub use redact::redacted;

use crate::schema::ColumnType;

/// How the values of a personal column are changed before they are written anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// A keyed hash of the value: the same value gives the same pseudonym under one key.
    Pseudonymise,
    /// [`MASK`], which says that there was a value and nothing else.
    Mask,
    /// An address's network, a day's year.
    Generalise,
    /// Nothing: every row is null.
    Drop,
    /// The text, with what identifies people in it replaced by labels.
    Redact,
}

impl Protection {
    /// Every protection.
    pub const ALL: [Protection; 5] = [
        Protection::Pseudonymise,
        Protection::Mask,
        Protection::Generalise,
        Protection::Drop,
        Protection::Redact,
    ];

    /// The word of contracts.
    pub fn as_str(self) -> &'static str {
        match self {
            Protection::Pseudonymise => "pseudonymise",
            Protection::Mask => "mask",
            Protection::Generalise => "generalise",
            Protection::Drop => "drop",
            Protection::Redact => "redact",
        }
    }

    /// The protection of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == text)
    }

    /// The type in which values of a column are kept; None where the protection does not apply to
    /// the type.
    pub fn kept_type(self, received: &ColumnType) -> Option<ColumnType> {
        use ColumnType::{Date, Int, Long, String as Text, StringList};
        let fits = match self {
            Protection::Drop => true,
            Protection::Pseudonymise => matches!(received, Text | StringList | Int | Long),
            Protection::Mask | Protection::Redact => matches!(received, Text | StringList),
            Protection::Generalise => matches!(received, Text | Date),
        };
        fits.then(|| match (self, received) {
            // A pseudonym of a number is a text.
            (Protection::Pseudonymise, Int | Long) => Text,
            _ => received.clone(),
        })
    }

    /// Whether different values stay different, so that they can distinguish rows.
    pub fn keeps_identity(self) -> bool {
        self == Protection::Pseudonymise
    }
}

/// What replaces every value of a masked column.
pub const MASK: &str = "***";

/// Appends the network of an address to `kept`: the first 24 bits of an IPv4 address
/// (`203.0.113.0/24`), the first 48 of an IPv6 one (`2001:db8:1::/48`). An IPv4 address written as IPv6
/// is one. False, and nothing is appended, for any other text, a host name for example.
pub fn push_network(text: &str, kept: &mut Vec<u8>) -> bool {
    // An IPv4 address has one text only, so the network's is its beginning.
    let v4 = |address: &str, kept: &mut Vec<u8>| {
        let network = address.rfind('.').and_then(|end| address.get(..end));
        kept.extend_from_slice(network.unwrap_or_default().as_bytes());
        kept.extend_from_slice(b".0/24");
    };
    if text.parse::<Ipv4Addr>().is_ok() {
        v4(text, kept);
        return true;
    }
    let Ok(address) = text.parse::<Ipv6Addr>() else {
        return false;
    };
    match address.to_ipv4_mapped() {
        Some(mapped) => v4(&mapped.to_string(), kept),
        None => {
            let [a, b, c, ..] = address.segments();
            let network = Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0);
            kept.extend_from_slice(format!("{network}/48").as_bytes());
        }
    }
    true
}

/// The first day of a day's year, both as days since 1970-01-01. A day beyond the calendar, which no
/// reader accepts, becomes 1970.
pub fn year(day: i32) -> i32 {
    use chrono::{Datelike, NaiveDate};
    let epoch = NaiveDate::default();
    epoch
        .checked_add_signed(chrono::TimeDelta::days(i64::from(day)))
        .and_then(|date| NaiveDate::from_ymd_opt(date.year(), 1, 1))
        .and_then(|first| i32::try_from((first - epoch).num_days()).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_becomes_its_network() {
        for (address, expected) in [
            ("203.0.113.77", Some("203.0.113.0/24")),
            ("::ffff:203.0.113.77", Some("203.0.113.0/24")),
            ("2001:db8:1:2:3:4:5:6", Some("2001:db8:1::/48")),
            ("2001:db8::1", Some("2001:db8::/48")),
            ("::1", Some("::/48")),
            ("in24.example.net", None),
            ("203.0.113", None),
            ("", None),
        ] {
            let mut kept = b"before ".to_vec();
            let found = push_network(address, &mut kept);
            let network = &kept[b"before ".len()..];
            assert_eq!(found, expected.is_some(), "{address}");
            assert_eq!(network, expected.unwrap_or_default().as_bytes());
        }
    }

    #[test]
    fn a_day_becomes_the_first_of_its_year() {
        for (day, expected) in [(0, 0), (364, 0), (365, 365), (-1, -365), (i32::MAX, 0)] {
            assert_eq!(year(day), expected, "{day}");
        }
    }

    #[test]
    fn a_protection_applies_to_types_that_it_can_protect() {
        use ColumnType::{Boolean, Date, Double, Long, String as Text, StringList, Timestamp};
        for (protection, received, kept) in [
            (Protection::Pseudonymise, Text, Some(Text)),
            (Protection::Pseudonymise, Long, Some(Text)),
            (Protection::Pseudonymise, StringList, Some(StringList)),
            (Protection::Pseudonymise, Double, None),
            (Protection::Mask, Text, Some(Text)),
            (Protection::Mask, Long, None),
            (Protection::Generalise, Date, Some(Date)),
            (Protection::Generalise, Timestamp, None),
            (Protection::Redact, StringList, Some(StringList)),
            (Protection::Redact, Boolean, None),
            (Protection::Drop, Boolean, Some(Boolean)),
        ] {
            assert_eq!(
                protection.kept_type(&received),
                kept,
                "{protection:?} {received}"
            );
        }
        for protection in Protection::ALL {
            assert_eq!(Protection::parse(protection.as_str()), Some(protection));
        }
        assert_eq!(Protection::parse("hash"), None);
    }
}
