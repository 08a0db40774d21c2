//! NTILE as the standard defines it: where rows do not divide evenly, the first groups have one more.
//! DataFusion spreads the longer groups over the whole.

use std::any::Any;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::function::{PartitionEvaluatorArgs, WindowUDFFieldArgs};
use datafusion::logical_expr::{
    LimitEffect, PartitionEvaluator, Signature, Volatility, WindowUDFImpl,
};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Literal;

/// Replaces DataFusion's NTILE.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Ntile {
    signature: Signature,
}

impl Ntile {
    pub fn new() -> Self {
        Ntile {
            signature: Signature::uniform(1, vec![DataType::Int64], Volatility::Immutable),
        }
    }
}

impl WindowUDFImpl for Ntile {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &str {
        "ntile"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn partition_evaluator(
        &self,
        args: PartitionEvaluatorArgs,
    ) -> Result<Box<dyn PartitionEvaluator>> {
        let literal = args
            .input_exprs()
            .first()
            .and_then(|expr| expr.as_any().downcast_ref::<Literal>());
        match literal.map(Literal::value) {
            Some(ScalarValue::Int64(Some(groups))) if *groups > 0 => Ok(Box::new(Groups(
                usize::try_from(*groups).unwrap_or(usize::MAX),
            ))),
            _ => exec_err!("NTILE takes a whole number above zero"),
        }
    }

    fn field(&self, args: WindowUDFFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(args.name(), DataType::Int64, false)))
    }

    fn limit_effect(&self, _: &[Arc<dyn PhysicalExpr>]) -> LimitEffect {
        LimitEffect::Unknown
    }
}

#[derive(Debug)]
struct Groups(usize);

impl PartitionEvaluator for Groups {
    fn evaluate_all(&mut self, _: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
        Ok(Arc::new(group_numbers(rows, self.0)))
    }
}

/// The group of each row, from 1.
fn group_numbers(rows: usize, groups: usize) -> Int64Array {
    let (length, longer) = (rows / groups, rows % groups);
    let boundary = longer.saturating_mul(length + 1);
    (0..rows)
        .map(|row| {
            let group = if row < boundary {
                row / (length + 1)
            } else {
                // No row is past the boundary where there are fewer rows than groups.
                longer + (row - boundary) / length.max(1)
            };
            i64::try_from(group + 1).unwrap_or(i64::MAX)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_groups_come_first() {
        let groups = |rows, groups| group_numbers(rows, groups).values().to_vec();
        assert_eq!(groups(10, 4), [1, 1, 1, 2, 2, 2, 3, 3, 4, 4]);
        assert_eq!(groups(3, 5), [1, 2, 3]);
        assert_eq!(groups(4, 2), [1, 1, 2, 2]);
        assert_eq!(groups(0, 3), [0_i64; 0]);
    }
}
