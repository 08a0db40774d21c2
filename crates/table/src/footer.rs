//! From a Parquet footer to what a manifest says about the file.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::path::Path;

use iceberg::spec::{
    DataContentType, DataFile, DataFileBuilder, DataFileFormat, Datum, Literal, NestedField,
    PrimitiveType, Schema, Struct, Type,
};
use parquet::basic::{LogicalType, TimeUnit, Type as PhysicalType};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::statistics::Statistics;
use tarn_core::schema::{PartitionUnit, Partitioning};
use tarn_core::{Error, ErrorKind, Result};

use crate::change::NewFile;
use crate::partition;

/// Bounds of strings are cut to this many characters, as Iceberg's other writers do.
const BOUND_CHARACTERS: usize = 16;

/// The table that a file is to be added to.
pub(crate) struct Target<'a> {
    pub schema: &'a Schema,
    pub partition_spec_id: i32,
    pub partitioning: Option<&'a Partitioning>,
}

/// Reads the footer of a file and checks that the file fits the table. Blocks on the disk.
///
/// # Errors
/// `Internal` for a file that does not fit: another writer than the lake's own made it, or there is a
/// fault in it. Nothing of it gets into the table.
pub(crate) fn data_file(target: &Target<'_>, file: &NewFile, uri: String) -> Result<DataFile> {
    let misfit = |what: String| {
        Error::internal(format!("{} cannot be added to the table: {what}", file.key))
    };
    let read = || -> std::result::Result<_, Box<dyn std::error::Error + Send + Sync>> {
        let opened = File::open(&file.local)?;
        let size = opened.metadata()?.len();
        Ok((
            ParquetMetaDataReader::new().parse_and_finish(&opened)?,
            size,
        ))
    };
    let (footer, size) = read().map_err(|error| {
        Error::new(
            ErrorKind::Storage,
            format!("the Parquet file {} cannot be read", file.local.display()),
        )
        .with_source(error)
    })?;
    let exact: BTreeSet<i32> = file
        .exact_bounds
        .iter()
        .filter_map(|name| target.schema.field_id_by_name(name))
        .collect();
    let columns = columns(target.schema, &footer).map_err(&misfit)?;
    let mut builder = DataFileBuilder::default();
    let mut column_sizes = HashMap::new();
    let mut value_counts = HashMap::new();
    let mut null_value_counts = HashMap::new();
    let mut lower_bounds = HashMap::new();
    let mut upper_bounds = HashMap::new();
    let mut partition_bounds = None;
    for (id, column) in columns {
        column_sizes.insert(id, column.bytes);
        value_counts.insert(id, column.values);
        if column.in_list {
            // Counts and bounds of list elements are not of rows.
            continue;
        }
        if let Some(nulls) = column.nulls {
            null_value_counts.insert(id, nulls);
        }
        let decides = target
            .partitioning
            .is_some_and(|by| by.column == column.field.name);
        if decides && file.partition.is_some() && column.nulls.is_some_and(|nulls| nulls > 0) {
            return Err(misfit(format!(
                "it has a partition, but {} has nulls",
                column.field.name
            )));
        }
        if let Bounds::Known(lower, upper) = column.bounds {
            if decides {
                partition_bounds = Some((lower.clone(), upper.clone()));
            }
            let (lower, upper) = if exact.contains(&id) {
                (Some(lower), Some(upper))
            } else {
                (cut_down(lower), cut_up(upper))
            };
            lower_bounds.extend(lower.map(|lower| (id, lower)));
            upper_bounds.extend(upper.map(|upper| (id, upper)));
        }
    }
    builder
        .content(DataContentType::Data)
        .file_format(DataFileFormat::Parquet)
        .file_path(uri)
        .file_size_in_bytes(size)
        .record_count(u64::try_from(footer.file_metadata().num_rows()).unwrap_or_default())
        .partition(partition_struct(target, file, partition_bounds).map_err(&misfit)?)
        .partition_spec_id(target.partition_spec_id)
        .column_sizes(column_sizes)
        .value_counts(value_counts)
        .null_value_counts(null_value_counts)
        .lower_bounds(lower_bounds)
        .upper_bounds(upper_bounds)
        .split_offsets(Some(split_offsets(&footer)))
        .sort_order_id(0);
    builder
        .build()
        .map_err(|error| misfit("its description is incomplete".to_owned()).with_source(error))
}

