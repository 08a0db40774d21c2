//! Limits of AWS. An emulator accepts more, and an apply fails half way.

use std::collections::BTreeSet;

use crate::plan::{Plan, Resource};
use crate::policy::documents;

/// The longest prefix that a lake may have.
const LONGEST_PREFIX: usize = 24;

/// The length of a text in a lake whose prefix is the longest.
fn longest(plan: &Plan, text: &str) -> usize {
    let prefix = plan.prefix();
    let underscored = prefix.replace('-', "_");
    let times = text.matches(&prefix).count() + text.matches(&underscored).count();
    text.chars().count() + times * (LONGEST_PREFIX - prefix.len())
}

/// Characters of an argument by kind of resource, from the API reference of each service.
const LENGTHS: &[(&str, &str, usize)] = &[
    ("aws_apigatewayv2_api", "/name", 128),
    ("aws_apigatewayv2_api", "/description", 1_024),
    ("aws_athena_workgroup", "/name", 128),
    ("aws_athena_workgroup", "/description", 1_024),
    ("aws_budgets_budget", "/name", 100),
    ("aws_cloudwatch_dashboard", "/dashboard_name", 255),
    ("aws_cloudwatch_event_rule", "/name", 64),
    ("aws_cloudwatch_event_rule", "/description", 512),
    ("aws_cloudwatch_event_rule", "/event_pattern", 2_048),
    ("aws_cloudwatch_event_target", "/target_id", 64),
    ("aws_cloudwatch_log_group", "/name", 512),
    ("aws_cloudwatch_metric_alarm", "/alarm_name", 255),
    ("aws_cloudwatch_metric_alarm", "/alarm_description", 1_024),
    ("aws_cloudwatch_metric_alarm", "/namespace", 255),
    ("aws_dynamodb_table", "/name", 255),
    ("aws_glue_catalog_database", "/name", 255),
    ("aws_glue_catalog_database", "/description", 2_048),
    ("aws_iam_role", "/name", 64),
    ("aws_iam_role", "/description", 1_000),
    ("aws_iam_role_policy", "/name", 128),
    ("aws_kinesis_stream", "/name", 128),
    ("aws_kms_alias", "/name", 256),
    ("aws_kms_key", "/description", 8_192),
    ("aws_lambda_function", "/function_name", 64),
    ("aws_lambda_function", "/description", 256),
    ("aws_lambda_permission", "/statement_id", 100),
    ("aws_s3_bucket", "/bucket", 63),
    ("aws_scheduler_schedule", "/name", 64),
    ("aws_scheduler_schedule", "/description", 512),
    ("aws_scheduler_schedule_group", "/name", 64),
    ("aws_secretsmanager_secret", "/name", 512),
    ("aws_secretsmanager_secret", "/description", 2_048),
    ("aws_sns_topic", "/name", 256),
    ("aws_sns_topic", "/display_name", 100),
    ("aws_sqs_queue", "/name", 80),
];

/// Names and descriptions fit with the longest prefix.
pub fn lengths(plan: &Plan) -> Vec<String> {
    let too_long = |resource: &Resource<'_>, pointer: &str, most: usize| {
        let length = longest(plan, resource.text(pointer));
        (length > most).then(|| format!("{}{pointer}: {length} of {most}", resource.address))
    };
    LENGTHS
        .iter()
        .flat_map(|(kind, pointer, most)| {
            plan.of_kind(kind)
                .into_iter()
                .filter_map(|resource| too_long(&resource, pointer, *most))
                .collect::<Vec<_>>()
        })
        .collect()
}

/// Lambda takes 4 KB of environment variables in all, names and values.
pub fn environments(plan: &Plan) -> Vec<String> {
    const MOST: usize = 4_096;
    plan.of_kind("aws_lambda_function")
        .into_iter()
        .filter_map(|function| {
            let variables = function
                .values
                .pointer("/environment/0/variables")?
                .as_object()?;
            let bytes: usize = variables
                .iter()
                // Quotes, colon and comma of each.
                .map(|(name, value)| {
                    name.len() + longest(plan, value.as_str().unwrap_or_default()) + 6
                })
                .sum();
            (bytes > MOST).then(|| format!("{}: {bytes} bytes", function.address))
        })
        .collect()
}

/// Characters of a policy by kind of resource.
const POLICIES: &[(&str, &str, usize)] = &[
    ("aws_iam_role", "/assume_role_policy", 2_048),
    ("aws_iam_role_policy", "/policy", 10_240),
    ("aws_kms_key", "/policy", 32_768),
    ("aws_s3_bucket_policy", "/policy", 20_480),
    ("aws_sns_topic_policy", "/policy", 30_720),
    ("aws_sqs_queue_policy", "/policy", 8_192),
];

/// Policies fit with the longest prefix, and their statements have names that IAM accepts, each once.
pub fn policies(plan: &Plan) -> Vec<String> {
    let mut faults = Vec::new();
    for (kind, pointer, most) in POLICIES {
        for resource in plan.of_kind(kind) {
            let length = longest(plan, resource.text(pointer));
            if length > *most {
                faults.push(format!("{}: {length} of {most}", resource.address));
            }
        }
    }
    for resource in plan.resources() {
        for document in documents(&resource).0 {
            let mut seen = BTreeSet::new();
            for statement in document["Statement"].as_array().into_iter().flatten() {
                let sid = statement["Sid"].as_str().unwrap_or_default();
                let is_right = sid.chars().all(|char| char.is_ascii_alphanumeric());
                if !is_right || !seen.insert(sid) {
                    faults.push(format!("{} names a statement {sid:?}", resource.address));
                }
            }
        }
    }
    faults
}

/// CloudWatch looks back a day at most, or a week for periods of an hour and more.
pub fn alarms(plan: &Plan) -> Vec<String> {
    plan.of_kind("aws_cloudwatch_metric_alarm")
        .into_iter()
        .filter(|alarm| {
            let number = |pointer: &str| alarm.number(pointer).unwrap_or(0.0);
            let (period, times) = (number("/period"), number("/evaluation_periods"));
            let most = if period >= 3_600.0 {
                604_800.0
            } else {
                86_400.0
            };
            !(period == 10.0 || period == 30.0 || period % 60.0 == 0.0)
                || period < 10.0
                || period * times > most
        })
        .map(|alarm| alarm.address.to_owned())
        .collect()
}
