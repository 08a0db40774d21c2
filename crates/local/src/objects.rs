//! Objects as files of a folder.
//!
//! The version of an object under `raw/` is a hash of its content: the same content put twice is the
//! same version, and a file dropped into the folder by hand gets the version that a put would give
//! it. The hash is kept with size, time and inode of the file, so that an unchanged file is read
//! once. Other objects are the lake's own and may be large; their version is a number that no two
//! puts share, followed by the file's time, so the file is not read for it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::DateTime;
use rusqlite::Connection;
use tarn_core::digest::Digest;
use tarn_core::layout::RAW;
use tarn_core::ports::{Examined, LocalCopy, ObjectInfo, Objects, Original, PutMode};
use tarn_core::{Error, ErrorKind, Result};

use crate::db::Durability;
use crate::failure::{io_error, is_absent, sqlite_error};
use crate::files::{self, Fingerprint, blocking};
use crate::known::{Checked, Known, counted_version, next_sequencer, now_ns, unused_sequencer};
use crate::store::Store;
use crate::{install, key};

/// A file whose time is younger than this could be changed again without a change of its time, so
/// that its hash is not trusted at the next look.
pub(crate) const SETTLED_AFTER_NS: i64 = 2_000_000_000;

/// How often an operation starts again because the file changed meanwhile.
pub(crate) const ATTEMPTS: u32 = 20;

/// The port [`Objects`] on a folder.
#[derive(Debug, Clone)]
pub(crate) struct FolderObjects {
    pub(crate) store: Arc<Store>,
}

pub(crate) fn is_raw(key: &str) -> bool {
    key.starts_with(RAW)
}

pub(crate) fn not_found(key: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no object {key:?}"))
}

pub(crate) fn keeps_changing(key: &str) -> Error {
    Error::new(
        ErrorKind::Conflict,
        format!("{key:?} is being changed; try again when it is complete"),
    )
}

impl FolderObjects {
    pub(crate) fn new(store: Arc<Store>) -> Self {
        FolderObjects { store }
    }

    pub(crate) fn path(&self, key: &str) -> Result<PathBuf> {
        key::check(key, self.store.root_text.len())?;
        Ok(self.store.root.join(key))
    }

