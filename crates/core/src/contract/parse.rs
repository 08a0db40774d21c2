//! Reads contracts.
