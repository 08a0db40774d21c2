//! A table of the lake at one snapshot as DataFusion's table: the files that may hold wanted rows, columns
//! found by field id.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue, Statistics, exec_err};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{
    FileGroup, FileScanConfigBuilder, FileSource, ParquetSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{self, Column};
use datafusion::physical_expr_adapter::{PhysicalExprAdapter, PhysicalExprAdapterFactory};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use tarn_core::schema::TableField;
use tarn_table::{DataFileInfo, Table, VersionRef};

use crate::files::{Files, Place, STORE};
use crate::footers::Readers;
use crate::pruning;
use crate::types;

/// Bytes of a file's end that are read at once: nearly every footer is shorter.
const FOOTER: usize = 64 * 1024;

/// How many files of a query's tables there were, and how many were opened.
#[derive(Debug, Default)]
pub(crate) struct FileCounts {
    pub considered: AtomicU64,
    pub read: AtomicU64,
    pub bytes_considered: AtomicU64,
}

impl FileCounts {
    /// Files that were considered, and those to be read.
    pub fn files(&self) -> (u64, u64) {
        (
            self.considered.load(Ordering::Relaxed),
            self.read.load(Ordering::Relaxed),
        )
    }
}

/// Where the rows of a [`Relation`] are.
#[derive(Debug, Clone)]
pub(crate) enum Rows {
    /// The live files of a table at a version.
    Table(Box<Table>, VersionRef),
    /// These data files of the lake, and Parquet files on this machine that a run is about to commit.
    Files(Vec<Arc<DataFileInfo>>, Vec<PathBuf>),
}

/// A table, or staged rows of one.
pub(crate) struct Relation {
    pub fields: Vec<TableField>,
    pub rows: Rows,
    pub schema: SchemaRef,
    pub files: Arc<Files>,
    pub counts: Arc<FileCounts>,
    pub footers: Arc<dyn FileMetadataCache>,
}

impl fmt::Debug for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relation")
            .field("rows", &self.rows)
            .finish_non_exhaustive()
    }
}

/// A file that is to be read.
struct Wanted {
    place: Place,
    bytes: u64,
    statistics: Option<Arc<Statistics>>,
}

