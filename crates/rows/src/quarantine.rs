//! Rejected rows as rows of their dataset's quarantine table.

use std::borrow::Cow;

use tarn_contract::Contract;
use tarn_contract::quarantine::{self as table, Encoding};
use tarn_core::schema::system;

use crate::batch::{Batch, Rejected};
use crate::column::{ColumnData, Plain, Rows, TextColumn};
use crate::display::{self, payload_text};
use crate::protect::Protector;

/// What is written of a rejected row.
struct Payload<'a> {
    text: Option<Cow<'a, str>>,
    encoding: Encoding,
    hash: Option<[u8; 32]>,
}

/// A row that was read is written from its columns where it holds personal data, or where its source
/// has no text of it. A row that was not read may hold personal data anywhere.
fn payload<'a>(
    contract: &Contract,
    protector: &Protector<'_>,
    rejected_columns: &[ColumnData],
    rejected: &'a Rejected,
) -> Payload<'a> {
    match (rejected.row, protector.key()) {
        (None, Some(key)) => Payload {
            text: None,
            encoding: Encoding::Withheld,
            hash: Some(key.pseudonym(&rejected.payload)),
        },
        (Some(row), key) if key.is_some() || rejected.payload.is_empty() => Payload {
            text: Some(display::row_as_json(contract, rejected_columns, row).into()),
            encoding: Encoding::Json,
            hash: None,
        },
        _ => {
            let (text, encoding) = payload_text(&rejected.payload);
            Payload {
                text: Some(text),
                encoding,
                hash: None,
            }
        }
    }
}

/// The columns of the quarantine table but its system columns, for some rejected rows of a protected
/// batch, and the rows' offsets. For a row that could not be read they hold its primary key, if that could
/// be read: it says which row of the table stays as it was.
pub fn columns<'a>(
    contract: &'a Contract,
    protector: &Protector<'_>,
    batch: &Batch,
    rejected: &[Rejected],
) -> (Vec<(&'a str, ColumnData)>, Vec<i64>) {
    let rejected_columns = &batch.rejected_columns;
    let mut named: Vec<(&str, ColumnData)> = Vec::new();
    for (index, column) in contract.columns.iter().enumerate() {
        let place = contract.primary_key.iter().position(|&key| key == index);
        let unread = place.and_then(|place| batch.unread_keys.get(place));
        let mut data = ColumnData::new(&column.kept_type());
        for row in rejected {
            match (row.row, rejected_columns.get(index), row.key, unread) {
                (Some(row), Some(from), ..) => data.append(from, &Rows::one(row)),
                (None, _, Some(key), Some(from)) => data.append(from, &Rows::one(key)),
                _ => data.push_null(),
            }
        }
        named.push((&column.name, data));
    }
    if protector.key().is_some() {
        let read: Vec<ColumnData> = named.iter().map(|(_, data)| data.clone()).collect();
        named.extend(
            protector
                .key_versions(&read, |row| rejected[row].row.is_none(), rejected.len())
                .map(|versions| (system::KEY_VERSION, versions)),
        );
    }
    let payloads: Vec<Payload<'_>> = rejected
        .iter()
        .map(|row| payload(contract, protector, rejected_columns, row))
        .collect();
    let reasons: Vec<String> = rejected.iter().map(|row| row.reason.to_string()).collect();
    named.extend([
        (table::RULE, texts(rejected, |row| Some(row.rule.as_str()))),
        (table::COLUMN, texts(rejected, |row| row.column.as_deref())),
        (
            table::REASON,
            texts(&reasons, |reason| Some(reason.as_str())),
        ),
        (table::LINE, longs(rejected, |row| row.line)),
        (
            table::PAYLOAD,
            texts(&payloads, |payload| payload.text.as_deref()),
        ),
        (
            table::PAYLOAD_ENCODING,
            texts(&payloads, |payload| Some(payload.encoding.as_str())),
        ),
        (
            table::PAYLOAD_BYTES,
            longs(rejected.iter().zip(&payloads), |(row, payload)| {
                // A database has no text of a row: its length is that of its columns.
                let written = payload.text.as_ref().map_or(0, |text| text.len() as u64);
                Some(if row.payload_bytes == 0 {
                    written
                } else {
                    row.payload_bytes
                })
            }),
        ),
        (
            table::PAYLOAD_HASH,
            texts(&payloads, |payload| {
                payload
                    .hash
                    .as_ref()
                    .and_then(|hash| std::str::from_utf8(hash).ok())
            }),
        ),
    ]);
    (named, rejected.iter().map(|row| row.offset).collect())
}

fn texts<'a, T>(rows: &'a [T], value: impl Fn(&'a T) -> Option<&'a str>) -> ColumnData {
    let mut column = TextColumn::new(true);
    for row in rows {
        match value(row) {
            Some(text) => column.push(text.as_bytes()),
            None => column.push_null(),
        }
    }
    ColumnData::Text(column)
}

fn longs<T>(rows: impl IntoIterator<Item = T>, value: impl Fn(T) -> Option<u64>) -> ColumnData {
    let mut column = Plain::new();
    for row in rows {
        match value(row).and_then(|number| i64::try_from(number).ok()) {
            Some(number) => column.push(number),
            None => column.push_null(),
        }
    }
    ColumnData::Long(column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_that_is_not_utf8_keeps_every_byte_readable() {
        assert_eq!(
            payload_text(b"caf\xc3\xa9"),
            ("café".into(), Encoding::Utf8)
        );
        assert_eq!(
            payload_text(b"a\\b\xff\x00"),
            ("a\\\\b\\xff\0".into(), Encoding::Escaped)
        );
    }
}
