//! Division of decimals, rounded half away from zero, to 12 digits after the point. DataFusion cuts off after
//! four digits more than the numerator has.

use std::any::Any;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Decimal128Array};
use datafusion::arrow::datatypes::{DataType, Decimal128Type, DecimalType, i256};
use datafusion::common::{DataFusionError, Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// Digits after the point of a quotient or an average of decimals.
pub(super) const SCALE: i8 = 12;

/// The most digits of a decimal.
pub(super) const PRECISION: u8 = 38;

/// `numerator` / `denominator`, rounded; None where it is too large.
///
/// Both are unscaled; the quotient has `shift` digits more after the point.
pub(super) fn rounded(numerator: i128, denominator: i128, shift: u32) -> Option<i128> {
    let ten = i256::from_i128(10);
    let numerator = i256::from_i128(numerator).checked_mul(ten.checked_pow(shift)?)?;
    let denominator = i256::from_i128(denominator);
    let quotient = numerator.checked_div(denominator)?;
    let rest = numerator.checked_rem(denominator)?;
    let double = rest.wrapping_abs().checked_mul(i256::from_i128(2))?;
    let away = if double >= denominator.wrapping_abs() {
        let is_negative = (numerator < i256::ZERO) != (denominator < i256::ZERO);
        i256::from_i128(if is_negative { -1 } else { 1 })
    } else {
        i256::ZERO
    };
    let rounded = quotient.checked_add(away)?.to_i128()?;
    Decimal128Type::is_valid_decimal_precision(rounded, PRECISION).then_some(rounded)
}

/// How many digits after the point a quotient has more than its numerator has over its denominator.
pub(super) fn shift(numerator_scale: i8, denominator_scale: i8) -> Result<u32> {
    u32::try_from(SCALE - numerator_scale + denominator_scale)
        .or_else(|_| exec_err!("a decimal has more than {SCALE} digits after the point"))
}

pub(super) fn too_large() -> DataFusionError {
    DataFusionError::Execution(
        "a quotient or an average is too large for a decimal: CAST an operand AS DOUBLE".to_owned(),
    )
}

/// What `/` of decimals calls.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Quotient {
    signature: Signature,
}

static QUOTIENT: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    Arc::new(ScalarUDF::from(Quotient {
        signature: Signature::any(2, Volatility::Immutable),
    }))
});

/// The quotient of two decimals. The types are those of the operands.
pub(super) fn of(numerator: Expr, denominator: Expr) -> Expr {
    QUOTIENT.call(vec![numerator, denominator])
}

fn scale_of(ty: &DataType) -> Result<i8> {
    match ty {
        DataType::Decimal128(_, scale) => Ok(*scale),
        other => plan_err!("{other} is not a decimal"),
    }
}

impl ScalarUDFImpl for Quotient {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &str {
        "divide"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        for ty in arguments {
            scale_of(ty)?;
        }
        Ok(DataType::Decimal128(PRECISION, SCALE))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [numerators, denominators] = arrays.as_slice() else {
            return plan_err!("a division takes two numbers");
        };
        let shift = shift(
            scale_of(numerators.data_type())?,
            scale_of(denominators.data_type())?,
        )?;
        let numerators = numerators.as_primitive::<Decimal128Type>();
        let denominators = denominators.as_primitive::<Decimal128Type>();
        let quotients = numerators
            .iter()
            .zip(denominators)
            .map(|pair| match pair {
                // As in the marts: a rate of nothing is null.
                (Some(numerator), Some(denominator)) if denominator != 0 => {
                    let quotient = rounded(numerator, denominator, shift);
                    quotient.map(Some).ok_or_else(too_large)
                }
                _ => Ok(None),
            })
            .collect::<Result<Decimal128Array>>()?
            .with_precision_and_scale(PRECISION, SCALE)?;
        let array: ArrayRef = Arc::new(quotients);
        let is_constant = |arg| matches!(arg, &ColumnarValue::Scalar(_));
        if args.args.iter().all(is_constant) {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(
                &array, 0,
            )?));
        }
        Ok(ColumnarValue::Array(array))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_rounded_away_from_zero() {
        for (numerator, denominator, shift, expected) in [
            (1, 3, 2, Some(33)),
            (2, 3, 2, Some(67)),
            (-2, 3, 2, Some(-67)),
            (2, -3, 2, Some(-67)),
            (1, 2, 0, Some(1)),
            (-1, 2, 0, Some(-1)),
            (1, 8, 2, Some(13)),
            (0, 7, 12, Some(0)),
            (i128::MAX, 1, 12, None),
            (i128::MAX, i128::MAX, 12, Some(1_000_000_000_000)),
        ] {
            assert_eq!(
                rounded(numerator, denominator, shift),
                expected,
                "{numerator} / {denominator}"
            );
        }
    }
}
