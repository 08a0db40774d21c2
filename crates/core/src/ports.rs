//! The ports through which the lake reaches the outside: objects, catalog, ledger, and the keys of
//! pseudonyms. `tarn-local` implements them on a folder and `tarn-aws` on services of AWS. One suite of
//! tests, [`crate::ports_suite`], defines what every implementation must do.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::feedback::Feedback;
use crate::privacy::{KeyInfo, PseudonymKey};
use crate::run::{ObjectRecord, RunRecord};
use crate::schema::{TableName, TableSpec};

/// What is known of a stored object without reading it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectInfo {
    /// The key, with `/` between its parts, not encoded.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// The version of the content under this key: two different contents never share one.
    pub version: String,
    /// Orders the versions of one key: a later put has a greater sequencer (compared as text).
    pub sequencer: String,
    /// When it was put.
    pub last_modified: DateTime<Utc>,
}

/// Whether a put may replace an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutMode {
    /// Replace what is there (its former content stays available as an older version).
    Overwrite,
    /// Fail with `Conflict` where the key exists.
    IfAbsent,
}

/// What the caller does with a local file after it was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Original {
    /// It may be changed: the store makes a copy.
    Changes,
    /// It stays as it is until it is removed: the store may give it a second name instead.
    Final,
}

/// Object storage.
#[async_trait]
pub trait Objects: Send + Sync {
    /// The URI by which rows and table metadata name the object: `s3://bucket/key` or `file:///…/key`.
    fn uri(&self, key: &str) -> String;

    /// The URI at which another program finds the object now. A folder that was moved is named in its
    /// records by the place where it was until they are rewritten.
    fn location(&self, key: &str) -> String {
        self.uri(key)
    }

    /// Every URI by which rows may name the object: that of [`Objects::uri`] first, then those of the
    /// places where the store was before.
    fn uris(&self, key: &str) -> Vec<String> {
        vec![self.uri(key)]
    }

    /// The key of an object of this store, by any of its URIs; None for a URI of another store.
    fn key_of(&self, uri: &str) -> Option<String>;

    /// Size, version and time. `NotFound` where there is none.
    async fn head(&self, key: &str) -> Result<ObjectInfo>;

    /// Like [`Objects::head`], for a version that may have been replaced since. `NotFound` if the store
    /// no longer keeps it. The sequencer is empty if the store does not remember it for former versions.
    async fn head_version(&self, key: &str, version: &str) -> Result<ObjectInfo>;

    /// The whole object, or a range of its bytes. A range past the end is cut to the end.
    async fn get(&self, key: &str, range: Option<Range<u64>>) -> Result<Bytes>;

    /// Puts bytes.
    async fn put(&self, key: &str, body: Bytes, mode: PutMode) -> Result<ObjectInfo>;

    /// Puts a local file, which stays where it is; large files are never held in memory.
    async fn put_file(
        &self,
        key: &str,
        path: &Path,
        mode: PutMode,
        original: Original,
    ) -> Result<ObjectInfo>;

    /// The object as a local file that stays readable while the returned value lives: the file
    /// itself in a folder, a temporary copy elsewhere.
    async fn fetch(&self, key: &str) -> Result<LocalCopy>;

    /// Like [`Objects::get`], for a whole file that is written once: its content is checked against the
    /// digest that it was written with, which is in its name or which the store remembers.
    ///
    /// `Damaged` if the digests differ.
    async fn get_checked(&self, key: &str) -> Result<Bytes> {
        let bytes = self.get(key, None).await?;
        match Digest::in_name(key) {
            Some(written) => check(key, written, Digest::of(&bytes)).map(|()| bytes),
            None => Ok(bytes),
        }
    }

    /// A part of a file that is written once. A store that reads files in place checks the whole content as
    /// in [`Objects::fetch_checked`] before it first reads a part of it; another relies on its service, and on
    /// what the file's format checks.
    async fn get_part(&self, key: &str, range: Range<u64>) -> Result<Bytes> {
        self.get(key, Some(range)).await
    }

