//! Contracts that follow their source: columns that it has and the contract does not name.

use std::sync::Arc;

use tarn_contract::{Column, Contract, Encoding};
use tarn_core::Result;
use tarn_core::run::Drift;

use crate::run::Run;

/// The contract with the columns that were found, as the table has them already where it has; the
/// source is to be read again by it.
pub(crate) async fn evolved(
    run: &Run<'_>,
    contract: &Contract,
    mut found: Vec<Column>,
) -> Result<Arc<Contract>> {
    if let Some(table) = run.lake.tables.load(&contract.table()).await? {
        let fields = table.fields();
        for column in &mut found {
            let known = fields
                .iter()
                .find(|field| field.field.name == column.name && field.field.ty != column.ty);
            if let Some(known) = known {
                // What came first decides; a value that does not fit is a rejected row.
                column.ty = known.field.ty.clone();
                column.encoding = Encoding::Natural;
            }
        }
    }
    Ok(Arc::new(contract.evolved(found)))
}

/// Puts the drift of the first reading before that of the second, which repeats the columns that were not
/// added.
pub(crate) fn prepend(first: &[Drift], second: &mut Vec<Drift>) {
    second.retain(|drift| {
        !first
            .iter()
            .any(|known| known.kind == drift.kind && known.column == drift.column)
    });
    second.splice(0..0, first.iter().cloned());
}
