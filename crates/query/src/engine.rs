//! Plans and runs queries within bounds.

use std::path::PathBuf;
use std::sync::Arc;

use datafusion::arrow::array::{RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::DataFusionError;
use datafusion::execution::cache::DefaultFilesMetadataCache;
use datafusion::execution::cache::cache_manager::{CacheManagerConfig, FileMetadataCache};
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{SendableRecordBatchStream, SessionState};
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::execute_stream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::Statement;
use futures::StreamExt;
use tarn_contract::sql::Query;
use tarn_core::ports::Objects;
use tarn_core::{Error, Result};
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::sync::oneshot;

use crate::answer::{Answer, Given, Incoming, Progress, Work};
use crate::error::{explained, is_out_of_memory, panicked};
use crate::files::{Files, STORE};
use crate::memory::{Held, QueryMemory, Shared as SharedMemory};
use crate::session::{self, How, Shared, Source};
use crate::stop::{Stop, StopOnDrop};
use crate::{dialect, functions, names, threads};

/// Bounds of all queries of a process.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes of memory that one query may use for sorting, grouping and joining.
    pub query_memory: usize,
    /// The same for all queries that run at once.
    pub memory: usize,
    /// Bytes that one query may write to `scratch` where memory does not suffice.
    pub disk: u64,
    /// Threads that one query uses.
    pub threads: usize,
}

const MEBIBYTE: usize = 1024 * 1024;

/// Footers of data files that are kept in memory.
const FOOTERS: usize = 32 * MEBIBYTE;

impl Limits {
    /// Bounds for a process that may use this much memory: half of it for queries, half of that for one.
    pub fn of_memory(bytes: usize) -> Self {
        let memory = (bytes / 2).max(64 * MEBIBYTE);
        Limits {
            query_memory: (memory / 2).max(64 * MEBIBYTE),
            memory,
            ..Limits::default()
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            query_memory: 1024 * MEBIBYTE,
            memory: 2 * 1024 * MEBIBYTE,
            disk: 10 * 1024 * MEBIBYTE as u64,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

/// Answers queries. What it keeps between them, the footers of data files, is bounded.
#[derive(Debug)]
pub struct Engine {
    kept: Arc<Kept>,
}

/// What all queries share.
struct Kept {
    objects: Arc<dyn Objects>,
    scratch: PathBuf,
    limits: Limits,
    memory: Arc<SharedMemory>,
    footers: Arc<dyn FileMetadataCache>,
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// One query on its way.
struct Run {
    kept: Arc<Kept>,
    query: Query,
    sources: Vec<Source>,
    limit: Option<usize>,
    shared: Shared,
    runtime: Arc<RuntimeEnv>,
    stop: Stop,
}

impl Engine {
    /// An engine over the files of a store; `scratch` is a folder for what does not fit in memory.
    pub fn new(objects: Arc<dyn Objects>, scratch: PathBuf, limits: Limits) -> Self {
        Engine {
            kept: Arc::new(Kept {
                objects,
                scratch,
                memory: Arc::new(SharedMemory::new(limits.memory)),
                footers: Arc::new(DefaultFilesMetadataCache::new(FOOTERS)),
                limits,
            }),
        }
    }

    /// Begins to answer a query over these tables, which are all that it names; at most `limit` rows come
    /// back. Rows are computed while the answer is written. Dropping the answer, or the future of this call,
    /// ends the work. `held` is dropped when the last of the work has ended, which may be a moment later.
    ///
    /// # Errors
    /// `BadRequest` where the query names unknown columns or functions, does not type-check or needs too much
    /// memory; `Unsupported` where it is valid but not supported; what reading the files returns.
    pub async fn run(
        &self,
        query: &Query,
        sources: &[Source],
        limit: Option<usize>,
        held: Option<Held>,
    ) -> Result<Answer> {
        let files = Arc::new(Files::new(Arc::clone(&self.kept.objects)));
        let runtime = self.kept.runtime(&files, held);
        let stop = Stop::default();
        let run = Run {
            kept: Arc::clone(&self.kept),
            query: query.clone(),
            sources: sources.to_vec(),
            limit,
            runtime: runtime.map_err(|error| self.kept.failed(&error, query))?,
            shared: Shared {
                files,
                counts: Arc::default(),
                footers: Arc::clone(&self.kept.footers),
            },
            stop: stop.clone(),
        };
        let stop = StopOnDrop(stop);
        let (rows, given) = tokio::sync::mpsc::channel(WAITING);
        let (begun, beginning) = tokio::sync::oneshot::channel();
        let work = Work::new(threads::spawn(run.work(begun, rows))?, stop);
        // A panic within a library is one query's failure.
        match beginning.await {
            Ok(begun) => begun.map(|begun| begun.answer(given, work, limit)),
            Err(_) => Err(panicked()),
        }
    }
}

/// Batches that are computed before the ones before them were taken.
const WAITING: usize = 2;

/// A query whose plan is made, and perhaps its first rows computed.
struct Begun {
    schema: SchemaRef,
    progress: Progress,
}

impl Begun {
    fn answer(self, rows: Receiver<Given>, work: Work, limit: Option<usize>) -> Answer {
        Answer::new(self.schema, Incoming::new(rows, work), limit, self.progress)
    }
}

impl Run {
    /// Computes the rows, and gives each batch to `rows`, and None when all are given.
    async fn work(self, begun: oneshot::Sender<Result<Begun>>, rows: Sender<Given>) {
        let mut stream = match self.begin().await {
            Ok(stream) => stream,
            Err(error) => {
                // Nobody waits any more if this fails.
                drop(begun.send(Err(error)));
                return;
            }
        };
        let progress = Progress {
            files: Arc::clone(&self.shared.files),
            counts: Arc::clone(&self.shared.counts),
        };
        let schema = stream.schema();
        if begun.send(Ok(Begun { schema, progress })).is_err() {
            return;
        }
        loop {
            let next = stream.next().await.transpose();
            let is_last = !matches!(next, Ok(Some(_)));
            let next = next.map_err(|error| self.failed(&error));
            if rows.send(next).await.is_err() || is_last {
                return;
            }
        }
    }

    async fn begin(&self) -> Result<SendableRecordBatchStream> {
        let failed = |error: &DataFusionError| self.failed(error);
        let mut how = How {
            threads: self.kept.limits.threads,
            hash_joins: true,
            is_recursive: names::is_recursive(self.query.statement()),
        };
        loop {
            let runtime = Arc::clone(&self.runtime);
            let state = session::open(&self.sources, &self.shared, runtime, how, &self.stop)
                .map_err(|error| failed(&error))?;
            let mut statement = names::unique(self.query.statement().clone());
            let is_aggregate = |name: &str| state.aggregate_functions().contains_key(name);
            dialect::translate(&mut statement, &is_aggregate)?;
            functions::check(&state, &statement)?;
            let plan = plan(&state, statement, self.limit).await;
            let plan = plan.map_err(|error| failed(&error))?;
            if self.query.is_explained() {
                return self
                    .explained(&state, &plan)
                    .await
                    .map_err(|error| failed(&error));
            }
            let stream = execute(&state, &plan).await;
            let mut stream = stream.map_err(|error| failed(&error))?;
            // The build side of a hash join must fit in memory, and it is complete before the first row.
            match stream.next().await {
                Some(Err(error)) if how.hash_joins && is_out_of_memory(&error) => {
                    how.hash_joins = false;
                }
                first => {
                    let schema = stream.schema();
                    let rows = futures::stream::iter(first).chain(stream);
                    return Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)));
                }
            }
        }
    }

    fn failed(&self, error: &DataFusionError) -> Error {
        match self.shared.files.failure() {
            Some(failure) => failure,
            None => self.kept.failed(error, &self.query),
        }
    }

    /// The plan, a line per row, and below it which files would be read.
    async fn explained(
        &self,
        state: &SessionState,
        plan: &LogicalPlan,
    ) -> datafusion::common::Result<SendableRecordBatchStream> {
        let optimized = state.optimize(plan)?;
        // Which files are left out is known once the scans are planned.
        state
            .query_planner()
            .create_physical_plan(&optimized, state)
            .await?;
        let (considered, read) = self.shared.counts.files();
        let files = format!(
            "Files: {} of {considered} left out by their bounds, {read} to read",
            considered.saturating_sub(read)
        );
        let text = optimized.display_indent().to_string();
        let lines: StringArray = text.lines().chain([files.as_str()]).map(Some).collect();
        let schema = Arc::new(Schema::new(vec![Field::new("plan", DataType::Utf8, true)]));
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(lines)])?;
        let rows = futures::stream::iter([Ok(batch)]);
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }
}

