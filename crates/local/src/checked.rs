//! Contents held against the digests that they were written with.
//!
//! A file that the lake writes once carries its digest in its name (`tarn_core::digest`). What an older
//! version or another engine wrote carries none; its digest is remembered when it is first verified. What
//! was found right is remembered with the file's size, times and inode, so that an unchanged file is read
//! for this once.

use std::fs::File;
use std::path::PathBuf;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};
use tarn_core::digest::Digest;
use tarn_core::ports::{Examined, check};
use tarn_core::{Error, ErrorKind, Result};

use crate::db::{Durability, WITH_DIGESTS};
use crate::failure::{io_error, sqlite_error};
use crate::files::{self, Seen, Stamp};
use crate::known::{Known, now_ns};
use crate::objects::{ATTEMPTS, FolderObjects, SETTLED_AFTER_NS, is_raw, not_found, restless};

/// What the state file knows of a file's content.
struct Checked {
    /// As it was written.
    digest: Digest,
    /// The file as it was when it had that content; None where only the digest is known.
    seen: Option<Seen>,
}

impl Checked {
    fn load(connection: &Connection, key: &str) -> Result<Option<Checked>> {
        let mut statement = connection
            .prepare("SELECT digest, size, mtime_ns, inode, ctime_ns FROM checked WHERE key = ?1")
            .map_err(sqlite_error)?;
        let found = statement
            .query_row([key], |row| {
                let seen = match row.get::<_, Option<i64>>(1)? {
                    None => None,
                    Some(size) => Some(Seen {
                        stamp: Stamp {
                            size: size.cast_unsigned(),
                            mtime_ns: row.get(2)?,
                            inode: row.get::<_, i64>(3)?.cast_unsigned(),
                        },
                        ctime_ns: row.get(4)?,
                    }),
                };
                Ok((row.get::<_, String>(0)?, seen))
            })
            .optional()
            .map_err(sqlite_error)?;
        let Some((digest, seen)) = found else {
            return Ok(None);
        };
        let digest = Digest::parse(&digest).ok_or_else(|| {
            Error::new(
                ErrorKind::Storage,
                format!("the digest of {key} in .tarn/lake.sqlite cannot be read"),
            )
        })?;
        Ok(Some(Checked { digest, seen }))
    }

    fn save(&self, connection: &Connection, key: &str) -> Result<()> {
        let seen = self.seen;
        let values = params![
            key,
            self.digest.to_string(),
            seen.map(|seen| seen.stamp.size.cast_signed()),
            seen.map(|seen| seen.stamp.mtime_ns),
            seen.map(|seen| seen.stamp.inode.cast_signed()),
            seen.map(|seen| seen.ctime_ns),
        ];
        connection
            .prepare(
                "REPLACE INTO checked(key, digest, size, mtime_ns, inode, ctime_ns) \
                 VALUES(?1, ?2, ?3, ?4, ?5, ?6)",
            )
            .and_then(|mut statement| statement.execute(values))
            .map_err(sqlite_error)?;
        Ok(())
    }
}

/// Forgets what is known of a key's content; in a transaction that changes it.
pub(crate) fn forget(connection: &Connection, key: &str) -> Result<()> {
    connection
        .prepare("DELETE FROM checked WHERE key = ?1")
        .and_then(|mut statement| statement.execute([key]))
        .map_err(sqlite_error)?;
    Ok(())
}

impl FolderObjects {
    /// The file of an object whose content is what was written, as far as that is known.
    pub(crate) fn checked_path(&self, key: &str) -> Result<PathBuf> {
        let path = self.path(key)?;
        for _ in 0..ATTEMPTS {
            let Some(seen) = files::seen(&path)? else {
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
        Err(restless(key))
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
            if files::seen(&path)?.is_none() {
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
        Err(restless(key))
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

    /// Reads a file to its end: its digest and size, or None where it changed meanwhile. What is as it was
    /// written is remembered.
    fn digest_now(&self, key: &str, path: &std::path::Path) -> Result<Option<(Digest, u64)>> {
        let begin = now_ns();
        let read = || {
            let mut file = File::open(path)?;
            let before = Seen::of(&file.metadata()?);
            let (found, size) = Digest::of_reader(&mut file)?;
            let after = Seen::of(&file.metadata()?);
            Ok((before == after).then_some((found, size, after)))
        };
        let read = read().map_err(|error: std::io::Error| match files::is_absent(&error) {
            true => not_found(key),
            false => io_error(error, format!("cannot read {}", path.display())),
        })?;
        let Some((found, size, seen)) = read else {
            return Ok(None);
        };
        // A file that was changed just now could be changed again without another time.
        let settled = begin.saturating_sub(seen.stamp.mtime_ns) > SETTLED_AFTER_NS;
        let db = &self.store.db;
        if settled && !db.is_read_only() && !is_raw(key) {
            let noted = db.write(Durability::Process, |transaction| {
                let written = match Digest::in_name(key) {
                    Some(written) => Some(written),
                    None => Checked::load(transaction, key)?.map(|known| known.digest),
                };
                match written == Some(found) {
                    true => Checked {
                        digest: found,
                        seen: Some(seen),
                    }
                    .save(transaction, key),
                    false => Ok(()),
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
