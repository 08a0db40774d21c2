//! The HTTP API for API Gateway: the router that `tarn serve` uses.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use axum::response::Response;
use lambda_http::{Request, RequestExt};
use tarn_api::{Deadline, Limits, router};
use tarn_lake::Lake;
use tower::{Service, ServiceExt};

use crate::{Function, deadline};

/// API Gateway waits 30 seconds; an answer that says why is better than none.
const TIMEOUT: Duration = Duration::from_secs(27);

/// Time that is left to write an answer when a query has taken too long.
const ANSWER_TIME: Duration = Duration::from_millis(1500);

/// Lambda sends at most 6 MiB, headers and the JSON around the body included.
const ANSWER_BYTES: u64 = 6 * 1024 * 1024 - 64 * 1024;

/// Rows of an answer per MiB of memory: a row of text takes about two KiB while it is written.
const ROWS_PER_MEBIBYTE: u64 = 40;

fn limits(memory: u64) -> Limits {
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
pub async fn serve(function: &Function) -> Result<(), lambda_runtime::Error> {
    let limits = limits(function.start.memory);
    lambda_http::run(service(function.lake.clone(), limits)).await
}

/// The router, with the deadline of each request.
fn service(
    lake: Lake,
    limits: Limits,
) -> impl Service<Request, Response = Response, Error = Infallible, Future: Send> {
    router(lake, limits).map_request(|mut request: Request| {
        let end = request.lambda_context_ref().map(deadline);
        if let Some(end) = end.and_then(|end| end.checked_sub(ANSWER_TIME)) {
            request
                .extensions_mut()
                .insert(Deadline(end.max(Instant::now())));
        }
        request
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use lambda_http::request::from_str;
    use serde_json::Value;
    use tarn_core::ports::PutMode;
    use tarn_local::LocalLake;

    use super::*;

    async fn answer(event: &str, limits: Limits) -> (u16, String, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let local = LocalLake::create(folder.path()).unwrap();
        let lake = Lake::new(
            local.objects(),
            local.catalog(),
            local.ledger(),
            tarn_contract::load_dir(std::path::Path::new("../../contracts")).unwrap(),
            &local.scratch(),
        )
        .with_keys(local.keys());
        let key = "raw/ads/events/ingest_date=2026-01-31/events.ndjson";
        let events = std::fs::read("../../events/ads/events.ndjson").unwrap();
        lake.objects
            .put(key, events.into(), PutMode::Overwrite)
            .await
            .unwrap();
        tarn_ingest::ingest(&lake, key).await.unwrap();
        let event = std::fs::read_to_string(format!("../../events/apigw/{event}")).unwrap();
        let request = from_str(&event).unwrap();
        let response = service(lake, limits).oneshot(request).await.unwrap();
        let media_type = response.headers()["content-type"]
            .to_str()
            .unwrap()
            .to_owned();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX)
            .await
            .unwrap();
        (status, media_type, body.to_vec())
    }

    #[tokio::test]
    async fn requests_of_api_gateway_reach_the_router() {
        for (event, status, media_type, part) in [
            ("health.json", 200, "application/json", "\"status\":\"ok\""),
            ("ready.json", 200, "application/json", "\"tables\":2"),
            ("table.json", 200, "application/json", "\"event_id\""),
            (
                "query.json",
                200,
                "application/json",
                "\"event_type\":\"click\"",
            ),
            (
                "query_base64.json",
                200,
                "application/json",
                "\"event_type\":\"click\"",
            ),
            (
                "query_parquet.json",
                200,
                "application/vnd.apache.parquet",
                "PAR1",
            ),
        ] {
            let (found, kind, body) = answer(event, limits(1024)).await;
            let text = String::from_utf8_lossy(&body);
            assert_eq!(found, status, "{event}: {text}");
            assert_eq!(kind, media_type, "{event}");
            assert!(text.contains(part), "{event}: {text}");
        }
    }

    #[tokio::test]
    async fn an_answer_that_lambda_cannot_send_is_refused_with_the_remedy() {
        let limits = Limits {
            answer_bytes: Some(40),
            ..limits(1024)
        };
        let (status, _, body) = answer("query.json", limits).await;
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(status, 400);
        let message = body["error"]["message"].as_str().unwrap();
        assert!(message.contains("LIMIT"), "{message}");
    }

    #[tokio::test]
    async fn a_query_that_takes_too_long_is_answered_in_time() {
        let limits = Limits {
            timeout: Duration::ZERO,
            ..limits(1024)
        };
        let (status, _, body) = answer("query.json", limits).await;
        assert_eq!(status, 503, "{}", String::from_utf8_lossy(&body));
    }

    #[test]
    fn a_small_function_gives_fewer_rows() {
        assert_eq!(limits(512).most_rows, 20_480);
        assert_eq!(limits(10_240).most_rows, Limits::default().most_rows);
    }
}
