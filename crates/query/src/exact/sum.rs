//! SUM of whole numbers and decimals: exact, or an error.

use std::any::Any;
use std::collections::HashSet;
use std::mem::size_of_val;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Int64Array, UInt64Array,
};
use datafusion::arrow::datatypes::{
    DataType, Decimal128Type, Field, FieldRef, Int64Type, UInt64Type,
};
use datafusion::common::{DataFusionError, Result, ScalarValue, internal_err};
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF, SetMonotonicity,
    Signature,
};

use super::accumulate::{bytes, is_wanted, list, lists};
use super::quotient::PRECISION;

/// Replaces DataFusion's SUM, whose additions wrap around.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Sum {
    signature: Signature,
}

impl Sum {
    pub fn new() -> Self {
        Sum {
            signature: sum_udaf().signature().clone(),
        }
    }
}

/// Whether values of a type are added here. All others are DataFusion's.
fn is_exact(ty: &DataType) -> bool {
    matches!(
        ty,
        DataType::Int64 | DataType::UInt64 | DataType::Decimal128(_, _)
    )
}

/// The type of a sum that is not complete yet: 38 digits hold 10^19 values of 64 bits.
fn state_type(result: &DataType) -> DataType {
    match result {
        DataType::Decimal128(_, scale) => DataType::Decimal128(PRECISION, *scale),
        _ => DataType::Decimal128(PRECISION, 0),
    }
}

fn too_large() -> DataFusionError {
    DataFusionError::Execution(
        "a sum is too large for its type: SUM(CAST(x AS DOUBLE)) has no such bound".to_owned(),
    )
}

/// The values of a column as whole numbers of 128 bits.
fn numbers(values: &ArrayRef) -> Result<Box<dyn Iterator<Item = Option<i128>> + '_>> {
    Ok(match values.data_type() {
        DataType::Int64 => {
            let values = values.as_primitive::<Int64Type>();
            Box::new(values.iter().map(|value| value.map(i128::from)))
        }
        DataType::UInt64 => {
            let values = values.as_primitive::<UInt64Type>();
            Box::new(values.iter().map(|value| value.map(i128::from)))
        }
        DataType::Decimal128(_, _) => Box::new(values.as_primitive::<Decimal128Type>().iter()),
        other => return internal_err!("a sum of {other}"),
    })
}

/// Sums as a column of the result's type.
fn column(sums: impl Iterator<Item = Option<i128>>, ty: &DataType) -> Result<ArrayRef> {
    Ok(match ty {
        DataType::Int64 => {
            let sums = sums.map(|sum| sum.map(i64::try_from).transpose());
            let sums: Result<Int64Array, _> = sums.collect();
            Arc::new(sums.map_err(|_| too_large())?)
        }
        DataType::UInt64 => {
            let sums = sums.map(|sum| sum.map(u64::try_from).transpose());
            let sums: Result<UInt64Array, _> = sums.collect();
            Arc::new(sums.map_err(|_| too_large())?)
        }
        DataType::Decimal128(precision, scale) => {
            let sums: Decimal128Array = sums.collect();
            let sums = sums.with_precision_and_scale(*precision, *scale)?;
            sums.validate_decimal_precision(*precision)
                .map_err(|_| too_large())?;
            Arc::new(sums)
        }
        other => return internal_err!("a sum of {other}"),
    })
}

