//! The types of a table's columns as Arrow has them, and its files.

use polars_arrow::datatypes::{
    ArrowDataType, ArrowSchema, Field as ArrowField, Metadata, TimeUnit,
};
use tarn_core::schema::{ColumnType, TableField};

const FIELD_ID: &str = "PARQUET:field_id";

fn identified(name: &str, dtype: ArrowDataType, nullable: bool, id: i32) -> ArrowField {
    let metadata = Metadata::from([(FIELD_ID.into(), id.to_string().into())]);
    ArrowField::new(name.into(), dtype, nullable).with_metadata(metadata)
}

/// The Arrow type of a column.
pub(crate) fn data_type(ty: &ColumnType, element_id: Option<i32>) -> ArrowDataType {
    match ty {
        ColumnType::String => ArrowDataType::LargeUtf8,
        ColumnType::Int => ArrowDataType::Int32,
        ColumnType::Long => ArrowDataType::Int64,
        ColumnType::Double => ArrowDataType::Float64,
        ColumnType::Boolean => ArrowDataType::Boolean,
        ColumnType::Date => ArrowDataType::Date32,
        ColumnType::Timestamp => {
            ArrowDataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
        }
        ColumnType::Decimal { precision, scale } => {
            ArrowDataType::Decimal(usize::from(*precision), usize::from(*scale))
        }
        ColumnType::StringList => {
            // Iceberg calls a list's item `element`.
            let item = match element_id {
                Some(id) => identified("element", ArrowDataType::LargeUtf8, false, id),
                None => ArrowField::new("element".into(), ArrowDataType::LargeUtf8, false),
            };
            ArrowDataType::LargeList(Box::new(item))
        }
    }
}

/// The schema of a table's Parquet files: Iceberg finds columns by the field ids in it.
pub fn schema(fields: &[TableField]) -> ArrowSchema {
    fields
        .iter()
        .map(|field| {
            identified(
                &field.field.name,
                data_type(&field.field.ty, field.element_id),
                !field.field.required,
                field.id,
            )
        })
        .collect()
}
