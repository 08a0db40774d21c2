//! The HTTP API: health, tables, schemas, versions and SQL queries. The router does not
//! know what serves it.
#![cfg_attr(not(test), warn(unused_crate_dependencies))]

mod error;
pub mod query;
mod routes;

pub use routes::{Deadline, Limits, router, sent_bytes};
