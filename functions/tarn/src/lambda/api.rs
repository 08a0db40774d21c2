//! The HTTP API behind API Gateway: the router that `tarn serve` uses.

use std::time::{Duration, Instant};

use lambda_http::{Request, RequestExt};
use tarn_api::{Deadline, Limits, router};
use tower::ServiceExt;

use crate::lambda::{Function, deadline};

/// API Gateway waits 30 seconds; an answer that says why is better than none.
const TIMEOUT: Duration = Duration::from_secs(27);

/// Time that is left to write an answer when a query has taken too long.
const ANSWER_TIME: Duration = Duration::from_millis(1500);

/// Lambda sends at most 6 MiB, headers and the JSON around the body included.
const ANSWER_BYTES: u64 = 6 * 1024 * 1024 - 64 * 1024;

/// Rows of an answer per MiB of memory: a row of text takes about two KiB while it is written.
const ROWS_PER_MEBIBYTE: u64 = 40;

pub(super) fn limits(memory: u64) -> Limits {
    let defaults = Limits::default();
    let rows = usize::try_from(memory * ROWS_PER_MEBIBYTE).unwrap_or(usize::MAX);
    Limits {
        most_rows: defaults.most_rows.min(rows),
        timeout: TIMEOUT,
        // Lambda sends one request at a time; the other is for a query that was given up and ends
        // in the background.
        concurrency: 2,
        answer_bytes: Some(ANSWER_BYTES),
        ..defaults
    }
}

/// Serves requests until Lambda ends the process.
pub(super) async fn serve(function: &Function) -> Result<(), lambda_runtime::Error> {
    let limits = limits(function.start.memory);
    let router = router(function.cloud.lake.clone(), limits);
    let service = router.map_request(|mut request: Request| {
        let end = request.lambda_context_ref().map(deadline);
        if let Some(end) = end.and_then(|end| end.checked_sub(ANSWER_TIME)) {
            request
                .extensions_mut()
                .insert(Deadline(end.max(Instant::now())));
        }
        request
    });
    lambda_http::run(service).await
}
