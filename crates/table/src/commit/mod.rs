//! The commit: from a change to a snapshot in the current metadata.
//!
//! Invariants: a file is live in at most one manifest of a snapshot. The snapshot id is chosen once per
//! commit, so the table's history shows whether a swap succeeded although its reply was lost. The files
//! of an attempt are deleted only if the catalog refused every swap of the commit so far.

mod manifests;
mod summary;

use std::collections::HashMap;

use chrono::Utc;
use iceberg::spec::{FormatVersion, MAIN_BRANCH, Snapshot};
use tarn_core::schema::TableName;
use tarn_core::{Error, ErrorKind, Result, ResultExt};
use uuid::Uuid;

use self::manifests::{Added, Rest};
use self::summary::{Effect, summary};
use crate::change::{Base, Change, Committed, NEWEST_SNAPSHOT, Takeover};
use crate::store::{iceberg_error, manifest_list_bytes};
use crate::table::Table;
use crate::tables::{ATTEMPTS, Tables, given_up, no_such_table, pause};
use crate::writer::MetadataWriter;

impl Tables {
    /// Applies a change as one new version. A commit that loses a race tries again on the newer version if the
    /// change's base allows it. A swap whose reply was lost is recognised.
    ///
    /// # Errors
    /// `NotFound` for a table that does not exist. `Conflict` if the base or a file to remove is not current
    /// any more (read again and recompute), or if other writers were faster every time.
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
        run(self, name, change, takeover)
            .await
            .context(|| format!("commit to {name}"))
    }
}

async fn run(
    tables: &Tables,
    name: &TableName,
    change: Change,
    takeover: Takeover,
) -> Result<Committed> {
    let mut commit = Commit {
        takeover,
        // Snapshot ids are positive.
        snapshot_id: Uuid::new_v4().as_u64_pair().0.cast_signed() & i64::MAX,
        change,
        added: None,
        writer: MetadataWriter::new(tables, name),
        unsettled: false,
    };
    let result = commit.run().await;
    if !matches!(result, Ok(Committed::Done { .. })) {
        commit.discard_written().await;
        if let Some(added) = commit.added.take()
            && !commit.unsettled
        {
            tables.store.discard(&[added.manifest.manifest_path]).await;
        }
    }
    result
}

struct Commit<'a> {
    change: Change,
    takeover: Takeover,
    snapshot_id: i64,
    /// Written once, for all attempts.
    added: Option<Added>,
    /// Holds what the attempt under way has written.
    writer: MetadataWriter<'a>,
    /// Whether some swap may have succeeded, or may yet. Only the table's history settles that: a refusal
    /// is believed once the table was read again, any other error never.
    unsettled: bool,
}

