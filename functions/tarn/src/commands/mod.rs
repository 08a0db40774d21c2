//! One module per command.

pub mod completions;
pub mod contract;
pub mod contract_test;
pub mod demo;
pub mod demo_faults;
pub mod generate;
pub mod ingest;
pub mod keys;
pub mod maintain;
pub mod marts;
pub mod quality;
pub mod quarantine;
pub mod query;
pub mod redrive;
pub mod relocate;
pub mod replay;
pub mod runs;
pub mod serve;
pub mod status;
pub mod stream;
pub mod tables;
pub mod upload;
pub mod verify;
