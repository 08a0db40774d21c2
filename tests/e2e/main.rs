//! End-to-end tests: the `tarn` binary as its users run it, judged from outside.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bad_input;
mod canary;
mod contract_diff;
mod contract_test;
mod contracts;
mod crash;
mod damage;
mod database;
mod demo;
mod drift;
mod events;
mod infer;
mod lake;
mod lambda;
mod layers;
mod memory;
mod missing;
mod quality;
mod readers;
mod replay;
mod rules;
mod serve;
mod shared_data;
mod snapshots;
mod writers;
