//! The ports of a folder with a gate before and after each write.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use tarn_core::feedback::Feedback;
use tarn_core::ports::{
    Catalog, Ledger, LocalCopy, ObjectInfo, Objects, Original, PutMode, TablePointer,
};
use tarn_core::run::{ObjectRecord, RunRecord};
use tarn_core::schema::{TableName, TableSpec};
use tarn_core::{Error, ErrorKind, Result};
use tarn_lake::Lake;
use tarn_local::LocalLake;
use tokio::sync::Notify;

use crate::lake::open_with;

/// What happens at a write.
pub enum Gate {
    /// At this moment (two per write: before it, and after it without a reply) nothing goes on any
    /// more, as if the process had been killed.
    StopAt {
        moment: u64,
        seen: AtomicU64,
        reached: Notify,
    },
    /// At this moment the process stands still until it is woken.
    PauseAt {
        moment: u64,
        seen: AtomicU64,
        reached: Notify,
        woken: Notify,
    },
    /// The first writes of that name are refused.
    Refuse {
        name: &'static str,
        left: AtomicU64,
        kind: ErrorKind,
    },
}

impl Gate {
    pub fn stop_at(moment: u64) -> Arc<Self> {
        Arc::new(Gate::StopAt {
            moment,
            seen: AtomicU64::new(0),
            reached: Notify::new(),
        })
    }

    pub fn pause_at(moment: u64) -> Arc<Self> {
        Arc::new(Gate::PauseAt {
            moment,
            seen: AtomicU64::new(0),
            reached: Notify::new(),
            woken: Notify::new(),
        })
    }

    /// Lets a process that stands still go on.
    pub fn wake(&self) {
        if let Gate::PauseAt { woken, .. } = self {
            woken.notify_one();
        }
    }

    pub fn refuse(name: &'static str, times: u64, kind: ErrorKind) -> Arc<Self> {
        Arc::new(Gate::Refuse {
            name,
            left: AtomicU64::new(times),
            kind,
        })
    }

    /// Returns when the process would have been killed.
    pub async fn reached(&self) {
        match self {
            Gate::StopAt { reached, .. } | Gate::PauseAt { reached, .. } => {
                reached.notified().await;
            }
            Gate::Refuse { .. } => std::future::pending().await,
        }
    }

    async fn moment(&self) {
        if let Gate::StopAt {
            moment,
            seen,
            reached,
        } = self
            && seen.fetch_add(1, Ordering::SeqCst) >= *moment
        {
            reached.notify_one();
            std::future::pending::<()>().await;
        }
        if let Gate::PauseAt {
            moment,
            seen,
            reached,
            woken,
        } = self
            && seen.fetch_add(1, Ordering::SeqCst) == *moment
        {
            reached.notify_one();
            woken.notified().await;
        }
    }

    async fn write<T>(&self, name: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
        if let Gate::Refuse {
            name: refused,
            left,
            kind,
        } = self
            && *refused == name
            && left
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                    left.checked_sub(1)
                })
                .is_ok()
        {
            return Err(Error::new(*kind, format!("{name} is refused")).retryable(true));
        }
        self.moment().await;
        let result = work.await;
        self.moment().await;
        result
    }
}

/// A lake over the folder whose calls pass a gate.
pub fn gated(local: &LocalLake, gate: &Arc<Gate>) -> Lake {
    open_with(
        local,
        Arc::new(Gated(local.objects(), gate.clone())),
        Arc::new(Gated(local.catalog(), gate.clone())),
        Arc::new(Gated(local.ledger(), gate.clone())),
    )
}

struct Gated<P: ?Sized>(Arc<P>, Arc<Gate>);

#[async_trait]
impl Objects for Gated<dyn Objects> {
    fn uri(&self, key: &str) -> String {
        self.0.uri(key)
    }
    fn key_of(&self, uri: &str) -> Option<String> {
        self.0.key_of(uri)
    }
    async fn head(&self, key: &str) -> Result<ObjectInfo> {
        self.0.head(key).await
    }
    async fn head_version(&self, key: &str, version: &str) -> Result<ObjectInfo> {
        self.0.head_version(key, version).await
    }
    async fn get(&self, key: &str, range: Option<Range<u64>>) -> Result<Bytes> {
        self.0.get(key, range).await
    }
    async fn put(&self, key: &str, body: Bytes, mode: PutMode) -> Result<ObjectInfo> {
        self.1.write("put", self.0.put(key, body, mode)).await
    }
    async fn put_file(
        &self,
        key: &str,
        path: &Path,
        mode: PutMode,
        original: Original,
    ) -> Result<ObjectInfo> {
        let work = self.0.put_file(key, path, mode, original);
        self.1.write("put_file", work).await
    }
    async fn fetch(&self, key: &str) -> Result<LocalCopy> {
        self.0.fetch(key).await
    }
    async fn fetch_version(&self, info: &ObjectInfo) -> Result<LocalCopy> {
        self.0.fetch_version(info).await
    }
    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>> {
        self.0.list(prefix).await
    }
    async fn delete(&self, key: &str) -> Result<()> {
        self.1.write("delete", self.0.delete(key)).await
    }
    async fn presign(&self, key: &str, seconds: u64) -> Result<String> {
        self.0.presign(key, seconds).await
    }
}

