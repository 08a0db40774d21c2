//! Records the age of the datasets of a run in the ledger.

use tarn_core::Result;
use tarn_core::run::RunRecord;
use tarn_lake::Lake;

/// Remembers when each dataset got accepted rows: one small write per dataset. It comes before the
/// object is committed in the ledger, so that a run that is stopped in between is repeated and does it.
pub(crate) async fn note(lake: &Lake, run: &RunRecord) -> Result<()> {
    let ended = run.ended_at.unwrap_or(run.started_at);
    for outcome in run.datasets.iter().filter(|one| one.accepted > 0) {
        lake.note_commit(&outcome.dataset, ended).await?;
    }
    Ok(())
}
