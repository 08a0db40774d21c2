//! What is seen from outside: alarms, logs, the API.

use serde_json::Value;

use crate::plan::{Plan, Resource};
use crate::terraform::root;

/// The alarms on a metric of one thing.
fn alarms<'a>(plan: &'a Plan, metric: &str, dimension: &str, of: &str) -> Vec<Resource<'a>> {
    plan.of_kind("aws_cloudwatch_metric_alarm")
        .into_iter()
        .filter(|alarm| {
            alarm.text("/metric_name") == metric
                && alarm.text(&format!("/dimensions/{dimension}")) == of
        })
        .collect()
}

fn is_greater(alarm: &Resource<'_>) -> bool {
    alarm
        .text("/comparison_operator")
        .starts_with("GreaterThan")
}

fn queues(plan: &Plan, dead: bool) -> Vec<String> {
    plan.of_kind("aws_sqs_queue")
        .iter()
        .map(|queue| queue.text("/name").to_owned())
        .filter(|name| name.ends_with("-dlq") == dead)
        .collect()
}

pub fn dead_letters(plan: &Plan) -> Vec<String> {
    queues(plan, true)
        .into_iter()
        .filter(|queue| {
            !alarms(
                plan,
                "ApproximateNumberOfMessagesVisible",
                "QueueName",
                queue,
            )
            .iter()
            .any(|alarm| {
                alarm.text("/namespace") == "AWS/SQS"
                    && alarm.text("/comparison_operator") == "GreaterThanThreshold"
                    && alarm.number("/threshold") == Some(0.0)
                    && alarm.text("/statistic") == "Maximum"
            })
        })
        .collect()
}

pub fn queue_age(plan: &Plan) -> Vec<String> {
    queues(plan, false)
        .into_iter()
        .filter(|queue| {
            !alarms(plan, "ApproximateAgeOfOldestMessage", "QueueName", queue)
                .iter()
                .any(|alarm| alarm.text("/namespace") == "AWS/SQS" && is_greater(alarm))
        })
        .collect()
}

pub fn functions(plan: &Plan) -> Vec<String> {
    let mut faults = Vec::new();
    for function in plan.of_kind("aws_lambda_function") {
        for metric in ["Errors", "Throttles"] {
            let found = alarms(
                plan,
                metric,
                "FunctionName",
                function.text("/function_name"),
            );
            if !found.iter().any(|alarm| {
                alarm.text("/namespace") == "AWS/Lambda"
                    && alarm.text("/statistic") == "Sum"
                    && is_greater(alarm)
            }) {
                faults.push(format!("{metric} of {}", function.text("/function_name")));
            }
        }
    }
    let quality = format!("{}-quality", plan.prefix());
    if !alarms(plan, "Invocations", "FunctionName", &quality)
        .iter()
        .any(|alarm| {
            alarm.text("/treat_missing_data") == "breaching"
                && alarm.text("/comparison_operator") == "LessThanThreshold"
        })
    {
        faults.push(format!("{quality} may be silent"));
    }
    faults
}

pub fn iterator_age(plan: &Plan) -> Vec<String> {
    plan.of_kind("aws_lambda_event_source_mapping")
        .iter()
        .filter(|mapping| mapping.text("/event_source_arn").contains(":kinesis:"))
        .map(|mapping| mapping.text("/function_name").to_owned())
        .filter(|function| {
            !alarms(plan, "IteratorAge", "FunctionName", function)
                .iter()
                .any(is_greater)
        })
        .collect()
}

pub fn api_errors(plan: &Plan) -> Vec<String> {
    let found = plan
        .of_kind("aws_cloudwatch_metric_alarm")
        .into_iter()
        .filter(|alarm| {
            alarm.text("/namespace") == "AWS/ApiGateway"
                && alarm.text("/metric_name") == "5xx"
                && is_greater(alarm)
        })
        .count();
    (found != 1)
        .then(|| format!("{found} alarms on 5xx"))
        .into_iter()
        .collect()
}

/// The namespace of the lake's own metrics: nothing else in them names the lake.
fn namespace(plan: &Plan) -> String {
    format!("Tarn/{}", plan.prefix())
}

/// Functions write metrics of their own lake, and alarms look at these and at those of AWS.
pub fn own_metrics(plan: &Plan) -> Vec<String> {
    let own = namespace(plan);
    let strange_functions = plan
        .of_kind("aws_lambda_function")
        .into_iter()
        .filter(|function| function.text("/environment/0/variables/TARN_METRICS_NAMESPACE") != own)
        .map(|function| function.address.to_owned());
    let strange_alarms = plan
        .of_kind("aws_cloudwatch_metric_alarm")
        .into_iter()
        .filter(|alarm| {
            let found = alarm.text("/namespace");
            !found.starts_with("AWS/") && found != own
        })
        .map(|alarm| alarm.address.to_owned());
    strange_functions.chain(strange_alarms).collect()
}

pub fn freshness(plan: &Plan) -> Vec<String> {
    ["ad_events", "web_requests"]
        .into_iter()
        .filter(|dataset| {
            !alarms(plan, "FreshnessSeconds", "Dataset", dataset)
                .iter()
                .any(|alarm| alarm.text("/namespace") == namespace(plan) && is_greater(alarm))
        })
        .map(str::to_owned)
        .collect()
}

