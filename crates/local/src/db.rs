//! The lake's state file: connections, schema and transactions.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use tarn_core::{Error, ErrorKind, Result};

use crate::failure::{LOST_STATE, io_error, sqlite_error};
use crate::staging::StagingFolder;
use crate::{files, frozen, install, private};

/// The state file's name under `.tarn`.
pub(crate) const FILE: &str = "lake.sqlite";

/// How long a transaction waits for those of other processes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// At most this many connections of each durability are kept open for reuse.
const KEPT_CONNECTIONS: usize = 8;

/// The state file and what SQLite keeps beside it, in the lake's own folder.
pub(crate) fn files(state: &Path) -> [PathBuf; 3] {
    ["", "-wal", "-shm"].map(|end| state.join(format!("{FILE}{end}")))
}

/// Why a state file has no content, as a half sentence; None where it may have some.
pub(crate) fn is_lost(state: &Path) -> Result<Option<&'static str>> {
    Ok(match files::fingerprint(&state.join(FILE))? {
        None => Some("is missing"),
        Some(fingerprint) if fingerprint.size == 0 => Some("is empty"),
        Some(_) => None,
    })
}

/// What each version of the schema adds to the one before. The version is kept in SQLite's
/// `user_version`.
const STEPS: [&str; 4] = [FIRST, FEEDBACK, ROOTS, DIGESTS];

/// The version that this program writes.
const SCHEMA_VERSION: i64 = STEPS.len() as i64;

/// The first version that knows where the lake was recorded.
pub(crate) const WITH_ROOTS: i64 = 3;

/// The first version that knows digests.
pub(crate) const WITH_DIGESTS: i64 = 4;

