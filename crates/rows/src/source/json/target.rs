//! The value of a key into a column, and why it is none.

use crate::column::ColumnData;
use crate::reason::Reason;
use crate::source::json::cursor::Cursor;
use crate::source::json::error::JsonError;
use crate::source::json::keys::KeyError;
use crate::source::value::{Decoder, Scalar};

/// Why an object is not a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowFault {
    /// It cannot be read at all.
    Parse(Reason),
    /// The value of the column with this index cannot be read.
    Value(usize, Reason),
    /// It has this key, which no column is filled from, and such objects are refused.
    NewColumn(String),
}

/// The result of reading a row: one word, which costs nothing where all is well.
pub(super) type RowResult = Result<(), Box<RowFault>>;

impl RowFault {
    #[cold]
    pub(super) fn value(index: usize, reason: Reason) -> Box<Self> {
        Box::new(RowFault::Value(index, reason))
    }
}

impl From<JsonError> for Box<RowFault> {
    #[cold]
    fn from(error: JsonError) -> Self {
        Box::new(RowFault::Parse(format!("not JSON: {error}").into()))
    }
}

impl From<KeyError> for Box<RowFault> {
    #[cold]
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Json(error) => error.into(),
            KeyError::Duplicate(key) => Box::new(RowFault::Parse(Reason::repeated_key(&key))),
        }
    }
}

/// A column that is filled from an object.
#[derive(Clone)]
pub(super) struct Target {
    /// Its place in a batch.
    pub column: usize,
    pub decoder: Decoder,
}

/// Fills further columns from the value at `begin`.
#[cold]
#[inline(never)]
pub(super) fn read_again(
    cursor: &mut Cursor<'_>,
    begin: usize,
    targets: &[Target],
    columns: &mut [ColumnData],
    scratch: &mut Vec<u8>,
) -> RowResult {
    for target in targets {
        cursor.go_back(begin);
        read_value(cursor, target, columns, scratch)?;
    }
    Ok(())
}

#[inline(always)]
pub(super) fn read_value(
    cursor: &mut Cursor<'_>,
    target: &Target,
    columns: &mut [ColumnData],
    scratch: &mut Vec<u8>,
) -> RowResult {
    let (index, decoder) = (target.column, &target.decoder);
    let Some(data) = columns.get_mut(index) else {
        return Err(RowFault::value(
            index,
            "the batch lacks the column of its contract".into(),
        ));
    };
    let value = match cursor.peek() {
        b'"' => {
            let (text, short) = match cursor.plain_text() {
                Some(text) => text,
                None => (cursor.any_string()?.text(scratch), None),
            };
            if decoder.is_text()
                && let ColumnData::Text(data) = data
            {
                match short {
                    Some(short) => data.push_short(short, text),
                    None => data.push(text),
                }
                return Ok(());
            }
            Scalar::Text(text)
        }
        b'-' | b'0'..=b'9' => {
            let before = cursor.position();
            if let Some(number) = cursor.small_decimal() {
                if decoder.push_small(number, data) {
                    return Ok(());
                }
                cursor.go_back(before);
            }
            Scalar::Number(cursor.number()?)
        }
        b't' | b'f' => Scalar::Boolean(cursor.boolean()?),
        b'n' => {
            cursor.null()?;
            decoder.push_missing(data);
            return Ok(());
        }
        b'[' if decoder.is_list() => return read_list(cursor, data, index, scratch),
        b'[' | b'{' => {
            let what = if cursor.peek() == b'[' {
                "a list"
            } else {
                "an object"
            };
            cursor.skip_value()?;
            return Err(RowFault::value(
                index,
                Reason::mismatch(decoder.expected(), what),
            ));
        }
        _ => return cursor.skip_value().map(|_| ()).map_err(Box::from),
    };
    decoder
        .push(value, data)
        .map_err(|reason| RowFault::value(index, reason))
}

fn read_list(
    cursor: &mut Cursor<'_>,
    data: &mut ColumnData,
    index: usize,
    scratch: &mut Vec<u8>,
) -> RowResult {
    let ColumnData::List(list) = data else {
        return Err(RowFault::value(
            index,
            "the column has another type than its contract".into(),
        ));
    };
    cursor.enter_array()?;
    let mut first = true;
    while cursor.next_element(first)? {
        first = false;
        if cursor.peek() != b'"' {
            cursor.skip_value()?;
            return Err(RowFault::value(
                index,
                Reason::mismatch("a list of texts", "something else in it"),
            ));
        }
        list.push_item(cursor.string()?.text(scratch));
    }
    list.finish_row();
    Ok(())
}
