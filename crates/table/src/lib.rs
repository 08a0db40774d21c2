//! Apache Iceberg tables (format version 2) over the ports: create and evolve, commit, list files,
//! read versions, forget old ones.
//!
//! Nothing here reads or writes rows. Data files are Parquet files that were written elsewhere with the
//! table's field ids; this crate takes their statistics from the footer and puts them into a
//! snapshot, atomically, by compare-and-swap of the catalog's pointer. It is the only crate that
//! names `iceberg`. The format is <https://iceberg.apache.org/spec/>.
#![cfg_attr(not(test), warn(unused_crate_dependencies))]

mod change;
mod columns;
mod commit;
mod data_file;
mod files;
mod footer;
mod maintain;
mod partition;
mod relocate;
mod schema;
mod store;
mod table;
mod tables;
mod verify;
mod version;
mod writer;

pub use change::{Base, Change, Committed, NewFile, SourceRef, Takeover};
pub use columns::{Places, places};
pub use data_file::{Bound, ColumnSummary, DataFileInfo};
pub use files::FileFilter;
pub use maintain::{Maintained, Retention};
pub use relocate::Relocated;
pub use table::Table;
pub use tables::Tables;
pub use verify::{Fault, Part, Verified};
pub use version::{Version, VersionRef};