pub fn quality(plan: &Plan) -> Vec<String> {
    let mut faults = Vec::new();
    for dataset in ["ad_events", "orders"] {
        for metric in ["PromiseBroken", "AnomaliesFound"] {
            let found = alarms(plan, metric, "Dataset", dataset);
            if !found.iter().any(|alarm| {
                alarm.text("/namespace") == namespace(plan)
                    && alarm.text("/comparison_operator") == "GreaterThanThreshold"
                    && alarm.number("/threshold") == Some(0.0)
                    && alarm.text("/statistic") == "Maximum"
            }) {
                faults.push(format!("{metric} of {dataset}"));
            }
        }
    }
    faults
}

/// Each alarm goes to the topic, both ways, and names a runbook that exists.
pub fn heard(plan: &Plan) -> Vec<String> {
    let topic = format!(":{}-alarms", plan.prefix());
    let mut faults = Vec::new();
    for alarm in plan.of_kind("aws_cloudwatch_metric_alarm") {
        for actions in ["alarm_actions", "ok_actions"] {
            let to_topic = alarm.values[actions].as_array().is_some_and(|actions| {
                actions
                    .iter()
                    .any(|arn| arn.as_str().is_some_and(|arn| arn.ends_with(&topic)))
            });
            if !to_topic {
                faults.push(format!("{} {actions}", alarm.address));
            }
        }
        if alarm.values["actions_enabled"] == Value::Bool(false) {
            faults.push(format!("{} is switched off", alarm.address));
        }
        let runbook = alarm
            .text("/alarm_description")
            .split_whitespace()
            .find(|word| word.starts_with("docs/runbooks/"))
            .unwrap_or_default()
            .to_owned();
        if runbook.is_empty() || !root().join(&runbook).is_file() {
            faults.push(format!("{} names no runbook: {runbook}", alarm.address));
        }
    }
    faults
}

pub fn budget(plan: &Plan) -> Vec<String> {
    let topic = format!(":{}-alarms", plan.prefix());
    let budgets = plan.of_kind("aws_budgets_budget");
    let mut faults: Vec<String> = budgets
        .iter()
        .filter(|budget| {
            let notifications = budget.values["notification"].as_array();
            let kind = |kind: &str| {
                notifications.into_iter().flatten().any(|notification| {
                    notification["notification_type"] == kind
                        && notification["subscriber_sns_topic_arns"]
                            .as_array()
                            .into_iter()
                            .flatten()
                            .any(|arn| arn.as_str().is_some_and(|arn| arn.ends_with(&topic)))
                })
            };
            !(kind("ACTUAL") && kind("FORECASTED"))
        })
        .map(|budget| budget.address.to_owned())
        .collect();
    if budgets.len() != 1 {
        faults.push(format!("{} budgets", budgets.len()));
    }
    faults
}

pub fn functions_log(plan: &Plan) -> Vec<String> {
    let groups: Vec<String> = plan
        .of_kind("aws_cloudwatch_log_group")
        .iter()
        .map(|group| group.text("/name").to_owned())
        .collect();
    plan.of_kind("aws_lambda_function")
        .iter()
        .filter(|function| {
            !(function.text("/logging_config/0/log_format") == "JSON"
                && groups.contains(&function.text("/logging_config/0/log_group").to_owned())
                && function.text("/tracing_config/0/mode") == "Active"
                && function.text("/runtime") == "provided.al2023"
                && function.text("/function_name")
                    == format!("{}-{}", plan.prefix(), function.text("/handler")))
        })
        .map(|function| function.address.to_owned())
        .collect()
}

/// Lambda passes on the lines that the function is set to log, and the metrics, which it treats as INFO.
pub fn log_levels(plan: &Plan) -> Vec<String> {
    plan.of_kind("aws_lambda_function")
        .iter()
        .filter(|function| {
            let wanted = match function.text("/environment/0/variables/TARN_LOG") {
                "debug" => "DEBUG",
                "trace" => "TRACE",
                _ => "INFO",
            };
            function.text("/logging_config/0/application_log_level") != wanted
        })
        .map(|function| function.address.to_owned())
        .collect()
}

pub fn routes(plan: &Plan) -> Vec<String> {
    let routes = plan.of_kind("aws_apigatewayv2_route");
    let mut faults: Vec<String> = routes
        .iter()
        .filter(|route| {
            let kind = route.text("/authorization_type");
            match route.text("/route_key") {
                "GET /health" => kind != "NONE",
                _ => kind != "AWS_IAM" && !(kind == "JWT" && route.is_unknown("/authorizer_id")),
            }
        })
        .map(|route| route.address.to_owned())
        .collect();
    for key in ["GET /health", "$default"] {
        if !routes.iter().any(|route| route.text("/route_key") == key) {
            faults.push(format!("no route {key}"));
        }
    }
    faults
}

pub fn stage(plan: &Plan) -> Vec<String> {
    plan.of_kind("aws_apigatewayv2_stage")
        .iter()
        .filter(|stage| {
            let settings = "/default_route_settings/0";
            let format: Value = serde_json::from_str(stage.text("/access_log_settings/0/format"))
                .unwrap_or_default();
            let positive = |name: &str| {
                stage
                    .number(&format!("{settings}/{name}"))
                    .is_some_and(|value| value > 0.0)
            };
            let secrets = ["authorization", "queryString", "body"];
            let quiet = format.as_object().is_some_and(|fields| {
                fields.values().all(|field| {
                    let field = field.as_str().unwrap_or_default();
                    secrets.iter().all(|secret| !field.contains(secret))
                })
            });
            !(positive("throttling_rate_limit")
                && positive("throttling_burst_limit")
                && quiet
                && format["status"] == "$context.status")
        })
        .map(|stage| stage.address.to_owned())
        .collect()
}
