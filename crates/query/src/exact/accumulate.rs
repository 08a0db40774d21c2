//! What the aggregates of this module share.

use std::collections::HashSet;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use datafusion::common::ScalarValue;
use datafusion::common::utils::SingleRowListArrayBuilder;

/// Whether FILTER keeps a row.
pub(super) fn is_wanted(filter: Option<&BooleanArray>, row: usize) -> bool {
    filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row))
}

/// The lists of values that partial aggregates of distinct values passed on.
pub(super) fn lists(states: &[ArrayRef]) -> impl Iterator<Item = ArrayRef> + '_ {
    states[0].as_list::<i32>().iter().flatten()
}

/// Distinct values as one list for [`lists`].
pub(super) fn list(values: ArrayRef) -> Vec<ScalarValue> {
    let list = SingleRowListArrayBuilder::new(values).with_nullable(true);
    vec![list.build_list_scalar()]
}

/// About how many bytes of memory the values of a set take.
pub(super) fn bytes(values: &HashSet<i128>) -> usize {
    values.capacity() * size_of::<(i128, u64)>()
}
