//! Columns to Arrow and from Polars.

pub mod from_frame;
pub mod to_arrow;
pub mod types;
