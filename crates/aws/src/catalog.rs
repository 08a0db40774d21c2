//! The catalog on Glue: one table per table of the lake, in the database of its zone.
//!
//! A table is described as other engines expect an Iceberg table: `table_type=ICEBERG`,
//! `metadata_location`, `previous_metadata_location`, and columns with Hive types. Besides that the
//! parameter `tarn.spec` holds the table's spec as JSON. Parameters that others set are kept.
//!
//! The version of a pointer is Glue's `VersionId`, which every update names and Glue compares. Former
//! versions of the Glue entry are not archived: the history of a table is in its Iceberg metadata.
//!
//! **Lost replies.** The SDK sends an update again whose reply was lost, and Glue refuses the second
//! one. After a refusal the entry is read: if it points at the new location, whose name no other writer
//! has, the swap succeeded. If it points elsewhere, the answer is `Conflict`, and the caller finds
//! in the table's own history whether the swap succeeded before others moved on.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_glue::Client;
use aws_sdk_glue::types::{Column, StorageDescriptor, Table, TableInput};
use tarn_core::ports::{Catalog, TablePointer};
use tarn_core::schema::{ColumnType, TableName, TableSpec, Zone};
use tarn_core::{Error, ErrorKind, Result};

use crate::failure::{code, failed};
use crate::settings::Settings;

const METADATA_LOCATION: &str = "metadata_location";
const PREVIOUS_METADATA_LOCATION: &str = "previous_metadata_location";
const TABLE_TYPE: &str = "table_type";
const ICEBERG: &str = "ICEBERG";

/// In front of the parameters that are the lake's own.
const OURS: &str = "tarn.";

/// The parameter with the table's spec.
const SPEC: &str = "tarn.spec";

/// The version of a pointer whose entry was moved on before it was read. No swap accepts it.
const UNREAD: &str = "unread";

/// What Glue takes in one parameter, in bytes.
const MOST_PARAMETER_BYTES: usize = 512_000;

/// What Glue takes in a column's comment and in a table's description, in bytes.
const MOST_COMMENT_BYTES: usize = 255;
const MOST_DESCRIPTION_BYTES: usize = 2_048;

/// The port [`Catalog`] on Glue.
#[derive(Debug, Clone)]
pub(crate) struct GlueCatalog {
    client: Client,
    settings: Arc<Settings>,
}

impl GlueCatalog {
    pub(crate) fn new(client: Client, settings: Arc<Settings>) -> Self {
        GlueCatalog { client, settings }
    }

    /// The Glue entry of a table; None where it, or its database, does not exist.
    async fn entry(&self, name: &TableName) -> Result<Option<Table>> {
        let database = self.settings.database(name.zone)?;
        let request = self
            .client
            .get_table()
            .database_name(database)
            .name(&name.name);
        match request.send().await {
            Ok(found) => Ok(found.table),
            Err(error) if code(&error) == Some("EntityNotFoundException") => Ok(None),
            Err(error) => Err(failed("glue:GetTable", &resource(database, name), error)),
        }
    }

    /// The pointer after a swap to `location` whose success is known.
    async fn moved(&self, name: &TableName, location: &str) -> TablePointer {
        let version = match self.entry(name).await {
            Ok(Some(entry)) if parameter(&entry, METADATA_LOCATION) == Some(location) => {
                entry.version_id
            }
            Ok(_) => None,
            // The swap succeeded, so this must not be an error.
            Err(error) => {
                tracing::warn!(table = %name, %error, "the version of a swapped table is not known");
                None
            }
        };
        TablePointer {
            metadata_location: location.to_owned(),
            version: version.unwrap_or_else(|| UNREAD.to_owned()),
        }
    }

    async fn create(
        &self,
        spec: &TableSpec,
        input: TableInput,
        location: &str,
    ) -> Result<TablePointer> {
        let name = &spec.name;
        let database = self.settings.database(name.zone)?;
        let request = self
            .client
            .create_table()
            .database_name(database)
            .table_input(input);
        match request.send().await {
            Ok(_) => Ok(self.moved(name, location).await),
            Err(error) if is_conflict(code(&error)) => self.refused(name, location, None).await,
            Err(error) => Err(failed("glue:CreateTable", &resource(database, name), error)),
        }
    }