fn outside(error: tarn_core::Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

impl Relation {
    /// The files that may hold rows for which the filters are true.
    async fn wanted(&self, predicate: Option<&Arc<dyn PhysicalExpr>>) -> Result<Vec<Wanted>> {
        let (live, staged) = match &self.rows {
            Rows::Table(table, version) => {
                let live = table.files(version, None).await.map_err(outside)?;
                (live, &[][..])
            }
            Rows::Files(live, staged) => (live.clone(), &staged[..]),
        };
        let total: u64 = live.iter().map(|file| file.bytes).sum();
        self.counts
            .considered
            .fetch_add((live.len() + staged.len()) as u64, Ordering::Relaxed);
        self.counts
            .bytes_considered
            .fetch_add(total, Ordering::Relaxed);
        let mut wanted = self.pruned(predicate, &live);
        for path in staged {
            wanted.push(Wanted {
                place: Place::Local(path.clone()),
                bytes: std::fs::metadata(path)?.len(),
                statistics: None,
            });
        }
        Ok(wanted)
    }

    fn pruned(
        &self,
        predicate: Option<&Arc<dyn PhysicalExpr>>,
        live: &[Arc<DataFileInfo>],
    ) -> Vec<Wanted> {
        let kept = match predicate {
            Some(predicate) => pruning::may_match(live, &self.fields, &self.schema, predicate),
            None => vec![true; live.len()],
        };
        let kept = live.iter().zip(kept).filter(|(_, kept)| *kept);
        kept.map(|(file, _)| Wanted {
            place: Place::Object(file.key.clone()),
            bytes: file.bytes,
            statistics: Some(Arc::new(pruning::statistics(
                file,
                &self.fields,
                &self.schema,
            ))),
        })
        .collect()
    }

    /// The conditions that rows must meet, as one.
    fn predicate(
        &self,
        state: &dyn Session,
        filters: &[Expr],
    ) -> Result<Option<Arc<dyn PhysicalExpr>>> {
        let Some(filter) = conjunction(filters.to_vec()) else {
            return Ok(None);
        };
        let schema = DFSchema::try_from(Arc::clone(&self.schema))?;
        state.create_physical_expr(filter, &schema).map(Some)
    }

    /// What is known of all wanted files together.
    fn statistics(&self, wanted: &[Wanted]) -> Result<Statistics> {
        let known: Option<Vec<&Statistics>> = wanted
            .iter()
            .map(|file| file.statistics.as_deref())
            .collect();
        match known {
            Some(known) => Statistics::try_merge_iter(known, &self.schema),
            None => Ok(Statistics::new_unknown(&self.schema)),
        }
    }
}

/// Distributes files over partitions that are read side by side, evenly by their bytes.
fn groups(files: Vec<PartitionedFile>, partitions: usize) -> Vec<FileGroup> {
    let mut groups: Vec<(u64, Vec<PartitionedFile>)> = vec![(0, Vec::new()); partitions.max(1)];
    for file in files {
        if let Some((bytes, group)) = groups.iter_mut().min_by_key(|(bytes, _)| *bytes) {
            *bytes += file.object_meta.size;
            group.push(file);
        }
    }
    groups
        .into_iter()
        .filter(|(_, files)| !files.is_empty())
        .map(|(_, files)| FileGroup::new(files))
        .collect()
}

#[async_trait]
impl TableProvider for Relation {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        // They leave out files and pages; every row is judged again.
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let predicate = self.predicate(state, filters)?;
        let wanted = self.wanted(predicate.as_ref()).await?;
        self.counts
            .read
            .fetch_add(wanted.len() as u64, Ordering::Relaxed);
        if wanted.is_empty() {
            let schema = match projection {
                Some(columns) => Arc::new(self.schema.project(columns)?),
                None => Arc::clone(&self.schema),
            };
            return Ok(Arc::new(EmptyExec::new(schema)));
        }
        let statistics = self.statistics(&wanted)?;
        let files = wanted
            .into_iter()
            .map(|file| {
                let mut known =
                    PartitionedFile::new_from_meta(self.files.add(file.place, file.bytes));
                if let Some(statistics) = file.statistics {
                    known = known.with_statistics(statistics);
                }
                known
            })
            .collect();
        let groups = groups(files, state.config().target_partitions());
        let mut source = ParquetSource::new(Arc::clone(&self.schema))
            .with_table_parquet_options(state.table_options().parquet.clone())
            .with_metadata_size_hint(FOOTER)
            .with_parquet_file_reader_factory(Arc::new(Readers::new(&self.files, &self.footers)));
        if let Some(predicate) = predicate {
            // It leaves out row groups and pages.
            source = source.with_predicate(predicate);
        }
        let source: Arc<dyn FileSource> = Arc::new(source);
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::parse(STORE)?, source)
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .with_expr_adapter(Some(Arc::new(ByFieldId)))
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

/// Finds the columns of a table in its files by field id: a column that was renamed keeps its values, one
/// that was dropped and added again does not get the old ones, and one that a file lacks is null.
#[derive(Debug)]
struct ByFieldId;

impl PhysicalExprAdapterFactory for ByFieldId {
    fn create(
        &self,
        logical_file_schema: SchemaRef,
        physical_file_schema: SchemaRef,
    ) -> Result<Arc<dyn PhysicalExprAdapter>> {
        let mut by_id = HashMap::new();
        for (index, field) in physical_file_schema.fields().iter().enumerate() {
            let Some(id) = types::field_id(field) else {
                return exec_err!(
                    "a file of the table has a column {} without a field id, so its columns cannot be identified",
                    field.name()
                );
            };
            by_id.insert(id, index);
        }
        Ok(Arc::new(FileColumns {
            table: logical_file_schema,
            file: physical_file_schema,
            by_id,
        }))
    }
}

#[derive(Debug)]
struct FileColumns {
    table: SchemaRef,
    file: SchemaRef,
    by_id: HashMap<i32, usize>,
}

impl FileColumns {
    fn column(&self, column: &Column) -> Result<Arc<dyn PhysicalExpr>> {
        let wanted = self.table.field_with_name(column.name())?;
        let Some(&index) = types::field_id(wanted).and_then(|id| self.by_id.get(&id)) else {
            return Ok(expressions::lit(ScalarValue::try_from(wanted.data_type())?));
        };
        let found = self.file.field(index);
        let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(found.name(), index));
        if found.data_type() == wanted.data_type() {
            return Ok(column);
        }
        // A type that grew: int to bigint, a decimal of more digits.
        expressions::cast(column, &self.file, wanted.data_type().clone())
    }
}

impl PhysicalExprAdapter for FileColumns {
    fn rewrite(&self, expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
        expr.transform(|expr| match expr.as_any().downcast_ref::<Column>() {
            Some(column) => Ok(Transformed::yes(self.column(column)?)),
            None => Ok(Transformed::no(expr)),
        })
        .data()
    }
}
