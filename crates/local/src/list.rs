//! The files of a folder as objects.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;

use rusqlite::params;
use tarn_core::ports::ObjectInfo;
use tarn_core::{Error, Result};

use crate::failure::{io_error, is_absent, sqlite_error};
use crate::files::{self, Fingerprint};
use crate::key::{self, STATE};
use crate::known::Known;
use crate::objects::FolderObjects;

impl FolderObjects {
    /// The files whose keys begin with `prefix`.
    pub(crate) fn fingerprints(&self, prefix: &str) -> Result<BTreeMap<String, Fingerprint>> {
        let (folder, _) = prefix.rsplit_once('/').unwrap_or_default();
        if !folder.is_empty() {
            key::check(folder, self.store.root_text.len())?;
        }
        let mut fingerprints = BTreeMap::new();
        self.walk(folder, prefix, &mut fingerprints)?;
        Ok(fingerprints)
    }

    pub(crate) fn list_now(&self, prefix: &str) -> Result<Vec<ObjectInfo>> {
        let fingerprints = self.fingerprints(prefix)?;
        let mut known: BTreeMap<String, Known> = self.store.db.read(|connection| {
            let end = key::prefix_end(prefix);
            let sql = format!(
                "SELECT {} FROM object WHERE key >= ?1 AND (?2 IS NULL OR key < ?2)",
                Known::COLUMNS
            );
            let mut statement = connection.prepare(&sql).map_err(sqlite_error)?;
            let rows = statement
                .query_map(params![prefix, end], Known::of)
                .map_err(sqlite_error)?;
            rows.collect::<rusqlite::Result<_>>().map_err(sqlite_error)
        })?;
        let mut objects = Vec::with_capacity(fingerprints.len());
        for (key, fingerprint) in fingerprints {
            let found = match known.remove(&key) {
                Some(known) if known.proves(fingerprint) => Some(known),
                _ => match self.look(&key) {
                    // One file that cannot be read hides no other.
                    Err(error) if is_denied(&error) => {
                        tracing::warn!(key, %error, "a file of the lake cannot be read and is left out");
                        None
                    }
                    found => found?,
                },
            };
            objects.extend(found.map(|known| known.info(&key)));
        }
        Ok(objects)
    }

    /// The files under `folder` whose keys begin with `prefix`. Links to folders are followed, but
    /// not in circles.
    fn walk(
        &self,
        folder: &str,
        prefix: &str,
        fingerprints: &mut BTreeMap<String, Fingerprint>,
    ) -> Result<()> {
        let mut pending = vec![(folder.to_owned(), Vec::<(u64, u64)>::new())];
        while let Some((folder, mut above)) = pending.pop() {
            let path = self.store.root.join(&folder);
            let failed = |error| io_error(error, format!("cannot list {}", path.display()));
            let entries = match std::fs::read_dir(&path) {
                Ok(entries) => entries,
                Err(error) if is_absent(&error) => continue,
                Err(error) => return Err(failed(error)),
            };
            let metadata = match std::fs::metadata(&path) {
                Ok(metadata) => metadata,
                Err(error) if is_absent(&error) => continue,
                Err(error) => return Err(failed(error)),
            };
            let identity = (metadata.dev(), metadata.ino());
            if above.contains(&identity) {
                tracing::warn!(path = %path.display(), "a link leads back to a folder above it and is not followed");
                continue;
            }
            above.push(identity);
            for entry in entries {
                let entry = entry.map_err(failed)?;
                let Ok(name) = entry.file_name().into_string() else {
                    tracing::warn!(path = %entry.path().display(), "a name that is not UTF-8 cannot be a key; rename the file");
                    continue;
                };
                if name.starts_with(key::TEMPORARY) || (folder.is_empty() && name == STATE) {
                    continue;
                }
                let key = if folder.is_empty() {
                    name
                } else {
                    format!("{folder}/{name}")
                };
                let file_type = entry.file_type().map_err(failed)?;
                let is_dir =
                    file_type.is_dir() || (file_type.is_symlink() && entry.path().is_dir());
                if is_dir && (key.starts_with(prefix) || prefix.starts_with(&format!("{key}/"))) {
                    pending.push((key, above.clone()));
                } else if !is_dir && key.starts_with(prefix) {
                    if let Err(error) = key::check(&key, self.store.root_text.len()) {
                        tracing::warn!(path = %entry.path().display(), %error, "a file cannot be an object");
                    } else if let Some(fingerprint) = files::fingerprint(&entry.path())? {
                        fingerprints.insert(key, fingerprint);
                    }
                }
            }
        }
        Ok(())
    }
}

fn is_denied(error: &Error) -> bool {
    let source = std::error::Error::source(error);
    source
        .and_then(|source| source.downcast_ref::<io::Error>())
        .is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}
