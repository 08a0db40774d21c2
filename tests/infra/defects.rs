//! Seeded defects: each is one mistake that somebody could make, and a check has to find it. A check
//! that finds nothing wrong anywhere would be worth nothing.

use serde_json::{Value, json};

use crate::checks;
use crate::plan::{self, Plan};
use crate::terraform::Copy;

/// Changes one thing in the plan of prod.
enum Edit {
    /// Sets an argument of a resource.
    Set(&'static str, &'static str, Value),
    /// Takes a resource out.
    Remove(&'static str),
    /// Changes a policy's text.
    Policy(&'static str, &'static str, &'static str),
    /// Adds a resource of a kind.
    Add(&'static str, &'static str, Value),
}

use Edit::{Add, Policy, Remove, Set};

/// What is wrong, the check that has to say so, and the edit.
fn defects() -> Vec<(&'static str, &'static str, Edit)> {
    let bucket = |kind: &str| -> String {
        format!("module.lake.module.storage.aws_s3_bucket_{kind}.this[\"raw\"]")
    };
    let leak = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
    let raw_policy = leak(bucket("policy"));
    let role = |name: &str| -> &'static str {
        leak(format!(
            "module.lake.module.function[\"{name}\"].aws_iam_role_policy.this"
        ))
    };
    let function = |name: &str| -> &'static str {
        leak(format!(
            "module.lake.module.function[\"{name}\"].aws_lambda_function.this"
        ))
    };
    let marketer = "module.lake.module.access.aws_iam_role_policy.this[\"marketer\"]";
    let stream_reader = "module.lake.module.stream.aws_lambda_event_source_mapping.this";
    let queue_reader = "module.lake.module.ingest_queue.aws_lambda_event_source_mapping.this";
    let ingest_queue = "module.lake.module.ingest_queue.aws_sqs_queue.this";
    let data_key = "module.lake.module.data_key.aws_kms_key.this";
    vec![
        (
            "an unknown policy",
            "every policy is known when the plan is made",
            Set(role("ingest"), "/policy", Value::Null),
        ),
        (
            "a wildcard action",
            "no action has a wildcard",
            Policy(role("ingest"), "\"s3:ListBucketVersions\"", "\"s3:List*\""),
        ),
        (
            "all actions of a service",
            "no action has a wildcard",
            Policy(
                role("api"),
                "[\"dynamodb:GetItem\",\"dynamodb:Query\"]",
                "\"dynamodb:*\"",
            ),
        ),
        (
            "everything but",
            "no action has a wildcard",
            Policy(
                role("archive"),
                "\"Action\":[\"kinesis:",
                "\"NotAction\":[\"kinesis:",
            ),
        ),
        (
            "every resource",
            "no resource is a star but the named ones",
            Policy(
                role("quality"),
                "\"arn:aws:dynamodb:eu-central-1:123456789012:table/tarn-prod-ledger\"",
                "\"*\"",
            ),
        ),
        (
            "every bucket",
            "no resource is a star but the named ones",
            Policy(
                role("marts"),
                "arn:aws:s3:::tarn-prod-curated-123456789012/curated/*",
                "arn:aws:s3:::*",
            ),
        ),
        (
            "queues of every account",
            "no resource is a star but the named ones",
            Policy(
                role("ingest"),
                "arn:aws:sqs:eu-central-1:123456789012:tarn-prod-marts",
                "arn:aws:sqs:eu-central-1:*:tarn-prod-marts",
            ),
        ),
        (
            "more behind the name of tracing",
            "no resource is a star but the named ones",
            Policy(role("api"), "\"xray:PutTraceSegments\"", "\"s3:GetObject\""),
        ),
        (
            "a public bucket policy",
            "no permission is for everybody",
            Policy(
                raw_policy,
                "\"Effect\":\"Deny\",\"Principal\":\"*\",\"Resource\":\"arn",
                "\"Effect\":\"Allow\",\"Principal\":\"*\",\"Resource\":\"arn",
            ),
        ),
        (
            "a queue open to all of EventBridge",
            "services are bound to this account",
            Policy(
                "module.lake.module.ingest_queue.aws_sqs_queue_policy.this",
                "\"Condition\":{\"ArnEquals\":{\"aws:SourceArn\":\"arn:aws:events:eu-central-1:123456789012:rule/tarn-prod-raw-objects\"}},",
                "",
            ),
        ),
        (
            "a role that any account's scheduler gets",
            "services are bound to this account",
            Policy(
                "module.lake.module.schedule.aws_iam_role.this",
                "123456789012",
                "*",
            ),
        ),
        (
            "a condition that excludes instead of demanding",
            "services are bound to this account",
            Policy(
                "module.lake.module.function[\"api\"].aws_iam_role.this",
                "StringEquals",
                "StringNotEquals",
            ),
        ),
        (
            "alarms of other accounts on the topic",
            "services are bound to this account",
            Policy(
                "module.lake.module.monitoring.aws_sns_topic_policy.this",
                "123456789012",
                "*",
            ),
        ),
        (
            "the key for CloudWatch of every account",
            "services are bound to this account",
            Policy(
                "module.lake.module.operations_key.aws_kms_key.this",
                "123456789012",
                "*",
            ),
        ),
        (
            "a persona for everybody",
            "roles are taken on by named principals",
            Policy(
                "module.lake.module.access.aws_iam_role.this[\"analyst\"]",
                "\"arn:aws:iam::123456789012:role/analysts\"",
                "\"*\"",
            ),
        ),
        (
            "a managed policy attached",
            "every function has a role of its own",
            Add(
                "aws_iam_role_policy_attachment",
                "module.lake.aws_iam_role_policy_attachment.admin",
                json!({}),
            ),
        ),
        (
            "no role for the archive",
            "every function has a role of its own",
            Remove("module.lake.module.function[\"archive\"].aws_iam_role.this"),
        ),
        (
            "an API that writes",
            "functions write their own zones alone",
            Policy(
                role("api"),
                "[\"s3:GetObject\"]",
                "[\"s3:GetObject\",\"s3:PutObject\"]",
            ),
        ),
        (
            "an ingest that changes raw objects",
            "functions write their own zones alone",
            Policy(
                role("ingest"),
                "\"s3:GetObjectVersion\"",
                "\"s3:DeleteObject\"",
            ),
        ),
        (
            "marts that read raw objects",
            "functions read their own zones alone",
            Policy(
                role("marts"),
                "arn:aws:s3:::tarn-prod-curated-123456789012/curated/*",
                "arn:aws:s3:::tarn-prod-raw-123456789012/raw/*",
            ),
        ),
        (
            "an ingest that feeds itself",
            "functions send to their own queues alone",
            Policy(
                role("ingest"),
                "arn:aws:sqs:eu-central-1:123456789012:tarn-prod-marts",
                "arn:aws:sqs:eu-central-1:123456789012:tarn-prod-ingest",
            ),
        ),
        (
            "an API that moves tables",
            "only those who commit change the catalog",
            Policy(role("api"), "\"glue:GetTables\"", "\"glue:UpdateTable\""),
        ),
        (
            "tables that are dropped",
            "only those who commit change the catalog",
            Policy(
                role("maintain"),
                "\"glue:GetTables\"",
                "\"glue:DeleteTable\"",
            ),
        ),
        (
            "a quality run that writes the ledger",
            "only those who keep the ledger change it",
            Policy(
                role("quality"),
                "\"dynamodb:Query\"",
                "\"dynamodb:PutItem\"",
            ),
        ),
        (
            "any key of the account",
            "keys are used by alias and through a service",
            Policy(role("marts"), "alias/tarn-prod-data", "alias/other"),
        ),
        (
            "a marketer who sees customers",
            "personas see their own zones alone",
            Policy(
                marketer,
                "arn:aws:s3:::tarn-prod-analytics-123456789012/analytics/*",
                "arn:aws:s3:::tarn-prod-curated-123456789012/curated/*",
            ),
        ),
        (
            "a marketer who sees the catalog of curated tables",
            "personas see their own zones alone",
            Policy(
                marketer,
                "database/tarn_prod_analytics",
                "database/tarn_prod_curated",
            ),
        ),
        (
            "a setting too few",
            "functions are given what they need and nothing else",
            Set(
                function("marts"),
                "/environment/0/variables",
                json!({"TARN_LOG": "info"}),
            ),
        ),
        (
            "a secret among the settings",
            "functions are given what they need and nothing else",
            Set(
                function("api"),
                "/environment/0/variables/TARN_TOKEN",
                json!("s3cr3t"),
            ),
        ),
        (
            "a function that any API calls",
            "API Gateway calls the API's function alone",
            Set(
                "module.lake.module.api.aws_lambda_permission.this",
                "/function_name",
                json!("tarn-prod-ingest"),
            ),
        ),
        (
            "a function with a public address",
            "API Gateway calls the API's function alone",
            Add(
                "aws_lambda_function_url",
                "module.lake.aws_lambda_function_url.open",
                json!({"authorization_type": "NONE"}),
            ),
        ),
        (
            "plain HTTP to a bucket",
            "buckets refuse plain HTTP and old TLS",
            Policy(
                raw_policy,
                "{\"aws:SecureTransport\":\"false\"}",
                "{\"aws:SecureTransport\":\"true\"}",
            ),
        ),
        (
            "plain HTTP to objects",
            "buckets refuse plain HTTP and old TLS",
            Policy(
                raw_policy,
                "\"arn:aws:s3:::tarn-prod-raw-123456789012/*\"]",
                "\"arn:aws:s3:::tarn-prod-raw-123456789012/x\"]",
            ),
        ),
        (
            "old TLS",
            "buckets refuse plain HTTP and old TLS",
            Policy(raw_policy, "\"1.2\"", "\"1.0\""),
        ),
        (
            "a bucket without a policy",
            "buckets refuse plain HTTP and old TLS",
            Remove(raw_policy),
        ),
        (
            "weaker encryption by request",
            "buckets refuse weaker encryption",
            Policy(
                raw_policy,
                "\"StringNotEquals\":{\"s3:x-amz-server-side-encryption\":\"aws:kms\"}",
                "\"StringNotEquals\":{\"s3:x-amz-server-side-encryption\":\"AES256\"}",
            ),
        ),
        (
            "the key of S3",
            "buckets are encrypted with the data key",
            Set(
                leak(bucket("server_side_encryption_configuration")),
                "/rule/0/apply_server_side_encryption_by_default/0/kms_master_key_id",
                Value::Null,
            ),
        ),
        (
            "no bucket key",
            "buckets are encrypted with the data key",
            Set(
                leak(bucket("server_side_encryption_configuration")),
                "/rule/0/bucket_key_enabled",
                json!(false),
            ),
        ),
        (
            "no versions",
            "buckets are versioned",
            Set(
                leak(bucket("versioning")),
                "/versioning_configuration/0/status",
                json!("Suspended"),
            ),
        ),
        (
            "public access lists",
            "buckets are not public",
            Set(
                leak(bucket("public_access_block")),
                "/block_public_acls",
                json!(false),
            ),
        ),
        (
            "no block of public access",
            "buckets are not public",
            Remove(leak(bucket("public_access_block"))),
        ),
        (
            "objects of other owners",
            "buckets have one owner",
            Set(
                leak(bucket("ownership_controls")),
                "/rule/0/object_ownership",
                json!("ObjectWriter"),
            ),
        ),
        (
            "uploads that stay half done",
            "buckets clean up",
            Set(
                leak(bucket("lifecycle_configuration")),
                "/rule/0/abort_incomplete_multipart_upload",
                json!([]),
            ),
        ),
        (
            "table files that expire",
            "buckets clean up",
            Set(
                "module.lake.module.storage.aws_s3_bucket_lifecycle_configuration.this[\"curated\"]",
                "/rule/0/expiration",
                json!([{"days": 30}]),
            ),
        ),
        (
            "raw objects that nobody hears of",
            "raw objects are announced",
            Set(
                "module.lake.module.storage.aws_s3_bucket_notification.raw",
                "/eventbridge",
                json!(false),
            ),
        ),
        (
            "a key for ever",
            "keys rotate and are not deleted in haste",
            Set(data_key, "/enable_key_rotation", json!(false)),
        ),
        (
            "a key that is gone in a week",
            "keys rotate and are not deleted in haste",
            Set(data_key, "/deletion_window_in_days", json!(7)),
        ),
        (
            "a plain stream",
            "the stream is encrypted",
            Set(
                "module.lake.module.stream.aws_kinesis_stream.this",
                "/encryption_type",
                json!("NONE"),
            ),
        ),
        (
            "no point-in-time recovery",
            "the ledger is encrypted and restorable",
            Set(
                "module.lake.module.ledger.aws_dynamodb_table.this",
                "/point_in_time_recovery/0/enabled",
                json!(false),
            ),
        ),
        (
            "a ledger that can be deleted",
            "prod is protected",
            Set(
                "module.lake.module.ledger.aws_dynamodb_table.this",
                "/deletion_protection_enabled",
                json!(false),
            ),
        ),
        (
            "buckets that are emptied",
            "prod is protected",
            Set(
                "module.lake.module.storage.aws_s3_bucket.this[\"curated\"]",
                "/force_destroy",
                json!(true),
            ),
        ),
        (
            "a plain queue",
            "queues and topics are encrypted",
            Set(ingest_queue, "/sqs_managed_sse_enabled", json!(false)),
        ),
        (
            "a plain topic",
            "queues and topics are encrypted",
            Set(
                "module.lake.module.monitoring.aws_sns_topic.this",
                "/kms_master_key_id",
                Value::Null,
            ),
        ),
        (
            "logs for ever",
            "logs are encrypted and expire",
            Set(
                "module.lake.module.api.aws_cloudwatch_log_group.access",
                "/retention_in_days",
                json!(0),
            ),
        ),
        (
            "plain settings",
            "settings of functions are encrypted",
            Set(function("ingest"), "/kms_key_arn", Value::Null),
        ),
        (
            "plain schedules",
            "schedules are encrypted",
            Set(
                "module.lake.module.schedule.aws_scheduler_schedule.this[\"marts\"]",
                "/kms_key_arn",
                Value::Null,
            ),
        ),
        (
            "queries without a limit",
            "Athena's workgroup has the last word",
            Set(
                "module.lake.module.athena.aws_athena_workgroup.this",
                "/configuration/0/bytes_scanned_cutoff_per_query",
                Value::Null,
            ),
        ),
        (
            "clients that choose where results go",
            "Athena's workgroup has the last word",
            Set(
                "module.lake.module.athena.aws_athena_workgroup.this",
                "/configuration/0/enforce_workgroup_configuration",
                json!(false),
            ),
        ),
        (
            "a database in another zone's bucket",
            "databases are in their zone's bucket",
            Set(
                "module.lake.module.catalog.aws_glue_catalog_database.this[\"analytics\"]",
                "/location_uri",
                json!("s3://tarn-prod-raw-123456789012/analytics/"),
            ),
        ),
        (
            "a resource without tags",
            "everything is tagged and named by the prefix",
            Set(
                "module.lake.module.stream.aws_kinesis_stream.this",
                "/tags_all",
                json!({}),
            ),
        ),
        (
            "a name without the prefix",
            "everything is tagged and named by the prefix",
            Set(
                "module.lake.module.ledger.aws_dynamodb_table.this",
                "/name",
                json!("ledger"),
            ),
        ),
        (
            "plain HTTP to a queue",
            "queues and topics refuse plain HTTP",
            Remove("module.lake.module.marts_queue.aws_sqs_queue_policy.this"),
        ),
        (
            "a queue without a dead-letter queue",
            "queues of work have a dead-letter queue",
            Set(ingest_queue, "/redrive_policy", Value::Null),
        ),
        (
            "a dead-letter queue that is not there",
            "queues of work have a dead-letter queue",
            Remove("module.lake.module.ingest_queue.module.dead_letter.aws_sqs_queue.this"),
        ),
        (
            "events that are lost",
            "rules keep what cannot be delivered",
            Set(
                "module.lake.module.object_events.aws_cloudwatch_event_target.this",
                "/dead_letter_config",
                json!([]),
            ),
        ),
        (
            "runs that are lost",
            "schedules keep what cannot be delivered",
            Set(
                "module.lake.module.schedule.aws_scheduler_schedule.this[\"quality\"]",
                "/target/0/dead_letter_config",
                json!([]),
            ),
        ),
        (
            "failures that nobody hears of",
            "asynchronous functions keep what failed",
            Set(function("maintain"), "/dead_letter_config", json!([])),
        ),
        (
            "notifications that are lost",
            "notifications keep what cannot be delivered",
            Set(
                "module.lake.module.monitoring.aws_sns_topic_subscription.email[\"data-team@example.com\"]",
                "/redrive_policy",
                Value::Null,
            ),
        ),
        (
            "one bad message that fails its batch",
            "queues are read with partial failures",
            Set(queue_reader, "/function_response_types", json!([])),
        ),
        (
            "a queue that nobody reads",
            "queues are read with partial failures",
            Remove(queue_reader),
        ),
        (
            "a short visibility timeout",
            "a message is not handed out twice",
            Set(ingest_queue, "/visibility_timeout_seconds", json!(300)),
        ),
        (
            "retries without end",
            "the stream never blocks",
            Set(stream_reader, "/maximum_retry_attempts", json!(-1)),
        ),
        (
            "a batch that is not split",
            "the stream never blocks",
            Set(
                stream_reader,
                "/bisect_batch_on_function_error",
                json!(false),
            ),
        ),
        (
            "lost batches that nobody hears of",
            "the stream never blocks",
            Set(stream_reader, "/destination_config", json!([])),
        ),
        (
            "whole batches repeated",
            "the stream never blocks",
            Set(stream_reader, "/function_response_types", json!([])),
        ),
        (
            "records from before that are skipped",
            "the stream never blocks",
            Set(stream_reader, "/starting_position", json!("LATEST")),
        ),
        (
            "dead letters that vanish",
            "dead-letter queues keep messages for 14 days",
            Set(
                "module.lake.module.ingest_queue.module.dead_letter.aws_sqs_queue.this",
                "/message_retention_seconds",
                json!(345600),
            ),
        ),
        (
            "dead letters without an alarm",
            "dead-letter queues have an alarm",
            Remove(
                "module.lake.module.monitoring.aws_cloudwatch_metric_alarm.dead_letters[\"archive\"]",
            ),
        ),
        (
            "an alarm on a hundred dead letters",
            "dead-letter queues have an alarm",
            Set(
                "module.lake.module.monitoring.aws_cloudwatch_metric_alarm.dead_letters[\"ingest\"]",
                "/threshold",
                json!(100),
            ),
        ),
        (
            "an alarm on another queue",
            "dead-letter queues have an alarm",
            Set(
                "module.lake.module.monitoring.aws_cloudwatch_metric_alarm.dead_letters[\"marts\"]",
                "/dimensions/QueueName",
                json!("tarn-prod-marts"),
            ),
        ),
        (
            "a queue that silts up",
            "queues of work have an alarm",
            Remove(
                "module.lake.module.monitoring.aws_cloudwatch_metric_alarm.queue_age[\"ingest\"]",
            ),
        ),
        (
            "errors without an alarm",
            "functions have alarms",
            Remove("module.lake.module.monitoring.aws_cloudwatch_metric_alarm.errors[\"marts\"]"),
        ),
        (
            "an alarm the wrong way round",
            "functions have alarms",
            Set(
                "module.lake.module.monitoring.aws_cloudwatch_metric_alarm.throttles[\"api\"]",
                "/comparison_operator",
                json!("LessThanThreshold"),
            ),
        ),
        (
            "silence that is taken for health",
            "functions have alarms",
            Set(
                "module.lake.module.monitoring.aws_cloudwatch_metric_alarm.quality_silent",
                "/treat_missing_data",
                json!("notBreaching"),
            ),
        ),
        (
            "a reader that falls behind",
            "the stream's reader has an alarm",
            Remove("module.lake.module.monitoring.aws_cloudwatch_metric_alarm.iterator_age"),
        ),
        (
            "an API that fails in silence",
            "the API has an alarm",
            Remove("module.lake.module.monitoring.aws_cloudwatch_metric_alarm.api_errors"),
        ),
        (
            "data that grow old",
            "freshness has alarms",
            Set(
                "module.lake.module.monitoring.aws_cloudwatch_metric_alarm.freshness[\"ad_events\"]",
                "/namespace",
                json!("Other"),
            ),
        ),
        (
            "an alarm that nobody hears",
            "alarms are heard",
            Set(
                "module.lake.module.monitoring.aws_cloudwatch_metric_alarm.iterator_age",
                "/alarm_actions",
                json!([]),
            ),
        ),
        (
            "an alarm without a runbook",
            "alarms are heard",
            Set(
                "module.lake.module.monitoring.aws_cloudwatch_metric_alarm.api_errors",
                "/alarm_description",
                json!("docs/runbooks/nothing.md"),
            ),
        ),
        (
            "a budget that nobody hears of",
            "the budget is heard",
            Set(
                "module.lake.module.budget[0].aws_budgets_budget.this",
                "/notification",
                json!([]),
            ),
        ),
        (
            "logs as text",
            "functions log as JSON and are traced",
            Set(
                function("quality"),
                "/logging_config/0/log_format",
                json!("Text"),
            ),
        ),
        (
            "an open query route",
            "no route is open but health",
            Set(
                "module.lake.module.api.aws_apigatewayv2_route.default",
                "/authorization_type",
                json!("NONE"),
            ),
        ),
        (
            "a second open route",
            "no route is open but health",
            Add(
                "aws_apigatewayv2_route",
                "module.lake.module.api.aws_apigatewayv2_route.tables",
                json!({"route_key": "GET /tables", "authorization_type": "NONE"}),
            ),
        ),
        (
            "an API without a limit",
            "the API is throttled and logged",
            Set(
                "module.lake.module.api.aws_apigatewayv2_stage.this",
                "/default_route_settings",
                json!([]),
            ),
        ),
        (
            "tokens in the access log",
            "the API is throttled and logged",
            Set(
                "module.lake.module.api.aws_apigatewayv2_stage.this",
                "/access_log_settings/0/format",
                json!("{\"status\":\"$context.status\",\"a\":\"$request.header.authorization\"}"),
            ),
        ),
    ]
}

