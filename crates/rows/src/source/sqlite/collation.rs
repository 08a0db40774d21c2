//! Collations that only a database's own application knows.
//!
//! SQLite asks for a collation as soon as it plans a query over a table that has a column or an index of
//! it, whether the query compares or not. Those of the lake do not: they read tables from their begin to
//! their end, in the order in which they are stored. So a stand-in is given for every unknown name. If it
//! ever has to compare, which a generated column may ask for, the query fails.

use std::ffi::{c_char, c_int, c_void};

use rusqlite::{Connection, Error, Result, ffi};

/// Gives the connection a stand-in for every collation that its database names and SQLite lacks.
pub(super) fn stand_in(connection: &Connection) -> Result<()> {
    // SAFETY: the connection is open, and the function is one that SQLite may call for its whole life.
    let code = unsafe {
        ffi::sqlite3_collation_needed(connection.handle(), std::ptr::null_mut(), Some(needed))
    };
    match code {
        ffi::SQLITE_OK => Ok(()),
        code => Err(Error::SqliteFailure(ffi::Error::new(code), None)),
    }
}

unsafe extern "C" fn needed(
    _nothing: *mut c_void,
    database: *mut ffi::sqlite3,
    _encoding: c_int,
    name: *const c_char,
) {
    // SAFETY: SQLite hands over its open connection and a name that ends with a zero byte. The function
    // that is registered is given the connection, with which its registration ends. Where it is refused,
    // SQLite then says that there is no such collation.
    unsafe {
        ffi::sqlite3_create_collation_v2(
            database,
            name,
            ffi::SQLITE_UTF8,
            database.cast::<c_void>(),
            Some(compare),
            None,
        );
    }
}

/// Ends a query that compares by a collation that is not known here.
unsafe extern "C" fn compare(
    database: *mut c_void,
    _length: c_int,
    _text: *const c_void,
    _other_length: c_int,
    _other: *const c_void,
) -> c_int {
    // SAFETY: the connection that this was registered with, which is running the query.
    unsafe { ffi::sqlite3_interrupt(database.cast()) };
    0
}
