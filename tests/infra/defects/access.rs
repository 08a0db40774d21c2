//! Who may do what.

use serde_json::{Value, json};

use super::{Defect, add, function, policy, remove, role, set};

const RAW_POLICY: &str = "module.lake.module.storage.aws_s3_bucket_policy.this[\"raw\"]";
const MARKETER: &str = "module.lake.module.access.aws_iam_role_policy.this[\"marketer\"]";

pub fn all() -> Vec<Defect> {
    vec![
        (
            "an unknown policy",
            "every policy is known when the plan is made",
            set(role("ingest"), "/policy", Value::Null),
        ),
        (
            "a wildcard action",
            "no action has a wildcard",
            policy(role("ingest"), "\"s3:ListBucketVersions\"", "\"s3:List*\""),
        ),
        (
            "all actions of a service",
            "no action has a wildcard",
            policy(
                role("api"),
                "[\"dynamodb:BatchGetItem\",\"dynamodb:GetItem\",\"dynamodb:Query\"]",
                "\"dynamodb:*\"",
            ),
        ),
        (
            "everything but",
            "no action has a wildcard",
            policy(
                role("archive"),
                "\"Action\":[\"kinesis:",
                "\"NotAction\":[\"kinesis:",
            ),
        ),
        (
            "every resource",
            "no resource is a star except the named ones",
            policy(
                role("quality"),
                "\"arn:aws:dynamodb:eu-central-1:123456789012:table/tarn-prod-ledger\"",
                "\"*\"",
            ),
        ),
        (
            "every bucket",
            "no resource is a star except the named ones",
            policy(
                role("marts"),
                "arn:aws:s3:::tarn-prod-curated-123456789012/curated/*",
                "arn:aws:s3:::*",
            ),
        ),
        (
            "queues of every account",
            "no resource is a star except the named ones",
            policy(
                role("ingest"),
                "arn:aws:sqs:eu-central-1:123456789012:tarn-prod-marts",
                "arn:aws:sqs:eu-central-1:*:tarn-prod-marts",
            ),
        ),
        (
            "more after the name of tracing",
            "no resource is a star except the named ones",
            policy(role("api"), "\"xray:PutTraceSegments\"", "\"s3:GetObject\""),
        ),
        (
            "a public bucket policy",
            "no permission is for everybody",
            policy(
                RAW_POLICY,
                "\"Effect\":\"Deny\",\"Principal\":\"*\",\"Resource\":\"arn",
                "\"Effect\":\"Allow\",\"Principal\":\"*\",\"Resource\":\"arn",
            ),
        ),
        (
            "a queue open to all of EventBridge",
            "services are bound to this account",
            policy(
                "module.lake.module.ingest_queue.aws_sqs_queue_policy.this",
                "\"Condition\":{\"ArnEquals\":{\"aws:SourceArn\":\"arn:aws:events:eu-central-1:123456789012:rule/tarn-prod-raw-objects\"}},",
                "",
            ),
        ),
        (
            "a role that any account's scheduler gets",
            "services are bound to this account",
            policy(
                "module.lake.module.schedule.aws_iam_role.this",
                "123456789012",
                "*",
            ),
        ),
        (
            "a condition that excludes instead of demanding",
            "services are bound to this account",
            policy(
                "module.lake.module.function[\"api\"].aws_iam_role.this",
                "StringEquals",
                "StringNotEquals",
            ),
        ),
        (
            "alarms of other accounts on the topic",
            "services are bound to this account",
            policy(
                "module.lake.module.monitoring.aws_sns_topic_policy.this",
                "123456789012",
                "*",
            ),
        ),
        (
            "the key for CloudWatch of every account",
            "services are bound to this account",
            policy(
                "module.lake.module.operations_key.aws_kms_key.this",
                "123456789012",
                "*",
            ),
        ),
        (
            "a persona for everybody",
            "roles are taken on by named principals",
            policy(
                "module.lake.module.access.aws_iam_role.this[\"analyst\"]",
                "\"arn:aws:iam::123456789012:role/analysts\"",
                "\"*\"",
            ),
        ),
        (
            "a managed policy attached",
            "every function has a role of its own",
            add(
                "aws_iam_role_policy_attachment",
                "module.lake.aws_iam_role_policy_attachment.admin",
                json!({}),
            ),
        ),
        (
            "no role for the archive",
            "every function has a role of its own",
            remove("module.lake.module.function[\"archive\"].aws_iam_role.this"),
        ),
        (
            "an API that writes",
            "functions write only their own zones",
            policy(
                role("api"),
                "[\"s3:GetObject\"]",
                "[\"s3:GetObject\",\"s3:PutObject\"]",
            ),
        ),
        (
            "an ingest that changes raw objects",
            "functions write only their own zones",
            policy(
                role("ingest"),
                "\"s3:GetObjectVersion\"",
                "\"s3:DeleteObject\"",
            ),
        ),
        (
            "marts that read raw objects",
            "functions read only their own zones",
            policy(
                role("marts"),
                "arn:aws:s3:::tarn-prod-curated-123456789012/curated/*",
                "arn:aws:s3:::tarn-prod-raw-123456789012/raw/*",
            ),
        ),
        (
            "an ingest that feeds itself",
            "functions send only to their own queues",
            policy(
                role("ingest"),
                "arn:aws:sqs:eu-central-1:123456789012:tarn-prod-marts",
                "arn:aws:sqs:eu-central-1:123456789012:tarn-prod-ingest",
            ),
        ),
        (
            "an ingest that cannot put its messages off",
            "functions delay messages only of their own queues",
            policy(role("ingest"), "\"sqs:ChangeMessageVisibility\",", ""),
        ),
        (
            "marts that put off messages of ingest",
            "functions delay messages only of their own queues",
            policy(
                role("marts"),
                "arn:aws:sqs:eu-central-1:123456789012:tarn-prod-marts\"",
                "arn:aws:sqs:eu-central-1:123456789012:tarn-prod-ingest\"",
            ),
        ),
        (
            "an API that moves tables",
            "only functions that commit change the catalog",
            policy(role("api"), "\"glue:GetTables\"", "\"glue:UpdateTable\""),
        ),
        (
            "tables that are dropped",
            "only functions that commit change the catalog",
            policy(
                role("maintain"),
                "\"glue:GetTables\"",
                "\"glue:DeleteTable\"",
            ),
        ),
        (
            "a quality run that writes the ledger",
            "only functions that keep the ledger change it",
            policy(
                role("quality"),
                "\"dynamodb:Query\"",
                "\"dynamodb:PutItem\"",
            ),
        ),
        (
            "a quality run that says when datasets were committed",
            "only functions that keep the ledger change it",
            policy(role("quality"), "state#watched/*", "state#*"),
        ),
        (
            "every secret of the account",
            "only ingest reads its secret",
            policy(role("ingest"), "tarn-prod-pseudonym-keys-??????", "*"),
        ),
        (
            "marts that read secrets",
            "only ingest reads its secret",
            policy(
                role("marts"),
                "\"dynamodb:Query\"",
                "\"secretsmanager:GetSecretValue\"",
            ),
        ),
        (
            "any key of the account",
            "keys are used by alias and through a service",
            policy(role("marts"), "alias/tarn-prod-data", "alias/other"),
        ),
        (
            "a MARKETER who sees customers",
            "personas see only their own zones",
            policy(
                MARKETER,
                "arn:aws:s3:::tarn-prod-analytics-123456789012/analytics/*",
                "arn:aws:s3:::tarn-prod-curated-123456789012/curated/*",
            ),
        ),
        (
            "a MARKETER who sees the catalog of curated tables",
            "personas see only their own zones",
            policy(
                MARKETER,
                "database/tarn_prod_analytics",
                "database/tarn_prod_curated",
            ),
        ),
        (
            "a setting too few",
            "functions are given what they need and nothing else",
            set(
                function("marts"),
                "/environment/0/variables",
                json!({"TARN_LOG": "info"}),
            ),
        ),
        (
            "a secret among the settings",
            "functions are given what they need and nothing else",
            set(
                function("api"),
                "/environment/0/variables/TARN_TOKEN",
                json!("s3cr3t"),
            ),
        ),
        (
            "a function that any API calls",
            "API Gateway calls the API's function alone",
            set(
                "module.lake.module.api.aws_lambda_permission.this",
                "/function_name",
                json!("tarn-prod-ingest"),
            ),
        ),
        (
            "a function with a public address",
            "API Gateway calls the API's function alone",
            add(
                "aws_lambda_function_url",
                "module.lake.aws_lambda_function_url.open",
                json!({"authorization_type": "NONE"}),
            ),
        ),
    ]
}
