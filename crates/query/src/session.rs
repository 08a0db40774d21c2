//! What one query sees: its tables, each at one snapshot, and the functions.

use std::path::PathBuf;
use std::sync::Arc;

use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList,
    MemorySchemaProvider, SchemaProvider, TableProvider,
};
use datafusion::common::{JoinType, Result};
use datafusion::config::ConfigOptions;
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast, col, ident, lit};
use datafusion::optimizer::analyzer::resolve_grouping_function::ResolveGroupingFunction;
use datafusion::optimizer::analyzer::type_coercion::TypeCoercion;
use datafusion::optimizer::{Analyzer, Optimizer, OptimizerRule};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::SessionConfig;
use tarn_contract::DeletedRows;
use tarn_core::schema::{TableField, TableName, Zone, system};
use tarn_rows::planned::{Arrival, RowsOf, TableState, Upsert};
use tarn_table::{DataFileInfo, Table, VersionRef};

use crate::exact::{self, Exact};
use crate::files::Files;
use crate::lateral::Lateral;
use crate::scan::{FileCounts, Relation, Rows};
use crate::stop::{Stop, Stoppable};
use crate::types;

/// A table that a query reads.
#[derive(Debug, Clone)]
pub struct Source {
    /// Its full name.
    pub name: TableName,
    /// Its columns.
    pub fields: Vec<TableField>,
    /// Its rows.
    pub part: Part,
}

/// The rows of a [`Source`].
#[derive(Debug, Clone)]
pub enum Part {
    /// Those of a table at a version.
    Version(Box<Table>, VersionRef),
    /// Those that a table will have once a run has committed. The rows that it has now are in its local files
    /// and in these.
    Planned(TableState, Vec<Arc<DataFileInfo>>),
}

/// The name of the one catalog.
const CATALOG: &str = "lake";

/// What tables of a query share.
pub(crate) struct Shared {
    pub files: Arc<Files>,
    pub counts: Arc<FileCounts>,
    pub footers: Arc<dyn FileMetadataCache>,
}

impl Shared {
    fn relation(&self, fields: &[TableField], rows: Rows) -> Arc<dyn TableProvider> {
        Arc::new(Relation {
            schema: types::schema(fields),
            fields: fields.to_vec(),
            rows,
            files: Arc::clone(&self.files),
            counts: Arc::clone(&self.counts),
            footers: Arc::clone(&self.footers),
        })
    }

    fn staged(&self, fields: &[TableField], paths: &[PathBuf]) -> Result<LogicalPlanBuilder> {
        self.files(fields, paths, &[])
    }

    /// The rows of files on this machine and of data files.
    fn files(
        &self,
        fields: &[TableField],
        paths: &[PathBuf],
        live: &[Arc<DataFileInfo>],
    ) -> Result<LogicalPlanBuilder> {
        let rows = Rows::Files(live.to_vec(), paths.to_vec());
        let relation = self.relation(fields, rows);
        LogicalPlanBuilder::scan("rows", provider_as_source(relation), None)
    }

    fn provider(&self, source: &Source) -> Result<Arc<dyn TableProvider>> {
        Ok(match &source.part {
            Part::Version(table, version) => {
                self.relation(&source.fields, Rows::Table(table.clone(), *version))
            }
            Part::Planned(planned, live) => Arc::new(ViewTable::new(
                self.planned(&source.fields, planned, live)?,
                None,
            )),
        })
    }

    /// The rows of a table as it will be.
    fn planned(
        &self,
        fields: &[TableField],
        planned: &TableState,
        live: &[Arc<DataFileInfo>],
    ) -> Result<LogicalPlan> {
        let current = self.files(fields, &planned.current, live)?;
        let Some((staged, arrival)) = &planned.staged else {
            return current.build();
        };
        let staged = self.staged(fields, staged)?;
        let kept = match arrival {
            Arrival::Append(replaced) => replaced.iter().try_fold(current, |rest, rows| {
                // If it is unknown whether a row is one of them, it stays.
                rest.filter(is_of(rows).is_not_true())
            })?,
            Arrival::Upsert(upserted) => self.absent(current, staged.clone(), upserted)?,
        };
        kept.union(staged.build()?)?.build()
    }