impl Kept {
    fn runtime(
        &self,
        files: &Arc<Files>,
        held: Option<Held>,
    ) -> datafusion::common::Result<Arc<RuntimeEnv>> {
        std::fs::create_dir_all(&self.scratch)?;
        let disk = DiskManagerBuilder::default()
            .with_mode(DiskManagerMode::Directories(vec![self.scratch.clone()]))
            .with_max_temp_directory_size(self.limits.disk);
        let caches =
            CacheManagerConfig::default().with_file_metadata_cache(Some(Arc::clone(&self.footers)));
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(QueryMemory::new(
                self.limits.query_memory,
                Arc::clone(&self.memory),
                held,
            )))
            .with_disk_manager_builder(disk)
            .with_cache_manager(caches)
            .build_arc()?;
        let store = ObjectStoreUrl::parse(STORE)?;
        runtime.register_object_store(store.as_ref(), Arc::clone(files) as _);
        Ok(runtime)
    }

    fn failed(&self, error: &DataFusionError, query: &Query) -> Error {
        explained(error, query.statement(), self.limits.query_memory)
    }
}

async fn plan(
    state: &SessionState,
    statement: Statement,
    limit: Option<usize>,
) -> datafusion::common::Result<LogicalPlan> {
    let plan = state
        .statement_to_plan(Parsed::Statement(Box::new(statement)))
        .await?;
    match limit {
        // One row more than asked for shows whether there were more.
        Some(limit) => LogicalPlanBuilder::from(plan)
            .limit(0, Some(limit.saturating_add(1)))?
            .build(),
        None => Ok(plan),
    }
}

async fn execute(
    state: &SessionState,
    plan: &LogicalPlan,
) -> datafusion::common::Result<SendableRecordBatchStream> {
    let physical = state.create_physical_plan(plan).await?;
    execute_stream(physical, state.task_ctx())
}
