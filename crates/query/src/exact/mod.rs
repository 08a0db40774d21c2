//! What DataFusion would answer wrongly without an error, corrected or refused: sums and products that do
//! not fit, quotients of decimals that lose digits, numbers compared as texts, intervals compared with
//! differences of times.

mod accumulate;
mod average;
mod checked;
mod ntile;
mod quotient;
mod rule;
mod sum;
mod zone;

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::execution::{FunctionRegistry, SessionState};
use datafusion::logical_expr::{AggregateUDF, ScalarUDF, WindowUDF};

pub(crate) use rule::Exact;

/// Replaces DataFusion's functions by those of this module.
pub(crate) fn register(state: &mut SessionState) -> Result<()> {
    state.register_udaf(Arc::new(AggregateUDF::from(sum::Sum::new())))?;
    state.register_udaf(Arc::new(AggregateUDF::from(average::Average::new())))?;
    state.register_udf(Arc::new(ScalarUDF::from(zone::AtTimeZone::new())))?;
    state.register_udwf(Arc::new(WindowUDF::from(ntile::Ntile::new())))?;
    // Another name of `to_char`, which reads a pattern otherwise than Athena's function of this name.
    state.deregister_udf("date_format").map(drop)
}
