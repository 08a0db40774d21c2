//! Where the columns of a data file are, by its footer.

use std::collections::BTreeSet;
use std::ops::Range;

use parquet::file::FOOTER_SIZE;
use parquet::file::metadata::{
    ColumnChunkMetaData, FooterTail, ParquetMetaData, ParquetMetaDataReader,
};
use tarn_core::{Error, ErrorKind, Result};

/// What the end of a file says about the places of its columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Places {
    /// The bytes of the columns, in the file's order. Those of the footer are not among them.
    Ranges(Vec<Range<u64>>),
    /// The footer is longer: this is its size in bytes, counted from the file's end.
    Longer(u64),
    /// The columns have no field ids, so nothing says which are meant.
    Unnamed,
}

/// Finds the columns with these field ids in a file of `size` bytes that ends with `tail`. A column that the
/// file does not have has no place.
///
/// # Errors
/// `Damaged` where the end is not that of a Parquet file.
pub fn places(tail: &[u8], size: u64, ids: &BTreeSet<i32>) -> Result<Places> {
    let damaged = || Error::new(ErrorKind::Damaged, "the end of a Parquet file is damaged");
    let footer = tail
        .last_chunk::<FOOTER_SIZE>()
        .ok_or_else(damaged)
        .and_then(|end| FooterTail::try_new(end).map_err(|error| damaged().with_source(error)))?;
    let length = footer.metadata_length() + FOOTER_SIZE;
    let wanted = length as u64;
    if wanted > size {
        return Err(damaged());
    }
    let Some(begin) = tail.len().checked_sub(length) else {
        return Ok(Places::Longer(wanted));
    };
    let footer = tail
        .get(begin..tail.len() - FOOTER_SIZE)
        .ok_or_else(damaged)?;
    let footer = ParquetMetaDataReader::decode_metadata(footer)
        .map_err(|error| damaged().with_source(error))?;
    let Some(wanted_leaves) = leaves(&footer, ids) else {
        return Ok(Places::Unnamed);
    };
    let mut ranges = Vec::new();
    for group in footer.row_groups() {
        for leaf in &wanted_leaves {
            let column = group.columns().get(*leaf).ok_or_else(damaged)?;
            let range = bytes_of(column).ok_or_else(damaged)?;
            if range.end > size - wanted {
                return Err(damaged());
            }
            ranges.push(range);
        }
    }
    ranges.sort_by_key(|range| range.start);
    Ok(Places::Ranges(ranges))
}

/// The bytes of the pages of a column chunk; None where the footer's numbers are negative or too large.
fn bytes_of(column: &ColumnChunkMetaData) -> Option<Range<u64>> {
    let data = column.data_page_offset();
    let first = column.dictionary_page_offset().unwrap_or(data).min(data);
    let (begin, length) = (
        u64::try_from(first).ok()?,
        u64::try_from(column.compressed_size()).ok()?,
    );
    Some(begin..begin.checked_add(length)?)
}

/// The columns as the file counts them, parts of lists included; None where a column has no field id.
fn leaves(footer: &ParquetMetaData, ids: &BTreeSet<i32>) -> Option<Vec<usize>> {
    let schema = footer.file_metadata().schema_descr();
    let roots = schema.root_schema().get_fields();
    let root_ids: Vec<i32> = roots
        .iter()
        .map(|root| {
            let info = root.get_basic_info();
            info.has_id().then(|| info.id())
        })
        .collect::<Option<_>>()?;
    let is_wanted = |leaf: &usize| {
        let root = schema.get_column_root_idx(*leaf);
        root_ids.get(root).is_some_and(|id| ids.contains(id))
    };
    Some((0..schema.num_columns()).filter(is_wanted).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;

    use parquet::data_type::{Int32Type, Int64Type};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;
    use proptest::prelude::*;

    use super::*;

    /// Two row groups of two columns.
    fn file(schema: &str) -> Vec<u8> {
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let properties = Arc::new(WriterProperties::builder().build());
        let mut writer = SerializedFileWriter::new(Vec::new(), schema, properties).unwrap();
        for group in 0..2 {
            let mut columns = writer.next_row_group().unwrap();
            let mut column = columns.next_column().unwrap().unwrap();
            let longs = [group, 5, 6];
            column
                .typed::<Int64Type>()
                .write_batch(&longs, None, None)
                .unwrap();
            column.close().unwrap();
            let mut column = columns.next_column().unwrap().unwrap();
            column
                .typed::<Int32Type>()
                .write_batch(&[1, 2, 3], None, None)
                .unwrap();
            column.close().unwrap();
            columns.close().unwrap();
        }
        writer.into_inner().unwrap()
    }

    const NAMED: &str = "message m { required int64 a = 7; required int32 b = 9; }";

    fn places_in(file: &[u8], ids: &[i32]) -> Places {
        places(file, file.len() as u64, &ids.iter().copied().collect()).unwrap()
    }

    #[test]
    fn columns_are_found_by_their_ids() {
        let file = file(NAMED);
        let Places::Ranges(both) = places_in(&file, &[7, 9, 11]) else {
            panic!("no ranges");
        };
        assert_eq!(both.len(), 4);
        // They are side by side, from the first byte after the mark to the footer and what is before it.
        assert_eq!(both[0].start, 4);
        assert!(both.windows(2).all(|pair| pair[0].end == pair[1].start));
        let only = places_in(&file, &[9]);
        assert_eq!(only, Places::Ranges(vec![both[1].clone(), both[3].clone()]));
        assert_eq!(places_in(&file, &[11]), Places::Ranges(vec![]));
    }

    #[test]
    fn a_footer_that_is_cut_off_says_how_long_it_is() {
        let file = file(NAMED);
        let size = file.len() as u64;
        let ids = BTreeSet::from([7]);
        let Places::Longer(length) = places(&file[file.len() - 20..], size, &ids).unwrap() else {
            panic!("found");
        };
        let tail = &file[file.len() - length as usize..];
        assert_eq!(places(tail, size, &ids).unwrap(), places_in(&file, &[7]));
    }

    #[test]
    fn columns_without_ids_are_not_guessed() {
        let file = file("message m { required int64 a; required int32 b; }");
        assert_eq!(places_in(&file, &[7]), Places::Unnamed);
    }

    proptest! {
        #[test]
        fn a_damaged_end_is_an_error_or_gives_places_within_the_file(
            changes in prop::collection::vec((0_usize..10_000, any::<u8>()), 1..4),
            cut in 0_usize..3,
        ) {
            let mut file = file(NAMED);
            file.truncate(file.len() - cut);
            let length = file.len();
            for (place, byte) in changes {
                file[place % length] = byte;
            }
            if let Ok(Places::Ranges(ranges)) = places(&file, length as u64, &BTreeSet::from([7, 9])) {
                prop_assert!(ranges.iter().all(|range| range.end <= length as u64));
            }
        }
    }
}
