//! The columns' types as Polars has them.

use polars::prelude::{DataType, TimeUnit, TimeZone};
use tarn_core::schema::ColumnType;

/// The Polars type of a column.
pub(crate) fn data_type(ty: &ColumnType) -> DataType {
    match ty {
        ColumnType::String => DataType::String,
        ColumnType::Int => DataType::Int32,
        ColumnType::Long => DataType::Int64,
        ColumnType::Double => DataType::Float64,
        ColumnType::Boolean => DataType::Boolean,
        ColumnType::Date => DataType::Date,
        ColumnType::Timestamp => DataType::Datetime(TimeUnit::Microseconds, Some(TimeZone::UTC)),
        ColumnType::Decimal { precision, scale } => {
            DataType::Decimal(usize::from(*precision), usize::from(*scale))
        }
        ColumnType::StringList => DataType::List(Box::new(DataType::String)),
    }
}
