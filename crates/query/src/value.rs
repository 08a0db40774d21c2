//! Values as JSON and as text.

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type,
    TimestampMicrosecondType,
};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::Value;
use tarn_rows::display;

/// A value as JSON.
pub(crate) fn json(values: &ArrayRef, row: usize) -> Value {
    if values.is_null(row) {
        return Value::Null;
    }
    match values.data_type() {
        DataType::Boolean => Value::from(values.as_boolean().value(row)),
        DataType::Utf8 => Value::from(values.as_string::<i32>().value(row)),
        DataType::Int32 => Value::from(values.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => Value::from(values.as_primitive::<Int64Type>().value(row)),
        DataType::Float32 => Value::from(values.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => Value::from(values.as_primitive::<Float64Type>().value(row)),
        DataType::Date32 => Value::from(display::date(
            values.as_primitive::<Date32Type>().value(row),
        )),
        DataType::Timestamp(_, zone) => {
            let micros = values.as_primitive::<TimestampMicrosecondType>().value(row);
            let text = display::timestamp(micros);
            match zone {
                Some(_) => Value::from(text),
                // A time without zone is not an instant.
                None => Value::from(text.trim_end_matches('Z')),
            }
        }
        DataType::Decimal128(_, scale) => Value::from(display::decimal(
            values.as_primitive::<Decimal128Type>().value(row),
            u8::try_from(*scale).unwrap_or(0),
        )),
        DataType::List(_) => {
            let items = values.as_list::<i32>().value(row);
            (0..items.len()).map(|item| json(&items, item)).collect()
        }
        _ => match ArrayFormatter::try_new(values.as_ref(), &FormatOptions::default()) {
            Ok(formatter) => Value::from(formatter.value(row).to_string()),
            Err(error) => Value::from(error.to_string()),
        },
    }
}

/// A value as text; empty for a null.
pub(crate) fn text(values: &ArrayRef, row: usize) -> String {
    match json(values, row) {
        Value::Null => String::new(),
        Value::String(text) => text,
        other => other.to_string(),
    }
}
