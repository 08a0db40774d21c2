//! What rules need besides the rows of an object: the tables they name, as they will be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tarn_contract::{ColumnRef, Contract, Format, TableMeasure};
use tarn_core::run::DatasetOutcome;
use tarn_core::schema::{TableField, TableName, Zone, system};
use tarn_core::{Error, ErrorKind, Result};
use tarn_engine::ingest::Staged;
use tarn_engine::parquet::ParquetFile;
use tarn_engine::table_rules::{self, Answers};
use tarn_lake::{Lake, LocalFiles};
use tarn_query::{Part, Query, Source};
use tarn_rows::check::References;
use tarn_rows::planned::{Arrival, RowsOf, TableState, Upsert};
use tarn_table::{DataFileInfo, Table, VersionRef};

use crate::commit::{self, Bounds};
use crate::job::Target;
use crate::known_keys::{self, Place};
use crate::newest::Rewritten;
use crate::run::Run;

/// What rules read of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Wanted {
    /// Columns that are copied, for rules that are not queries.
    columns: BTreeSet<String>,
    /// Whether queries read it, each what it needs, where the files are.
    is_queried: bool,
}

impl Wanted {
    fn add<'n>(&mut self, names: impl IntoIterator<Item = &'n str>) {
        self.columns.extend(names.into_iter().map(str::to_owned));
    }

    /// The columns of a table that are copied.
    fn of(&self, mut fields: Vec<TableField>) -> Vec<TableField> {
        fields.retain(|field| self.columns.contains(&field.field.name));
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
        let wanted = all.entry(dataset.to_owned()).or_default();
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
            match measure {
                TableMeasure::RowCountMatch(other) => {
                    queried.extend([contract.dataset.clone(), (*other).to_owned()]);
                }
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
                    queried.insert(contract.dataset.clone());
                    queried.extend(query.tables().iter().map(|table| table.name.clone()));
                }
            }
        }
    }
    // The run changes the tables of these.
    for contract in contracts {
        if let Some(wanted) = all.get_mut(&contract.dataset)
            && !wanted.columns.is_empty()
        {
            wanted.add(replaced_by(contract));
        }
    }
    for dataset in queried {
        all.entry(dataset).or_default().is_queried = true;
    }
    all
}

/// A table that queries of rules read.
struct Queried {
    state: TableState,
    /// Its live files, read where they are, but for those that `state` has copies of in part.
    live: Vec<Arc<DataFileInfo>>,
}

/// Tables of the lake as a run finds them, and what it is about to do to them.
#[derive(Default)]
pub(crate) struct Tables {
    states: table_rules::Tables,
    queried: BTreeMap<String, Queried>,
    /// What is read of them.
    wanted: BTreeMap<String, Wanted>,
    /// Keeps the local copies readable, by dataset.
    files: BTreeMap<String, LocalFiles>,
    /// Tables that the run does not change, by dataset.
    unchanged: BTreeMap<String, Table>,
    /// The object whose rows are about to be replaced, where a damaged file of these very rows must not
    /// prevent the replacement.
    replaced: Option<Vec<String>>,
    /// Values that rows refer to, as far as earlier runs have read them.
    known: References,
}

