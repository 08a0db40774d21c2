//! The rows of a table, from its pages as long as these leave no doubt, then from SQLite.

use rusqlite::{Connection, Result};

use super::cursor::{Cursor, Stored};
use super::pages::{Doubt, Pages};

/// Rows in the order in which SQLite finds them.
pub(super) struct Rows<'a> {
    connection: &'a Connection,
    sql: String,
    from: From<'a>,
    /// Rows so far.
    seen: u64,
}

enum From<'a> {
    Pages(Box<Pages<'a>>),
    Cursor(Cursor<'a>),
}

impl<'a> Rows<'a> {
    /// The rows of a query.
    pub(super) fn of_query(connection: &'a Connection, sql: String) -> Result<Self> {
        Ok(Rows {
            from: From::Cursor(Cursor::open(connection, &sql)?),
            connection,
            sql,
            seen: 0,
        })
    }

    /// The rows of a query that asks for all rows of a table: for the columns `wanted`, and after them
    /// for the rowid where `rowid_column`, another name of it, is not given.
    pub(super) fn of_table(
        connection: &'a Connection,
        table: &str,
        wanted: &[&str],
        rowid_column: Option<&str>,
        sql: String,
    ) -> Result<Self> {
        match Pages::open(connection, table, wanted, rowid_column, &sql) {
            Ok(Some(pages)) => Ok(Rows {
                from: From::Pages(Box::new(pages)),
                connection,
                sql,
                seen: 0,
            }),
            // Where not even that is known, the query says why.
            Ok(None) | Err(_) => Rows::of_query(connection, sql),
        }
    }

    /// Goes to the next row; false at the end.
    #[inline]
    pub(super) fn step(&mut self) -> Result<bool> {
        if let From::Pages(pages) = &mut self.from {
            match pages.step() {
                Ok(more) => {
                    self.seen += u64::from(more);
                    return Ok(more);
                }
                Err(Doubt) => self.leave_to_sqlite()?,
            }
        }
        match &mut self.from {
            From::Cursor(cursor) => cursor.step(),
            From::Pages(_) => Ok(false),
        }
    }

    /// A column of the current row. The value lives until the next step, which needs the rows for itself.
    #[inline(always)]
    pub(super) fn value(&self, index: usize) -> Stored<'_> {
        match &self.from {
            From::Pages(pages) => pages.value(index),
            From::Cursor(cursor) => cursor.value(index),
        }
    }

    /// The rows so far were found where SQLite finds them too.
    #[cold]
    fn leave_to_sqlite(&mut self) -> Result<()> {
        let mut cursor = Cursor::open(self.connection, &self.sql)?;
        for _ in 0..self.seen {
            if !cursor.step()? {
                break;
            }
        }
        self.from = From::Cursor(cursor);
        Ok(())
    }
}
