//! What every other crate shares: errors, the ports, run and object records, the shapes of tables, privacy.
//!
//! Nothing here reads a network or knows an async runtime, Polars, Iceberg or AWS.
#![cfg_attr(not(test), warn(unused_crate_dependencies))]

mod backoff;
pub mod calendar;
pub mod content;
pub mod digest;
mod error;
pub mod feedback;
pub mod layout;
pub mod ports;
pub mod ports_suite;
pub mod privacy;
pub mod profile;
pub mod rule_id;
pub mod run;
pub mod schema;
pub mod text;

pub use backoff::Backoff;
pub use error::{Error, ErrorKind, Result, ResultExt};
