//! What is still there after a destroy.

use serde_json::{Value, json};

use crate::deployment::Deployment;

/// What is listed, and where in the answer it is.
const LISTS: [(&[&str], &str); 17] = [
    (&["s3api", "list-buckets"], "/Buckets"),
    (&["sqs", "list-queues"], "/QueueUrls"),
    (&["lambda", "list-functions"], "/Functions"),
    (
        &["lambda", "list-event-source-mappings"],
        "/EventSourceMappings",
    ),
    (&["kinesis", "list-streams"], "/StreamNames"),
    (&["dynamodb", "list-tables"], "/TableNames"),
    (&["glue", "get-databases"], "/DatabaseList"),
    (&["apigatewayv2", "get-apis"], "/Items"),
    (&["events", "list-rules"], "/Rules"),
    (&["scheduler", "list-schedules"], "/Schedules"),
    (&["cloudwatch", "describe-alarms"], "/MetricAlarms"),
    (&["cloudwatch", "list-dashboards"], "/DashboardEntries"),
    (&["sns", "list-topics"], "/Topics"),
    (&["iam", "list-roles"], "/Roles"),
    (&["iam", "list-policies", "--scope", "Local"], "/Policies"),
    (&["logs", "describe-log-groups"], "/logGroups"),
    (&["kms", "list-aliases"], "/Aliases"),
];

/// Panics with the names of what is left.
pub fn assert_none(lake: &Deployment) {
    for (command, place) in LISTS {
        let answer = lake.aws_ok(command);
        let left: Vec<Value> = answer
            .pointer(place)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
            .into_iter()
            .filter(|item| !is_of_aws(item))
            .collect();
        assert_eq!(json!(left), json!([]), "{}", command.join(" "));
    }
}

/// AWS has some of its own in every account.
fn is_of_aws(item: &Value) -> bool {
    let names_aws = |name: &str| {
        item[name].as_str().is_some_and(|name| {
            name.starts_with("alias/aws/") || name.starts_with("AWSServiceRole")
        })
    };
    names_aws("AliasName") || names_aws("RoleName")
}
