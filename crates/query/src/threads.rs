//! The threads that queries are computed on: computing on those that serve requests would keep these waiting.

use std::future::Future;
use std::sync::OnceLock;

use tarn_core::{Error, Result};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

/// Planning recurses, more deeply in a build without optimisation. Memory is taken as it is used.
const STACK: usize = 64 * 1024 * 1024;

/// Started by the first query.
#[derive(Debug)]
pub(crate) struct Threads {
    count: usize,
    runtime: OnceLock<Runtime>,
}

impl Threads {
    pub fn new(count: usize) -> Self {
        Threads {
            count: count.max(1),
            runtime: OnceLock::new(),
        }
    }

    /// Begins work.
    pub fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<JoinHandle<T>> {
        if let Some(runtime) = self.runtime.get() {
            return Ok(runtime.spawn(work));
        }
        let built = Builder::new_multi_thread()
            .worker_threads(self.count)
            .thread_name("query")
            .thread_stack_size(STACK)
            .enable_all()
            .build()
            .map_err(|error| {
                Error::internal("the threads of queries cannot be started").with_source(error)
            })?;
        if let Err(second) = self.runtime.set(built) {
            // Another query was faster.
            second.shutdown_background();
        }
        match self.runtime.get() {
            Some(runtime) => Ok(runtime.spawn(work)),
            None => Err(Error::internal("the threads of queries were not kept")),
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        // Waiting for them is not allowed where futures run.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