/// The rows of a Parquet file, by its footer. Blocks on the disk.
///
/// # Errors
/// `Damaged` where it has none that can be read.
pub(crate) fn rows(path: &Path) -> Result<u64> {
    let read = || -> std::result::Result<_, Box<dyn std::error::Error + Send + Sync>> {
        Ok(ParquetMetaDataReader::new().parse_and_finish(&File::open(path)?)?)
    };
    let footer = read().map_err(|error| {
        Error::new(
            ErrorKind::Damaged,
            format!("the footer of {} cannot be read", path.display()),
        )
        .with_source(error)
    })?;
    Ok(u64::try_from(footer.file_metadata().num_rows()).unwrap_or_default())
}

fn split_offsets(footer: &ParquetMetaData) -> Vec<i64> {
    let first_page = |column: &ColumnChunkMetaData| {
        column
            .dictionary_page_offset()
            .map_or(column.data_page_offset(), |offset| {
                offset.min(column.data_page_offset())
            })
    };
    let mut offsets: Vec<i64> = footer
        .row_groups()
        .iter()
        .filter_map(|group| group.columns().iter().map(first_page).min())
        .collect();
    offsets.sort_unstable();
    offsets
}

fn partition_struct(
    target: &Target<'_>,
    file: &NewFile,
    bounds: Option<(Datum, Datum)>,
) -> Result<Struct, String> {
    let Some(by) = target.partitioning else {
        return match file.partition {
            None => Ok(Struct::empty()),
            Some(value) => Err(format!(
                "it has the partition {value}, but the table has none"
            )),
        };
    };
    // Readers skip whole partitions: a file in the wrong one is lost to them.
    if let Some((lower, upper)) = bounds {
        for bound in [lower, upper] {
            let holds = partition::of_datum(&bound, by.unit);
            if holds != file.partition {
                return Err(format!(
                    "its partition is {:?}, but {} has the value {bound}, which is in {holds:?}",
                    file.partition, by.column
                ));
            }
        }
    }
    Ok(Struct::from_iter([file.partition.map(|value| {
        match by.unit {
            PartitionUnit::Day => Literal::date(value),
            PartitionUnit::Month => Literal::int(value),
        }
    })]))
}

/// What is known of a column over all row groups.
struct Column<'a> {
    field: &'a NestedField,
    in_list: bool,
    bytes: u64,
    values: u64,
    nulls: Option<u64>,
    bounds: Bounds,
}

enum Bounds {
    /// No value yet.
    Empty,
    Known(Datum, Datum),
    /// Some row group does not say, or a value has no order (NaN).
    Unknown,
}

impl Bounds {
    fn join(self, other: Bounds) -> Bounds {
        match (self, other) {
            (Bounds::Unknown, _) | (_, Bounds::Unknown) => Bounds::Unknown,
            (Bounds::Empty, bounds) | (bounds, Bounds::Empty) => bounds,
            (Bounds::Known(lower, upper), Bounds::Known(other_lower, other_upper)) => {
                Bounds::Known(
                    if other_lower < lower {
                        other_lower
                    } else {
                        lower
                    },
                    if other_upper > upper {
                        other_upper
                    } else {
                        upper
                    },
                )
            }
        }
    }
}

fn columns<'a>(
    schema: &'a Schema,
    footer: &ParquetMetaData,
) -> Result<HashMap<i32, Column<'a>>, String> {
    let mut columns: HashMap<i32, Column<'a>> = HashMap::new();
    for leaf in footer.file_metadata().schema_descr().columns() {
        let info = leaf.self_type().get_basic_info();
        let path = leaf.path().string();
        let field = info
            .has_id()
            .then(|| schema.field_by_id(info.id()))
            .flatten()
            .ok_or_else(|| format!("{path} carries no field id of the table"))?;
        let Type::Primitive(ty) = field.field_type.as_ref() else {
            return Err(format!("{path} carries the field id of a list"));
        };
        check_type(ty, leaf.physical_type(), leaf.logical_type_ref()).map_err(|what| {
            format!("{path} is stored as {what}, which does not fit the type {ty}")
        })?;
        let column = Column {
            field,
            in_list: leaf.max_rep_level() > 0,
            bytes: 0,
            values: 0,
            nulls: Some(0),
            bounds: Bounds::Empty,
        };
        if columns.insert(field.id, column).is_some() {
            return Err(format!("two columns carry the field id {}", field.id));
        }
    }
    for field in schema.as_struct().fields() {
        if field.required && field.field_type.is_primitive() && !columns.contains_key(&field.id) {
            return Err(format!("the required column {} is missing", field.name));
        }
    }
    for group in footer.row_groups() {
        for chunk in group.columns() {
            let id = chunk.column_descr().self_type().get_basic_info().id();
            if let Some(column) = columns.get_mut(&id) {
                add_chunk(column, chunk);
            }
        }
    }
    for column in columns.values() {
        if column.field.required && !column.in_list && column.nulls.is_some_and(|nulls| nulls > 0) {
            return Err(format!(
                "the required column {} has nulls",
                column.field.name
            ));
        }
    }
    Ok(columns)
}

