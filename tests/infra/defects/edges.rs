//! What is handed on.

use serde_json::{Value, json};

use super::{Defect, function, remove, set};

const STREAM_READER: &str = "module.lake.module.stream.aws_lambda_event_source_mapping.this";
const QUEUE_READER: &str = "module.lake.module.ingest_queue.aws_lambda_event_source_mapping.this";
const INGEST_QUEUE: &str = "module.lake.module.ingest_queue.aws_sqs_queue.this";

pub fn all() -> Vec<Defect> {
    [queues(), readers_of_queues(), stream()]
        .into_iter()
        .flatten()
        .collect()
}

/// Queues, and events that are on their way to one.
fn queues() -> Vec<Defect> {
    vec![
        (
            "plain HTTP to a queue",
            "queues and topics refuse plain HTTP",
            remove("module.lake.module.marts_queue.aws_sqs_queue_policy.this"),
        ),
        (
            "a queue without a dead-letter queue",
            "queues of work have a dead-letter queue",
            set(INGEST_QUEUE, "/redrive_policy", Value::Null),
        ),
        (
            "a dead-letter queue that is not there",
            "queues of work have a dead-letter queue",
            remove("module.lake.module.ingest_queue.module.dead_letter.aws_sqs_queue.this"),
        ),
        (
            "events that are lost",
            "rules keep what cannot be delivered",
            set(
                "module.lake.module.object_events.aws_cloudwatch_event_target.this",
                "/dead_letter_config",
                json!([]),
            ),
        ),
        (
            "runs that are lost",
            "schedules keep what cannot be delivered",
            set(
                "module.lake.module.schedule.aws_scheduler_schedule.this[\"quality\"]",
                "/target/0/dead_letter_config",
                json!([]),
            ),
        ),
        (
            "failures without a notification",
            "asynchronous functions keep what failed",
            set(function("maintain"), "/dead_letter_config", json!([])),
        ),
        (
            "notifications that are lost",
            "notifications keep what cannot be delivered",
            set(
                "module.lake.module.monitoring.aws_sns_topic_subscription.email[\"data-team@example.com\"]",
                "/redrive_policy",
                Value::Null,
            ),
        ),
    ]
}

/// Functions that read queues.
fn readers_of_queues() -> Vec<Defect> {
    vec![
        (
            "one bad message that fails its batch",
            "queues are read with partial failures",
            set(QUEUE_READER, "/function_response_types", json!([])),
        ),
        (
            "a queue that nobody reads",
            "queues are read with partial failures",
            remove(QUEUE_READER),
        ),
        (
            "a short visibility timeout",
            "a message is not delivered twice at once",
            set(INGEST_QUEUE, "/visibility_timeout_seconds", json!(300)),
        ),
        (
            "a visibility timeout without the time to collect a batch",
            "a message is not delivered twice at once",
            set(
                "module.lake.module.marts_queue.aws_sqs_queue.this",
                "/visibility_timeout_seconds",
                json!(3600),
            ),
        ),
    ]
}

/// The function that reads the stream.
fn stream() -> Vec<Defect> {
    vec![
        (
            "records given up after some minutes",
            "records of the stream are tried until they are old, and then reported",
            set(STREAM_READER, "/maximum_retry_attempts", json!(5)),
        ),
        (
            "records that have expired when they are given up",
            "records of the stream are tried until they are old, and then reported",
            set(
                STREAM_READER,
                "/maximum_record_age_in_seconds",
                json!(604_800),
            ),
        ),
        (
            "a record that blocks its shard for ever",
            "records of the stream are tried until they are old, and then reported",
            set(STREAM_READER, "/maximum_record_age_in_seconds", json!(-1)),
        ),
        (
            "a batch that is not split",
            "records of the stream are tried until they are old, and then reported",
            set(
                STREAM_READER,
                "/bisect_batch_on_function_error",
                json!(false),
            ),
        ),
        (
            "lost batches without a notification",
            "records of the stream are tried until they are old, and then reported",
            set(STREAM_READER, "/destination_config", json!([])),
        ),
        (
            "whole batches repeated",
            "records of the stream are tried until they are old, and then reported",
            set(STREAM_READER, "/function_response_types", json!([])),
        ),
        (
            "records from before that are skipped",
            "records of the stream are tried until they are old, and then reported",
            set(STREAM_READER, "/starting_position", json!("LATEST")),
        ),
        (
            "dead letters that vanish",
            "dead-letter queues keep messages for 14 days",
            set(
                "module.lake.module.ingest_queue.module.dead_letter.aws_sqs_queue.this",
                "/message_retention_seconds",
                json!(345600),
            ),
        ),
    ]
}