    /// What a refusal means: a lost race, or a swap of our own whose reply was lost.
    async fn refused(
        &self,
        name: &TableName,
        location: &str,
        expected: Option<&str>,
    ) -> Result<TablePointer> {
        let entry = self.entry(name).await?;
        match &entry {
            Some(entry) if parameter(entry, METADATA_LOCATION) == Some(location) => {
                pointer(name, entry)
            }
            _ => Err(conflict(name, expected, entry.as_ref())),
        }
    }
}

fn resource(database: &str, name: &TableName) -> String {
    format!("the Glue table {database}.{}", name.name)
}

fn parameter<'a>(entry: &'a Table, name: &str) -> Option<&'a str> {
    Some(entry.parameters()?.get(name)?.as_str())
}

fn is_iceberg(entry: &Table) -> bool {
    parameter(entry, TABLE_TYPE).is_some_and(|kind| kind.eq_ignore_ascii_case(ICEBERG))
        && parameter(entry, METADATA_LOCATION).is_some()
}

fn pointer(name: &TableName, entry: &Table) -> Result<TablePointer> {
    match (parameter(entry, METADATA_LOCATION), entry.version_id()) {
        (Some(location), Some(version)) if is_iceberg(entry) => Ok(TablePointer {
            metadata_location: location.to_owned(),
            version: version.to_owned(),
        }),
        (Some(_), None) => Err(Error::new(
            ErrorKind::Storage,
            format!("Glue does not say which version of {name} it has; swaps would not be safe"),
        )),
        _ => Err(Error::new(
            ErrorKind::Unsupported,
            format!(
                "the table {name} in Glue is not an Iceberg table; rename or delete it, and \
                 it is created again"
            ),
        )),
    }
}

fn is_conflict(code: Option<&str>) -> bool {
    matches!(
        code,
        Some(
            "AlreadyExistsException"
                | "ConcurrentModificationException"
                | "VersionMismatchException"
        )
    )
}

fn conflict(name: &TableName, expected: Option<&str>, found: Option<&Table>) -> Error {
    let shown = |version: Option<&str>| {
        version.map_or("no table".to_owned(), |version| {
            format!("version {version}")
        })
    };
    let found = found.map(|entry| entry.version_id().unwrap_or("unknown"));
    Error::new(
        ErrorKind::Conflict,
        format!(
            "table {name} was changed by another writer: expected {}, found {}",
            shown(expected),
            shown(found)
        ),
    )
}

/// The type of a Glue column. Hive has one type for points in time, and Athena takes the real one from
/// the Iceberg metadata.
fn glue_type(ty: &ColumnType) -> String {
    match ty {
        ColumnType::Timestamp => "timestamp".to_owned(),
        other => other.to_string(),
    }
}

/// A text as Glue takes it: one line, and not too long.
fn short(text: &str, most: usize) -> String {
    let mut line = String::new();
    for char in text.chars() {
        let char = if char.is_control() { ' ' } else { char };
        if line.len() + char.len_utf8() > most {
            break;
        }
        line.push(char);
    }
    line
}