    /// Runs `work` with a copy of this on a thread that may wait for the disk.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(FolderObjects) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let this = self.clone();
        blocking(move || work(this)).await
    }

    /// What is known of the file under `key`, after reading it where that is needed.
    pub(crate) fn look(&self, key: &str) -> Result<Option<Known>> {
        let path = self.path(key)?;
        for _ in 0..ATTEMPTS {
            let Some(fingerprint) = files::fingerprint(&path)? else {
                return Ok(None);
            };
            let known = self
                .store
                .db
                .read(|connection| Known::load(connection, key))?;
            match known {
                Some(known) if known.proves(fingerprint) => return Ok(Some(known)),
                _ => {}
            }
            if let Some(known) = self.register(key, &path, fingerprint)? {
                return Ok(Some(known));
            }
        }
        Err(keeps_changing(key))
    }

    /// Takes a file into the state that was not put there or was changed by hand; None where it
    /// changed meanwhile.
    fn register(&self, key: &str, path: &Path, fingerprint: Fingerprint) -> Result<Option<Known>> {
        let begin = now_ns();
        let hash = if is_raw(key) {
            match files::hash_file(path) {
                Ok(Some((version, read))) if read == fingerprint => Some(version),
                Ok(_) => return Ok(None),
                Err(error) if is_absent(&error) => return Ok(None),
                Err(error) => {
                    return Err(io_error(error, format!("cannot read {}", path.display())));
                }
            }
        } else {
            None
        };
        let settled =
            hash.is_none() || begin.saturating_sub(fingerprint.mtime_ns) > SETTLED_AFTER_NS;
        let known = |connection: &Connection, next: fn(&Connection) -> Result<i64>| {
            if files::fingerprint(path)? != Some(fingerprint) {
                return Ok(None);
            }
            let former = Known::load(connection, key)?;
            let known = match (former, hash) {
                // Touched, copied or hashed again: the content is what it was.
                (Some(former), Some(version)) if former.version == version => Known {
                    fingerprint,
                    settled,
                    ..former
                },
                (Some(former), None) if former.proves(fingerprint) => former,
                (_, hash) => {
                    let sequencer = next(connection)?;
                    let version = hash.unwrap_or_else(|| counted_version(sequencer, fingerprint));
                    Known {
                        fingerprint,
                        settled,
                        version,
                        sequencer,
                        put_at_us: fingerprint.mtime_ns / 1_000,
                    }
                }
            };
            Ok(Some(known))
        };
        let db = &self.store.db;
        if db.is_read_only() {
            return db.read(|connection| known(connection, unused_sequencer));
        }
        db.write(Durability::Process, |transaction| {
            let known = known(transaction, next_sequencer)?;
            if let Some(known) = &known {
                known.save(transaction, key)?;
            }
            Ok(known)
        })
    }

    /// A file with the content of the version. What is current gets a second name, so that a put does
    /// not change what the caller reads.
    fn fetch_version_now(&self, info: &ObjectInfo) -> Result<LocalCopy> {
        let path = self.path(&info.key)?;
        let failed = |error| io_error(error, format!("cannot keep {:?} for reading", info.key));
        for _ in 0..ATTEMPTS {
            match self.look(&info.key)? {
                // Nothing can replace it.
                Some(known) if known.version == info.version && self.store.db.is_read_only() => {
                    return Ok(LocalCopy::in_place(path));
                }
                Some(known) if known.version == info.version => {
                    let staging = self.store.staging()?;
                    let copy = install::unfinished(&staging, "fetch");
                    match install::keep(&staging, &path, &copy.path) {
                        Err(error) if is_absent(&error) => continue,
                        result => result.map_err(failed)?,
                    }
                    // A copy, where there are no links, has another fingerprint than its original.
                    let is_it =
                        |fingerprint: Option<Fingerprint>| fingerprint == Some(known.fingerprint);
                    if is_it(files::fingerprint(&copy.path)?) || is_it(files::fingerprint(&path)?) {
                        return Ok(LocalCopy::temporary(copy.path.clone(), copy));
                    }
                }
                _ => {
                    let former = self.store.version_path(&info.key, &info.version)?;
                    return match files::fingerprint(&former)? {
                        Some(_) => Ok(LocalCopy::in_place(former)),
                        None => self.grown_from(info),
                    };
                }
            }
        }
        Err(keeps_changing(&info.key))
    }

    /// The former content of a raw file that was not put again, but has grown where it is: its beginning.
    fn grown_from(&self, info: &ObjectInfo) -> Result<LocalCopy> {
        let not_kept = || not_kept(&info.key, &info.version);
        let path = self.path(&info.key)?;
        let failed = |error: io::Error| {
            if is_absent(&error) {
                not_kept()
            } else {
                io_error(error, format!("cannot read {}", path.display()))
            }
        };
        let file = File::open(&path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        if !is_raw(&info.key) || info.size == 0 || info.size >= size {
            return Err(not_kept());
        }
        let staging = self.store.staging()?;
        let (copy, hash) =
            install::write_staged(&staging, &mut file.take(info.size), true).map_err(failed)?;
        if hash.is_some_and(|hash| hash == info.version) {
            Ok(LocalCopy::temporary(copy.path.clone(), copy))
        } else {
            Err(not_kept())
        }
    }

    fn head_version_now(&self, key: &str, version: &str) -> Result<ObjectInfo> {
        if let Some(known) = self.look(key)?
            && known.version == version
        {
            return Ok(known.info(key));
        }
        let former = self.store.version_path(key, version)?;
        let fingerprint = files::fingerprint(&former)?.ok_or_else(|| not_kept(key, version))?;
        Ok(ObjectInfo {
            key: key.to_owned(),
            size: fingerprint.size,
            version: version.to_owned(),
            sequencer: String::new(),
            last_modified: DateTime::from_timestamp_nanos(fingerprint.mtime_ns),
        })
    }

    pub(crate) fn get_now(&self, key: &str, range: Option<Range<u64>>) -> Result<Bytes> {
        let path = self.path(key)?;
        let failed = |error: io::Error| {
            if is_absent(&error) {
                not_found(key)
            } else {
                io_error(error, format!("cannot read {}", path.display()))
            }
        };
        let mut file = File::open(&path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(not_found(key));
        }
        let size = metadata.len();
        let range = range.unwrap_or(0..size);
        let (start, end) = (range.start.min(size), range.end.min(size));
        let length = end.saturating_sub(start);
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
        if length > 0 {
            file.seek(SeekFrom::Start(start)).map_err(failed)?;
            file.take(length).read_to_end(&mut bytes).map_err(failed)?;
        }
        Ok(bytes.into())
    }

    fn delete_now(&self, key: &str) -> Result<()> {
        let path = self.path(key)?;
        let failed = |error| io_error(error, format!("cannot delete {}", path.display()));
        if is_raw(key) {
            // Before the object itself: a stop in between leaves no content that cannot be found any more.
            self.delete_versions(key)?;
        }
        let deleted = self.store.db.write(Durability::Process, |transaction| {
            transaction
                .execute("DELETE FROM object WHERE key = ?1", [key])
                .map_err(sqlite_error)?;
            Checked::forget(transaction, key)?;
            match std::fs::symlink_metadata(&path) {
                Ok(metadata) if metadata.is_dir() => Ok(false),
                Ok(_) => std::fs::remove_file(&path).map(|()| true).map_err(failed),
                Err(error) if is_absent(&error) => Ok(false),
                Err(error) => Err(failed(error)),
            }
        })?;
        match path.parent() {
            Some(folder) if deleted => files::sync_dir(folder).map_err(failed),
            _ => Ok(()),
        }
    }
}

