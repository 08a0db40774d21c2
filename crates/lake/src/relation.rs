//! Tables as queries and marts read them.

use tarn_contract::nearest;
use tarn_contract::sql::TableReference;
use tarn_core::schema::{TableName, Zone};
use tarn_core::{Error, ErrorKind, Result};
use tarn_engine::scan::Relation;
use tarn_query::{Part, Source};
use tarn_table::{Table, VersionRef};

use crate::{Lake, LocalFiles};

/// A relation and the local copies of its files, which last as long as this value.
pub struct Opened {
    /// The table at its version, with the columns that were asked for.
    pub relation: Relation,
    _files: LocalFiles,
}

/// A table for a list of tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableInfo {
    /// Its full name.
    pub name: TableName,
    /// What it holds.
    pub doc: String,
    /// Live rows.
    pub rows: u64,
    /// Live files.
    pub files: u64,
    /// Versions so far.
    pub versions: u64,
    /// URI of the current metadata file: what other Iceberg readers open.
    pub metadata_location: String,
}

impl Lake {
    /// The table of that name.
    ///
    /// # Errors
    /// `NotFound`, naming the tables there are.
    pub async fn table(&self, name: &TableName) -> Result<Table> {
        match self.tables.load(name).await? {
            Some(table) => Ok(table),
            None => Err(self.unknown_table(&name.to_string()).await?),
        }
    }

    /// Finds a table by `name` or `zone.name`; a bare name is looked for in every zone.
    ///
    /// # Errors
    /// `NotFound`, naming the tables there are.
    pub async fn find_table(&self, text: &str) -> Result<TableName> {
        let tables = self.catalog.list().await?;
        resolve(&tables, &reference(text))
    }

    /// Opens these columns of a table at a version. A column that the table does not have is left out.
    pub async fn open(
        &self,
        name: &TableName,
        version: &VersionRef,
        columns: &[&str],
    ) -> Result<Opened> {
        let table = self.table(name).await?;
        let mut fields = table.fields_at(version)?;
        fields.retain(|field| columns.contains(&field.field.name.as_str()));
        let files = table.files(version, None).await?;
        let files = self.fetch_columns(files, &fields).await?;
        Ok(Opened {
            relation: Relation {
                name: name.clone(),
                fields,
                files: files.iter().map(|(_, path)| path.to_owned()).collect(),
            },
            _files: files,
        })
    }

    /// A table at a version, as a query reads it.
    ///
    /// # Errors
    /// `NotFound` where there is no such table or version.
    pub async fn source(&self, name: &TableName, version: &VersionRef) -> Result<Source> {
        let table = self.table(name).await?;
        Ok(Source {
            name: name.clone(),
            fields: table.fields_at(version)?,
            part: Part::Version(Box::new(table), *version),
        })
    }

    /// Every table with its size.
    pub async fn table_infos(&self) -> Result<Vec<TableInfo>> {
        let mut infos = Vec::new();
        for name in self.catalog.list().await? {
            let table = self.table(&name).await?;
            let versions = table.versions();
            let last = versions.last();
            infos.push(TableInfo {
                doc: self
                    .catalog
                    .describe(&name)
                    .await?
                    .map(|spec| spec.doc)
                    .unwrap_or_default(),
                rows: last.map_or(0, |version| version.rows),
                files: last.map_or(0, |version| version.files),
                versions: versions.len() as u64,
                metadata_location: table.metadata_location().to_owned(),
                name,
            });
        }
        Ok(infos)
    }

    async fn unknown_table(&self, name: &str) -> Result<Error> {
        Ok(unknown(&self.catalog.list().await?, name))
    }
}

fn reference(text: &str) -> TableReference {
    match TableName::parse(text) {
        Some(name) => TableReference {
            zone: Some(name.zone),
            name: name.name,
        },
        None => TableReference {
            zone: None,
            name: text.to_owned(),
        },
    }
}

/// The table that a query means: a bare name is looked for in the zones curated, analytics, quality.
pub fn resolve(tables: &[TableName], reference: &TableReference) -> Result<TableName> {
    Zone::ALL
        .into_iter()
        .filter(|zone| reference.zone.is_none_or(|wanted| wanted == *zone))
        .map(|zone| TableName::new(zone, &reference.name))
        .find(|name| tables.contains(name))
        .ok_or_else(|| {
            let name = match reference.zone {
                Some(zone) => format!("{}.{}", zone.as_str(), reference.name),
                None => reference.name.clone(),
            };
            unknown(tables, &name)
        })
}

fn unknown(tables: &[TableName], name: &str) -> Error {
    let known: Vec<String> = tables.iter().map(ToString::to_string).collect();
    let bare: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
    let names = known.iter().map(String::as_str).chain(bare);
    let text = match nearest(name, names) {
        _ if known.is_empty() => {
            format!("there is no table {name}: the lake is empty; ingest something first")
        }
        Some(near) => format!(
            "there is no table {name}; did you mean {near}? There are {}",
            known.join(", ")
        ),
        None => format!("there is no table {name}; there are {}", known.join(", ")),
    };
    Error::new(ErrorKind::NotFound, text)
}