    /// Like [`Objects::fetch`], for a file that is written once: its content is checked against the
    /// digest that it was written with, as in [`Objects::get_checked`]. A store that reads files in place
    /// checks a file when it first reads it, and again after its size or time has changed.
    async fn fetch_checked(&self, key: &str) -> Result<LocalCopy> {
        let copy = self.fetch(key).await?;
        if let Some(written) = Digest::in_name(key) {
            check(key, written, digest_of(key, &copy)?.0)?;
        }
        Ok(copy)
    }

    /// Whether objects are read where they are, as files of this machine. Elsewhere reading takes requests, so
    /// that only what is needed should be read, and kept.
    fn is_in_place(&self) -> bool {
        false
    }

    /// Reads an object to its end, whatever is remembered of it.
    async fn examine(&self, key: &str) -> Result<Examined> {
        let copy = self.fetch(key).await?;
        let (found, size) = digest_of(key, &copy)?;
        Ok(Examined {
            size,
            found,
            written: Digest::in_name(key),
        })
    }

    /// Remembers the digest of a file that was found sound and whose name carries none, so that
    /// [`Objects::examine`] and the checked reads know it from now on. False where the store does not.
    async fn remember(&self, _key: &str, _digest: Digest) -> Result<bool> {
        Ok(false)
    }

    /// The keys that begin with `prefix`, in key order.
    async fn keys(&self, prefix: &str) -> Result<Vec<String>> {
        let objects = self.list(prefix).await?;
        Ok(objects.into_iter().map(|info| info.key).collect())
    }

    /// Like [`Objects::fetch`], but the content of exactly the version that `info` names, whatever
    /// was put under its key since. `NotFound` where that version is no longer kept: a store keeps
    /// former contents of `raw/` alone. Of a file that has grown where it is, a folder knows the former
    /// content by its size.
    async fn fetch_version(&self, info: &ObjectInfo) -> Result<LocalCopy>;

    /// Objects whose keys begin with `prefix`, in key order. Keys that end in a slash, which consoles make
    /// for folders, are left out: no other method takes them.
    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>>;

    /// Deletes an object. It is not an error if the object does not exist.
    async fn delete(&self, key: &str) -> Result<()>;

    /// A URL that reads the object for `seconds` without credentials, where the store can make one.
    async fn presign(&self, key: &str, seconds: u64) -> Result<String>;
}

/// What reading an object to its end showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Examined {
    /// Bytes.
    pub size: u64,
    /// The digest of its content.
    pub found: Digest,
    /// The digest that it was written with, where that is known: by its name, or because the store
    /// remembers it.
    pub written: Option<Digest>,
}

/// Holds a content against what was written.
///
/// # Errors
/// `Damaged` where it is another.
pub fn check(key: &str, written: Digest, found: Digest) -> Result<()> {
    if written == found {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Damaged,
        format!("{key} is damaged: it was written with the digest {written}, and has {found} now"),
    ))
}

/// The digest and the size of a local copy.
///
/// # Errors
/// `Storage` where it cannot be read.
pub fn digest_of(key: &str, copy: &LocalCopy) -> Result<(Digest, u64)> {
    Digest::of_file(copy.path()).map_err(|error| {
        Error::new(ErrorKind::Storage, format!("{key} cannot be read")).with_source(error)
    })
}

/// A local file that holds an object's content.
#[derive(Debug)]
pub struct LocalCopy {
    path: PathBuf,
    /// Deletes the file when dropped, where it is a copy.
    _guard: Option<Box<dyn std::fmt::Debug + Send + Sync>>,
}

impl LocalCopy {
    /// The object's own file.
    pub fn in_place(path: PathBuf) -> Self {
        LocalCopy { path, _guard: None }
    }

    /// A temporary copy; dropping `guard` deletes it.
    pub fn temporary(path: PathBuf, guard: impl std::fmt::Debug + Send + Sync + 'static) -> Self {
        LocalCopy {
            path,
            _guard: Some(Box::new(guard)),
        }
    }

