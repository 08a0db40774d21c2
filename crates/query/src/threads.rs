//! The threads that queries are computed on: computing on those that serve requests would keep these waiting.

use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::thread::available_parallelism;

use tarn_core::{Error, Result};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

/// Planning recurses, more deeply in a build without optimisation. Memory is taken as it is used.
const STACK: usize = 64 * 1024 * 1024;

/// Those of this process, started by its first query. They last as long as the process: to end them, some other
/// thread would have to wait, and glibc may read the memory of a thread that nobody waits for after it was given
/// back (pthread_detach), which it is at once for stacks as large as these.
static THREADS: Mutex<Option<Runtime>> = Mutex::new(None);

/// Begins work.
pub(crate) fn spawn<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<JoinHandle<T>> {
    let mut threads = THREADS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(started) = threads.as_ref() {
        return Ok(started.spawn(work));
    }
    let started = Builder::new_multi_thread()
        .worker_threads(available_parallelism().map_or(1, usize::from))
        .thread_name("query")
        .thread_stack_size(STACK)
        .enable_all()
        .build()
        .map_err(|error| {
            Error::internal("the threads of queries cannot be started").with_source(error)
        })?;
    let task = started.spawn(work);
    *threads = Some(started);
    Ok(task)
}