impl FolderObjects {
    /// Deletes the former contents of a key.
    fn delete_versions(&self, key: &str) -> Result<()> {
        let folder = self.store.versions_folder(key)?;
        let failed = |error| io_error(error, format!("cannot delete what {key:?} was before"));
        for entry in files::entries(&folder).map_err(failed)? {
            // A folder has what other keys were before.
            if !entry.file_type().map_err(failed)?.is_dir() {
                std::fs::remove_file(entry.path()).map_err(failed)?;
            }
        }
        files::remove_empty_dir(&folder);
        Ok(())
    }
}

fn not_kept(key: &str, version: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("version {version} of {key:?} is not kept"),
    )
}

#[async_trait]
impl Objects for FolderObjects {
    /// `file://` and the absolute path, with nothing encoded: readers of Iceberg tables open it so.
    fn uri(&self, key: &str) -> String {
        self.store.roots().uri(key)
    }

    fn location(&self, key: &str) -> String {
        self.store.roots().location(key)
    }

    fn uris(&self, key: &str) -> Vec<String> {
        self.store.roots().uris(key)
    }

    fn key_of(&self, uri: &str) -> Option<String> {
        self.store.roots().key_of(uri)
    }

    async fn head(&self, key: &str) -> Result<ObjectInfo> {
        let key = key.to_owned();
        self.run(move |this| {
            this.look(&key)?
                .map(|known| known.info(&key))
                .ok_or_else(|| not_found(&key))
        })
        .await
    }

    async fn head_version(&self, key: &str, version: &str) -> Result<ObjectInfo> {
        let (key, version) = (key.to_owned(), version.to_owned());
        self.run(move |this| this.head_version_now(&key, &version))
            .await
    }

    async fn get(&self, key: &str, range: Option<Range<u64>>) -> Result<Bytes> {
        let key = key.to_owned();
        self.run(move |this| this.get_now(&key, range)).await
    }

    async fn put(&self, key: &str, body: Bytes, mode: PutMode) -> Result<ObjectInfo> {
        let key = key.to_owned();
        self.run(move |this| {
            this.path(&key)?;
            let staging = this.store.staging()?;
            let staged = install::write_staged(&staging, &mut body.as_ref(), is_raw(&key));
            let (file, hash) =
                staged.map_err(|error| io_error(error, format!("cannot write {key:?}")))?;
            this.put_finished(&key, file, hash, mode)
        })
        .await
    }

    async fn put_file(
        &self,
        key: &str,
        path: &Path,
        mode: PutMode,
        original: Original,
    ) -> Result<ObjectInfo> {
        let (key, path) = (key.to_owned(), path.to_owned());
        self.run(move |this| this.put_file_now(&key, &path, mode, original))
            .await
    }

    /// The object's own file. An overwrite puts another file in its place, so a file that is open
    /// keeps its content; one that is opened again may have the new one.
    async fn fetch(&self, key: &str) -> Result<LocalCopy> {
        let key = key.to_owned();
        self.run(move |this| {
            let path = this.path(&key)?;
            match files::fingerprint(&path)? {
                Some(_) => Ok(LocalCopy::in_place(path)),
                None => Err(not_found(&key)),
            }
        })
        .await
    }

    async fn get_checked(&self, key: &str) -> Result<Bytes> {
        let key = key.to_owned();
        self.run(move |this| this.checked_bytes(&key)).await
    }

    async fn get_part(&self, key: &str, range: Range<u64>) -> Result<Bytes> {
        let key = key.to_owned();
        self.run(move |this| {
            this.checked_path(&key)?;
            this.get_now(&key, Some(range))
        })
        .await
    }

    async fn fetch_checked(&self, key: &str) -> Result<LocalCopy> {
        let key = key.to_owned();
        self.run(move |this| this.checked_path(&key).map(LocalCopy::in_place))
            .await
    }

    fn is_in_place(&self) -> bool {
        true
    }

    async fn examine(&self, key: &str) -> Result<Examined> {
        let key = key.to_owned();
        self.run(move |this| this.examine_now(&key)).await
    }

    async fn remember(&self, key: &str, digest: Digest) -> Result<bool> {
        let key = key.to_owned();
        self.run(move |this| this.remember_now(&key, digest)).await
    }

    /// The files as they are: nothing is read of them, and nothing noted.
    async fn keys(&self, prefix: &str) -> Result<Vec<String>> {
        let prefix = prefix.to_owned();
        self.run(move |this| Ok(this.fingerprints(&prefix)?.into_keys().collect()))
            .await
    }

    /// A file of its own name, which no put changes. It goes with the returned value.
    async fn fetch_version(&self, info: &ObjectInfo) -> Result<LocalCopy> {
        let info = info.clone();
        self.run(move |this| this.fetch_version_now(&info)).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>> {
        let prefix = prefix.to_owned();
        self.run(move |this| this.list_now(&prefix)).await
    }

    async fn delete(&self, key: &str) -> Result<()> {
        let key = key.to_owned();
        self.run(move |this| this.delete_now(&key)).await
    }

    async fn presign(&self, key: &str, _seconds: u64) -> Result<String> {
        Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "a lake in a folder makes no presigned URLs; read {} itself",
                self.location(key)
            ),
        ))
    }
}
