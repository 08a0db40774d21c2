#![allow(clippy::unwrap_used)]
use std::path::Path;

use proptest::prelude::*;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags};
use xxhash_rust::xxh3::Xxh3;

use super::super::cursor::Stored;
use super::super::rows::Rows;
use super::Pages;

/// SplitMix64 (Steele, Lea and Flood 2014).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    fn value(&mut self, longest: u64) -> Value {
        match self.below(8) {
            0 => Value::Null,
            1 => Value::Integer(self.below(3) as i64),
            2 => Value::Integer(self.below(u64::MAX) as i64 >> self.below(64)),
            3 => Value::Real(self.below(1000) as f64),
            4 => Value::Real(f64::from_bits(self.below(u64::MAX))),
            5 => Value::Blob(vec![7; self.below(longest) as usize]),
            _ => Value::Text("aé𝄞".repeat(self.below(longest) as usize / 7)),
        }
    }
}

/// About how many bytes a column of the table has, and how many bytes of rows are read at most.
const TABLE_BYTES: u64 = 400_000;
const READ_BYTES: usize = 4 << 20;

/// A database of one table `t` of several columns of any types, written and changed at random.
fn write(path: &Path, seed: u64) -> Connection {
    let mut dice = Dice(seed);
    let connection = Connection::open(path).unwrap();
    let page = 512 << dice.below(8);
    let vacuum = dice.below(6) / 5;
    connection
        .execute_batch(&format!(
            "PRAGMA page_size = {page}; PRAGMA auto_vacuum = {vacuum}; PRAGMA journal_mode = DELETE; \
             PRAGMA synchronous = OFF; BEGIN;
             CREATE TABLE other (x TEXT);
             CREATE TABLE t (id INTEGER PRIMARY KEY, a REAL, b TEXT, c DOUBLE PRECISION, d, e FLOATING POINT)"
        ))
        .unwrap();
    // Some rows continue in other pages, most do not.
    let longest = [12, 60, 4 * page as u64][dice.below(3) as usize];
    let rows = [3, 40, 400][dice.below(3) as usize].min(TABLE_BYTES / longest);
    let insert = |dice: &mut Dice, columns: &str, count: usize| {
        let places = vec!["?"; count].join(", ");
        let sql = format!("INSERT OR REPLACE INTO t ({columns}) VALUES ({places})");
        let mut values: Vec<Value> = (1..count).map(|_| dice.value(longest)).collect();
        let key = match dice.below(20) {
            0 => dice.below(u64::MAX) as i64,
            _ => dice.below(2 * rows) as i64,
        };
        values.insert(0, Value::Integer(key));
        connection
            .execute(&sql, rusqlite::params_from_iter(values))
            .unwrap();
    };
    for _ in 0..rows {
        insert(&mut dice, "id, a, b, c, d, e", 6);
        if dice.below(4) == 0 {
            connection
                .execute("INSERT INTO other VALUES (?1)", ["x".repeat(50)])
                .unwrap();
        }
    }
    let deleted = dice.below(rows);
    connection
        .execute("DELETE FROM t WHERE id % 7 = ?1", [deleted as i64 % 8])
        .unwrap();
    if dice.below(2) == 0 {
        let default = ["", " DEFAULT 5", " REAL DEFAULT 5"][dice.below(3) as usize];
        connection
            .execute_batch(&format!("ALTER TABLE t ADD COLUMN f{default}"))
            .unwrap();
        for _ in 0..dice.below(rows) {
            insert(&mut dice, "id, a, b, c, d, e, f", 7);
        }
    } else {
        connection
            .execute_batch("ALTER TABLE t ADD COLUMN f")
            .unwrap();
    }
    connection.execute_batch("COMMIT").unwrap();
    connection
}

fn read_only(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.execute_batch("PRAGMA cell_size_check = ON; BEGIN; SELECT 1 FROM sqlite_schema")?;
    Ok(connection)
}

const WANTED: [&str; 7] = ["f", "id", "a", "b", "c", "d", "e"];
const SQL: &str = "SELECT f, id, a, b, c, d, e FROM t";

/// A digest of each row, and the error at which they end.
fn all(rows: rusqlite::Result<Rows<'_>>) -> Read {
    let mut found = Vec::new();
    let mut rows = match rows {
        Ok(rows) => rows,
        Err(error) => return vec![Err(error.to_string())],
    };
    // Pages that are each other's children make rows without end, in SQLite too.
    let mut read = 0;
    while found.len() < 1000 && read < READ_BYTES {
        match rows.step() {
            Ok(true) => {
                let mut hash = Xxh3::new();
                for at in 0..WANTED.len() {
                    let (kind, bytes) = match rows.value(at) {
                        Stored::Null => (0, &[][..]),
                        Stored::Integer(value) => (1, &value.to_le_bytes()[..]),
                        Stored::Real(value) => (2, &value.to_le_bytes()[..]),
                        Stored::Text(bytes) => (3, bytes),
                        Stored::Blob(bytes) => (4, bytes),
                    };
                    read += bytes.len();
                    hash.update(&[kind]);
                    hash.update(&bytes.len().to_le_bytes());
                    hash.update(bytes);
                }
                found.push(Ok(hash.digest()));
            }
            Ok(false) => return found,
            Err(error) => {
                found.push(Err(error.to_string()));
                return found;
            }
        }
    }
    found
}

