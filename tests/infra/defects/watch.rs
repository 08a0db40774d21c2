//! What is seen from outside.

use serde_json::json;

use super::{Defect, add, function, remove, set};

pub fn all() -> Vec<Defect> {
    [
        queues_and_functions(),
        data(),
        notifications_and_logs(),
        api(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Alarms on queues and functions.
fn queues_and_functions() -> Vec<Defect> {
    vec![
        (
            "dead letters without an alarm",
            "dead-letter queues have an alarm",
            remove(
                "module.lake.module.monitoring.aws_cloudwatch_metric_alarm.dead_letters[\"archive\"]",
            ),
        ),
        (
            "an alarm on a hundred dead letters",
            "dead-letter queues have an alarm",
            set(
                "module.lake.module.monitoring.aws_cloudwatch_metric_alarm.dead_letters[\"ingest\"]",
                "/threshold",
                json!(100),
            ),
        ),
        (
            "an alarm on another queue",
            "dead-letter queues have an alarm",
            set(
                "module.lake.module.monitoring.aws_cloudwatch_metric_alarm.dead_letters[\"marts\"]",
                "/dimensions/QueueName",
                json!("tarn-prod-marts"),
            ),
        ),
        (
            "a queue that silts up",
            "queues of work have an alarm",
            remove(
                "module.lake.module.monitoring.aws_cloudwatch_metric_alarm.queue_age[\"ingest\"]",
            ),
        ),
        (
            "errors without an alarm",
            "functions have alarms",
            remove("module.lake.module.monitoring.aws_cloudwatch_metric_alarm.errors[\"marts\"]"),
        ),
        (
            "an alarm the wrong way round",
            "functions have alarms",
            set(
                "module.lake.module.monitoring.aws_cloudwatch_metric_alarm.throttles[\"api\"]",
                "/comparison_operator",
                json!("LessThanThreshold"),
            ),
        ),
        (
            "silence that is taken for health",
            "functions have alarms",
            set(
                "module.lake.module.monitoring.aws_cloudwatch_metric_alarm.quality_silent",
                "/treat_missing_data",
                json!("notBreaching"),
            ),
        ),
    ]
}

/// Alarms on data, and the metrics that they watch.
fn data() -> Vec<Defect> {
    vec![
        (
            "a reader that falls behind",
            "the stream's reader has an alarm",
            remove("module.lake.module.monitoring.aws_cloudwatch_metric_alarm.iterator_age"),
        ),
        (
            "an API that fails silently",
            "the API has an alarm",
            remove("module.lake.module.monitoring.aws_cloudwatch_metric_alarm.api_errors"),
        ),
        (
            "data that grows old",
            "freshness has alarms",
            set(
                "module.lake.module.monitoring.aws_cloudwatch_metric_alarm.freshness[\"ad_events\"]",
                "/namespace",
                json!("Other"),
            ),
        ),
        (
            "metrics that two lakes share",
            "metrics are the lake's own",
            set(
                function("ingest"),
                "/environment/0/variables/TARN_METRICS_NAMESPACE",
                json!("Tarn"),
            ),
        ),
        (
            "an alarm on another lake's metrics",
            "metrics are the lake's own",
            set(
                "module.lake.module.monitoring.aws_cloudwatch_metric_alarm.anomalies[\"orders\"]",
                "/namespace",
                json!("Tarn/tarn-dev"),
            ),
        ),
        (
            "service levels that are missed silently",
            "service levels and anomalies have alarms",
            remove(
                "module.lake.module.monitoring.aws_cloudwatch_metric_alarm.promises[\"orders\"]",
            ),
        ),
        (
            "anomalies without a notification",
            "service levels and anomalies have alarms",
            set(
                "module.lake.module.monitoring.aws_cloudwatch_metric_alarm.anomalies[\"ad_events\"]",
                "/threshold",
                json!(100),
            ),
        ),
    ]
}

/// Who is notified, and what is logged.
fn notifications_and_logs() -> Vec<Defect> {
    vec![
        (
            "an alarm without an action",
            "alarms notify someone",
            set(
                "module.lake.module.monitoring.aws_cloudwatch_metric_alarm.iterator_age",
                "/alarm_actions",
                json!([]),
            ),
        ),
        (
            "an alarm without a runbook",
            "alarms notify someone",
            set(
                "module.lake.module.monitoring.aws_cloudwatch_metric_alarm.api_errors",
                "/alarm_description",
                json!("docs/runbooks/nothing.md"),
            ),
        ),
        (
            "a budget without a notification",
            "the budget notifies someone",
            set(
                "module.lake.module.budget[0].aws_budgets_budget.this",
                "/notification",
                json!([]),
            ),
        ),
        (
            "logs as text",
            "functions log as JSON and are traced",
            set(
                function("quality"),
                "/logging_config/0/log_format",
                json!("Text"),
            ),
        ),
        (
            "metrics that Lambda drops",
            "Lambda drops no line that is asked for, and no metrics",
            set(
                function("quality"),
                "/logging_config/0/application_log_level",
                json!("WARN"),
            ),
        ),
        (
            "debug lines that Lambda drops",
            "Lambda drops no line that is asked for, and no metrics",
            set(
                function("ingest"),
                "/environment/0/variables/TARN_LOG",
                json!("debug"),
            ),
        ),
    ]
}

/// The query API.
fn api() -> Vec<Defect> {
    vec![
        (
            "an open query route",
            "no route is open but health",
            set(
                "module.lake.module.api.aws_apigatewayv2_route.default",
                "/authorization_type",
                json!("NONE"),
            ),
        ),
        (
            "a second open route",
            "no route is open but health",
            add(
                "aws_apigatewayv2_route",
                "module.lake.module.api.aws_apigatewayv2_route.tables",
                json!({"route_key": "GET /tables", "authorization_type": "NONE"}),
            ),
        ),
        (
            "an API without a limit",
            "the API is throttled and logged",
            set(
                "module.lake.module.api.aws_apigatewayv2_stage.this",
                "/default_route_settings",
                json!([]),
            ),
        ),
        (
            "tokens in the access log",
            "the API is throttled and logged",
            set(
                "module.lake.module.api.aws_apigatewayv2_stage.this",
                "/access_log_settings/0/format",
                json!("{\"status\":\"$context.status\",\"a\":\"$request.header.authorization\"}"),
            ),
        ),
    ]
}
