//! The rows of a table as it will be.

use polars::prelude::{
    DataType, Expr, JoinArgs, JoinType, LazyFrame, TimeUnit, TimeZone, UnionArgs, col,
};
use tarn_contract::DeletedRows;
use tarn_core::Result;
use tarn_core::schema::system;
use tarn_rows::planned::{Arrival, TableState, Upsert};

use super::failed;
use crate::remove::is_of;
use crate::scan;

/// The rows of the table as it will be.
///
/// # Errors
/// Where a file cannot be read.
pub fn rows(state: &TableState) -> Result<LazyFrame> {
    let current = scan::table(&state.fields, &state.current)?;
    let Some((files, arrival)) = &state.staged else {
        return Ok(current);
    };
    let staged = scan::table(&state.fields, files)?;
    let kept = match arrival {
        Arrival::Append(replaced) => replaced
            .iter()
            .fold(current, |rest, rows| rest.filter(is_of(rows).not())),
        Arrival::Upsert(upsert) => absent(upsert, current, staged.clone())?,
    };
    let both = polars::prelude::concat([kept, staged], UnionArgs::default()).map_err(failed)?;
    Ok(both)
}

fn keys(upsert: &Upsert) -> Vec<Expr> {
    upsert.keys.iter().map(|key| col(key.as_str())).collect()
}

/// The keys of the rejected rows, those that lack a part included.
fn rejected_keys(upsert: &Upsert) -> Result<LazyFrame> {
    let rejected = scan::table(&upsert.rejected_fields, &upsert.rejected)?;
    Ok(rejected.select(keys(upsert)))
}

/// Rows of the table that the snapshot does not bring, as they will be.
fn absent(upsert: &Upsert, current: LazyFrame, staged: LazyFrame) -> Result<LazyFrame> {
    let join = |ty| JoinArgs::new(ty);
    let absent = current.join(staged, keys(upsert), keys(upsert), join(JoinType::Anti));
    let lacking = keys(upsert).into_iter().map(Expr::is_null).reduce(Expr::or);
    let keyless = match lacking {
        Some(lacking) => {
            let keyless = rejected_keys(upsert)?.filter(lacking);
            keyless.collect().map_err(failed)?.height() > 0
        }
        None => false,
    };
    // A rejected row without a key may be any of them.
    if keyless || upsert.deleted == DeletedRows::Keep {
        return Ok(absent);
    }
    let rejected = rejected_keys(upsert)?;
    let held = absent.clone().join(
        rejected.clone(),
        keys(upsert),
        keys(upsert),
        join(JoinType::Semi),
    );
    if upsert.deleted == DeletedRows::Remove {
        return Ok(held);
    }
    // When they went is not known yet, and only that they did matters.
    let gone = absent
        .join(rejected, keys(upsert), keys(upsert), join(JoinType::Anti))
        .with_column(
            col(system::DELETED_AT)
                .fill_null(col(system::INGESTED_AT))
                .cast(DataType::Datetime(
                    TimeUnit::Microseconds,
                    Some(TimeZone::UTC),
                ))
                .alias(system::DELETED_AT),
        );
    polars::prelude::concat([held, gone], UnionArgs::default()).map_err(failed)
}