    /// Rows of the table that a snapshot does not bring, as they will be.
    fn absent(
        &self,
        current: LogicalPlanBuilder,
        staged: LogicalPlanBuilder,
        upserted: &Upsert,
    ) -> Result<LogicalPlanBuilder> {
        let keys: Vec<&str> = upserted.keys.iter().map(String::as_str).collect();
        let select = |rows: LogicalPlanBuilder, alias: &str| {
            rows.project(keys.iter().map(|key| ident(*key)))?
                .alias(alias)
        };
        let join = |left: LogicalPlanBuilder, right: LogicalPlan, alias: &str, ty| {
            let on = keys.iter().map(|key| {
                (
                    datafusion::common::Column::new(Some("rows"), *key),
                    datafusion::common::Column::new(Some(alias), *key),
                )
            });
            let (left_keys, right_keys): (Vec<_>, Vec<_>) = on.unzip();
            left.join(right, ty, (left_keys, right_keys), None)
        };
        let brought = select(staged, "brought")?.build()?;
        let absent = join(current, brought, "brought", JoinType::LeftAnti)?;
        if upserted.deleted == DeletedRows::Keep {
            return Ok(absent);
        }
        let rejected = || {
            let rows = self.staged(&upserted.rejected_fields, &upserted.rejected)?;
            select(rows, "rejected")
        };
        // A rejected row without a key may be any of them.
        let lacking = keys
            .iter()
            .map(|key| ident(*key).is_null())
            .reduce(Expr::or);
        let keyless = match lacking {
            Some(lacking) => rejected()?
                .filter(lacking)?
                .project([lit(1).alias("keyless")])?
                .build()?,
            None => return Ok(absent),
        };
        let keyless = datafusion::logical_expr::exists(Arc::new(keyless));
        let held = join(
            absent.clone(),
            rejected()?.build()?,
            "rejected",
            JoinType::LeftSemi,
        )?;
        let gone = join(absent, rejected()?.build()?, "rejected", JoinType::LeftAnti)?;
        let gone = match upserted.deleted {
            DeletedRows::Remove => gone.filter(keyless)?,
            _ => {
                // When they went is not known yet, and only that they did matters.
                let schema = Arc::clone(gone.schema());
                let marked = coalesce(vec![
                    ident(system::DELETED_AT),
                    cast(
                        ident(system::INGESTED_AT),
                        types::data_type(&tarn_core::schema::ColumnType::Timestamp),
                    ),
                ]);
                let columns = schema.iter().map(|(_, field)| {
                    if field.name() == system::DELETED_AT {
                        datafusion::logical_expr::when(keyless.clone(), ident(system::DELETED_AT))
                            .otherwise(marked.clone())
                            .map(|expr| expr.alias(system::DELETED_AT))
                    } else {
                        Ok(ident(field.name()))
                    }
                });
                gone.project(columns.collect::<Result<Vec<_>>>()?)?
            }
        };
        held.union(gone.build()?)
    }
}

/// Whether a row is one of these.
fn is_of(rows: &RowsOf) -> Expr {
    let uris = rows.uris.iter().map(|uri| lit(uri.as_str())).collect();
    let mut is = col(system::SOURCE_URI).in_list(uris, false);
    if let Some(version) = &rows.version {
        is = is.and(col(system::SOURCE_VERSION).eq(lit(version.as_str())));
    }
    if let Some(from) = rows.from {
        is = is.and(col(system::SOURCE_OFFSET).gt_eq(lit(from)));
    }
    is
}

/// How a query is planned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct How {
    pub threads: usize,
    /// Whether joins may hold one side in memory.
    pub hash_joins: bool,
    /// Whether it has WITH RECURSIVE.
    pub is_recursive: bool,
}

/// The rule that leaves out columns nobody reads leaves out some that a recursive query needs.
fn optimizer_rules(how: How) -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let mut rules = Optimizer::new().rules;
    if how.is_recursive {
        rules.retain(|rule| rule.name() != "optimize_projections");
    }
    rules
}

/// The rules for physical plans. The one that pushes conditions through joins finds columns by name and takes
/// one of two that have the same: scans get their conditions from the logical plan alone.
fn physical_rules(stop: &Stop) -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules = PhysicalOptimizer::new().rules;
    rules.retain(|rule| !rule.name().starts_with("FilterPushdown"));
    rules.push(Arc::new(Stoppable(stop.clone())));
    rules
}

/// The settings of every session.
fn config(how: How) -> SessionConfig {
    let mut options = ConfigOptions::new();
    options.catalog.create_default_catalog_and_schema = false;
    options.catalog.default_catalog = CATALOG.to_owned();
    options.catalog.default_schema = Zone::Curated.as_str().to_owned();
    options.catalog.information_schema = false;
    // 1.1 is a decimal, as in Athena and DuckDB.
    options.sql_parser.parse_float_as_decimal = true;
    options.sql_parser.default_null_ordering = "nulls_last".to_owned();
    options.sql_parser.map_string_types_to_utf8view = false;
    options.sql_parser.collect_spans = true;
    options.sql_parser.recursion_limit = 200;
    options.execution.time_zone = Some(types::UTC.to_owned());
    options.execution.target_partitions = how.threads.max(1);
    // Batches of a join that multiplies rows stay small.
    options.execution.enforce_batch_size_in_joins = true;
    options.execution.parquet.pushdown_filters = false;
    // It loses the group of nulls, or the place of it.
    options.optimizer.enable_topk_aggregation = false;
    options.optimizer.prefer_hash_join = how.hash_joins;
    SessionConfig::from(options)
}

/// A session that sees these tables and nothing else.
pub(crate) fn open(
    sources: &[Source],
    shared: &Shared,
    runtime: Arc<RuntimeEnv>,
    how: How,
    stop: &Stop,
) -> Result<SessionState> {
    let catalog = MemoryCatalogProvider::new();
    for zone in Zone::ALL {
        let tables = MemorySchemaProvider::new();
        for source in sources.iter().filter(|source| source.name.zone == zone) {
            tables.register_table(source.name.name.clone(), shared.provider(source)?)?;
        }
        catalog.register_schema(zone.as_str(), Arc::new(tables))?;
    }
    let catalogs = MemoryCatalogProviderList::new();
    catalogs.register_catalog(CATALOG.to_owned(), Arc::new(catalog));
    let mut state = SessionStateBuilder::new()
        .with_config(config(how))
        .with_optimizer_rules(optimizer_rules(how))
        .with_runtime_env(runtime)
        .with_catalog_list(Arc::new(catalogs))
        .with_default_features()
        .with_physical_optimizer_rules(physical_rules(stop))
        .with_analyzer_rules(
            Analyzer::with_rules(vec![
                Arc::new(ResolveGroupingFunction::new()),
                Arc::new(Lateral),
                Arc::new(Exact),
                Arc::new(TypeCoercion::new()),
            ])
            .rules,
        )
        .build();
    exact::register(&mut state)?;
    // The time of now() and CURRENT_DATE.
    state.mark_start_execution();
    Ok(state)
}
