//! What a commit is asked to do, and its outcome.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tarn_contract::SnapshotOrder;
use tarn_core::schema::PartitionValue;

/// The snapshot property that names the source objects: a JSON array of [`SourceRef`].
pub(crate) const SOURCES: &str = "tarn.sources";

/// The snapshot property that names the run that made it.
pub(crate) const RUN_ID: &str = "tarn.run-id";

/// The snapshot property that holds [`Takeover::runs`]: a JSON array.
pub(crate) const TAKES_OVER: &str = "tarn.takes-over";

/// The snapshot property that holds [`Change::kind`].
pub(crate) const KIND: &str = "tarn.run-kind";

/// The table property that names the newest database snapshot applied to the table: a
/// [`SnapshotOrder`] as JSON.
pub(crate) const NEWEST_SNAPSHOT: &str = "tarn.newest-source-snapshot";

/// A Parquet file to add to a table.
#[derive(Debug, Clone)]
pub struct NewFile {
    /// The key of the object, which is uploaded already.
    pub key: String,
    /// The same bytes on the local disk, where the footer is read.
    pub local: PathBuf,
    /// The partition that all its rows belong to.
    pub partition: PartitionValue,
    /// Names of string columns whose bounds are kept whole. Those of other columns are cut to 16
    /// characters (the lower bound down, the upper bound up).
    pub exact_bounds: Vec<String>,
}

/// One version of one source object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SourceRef {
    /// The object.
    pub uri: String,
    /// Its version.
    pub version: String,
}

/// The snapshot that a change was computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// Any current snapshot in which every file to remove is still live.
    Any,
    /// This snapshot and no other (None: a table without snapshots). The change was computed from its rows.
    Exactly(Option<i64>),
}

/// A change of a table's content, committed as one snapshot.
#[derive(Debug, Clone)]
pub struct Change {
    /// Files to add.
    pub add: Vec<NewFile>,
    /// URIs of live files to remove.
    pub remove: Vec<String>,
    /// What it was computed from.
    pub base: Base,
    /// The source objects whose rows it brings; written into the snapshot.
    pub sources: Vec<SourceRef>,
    /// What kind of work makes it, for example `ingest`; written into the snapshot.
    pub kind: String,
    /// Commit nothing if a snapshot of this kind already names all the sources.
    pub unless_committed: bool,
    /// The database snapshot that the change applies, if the source is a database. The commit fails with
    /// `Conflict` if a newer one was applied before. Otherwise the table remembers this one, even if no
    /// file is added or removed.
    pub snapshot: Option<SnapshotOrder>,
    /// More properties of the snapshot.
    pub summary: BTreeMap<String, String>,
}

/// The run that makes a change, and the stopped runs whose work it takes over. Only one of a run and the run
/// that takes it over can commit: the change fails with `Conflict` if a snapshot shows that this run was
/// taken over.
#[derive(Debug, Clone, Default)]
pub struct Takeover {
    /// The run; snapshots name it as `tarn.run-id`.
    pub run_id: String,
    /// Those that it takes over; written into the snapshot.
    pub runs: Vec<String>,
    /// Fail with `Conflict` also if one of those has committed after all.
    pub unless_committed: bool,
}

/// The outcome of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    /// It is in the table.
    Done {
        /// The new snapshot.
        snapshot_id: i64,
        /// Its version number.
        version: u64,
    },
    /// An earlier snapshot brought the same sources.
    AlreadyThere {
        /// That snapshot.
        snapshot_id: i64,
        /// Its version number.
        version: u64,
    },
    /// No file to add and none to remove.
    NothingToDo,
}
