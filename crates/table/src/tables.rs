//! The lake's tables: load, create, evolve.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use iceberg::spec::{FormatVersion, SortOrder, TableMetadata, TableMetadataBuilder};
use tarn_core::digest::Digest;
use tarn_core::layout;
use tarn_core::ports::{Catalog, Objects, TablePointer};
use tarn_core::schema::{TableField, TableName, TableSpec};
use tarn_core::{Error, ErrorKind, Result, ResultExt};
use uuid::Uuid;

use crate::change::{Change, Committed, Takeover};
use crate::commit;
use crate::maintain::{self, Maintained, Retention};
use crate::relocate::{self, Relocated};
use crate::schema::{self, COMMENT};
use crate::store::{Store, iceberg_error, metadata_bytes};
use crate::table::Table;
use crate::verify::{self, Verified};

/// How often a lost race is run again. With the pauses of [`pause`] this takes about ten seconds.
pub(crate) const ATTEMPTS: u32 = 20;

/// Waits before another attempt: longer each time, and never as long as the others.
pub(crate) async fn pause(attempt: u32) {
    let longest = 25_u64.saturating_mul(1 << attempt.min(5));
    let random = u64::from(Uuid::new_v4().as_fields().0) % (longest / 2 + 1);
    tokio::time::sleep(Duration::from_millis(longest / 2 + random)).await;
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
    /// nothing at all is written where nothing differs.
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
                // Whoever won, or our own swap whose reply was lost: the next round sees what there is.
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

    /// Applies a change as one new version. Lost races are run again on the newer version where the
    /// change's base allows it; a swap whose reply was lost is recognised.
    ///
    /// # Errors
    /// `NotFound` for a table that does not exist, `Conflict` where the base or a file to remove is no
    /// longer current (read again and recompute) and where others were faster every time.
    pub async fn commit(&self, name: &TableName, change: Change) -> Result<Committed> {
        self.commit_as(name, change, Takeover::default()).await
    }

    /// As [`Tables::commit`], by a run that may have been taken over, or takes over others.
    ///
    /// # Errors
    /// Those of [`Tables::commit`], and `Conflict` where the run was taken over.
    pub async fn commit_as(
        &self,
        name: &TableName,
        change: Change,
        takeover: Takeover,
    ) -> Result<Committed> {
        commit::run(self, name, change, takeover)
            .await
            .context(|| format!("commit to {name}"))
    }

    /// Forgets versions that are older than what is kept, and deletes the files that no version names
    /// any more. With `dry_run` nothing is changed and the result says what would be done.
    ///
    /// # Errors
    /// `NotFound` for a table that does not exist, `Unsupported` where it names files outside the store:
    /// then nothing is deleted.
    pub async fn maintain(
        &self,
        name: &TableName,
        retention: &Retention,
        now: DateTime<Utc>,
        dry_run: bool,
    ) -> Result<Maintained> {
        maintain::run(self, name, retention, now, dry_run)
            .await
            .context(|| format!("maintenance of {name}"))
    }

    /// Rewrites the table's metadata where it names files by a place where the store was before, so that
    /// other readers find them. `each` is told how many manifests are rewritten, and of how many. With
    /// `dry_run` nothing is changed and the result says what would be done.
    ///
    /// # Errors
    /// `NotFound` for a table that does not exist, `Unsupported` where it names files outside the store, or
    /// where another engine deleted rows by files that name data files.
    pub async fn relocate(
        &self,
        name: &TableName,
        dry_run: bool,
        each: &mut (dyn FnMut(usize, usize) + Send),
    ) -> Result<Relocated> {
        relocate::run(self, name, dry_run, each)
            .await
            .context(|| format!("relocation of {name}"))
    }

    /// Reads every file of every version that is kept to its end, and holds it against what was written.
    /// `each` is told what was found so far.
    ///
    /// # Errors
    /// `NotFound` for a table that does not exist, and where the catalog does not answer. A file that cannot
    /// be read is a fault of the result.
    pub async fn verify(
        &self,
        name: &TableName,
        each: &mut (dyn FnMut(&Verified) + Send),
    ) -> Result<Verified> {
        verify::run(self, name, each)
            .await
            .context(|| format!("verification of {name}"))
    }

    fn location(&self, name: &TableName) -> String {
        self.store
            .uri(layout::table_prefix(name).trim_end_matches('/'))
    }

    /// A URI in the table's metadata folder for a file of this content. The stem holds a fresh UUID: equal
    /// contents of two writers are two files, of which each writer may delete its own.
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
