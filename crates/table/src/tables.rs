//! The lake's tables: load, create, evolve.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use iceberg::spec::{FormatVersion, SortOrder, TableMetadata, TableMetadataBuilder};
use tarn_core::digest::Digest;
use tarn_core::layout;
use tarn_core::ports::{Catalog, Objects, TablePointer};
use tarn_core::schema::{TableField, TableName, TableSpec};
use tarn_core::{Backoff, Error, ErrorKind, Result, ResultExt};
use uuid::Uuid;

use crate::schema::{self, COMMENT};
use crate::store::{Store, iceberg_error, metadata_bytes};
use crate::table::Table;

/// A commit that loses this many races gives up. With the pauses of [`BACKOFF`] this takes about ten seconds.
pub(crate) const ATTEMPTS: u32 = 20;

/// The pauses between attempts.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_millis(800));

/// Waits before attempt `attempt`, where 0 is the first.
pub(crate) async fn pause(attempt: u32) {
    let random = Uuid::new_v4().as_fields().0;
    tokio::time::sleep(BACKOFF.pause(attempt, random)).await;
}

/// The tables of a lake. Clones share everything.
#[derive(Clone)]
pub struct Tables {
    pub(crate) store: Store,
    pub(crate) catalog: Arc<dyn Catalog>,
}

impl Tables {
    /// Tables whose files are in `objects` and whose pointers are in `catalog`.
    pub fn new(objects: Arc<dyn Objects>, catalog: Arc<dyn Catalog>) -> Self {
        Tables {
            store: Store::new(objects),
            catalog,
        }
    }

    /// The table as it is now; None where there is none.
    ///
    /// # Errors
    /// `Unsupported` where another engine gave it columns or partitions that the lake does not have.
    pub async fn load(&self, name: &TableName) -> Result<Option<Table>> {
        let Some(pointer) = self.catalog.load(name).await? else {
            return Ok(None);
        };
        let metadata = self
            .store
            .metadata(&pointer.metadata_location)
            .await
            .context(|| format!("table {name}"))?;
        Table::new(name.clone(), pointer, metadata, self.store.clone()).map(Some)
    }

    /// Makes sure that there is a table with these columns: creates it, or adds the columns that it
    /// lacks. Descriptions and the order of columns follow the spec too. No version is made, and
    /// nothing is written if nothing differs.
    ///
    /// # Errors
    /// `BadContract`, with every difference, where the data already written does not allow the change.
    pub async fn ensure(&self, spec: &TableSpec) -> Result<Table> {
        let mut failure: Option<(Error, String)> = None;
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                pause(attempt).await;
            }
            let current = self.load(&spec.name).await?;
            if let Some((error, location)) = &failure
                && error.kind() == ErrorKind::Conflict
                && !current
                    .as_ref()
                    .is_some_and(|table| table.descends_from(location))
            {
                self.store.discard(std::slice::from_ref(location)).await;
            }
            let (next, expected, location) = match &current {
                None => (Some(create(spec, self.location(&spec.name))?), None, None),
                Some(table) => (
                    evolve(table, spec)?,
                    Some(table.pointer.version.clone()),
                    Some(table.pointer.metadata_location.clone()),
                ),
            };
            let Some(metadata) = next else {
                return current
                    .ok_or_else(|| Error::internal("a table that is not there needs no change"));
            };
            let bytes = metadata_bytes(&metadata)?;
            let location = self.next_location(&spec.name, location.as_deref(), &bytes);
            self.store.put(&location, bytes).await?;
            let pointer = TablePointer {
                metadata_location: location.clone(),
                version: String::new(),
            };
            let mut table = Table::new(spec.name.clone(), pointer, metadata, self.store.clone())?;
            let shown = parameters(&table);
            match self
                .catalog
                .swap(&table.spec(), expected.as_deref(), &location, &shown)
                .await
            {
                Ok(pointer) => {
                    table.pointer = pointer;
                    return Ok(table);
                }
                // Another writer won, or our own swap succeeded and its reply was lost: the next round finds out.
                Err(error) if error.is_retryable() => {
                    failure = Some((error, location));
                }
                Err(error) => return Err(error),
            }
        }
        Err(given_up(&spec.name, failure.map(|(error, _)| error)))
    }

    /// The columns that [`Tables::ensure`] would give the table, with their field ids; nothing is written.
    ///
    /// # Errors
    /// As of [`Tables::ensure`].
    pub async fn planned_fields(&self, spec: &TableSpec) -> Result<Vec<TableField>> {
        let planned = match self.load(&spec.name).await? {
            None => create(spec, self.location(&spec.name))?,
            Some(table) => match evolve(&table, spec)? {
                None => return Ok(table.fields()),
                Some(metadata) => metadata,
            },
        };
        schema::fields(planned.current_schema())
    }

    fn location(&self, name: &TableName) -> String {
        self.store
            .uri(layout::table_prefix(name).trim_end_matches('/'))
    }

    /// A URI in the table's metadata folder for a file of this content. The stem has a fresh UUID, so equal
    /// contents of two writers are two files, and each writer may delete its own.
    pub(crate) fn metadata_uri(
        &self,
        name: &TableName,
        stem: &str,
        extension: &str,
        content: &[u8],
    ) -> String {
        let file = Digest::of(content).name(stem, extension);
        self.store
            .uri(&format!("{}metadata/{file}", layout::table_prefix(name)))
    }

    /// Points the catalog to `next` at `location` if `table` is still what it names.
    pub(crate) async fn swap(
        &self,
        table: &Table,
        next: &Table,
        location: &str,
    ) -> Result<TablePointer> {
        let expected = Some(table.pointer.version.as_str());
        self.catalog
            .swap(&next.spec(), expected, location, &parameters(next))
            .await
    }

    /// A new name for the metadata file that follows `current`: `NNNNN-<uuid>.b3_<digest>.metadata.json`.
    pub(crate) fn next_location(
        &self,
        name: &TableName,
        current: Option<&str>,
        content: &[u8],
    ) -> String {
        let number = current
            .and_then(|uri| uri.rsplit('/').next())
            .and_then(|file| file.split('-').next())
            .and_then(|number| number.parse::<u64>().ok());
        let next = number.map_or(0, |number| number.saturating_add(1));
        let stem = format!("{next:05}-{}", Uuid::new_v4());
        self.metadata_uri(name, &stem, "metadata.json", content)
    }
}