fn add_chunk(column: &mut Column<'_>, chunk: &ColumnChunkMetaData) {
    let values = u64::try_from(chunk.num_values()).unwrap_or_default();
    column.bytes += u64::try_from(chunk.compressed_size()).unwrap_or_default();
    column.values += values;
    let statistics = chunk.statistics();
    let nulls = statistics.and_then(Statistics::null_count_opt);
    column.nulls = column.nulls.zip(nulls).map(|(sum, nulls)| sum + nulls);
    let bounds = if nulls == Some(values) {
        Bounds::Empty
    } else {
        match (column.field.field_type.as_primitive_type(), statistics) {
            (Some(ty), Some(statistics)) => bounds(ty, statistics),
            _ => Bounds::Unknown,
        }
    };
    column.bounds = std::mem::replace(&mut column.bounds, Bounds::Unknown).join(bounds);
}

fn check_type(
    ty: &PrimitiveType,
    physical: PhysicalType,
    logical: Option<&LogicalType>,
) -> Result<(), String> {
    let fits = match ty {
        PrimitiveType::Boolean => physical == PhysicalType::BOOLEAN,
        PrimitiveType::Int | PrimitiveType::Date => physical == PhysicalType::INT32,
        // A file from before the column was widened holds 32-bit integers.
        PrimitiveType::Long => matches!(physical, PhysicalType::INT32 | PhysicalType::INT64),
        PrimitiveType::Double => physical == PhysicalType::DOUBLE,
        PrimitiveType::String => physical == PhysicalType::BYTE_ARRAY,
        PrimitiveType::Timestamptz => {
            physical == PhysicalType::INT64
                && matches!(
                    logical,
                    Some(LogicalType::Timestamp {
                        unit: TimeUnit::MICROS,
                        ..
                    })
                )
        }
        PrimitiveType::Decimal { scale, .. } => {
            let same_scale = matches!(
                logical,
                Some(LogicalType::Decimal { scale: stored, .. }) if u32::try_from(*stored) == Ok(*scale)
            );
            same_scale
                && matches!(
                    physical,
                    PhysicalType::INT32
                        | PhysicalType::INT64
                        | PhysicalType::FIXED_LEN_BYTE_ARRAY
                        | PhysicalType::BYTE_ARRAY
                )
        }
        _ => false,
    };
    if fits {
        Ok(())
    } else {
        Err(format!("{physical} ({logical:?})"))
    }
}

fn bounds(ty: &PrimitiveType, statistics: &Statistics) -> Bounds {
    if statistics.is_min_max_deprecated() {
        // The old fields did not say how values are ordered.
        return Bounds::Unknown;
    }
    let (lower, upper) = match statistics {
        Statistics::Boolean(values) => (
            values.min_opt().map(|v| Datum::bool(*v)),
            values.max_opt().map(|v| Datum::bool(*v)),
        ),
        Statistics::Int32(values) => {
            let datum = |value: &i32| integer(ty, i64::from(*value));
            (
                values.min_opt().and_then(datum),
                values.max_opt().and_then(datum),
            )
        }
        Statistics::Int64(values) => {
            let datum = |value: &i64| integer(ty, *value);
            (
                values.min_opt().and_then(datum),
                values.max_opt().and_then(datum),
            )
        }
        Statistics::Double(values) => {
            let datum = |value: &f64, zero: f64| {
                // The two zeros are equal to Parquet and ordered to Iceberg.
                (!value.is_nan()).then(|| Datum::double(if *value == 0.0 { zero } else { *value }))
            };
            (
                values.min_opt().and_then(|v| datum(v, -0.0)),
                values.max_opt().and_then(|v| datum(v, 0.0)),
            )
        }
        Statistics::ByteArray(values) => (
            values.min_opt().and_then(|v| bytes(ty, v.data())),
            values.max_opt().and_then(|v| bytes(ty, v.data())),
        ),
        Statistics::FixedLenByteArray(values) => (
            values.min_opt().and_then(|v| bytes(ty, v.data())),
            values.max_opt().and_then(|v| bytes(ty, v.data())),
        ),
        Statistics::Int96(_) | Statistics::Float(_) => (None, None),
    };
    match (lower, upper) {
        (Some(lower), Some(upper)) => Bounds::Known(lower, upper),
        _ => Bounds::Unknown,
    }
}

