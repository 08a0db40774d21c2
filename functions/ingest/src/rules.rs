//! What rules need besides the rows of an object: the tables they name, as they will be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tarn_contract::{ColumnRef, Contract, Format, TableMeasure};
use tarn_core::run::DatasetOutcome;
use tarn_core::schema::{TableField, system};
use tarn_core::{Error, ErrorKind, Result};
use tarn_engine::ingest::Staged;
use tarn_engine::parquet::ParquetFile;
use tarn_engine::table_rules::{self, Answers};
use tarn_lake::{Lake, LocalFiles};
use tarn_query::{Part, Query, Source};
use tarn_rows::check::References;
use tarn_rows::planned::{Arrival, RowsOf, TableState, Upsert};
use tarn_table::{Table, VersionRef};

use crate::job::Target;
use crate::known_keys::{self, Place};
use crate::newest::Rewritten;
use crate::run::Run;

/// Which columns of a table rules read.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    /// Those that a query names, which may be any.
    All,
    /// These.
    Columns(BTreeSet<String>),
}

impl Wanted {
    fn none() -> Self {
        Wanted::Columns(BTreeSet::new())
    }

    fn add<'n>(&mut self, names: impl IntoIterator<Item = &'n str>) {
        if let Wanted::Columns(columns) = self {
            columns.extend(names.into_iter().map(str::to_owned));
        }
    }

    /// Those of a table that are read.
    fn of(&self, mut fields: Vec<TableField>) -> Vec<TableField> {
        if let Wanted::Columns(columns) = self {
            fields.retain(|field| columns.contains(&field.field.name));
        }
        fields
    }
}

/// The columns by which rows of a table are found that a run replaces.
fn replaced_by(contract: &Contract) -> impl Iterator<Item = &str> {
    let key = contract.primary_key.iter();
    let key = key.filter_map(|&index| contract.columns.get(index));
    let system = [
        system::SOURCE_URI,
        system::SOURCE_VERSION,
        system::SOURCE_OFFSET,
        system::INGESTED_AT,
        system::DELETED_AT,
    ];
    key.map(|column| column.name.as_str()).chain(system)
}

/// What rules of these contracts read of each table, their own included.
fn wanted(contracts: &[Arc<Contract>]) -> BTreeMap<String, Wanted> {
    let mut all: BTreeMap<String, Wanted> = BTreeMap::new();
    let mut of = |dataset: &str, names: &[&str]| {
        let wanted = all.entry(dataset.to_owned()).or_insert_with(Wanted::none);
        wanted.add(names.iter().copied());
    };
    let mut queried: BTreeSet<String> = BTreeSet::new();
    for contract in contracts {
        let name = |index: usize| {
            contract
                .columns
                .get(index)
                .map(|column| column.name.as_str())
        };
        for to in contract.references() {
            of(&to.dataset, &[&to.column]);
        }
        for (rule, measure) in contract.table_rules() {
            of(&contract.dataset, &[system::RUN_ID]);
            match measure {
                TableMeasure::RowCountMatch(other) => of(other, &[system::RUN_ID]),
                TableMeasure::GroupSum {
                    of: summed,
                    by,
                    key,
                    ..
                } => {
                    let own: Vec<&str> = [Some(*key), rule.column]
                        .into_iter()
                        .flatten()
                        .filter_map(name)
                        .chain([system::DELETED_AT])
                        .collect();
                    of(&contract.dataset, &own);
                    of(&summed.dataset, &[by, &summed.column, system::DELETED_AT]);
                }
                TableMeasure::Sql(query) => {
                    queried.extend(query.tables().iter().map(|table| table.name.clone()));
                }
            }
        }
    }
    // The run changes the tables of these.
    for contract in contracts {
        if let Some(wanted) = all.get_mut(&contract.dataset) {
            wanted.add(replaced_by(contract));
        }
    }
    for dataset in queried {
        all.insert(dataset, Wanted::All);
    }
    all
}

/// Tables of the lake as a run finds them, and what it is about to do to them.
#[derive(Default)]
pub(crate) struct Tables {
    states: table_rules::Tables,
    /// What is read of them.
    wanted: BTreeMap<String, Wanted>,
    /// Keeps the local copies readable, by dataset.
    files: BTreeMap<String, LocalFiles>,
    /// Tables that the run does not change, by dataset.
    unchanged: BTreeMap<String, Table>,
    /// Values that rows refer to, as far as earlier runs have read them.
    known: References,
}

