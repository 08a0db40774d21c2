//! Tests of a lake in a folder.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod checked;
mod folder;
mod moved;
mod ports;
mod processes;
mod tidy;
