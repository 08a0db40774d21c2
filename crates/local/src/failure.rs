//! Errors of the file system and of SQLite as errors of the lake.

use std::io;

use tarn_core::{Error, ErrorKind};

/// What to do without a state file that can be read.
pub const LOST_STATE: &str = "\
restore .tarn/lake.sqlite from a copy of the lake. Where there is none, make the lake again from its raw zone: \
move its folder away, make a new one that has the raw/ and the .tarn/keys/ of the old one, and run tarn ingest \
on the raw/ of the new one, then tarn marts (docs/runbooks/lost-state.md)";

/// Whether the path leads nowhere. A file where a folder would be leads nowhere too.
pub(crate) fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// An error of the file system. A retry can help where the cause is known to pass.
pub(crate) fn io_error(error: io::Error, doing: impl Into<String>) -> Error {
    use io::ErrorKind as Io;
    let kind = match error.kind() {
        Io::NotFound => ErrorKind::NotFound,
        Io::InvalidFilename => ErrorKind::BadRequest,
        _ => ErrorKind::Storage,
    };
    let passes = matches!(
        error.kind(),
        Io::Interrupted
            | Io::TimedOut
            | Io::WouldBlock
            | Io::ResourceBusy
            | Io::StorageFull
            | Io::QuotaExceeded
    );
    Error::new(kind, doing).with_source(error).retryable(passes)
}

/// An error of SQLite. A retry helps where somebody else held the file for too long.
pub(crate) fn sqlite_error(error: rusqlite::Error) -> Error {
    use rusqlite::ErrorCode as Code;
    let code = error.sqlite_error_code();
    let busy = matches!(code, Some(Code::DatabaseBusy | Code::DatabaseLocked));
    let message = match code {
        Some(Code::DatabaseBusy | Code::DatabaseLocked) => {
            "another process holds the lake's state for too long"
        }
        Some(Code::DiskFull) => "the disk is full; make room and try again",
        Some(Code::NotADatabase | Code::DatabaseCorrupt) => return damaged_state(error),
        // The file is cut, or somebody else's.
        _ if error.to_string().contains("no such table") => return damaged_state(error),
        Some(Code::ReadOnly | Code::CannotOpen | Code::PermissionDenied) => {
            "the lake's state file .tarn/lake.sqlite cannot be opened for writing"
        }
        _ => "the lake's state file .tarn/lake.sqlite cannot be used",
    };
    let passes = busy || code == Some(Code::DiskFull);
    Error::new(ErrorKind::Storage, message)
        .with_source(error)
        .retryable(passes)
}

fn damaged_state(error: rusqlite::Error) -> Error {
    Error::new(
        ErrorKind::Damaged,
        format!("the lake's state file .tarn/lake.sqlite is damaged: {LOST_STATE}"),
    )
    .with_source(error)
}

/// A value in the lake's state that Tarn did not write like this.
pub(crate) fn damaged(what: &str, error: serde_json::Error) -> Error {
    Error::new(
        ErrorKind::Storage,
        format!("{what} in .tarn/lake.sqlite cannot be read"),
    )
    .with_source(error)
}
