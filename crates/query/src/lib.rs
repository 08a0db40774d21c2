//! SQL over the lake's tables, each at one snapshot: the only crate that names DataFusion.
//!
//! A query comes checked from `tarn_contract::sql`. It sees the tables that its caller gives, and nothing
//! else: no file, no URL, no statement that changes something. What DataFusion would answer wrongly without
//! an error is corrected or refused here (`exact`). An answer is a stream: it is computed while it is
//! written, within bounds of memory and disk, and dropping it ends the work.
#![cfg_attr(not(test), warn(unused_crate_dependencies))]

mod answer;
mod dialect;
mod engine;
mod error;
mod exact;
mod files;
mod footers;
mod format;
mod functions;
mod lateral;
mod memory;
mod names;
mod pruning;
mod scan;
mod session;
mod stop;
mod threads;
mod types;
mod value;

pub use answer::{Answer, AnswerColumn, Rows, Scanned};
pub use engine::{Engine, Limits};
pub use format::OutputFormat;
pub use memory::Held;
pub use session::{Part, Source};
pub use tarn_contract::sql::{Query, TableReference};
