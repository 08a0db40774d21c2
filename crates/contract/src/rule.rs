//! Rules: what a contract asks, and how much a breach matters. What they look at is in
//! [`check`](super::check).

use super::check::Check;
use super::kinds::Kind;
use super::threshold::{Comparison, Threshold};

/// How much a broken rule matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Rows that break the rule are kept and counted.
    Warn,
    /// A row that breaks the rule goes to quarantine. A rule over a whole object or table has no row
    /// to reject: its verdict fails, and the rows are kept.
    Reject,
    /// A breach fails the run, and nothing is committed.
    Abort,
}

impl Severity {
    /// `warn`, `reject` or `abort`.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Warn => "warn",
            Severity::Reject => "reject",
            Severity::Abort => "abort",
        }
    }
}

/// A rule of a contract.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The name in rejected rows and reports, unlike that of any other rule of the contract:
    /// `status.validValues`, `rowCount`.
    pub id: String,
    /// What is asked, as the registry describes it.
    pub kind: &'static Kind,
    /// The column it is written for, as an index; None for a rule of the table.
    pub column: Option<usize>,
    /// What is asked.
    pub check: Check,
    /// What the measured number is compared with; of a check of rows, the rows that break it.
    pub threshold: Threshold,
    /// What a breach means.
    pub severity: Severity,
    /// The quality dimension.
    pub dimension: String,
    /// Who answers for it.
    pub owner: Option<String>,
    /// For people, for example `status is one of placed, paid`.
    pub text: String,
}

impl Rule {
    /// Whether each row that breaks the rule goes to quarantine: a check of rows that allows none.
    pub fn rejects_rows(&self) -> bool {
        self.severity == Severity::Reject
            && matches!(self.check, Check::Rows(_))
            && self.threshold.comparison == Comparison::Equal(0.0)
    }

    /// What the threshold asks for, for people: `at most 5 per cent`.
    pub fn expected(&self) -> String {
        self.threshold.to_string()
    }
}
