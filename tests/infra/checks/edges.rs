//! What is handed on between services, and what happens to it when that fails.

use serde_json::Value;

use crate::plan::{Plan, Resource};
use crate::policy::statements;

/// The name at the end of an ARN.
fn last(arn: &str) -> &str {
    arn.rsplit([':', '/']).next().unwrap_or_default()
}

fn dead_letter_queues(plan: &Plan) -> Vec<String> {
    plan.of_kind("aws_sqs_queue")
        .iter()
        .map(|queue| queue.text("/name").to_owned())
        .filter(|name| name.ends_with("-dlq"))
        .collect()
}

/// Whether an ARN names a dead-letter queue that the plan makes.
fn is_kept(plan: &Plan, arn: &str) -> bool {
    dead_letter_queues(plan)
        .iter()
        .any(|name| name == last(arn))
}

fn broken(plan: &Plan, kind: &str, holds: impl Fn(&Resource<'_>) -> bool) -> Vec<String> {
    let resources = plan.of_kind(kind);
    let mut faults: Vec<String> = resources
        .iter()
        .filter(|resource| !holds(resource))
        .map(|resource| resource.address.to_owned())
        .collect();
    if resources.is_empty() {
        faults.push(format!("there is no {kind}"));
    }
    faults
}

pub fn tls(plan: &Plan) -> Vec<String> {
    let all = statements(plan);
    let refuses = |arn_end: &str, kind: &str, action: &str| {
        all.iter().any(|statement| {
            statement.kind == kind
                && statement.json["Effect"] == "Deny"
                && statement.is_about_everybody()
                && statement.actions() == [action]
                && statement.resources().iter().any(|arn| last(arn) == arn_end)
                && statement.conditions()
                    == [(
                        "Bool".into(),
                        "aws:SecureTransport".into(),
                        vec!["false".into()],
                    )]
        })
    };
    let mut faults = Vec::new();
    for queue in plan.of_kind("aws_sqs_queue") {
        if !refuses(queue.text("/name"), "aws_sqs_queue_policy", "sqs:*") {
            faults.push(queue.address.to_owned());
        }
    }
    for topic in plan.of_kind("aws_sns_topic") {
        if !refuses(topic.text("/name"), "aws_sns_topic_policy", "sns:Publish") {
            faults.push(topic.address.to_owned());
        }
    }
    faults
}

pub fn queues(plan: &Plan) -> Vec<String> {
    plan.of_kind("aws_sqs_queue")
        .iter()
        .filter(|queue| !queue.text("/name").ends_with("-dlq"))
        .filter(|queue| {
            let redrive: Value =
                serde_json::from_str(queue.text("/redrive_policy")).unwrap_or_default();
            let target = redrive["deadLetterTargetArn"].as_str().unwrap_or_default();
            !is_kept(plan, target) || redrive["maxReceiveCount"].as_u64().unwrap_or(0) < 2
        })
        .map(|queue| queue.address.to_owned())
        .collect()
}

pub fn rules(plan: &Plan) -> Vec<String> {
    broken(plan, "aws_cloudwatch_event_target", |target| {
        is_kept(plan, target.text("/dead_letter_config/0/arn"))
            && target
                .number("/retry_policy/0/maximum_retry_attempts")
                .unwrap_or(0.0)
                >= 1.0
    })
}

pub fn schedules(plan: &Plan) -> Vec<String> {
    broken(plan, "aws_scheduler_schedule", |schedule| {
        is_kept(plan, schedule.text("/target/0/dead_letter_config/0/arn"))
            && schedule
                .number("/target/0/retry_policy/0/maximum_retry_attempts")
                .unwrap_or(0.0)
                >= 1.0
    })
}

/// The scheduler calls functions asynchronously, so only Lambda learns of a failure.
pub fn functions(plan: &Plan) -> Vec<String> {
    let scheduled: Vec<String> = plan
        .of_kind("aws_scheduler_schedule")
        .iter()
        .map(|schedule| last(schedule.text("/target/0/arn")).to_owned())
        .collect();
    plan.of_kind("aws_lambda_function")
        .iter()
        .filter(|function| scheduled.contains(&function.text("/function_name").to_owned()))
        .filter(|function| !is_kept(plan, function.text("/dead_letter_config/0/target_arn")))
        .map(|function| function.address.to_owned())
        .collect()
}

pub fn subscriptions(plan: &Plan) -> Vec<String> {
    plan.of_kind("aws_sns_topic_subscription")
        .iter()
        .filter(|subscription| {
            let redrive: Value =
                serde_json::from_str(subscription.text("/redrive_policy")).unwrap_or_default();
            !is_kept(
                plan,
                redrive["deadLetterTargetArn"].as_str().unwrap_or_default(),
            )
        })
        .map(|subscription| subscription.address.to_owned())
        .collect()
}

fn mappings<'a>(plan: &'a Plan, service: &str) -> Vec<Resource<'a>> {
    let mark = format!(":{service}:");
    plan.of_kind("aws_lambda_event_source_mapping")
        .into_iter()
        .filter(|mapping| mapping.text("/event_source_arn").contains(&mark))
        .collect()
}