impl Tables {
    /// The tables that rules of these contracts name; their own too where a rule is about the table.
    pub async fn open(run: &Run<'_>, contracts: &[Arc<Contract>]) -> Result<Self> {
        let mut tables = Tables::default();
        for (dataset, wanted) in wanted(contracts) {
            let contract = run.lake.contracts.get(&dataset).ok_or_else(|| {
                Error::internal(format!("a rule names {dataset}, which has no contract"))
            })?;
            let table = run.lake.tables.load(&contract.table()).await?;
            let is_changed = contracts.iter().any(|own| own.dataset == dataset);
            let is_known = match &table {
                Some(table) if !is_changed => tables.knows(contracts, &dataset, &wanted, table),
                _ => false,
            };
            if !is_known {
                tables.load(run, contract, &wanted, table).await?;
            }
            tables.wanted.insert(dataset, wanted);
        }
        Ok(tables)
    }

    /// Whether all that is read of a table that the run does not change are values that an earlier run has read.
    fn knows(
        &mut self,
        contracts: &[Arc<Contract>],
        dataset: &str,
        wanted: &Wanted,
        table: &Table,
    ) -> bool {
        let references = contracts.iter().flat_map(|own| own.references());
        let references: Vec<&ColumnRef> = references.filter(|to| to.dataset == dataset).collect();
        let found: References = references
            .iter()
            .filter_map(|to| {
                let keys = known_keys::get(&Place::of(table, &to.column))?;
                Some(((*to).clone(), keys))
            })
            .collect();
        self.unchanged.insert(dataset.to_owned(), table.clone());
        let is_known = match wanted {
            Wanted::All => false,
            Wanted::Columns(columns) => columns
                .iter()
                .all(|column| found.keys().any(|to| to.column == *column)),
        };
        if is_known {
            self.known.extend(found);
        }
        is_known
    }

    async fn load(
        &mut self,
        run: &Run<'_>,
        contract: &Contract,
        wanted: &Wanted,
        table: Option<Table>,
    ) -> Result<()> {
        let dataset = contract.dataset.as_str();
        let (fields, current) = match table {
            Some(table) => {
                let fields = wanted.of(table.fields());
                let mut files = table.files(&VersionRef::Current, None).await?;
                let files = match run.lake.fetch_columns(files.clone(), &fields).await {
                    // A damaged file of the very rows that are about to be replaced must not
                    // prevent the replacement.
                    Err(error)
                        if error.kind() == ErrorKind::Damaged
                            && run.again
                            && contract.format != Format::Sqlite =>
                    {
                        files.retain(|file| file.only_source() != Some(run.uri.as_str()));
                        run.lake.fetch_columns(files, &fields).await?
                    }
                    fetched => fetched?,
                };
                let paths = files.iter().map(|(_, path)| path.to_owned()).collect();
                self.files.insert(dataset.to_owned(), files);
                (fields, paths)
            }
            // A table that nothing was ingested into has no rows.
            None => {
                let fields = run
                    .lake
                    .tables
                    .planned_fields(&contract.table_spec())
                    .await?;
                (wanted.of(fields), Vec::new())
            }
        };
        let state = TableState {
            dataset: dataset.to_owned(),
            fields,
            current,
            staged: None,
        };
        self.states.insert(dataset.to_owned(), state);
        Ok(())
    }

    /// The values that rows of the contract refer to.
    pub fn references(&self, contract: &Contract) -> Result<References> {
        contract
            .references()
            .map(|to| {
                if let Some(known) = self.known.get(to) {
                    return Ok((to.clone(), Arc::clone(known)));
                }
                let table = self.states.get(&to.dataset).ok_or_else(|| {
                    Error::internal(format!("the table of {} was not opened", to.dataset))
                })?;
                let keys = Arc::new(table_rules::load_keys(table, &to.column)?);
                if let Some(table) = self.unchanged.get(&to.dataset) {
                    known_keys::put(Place::of(table, &to.column), &keys);
                }
                Ok((to.clone(), keys))
            })
            .collect()
    }

    /// Notes files of a table that lose rows.
    pub fn rewrite(&mut self, dataset: &str, rewritten: &[Rewritten]) {
        let (Some(state), Some(files)) = (self.states.get_mut(dataset), self.files.get(dataset))
        else {
            return;
        };
        let others = files
            .iter()
            .filter(|(file, _)| !rewritten.iter().any(|gone| gone.file.uri == file.uri))
            .map(|(_, path)| path.to_owned());
        let rest = rewritten
            .iter()
            .flat_map(|file| &file.rest)
            .map(|file| file.path.clone());
        state.current = others.chain(rest).collect();
    }