impl Commit<'_> {
    async fn run(&mut self) -> Result<Committed> {
        let no_files = self.change.add.is_empty() && self.change.remove.is_empty();
        if no_files && self.change.snapshot.is_none() {
            return Ok(Committed::NothingToDo);
        }
        let (tables, name) = (self.writer.tables, self.writer.name);
        let mut failure: Option<Error> = None;
        let mut refused = true;
        // The table is read once more than there are attempts: the last swap may have succeeded although
        // its reply was lost.
        for attempt in 0..=ATTEMPTS {
            if attempt > 0 {
                pause(attempt).await;
            }
            let table = tables
                .load(name)
                .await?
                .ok_or_else(|| no_such_table(name))?;
            if let Some(snapshot) = table.metadata.snapshot_by_id(self.snapshot_id) {
                let version = Table::version_of(snapshot);
                return Ok(Committed::Done {
                    snapshot_id: self.snapshot_id,
                    version,
                });
            }
            if let Some(error) = failure.take() {
                refused &= error.kind() == ErrorKind::Conflict;
                self.unsettled = !refused;
                self.discard_written().await;
                if !error.is_retryable() {
                    return Err(error);
                }
                if attempt == ATTEMPTS {
                    return Err(given_up(name, Some(error)));
                }
            }
            if self.change.unless_committed
                && let Some(snapshot) = table.committed_all(&self.change.sources, &self.change.kind)
            {
                let (snapshot_id, version) = (snapshot.snapshot_id(), Table::version_of(snapshot));
                return Ok(Committed::AlreadyThere {
                    snapshot_id,
                    version,
                });
            }
            self.check_base(&table)?;
            self.check_takeover(&table)?;
            if no_files && !self.is_newer_snapshot(&table)? {
                return Ok(Committed::NothingToDo);
            }
            let (next, location) = if no_files {
                self.prepare_properties(&table).await?
            } else {
                self.prepare(&table).await?
            };
            let version = next
                .metadata
                .current_snapshot()
                .map_or(0, Table::version_of);
            self.unsettled = true;
            match tables.swap(&table, &next, &location).await {
                Ok(_) if no_files => {
                    // The files belong to the table now.
                    self.writer.written.clear();
                    return Ok(Committed::NothingToDo);
                }
                Ok(_) => {
                    return Ok(Committed::Done {
                        snapshot_id: self.snapshot_id,
                        version,
                    });
                }
                Err(error) => failure = Some(error),
            }
        }
        Err(given_up(name, failure))
    }

    /// Whether the table is to remember another snapshot of its source than it does.
    fn is_newer_snapshot(&self, table: &Table) -> Result<bool> {
        Ok(self.change.snapshot.is_some() && self.change.snapshot != table.newest_snapshot()?)
    }

    /// The table properties that the change sets.
    fn properties(&self) -> Result<HashMap<String, String>> {
        let mut properties = HashMap::new();
        if let Some(snapshot) = &self.change.snapshot {
            let text = serde_json::to_string(snapshot).map_err(|error| {
                Error::internal("a snapshot's order cannot be written as JSON").with_source(error)
            })?;
            properties.insert(NEWEST_SNAPSHOT.to_owned(), text);
        }
        Ok(properties)
    }

    fn check_base(&self, table: &Table) -> Result<()> {
        if let (Some(own), Some(newest)) = (&self.change.snapshot, table.newest_snapshot()?)
            && newest > *own
        {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "the table holds a newer snapshot of its source, {}",
                    newest.key
                ),
            ));
        }
        let current = table.current_snapshot_id();
        match self.change.base {
            Base::Exactly(base) if base != current => Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "the table has changed since it was read (from snapshot {base:?} to {current:?}); read it again"
                ),
            )),
            _ => Ok(()),
        }
    }

    fn check_takeover(&self, table: &Table) -> Result<()> {
        let Takeover {
            run_id,
            runs,
            unless_committed,
        } = &self.takeover;
        let taken_over = |by: &str| Err(Error::new(ErrorKind::Conflict, by.to_owned()));
        if !run_id.is_empty() && table.was_taken_over(run_id) {
            return taken_over("another run took over the work of this one");
        }
        if *unless_committed && runs.iter().any(|run| table.has_run(run)) {
            return taken_over("the run that was to be taken over has committed after all");
        }
        Ok(())
    }

    async fn discard_written(&mut self) {
        if self.unsettled {
            self.writer.written.clear();
        } else {
            self.writer.discard().await;
        }
    }

    /// Writes everything but the pointer.
    async fn prepare(&mut self, table: &Table) -> Result<(Table, String)> {
        let metadata = table.metadata.as_ref();
        if metadata.format_version() != FormatVersion::V2 {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "{} is of Iceberg format {}; only 2 is written",
                    self.writer.name,
                    metadata.format_version()
                ),
            ));
        }
        let added = self.added(table).await?;
        let parent = metadata.current_snapshot();
        let current = match parent {
            Some(snapshot) => {
                let store = self.writer.store();
                store
                    .manifest_list(snapshot, metadata.format_version())
                    .await?
            }
            None => Vec::new(),
        };
        let (id, writer) = (self.snapshot_id, &mut self.writer);
        let rest = Rest::write(writer, id, current, &self.change.remove).await?;
        let mut manifests = manifests::merged(writer, table, id, rest.manifests).await?;
        manifests.extend(added.as_ref().map(|added| added.manifest.clone()));
        let sequence_number = metadata.next_sequence_number();
        let effect = Effect {
            parent: parent.map(AsRef::as_ref),
            added: &added.map(|added| added.set).unwrap_or_default(),
            removed: &rest.removed,
            manifests: &manifests,
        };
        let summary = summary(&self.change, &self.takeover, &effect)?;
        let ids = (
            self.snapshot_id,
            parent.map(|parent| parent.snapshot_id()),
            sequence_number,
        );
        let stem = format!("snap-{}-{}", self.snapshot_id, Uuid::new_v4());
        let list = manifest_list_bytes(ids, manifests).await?;
        let list = self.writer.put(&stem, list).await?;
        let snapshot = Snapshot::builder()
            .with_snapshot_id(self.snapshot_id)
            .with_parent_snapshot_id(ids.1)
            .with_sequence_number(sequence_number)
            // Clocks of writers differ; the history of one table must not run backwards.
            .with_timestamp_ms(
                Utc::now()
                    .timestamp_millis()
                    .max(metadata.last_updated_ms()),
            )
            .with_manifest_list(list)
            .with_summary(summary)
            .with_schema_id(metadata.current_schema_id())
            .build();
        let properties = self.properties()?;
        let built = metadata
            .clone()
            .into_builder(Some(table.pointer.metadata_location.clone()))
            .set_branch_snapshot(snapshot, MAIN_BRANCH)
            .and_then(|builder| builder.set_properties(properties))
            .and_then(|builder| builder.build())
            .map_err(iceberg_error("the new snapshot does not fit the table"))?;
        self.writer.put_metadata(table, built.metadata).await
    }

    /// The manifest of the added files, which the first attempt writes; None where none are added.
    async fn added(&mut self, table: &Table) -> Result<Option<Added>> {
        if !self.change.add.is_empty() && self.added.is_none() {
            let add = &self.change.add;
            self.added = Some(Added::write(&self.writer, table, self.snapshot_id, add).await?);
        }
        Ok(self.added.clone())
    }

    /// Writes everything but the pointer, for a change that sets properties alone.
    async fn prepare_properties(&mut self, table: &Table) -> Result<(Table, String)> {
        let built = table
            .metadata
            .as_ref()
            .clone()
            .into_builder(Some(table.pointer.metadata_location.clone()))
            .set_properties(self.properties()?)
            .and_then(|builder| builder.build())
            .map_err(iceberg_error("the properties do not fit the table"))?;
        self.writer.put_metadata(table, built.metadata).await
    }
}