#[async_trait]
impl Catalog for Gated<dyn Catalog> {
    async fn load(&self, table: &TableName) -> Result<Option<TablePointer>> {
        self.0.load(table).await
    }
    async fn swap(
        &self,
        spec: &TableSpec,
        expected: Option<&str>,
        new_location: &str,
        parameters: &BTreeMap<String, String>,
    ) -> Result<TablePointer> {
        let work = self.0.swap(spec, expected, new_location, parameters);
        self.1.write("swap", work).await
    }
    async fn list(&self) -> Result<Vec<TableName>> {
        self.0.list().await
    }
    async fn describe(&self, table: &TableName) -> Result<Option<TableSpec>> {
        self.0.describe(table).await
    }
}

#[async_trait]
impl Ledger for Gated<dyn Ledger> {
    async fn object(&self, key: &str) -> Result<Option<ObjectRecord>> {
        self.0.object(key).await
    }
    async fn put_object(&self, record: &ObjectRecord, expected: Option<u64>) -> Result<u64> {
        let work = self.0.put_object(record, expected);
        self.1.write("put_object", work).await
    }
    async fn objects(&self, prefix: &str) -> Result<Vec<ObjectRecord>> {
        self.0.objects(prefix).await
    }
    async fn put_run(&self, run: &RunRecord) -> Result<()> {
        self.1.write("put_run", self.0.put_run(run)).await
    }
    async fn run(&self, run_id: &str) -> Result<Option<RunRecord>> {
        self.0.run(run_id).await
    }
    async fn runs(&self, limit: usize) -> Result<Vec<RunRecord>> {
        self.0.runs(limit).await
    }
    async fn state(&self, name: &str) -> Result<Option<String>> {
        self.0.state(name).await
    }
    async fn advance_state(&self, name: &str, value: &str) -> Result<()> {
        self.1
            .write("advance_state", self.0.advance_state(name, value))
            .await
    }
    async fn put_state(&self, name: &str, value: &str) -> Result<()> {
        self.1
            .write("put_state", self.0.put_state(name, value))
            .await
    }
    async fn swap_state(&self, name: &str, expected: Option<&str>, value: &str) -> Result<()> {
        let work = self.0.swap_state(name, expected, value);
        self.1.write("swap_state", work).await
    }
    async fn put_feedback(&self, feedback: &Feedback) -> Result<()> {
        let work = self.0.put_feedback(feedback);
        self.1.write("put_feedback", work).await
    }
    async fn feedback(&self) -> Result<Vec<Feedback>> {
        self.0.feedback().await
    }
}

/// Objects that hand out temporary copies and parts, as S3 does, and count requests.
pub struct Copying {
    objects: Arc<dyn Objects>,
    counts: Mutex<Counts>,
}

/// Requests by their names, and those that read data files with their bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    pub requests: BTreeMap<&'static str, u64>,
    pub data_files: u64,
    pub data_bytes: u64,
}

impl Copying {
    pub fn new(objects: Arc<dyn Objects>) -> Self {
        Copying {
            objects,
            counts: Mutex::default(),
        }
    }

    /// What was counted since the last call.
    pub fn taken(&self) -> Counts {
        std::mem::take(&mut self.counts.lock().unwrap())
    }

    fn count(&self, name: &'static str) {
        let mut counts = self.counts.lock().unwrap();
        *counts.requests.entry(name).or_default() += 1;
    }

    /// Counts a request that reads.
    fn count_read(&self, name: &'static str, key: &str, bytes: u64) {
        self.count(name);
        if key.contains("/data/") {
            let mut counts = self.counts.lock().unwrap();
            counts.data_files += 1;
            counts.data_bytes += bytes;
        }
    }

