//! Contents compared with the digests that they were written with.
//!
//! A file that the lake writes once carries its digest in its name (`tarn_core::digest`). A file that an
//! older version or another engine wrote carries none; its digest is remembered when it is first verified. A
//! file that was found right is remembered with its size, times and inode, so that an unchanged file is read
//! for this only once.

use std::fs::File;
use std::path::PathBuf;

use bytes::Bytes;
use tarn_core::Result;
use tarn_core::digest::Digest;
use tarn_core::ports::{Examined, check};

use crate::db::{Durability, WITH_DIGESTS};
use crate::failure::{io_error, is_absent};
use crate::files::{self, FullFingerprint};
use crate::known::{Checked, Known, now_ns};
use crate::objects::{
    ATTEMPTS, FolderObjects, SETTLED_AFTER_NS, is_raw, keeps_changing, not_found,
};

impl FolderObjects {
    /// The file of an object whose content is what was written, as far as that is known.
    pub(crate) fn checked_path(&self, key: &str) -> Result<PathBuf> {
        let path = self.path(key)?;
        for _ in 0..ATTEMPTS {
            let Some(seen) = files::full_fingerprint(&path)? else {
                return Err(not_found(key));
            };
            let known = self.known_digest(key)?;
            let Some(written) = Digest::in_name(key).or(known.as_ref().map(|one| one.digest))
            else {
                return Ok(path);
            };
            let same = |one: &Checked| one.digest == written && one.seen == Some(seen);
            if known.as_ref().is_some_and(same) {
                return Ok(path);
            }
            if let Some((found, _)) = self.digest_now(key, &path)? {
                check(key, written, found)?;
                return Ok(path);
            }
        }
        Err(keeps_changing(key))
    }

    /// The bytes of a small file whose content is what was written, as far as that is known.
    pub(crate) fn checked_bytes(&self, key: &str) -> Result<Bytes> {
        let bytes = self.get_now(key, None)?;
        let written = match Digest::in_name(key) {
            Some(written) => Some(written),
            None => self.known_digest(key)?.map(|known| known.digest),
        };
        if let Some(written) = written {
            check(key, written, Digest::of(&bytes))?;
        }
        Ok(bytes)
    }

    /// Reads a file to its end, whatever is known of it.
    pub(crate) fn examine_now(&self, key: &str) -> Result<Examined> {
        let path = self.path(key)?;
        for _ in 0..ATTEMPTS {
            if files::full_fingerprint(&path)?.is_none() {
                return Err(not_found(key));
            }
            let Some((found, size)) = self.digest_now(key, &path)? else {
                continue;
            };
            let written = if is_raw(key) {
                let known = self
                    .store
                    .db
                    .read(|connection| Known::load(connection, key))?;
                known.and_then(|known| Digest::parse(&known.version))
            } else {
                match Digest::in_name(key) {
                    Some(written) => Some(written),
                    None => self.known_digest(key)?.map(|known| known.digest),
                }
            };
            return Ok(Examined {
                size,
                found,
                written,
            });
        }
        Err(keeps_changing(key))
    }

    /// Remembers the digest of a file whose name carries none.
    pub(crate) fn remember_now(&self, key: &str, digest: Digest) -> Result<bool> {
        let db = &self.store.db;
        if db.is_read_only() || is_raw(key) || Digest::in_name(key).is_some() {
            return Ok(false);
        }
        let known = Checked { digest, seen: None };
        db.write(Durability::PowerCut, |transaction| {
            known.save(transaction, key)
        })?;
        Ok(true)
    }

    fn known_digest(&self, key: &str) -> Result<Option<Checked>> {
        if self.store.db.version() < WITH_DIGESTS {
            return Ok(None);
        }
        self.store
            .db
            .read(|connection| Checked::load(connection, key))
    }

    /// Reads a file to its end: its digest and size, or None where it changed meanwhile. A file that
    /// is as it was written is remembered.
    fn digest_now(&self, key: &str, path: &std::path::Path) -> Result<Option<(Digest, u64)>> {
        let begin = now_ns();
        let read = || {
            let mut file = File::open(path)?;
            let before = FullFingerprint::of(&file.metadata()?);
            let (found, size) = Digest::of_reader(&mut file)?;
            let after = FullFingerprint::of(&file.metadata()?);
            Ok((before == after).then_some((found, size, after)))
        };
        let read = read().map_err(|error: std::io::Error| {
            if is_absent(&error) {
                not_found(key)
            } else {
                io_error(error, format!("cannot read {}", path.display()))
            }
        })?;
        let Some((found, size, seen)) = read else {
            return Ok(None);
        };
        // A file that was changed just now could be changed again without another time.
        let settled = begin.saturating_sub(seen.fingerprint.mtime_ns) > SETTLED_AFTER_NS;
        let db = &self.store.db;
        if settled && !db.is_read_only() && !is_raw(key) {
            let noted = db.write(Durability::Process, |transaction| {
                let written = match Digest::in_name(key) {
                    Some(written) => Some(written),
                    None => Checked::load(transaction, key)?.map(|known| known.digest),
                };
                if written == Some(found) {
                    Checked {
                        digest: found,
                        seen: Some(seen),
                    }
                    .save(transaction, key)
                } else {
                    Ok(())
                }
            });
            if let Err(error) = noted {
                // It is read again at the next look.
                tracing::debug!(key, %error, "it cannot be remembered that a file is right");
            }
        }
        Ok(Some((found, size)))
    }
}
