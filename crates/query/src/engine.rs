//! Plans and runs queries within bounds.

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;

use datafusion::common::DataFusionError;
use datafusion::execution::cache::DefaultFilesMetadataCache;
use datafusion::execution::cache::cache_manager::{CacheManagerConfig, FileMetadataCache};
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::{SendableRecordBatchStream, SessionState};
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::execute_stream;
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::Statement;
use futures::{FutureExt, StreamExt, TryStreamExt};
use tarn_contract::sql::Query;
use tarn_core::ports::Objects;
use tarn_core::{Error, ErrorKind, Result};

use crate::answer::{Answer, Progress};
use crate::error::{explained, is_out_of_memory};
use crate::files::{Files, STORE};
use crate::memory::{Held, QueryMemory, Shared as SharedMemory};
use crate::scan::FileCounts;
use crate::session::{self, How, Shared, Source};
use crate::{dialect, functions, names};

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
pub struct Engine {
    objects: Arc<dyn Objects>,
    scratch: PathBuf,
    limits: Limits,
    memory: Arc<SharedMemory>,
    footers: Arc<dyn FileMetadataCache>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// One query on its way.
struct Run<'a> {
    query: &'a Query,
    sources: &'a [Source],
    shared: Shared,
    runtime: Arc<RuntimeEnv>,
}

impl Engine {
    /// An engine over the files of a store; `scratch` is a folder for what does not fit in memory.
    pub fn new(objects: Arc<dyn Objects>, scratch: PathBuf, limits: Limits) -> Self {
        Engine {
            objects,
            scratch,
            memory: Arc::new(SharedMemory::new(limits.memory)),
            footers: Arc::new(DefaultFilesMetadataCache::new(FOOTERS)),
            limits,
        }
    }

    /// Begins to answer a query over these tables, which are all that it names; at most `limit` rows come
    /// back. Rows are computed while the answer is written. `held` is dropped when the last of the work has
    /// ended, which may be a moment after the answer is dropped.
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
        let counts = Arc::new(FileCounts::default());
        let files = Arc::new(Files::new(Arc::clone(&self.objects)));
        let run = Run {
            query,
            sources,
            runtime: self
                .runtime(&files, held)
                .map_err(|error| self.failed(&error, query))?,
            shared: Shared {
                files,
                counts,
                footers: Arc::clone(&self.footers),
            },
        };
        // A panic within a library is one query's failure.
        let begun = AssertUnwindSafe(self.begin(&run, limit))
            .catch_unwind()
            .await;
        begun.unwrap_or_else(|_| Err(panicked()))
    }

    async fn begin(&self, run: &Run<'_>, limit: Option<usize>) -> Result<Answer> {
        let failed = |error: &DataFusionError| self.failed(error, run.query);
        let mut how = How {
            threads: self.limits.threads,
            hash_joins: true,
            is_recursive: names::is_recursive(run.query.statement()),
        };
        loop {
            let state = session::open(run.sources, &run.shared, Arc::clone(&run.runtime), how)
                .map_err(|error| failed(&error))?;
            let mut statement = names::unique(run.query.statement().clone());
            let is_aggregate = |name: &str| state.aggregate_functions().contains_key(name);
            dialect::translate(&mut statement, &is_aggregate)?;
            functions::check(&state, &statement)?;
            let plan = plan(&state, statement, limit)
                .await
                .map_err(|error| failed(&error))?;
            if run.query.is_explained() {
                let text = self.explain(&state, &plan, run).await?;
                return Ok(text);
            }
            let mut stream = execute(&state, &plan)
                .await
                .map_err(|error| failed(&error))?;
            // The build side of a hash join must fit in memory, and it is complete before the first row.
            match stream.next().await {
                Some(Err(error)) if how.hash_joins && is_out_of_memory(&error) => {
                    how.hash_joins = false;
                }
                first => {
                    let schema = stream.schema();
                    let rest = futures::stream::iter(first).chain(stream).boxed();
                    let statement = run.query.statement().clone();
                    let memory = self.limits.query_memory;
                    let rows = rest.map_err(move |error| explained(&error, &statement, memory));
                    let progress = Progress {
                        files: Arc::clone(&run.shared.files),
                        counts: Arc::clone(&run.shared.counts),
                    };
                    return Ok(Answer::new(schema, rows.boxed(), limit, progress));
                }
            }
        }
    }

    async fn explain(
        &self,
        state: &SessionState,
        plan: &LogicalPlan,
        run: &Run<'_>,
    ) -> Result<Answer> {
        let failed = |error: &DataFusionError| self.failed(error, run.query);
        let optimized = state.optimize(plan).map_err(|error| failed(&error))?;
        // Which files are left out is known once the scans are planned.
        state
            .query_planner()
            .create_physical_plan(&optimized, state)
            .await
            .map_err(|error| failed(&error))?;
        let progress = Progress {
            files: Arc::clone(&run.shared.files),
            counts: Arc::clone(&run.shared.counts),
        };
        Answer::of_plan(&optimized.display_indent().to_string(), progress)
    }

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

fn panicked() -> Error {
    tracing::error!("a query ended in a panic");
    Error::new(
        ErrorKind::Unsupported,
        "the query is not supported: the engine failed on it; write it in another way",
    )
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
