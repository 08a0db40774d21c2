//! A live data file: its entry in a manifest.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use iceberg::spec::{DataFile, Datum, Literal, ManifestEntry, PrimitiveLiteral, Schema, Struct};
use tarn_core::schema::{PartitionValue, system};

/// A lower or upper bound of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Bound {
    /// Of a boolean column.
    Boolean(bool),
    /// Of an int or long column, days of a date, microseconds of a timestamp, or the unscaled value of a
    /// decimal.
    Integer(i64),
    /// Of a double column; NaN is not counted.
    Double(f64),
    /// Of a string column; perhaps shorter than any value.
    String(Box<str>),
}

impl Bound {
    fn of(datum: &Datum) -> Option<Self> {
        match datum.literal() {
            PrimitiveLiteral::Boolean(value) => Some(Bound::Boolean(*value)),
            PrimitiveLiteral::Int(value) => Some(Bound::Integer(i64::from(*value))),
            PrimitiveLiteral::Long(value) => Some(Bound::Integer(*value)),
            PrimitiveLiteral::Int128(value) => i64::try_from(*value).ok().map(Bound::Integer),
            PrimitiveLiteral::Double(value) => Some(Bound::Double(value.into_inner())),
            PrimitiveLiteral::String(value) => Some(Bound::String(value.as_str().into())),
            _ => None,
        }
    }

    fn weight(&self) -> usize {
        match self {
            Bound::String(text) => text.len(),
            _ => 0,
        }
    }
}

/// What the manifest says about one column of a file; None where it says nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ColumnSummary {
    /// Values with nulls; for the elements of lists, Parquet's count.
    pub values: Option<u64>,
    /// Nulls.
    pub nulls: Option<u64>,
    /// No value is less.
    pub lower: Option<Bound>,
    /// No value is greater.
    pub upper: Option<Bound>,
}

impl ColumnSummary {
    fn of(file: &DataFile, id: i32) -> Self {
        let bound = |bounds: &HashMap<i32, Datum>| bounds.get(&id).and_then(Bound::of);
        ColumnSummary {
            values: file.value_counts().get(&id).copied(),
            nulls: file.null_value_counts().get(&id).copied(),
            lower: bound(file.lower_bounds()),
            upper: bound(file.upper_bounds()),
        }
    }

    /// Whether a text may be among the values of a text column.
    pub fn may_hold(&self, text: &str) -> bool {
        let below = matches!(&self.lower, Some(Bound::String(lower)) if text < &**lower);
        let above = matches!(&self.upper, Some(Bound::String(upper)) if text > &**upper);
        !below && !above
    }

    /// The one value that a text column has, where its bounds prove that there is one.
    fn only_value(&self) -> Option<&str> {
        match (&self.lower, &self.upper) {
            (Some(Bound::String(lower)), Some(Bound::String(upper)))
                if lower == upper && self.nulls == Some(0) =>
            {
                Some(lower)
            }
            _ => None,
        }
    }
}

/// A live data file.
#[derive(Debug, Clone, PartialEq)]
pub struct DataFileInfo {
    /// As the table names it.
    pub uri: String,
    /// Its key in the object store.
    pub key: String,
    /// Rows.
    pub rows: u64,
    /// Bytes.
    pub bytes: u64,
    /// The partition of all its rows.
    pub partition: PartitionValue,
    /// Sorted by their field ids.
    columns: Box<[(i32, ColumnSummary)]>,
    /// The field of the rows' source objects.
    source_id: Option<i32>,
}

impl DataFileInfo {
    /// What the manifest says about a column; None where it does not name it.
    pub fn column(&self, field_id: i32) -> Option<&ColumnSummary> {
        let place = self
            .columns
            .binary_search_by_key(&field_id, |(id, _)| *id)
            .ok()?;
        self.columns.get(place).map(|(_, column)| column)
    }

    /// The source object that every row comes from, where the manifest proves that there is only one, as the
    /// rows name it: perhaps by a former URI.
    pub fn only_source(&self) -> Option<&str> {
        // Equal bounds are exact: a bound that was cut is no longer than its value, and an upper bound
        // is raised when it is cut.
        self.column(self.source_id?)?.only_value()
    }

    /// Whether the manifest proves that every row comes from the object that these URIs name.
    pub fn is_only_of(&self, uris: &[String]) -> bool {
        self.only_source()
            .is_some_and(|source| uris.iter().any(|uri| uri == source))
    }
}

/// A live entry of a manifest.
#[derive(Debug)]
pub(crate) struct LiveFile {
    pub sequence_number: Option<i64>,
    /// As the manifest has it, whatever the table's partitioning is.
    pub partition: Struct,
    pub info: Arc<DataFileInfo>,
}

impl LiveFile {
    /// `key` is the file's; `source_id` is the field of the rows' source objects.
    pub fn of(entry: &ManifestEntry, key: String, source_id: Option<i32>) -> Self {
        let file = entry.data_file();
        let ids: BTreeSet<i32> = (file.value_counts().keys())
            .chain(file.null_value_counts().keys())
            .chain(file.lower_bounds().keys())
            .chain(file.upper_bounds().keys())
            .copied()
            .collect();
        let info = DataFileInfo {
            uri: file.file_path().to_owned(),
            key,
            rows: file.record_count(),
            bytes: file.file_size_in_bytes(),
            partition: partition_value(file),
            columns: (ids.into_iter())
                .map(|id| (id, ColumnSummary::of(file, id)))
                .collect(),
            source_id,
        };
        LiveFile {
            sequence_number: entry.sequence_number,
            partition: file.partition().clone(),
            info: info.into(),
        }
    }

    /// About how many bytes of memory it takes.
    pub fn weight(&self) -> usize {
        let info = &self.info;
        let texts = info.columns.iter().flat_map(|(_, column)| {
            let bounds = [&column.lower, &column.upper];
            bounds.into_iter().flatten().map(Bound::weight)
        });
        size_of::<LiveFile>()
            + size_of::<DataFileInfo>()
            + size_of_val(&*info.columns)
            + texts.sum::<usize>()
            + info.uri.len()
            + info.key.len()
    }
}

/// The URI of the one source object that all rows of a file name, as the rows do.
pub(crate) fn only_source(schema: &Schema, file: &DataFile) -> Option<String> {
    let id = schema.field_id_by_name(system::SOURCE_URI)?;
    let column = ColumnSummary::of(file, id);
    column.only_value().map(str::to_owned)
}

/// The value of the one partition field.
pub(crate) fn partition_value(file: &DataFile) -> PartitionValue {
    match file.partition().iter().next().flatten() {
        Some(Literal::Primitive(PrimitiveLiteral::Int(value))) => Some(*value),
        _ => None,
    }
}
