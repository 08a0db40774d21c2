//! The HTTP API: health, tables, schemas, versions and SQL queries. The router is the same on
//! localhost and behind API Gateway.

mod error;
pub mod query;
mod routes;

pub use routes::{Limits, router};
