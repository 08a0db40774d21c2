//! Limits of AWS.

use serde_json::{Value, json};

use super::{Defect, function, policy, role, set};

pub fn all() -> Vec<Defect> {
    vec![
        (
            "a name that is too long for a longer prefix",
            "names and descriptions fit",
            set(
                "module.lake.module.object_events.aws_cloudwatch_event_rule.this",
                "/name",
                json!(format!("tarn-prod-{}", "x".repeat(45))),
            ),
        ),
        (
            "a description that is too long",
            "names and descriptions fit",
            set(function("api"), "/description", json!("x".repeat(257))),
        ),
        (
            "settings that Lambda does not take",
            "settings of functions fit",
            set(
                function("ingest"),
                "/environment/0/variables/TARN_LOG",
                json!("x".repeat(4_000)),
            ),
        ),
        (
            "a policy that IAM refuses for its length",
            "policies fit and name each statement once",
            set(
                role("ingest"),
                "/policy",
                Value::from(format!("{{\"Statement\":[]}}{}", " ".repeat(10_240))),
            ),
        ),
        (
            "two statements of one name",
            "policies fit and name each statement once",
            policy(role("ingest"), "\"Sid\":\"ListRaw\"", "\"Sid\":\"ReadRaw\""),
        ),
        (
            "a statement whose name IAM does not take",
            "policies fit and name each statement once",
            policy(
                role("ingest"),
                "\"Sid\":\"ListRaw\"",
                "\"Sid\":\"list-raw\"",
            ),
        ),
        (
            "an alarm that looks back for weeks",
            "alarms look back as far as they may",
            set(
                "module.lake.module.monitoring.aws_cloudwatch_metric_alarm.quality_silent",
                "/evaluation_periods",
                json!(169),
            ),
        ),
    ]
}