/// The error of whoever names a table that does not exist.
pub(crate) fn no_such_table(name: &TableName) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no table {name}"))
}

/// The error of a writer that lost every race.
pub(crate) fn given_up(name: &TableName, failure: Option<Error>) -> Error {
    let error = Error::new(
        ErrorKind::Conflict,
        format!("{name} was changed by others each of {ATTEMPTS} times this was tried; try again"),
    );
    match failure {
        Some(failure) => error.with_source(failure),
        None => error,
    }
}

/// What the catalog shows besides columns.
pub(crate) fn parameters(table: &Table) -> BTreeMap<String, String> {
    let mut parameters = BTreeMap::new();
    if let Some(version) = table.versions().last() {
        parameters.insert("tarn.version".to_owned(), version.number.to_string());
        parameters.insert(
            "tarn.snapshot-id".to_owned(),
            version.snapshot_id.to_string(),
        );
        parameters.insert("tarn.rows".to_owned(), version.rows.to_string());
        parameters.insert("tarn.files".to_owned(), version.files.to_string());
    }
    parameters
}

fn create(spec: &TableSpec, location: String) -> Result<TableMetadata> {
    let schema = schema::new_schema(spec)?;
    let partitions = schema::partition_spec(spec, &schema)?;
    let mut properties = HashMap::from([
        ("write.format.default".to_owned(), "parquet".to_owned()),
        (
            "write.parquet.compression-codec".to_owned(),
            "zstd".to_owned(),
        ),
        // Metadata files are kept for time travel by file; the log in each names the last hundred.
        (
            "write.metadata.delete-after-commit.enabled".to_owned(),
            "false".to_owned(),
        ),
        (
            "write.metadata.previous-versions-max".to_owned(),
            "100".to_owned(),
        ),
    ]);
    if !spec.doc.is_empty() {
        properties.insert(COMMENT.to_owned(), spec.doc.clone());
    }
    let built = TableMetadataBuilder::new(
        schema,
        partitions,
        SortOrder::unsorted_order(),
        location,
        FormatVersion::V2,
        properties,
    )
    .and_then(TableMetadataBuilder::build)
    .map_err(iceberg_error(format!(
        "the table {} cannot be defined",
        spec.name
    )))?;
    Ok(built.metadata)
}

/// The metadata after the change that the spec asks for; None where it asks for none.
fn evolve(table: &Table, spec: &TableSpec) -> Result<Option<TableMetadata>> {
    let metadata = table.metadata.as_ref();
    let now = table.spec();
    if now.partitioning != spec.partitioning {
        let text = |by: &Option<tarn_core::schema::Partitioning>| match by {
            Some(by) => format!("by {:?} of {}", by.unit, by.column).to_lowercase(),
            None => "not at all".to_owned(),
        };
        let difference = format!(
            "it is partitioned {} in the table and {} in the contract",
            text(&now.partitioning),
            text(&spec.partitioning)
        );
        return Err(schema::misfit(&spec.name, &[difference]));
    }
    let evolved = schema::evolve(metadata.current_schema(), metadata.last_column_id(), spec)?;
    let same_columns = evolved.as_struct() == metadata.current_schema().as_struct()
        && sorted(evolved.identifier_field_ids())
            == sorted(metadata.current_schema().identifier_field_ids());
    if same_columns && now.doc == spec.doc {
        return Ok(None);
    }
    let failed = || iceberg_error(format!("the table {} cannot be changed", spec.name));
    let mut builder = metadata
        .clone()
        .into_builder(Some(table.pointer.metadata_location.clone()));
    if !same_columns {
        builder = builder.add_current_schema(evolved).map_err(failed())?;
    }
    if now.doc != spec.doc {
        builder = if spec.doc.is_empty() {
            builder
                .remove_properties(&[COMMENT.to_owned()])
                .map_err(failed())?
        } else {
            builder
                .set_properties(HashMap::from([(COMMENT.to_owned(), spec.doc.clone())]))
                .map_err(failed())?
        };
    }
    Ok(Some(builder.build().map_err(failed())?.metadata))
}

fn sorted(ids: impl Iterator<Item = i32>) -> Vec<i32> {
    let mut ids: Vec<i32> = ids.collect();
    ids.sort_unstable();
    ids
}
