//! AVG of decimals, rounded as quotients are. DataFusion cuts off after four digits more than the column has.

use std::any::Any;
use std::collections::HashSet;
use std::mem::size_of_val;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, BooleanArray, Decimal128Array, Int64Array};
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef, Int64Type};
use datafusion::common::{DataFusionError, Result, ScalarValue};
use datafusion::functions_aggregate::average::avg_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF, Signature,
};

use super::accumulate::{bytes, is_wanted, list, lists};
use super::quotient::{PRECISION, SCALE, rounded, shift, too_large};

/// Replaces DataFusion's AVG.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Average {
    signature: Signature,
}

impl Average {
    pub fn new() -> Self {
        Average {
            signature: avg_udaf().signature().clone(),
        }
    }
}

/// The digits after the point of the values; None where they are not decimals.
fn scale_of(fields: &[FieldRef]) -> Option<i8> {
    match fields.first()?.data_type() {
        DataType::Decimal128(_, scale) => Some(*scale),
        _ => None,
    }
}

fn averages(sums: impl Iterator<Item = (i128, i64)>, scale: i8) -> Result<Decimal128Array> {
    let shift = shift(scale, 0)?;
    let averages = sums
        .map(|(sum, count)| match count {
            0 => Ok(None),
            count => rounded(sum, i128::from(count), shift)
                .map(Some)
                .ok_or_else(too_large),
        })
        .collect::<Result<Decimal128Array>>()?;
    Ok(averages.with_precision_and_scale(PRECISION, SCALE)?)
}

fn decimals(values: &ArrayRef) -> impl Iterator<Item = Option<i128>> + '_ {
    values.as_primitive::<Decimal128Type>().iter()
}

fn added(sum: i128, value: i128) -> Result<i128> {
    sum.checked_add(value).ok_or_else(too_large)
}

impl AggregateUDFImpl for Average {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &str {
        "avg"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [DataType::Decimal128(_, _)] => Ok(DataType::Decimal128(PRECISION, SCALE)),
            _ => avg_udaf().return_type(arguments),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let Some(scale) = scale_of(args.input_fields) else {
            return avg_udaf().state_fields(args);
        };
        let sum = DataType::Decimal128(PRECISION, scale);
        let name = |part: &str| format_state_name(args.name, part);
        Ok(if args.is_distinct {
            let item = Field::new_list_field(sum, true);
            vec![Arc::new(Field::new_list(name("avg distinct"), item, false))]
        } else {
            vec![
                Arc::new(Field::new(name("count"), DataType::Int64, true)),
                Arc::new(Field::new(name("sum"), sum, true)),
            ]
        })
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let Some(scale) = scale_of(args.expr_fields) else {
            return avg_udaf().accumulator(args);
        };
        Ok(if args.is_distinct {
            Box::new(Distinct {
                values: HashSet::new(),
                scale,
            })
        } else {
            Box::new(Whole {
                sum: 0,
                count: 0,
                scale,
            })
        })
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if scale_of(args.expr_fields).is_none() {
            return avg_udaf().create_sliding_accumulator(args);
        }
        if args.is_distinct {
            return Err(DataFusionError::NotImplemented(
                "AVG(DISTINCT …) over a window".to_owned(),
            ));
        }
        self.accumulator(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        match scale_of(args.expr_fields) {
            Some(_) => !args.is_distinct,
            None => avg_udaf().groups_accumulator_supported(args),
        }
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        match scale_of(args.expr_fields) {
            Some(scale) => Ok(Box::new(Groups {
                sums: Vec::new(),
                scale,
            })),
            None => avg_udaf().create_groups_accumulator(args),
        }
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        avg_udaf().coerce_types(arguments)
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// One average. Values can be taken out again as a window moves.
#[derive(Debug)]
struct Whole {
    sum: i128,
    count: i64,
    scale: i8,
}

impl Accumulator for Whole {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in decimals(&values[0]).flatten() {
            self.sum = added(self.sum, value)?;
            self.count += 1;
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in decimals(&values[0]).flatten() {
            self.sum = added(self.sum, -value)?;
            self.count -= 1;
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let counts = states[0].as_primitive::<Int64Type>();
        for (count, sum) in counts.iter().zip(decimals(&states[1])) {
            self.count += count.unwrap_or(0);
            self.sum = added(self.sum, sum.unwrap_or(0))?;
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![
            ScalarValue::Int64(Some(self.count)),
            ScalarValue::Decimal128(Some(self.sum), PRECISION, self.scale),
        ])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let average = averages(std::iter::once((self.sum, self.count)), self.scale)?;
        ScalarValue::try_from_array(&average, 0)
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

/// The average of distinct values.
#[derive(Debug)]
struct Distinct {
    values: HashSet<i128>,
    scale: i8,
}

impl Accumulator for Distinct {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.values.extend(decimals(&values[0]).flatten());
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for list in lists(states) {
            self.update_batch(&[list])?;
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values: Decimal128Array = self.values.iter().map(|value| Some(*value)).collect();
        let values = values.with_precision_and_scale(PRECISION, self.scale)?;
        Ok(list(Arc::new(values)))
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let sum = self
            .values
            .iter()
            .try_fold(0, |sum, value| added(sum, *value))?;
        let count = i64::try_from(self.values.len()).map_err(|_| too_large())?;
        let average = averages(std::iter::once((sum, count)), self.scale)?;
        ScalarValue::try_from_array(&average, 0)
    }

    fn size(&self) -> usize {
        size_of_val(self) + bytes(&self.values)
    }
}

/// The averages of many groups.
#[derive(Debug)]
struct Groups {
    /// Of each group the sum and the number of values.
    sums: Vec<(i128, i64)>,
    scale: i8,
}

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.sums.resize(total_num_groups, (0, 0));
        for (row, (value, &group)) in decimals(&values[0]).zip(group_indices).enumerate() {
            if let (Some(value), true) = (value, is_wanted(opt_filter, row)) {
                let (sum, count) = &mut self.sums[group];
                *sum = added(*sum, value)?;
                *count += 1;
            }
        }
        Ok(())
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        _: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.sums.resize(total_num_groups, (0, 0));
        let counts = values[0].as_primitive::<Int64Type>();
        let partial = counts.iter().zip(decimals(&values[1]));
        for ((more, value), &group) in partial.zip(group_indices) {
            let (sum, count) = &mut self.sums[group];
            *sum = added(*sum, value.unwrap_or(0))?;
            *count += more.unwrap_or(0);
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let sums = emit_to.take_needed(&mut self.sums);
        Ok(Arc::new(averages(sums.into_iter(), self.scale)?))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let sums = emit_to.take_needed(&mut self.sums);
        let counts: Int64Array = sums.iter().map(|(_, count)| Some(*count)).collect();
        let sums: Decimal128Array = sums.iter().map(|(sum, _)| Some(*sum)).collect();
        let sums = sums.with_precision_and_scale(PRECISION, self.scale)?;
        Ok(vec![Arc::new(counts), Arc::new(sums)])
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.sums.capacity() * size_of::<(i128, i64)>()
    }
}