    fn copy(original: &LocalCopy) -> LocalCopy {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("copy");
        std::fs::copy(original.path(), &path).unwrap();
        LocalCopy::temporary(path, folder)
    }
}

#[async_trait]
impl Objects for Copying {
    fn uri(&self, key: &str) -> String {
        self.objects.uri(key)
    }
    fn key_of(&self, uri: &str) -> Option<String> {
        self.objects.key_of(uri)
    }
    async fn head(&self, key: &str) -> Result<ObjectInfo> {
        self.count("head");
        self.objects.head(key).await
    }
    async fn head_version(&self, key: &str, version: &str) -> Result<ObjectInfo> {
        self.count("head");
        self.objects.head_version(key, version).await
    }
    async fn get(&self, key: &str, range: Option<Range<u64>>) -> Result<Bytes> {
        let bytes = self.objects.get(key, range).await?;
        self.count_read("get", key, bytes.len() as u64);
        Ok(bytes)
    }
    async fn put(&self, key: &str, body: Bytes, mode: PutMode) -> Result<ObjectInfo> {
        self.count("put");
        self.objects.put(key, body, mode).await
    }
    async fn put_file(
        &self,
        key: &str,
        path: &Path,
        mode: PutMode,
        original: Original,
    ) -> Result<ObjectInfo> {
        self.count("put_file");
        self.objects.put_file(key, path, mode, original).await
    }
    async fn fetch(&self, key: &str) -> Result<LocalCopy> {
        let copy = Copying::copy(&self.objects.fetch(key).await?);
        let size = std::fs::metadata(copy.path()).unwrap().len();
        self.count_read("fetch", key, size);
        Ok(copy)
    }
    async fn fetch_version(&self, info: &ObjectInfo) -> Result<LocalCopy> {
        self.count_read("fetch", &info.key, info.size);
        Ok(Copying::copy(&self.objects.fetch_version(info).await?))
    }
    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>> {
        self.count("list");
        self.objects.list(prefix).await
    }
    async fn delete(&self, key: &str) -> Result<()> {
        self.objects.delete(key).await
    }
    async fn presign(&self, key: &str, seconds: u64) -> Result<String> {
        self.objects.presign(key, seconds).await
    }
}

/// Objects that remember the order of all puts through it, as S3 does.
pub struct Remembering {
    objects: Arc<dyn Objects>,
    puts: Mutex<Vec<ObjectInfo>>,
}

impl Remembering {
    pub fn new(objects: Arc<dyn Objects>) -> Self {
        Remembering {
            objects,
            puts: Mutex::default(),
        }
    }
}

#[async_trait]
impl Objects for Remembering {
    fn uri(&self, key: &str) -> String {
        self.objects.uri(key)
    }
    fn key_of(&self, uri: &str) -> Option<String> {
        self.objects.key_of(uri)
    }
    async fn head(&self, key: &str) -> Result<ObjectInfo> {
        self.objects.head(key).await
    }
    async fn head_version(&self, key: &str, version: &str) -> Result<ObjectInfo> {
        let found = {
            let puts = self.puts.lock().unwrap();
            let mut newest = puts.iter().rev();
            newest
                .find(|put| put.key == key && put.version == version)
                .cloned()
        };
        match found {
            Some(put) => Ok(put),
            None => self.objects.head_version(key, version).await,
        }
    }
    async fn get(&self, key: &str, range: Option<Range<u64>>) -> Result<Bytes> {
        self.objects.get(key, range).await
    }
    async fn put(&self, key: &str, body: Bytes, mode: PutMode) -> Result<ObjectInfo> {
        let put = self.objects.put(key, body, mode).await?;
        self.puts.lock().unwrap().push(put.clone());
        Ok(put)
    }
    async fn put_file(
        &self,
        key: &str,
        path: &Path,
        mode: PutMode,
        original: Original,
    ) -> Result<ObjectInfo> {
        self.objects.put_file(key, path, mode, original).await
    }
    async fn fetch(&self, key: &str) -> Result<LocalCopy> {
        self.objects.fetch(key).await
    }
    async fn fetch_version(&self, info: &ObjectInfo) -> Result<LocalCopy> {
        self.objects.fetch_version(info).await
    }
    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>> {
        self.objects.list(prefix).await
    }
    async fn delete(&self, key: &str) -> Result<()> {
        self.objects.delete(key).await
    }
    async fn presign(&self, key: &str, seconds: u64) -> Result<String> {
        self.objects.presign(key, seconds).await
    }
}
