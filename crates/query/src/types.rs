//! The lake's types as Arrow's, and back as people read them.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use datafusion::parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use tarn_core::schema::{ColumnType, TableField};

/// The time zone of instants.
pub(crate) const UTC: &str = "UTC";

/// The type by which a column of a table is computed with.
pub(crate) fn data_type(ty: &ColumnType) -> DataType {
    match ty {
        ColumnType::String => DataType::Utf8,
        ColumnType::Int => DataType::Int32,
        ColumnType::Long => DataType::Int64,
        ColumnType::Double => DataType::Float64,
        ColumnType::Boolean => DataType::Boolean,
        ColumnType::Date => DataType::Date32,
        ColumnType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into())),
        ColumnType::Decimal { precision, scale } => {
            DataType::Decimal128(*precision, i8::try_from(*scale).unwrap_or(i8::MAX))
        }
        ColumnType::StringList => {
            DataType::List(Arc::new(Field::new("element", DataType::Utf8, true)))
        }
    }
}

/// The columns of a table. Each carries its field id, by which it is found in files.
pub(crate) fn schema(fields: &[TableField]) -> SchemaRef {
    let fields: Vec<Field> = fields
        .iter()
        .map(|field| {
            // That a column has no nulls is not relied on: other engines write tables as well.
            Field::new(&field.field.name, data_type(&field.field.ty), true).with_metadata(
                HashMap::from([(PARQUET_FIELD_ID_META_KEY.to_owned(), field.id.to_string())]),
            )
        })
        .collect();
    Arc::new(Schema::new(fields))
}

/// The field id of a column.
pub(crate) fn field_id(field: &Field) -> Option<i32> {
    field
        .metadata()
        .get(PARQUET_FIELD_ID_META_KEY)
        .and_then(|id| id.parse().ok())
}

/// A type as contracts write types, where there is one.
pub(crate) fn type_name(ty: &DataType) -> String {
    match ty {
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => "string".to_owned(),
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::UInt8 | DataType::UInt16 => {
            "int".to_owned()
        }
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 => "bigint".to_owned(),
        DataType::Float32 | DataType::Float64 => "double".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Date32 | DataType::Date64 => "date".to_owned(),
        DataType::Timestamp(_, Some(_)) => "timestamptz".to_owned(),
        DataType::Timestamp(_, None) => "timestamp".to_owned(),
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            format!("decimal({precision},{scale})")
        }
        DataType::List(item) | DataType::LargeList(item) => {
            format!("array<{}>", type_name(item.data_type()))
        }
        DataType::Null => "null".to_owned(),
        DataType::Duration(_) | DataType::Interval(_) => "interval".to_owned(),
        DataType::Binary | DataType::BinaryView | DataType::LargeBinary => "binary".to_owned(),
        other => other.to_string().to_lowercase(),
    }
}

/// The type of a column of an answer that every reader of Arrow and Parquet files knows.
pub(crate) fn common(ty: &DataType) -> DataType {
    let item = |item: &FieldRef| {
        Arc::new(Field::new(
            "element",
            common(item.data_type()),
            item.is_nullable(),
        ))
    };
    match ty {
        DataType::Utf8View | DataType::LargeUtf8 | DataType::Null | DataType::Duration(_) => {
            DataType::Utf8
        }
        DataType::Interval(_) | DataType::Time32(_) | DataType::Time64(_) => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        DataType::Int8 | DataType::Int16 | DataType::UInt8 | DataType::UInt16 => DataType::Int32,
        DataType::UInt32 => DataType::Int64,
        // A count of more than 2^63 rows is not met in practice; a value that does not fit is an error.
        DataType::UInt64 => DataType::Int64,
        DataType::Timestamp(_, zone) => {
            DataType::Timestamp(TimeUnit::Microsecond, zone.as_ref().map(|_| UTC.into()))
        }
        DataType::List(field) | DataType::LargeList(field) => DataType::List(item(field)),
        other => other.clone(),
    }
}
