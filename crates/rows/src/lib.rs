//! Rows of every source as columns: read, checked, protected, profiled. No Polars, no network.
//!
//! Each module names only those before it in this order: `column`, `display`, `reason`, `batch`, `source`, `profile`, `check`,
//! `impute`, `protect`, `infer`, `drift`, `system_columns`, `quarantine`.
#![cfg_attr(not(test), warn(unused_crate_dependencies))]

pub mod batch;
pub mod check;
pub mod column;
pub mod display;
pub mod drift;
pub mod impute;
pub mod infer;
pub mod planned;
pub mod profile;
pub mod protect;
pub mod quarantine;
pub mod reason;
pub mod source;
pub mod system_columns;
