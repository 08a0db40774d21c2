//! What people say about anomalies.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// What an anomaly turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// Something was wrong: the value is left out of the history.
    Confirmed,
    /// Nothing was wrong: the value stays in the history.
    Dismissed,
}

impl Judgement {
    /// `confirmed` or `dismissed`.
    pub fn as_str(self) -> &'static str {
        match self {
            Judgement::Confirmed => "confirmed",
            Judgement::Dismissed => "dismissed",
        }
    }
}

/// A judgement of one anomaly. The ledger keeps all of them; the last one counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feedback {
    /// The anomaly's identifier: `<dataset>/<metric>/<day or run>`.
    pub anomaly: String,
    /// What it turned out to be.
    pub judgement: Judgement,
    /// Why.
    pub note: Option<String>,
    /// When it was said (UTC).
    pub at: DateTime<Utc>,
}

/// The judgements that held at a time, by anomaly.
pub fn current(feedback: &[Feedback], as_of: DateTime<Utc>) -> BTreeMap<&str, &Feedback> {
    let mut said: Vec<&Feedback> = feedback.iter().filter(|one| one.at <= as_of).collect();
    said.sort_by_key(|one| one.at);
    said.into_iter()
        .map(|one| (one.anomaly.as_str(), one))
        .collect()
}
