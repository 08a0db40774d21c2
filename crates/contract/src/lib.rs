//! Data contracts: one ODCS v3.1.0 YAML file per dataset, the source of truth for its schema,
//! rules, PII, partitioning and source. [`Contract`] is the parsed form; `parse` reads the files.
#![cfg_attr(not(test), warn(unused_crate_dependencies))]

pub mod check;
mod contract;
mod demands;
pub mod detector;
mod diagnostic;
mod diff;
mod draft;
mod key_pattern;
pub mod kinds;
mod log_format;
pub mod metric;
pub mod monitor;
mod name;
mod natural;
mod page;
mod parse;
pub mod propose;
pub mod quarantine;
pub mod rule;
#[cfg(test)]
mod rule_tests;
pub mod service_level;
mod snapshot_time;
pub mod sql;
#[cfg(test)]
mod tests;
mod threshold;

pub use check::{
    Bound, Check, ColumnMeasure, ColumnRef, Missing, ObjectMeasure, Operator, Outlier, RowCheck,
    TableMeasure, TextFormat, ValueCheck,
};
pub use contract::*;
pub use diagnostic::{Diagnostic, nearest};
pub use diff::{Change, Diff, Direction, Impact, Party, diff, outline};
pub use draft::{Draft, DraftColumn};
pub use key_pattern::KeyPattern;
pub use log_format::{LogField, LogFormat, LogTime, LogTimePattern, LogUnit, LogValue};
pub use name::{Names, snake_case};
pub use natural::{ACCESS_LOG, NaturalColumn, SOCIAL_POSTS, natural_columns};
pub use page::{Reader, pages};
pub use parse::{EXTENSION, load_dir, load_texts, parse_file, parse_str};
pub use rule::{Rule, Severity};
pub use snapshot_time::{SnapshotOrder, SnapshotTime, TimePattern};
pub use threshold::{Comparison, Threshold, Unit};
