//! The quality of the data: what was found of it, how that compares with what was found before, and
//! reports for people. Functions from values to values.
#![cfg_attr(not(test), warn(unused_crate_dependencies))]

pub mod anomaly;
pub mod history;
mod holt_winters;
pub mod measure;
pub mod report;
pub mod result;
pub mod score;
pub mod service_level;
mod statistics;
mod summary;
pub mod watch;

pub use summary::{DatasetQuality, summary};
