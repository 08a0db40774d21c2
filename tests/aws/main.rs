//! The lake as it runs on AWS, on an emulator of it: Terraform builds it from the packaged functions,
//! files come in by the AWS command line, and answers come out over HTTP.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod api;
mod deployment;
mod faults;
mod inputs;
mod leftovers;
mod roles;
mod story;
mod twin;
