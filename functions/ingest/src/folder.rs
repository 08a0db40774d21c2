//! Folders made in a console: empty objects whose keys end in a slash. S3 announces them
//! like any other object.

use chrono::Utc;
use tarn_core::Result;
use tarn_core::run::{RunRecord, SkipReason};
use tarn_lake::Lake;

/// Why such an object is not read.
const REASON: &str = "the key ends in a slash, as that of a folder made in a console does, and is not \
                      read; if the object holds data, copy it to a key without the slash";

/// The run of an object that stands for a folder, recorded as skipped; None for any other key.
pub(crate) async fn skipped(lake: &Lake, begun: &RunRecord) -> Result<Option<RunRecord>> {
    if !begun.key.ends_with('/') {
        return Ok(None);
    }
    let record = begun.clone().skip(SkipReason::Folder, REASON, Utc::now());
    lake.ledger.put_run(&record).await?;
    Ok(Some(record))
}
