//! The catalog as rows of the state file.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};
use tarn_core::ports::{Catalog, TablePointer};
use tarn_core::schema::{TableName, TableSpec};
use tarn_core::{Error, ErrorKind, Result};

use crate::db::Durability;
use crate::failure::{damaged, sqlite_error};
use crate::files::blocking;
use crate::store::Store;

/// The port [`Catalog`] on SQLite. A table's version counts its swaps.
#[derive(Debug)]
pub(crate) struct SqliteCatalog {
    store: Arc<Store>,
}

impl SqliteCatalog {
    pub(crate) fn new(store: Arc<Store>) -> Self {
        SqliteCatalog { store }
    }
}

fn pointer(connection: &Connection, name: &str) -> Result<Option<(String, i64)>> {
    connection
        .query_row(
            "SELECT metadata_location, version FROM catalog_table WHERE name = ?1",
            [name],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()
        .map_err(sqlite_error)
}

#[async_trait]
impl Catalog for SqliteCatalog {
    async fn load(&self, table: &TableName) -> Result<Option<TablePointer>> {
        let (store, name) = (self.store.clone(), table.to_string());
        blocking(move || {
            let found = store.db.read(|connection| pointer(connection, &name))?;
            Ok(found.map(|(metadata_location, version)| TablePointer {
                metadata_location,
                version: version.to_string(),
            }))
        })
        .await
    }

    async fn swap(
        &self,
        spec: &TableSpec,
        expected: Option<&str>,
        new_location: &str,
        parameters: &BTreeMap<String, String>,
    ) -> Result<TablePointer> {
        let unwritable = |error| {
            Error::internal("a table's description cannot be written as JSON").with_source(error)
        };
        let name = spec.name.to_string();
        let spec = serde_json::to_string(spec).map_err(unwritable)?;
        let parameters = serde_json::to_string(parameters).map_err(unwritable)?;
        let (store, expected, location) = (
            self.store.clone(),
            expected.map(str::to_owned),
            new_location.to_owned(),
        );
        blocking(move || {
            store.db.write(Durability::PowerCut, |transaction| {
                let current = pointer(transaction, &name)?.map(|(_, version)| version);
                if current.map(|version| version.to_string()) != expected {
                    let shown = |version: Option<String>| version.map_or("no table".to_owned(), |v| format!("version {v}"));
                    return Err(Error::new(
                        ErrorKind::Conflict,
                        format!(
                            "table {name} was changed by another writer: expected {}, found {}",
                            shown(expected),
                            shown(current.map(|version| version.to_string()))
                        ),
                    ));
                }
                let version = current.unwrap_or_default() + 1;
                transaction
                    .execute(
                        "REPLACE INTO catalog_table(name, metadata_location, version, spec, parameters) \
                         VALUES(?1, ?2, ?3, ?4, ?5)",
                        params![name, location, version, spec, parameters],
                    )
                    .map_err(sqlite_error)?;
                Ok(TablePointer { metadata_location: location, version: version.to_string() })
            })
        })
        .await
    }

    async fn list(&self) -> Result<Vec<TableName>> {
        let store = self.store.clone();
        blocking(move || {
            let names: Vec<String> = store.db.read(|connection| {
                let mut statement = connection
                    .prepare("SELECT name FROM catalog_table ORDER BY name")
                    .map_err(sqlite_error)?;
                let rows = statement
                    .query_map([], |row| row.get(0))
                    .map_err(sqlite_error)?;
                rows.collect::<rusqlite::Result<_>>().map_err(sqlite_error)
            })?;
            names
                .iter()
                .map(|name| {
                    TableName::parse(name).ok_or_else(|| {
                        Error::new(
                            ErrorKind::Storage,
                            format!("the catalog has a table of an unknown zone: {name}"),
                        )
                    })
                })
                .collect()
        })
        .await
    }

    async fn describe(&self, table: &TableName) -> Result<Option<TableSpec>> {
        let (store, name) = (self.store.clone(), table.to_string());
        blocking(move || {
            let found: Option<String> = store.db.read(|connection| {
                connection
                    .query_row(
                        "SELECT spec FROM catalog_table WHERE name = ?1",
                        [&name],
                        |row| row.get(0),
                    )
                    .optional()
                    .map_err(sqlite_error)
            })?;
            found
                .map(|spec| {
                    serde_json::from_str(&spec)
                        .map_err(|error| damaged(&format!("the table {name}"), error))
                })
                .transpose()
        })
        .await
    }
}
