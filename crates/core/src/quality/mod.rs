//! The quality of the data: what was found of it, how that compares with what was found before, and
//! reports for people. Functions from values to values.

pub mod anomaly;
pub mod feedback;
pub mod history;
mod holt_winters;
pub mod metric;
pub mod monitor;
pub mod promise;
pub mod report;
pub mod result;
pub mod score;
mod statistics;
mod summary;
pub mod text;

pub use summary::{DatasetQuality, summary};