const FIRST: &str = "
CREATE TABLE counter(name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO counter VALUES('sequencer', 0);
CREATE TABLE object(
    key TEXT PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, inode INTEGER NOT NULL,
    settled INTEGER NOT NULL, version TEXT NOT NULL, sequencer INTEGER NOT NULL, put_at_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE catalog_table(
    name TEXT PRIMARY KEY, metadata_location TEXT NOT NULL, version INTEGER NOT NULL,
    spec TEXT NOT NULL, parameters TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE ledger_object(key TEXT PRIMARY KEY, revision INTEGER NOT NULL, record TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE ledger_run(run_id TEXT PRIMARY KEY, started_at_us INTEGER NOT NULL, record TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX ledger_run_by_start ON ledger_run(started_at_us, run_id);
CREATE TABLE ledger_state(name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
";

const FEEDBACK: &str = "
CREATE TABLE ledger_feedback(
    anomaly TEXT NOT NULL, at_us INTEGER NOT NULL, record TEXT NOT NULL, PRIMARY KEY(anomaly, at_us)
) STRICT, WITHOUT ROWID;
";

/// The places that rows and metadata name the lake's files by; see `roots`.
const ROOTS: &str = "
CREATE TABLE lake_root(path TEXT PRIMARY KEY, is_current INTEGER NOT NULL, since_us INTEGER NOT NULL) STRICT, WITHOUT ROWID;
";

/// Digests of files, and the files as they were when they had them; see `known`.
const DIGESTS: &str = "
CREATE TABLE checked(
    key TEXT PRIMARY KEY, digest TEXT NOT NULL, size INTEGER, mtime_ns INTEGER, inode INTEGER, ctime_ns INTEGER
) STRICT, WITHOUT ROWID;
";

/// What a commit survives. A process that is killed never loses one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// A power cut too: catalog and ledger.
    PowerCut,
    /// Its order is kept, but a power cut may undo the last ones: what is known of object files,
    /// which is found again from the files themselves. Once a later commit of the other kind
    /// returned, the earlier ones of this kind are as safe as it is.
    Process,
}

/// The state file. Every use is short: no lock is held while a caller waits for anything else.
#[derive(Debug)]
pub(crate) struct Db {
    path: PathBuf,
    power_cut: Mutex<Vec<Connection>>,
    process: Mutex<Vec<Connection>>,
    /// Writers of this process queue here: SQLite's own waiting polls and is not fair.
    writer: Mutex<()>,
    /// Whether nothing can be written, for example on a read-only mount.
    read_only: bool,
    version: i64,
}

impl Db {
    /// Makes the state file, which appears whole or not at all.
    pub(crate) fn create(staging: &Arc<StagingFolder>, path: &Path) -> Result<()> {
        let new = staging.path().join(FILE);
        let failed = |error| io_error(error, format!("cannot make {}", path.display()));
        private::create_file(&new).map_err(failed)?;
        let connection = Connection::open(&new).map_err(sqlite_error)?;
        migrate(&connection)?;
        connection
            .close()
            .map_err(|(_, error)| sqlite_error(error))?;
        match install::install(staging, &new, path, false) {
            // Another process was faster.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                files::remove_leftover(&new);
                Ok(())
            }
            result => result.map_err(failed),
        }
    }

    /// Opens the state file and makes its tables where they are missing. One that cannot be written is
    /// read as it is.
    pub(crate) fn open(path: &Path) -> Result<Db> {
        let mut db = Db {
            path: path.to_owned(),
            power_cut: Mutex::default(),
            process: Mutex::default(),
            writer: Mutex::default(),
            read_only: frozen::is_read_only(path),
            version: SCHEMA_VERSION,
        };
        if db.read_only {
            db.version = db.read(user_version)?;
            check_version(db.version)?;
            return Ok(db);
        }
        let connection = db.connect(Durability::PowerCut)?;
        let found = user_version(&connection)?;
        check_version(found)?;
        if found == 0 && !is_empty(&connection)? {
            return Err(Error::new(
                ErrorKind::Damaged,
                format!(
                    "{} is not the state file of a lake: {LOST_STATE}",
                    path.display()
                ),
            ));
        }
        enter_wal_mode(&connection)?;
        if found != SCHEMA_VERSION {
            migrate(&connection)?;
        }
        locked(&db.power_cut).push(connection);
        Ok(db)
    }

    /// What SQLite finds wrong with the file.
    pub(crate) fn faults(&self) -> Result<Vec<String>> {
        self.read(|connection| {
            let mut statement = connection
                .prepare("PRAGMA integrity_check(20)")
                .map_err(sqlite_error)?;
            let rows = statement
                .query_map([], |row| row.get(0))
                .map_err(sqlite_error)?;
            let found: Vec<String> = rows
                .collect::<rusqlite::Result<_>>()
                .map_err(sqlite_error)?;
            Ok(found.into_iter().filter(|text| text != "ok").collect())
        })
    }

    /// Whether nothing can be written.
    pub(crate) fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// The version of the schema that the file has.
    pub(crate) fn version(&self) -> i64 {
        self.version
    }

    /// Reads in one statement or more; each sees the newest commit.
    pub(crate) fn read<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        if self.read_only {
            return frozen::read(&self.path, work);
        }
        let connection = self.checkout(Durability::Process)?;
        let result = work(&connection);
        self.give_back(Durability::Process, connection);
        result
    }

    /// Runs `work` in a transaction that excludes every other writer of every process, and commits
    /// if it succeeds.
    pub(crate) fn write<T>(
        &self,
        durability: Durability,
        work: impl FnOnce(&Transaction<'_>) -> Result<T>,
    ) -> Result<T> {
        if self.read_only {
            return Err(frozen::refused(&self.path));
        }
        let mut connection = self.checkout(durability)?;
        let _turn = locked(&self.writer);
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(sqlite_error)?;
        let result = match work(&transaction) {
            Ok(value) => transaction.commit().map_err(sqlite_error).map(|()| value),
            Err(error) => transaction.rollback().map_err(sqlite_error).and(Err(error)),
        };
        if connection.is_autocommit() {
            self.give_back(durability, connection);
        }
        result
    }

    fn pool(&self, durability: Durability) -> &Mutex<Vec<Connection>> {
        match durability {
            Durability::PowerCut => &self.power_cut,
            Durability::Process => &self.process,
        }
    }

    fn checkout(&self, durability: Durability) -> Result<Connection> {
        let idle = locked(self.pool(durability)).pop();
        match idle {
            Some(connection) => Ok(connection),
            None => self.connect(durability),
        }
    }

    fn give_back(&self, durability: Durability, connection: Connection) {
        let mut pool = locked(self.pool(durability));
        if pool.len() < KEPT_CONNECTIONS {
            pool.push(connection);
        }
    }

    fn connect(&self, durability: Durability) -> Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags).map_err(sqlite_error)?;
        connection
            .busy_timeout(BUSY_TIMEOUT)
            .map_err(sqlite_error)?;
        let synchronous = match durability {
            Durability::PowerCut => "FULL",
            Durability::Process => "NORMAL",
        };
        connection
            .pragma_update(None, "synchronous", synchronous)
            .map_err(sqlite_error)?;
        Ok(connection)
    }
}

/// The lists of idle connections stay usable when a thread that held one panicked.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Several processes may do this to a new file at once, and SQLite does not wait for its own busy
/// timeout here.
fn enter_wal_mode(connection: &Connection) -> Result<()> {
    let begin = Instant::now();
    loop {
        let mode = connection
            .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0));
        match mode {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(mode) => {
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    format!(
                        "the file system of the lake cannot hold its state (journal mode {mode}); use a local disk"
                    ),
                ));
            }
            Err(error) => {
                let error = sqlite_error(error);
                if !error.is_retryable() || begin.elapsed() > BUSY_TIMEOUT {
                    return Err(error);
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

fn user_version(connection: &Connection) -> Result<i64> {
    connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(sqlite_error)
}

/// Whether the file has no table at all: it is new.
fn is_empty(connection: &Connection) -> Result<bool> {
    let sql = "SELECT NOT EXISTS(SELECT 1 FROM sqlite_schema)";
    connection
        .query_row(sql, [], |row| row.get(0))
        .map_err(sqlite_error)
}

fn check_version(found: i64) -> Result<()> {
    if (0..=SCHEMA_VERSION).contains(&found) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Unsupported,
        format!(
            "the lake's state has version {found}, this program knows versions up to {SCHEMA_VERSION}; \
             use a newer Tarn"
        ),
    ))
}

fn migrate(connection: &Connection) -> Result<()> {
    connection
        .execute_batch("BEGIN IMMEDIATE")
        .map_err(sqlite_error)?;
    // Another process may have been faster.
    let result = user_version(connection).and_then(|found| {
        check_version(found)?;
        let missing = usize::try_from(found)
            .ok()
            .and_then(|found| STEPS.get(found..));
        for step in missing.unwrap_or_default() {
            connection.execute_batch(step).map_err(sqlite_error)?;
        }
        connection
            .pragma_update(None, "user_version", SCHEMA_VERSION)
            .map_err(sqlite_error)
    });
    let end = if result.is_ok() { "COMMIT" } else { "ROLLBACK" };
    connection.execute_batch(end).map_err(sqlite_error)?;
    result
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn a_state_file_of_a_newer_version_is_refused_and_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        Connection::open(&path)
            .unwrap()
            .pragma_update(None, "user_version", 99)
            .unwrap();
        let error = Db::open(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("newer Tarn"), "{error}");
        assert_eq!(user_version(&Connection::open(&path).unwrap()).unwrap(), 99);
    }

    #[test]
    fn a_state_file_of_the_first_version_is_brought_up_to_date() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        let old = Connection::open(&path).unwrap();
        old.execute_batch(FIRST).unwrap();
        old.execute("INSERT INTO ledger_state VALUES('a', 'b')", [])
            .unwrap();
        old.pragma_update(None, "user_version", 1).unwrap();
        drop(old);
        let db = Db::open(&path).unwrap();
        let count = |table: &str| -> i64 {
            db.read(|c| {
                c.query_row(&format!("SELECT count(*) FROM {table}"), [], |r| r.get(0))
                    .map_err(sqlite_error)
            })
            .unwrap()
        };
        assert_eq!((count("ledger_state"), count("ledger_feedback")), (1, 0));
    }

    #[test]
    fn a_file_that_is_no_database_is_damaged_and_a_retry_does_not_cure_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        std::fs::write(
            &path,
            "this is a text file, and a long one at that, which SQLite refuses",
        )
        .unwrap();
        let error = Db::open(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Damaged);
        assert!(!error.is_retryable());
    }

    #[test]
    fn a_failed_transaction_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join(FILE)).unwrap();
        let failed: Result<()> = db.write(Durability::PowerCut, |tx| {
            tx.execute("INSERT INTO ledger_state VALUES('a', 'b')", [])
                .map_err(sqlite_error)?;
            Err(Error::internal("stop"))
        });
        assert!(failed.is_err());
        let rows: i64 = db
            .read(|c| {
                c.query_row("SELECT count(*) FROM ledger_state", [], |r| r.get(0))
                    .map_err(sqlite_error)
            })
            .unwrap();
        assert_eq!(rows, 0);
    }
}