impl AggregateUDFImpl for Sum {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &str {
        "sum"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        sum_udaf().return_type(arguments)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let result = args.return_type();
        if !is_exact(result) {
            return sum_udaf().state_fields(args);
        }
        let ty = state_type(result);
        let field = if args.is_distinct {
            let item = Field::new_list_field(ty, true);
            Field::new_list(format_state_name(args.name, "sum distinct"), item, false)
        } else {
            Field::new(format_state_name(args.name, "sum"), ty, true)
        };
        Ok(vec![Arc::new(field)])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let ty = args.return_field.data_type();
        if !is_exact(ty) {
            return sum_udaf().accumulator(args);
        }
        Ok(if args.is_distinct {
            Box::new(Distinct {
                values: HashSet::new(),
                ty: ty.clone(),
            })
        } else {
            Box::new(Whole {
                sum: 0,
                values: 0,
                ty: ty.clone(),
            })
        })
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        if !is_exact(args.return_field.data_type()) {
            return sum_udaf().create_sliding_accumulator(args);
        }
        if args.is_distinct {
            return Err(DataFusionError::NotImplemented(
                "SUM(DISTINCT …) over a window".to_owned(),
            ));
        }
        self.accumulator(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        let ty = args.return_field.data_type();
        if !is_exact(ty) {
            return sum_udaf().create_groups_accumulator(args);
        }
        Ok(Box::new(Groups {
            sums: Vec::new(),
            ty: ty.clone(),
        }))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn set_monotonicity(&self, ty: &DataType) -> SetMonotonicity {
        sum_udaf().inner().set_monotonicity(ty)
    }
}

/// One sum. Values can be taken out again as a window moves.
#[derive(Debug)]
struct Whole {
    sum: i128,
    values: u64,
    ty: DataType,
}

impl Whole {
    fn sum(&self) -> Option<i128> {
        (self.values > 0).then_some(self.sum)
    }
}

fn scalar(sum: Option<i128>, ty: &DataType) -> Result<ScalarValue> {
    ScalarValue::try_from_array(&column(std::iter::once(sum), ty)?, 0)
}

impl Accumulator for Whole {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in numbers(&values[0])?.flatten() {
            self.sum = self.sum.checked_add(value).ok_or_else(too_large)?;
            self.values += 1;
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in numbers(&values[0])?.flatten() {
            self.sum = self.sum.checked_sub(value).ok_or_else(too_large)?;
            self.values -= 1;
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![scalar(self.sum(), &state_type(&self.ty))?])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        scalar(self.sum(), &self.ty)
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

/// The sum of distinct values.
#[derive(Debug)]
struct Distinct {
    values: HashSet<i128>,
    ty: DataType,
}

impl Accumulator for Distinct {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.values.extend(numbers(&values[0])?.flatten());
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for list in lists(states) {
            self.update_batch(&[list])?;
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values = self.values.iter().map(|value| Some(*value));
        let values = column(values, &state_type(&self.ty))?;
        Ok(list(values))
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut sum = (!self.values.is_empty()).then_some(0_i128);
        for value in &self.values {
            sum = Some(sum.unwrap_or(0).checked_add(*value).ok_or_else(too_large)?);
        }
        scalar(sum, &self.ty)
    }

    fn size(&self) -> usize {
        size_of_val(self) + bytes(&self.values)
    }
}

/// The sums of many groups.
#[derive(Debug)]
struct Groups {
    sums: Vec<Option<i128>>,
    ty: DataType,
}

impl Groups {
    fn emit(&mut self, emit_to: EmitTo, ty: &DataType) -> Result<ArrayRef> {
        column(emit_to.take_needed(&mut self.sums).into_iter(), ty)
    }
}

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.sums.resize(total_num_groups, None);
        for (row, (value, &group)) in numbers(&values[0])?.zip(group_indices).enumerate() {
            if let (Some(value), true) = (value, is_wanted(opt_filter, row)) {
                let sum = &mut self.sums[group];
                *sum = Some(sum.unwrap_or(0).checked_add(value).ok_or_else(too_large)?);
            }
        }
        Ok(())
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.update_batch(values, group_indices, opt_filter, total_num_groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let ty = self.ty.clone();
        self.emit(emit_to, &ty)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let ty = state_type(&self.ty);
        Ok(vec![self.emit(emit_to, &ty)?])
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let filtered = numbers(&values[0])?
            .enumerate()
            .map(|(row, value)| value.filter(|_| is_wanted(opt_filter, row)));
        Ok(vec![column(filtered, &state_type(&self.ty))?])
    }

    fn supports_convert_to_state(&self) -> bool {
        true
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.sums.capacity() * size_of::<Option<i128>>()
    }
}
