//! Memory of queries: each has a bound, and all together have one.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::common::{DataFusionError, Result};
use datafusion::execution::memory_pool::{
    FairSpillPool, MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation,
};

/// The memory of all queries of a process.
#[derive(Debug)]
pub(crate) struct Shared {
    bound: usize,
    used: AtomicUsize,
}

impl Shared {
    pub fn new(bound: usize) -> Self {
        Shared {
            bound,
            used: AtomicUsize::new(0),
        }
    }

    fn take(&self, bytes: usize) -> bool {
        let taken = self
            .used
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes).filter(|used| *used <= self.bound)
            });
        taken.is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The memory of one query: its operators share it evenly, and spill where they can.
pub(crate) struct QueryMemory {
    own: FairSpillPool,
    bound: usize,
    shared: Arc<Shared>,
    /// Every task of the query holds its memory, so this goes with the last of them.
    _held: Option<Held>,
}

/// Something that lasts as long as the work of a query, such as a permit.
pub type Held = Arc<dyn Any + Send + Sync>;

impl fmt::Debug for QueryMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryMemory")
            .field("own", &self.own)
            .finish_non_exhaustive()
    }
}

impl QueryMemory {
    pub fn new(bound: usize, shared: Arc<Shared>, held: Option<Held>) -> Self {
        let bound = bound.min(shared.bound);
        QueryMemory {
            own: FairSpillPool::new(bound),
            bound,
            shared,
            _held: held,
        }
    }
}

impl MemoryPool for QueryMemory {
    fn register(&self, consumer: &MemoryConsumer) {
        self.own.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.own.unregister(consumer);
    }

    // Callers cannot be refused here: the memory is in use already.
    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.shared.used.fetch_add(additional, Ordering::Relaxed);
        self.own.grow(reservation, additional);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.own.shrink(reservation, shrink);
        self.shared.give_back(shrink);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        if !self.shared.take(additional) {
            return Err(DataFusionError::ResourcesExhausted(
                "the queries that run at the same time have used all memory".to_owned(),
            ));
        }
        let grown = self.own.try_grow(reservation, additional);
        if grown.is_err() {
            self.shared.give_back(additional);
        }
        grown
    }

    fn reserved(&self) -> usize {
        self.own.reserved()
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.bound)
    }
}
