//! Tests of the ports on AWS: against servers of their own that fail on request, and, marked
//! `ignored`, against an emulator of AWS.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod emulator;
mod faults;
mod keys;
mod ports;
mod server;
mod services;
mod uploads;
