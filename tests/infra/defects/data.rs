//! What is kept, and how.

use serde_json::{Value, json};

use super::{Defect, bucket, function, policy, remove, set};

const RAW_POLICY: &str = "module.lake.module.storage.aws_s3_bucket_policy.this[\"raw\"]";
const INGEST_QUEUE: &str = "module.lake.module.ingest_queue.aws_sqs_queue.this";
const DATA_KEY: &str = "module.lake.module.data_key.aws_kms_key.this";

pub fn all() -> Vec<Defect> {
    vec![
        (
            "plain HTTP to a bucket",
            "buckets refuse plain HTTP and old TLS",
            policy(
                RAW_POLICY,
                "{\"aws:SecureTransport\":\"false\"}",
                "{\"aws:SecureTransport\":\"true\"}",
            ),
        ),
        (
            "plain HTTP to objects",
            "buckets refuse plain HTTP and old TLS",
            policy(
                RAW_POLICY,
                "\"arn:aws:s3:::tarn-prod-raw-123456789012/*\"]",
                "\"arn:aws:s3:::tarn-prod-raw-123456789012/x\"]",
            ),
        ),
        (
            "old TLS",
            "buckets refuse plain HTTP and old TLS",
            policy(RAW_POLICY, "\"1.2\"", "\"1.0\""),
        ),
        (
            "a bucket without a policy",
            "buckets refuse plain HTTP and old TLS",
            remove(RAW_POLICY),
        ),
        (
            "weaker encryption by request",
            "buckets refuse weaker encryption",
            policy(
                RAW_POLICY,
                "\"StringNotEquals\":{\"s3:x-amz-server-side-encryption\":\"aws:kms\"}",
                "\"StringNotEquals\":{\"s3:x-amz-server-side-encryption\":\"AES256\"}",
            ),
        ),
        (
            "the key of S3",
            "buckets are encrypted with the data key",
            set(
                bucket("server_side_encryption_configuration"),
                "/rule/0/apply_server_side_encryption_by_default/0/kms_master_key_id",
                Value::Null,
            ),
        ),
        (
            "no bucket key",
            "buckets are encrypted with the data key",
            set(
                bucket("server_side_encryption_configuration"),
                "/rule/0/bucket_key_enabled",
                json!(false),
            ),
        ),
        (
            "no versions",
            "buckets are versioned",
            set(
                bucket("versioning"),
                "/versioning_configuration/0/status",
                json!("Suspended"),
            ),
        ),
        (
            "public access lists",
            "buckets are not public",
            set(
                bucket("public_access_block"),
                "/block_public_acls",
                json!(false),
            ),
        ),
        (
            "no block of public access",
            "buckets are not public",
            remove(bucket("public_access_block")),
        ),
        (
            "objects of other owners",
            "buckets have one owner",
            set(
                bucket("ownership_controls"),
                "/rule/0/object_ownership",
                json!("ObjectWriter"),
            ),
        ),
        (
            "uploads that stay half done",
            "buckets clean up",
            set(
                bucket("lifecycle_configuration"),
                "/rule/0/abort_incomplete_multipart_upload",
                json!([]),
            ),
        ),
        (
            "table files that expire",
            "buckets clean up",
            set(
                "module.lake.module.storage.aws_s3_bucket_lifecycle_configuration.this[\"curated\"]",
                "/rule/0/expiration",
                json!([{"days": 30}]),
            ),
        ),
        (
            "raw objects without a notification",
            "raw objects are announced",
            set(
                "module.lake.module.storage.aws_s3_bucket_notification.raw",
                "/eventbridge",
                json!(false),
            ),
        ),
        (
            "a key for ever",
            "keys rotate and are not deleted in haste",
            set(DATA_KEY, "/enable_key_rotation", json!(false)),
        ),
        (
            "a key that is deleted within a week",
            "keys rotate and are not deleted in haste",
            set(DATA_KEY, "/deletion_window_in_days", json!(7)),
        ),
        (
            "a plain stream",
            "the stream is encrypted",
            set(
                "module.lake.module.stream.aws_kinesis_stream.this",
                "/encryption_type",
                json!("NONE"),
            ),
        ),
        (
            "no point-in-time recovery",
            "the ledger is encrypted and restorable",
            set(
                "module.lake.module.ledger.aws_dynamodb_table.this",
                "/point_in_time_recovery/0/enabled",
                json!(false),
            ),
        ),
        (
            "a ledger that can be deleted",
            "prod is protected",
            set(
                "module.lake.module.ledger.aws_dynamodb_table.this",
                "/deletion_protection_enabled",
                json!(false),
            ),
        ),
        (
            "a secret that is deleted at once",
            "prod is protected",
            set(
                "module.lake.module.pseudonym_secret.aws_secretsmanager_secret.this",
                "/recovery_window_in_days",
                json!(0),
            ),
        ),
        (
            "a secret encrypted with another key",
            "secrets are encrypted and hold no value",
            set(
                "module.lake.module.pseudonym_secret.aws_secretsmanager_secret.this",
                "/kms_key_id",
                json!(null),
            ),
        ),
        (
            "buckets that are emptied",
            "prod is protected",
            set(
                "module.lake.module.storage.aws_s3_bucket.this[\"curated\"]",
                "/force_destroy",
                json!(true),
            ),
        ),
        (
            "a plain queue",
            "queues and topics are encrypted",
            set(INGEST_QUEUE, "/sqs_managed_sse_enabled", json!(false)),
        ),
        (
            "a plain topic",
            "queues and topics are encrypted",
            set(
                "module.lake.module.monitoring.aws_sns_topic.this",
                "/kms_master_key_id",
                Value::Null,
            ),
        ),
        (
            "logs for ever",
            "logs are encrypted and expire",
            set(
                "module.lake.module.api.aws_cloudwatch_log_group.access",
                "/retention_in_days",
                json!(0),
            ),
        ),
        (
            "a key that CloudWatch Logs makes no data keys with",
            "CloudWatch Logs may use the key of every log",
            policy(
                "module.lake.module.operations_key.aws_kms_key.this",
                "\"kms:GenerateDataKeyWithoutPlaintext\"",
                "\"kms:CreateGrant\"",
            ),
        ),
        (
            "a key for other logs",
            "CloudWatch Logs may use the key of every log",
            policy(
                "module.lake.module.operations_key.aws_kms_key.this",
                "log-group:/aws/apigateway/tarn-prod-*",
                "log-group:/aws/apigateway/other-*",
            ),
        ),
        (
            "plain settings",
            "settings of functions are encrypted",
            set(function("ingest"), "/kms_key_arn", Value::Null),
        ),
        (
            "plain schedules",
            "schedules are encrypted",
            set(
                "module.lake.module.schedule.aws_scheduler_schedule.this[\"marts\"]",
                "/kms_key_arn",
                Value::Null,
            ),
        ),
        (
            "queries without a limit",
            "Athena's workgroup enforces its settings",
            set(
                "module.lake.module.athena.aws_athena_workgroup.this",
                "/configuration/0/bytes_scanned_cutoff_per_query",
                Value::Null,
            ),
        ),
        (
            "clients that choose where results go",
            "Athena's workgroup enforces its settings",
            set(
                "module.lake.module.athena.aws_athena_workgroup.this",
                "/configuration/0/enforce_workgroup_configuration",
                json!(false),
            ),
        ),
        (
            "a database in another zone's bucket",
            "databases are in their zone's bucket",
            set(
                "module.lake.module.catalog.aws_glue_catalog_database.this[\"analytics\"]",
                "/location_uri",
                json!("s3://tarn-prod-raw-123456789012/analytics/"),
            ),
        ),
        (
            "a resource without tags",
            "everything is tagged and named by the prefix",
            set(
                "module.lake.module.stream.aws_kinesis_stream.this",
                "/tags_all",
                json!({}),
            ),
        ),
        (
            "a name without the prefix",
            "everything is tagged and named by the prefix",
            set(
                "module.lake.module.ledger.aws_dynamodb_table.this",
                "/name",
                json!("ledger"),
            ),
        ),
    ]
}