/// What Glue shows about a table.
fn table_input(
    spec: &TableSpec,
    current: Option<&Table>,
    location: &str,
    parameters: &BTreeMap<String, String>,
) -> Result<TableInput> {
    let invalid = |error| Error::internal("a Glue table is incomplete").with_source(error);
    let json = serde_json::to_string(spec).map_err(|error| {
        Error::internal("a table's description cannot be written as JSON").with_source(error)
    })?;
    if json.len() > MOST_PARAMETER_BYTES {
        return Err(Error::new(
            ErrorKind::BadContract,
            format!(
                "the description of {} has {} bytes as JSON, and Glue takes {MOST_PARAMETER_BYTES}; \
                 shorten the descriptions of its columns",
                spec.name,
                json.len()
            ),
        ));
    }
    let columns = spec
        .fields
        .iter()
        .map(|field| {
            let comment = short(&field.doc, MOST_COMMENT_BYTES);
            Column::builder()
                .name(&field.name)
                .r#type(glue_type(&field.ty))
                .set_comment((!comment.is_empty()).then_some(comment))
                .build()
                .map_err(invalid)
        })
        .collect::<Result<Vec<_>>>()?;
    let root = location.rsplit_once("/metadata/").map(|(root, _)| root);
    let storage = StorageDescriptor::builder()
        .set_columns(Some(columns))
        .set_location(root.map(str::to_owned))
        .build();
    let mut all: HashMap<String, String> = current
        .and_then(Table::parameters)
        .into_iter()
        .flatten()
        .filter(|(name, _)| !name.starts_with(OURS))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    if let Some(previous) = all.remove(METADATA_LOCATION) {
        all.insert(PREVIOUS_METADATA_LOCATION.to_owned(), previous);
    }
    let ours = [
        (TABLE_TYPE, ICEBERG),
        (METADATA_LOCATION, location),
        // Hive would take a table without it for one whose files it may delete.
        ("EXTERNAL", "TRUE"),
        (SPEC, json.as_str()),
    ];
    all.extend(ours.map(|(name, value)| (name.to_owned(), value.to_owned())));
    all.extend(
        parameters
            .iter()
            .map(|(name, value)| (name.clone(), value.clone())),
    );
    TableInput::builder()
        .name(&spec.name.name)
        .description(short(&spec.doc, MOST_DESCRIPTION_BYTES))
        .set_owner(current.and_then(|entry| entry.owner().map(str::to_owned)))
        .table_type("EXTERNAL_TABLE")
        .storage_descriptor(storage)
        .set_parameters(Some(all))
        .build()
        .map_err(invalid)
}

#[async_trait]
impl Catalog for GlueCatalog {
    async fn load(&self, table: &TableName) -> Result<Option<TablePointer>> {
        match self.entry(table).await? {
            Some(entry) => pointer(table, &entry).map(Some),
            None => Ok(None),
        }
    }

    async fn swap(
        &self,
        spec: &TableSpec,
        expected: Option<&str>,
        new_location: &str,
        parameters: &BTreeMap<String, String>,
    ) -> Result<TablePointer> {
        let name = &spec.name;
        let Some(expected) = expected else {
            let input = table_input(spec, None, new_location, parameters)?;
            return self.create(spec, input, new_location).await;
        };
        // Looked at first, because an update replaces what others set too.
        let current = self.entry(name).await?;
        let current = match current {
            Some(entry) if entry.version_id() == Some(expected) => entry,
            other => return Err(conflict(name, Some(expected), other.as_ref())),
        };
        let database = self.settings.database(name.zone)?;
        let request = self
            .client
            .update_table()
            .database_name(database)
            .version_id(expected)
            .skip_archive(true)
            .table_input(table_input(spec, Some(&current), new_location, parameters)?);
        match request.send().await {
            Ok(_) => Ok(self.moved(name, new_location).await),
            Err(error)
                if is_conflict(code(&error)) || code(&error) == Some("EntityNotFoundException") =>
            {
                self.refused(name, new_location, Some(expected)).await
            }
            Err(error) => Err(failed("glue:UpdateTable", &resource(database, name), error)),
        }
    }

    /// The tables of the zones whose databases are set. Tables that are not Iceberg tables are left out.
    async fn list(&self) -> Result<Vec<TableName>> {
        let mut zones: Vec<Zone> = self.settings.zones().collect();
        zones.sort_by_key(|zone| zone.as_str());
        let mut names = Vec::new();
        for zone in zones {
            let database = self.settings.database(zone)?;
            let mut pages = self
                .client
                .get_tables()
                .database_name(database)
                .into_paginator()
                .send();
            let begin = names.len();
            while let Some(page) = pages.next().await {
                let page = page.map_err(|error| {
                    failed(
                        "glue:GetTables",
                        &format!("the Glue database {database}"),
                        error,
                    )
                })?;
                let tables = page.table_list().iter().filter(|entry| is_iceberg(entry));
                names.extend(tables.map(|entry| TableName::new(zone, entry.name())));
            }
            if let Some(of_zone) = names.get_mut(begin..) {
                of_zone.sort();
            }
        }
        Ok(names)
    }

