//! A batch while a reader fills it.

use crate::batch::{Batch, Rejected, RowPlace};

/// A batch ends at this many rejected rows, or at this many bytes of them: each has memory of its own.
pub(crate) const BATCH_REJECTED: usize = 8192;
const BATCH_REJECTED_BYTES: usize = 4 << 20;

/// A batch while a reader fills it.
pub(crate) struct BatchBuilder {
    pub(crate) batch: Batch,
    max_rows: usize,
    rejected_bytes: usize,
}

impl BatchBuilder {
    /// Fills `batch`, whose columns the reader fills itself, with at most `max_rows` rows.
    pub(crate) fn new(batch: Batch, max_rows: usize) -> Self {
        BatchBuilder {
            batch,
            max_rows,
            rejected_bytes: 0,
        }
    }

    /// Adds the place of a row whose columns were filled; `span` is where its text is in the batch's text.
    #[inline]
    pub(crate) fn accept(&mut self, place: RowPlace, span: (usize, usize)) {
        self.batch.offsets.push(place.offset);
        self.batch.lines.extend(place.line);
        self.batch.spans.push(span);
    }

    #[cold]
    pub(crate) fn reject(&mut self, rejected: Rejected) {
        self.rejected_bytes += rejected.payload.len();
        self.batch.rejected.push(rejected);
    }

    /// Whether the next row belongs to the next batch.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.batch.offsets.len() >= self.max_rows
            || self.batch.rejected.len() >= BATCH_REJECTED
            || self.rejected_bytes >= BATCH_REJECTED_BYTES
    }
}