type Read = Vec<Result<u64, String>>;

/// Each from a connection of its own: for a damaged page SQLite gives another error the second time.
fn both(path: &Path) -> Option<(Read, Read)> {
    let (first, second) = (read_only(path).ok()?, read_only(path).ok()?);
    let rowid = first.query_row(
        "SELECT name FROM pragma_table_info('t') WHERE name = 'id' AND pk = 1 AND type = 'INTEGER'",
        [],
        |row| row.get::<_, String>(0),
    );
    let rowid = rowid.ok();
    let pages = Rows::of_table(&first, "t", &WANTED, rowid.as_deref(), SQL.to_owned());
    let query = Rows::of_query(&second, SQL.to_owned());
    Some((all(pages), all(query)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_table_is_read_as_sqlite_reads_it(seed in any::<u64>()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.sqlite");
        drop(write(&path, seed));
        let (pages, query) = both(&path).unwrap();
        prop_assert_eq!(pages, query);
    }

    #[test]
    fn of_a_damaged_table_the_same_rows_are_read_and_it_fails_where_sqlite_does(
        seed in any::<u64>(), damage in any::<u64>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.sqlite");
        drop(write(&path, seed));
        let sound = std::fs::read(&path).unwrap();
        let mut dice = Dice(damage);
        for _ in 0..20 {
            let mut bytes = sound.clone();
            for _ in 0..=dice.below(4) {
                let at = 100 + dice.below(bytes.len() as u64 - 100) as usize;
                match dice.below(4) {
                    0 => bytes[at] ^= 1 << dice.below(8),
                    1 => bytes[at] = dice.below(256) as u8,
                    2 => {
                        // A whole page instead of another.
                        let page = 512;
                        let (from, to) = (at / page * page, 100 + dice.below(bytes.len() as u64 - 100) as usize / page * page);
                        let end = (to + page).min(bytes.len());
                        let part = bytes[from..(from + end - to).min(bytes.len())].to_vec();
                        bytes[to..to + part.len()].copy_from_slice(&part);
                    }
                    // The headers of pages are where damage matters most.
                    _ => {
                        let at = at / 512 * 512 + dice.below(16) as usize;
                        if at >= 100 {
                            bytes[at] = dice.below(256) as u8;
                        }
                    }
                }
            }
            std::fs::write(&path, &bytes).unwrap();
            let Some((mut pages, mut query)) = both(&path) else { continue };
            // SQLite looks at all cells of a page before it gives its first row.
            if pages.pop_if(|row| row.is_err()) == query.pop_if(|row| row.is_err()) {
                pages.truncate(query.len());
            }
            prop_assert_eq!(pages, query);
        }
    }
}

#[test]
fn what_is_no_plain_table_is_left_to_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    for (number, (sql, wanted, simple)) in [
        ("CREATE TABLE t (id INTEGER PRIMARY KEY, a)", "a", true),
        ("CREATE TABLE t (a, b)", "b", true),
        ("CREATE TABLE t (a, b) STRICT", "b", false),
        (
            "CREATE TABLE t (a PRIMARY KEY, b) WITHOUT ROWID",
            "b",
            false,
        ),
        ("CREATE TABLE t (a, b AS (a + 1))", "a", false),
        ("CREATE TABLE t (a, b AS (a + 1) STORED)", "b", false),
        ("CREATE TABLE t (a, _rowid_)", "a", false),
        ("CREATE TABLE t (a, b); CREATE INDEX i ON t (b)", "b", false),
        ("CREATE TABLE t (a, b); CREATE INDEX i ON t (b)", "a", true),
        ("CREATE VIEW t AS SELECT 1 AS a", "a", false),
        ("PRAGMA auto_vacuum = 1; CREATE TABLE t (a, b)", "b", false),
        (
            "PRAGMA encoding = 'UTF-16'; CREATE TABLE t (a, b)",
            "b",
            false,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let path = folder.path().join(format!("{number}.sqlite"));
        Connection::open(&path)
            .unwrap()
            .execute_batch(sql)
            .unwrap_or_default();
        let connection = read_only(&path).unwrap();
        let query = format!("SELECT {wanted} FROM t");
        let opened = Pages::open(&connection, "t", &[wanted], None, &query);
        let opened = opened.is_ok_and(|pages| pages.is_some());
        assert_eq!(opened, simple, "{sql}");
    }
}
