//! Polars: what an ingest stages, upserts, rules over tables and marts. The only crate that names Polars.
//!
//! Everything here is synchronous and works on local files; the caller moves objects.
#![cfg_attr(not(test), warn(unused_crate_dependencies))]

mod columns;
pub mod ingest;
pub mod inspect;
pub mod marts;
pub mod parquet;
pub mod records;
pub mod remove;
#[cfg(test)]
mod rule_tests;
pub mod scan;
pub mod table_rules;
pub mod upsert;

// For its features alone, which `polars` does not pass on.
use polars_lazy as _;