fn integer(ty: &PrimitiveType, value: i64) -> Option<Datum> {
    match ty {
        PrimitiveType::Int => i32::try_from(value).ok().map(Datum::int),
        PrimitiveType::Date => i32::try_from(value).ok().map(Datum::date),
        PrimitiveType::Long => Some(Datum::long(value)),
        PrimitiveType::Timestamptz => Some(Datum::timestamptz_micros(value)),
        PrimitiveType::Decimal { .. } => {
            Datum::try_from_bytes(&value.to_be_bytes(), ty.clone()).ok()
        }
        _ => None,
    }
}

fn bytes(ty: &PrimitiveType, value: &[u8]) -> Option<Datum> {
    match ty {
        PrimitiveType::String => std::str::from_utf8(value).ok().map(Datum::string),
        PrimitiveType::Decimal { .. } if !value.is_empty() => {
            Datum::try_from_bytes(value, ty.clone()).ok()
        }
        _ => None,
    }
}

fn text(datum: &Datum) -> Option<&str> {
    match datum.literal() {
        iceberg::spec::PrimitiveLiteral::String(text) => Some(text),
        _ => None,
    }
}

fn cut_down(lower: Datum) -> Option<Datum> {
    match text(&lower).and_then(|text| {
        text.char_indices()
            .nth(BOUND_CHARACTERS)
            .map(|(end, _)| text.get(..end))
    }) {
        Some(cut) => cut.map(Datum::string),
        None => Some(lower),
    }
}

fn cut_up(upper: Datum) -> Option<Datum> {
    let Some(text) = text(&upper) else {
        return Some(upper);
    };
    if text.chars().nth(BOUND_CHARACTERS).is_none() {
        return Some(upper);
    }
    let mut characters: Vec<char> = text.chars().take(BOUND_CHARACTERS).collect();
    // The smallest text above every text with this prefix: the last character that has a successor is
    // raised, and what follows it goes.
    while let Some(last) = characters.pop() {
        let next = match last {
            '\u{d7ff}' => Some('\u{e000}'),
            other => u32::from(other).checked_add(1).and_then(char::from_u32),
        };
        if let Some(next) = next {
            characters.push(next);
            return Some(Datum::string(characters.into_iter().collect::<String>()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn short_strings_are_their_own_bounds() {
        let sixteen = "äöü4567890123456";
        assert_eq!(
            text(&cut_down(Datum::string(sixteen)).unwrap()),
            Some(sixteen)
        );
        assert_eq!(
            text(&cut_up(Datum::string(sixteen)).unwrap()),
            Some(sixteen)
        );
    }

    #[test]
    fn an_upper_bound_that_is_cut_is_raised_at_the_last_character_that_can_be() {
        for (upper, expected) in [
            (
                "0123456789abcdefg".to_owned(),
                Some("0123456789abcdeg".to_owned()),
            ),
            (
                format!("0123456789abcde{}x", char::MAX),
                Some("0123456789abcdf".to_owned()),
            ),
            (
                format!("0123456789abcde{}x", '\u{d7ff}'),
                Some("0123456789abcde\u{e000}".to_owned()),
            ),
            (char::MAX.to_string().repeat(17), None),
        ] {
            let cut = cut_up(Datum::string(&upper));
            assert_eq!(cut.as_ref().and_then(text), expected.as_deref(), "{upper}");
        }
    }

    proptest! {
        #[test]
        fn cut_bounds_enclose_the_string(value in "(\\PC|\u{10ffff}|\u{d7ff}){0,40}") {
            let lower = cut_down(Datum::string(&value)).unwrap();
            prop_assert!(text(&lower).unwrap() <= value.as_str());
            if let Some(upper) = cut_up(Datum::string(&value)) {
                let upper = text(&upper).unwrap();
                prop_assert!(upper >= value.as_str());
                prop_assert!(upper.chars().count() <= BOUND_CHARACTERS);
            }
        }
    }
}