    /// Notes what a run is about to commit. Rows of objects that are added replace those that are `replaced`.
    pub fn stage(&mut self, target: &Target, staged: &Staged, replaced: &[RowsOf]) {
        let contract = &target.contract;
        let (Some(state), Some(wanted)) = (
            self.states.get_mut(&contract.dataset),
            self.wanted.get(&contract.dataset),
        ) else {
            return;
        };
        let paths = |files: &[ParquetFile]| files.iter().map(|file| file.path.clone()).collect();
        let arrival = match contract.format {
            Format::Sqlite => Arrival::Upsert(Upsert {
                keys: contract
                    .primary_key
                    .iter()
                    .map(|&index| contract.columns[index].name.clone())
                    .collect(),
                deleted: contract.deleted_rows,
                rejected: paths(&staged.rejected),
                rejected_fields: target.quarantine.layout().0,
            }),
            _ => Arrival::Append(replaced.to_vec()),
        };
        state.fields = wanted.of(target.fields.clone());
        state.staged = Some((paths(&staged.accepted), arrival));
    }

    /// The answers to the contract's rules in SQL.
    ///
    /// # Errors
    /// `BadContract` where a query fails or gives no number; where files cannot be read.
    pub async fn answers(&self, lake: &Lake, contract: &Contract) -> Result<Answers> {
        let mut answers = Answers::new();
        for (rule, measure) in contract.table_rules() {
            if let TableMeasure::Sql(query) = measure {
                let answer = self.answer(lake, query).await.map_err(|error| {
                    error.context(format!("{}: rule {}", contract.dataset, rule.id))
                })?;
                answers.insert(rule.id.clone(), answer);
            }
        }
        Ok(answers)
    }

    async fn answer(&self, lake: &Lake, query: &Query) -> Result<Option<f64>> {
        let mut sources = Vec::new();
        for name in query.tables() {
            let state = self
                .states
                .get(&name.name)
                .ok_or_else(|| Error::internal(format!("the table of {name} was not opened")))?;
            sources.push(Source {
                name: name.clone(),
                fields: state.fields.clone(),
                part: Part::Planned(state.clone()),
            });
        }
        let mistaken = |text: &str, error: Error| match error.kind() {
            ErrorKind::BadRequest | ErrorKind::Unsupported => {
                Error::new(ErrorKind::BadContract, text).with_source(error)
            }
            _ => error,
        };
        let failed = |error| mistaken("the query failed; fix it in the contract", error);
        let rows = lake.engine.run(query, &sources, Some(2), None).await;
        let rows = rows.map_err(failed)?.collect().await.map_err(failed)?;
        rows.number().map_err(|error| {
            mistaken(
                "the query did not give one number; fix it in the contract",
                error,
            )
        })
    }

    /// Adds the results of the rules over tables to an outcome.
    ///
    /// # Errors
    /// Where a rule cannot be run, and `Quality` where a rule of severity abort does not hold.
    pub fn judge(
        &self,
        contract: &Contract,
        answers: &Answers,
        outcome: &mut DatasetOutcome,
    ) -> Result<()> {
        if contract.table_rules().next().is_some() {
            outcome
                .checks
                .extend(table_rules::evaluate(contract, &self.states, answers)?);
        }
        match table_rules::aborted(&contract.dataset, &outcome.checks) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

/// The contracts of one database, each after those that its rows refer to. Circles were refused when the
/// contracts were read.
pub(crate) fn ordered(contracts: Vec<Contract>) -> Vec<Contract> {
    let mut waiting = contracts;
    let mut ordered: Vec<Contract> = Vec::new();
    while !waiting.is_empty() {
        let ready = waiting
            .iter()
            .position(|contract| {
                contract.references().all(|to| {
                    !waiting.iter().any(|other| {
                        other.dataset == to.dataset && other.dataset != contract.dataset
                    })
                })
            })
            .unwrap_or(0);
        ordered.push(waiting.remove(ready));
    }
    ordered
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_tables_of_the_shop_are_ordered_by_what_their_rows_refer_to() {
        let contracts = tarn_contract::load_dir(std::path::Path::new("../../contracts")).unwrap();
        let database: Vec<Contract> = contracts
            .iter()
            .filter(|contract| contract.format == Format::Sqlite)
            .cloned()
            .collect();
        let ordered = ordered(database.clone());
        assert_eq!(ordered.len(), database.len());
        let place = |name: &str| {
            ordered
                .iter()
                .position(|contract| contract.dataset == name)
                .unwrap()
        };
        for contract in &ordered {
            for to in contract.references() {
                assert!(
                    place(&to.dataset) < place(&contract.dataset),
                    "{}",
                    to.dataset
                );
            }
        }
    }
}
