//! AT TIME ZONE as in PostgreSQL: of an instant the local time, without a zone; of a time without a zone the
//! instant. DataFusion gives an instant in both cases, so the local day would not be seen.

use std::any::Any;

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{DFSchema, Result, internal_err, plan_err};
use datafusion::functions::datetime::expr_fn::to_local_time;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
    cast,
};

use crate::types::UTC;

/// The function that stands for AT TIME ZONE until the types are known.
pub(super) const NAME: &str = "at_time_zone";

fn micros(zone: Option<&str>) -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into))
}

/// A time in another time zone.
pub(super) fn converted(time: Expr, zone: &str, schema: &DFSchema) -> Result<Expr> {
    Ok(match time.get_type(schema)? {
        DataType::Timestamp(_, Some(_)) => to_local_time(vec![cast(time, micros(Some(zone)))]),
        DataType::Timestamp(_, None) | DataType::Date32 | DataType::Utf8 => {
            let local = cast(time, micros(None));
            cast(cast(local, micros(Some(zone))), micros(Some(UTC)))
        }
        other => return plan_err!("AT TIME ZONE takes a time, and {other} is none"),
    })
}

/// The function itself: it is replaced before anything is computed.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct AtTimeZone {
    signature: Signature,
}

impl AtTimeZone {
    pub fn new() -> Self {
        AtTimeZone {
            signature: Signature::any(2, Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for AtTimeZone {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(match arguments.first() {
            Some(DataType::Timestamp(_, Some(_))) => micros(None),
            _ => micros(Some(UTC)),
        })
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        internal_err!("AT TIME ZONE was not replaced")
    }
}