impl Tables {
    /// The tables that rules of these contracts name; their own too where a rule is about the table.
    pub async fn open(run: &Run<'_>, contracts: &[Arc<Contract>]) -> Result<Self> {
        let is_appended = |own: &Arc<Contract>| own.format != Format::Sqlite;
        let is_replaced = run.again && contracts.iter().all(is_appended);
        let mut tables = Tables {
            replaced: is_replaced.then(|| run.uris.clone()),
            ..Tables::default()
        };
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
            if wanted.is_queried {
                tables.query(run, contract, table.as_ref()).await?;
            }
            if !is_known && !wanted.columns.is_empty() {
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
        let is_known = wanted
            .columns
            .iter()
            .all(|column| found.keys().any(|to| to.column == *column));
        if is_known {
            self.known.extend(found);
        }
        is_known
    }

    /// Makes a table ready for queries.
    async fn query(
        &mut self,
        run: &Run<'_>,
        contract: &Contract,
        table: Option<&Table>,
    ) -> Result<()> {
        let (fields, live) = match table {
            Some(table) => (
                table.fields(),
                table.files(&VersionRef::Current, None).await?,
            ),
            None => (planned_fields(run, contract).await?, Vec::new()),
        };
        let state = TableState {
            dataset: contract.dataset.clone(),
            fields,
            current: Vec::new(),
            staged: None,
        };
        let queried = Queried { state, live };
        self.queried.insert(contract.dataset.clone(), queried);
        Ok(())
    }

    /// Copies the columns of a table that rules other than queries read.
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
                    Err(error) if error.kind() == ErrorKind::Damaged => {
                        let replaced = self.replaced.as_deref().ok_or(error)?;
                        files.retain(|file| !file.is_only_of(replaced));
                        run.lake.fetch_columns(files, &fields).await?
                    }
                    fetched => fetched?,
                };
                let paths = files.iter().map(|(_, path)| path.to_owned()).collect();
                self.files.insert(dataset.to_owned(), files);
                (fields, paths)
            }
            None => (wanted.of(planned_fields(run, contract).await?), Vec::new()),
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
        let rest = || {
            let rest = rewritten.iter().flat_map(|file| &file.rest);
            rest.map(|file| file.path.clone())
        };
        let stays = |uri: &str| !rewritten.iter().any(|gone| gone.file.uri == uri);
        if let Some(queried) = self.queried.get_mut(dataset) {
            queried.live.retain(|file| stays(&file.uri));
            queried.state.current = rest().collect();
        }
        let (Some(state), Some(files)) = (self.states.get_mut(dataset), self.files.get(dataset))
        else {
            return;
        };
        let others = files
            .iter()
            .filter(|(file, _)| stays(&file.uri))
            .map(|(_, path)| path.to_owned());
        state.current = others.chain(rest()).collect();
    }

    /// Notes what a run is about to commit. Rows of objects that are added replace those that are `replaced`.
    pub fn stage(&mut self, target: &Target, staged: &Staged, replaced: &[RowsOf]) {
        let contract = &target.contract;
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
        let staged = Some((paths(&staged.accepted), arrival));
        if let Some(queried) = self.queried.get_mut(&contract.dataset) {
            let (fields, live) = (&target.fields, &mut queried.live);
            live.retain(|file| commit::wholly(fields, file, replaced).is_none());
            queried.state.fields = fields.clone();
            queried.state.staged = staged.clone();
        }
        if let (Some(state), Some(wanted)) = (
            self.states.get_mut(&contract.dataset),
            self.wanted.get(&contract.dataset),
        ) {
            state.fields = wanted.of(target.fields.clone());
            state.staged = staged;
        }
    }

    /// What queries answer for the contract's rules over tables.
    ///
    /// # Errors
    /// `BadContract` where a query fails or gives no number; where files cannot be read.
    pub async fn answers(&self, lake: &Lake, contract: &Contract) -> Result<Answers> {
        let mut answers = Answers::default();
        for (rule, measure) in contract.table_rules() {
            let counted = match measure {
                TableMeasure::RowCountMatch(other) => vec![&contract.dataset, other],
                TableMeasure::GroupSum { .. } => Vec::new(),
                TableMeasure::Sql(query) => {
                    let answer = self.answer(lake, query, |_| true).await;
                    let answer = answer.map_err(|error| {
                        error.context(format!("{}: rule {}", contract.dataset, rule.id))
                    })?;
                    answers.values.insert(rule.id.clone(), answer);
                    vec![&contract.dataset]
                }
            };
            for dataset in counted {
                if !answers.rows.contains_key(dataset) {
                    let rows = self.rows(lake, dataset).await?;
                    answers.rows.insert(dataset.to_owned(), rows);
                }
            }
        }
        Ok(answers)
    }

    /// How many rows a table has. Files that lose none are counted by their manifest.
    async fn rows(&self, lake: &Lake, dataset: &str) -> Result<u64> {
        let Queried { state, live } = self.queried(dataset)?;
        let loses = |file: &DataFileInfo| match &state.staged {
            None => false,
            Some((_, Arrival::Append(replaced))) => {
                let bounds = Bounds::of(&state.fields, file);
                replaced.iter().any(|rows| bounds.may_hold(rows))
            }
            Some((_, Arrival::Upsert(_))) => true,
        };
        let whole: u64 = live
            .iter()
            .filter(|file| !loses(file))
            .map(|file| file.rows)
            .sum();
        if state.staged.is_none() && state.current.is_empty() {
            return Ok(whole);
        }
        let name = TableName::new(Zone::Curated, dataset);
        let query = Query::parse("SELECT COUNT(*) FROM counted", &|_| Ok(name.clone()))?;
        let others = self.answer(lake, &query, loses).await?;
        Ok(whole + others.unwrap_or_default() as u64)
    }

    fn queried(&self, dataset: &str) -> Result<&Queried> {
        let found = self.queried.get(dataset);
        found.ok_or_else(|| Error::internal(format!("the table of {dataset} was not opened")))
    }

    /// Answers a query over those live files that `is_read` picks.
    async fn answer(
        &self,
        lake: &Lake,
        query: &Query,
        is_read: impl Fn(&DataFileInfo) -> bool,
    ) -> Result<Option<f64>> {
        match self.ask(lake, query, &is_read).await {
            Err(error) if error.kind() == ErrorKind::Damaged => {
                let replaced = self.replaced.as_deref().ok_or(error)?;
                let others = |file: &DataFileInfo| is_read(file) && !file.is_only_of(replaced);
                self.ask(lake, query, &others).await
            }
            answered => answered,
        }
    }

    async fn ask(
        &self,
        lake: &Lake,
        query: &Query,
        is_read: &impl Fn(&DataFileInfo) -> bool,
    ) -> Result<Option<f64>> {
        let mut sources = Vec::new();
        for name in query.tables() {
            let Queried { state, live } = self.queried(&name.name)?;
            let mut live = live.clone();
            live.retain(|file| is_read(file));
            sources.push(Source {
                name: name.clone(),
                fields: state.fields.clone(),
                part: Part::Planned(state.clone(), live),
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

/// The columns of a table that nothing was ingested into: it has no rows.
async fn planned_fields(run: &Run<'_>, contract: &Contract) -> Result<Vec<TableField>> {
    let tables = &run.lake.tables;
    tables.planned_fields(&contract.table_spec()).await
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