    async fn describe(&self, table: &TableName) -> Result<Option<TableSpec>> {
        let Some(entry) = self.entry(table).await? else {
            return Ok(None);
        };
        let Some(json) = parameter(&entry, SPEC) else {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("Tarn did not write {table}: its Glue entry has no parameter {SPEC}"),
            ));
        };
        serde_json::from_str(json).map(Some).map_err(|error| {
            Error::new(
                ErrorKind::Storage,
                format!("the Glue parameter {SPEC} of {table} is damaged"),
            )
            .with_source(error)
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tarn_core::schema::Field;

    use super::*;

    fn spec() -> TableSpec {
        TableSpec {
            name: TableName::new(Zone::Curated, "orders"),
            doc: "Orders\nof the shop".to_owned(),
            fields: vec![
                Field::new("id", ColumnType::Long, true).doc("Identifier"),
                Field::new("at", ColumnType::Timestamp, false),
                Field::new(
                    "total",
                    ColumnType::Decimal {
                        precision: 12,
                        scale: 2,
                    },
                    false,
                ),
                Field::new("tags", ColumnType::StringList, false).doc("ü".repeat(200)),
            ],
            partitioning: None,
            identifier: Vec::new(),
        }
    }

    #[test]
    fn glue_is_told_columns_comments_and_what_makes_an_iceberg_table() {
        let location = "s3://b/curated/orders/metadata/00001-x.metadata.json";
        let own = BTreeMap::from([("tarn.rows".to_owned(), "3".to_owned())]);
        let input = table_input(&spec(), None, location, &own).unwrap();
        let storage = input.storage_descriptor().unwrap();
        assert_eq!(storage.location(), Some("s3://b/curated/orders"));
        assert_eq!(input.description(), Some("Orders of the shop"));
        let columns: Vec<_> = storage
            .columns()
            .iter()
            .map(|column| (column.name(), column.r#type().unwrap()))
            .collect();
        assert_eq!(
            columns,
            [
                ("id", "bigint"),
                ("at", "timestamp"),
                ("total", "decimal(12,2)"),
                ("tags", "array<string>")
            ]
        );
        let comments: Vec<_> = storage.columns().iter().map(|c| c.comment()).collect();
        assert_eq!(comments[0], Some("Identifier"));
        assert_eq!(comments[1], None);
        assert_eq!(comments[3].map(str::len), Some(254));
        let parameters = input.parameters().unwrap();
        assert_eq!(parameters[TABLE_TYPE], "ICEBERG");
        assert_eq!(parameters[METADATA_LOCATION], location);
        assert_eq!(parameters["tarn.rows"], "3");
        assert!(!parameters.contains_key(PREVIOUS_METADATA_LOCATION));
        let told: TableSpec = serde_json::from_str(&parameters[SPEC]).unwrap();
        assert_eq!(told, spec());
    }

    #[test]
    fn an_update_keeps_what_others_set_and_drops_what_the_lake_set_before() {
        let current = Table::builder()
            .name("orders")
            .owner("shop")
            .parameters(METADATA_LOCATION, "before")
            .parameters("lakehouse.team", "growth")
            .parameters("tarn.rows", "3")
            .build()
            .unwrap();
        let input = table_input(&spec(), Some(&current), "after", &BTreeMap::new()).unwrap();
        let parameters = input.parameters().unwrap();
        assert_eq!(parameters[METADATA_LOCATION], "after");
        assert_eq!(parameters[PREVIOUS_METADATA_LOCATION], "before");
        assert_eq!(parameters["lakehouse.team"], "growth");
        assert!(!parameters.contains_key("tarn.rows"));
        assert_eq!(input.owner(), Some("shop"));
    }

    #[test]
    fn a_description_that_glue_does_not_take_is_refused() {
        let mut spec = spec();
        spec.fields[0].doc = "x".repeat(MOST_PARAMETER_BYTES);
        let error = table_input(&spec, None, "x", &BTreeMap::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadContract);
    }
}
