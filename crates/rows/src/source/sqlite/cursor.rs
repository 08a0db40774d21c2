//! A forward cursor over a query's rows. Rusqlite's own rows borrow their statement, which a reader
//! that is asked for batch after batch cannot hold; this one owns the statement.

use std::ffi::{CString, c_int};
use std::marker::PhantomData;
use std::slice;

use rusqlite::{Connection, Error, Result, ffi};

/// A stored value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Stored<'a> {
    Null,
    Integer(i64),
    Real(f64),
    /// Not checked to be UTF-8.
    Text(&'a [u8]),
    Blob(&'a [u8]),
}

/// The rows of a query, in the order in which SQLite finds them.
pub(super) struct Cursor<'a> {
    statement: *mut ffi::sqlite3_stmt,
    columns: c_int,
    on_row: bool,
    ended: bool,
    connection: &'a Connection,
    /// A statement is used by one thread at a time.
    _not_sync: PhantomData<*mut ()>,
}

impl<'a> Cursor<'a> {
    pub(super) fn open(connection: &'a Connection, sql: &str) -> Result<Self> {
        let text = CString::new(sql).map_err(Error::NulError)?;
        let mut statement = std::ptr::null_mut();
        // SAFETY: the connection lives as long as the cursor, the text ends with a zero byte, and
        // SQLite writes the statement, or null, to the place it is given.
        let code = unsafe {
            ffi::sqlite3_prepare_v2(
                connection.handle(),
                text.as_ptr(),
                -1,
                &raw mut statement,
                std::ptr::null_mut(),
            )
        };
        if code != ffi::SQLITE_OK || statement.is_null() {
            return Err(failure(connection, code));
        }
        // SAFETY: the statement was just prepared and is not null.
        let columns = unsafe { ffi::sqlite3_column_count(statement) };
        Ok(Cursor {
            statement,
            columns,
            on_row: false,
            ended: false,
            connection,
            _not_sync: PhantomData,
        })
    }

    /// Goes to the next row; false at the end.
    pub(super) fn step(&mut self) -> Result<bool> {
        // SQLite begins again when a statement is stepped beyond its end.
        if self.ended {
            return Ok(false);
        }
        // SAFETY: the statement is valid until it is finalized on drop.
        let code = unsafe { ffi::sqlite3_step(self.statement) };
        self.on_row = code == ffi::SQLITE_ROW;
        match code {
            ffi::SQLITE_ROW => Ok(true),
            ffi::SQLITE_DONE => {
                self.ended = true;
                Ok(false)
            }
            code => Err(failure(self.connection, code)),
        }
    }

    /// A column of the current row; null outside the row. The value lives until the next step, which
    /// needs the cursor for itself.
    #[inline]
    pub(super) fn value(&self, index: usize) -> Stored<'_> {
        let index = match c_int::try_from(index) {
            Ok(index) if self.on_row && index < self.columns => index,
            _ => return Stored::Null,
        };
        // SAFETY: the cursor is on a row and the column exists. The value is asked for once and looked at
        // without a lock: its connection has none (SQLITE_OPEN_NO_MUTEX) and is used by one thread. Text
        // and blob pointers stay valid until the next step or a type conversion, and nothing here
        // converts: each value is asked for the type it has. Their length is asked for after the
        // pointer, as SQLite requires.
        unsafe {
            let value = ffi::sqlite3_column_value(self.statement, index);
            match ffi::sqlite3_value_type(value) {
                ffi::SQLITE_INTEGER => Stored::Integer(ffi::sqlite3_value_int64(value)),
                ffi::SQLITE_FLOAT => Stored::Real(ffi::sqlite3_value_double(value)),
                ffi::SQLITE_TEXT => {
                    let text = ffi::sqlite3_value_text(value);
                    let bytes = ffi::sqlite3_value_bytes(value);
                    Stored::Text(bytes_at(text, bytes))
                }
                ffi::SQLITE_BLOB => {
                    let blob = ffi::sqlite3_value_blob(value);
                    let bytes = ffi::sqlite3_value_bytes(value);
                    Stored::Blob(bytes_at(blob.cast(), bytes))
                }
                _ => Stored::Null,
            }
        }
    }
}

impl Drop for Cursor<'_> {
    fn drop(&mut self) {
        // SAFETY: finalized once, here. Its code repeats the error of the last step, reported then.
        unsafe { ffi::sqlite3_finalize(self.statement) };
    }
}

/// # Safety
/// `pointer` is null or points to `length` bytes that live as long as the result is used.
unsafe fn bytes_at<'a>(pointer: *const u8, length: c_int) -> &'a [u8] {
    match usize::try_from(length) {
        // SAFETY: as the caller guarantees.
        Ok(length @ 1..) if !pointer.is_null() => unsafe { slice::from_raw_parts(pointer, length) },
        _ => &[],
    }
}

fn failure(connection: &Connection, code: c_int) -> Error {
    // SAFETY: the connection is open; the message is copied before any other call on it.
    let message = unsafe {
        let text = ffi::sqlite3_errmsg(connection.handle());
        (!text.is_null()).then(|| {
            std::ffi::CStr::from_ptr(text)
                .to_string_lossy()
                .into_owned()
        })
    };
    Error::SqliteFailure(ffi::Error::new(code), message)
}
