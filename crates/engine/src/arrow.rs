//! From filled columns to Arrow arrays as the Parquet writer and Polars take them.

use polars_arrow::array::{
    Array, BooleanArray, DictionaryArray, ListArray, PrimitiveArray, Utf8Array,
};
use polars_arrow::bitmap::Bitmap;
use polars_arrow::datatypes::{
    ArrowDataType, ArrowSchema, Field as ArrowField, IntegerType, Metadata, TimeUnit,
};
use polars_arrow::offset::OffsetsBuffer;
use tarn_core::schema::{ColumnType, TableField};
use tarn_core::{Error, Result};

use crate::column::{ColumnData, ListColumn, TextColumn, Validity};

const FIELD_ID: &str = "PARQUET:field_id";

fn identified(name: &str, dtype: ArrowDataType, nullable: bool, id: i32) -> ArrowField {
    let metadata = Metadata::from([(FIELD_ID.into(), id.to_string().into())]);
    ArrowField::new(name.into(), dtype, nullable).with_metadata(metadata)
}

/// The Arrow type of a column.
pub fn data_type(ty: &ColumnType, element_id: Option<i32>) -> ArrowDataType {
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

fn failed(error: polars::error::PolarsError) -> Error {
    Error::internal("a column cannot be laid out for writing").with_source(error)
}

fn bitmap(validity: Validity) -> Result<Option<Bitmap>> {
    validity
        .into_bits()
        .map(|(bits, len)| Bitmap::try_new(bits, len).map_err(failed))
        .transpose()
}

fn offsets(ends: Vec<i64>) -> Result<OffsetsBuffer<i64>> {
    let mut all = Vec::with_capacity(ends.len() + 1);
    all.push(0);
    all.extend(ends);
    OffsetsBuffer::try_from(all).map_err(failed)
}

fn text_array(column: TextColumn) -> Result<Box<dyn Array>> {
    let validity = bitmap(column.validity)?;
    let utf8 = |texts: crate::column::Texts, validity| -> Result<Utf8Array<i64>> {
        Utf8Array::try_new(
            ArrowDataType::LargeUtf8,
            offsets(texts.ends)?,
            texts.bytes.into(),
            validity,
        )
        .map_err(failed)
    };
    if !column.interned {
        return Ok(utf8(column.texts, validity)?.boxed());
    }
    let mut texts = column.texts;
    if texts.is_empty() {
        // A column of nulls alone still needs a text for its keys to point at.
        texts.ends.push(0);
    }
    let values = utf8(texts, None)?;
    let keys = PrimitiveArray::try_new(ArrowDataType::UInt32, column.keys.into(), validity)
        .map_err(failed)?;
    let dtype = ArrowDataType::Dictionary(
        IntegerType::UInt32,
        Box::new(ArrowDataType::LargeUtf8),
        false,
    );
    Ok(DictionaryArray::try_new(dtype, keys, values.boxed())
        .map_err(failed)?
        .boxed())
}

fn list_array(column: ListColumn, element_id: Option<i32>) -> Result<Box<dyn Array>> {
    let validity = bitmap(column.validity)?;
    let items = text_array(column.items)?;
    let dtype = match data_type(&ColumnType::StringList, element_id) {
        ArrowDataType::LargeList(mut item) => {
            item.dtype = items.dtype().clone();
            ArrowDataType::LargeList(item)
        }
        other => other,
    };
    Ok(
        ListArray::<i64>::try_new(dtype, offsets(column.ends)?, items, validity)
            .map_err(failed)?
            .boxed(),
    )
}

/// One column as the Parquet writer takes it. An interned text column becomes a dictionary, which
/// the writer stores as it is; decimals stay the integers that Parquet stores.
pub fn storage_array(column: ColumnData, field: &TableField) -> Result<Box<dyn Array>> {
    let primitive = |dtype, values: Vec<i64>, validity| -> Result<Box<dyn Array>> {
        Ok(
            PrimitiveArray::try_new(dtype, values.into(), bitmap(validity)?)
                .map_err(failed)?
                .boxed(),
        )
    };
    match (column, &field.field.ty) {
        (ColumnData::Text(column), ColumnType::String) => text_array(column),
        (ColumnData::List(column), ColumnType::StringList) => list_array(column, field.element_id),
        (ColumnData::Int(column), ty @ (ColumnType::Int | ColumnType::Date)) => {
            Ok(PrimitiveArray::try_new(
                data_type(ty, None),
                column.values.into(),
                bitmap(column.validity)?,
            )
            .map_err(failed)?
            .boxed())
        }
        (ColumnData::Long(column), ty @ (ColumnType::Long | ColumnType::Timestamp)) => {
            primitive(data_type(ty, None), column.values, column.validity)
        }
        (ColumnData::Long(column), ColumnType::Decimal { precision, .. }) if *precision > 9 => {
            primitive(ArrowDataType::Int64, column.values, column.validity)
        }
        (ColumnData::Long(column), ColumnType::Decimal { .. }) => {
            // Iceberg stores up to nine digits in 32 bits; the readers have checked the range.
            let values: Vec<i32> = column.values.iter().map(|&value| value as i32).collect();
            Ok(PrimitiveArray::try_new(
                ArrowDataType::Int32,
                values.into(),
                bitmap(column.validity)?,
            )
            .map_err(failed)?
            .boxed())
        }
        (ColumnData::Double(column), ColumnType::Double) => Ok(PrimitiveArray::try_new(
            ArrowDataType::Float64,
            column.values.into(),
            bitmap(column.validity)?,
        )
        .map_err(failed)?
        .boxed()),
        (ColumnData::Boolean(column), ColumnType::Boolean) => Ok(BooleanArray::try_new(
            ArrowDataType::Boolean,
            column.values.iter().copied().collect(),
            bitmap(column.validity)?,
        )
        .map_err(failed)?
        .boxed()),
        (_, ty) => Err(Error::internal(format!(
            "column {} was not read as {ty}, the type of its table",
            field.field.name
        ))),
    }
}
