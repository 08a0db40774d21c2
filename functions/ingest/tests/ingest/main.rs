//! Ingest of batches over a lake in a folder, with doubles of the ports that fail, stop and hand out
//! temporary copies.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod batches;
mod copies;
mod costs;
mod databases;
mod doubles;
mod faults;
mod lake;
mod logs;
mod posts;