fn change<'a>(json: &'a mut Value, address: &str) -> &'a mut Value {
    json["resource_changes"]
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .find(|change| change["address"] == address)
        .unwrap_or_else(|| panic!("the plan has no {address}"))
}

fn set(values: &mut Value, pointer: &str, new: Value) {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = values
        .pointer_mut(parent)
        .unwrap_or_else(|| panic!("no {parent}"));
    assert_ne!(
        parent.get(name),
        Some(&new),
        "{pointer} is like that already"
    );
    match parent {
        Value::Object(map) => {
            map.insert(name.to_owned(), new);
        }
        Value::Array(list) => list[name.parse::<usize>().unwrap()] = new,
        _ => panic!("{pointer} is in nothing"),
    }
}

fn apply(json: &mut Value, edit: &Edit) {
    match edit {
        Set(address, pointer, new) => {
            set(
                &mut change(json, address)["change"]["after"],
                pointer,
                new.clone(),
            );
        }
        Remove(address) => {
            let changes = json["resource_changes"].as_array_mut().unwrap();
            let before = changes.len();
            changes.retain(|change| change["address"] != *address);
            assert_eq!(changes.len() + 1, before, "the plan has no {address}");
        }
        Policy(address, old, new) => {
            let after = &mut change(json, address)["change"]["after"];
            let name = if after["assume_role_policy"].is_string() {
                "assume_role_policy"
            } else {
                "policy"
            };
            let text = after[name].as_str().unwrap().to_owned();
            assert!(text.contains(old), "{address} has no {old} in {text}");
            after[name] = Value::String(text.replace(old, new));
        }
        Add(kind, address, after) => {
            json["resource_changes"]
                .as_array_mut()
                .unwrap()
                .push(json!({
                    "address": address, "mode": "managed", "type": kind,
                    "change": {"after": after, "after_unknown": {}}
                }));
        }
    }
}

