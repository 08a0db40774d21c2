//! The places by which a lake's records name its files.
//!
//! Rows (`_source_uri`) and Iceberg metadata name files by absolute URIs, and a folder may be moved, copied
//! or mounted elsewhere. So the state file remembers the place that is written into records, the *recorded*
//! one, and every place that was before. A path below any of them is read below the folder where the lake
//! is now, and never elsewhere.
//!
//! A lake that was moved goes on to record the place it has recorded so far: its metadata stay of one
//! piece, and a folder that is mounted here and there (in a container and beside it) stays readable for
//! others where it was made. `tarn relocate` rewrites the metadata and records the place where the lake is.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{Connection, Transaction, params};
use tarn_core::Result;

use crate::db::{Db, Durability, WITH_ROOTS};
use crate::failure::sqlite_error;
use crate::key;
use crate::known::now_ns;

const SCHEME: &str = "file://";

/// Where the lake is, and the places that its records name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Roots {
    here: String,
    recorded: String,
    /// Every place, these two among them; the longer before the shorter.
    all: Vec<String>,
}

impl Roots {
    fn new(here: &str, recorded: String, others: impl IntoIterator<Item = String>) -> Roots {
        let mut all: Vec<String> = others.into_iter().collect();
        all.extend([here.to_owned(), recorded.clone()]);
        all.sort_by(|a, b| (b.len(), b).cmp(&(a.len(), a)));
        all.dedup();
        Roots {
            here: here.to_owned(),
            recorded,
            all,
        }
    }

    /// The place that records name, where it is another than the present one.
    pub(crate) fn recorded_elsewhere(&self) -> Option<&str> {
        (self.recorded != self.here).then_some(self.recorded.as_str())
    }

    /// The same places with the present one recorded.
    pub(crate) fn recorded_here(&self) -> Arc<Roots> {
        Arc::new(Roots::new(&self.here, self.here.clone(), self.all.clone()))
    }

    /// The URI that records name a key by.
    pub(crate) fn uri(&self, key: &str) -> String {
        join(&self.recorded, key)
    }

    /// The URI where the file is.
    pub(crate) fn location(&self, key: &str) -> String {
        join(&self.here, key)
    }

    /// Every URI that records may name the key by; that of new records first.
    pub(crate) fn uris(&self, key: &str) -> Vec<String> {
        let others = self.all.iter().filter(|root| **root != self.recorded);
        let roots = || std::iter::once(&self.recorded).chain(others.clone());
        let before = roots().filter(|root| is_torn(root));
        roots()
            .map(|root| join(root, key))
            .chain(before.map(|root| format!("{SCHEME}{root}/{key}")))
            .collect()
    }

    /// The key that a URI names; None for one that leads out of the lake.
    pub(crate) fn key_of(&self, uri: &str) -> Option<String> {
        let path = uri.strip_prefix(SCHEME);
        // The longest first: a lake that was below its present place has its own files in mind.
        let below = |root: &String| {
            let path = path.or_else(|| is_torn(root).then_some(uri))?;
            path.strip_prefix(root.as_str())?.strip_prefix('/')
        };
        let key = self.all.iter().find_map(below)?;
        key::check(key, self.here.len()).ok()?;
        Some(key.to_owned())
    }

    /// Reads the places from the state file, and writes the present one if it has none.
    pub(crate) fn open(db: &Db, here: &str) -> Result<Arc<Roots>> {
        if db.is_read_only() {
            return db.read(|connection| found(connection, db.version(), here));
        }
        let known = db.read(|connection| Ok((stored(connection)?, pointers(connection)?)))?;
        if let (Some((recorded, others)), pointers) = known
            && (recorded == here || !pointers.is_empty())
        {
            return Ok(Arc::new(Roots::new(here, recorded, others)));
        }
        db.write(Durability::PowerCut, |transaction| {
            let roots = found(transaction, WITH_ROOTS, here)?;
            for root in &roots.all {
                save(transaction, root, *root == roots.recorded)?;
            }
            Ok(roots)
        })
    }

    /// Makes the present place the one that records name from now on.
    pub(crate) fn record_here(db: &Db, here: &str) -> Result<Arc<Roots>> {
        db.write(Durability::PowerCut, |transaction| {
            let roots = found(transaction, WITH_ROOTS, here)?.recorded_here();
            for root in &roots.all {
                save(transaction, root, root == here)?;
            }
            Ok(roots)
        })
    }
}

/// Whether readers of Iceberg tables lose a part of a path when they take a URI of it apart: pyiceberg, for
/// one, does not take what follows `#` or `?` as part of the path, and drops tabs and line breaks. They take
/// a path without a scheme as it is. Up to version 0.1.0 such places were recorded as URIs too.
fn is_torn(root: &str) -> bool {
    root.contains(['#', '?', '\t', '\n', '\r'])
}

fn join(root: &str, key: &str) -> String {
    if is_torn(root) {
        format!("{root}/{key}")
    } else {
        format!("{SCHEME}{root}/{key}")
    }
}

fn save(transaction: &Transaction<'_>, root: &str, is_current: bool) -> Result<()> {
    transaction
        .execute(
            "INSERT INTO lake_root(path, is_current, since_us) VALUES(?1, ?2, ?3) \
             ON CONFLICT(path) DO UPDATE SET is_current = excluded.is_current",
            params![root, is_current, now_ns() / 1_000],
        )
        .map_err(sqlite_error)?;
    Ok(())
}

