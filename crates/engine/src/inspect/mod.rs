//! What people are shown of tables: sums and rejected rows.

pub mod examples;
pub mod totals;
