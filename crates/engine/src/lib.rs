//! Reads sources, checks rows, writes Parquet, computes marts and answers SQL: the only crate that
//! names Polars.
//!
//! Everything here is synchronous and works on local files; who calls it moves objects.

mod arrow;
pub mod batch;
pub mod check;
pub mod column;
pub mod dedup;
pub mod drift;
pub mod examples;
mod frame;
pub mod infer;
pub mod ingest;
pub mod marts;
mod missing;
pub mod newest;
pub mod parquet;
pub mod profile;
mod protect;
pub mod quarantine;
mod render;
pub mod replace;
pub mod rows;
mod scan;
pub mod snapshot;
pub mod source;
pub mod sql;
pub mod stamp;
pub mod totals;
mod unique;
