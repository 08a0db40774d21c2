//! What a report is made of.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use tarn_contract::Contracts;
use tarn_core::feedback::Feedback;

use crate::result::ResultRow;
use crate::service_level::Seen;

/// What a report is made of.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The rows of `quality.results` up to the report's time, as far back as histories are to go.
    pub rows: &'a [ResultRow],
    /// The contracts: the service levels and monitors that they ask for.
    pub contracts: &'a Contracts,
    /// What people said about anomalies.
    pub feedback: &'a [Feedback],
    /// What the ledger knows of the age of datasets.
    pub seen: &'a BTreeMap<String, Seen>,
    /// What came later is not in the report.
    pub as_of: DateTime<Utc>,
}

impl Input<'_> {
    pub(super) fn seen(&self, dataset: &str) -> Seen {
        self.seen.get(dataset).copied().unwrap_or_default()
    }
}
