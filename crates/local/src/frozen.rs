//! A state file that cannot be written: on a read-only mount, in a copy that is kept as it is.
//!
//! SQLite needs to write beside a file in WAL mode even to read it, unless the connection says that the
//! file does not change. That cannot be known here, so each read checks it: before and after it the file has
//! the same size and time, and no commits wait in the log beside it.

use std::fs::File;
use std::io::ErrorKind as Io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use tarn_core::{Error, ErrorKind, Result};

use crate::failure::sqlite_error;
use crate::files::{self, Fingerprint};

/// Whether the file is there and cannot be written.
pub(crate) fn is_read_only(path: &Path) -> bool {
    match File::options().write(true).open(path) {
        Err(error) => matches!(error.kind(), Io::ReadOnlyFilesystem | Io::PermissionDenied),
        Ok(_) => false,
    }
}

/// The error of an attempt to write.
pub(crate) fn refused(path: &Path) -> Error {
    Error::new(
        ErrorKind::Storage,
        format!(
            "{} cannot be written: the lake is on a read-only mount, or belongs to another user; it can only be \
             queried",
            path.display()
        ),
    )
}

/// Reads the file as it is.
pub(crate) fn read<T>(path: &Path, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
    let before = settled(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(immutable(path), flags).map_err(sqlite_error)?;
    let result = work(&connection);
    if settled(path)? == before {
        result
    } else {
        Err(Error::new(
            ErrorKind::Conflict,
            format!(
                "{} was changed while it was read; try again",
                path.display()
            ),
        ))
    }
}

/// The fingerprint of the file, where all commits are in it.
fn settled(path: &Path) -> Result<Option<Fingerprint>> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    match files::fingerprint(&PathBuf::from(log))? {
        Some(log) if log.size > 0 => Err(Error::new(
            ErrorKind::Storage,
            format!(
                "commits of the lake wait in {0}-wal, and {0} cannot be written: open the lake once where it \
                 can be written (tarn tables), or copy the whole folder and open the copy",
                path.display()
            ),
        )),
        _ => files::fingerprint(path),
    }
}

/// SQLite's name for a file that does not change.
fn immutable(path: &Path) -> PathBuf {
    use std::fmt::Write;
    let mut name = "file:".to_owned();
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' => name.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => name.push(char::from(byte)),
            // Writing to a text does not fail.
            _ => write!(name, "%{byte:02x}").unwrap_or_default(),
        }
    }
    name.push_str("?immutable=1");
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn file(folder: &Path) -> PathBuf {
        let path = folder.join("a #?%20 ü.sqlite");
        let connection = Connection::open(&path).unwrap();
        connection
            .pragma_update(None, "journal_mode", "WAL")
            .unwrap();
        connection
            .execute_batch("CREATE TABLE t(n INTEGER); INSERT INTO t VALUES(1)")
            .unwrap();
        path
    }

    fn count(connection: &Connection) -> Result<i64> {
        connection
            .query_row("SELECT count(*) FROM t", [], |row| row.get(0))
            .map_err(sqlite_error)
    }

    #[test]
    fn a_file_that_cannot_be_written_is_read_and_nothing_is_made_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(folder.path());
        assert!(!is_read_only(&path) && !is_read_only(&folder.path().join("none")));
        assert_eq!(read(&path, count).unwrap(), 1);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn commits_that_wait_in_the_log_or_come_meanwhile_are_not_overlooked() {
        let folder = tempfile::tempdir().unwrap();
        let path = file(folder.path());
        let changed = read(&path, |connection| {
            let found = count(connection);
            // Moved into the file when it is closed.
            Connection::open(&path)
                .unwrap()
                .execute_batch("INSERT INTO t VALUES(2)")
                .unwrap();
            found
        });
        assert!(changed.unwrap_err().is_retryable());
        let open = Connection::open(&path).unwrap();
        open.execute_batch("INSERT INTO t VALUES(3)").unwrap();
        let waiting = read(&path, count).unwrap_err();
        assert!(waiting.to_string().contains("-wal"), "{waiting}");
    }
}