#[test]
#[ignore = "needs terraform; run by cargo xtask test"]
fn each_seeded_defect_is_found_by_its_check() {
    let sound = plan::of("prod");
    let mut missed = Vec::new();
    for (what, check, edit) in defects() {
        let mut plan = Plan {
            environment: sound.environment,
            account: sound.account,
            json: sound.json.clone(),
        };
        apply(&mut plan.json, &edit);
        let found = checks::findings(&plan);
        if !found.iter().any(|(name, _)| *name == check) {
            missed.push(format!("{what}: not found by \"{check}\" ({found:?})"));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn every_check_has_a_defect_that_it_finds() {
    let defects = defects();
    for (name, _) in checks::ALL {
        assert!(
            defects.iter().any(|(_, check, _)| check == name),
            "no defect is seeded for \"{name}\""
        );
    }
    for (what, check, _) in &defects {
        assert!(
            checks::ALL.iter().any(|(name, _)| name == check),
            "{what}: there is no check \"{check}\""
        );
    }
}

/// Mistakes in the modules themselves, from the file to the finding.
#[test]
#[ignore = "needs terraform; run by cargo xtask test"]
fn a_defect_in_a_module_reaches_the_plan_and_its_check() {
    let copy = Copy::new();
    let edits = [
        (
            "terraform/modules/stream/main.tf",
            "  bisect_batch_on_function_error     = true\n",
            "",
            "the stream never blocks",
        ),
        (
            "terraform/modules/storage/main.tf",
            "    bucket_key_enabled = true\n",
            "    bucket_key_enabled = false\n",
            "buckets are encrypted with the data key",
        ),
        (
            "terraform/modules/lake/permissions.tf",
            "  read_objects  = [\"s3:GetObject\"]",
            "  read_objects  = [\"s3:GetObject\", \"s3:PutObject\"]",
            "functions write their own zones alone",
        ),
        (
            "terraform/modules/lake/main.tf",
            "  key_arn             = module.data_key.arn\n  deletion_protection",
            "  key_arn             = module.operations_key.arn\n  deletion_protection",
            "the ledger is encrypted and restorable",
        ),
        (
            "terraform/modules/api/main.tf",
            "local.jwt ? \"JWT\" : \"AWS_IAM\"",
            "local.jwt ? \"JWT\" : \"NONE\"",
            "no route is open but health",
        ),
        (
            "terraform/modules/lake/operations.tf",
            "      archive = module.stream.dead_letter_name\n",
            "",
            "dead-letter queues have an alarm",
        ),
    ];
    for (file, old, new, _) in &edits {
        copy.edit(file, old, new);
    }
    let plan = Plan {
        environment: "prod",
        account: crate::terraform::ACCOUNT,
        json: copy.plan("prod", true),
    };
    let found = checks::findings(&plan);
    for (file, _, _, check) in edits {
        assert!(
            found.iter().any(|(name, _)| *name == check),
            "{file}: not found by \"{check}\""
        );
    }
}