/// The places in the state file.
fn found(connection: &Connection, version: i64, here: &str) -> Result<Arc<Roots>> {
    let stored = if version >= WITH_ROOTS {
        stored(connection)?
    } else {
        None
    };
    let pointers = pointers(connection)?;
    let roots = match stored {
        Some((recorded, others)) if !pointers.is_empty() => Roots::new(here, recorded, others),
        // No table names a file yet.
        Some((recorded, others)) => {
            Roots::new(here, here.to_owned(), others.into_iter().chain([recorded]))
        }
        None => {
            let named = of_pointers(&pointers);
            let recorded = if named.contains_key(here) {
                Some(here)
            } else {
                // The place of the most tables.
                let most = named.iter().max_by_key(|(_, tables)| **tables);
                most.map(|(root, _)| *root)
            };
            let recorded = recorded.unwrap_or(here).to_owned();
            Roots::new(here, recorded, named.into_keys().map(str::to_owned))
        }
    };
    Ok(Arc::new(roots))
}

/// The recorded place and the others; None before any was recorded.
fn stored(connection: &Connection) -> Result<Option<(String, Vec<String>)>> {
    let rows: Vec<(String, bool)> = rows(
        connection,
        "SELECT path, is_current FROM lake_root ORDER BY path",
    )?;
    let (current, others): (Vec<_>, Vec<_>) =
        rows.into_iter().partition(|(_, is_current)| *is_current);
    let others = others.into_iter().map(|(root, _)| root).collect();
    Ok(current.into_iter().next().map(|(root, _)| (root, others)))
}

/// Tables and their metadata files.
fn pointers(connection: &Connection) -> Result<Vec<(String, String)>> {
    rows(
        connection,
        "SELECT name, metadata_location FROM catalog_table ORDER BY name",
    )
}

fn rows<A, B>(connection: &Connection, sql: &str) -> Result<Vec<(A, B)>>
where
    A: rusqlite::types::FromSql,
    B: rusqlite::types::FromSql,
{
    let mut statement = connection.prepare(sql).map_err(sqlite_error)?;
    let rows = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .map_err(sqlite_error)?;
    rows.collect::<rusqlite::Result<_>>().map_err(sqlite_error)
}

/// Where lakes were that did not record it: the pointer of `zone.table` is
/// `<root>/zone/table/metadata/<file>`, with a scheme or without.
fn of_pointers(pointers: &[(String, String)]) -> BTreeMap<&str, usize> {
    let mut roots = BTreeMap::new();
    for (name, location) in pointers {
        let path = location.strip_prefix(SCHEME).unwrap_or(location);
        if !path.starts_with('/') {
            continue;
        }
        let below = format!("/{}/metadata/", name.replacen('.', "/", 1));
        if let Some(root) = path.rfind(&below).and_then(|end| path.get(..end)) {
            *roots.entry(root).or_default() += 1;
        }
    }
    roots
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_path_below_any_place_is_read_below_the_present_one_and_none_outside() {
        let roots = Roots::new(
            "/home/me/lake",
            "/srv/lake".to_owned(),
            ["/srv".to_owned(), "/mnt/a b#c".to_owned()],
        );
        assert_eq!(roots.uri("raw/x"), "file:///srv/lake/raw/x");
        assert_eq!(roots.location("raw/x"), "file:///home/me/lake/raw/x");
        assert_eq!(roots.uris("raw/x")[0], roots.uri("raw/x"));
        // What a reader would lose a part of is named as a path, and was as a URI.
        assert_eq!(
            roots.uris("raw/x")[1..],
            [
                "file:///home/me/lake/raw/x",
                "/mnt/a b#c/raw/x",
                "file:///srv/raw/x",
                "file:///mnt/a b#c/raw/x",
            ]
        );
        for uri in roots.uris("raw/a b+c%20#?.log") {
            assert_eq!(roots.key_of(&uri).as_deref(), Some("raw/a b+c%20#?.log"));
        }
        // The longer place wins: below /srv it would be the key lake/raw/x.
        assert_eq!(
            roots.key_of("file:///srv/lake/raw/x").as_deref(),
            Some("raw/x")
        );
        let roots = Roots::new("/home/me/lake", "/srv/lake".to_owned(), []);
        for outside in [
            "file:///srv/lake/../../etc/passwd",
            "file:///srv/lake/raw/../../x",
            "file:///srv/lakes/raw/x",
            "file:///srv/lake",
            "file:///srv/lake/",
            "file:///srv/lake//raw",
            "file:///srv/lake/.tarn/lake.sqlite",
            "file:///home/me/raw/x",
            "/srv/lake/raw/x",
            "s3://srv/lake/raw/x",
        ] {
            assert_eq!(roots.key_of(outside), None, "{outside}");
        }
    }

    #[test]
    fn pointers_tell_where_a_lake_was_that_did_not_record_it() {
        let pointer = |table: &str, location: &str| (table.to_owned(), location.to_owned());
        let pointers = [
            pointer(
                "curated.orders",
                "file:///srv/curated/orders/metadata/curated/orders/metadata/1.metadata.json",
            ),
            pointer("curated.a", "file:///srv/lake/curated/a/metadata/1.json"),
            pointer("quality.b", "file:///srv/lake/quality/b/metadata/1.json"),
            pointer("quality.c", "file:///quality/c/metadata/1.json"),
            pointer("quality.d", "s3://bucket/quality/d/metadata/1.json"),
            pointer("quality.e", "file:///srv/quality/f/metadata/1.json"),
            pointer("quality.g", "/srv/a#b/quality/g/metadata/1.json"),
        ];
        let found: Vec<(&str, usize)> = of_pointers(&pointers).into_iter().collect();
        assert_eq!(
            found,
            [
                ("", 1),
                ("/srv/a#b", 1),
                ("/srv/curated/orders/metadata", 1),
                ("/srv/lake", 2)
            ]
        );
    }
}
