//! What JSON documents in the arguments say.

use serde_json::json;

use super::{Defect, policy, role, set};

pub fn all() -> Vec<Defect> {
    vec![
        (
            "a null that SQS does not keep",
            "no document has a null",
            set(
                "module.lake.module.stream.module.dead_letter.aws_sqs_queue.this",
                "/redrive_allow_policy",
                json!("{\"redrivePermission\":\"denyAll\",\"sourceQueueArns\":null}"),
            ),
        ),
        (
            "a null in a document within a document",
            "no document has a null",
            set(
                "module.lake.module.schedule.aws_scheduler_schedule.this[\"marts\"]",
                "/target/0/input",
                json!("{\"task\":\"marts\",\"body\":\"{\\\"of\\\":[1,null]}\"}"),
            ),
        ),
        (
            "a null in a condition",
            "no document has a null",
            policy(
                role("ingest"),
                "\"kms:ResourceAliases\":[\"alias/tarn-prod-data\"]",
                "\"kms:ResourceAliases\":null",
            ),
        ),
        (
            "a statement about no resource",
            "no policy holds an empty value",
            policy(
                role("api"),
                "\"Resource\":[\"arn:aws:dynamodb:eu-central-1:123456789012:table/tarn-prod-ledger\"]",
                "\"Resource\":[]",
            ),
        ),
    ]
}
