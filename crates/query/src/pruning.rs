//! Which files may hold wanted rows, by the counts and bounds of columns in the manifests.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray, UInt64Array};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{Column, ColumnStatistics, ScalarValue, Statistics};
use datafusion::physical_expr::{PhysicalExpr, split_conjunction};
use datafusion::physical_optimizer::pruning::PruningPredicate;
use tarn_core::schema::{ColumnType, TableField};
use tarn_table::{Bound, ColumnSummary, DataFileInfo};

use crate::types::UTC;

/// Whether each file may hold a row for which the predicate is true.
pub(crate) fn may_match(
    files: &[Arc<DataFileInfo>],
    fields: &[TableField],
    schema: &SchemaRef,
    predicate: &Arc<dyn PhysicalExpr>,
) -> Vec<bool> {
    let manifest = Manifest { files, fields };
    let mut kept = vec![true; files.len()];
    // Each part by itself: one that cannot be judged by bounds must not prevent the others.
    for part in split_conjunction(predicate) {
        let judged = PruningPredicate::try_new(Arc::clone(part), Arc::clone(schema))
            .and_then(|part| part.prune(&manifest));
        match judged {
            Ok(may_match) => kept
                .iter_mut()
                .zip(may_match)
                .for_each(|(kept, may)| *kept &= may),
            Err(error) => tracing::debug!(%error, "a condition leaves out no files"),
        }
    }
    kept
}

/// A bound as a value of the column's type; None where it says nothing about values.
fn value(bound: Option<&Bound>, ty: &ColumnType) -> Option<ScalarValue> {
    Some(match (bound?, ty) {
        (Bound::Boolean(value), ColumnType::Boolean) => ScalarValue::Boolean(Some(*value)),
        (Bound::Integer(value), ColumnType::Int) => {
            ScalarValue::Int32(Some(i32::try_from(*value).ok()?))
        }
        (Bound::Integer(value), ColumnType::Long) => ScalarValue::Int64(Some(*value)),
        (Bound::Integer(value), ColumnType::Date) => {
            ScalarValue::Date32(Some(i32::try_from(*value).ok()?))
        }
        (Bound::Integer(value), ColumnType::Timestamp) => {
            ScalarValue::TimestampMicrosecond(Some(*value), Some(UTC.into()))
        }
        (Bound::Integer(value), ColumnType::Decimal { precision, scale }) => {
            ScalarValue::Decimal128(
                Some(i128::from(*value)),
                *precision,
                i8::try_from(*scale).ok()?,
            )
        }
        (Bound::Double(value), ColumnType::Double) => ScalarValue::Float64(Some(*value)),
        (Bound::String(value), ColumnType::String) => ScalarValue::Utf8(Some(value.to_string())),
        _ => return None,
    })
}

fn null(ty: &ColumnType) -> Option<ScalarValue> {
    ScalarValue::try_from(&crate::types::data_type(ty)).ok()
}

/// The manifests' statistics of files as pruning asks for them: a list with one value per file.
struct Manifest<'a> {
    files: &'a [Arc<DataFileInfo>],
    fields: &'a [TableField],
}

impl Manifest<'_> {
    fn field(&self, column: &Column) -> Option<&TableField> {
        self.fields
            .iter()
            .find(|field| field.field.name == column.name)
    }

    fn bounds(
        &self,
        column: &Column,
        bound: impl Fn(&ColumnSummary) -> Option<&Bound>,
    ) -> Option<ArrayRef> {
        let field = self.field(column)?;
        let ty = &field.field.ty;
        // NaN is in no bound, and compares as greater than every number here.
        if matches!(ty, ColumnType::StringList | ColumnType::Double) {
            return None;
        }
        let null = null(ty)?;
        let values = self.files.iter().map(|file| {
            let found = file.column(field.id).and_then(&bound);
            value(found, ty).unwrap_or_else(|| null.clone())
        });
        ScalarValue::iter_to_array(values).ok()
    }
}

impl PruningStatistics for Manifest<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, |summary| summary.lower.as_ref())
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, |summary| summary.upper.as_ref())
    }

    fn num_containers(&self) -> usize {
        self.files.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let field = self.field(column)?;
        let counts = self.files.iter().map(|file| nulls(file, field.id));
        Some(Arc::new(counts.collect::<UInt64Array>()))
    }

    fn row_counts(&self, _: &Column) -> Option<ArrayRef> {
        let counts = self.files.iter().map(|file| Some(file.rows));
        Some(Arc::new(counts.collect::<UInt64Array>()))
    }

    fn contained(&self, _: &Column, _: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}

/// The nulls of a column in a file. A file that was written before the column was added says nothing of it.
fn nulls(file: &DataFileInfo, id: i32) -> Option<u64> {
    file.column(id).and_then(|summary| summary.nulls)
}

/// The manifest's counts and bounds of one file, for DataFusion's planner.
pub(crate) fn statistics(
    file: &DataFileInfo,
    fields: &[TableField],
    schema: &SchemaRef,
) -> Statistics {
    let mut statistics = Statistics::new_unknown(schema);
    // Never exact: a count is not answered from a manifest whose file may be gone.
    statistics.num_rows = match usize::try_from(file.rows) {
        Ok(rows) => Precision::Inexact(rows),
        Err(_) => Precision::Absent,
    };
    statistics.column_statistics = fields.iter().map(|field| column(file, field)).collect();
    statistics
}

fn column(file: &DataFileInfo, field: &TableField) -> ColumnStatistics {
    let mut statistics = ColumnStatistics::new_unknown();
    let Some(summary) = file.column(field.id) else {
        return statistics;
    };
    if let Some(nulls) = summary.nulls.and_then(|nulls| usize::try_from(nulls).ok()) {
        statistics.null_count = Precision::Inexact(nulls);
    }
    let ty = &field.field.ty;
    let known = |bound: Option<&Bound>| match value(bound, ty) {
        Some(value) => Precision::Inexact(value),
        None => Precision::Absent,
    };
    // NaN is in no bound.
    if *ty != ColumnType::Double {
        statistics.min_value = known(summary.lower.as_ref());
        statistics.max_value = known(summary.upper.as_ref());
    }
    statistics
}