    /// Where the content is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Where a table's current metadata is, and the version to name in the next swap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TablePointer {
    /// URI of the current Iceberg metadata file.
    pub metadata_location: String,
    /// The catalog's own version of this entry.
    pub version: String,
}

/// The catalog: one compare-and-swap pointer per table, and what people see about the table.
#[async_trait]
pub trait Catalog: Send + Sync {
    /// The current pointer, or None where the table does not exist.
    async fn load(&self, table: &TableName) -> Result<Option<TablePointer>>;

    /// Points the table at `new_location` if its version is still `expected` (None: if it does not
    /// exist yet). `Conflict` if it is not. `spec` is what the catalog shows people.
    async fn swap(
        &self,
        spec: &TableSpec,
        expected: Option<&str>,
        new_location: &str,
        parameters: &BTreeMap<String, String>,
    ) -> Result<TablePointer>;

    /// Every table, in name order.
    async fn list(&self) -> Result<Vec<TableName>>;

    /// The table's description at the last swap.
    async fn describe(&self, table: &TableName) -> Result<Option<TableSpec>>;
}

/// The ledger: what happened to each source object, every run, and what people say about anomalies.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// The record of a source object, by key and contract-independent.
    async fn object(&self, key: &str) -> Result<Option<ObjectRecord>>;

    /// Writes an object's record if no one wrote it since `expected_revision` was read (None: if there is
    /// no record yet). Returns the new revision; `Conflict` if somebody did.
    async fn put_object(
        &self,
        record: &ObjectRecord,
        expected_revision: Option<u64>,
    ) -> Result<u64>;

    /// Every object record whose key begins with `prefix`, in key order.
    async fn objects(&self, prefix: &str) -> Result<Vec<ObjectRecord>>;

    /// Writes a run's record, replacing an earlier state of the same run.
    async fn put_run(&self, run: &RunRecord) -> Result<()>;

    /// One run.
    async fn run(&self, run_id: &str) -> Result<Option<RunRecord>>;

    /// The newest runs first, at most `limit`.
    async fn runs(&self, limit: usize) -> Result<Vec<RunRecord>>;

    /// A named value of the lake itself, such as the table versions a mart was computed from.
    async fn state(&self, name: &str) -> Result<Option<String>>;

    /// Sets a named value.
    async fn put_state(&self, name: &str, value: &str) -> Result<()>;

    /// Sets a named value if it is still `expected` (None: if there is none). `Conflict` if it is not.
    async fn swap_state(&self, name: &str, expected: Option<&str>, value: &str) -> Result<()>;

    /// Sets a named value unless the stored one is as great or greater (compared byte by byte). If many
    /// callers do this at once, in any order, the greatest value stays.
    async fn advance_state(&self, name: &str, value: &str) -> Result<()>;

    /// Adds a judgement of an anomaly; earlier judgements are kept.
    async fn put_feedback(&self, feedback: &Feedback) -> Result<()>;

    /// All judgements of anomalies, in order of time.
    async fn feedback(&self) -> Result<Vec<Feedback>>;
}

/// The keys of pseudonyms.
#[async_trait]
pub trait Keys: Send + Sync {
    /// The newest key; None where there is none. After a rotation it may be the former key for some
    /// minutes.
    async fn current(&self) -> Result<Option<PseudonymKey>>;

    /// The newest key; the first one is made where there is none. Callers at the same moment get the same
    /// one. Only for a lake that never had a key: [`Keys::current`] shows whether one was lost.
    async fn newest(&self) -> Result<PseudonymKey>;

    /// What may be known of the keys, oldest first.
    async fn list(&self) -> Result<Vec<KeyInfo>>;

    /// Adds a key, which is the newest from now on. Its version is greater than all others and than
    /// `above`, the last version known to have been used. `Conflict` if another process adds one at the
    /// same time.
    async fn rotate(&self, above: u32) -> Result<KeyInfo>;
}