fn reports_partial_failures(mapping: &Resource<'_>) -> bool {
    mapping.values["function_response_types"]
        .as_array()
        .is_some_and(|types| types.contains(&Value::from("ReportBatchItemFailures")))
}

pub fn queue_readers(plan: &Plan) -> Vec<String> {
    let readers = mappings(plan, "sqs");
    let mut faults: Vec<String> = readers
        .iter()
        .filter(|mapping| {
            !reports_partial_failures(mapping)
                || mapping
                    .number("/scaling_config/0/maximum_concurrency")
                    .is_none()
        })
        .map(|mapping| mapping.address.to_owned())
        .collect();
    for queue in plan.of_kind("aws_sqs_queue") {
        let name = queue.text("/name");
        let read = readers
            .iter()
            .any(|mapping| last(mapping.text("/event_source_arn")) == name);
        if read == name.ends_with("-dlq") {
            faults.push(format!("{} is read by a function: {read}", queue.address));
        }
    }
    faults
}

pub fn visibility(plan: &Plan) -> Vec<String> {
    let functions = plan.of_kind("aws_lambda_function");
    let queues = plan.of_kind("aws_sqs_queue");
    mappings(plan, "sqs")
        .iter()
        .filter(|mapping| {
            let timeout = functions
                .iter()
                .find(|function| function.text("/function_name") == mapping.text("/function_name"))
                .and_then(|function| function.number("/timeout"));
            let visibility = queues
                .iter()
                .find(|queue| queue.text("/name") == last(mapping.text("/event_source_arn")))
                .and_then(|queue| queue.number("/visibility_timeout_seconds"));
            match (timeout, visibility) {
                (Some(timeout), Some(visibility)) => {
                    let window = mapping
                        .number("/maximum_batching_window_in_seconds")
                        .unwrap_or(0.0);
                    visibility < 6.0 * timeout + window
                }
                _ => true,
            }
        })
        .map(|mapping| mapping.address.to_owned())
        .collect()
}

pub fn stream_readers(plan: &Plan) -> Vec<String> {
    let readers = mappings(plan, "kinesis");
    let mut faults: Vec<String> = readers
        .iter()
        .filter(|mapping| {
            let retries = mapping.number("/maximum_retry_attempts").unwrap_or(-1.0);
            let age = mapping
                .number("/maximum_record_age_in_seconds")
                .unwrap_or(-1.0);
            let kept = plan
                .of_kind("aws_kinesis_stream")
                .iter()
                .find(|stream| stream.text("/name") == last(mapping.text("/event_source_arn")))
                .and_then(|stream| stream.number("/retention_period"))
                .unwrap_or(0.0);
            // Records are retried until they reach an age, not a number of times: the cause of a failure
            // is usually outside the archive. What is given up can then be read for the same time again.
            !(mapping.is_true("/bisect_batch_on_function_error")
                && retries == -1.0
                && age >= 3600.0
                && 2.0 * age <= 3600.0 * kept
                && reports_partial_failures(mapping)
                && mapping.text("/starting_position") == "TRIM_HORIZON"
                && is_kept(
                    plan,
                    mapping.text("/destination_config/0/on_failure/0/destination_arn"),
                ))
        })
        .map(|mapping| mapping.address.to_owned())
        .collect();
    if readers.len() != plan.of_kind("aws_kinesis_stream").len() {
        faults.push("every stream has one reader".to_owned());
    }
    faults
}

pub fn retention(plan: &Plan) -> Vec<String> {
    broken(plan, "aws_sqs_queue", |queue| {
        !queue.text("/name").ends_with("-dlq")
            || queue.number("/message_retention_seconds") == Some(1_209_600.0)
    })
}
