//! Tests of the infrastructure: the Terraform modules and roots, and what their plans would build.
//!
//! The plans are made offline: no account, no emulator, no credentials. What needs the `terraform`
//! program is ignored by default.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod checkov;
mod checks;
mod defects;
mod modules;
mod plan;
mod policy;
mod roots;
mod runbooks;
mod terraform;
