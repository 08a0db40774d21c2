//! What is kept, and how.

use crate::plan::{Plan, Resource};
use crate::policy::statements;

fn broken<'a>(
    resources: impl IntoIterator<Item = Resource<'a>>,
    holds: impl Fn(&Resource<'a>) -> bool,
) -> Vec<String> {
    resources
        .into_iter()
        .filter(|resource| !holds(resource))
        .map(|resource| resource.address.to_owned())
        .collect()
}

const ZONES: [&str; 5] = ["analytics", "curated", "quarantine", "raw", "results"];

/// The resources of a kind that go with each bucket, by zone; a zone without one is a fault.
fn per_bucket(plan: &Plan, kind: &str, holds: impl Fn(&Resource<'_>) -> bool) -> Vec<String> {
    ZONES
        .into_iter()
        .filter(|zone| {
            !plan
                .of_kind(kind)
                .iter()
                .any(|resource| resource.index() == *zone && holds(resource))
        })
        .map(|zone| format!("{kind} of {zone}"))
        .collect()
}

fn bucket_arn(plan: &Plan, zone: &str) -> String {
    format!("arn:aws:s3:::{}-{zone}-{}", plan.prefix(), plan.account)
}

/// A condition of a statement of a policy.
struct Condition {
    operator: &'static str,
    key: &'static str,
    value: &'static str,
}

const PLAIN_HTTP: Condition = Condition {
    operator: "Bool",
    key: "aws:SecureTransport",
    value: "false",
};

const OLD_TLS: Condition = Condition {
    operator: "NumericLessThan",
    key: "s3:TlsVersion",
    value: "1.2",
};

const OTHER_ENCRYPTION: Condition = Condition {
    operator: "StringNotEquals",
    key: "s3:x-amz-server-side-encryption",
    value: "aws:kms",
};

/// Whether a bucket's policy denies an action to everybody under a condition.
fn denies(plan: &Plan, zone: &str, action: &str, condition: &Condition) -> bool {
    let bucket = bucket_arn(plan, zone);
    let objects = format!("{bucket}/*");
    let Condition {
        operator,
        key,
        value,
    } = *condition;
    statements(plan).iter().any(|statement| {
        statement.kind == "aws_s3_bucket_policy"
            && statement.json["Effect"] == "Deny"
            && statement.is_about_everybody()
            && statement.actions() == [action]
            && statement.resources().contains(&objects)
            && (action != "s3:*" || statement.resources().contains(&bucket))
            && statement
                .conditions()
                .contains(&(operator.into(), key.into(), vec![value.into()]))
    })
}

/// The zones whose bucket's policy does not deny it.
fn not_denied(plan: &Plan, action: &str, condition: &Condition) -> Vec<String> {
    ZONES
        .into_iter()
        .filter(|zone| !denies(plan, zone, action, condition))
        .map(str::to_owned)
        .collect()
}

pub fn bucket_tls(plan: &Plan) -> Vec<String> {
    [PLAIN_HTTP, OLD_TLS]
        .iter()
        .flat_map(|condition| not_denied(plan, "s3:*", condition))
        .collect()
}

pub fn bucket_no_weaker(plan: &Plan) -> Vec<String> {
    not_denied(plan, "s3:PutObject", &OTHER_ENCRYPTION)
}

fn is_key(arn: &str, plan: &Plan, name: &str) -> bool {
    arn.ends_with(&format!(":key/{}-{name}", plan.prefix()))
}

pub fn bucket_encryption(plan: &Plan) -> Vec<String> {
    per_bucket(
        plan,
        "aws_s3_bucket_server_side_encryption_configuration",
        |encryption| {
            let default = "/rule/0/apply_server_side_encryption_by_default/0";
            encryption.is_true("/rule/0/bucket_key_enabled")
                && encryption.text(&format!("{default}/sse_algorithm")) == "aws:kms"
                && is_key(
                    encryption.text(&format!("{default}/kms_master_key_id")),
                    plan,
                    "data",
                )
        },
    )
}

pub fn bucket_versions(plan: &Plan) -> Vec<String> {
    per_bucket(plan, "aws_s3_bucket_versioning", |versioning| {
        versioning.text("/versioning_configuration/0/status") == "Enabled"
    })
}

pub fn bucket_public(plan: &Plan) -> Vec<String> {
    let mut faults = per_bucket(plan, "aws_s3_bucket_public_access_block", |block| {
        block.is_true("/block_public_acls")
            && block.is_true("/block_public_policy")
            && block.is_true("/ignore_public_acls")
            && block.is_true("/restrict_public_buckets")
    });
    for kind in ["aws_s3_bucket_acl", "aws_s3_bucket_website_configuration"] {
        faults.extend(broken(plan.of_kind(kind), |_| false));
    }
    faults
}

pub fn bucket_owner(plan: &Plan) -> Vec<String> {
    per_bucket(plan, "aws_s3_bucket_ownership_controls", |controls| {
        controls.text("/rule/0/object_ownership") == "BucketOwnerEnforced"
    })
}

pub fn bucket_lifecycle(plan: &Plan) -> Vec<String> {
    let mut faults = per_bucket(plan, "aws_s3_bucket_lifecycle_configuration", |lifecycle| {
        let rules = lifecycle.values["rule"].as_array();
        let has = |pointer: &str| {
            rules.into_iter().flatten().any(|rule| {
                rule["status"] == "Enabled"
                    && rule
                        .pointer(pointer)
                        .and_then(serde_json::Value::as_f64)
                        .is_some_and(|days| days >= 1.0)
            })
        };
        let zone = match lifecycle.index() {
            "raw" => has("/transition/0/days") && has("/transition/1/days"),
            "results" => has("/expiration/0/days"),
            _ => true,
        };
        zone && has("/abort_incomplete_multipart_upload/0/days_after_initiation")
            && has("/noncurrent_version_expiration/0/noncurrent_days")
    });
    // Only maintenance deletes files of tables; their age does not matter.
    for lifecycle in plan.of_kind("aws_s3_bucket_lifecycle_configuration") {
        if ["curated", "analytics", "quarantine"].contains(&lifecycle.index())
            && lifecycle.values["rule"]
                .as_array()
                .into_iter()
                .flatten()
                .any(|rule| {
                    rule.pointer("/expiration/0/days")
                        .is_some_and(|days| days.as_f64().unwrap_or(0.0) > 0.0)
                })
        {
            faults.push(format!("{} expires live files", lifecycle.address));
        }
    }
    faults
}

pub fn raw_events(plan: &Plan) -> Vec<String> {
    let mut faults = Vec::new();
    if !plan
        .of_kind("aws_s3_bucket_notification")
        .iter()
        .any(|notification| {
            notification.address.ends_with(".raw") && notification.is_true("/eventbridge")
        })
    {
        faults.push("the raw bucket does not tell EventBridge".to_owned());
    }
    let bucket = format!("{}-raw-{}", plan.prefix(), plan.account);
    for rule in plan.of_kind("aws_cloudwatch_event_rule") {
        // The bucket's name may be known only after the apply.
        let pattern = rule.text("/event_pattern");
        let sound = rule.is_unknown("/event_pattern")
            || (pattern.contains(&bucket)
                && pattern.contains("Object Created")
                && pattern.contains("\"prefix\":\"raw/\""));
        if !sound {
            faults.push(rule.address.to_owned());
        }
    }
    faults
}

pub fn keys(plan: &Plan) -> Vec<String> {
    let least = if plan.environment == "prod" {
        30.0
    } else {
        7.0
    };
    let keys = plan.of_kind("aws_kms_key");
    let mut faults = broken(keys, |key| {
        key.is_true("/enable_key_rotation")
            && key.number("/deletion_window_in_days").unwrap_or(0.0) >= least
    });
    for statement in statements(plan) {
        // Only this account's principals may use the data key.
        if statement.kind == "aws_kms_key"
            && statement.address.contains("data_key")
            && !statement.services().is_empty()
        {
            faults.push(format!("{} {}", statement.address, statement.sid()));
        }
    }
    faults
}

pub fn stream(plan: &Plan) -> Vec<String> {
    broken(plan.of_kind("aws_kinesis_stream"), |stream| {
        stream.text("/encryption_type") == "KMS"
            && is_key(stream.text("/kms_key_id"), plan, "data")
            && stream.number("/retention_period").unwrap_or(0.0) >= 24.0
    })
}

pub fn ledger(plan: &Plan) -> Vec<String> {
    broken(plan.of_kind("aws_dynamodb_table"), |table| {
        table.is_true("/server_side_encryption/0/enabled")
            && is_key(
                table.text("/server_side_encryption/0/kms_key_arn"),
                plan,
                "data",
            )
            && table.is_true("/point_in_time_recovery/0/enabled")
            && table.text("/hash_key") == "pk"
            && table.text("/range_key") == "sk"
            && table.text("/ttl/0/attribute_name") == "expires_at"
            && table.is_true("/ttl/0/enabled")
    })
}

pub fn secrets(plan: &Plan) -> Vec<String> {
    let mut faults = broken(plan.of_kind("aws_secretsmanager_secret"), |secret| {
        is_key(secret.text("/kms_key_id"), plan, "data")
    });
    // A value here would be in the state.
    let values = plan.of_kind("aws_secretsmanager_secret_version");
    faults.extend(broken(values, |_| false));
    faults
}

pub fn protection(plan: &Plan) -> Vec<String> {
    if plan.environment != "prod" {
        return Vec::new();
    }
    let mut faults = broken(plan.of_kind("aws_dynamodb_table"), |table| {
        table.is_true("/deletion_protection_enabled")
    });
    faults.extend(broken(plan.of_kind("aws_s3_bucket"), |bucket| {
        !bucket.is_true("/force_destroy")
    }));
    faults.extend(broken(
        plan.of_kind("aws_secretsmanager_secret"),
        |secret| {
            secret
                .number("/recovery_window_in_days")
                .is_some_and(|days| days >= 30.0)
        },
    ));
    faults
}

pub fn queues(plan: &Plan) -> Vec<String> {
    let mut faults = broken(plan.of_kind("aws_sqs_queue"), |queue| {
        queue.is_true("/sqs_managed_sse_enabled") || !queue.text("/kms_master_key_id").is_empty()
    });
    faults.extend(broken(plan.of_kind("aws_sns_topic"), |topic| {
        is_key(topic.text("/kms_master_key_id"), plan, "operations")
    }));
    faults
}

pub fn logs(plan: &Plan) -> Vec<String> {
    broken(plan.of_kind("aws_cloudwatch_log_group"), |group| {
        is_key(group.text("/kms_key_id"), plan, "operations")
            && group.number("/retention_in_days").unwrap_or(0.0) >= 1.0
    })
}

/// What CloudWatch Logs does with the key of a log group, as AWS documents it: `kms:Encrypt*`,
/// `kms:Decrypt*`, `kms:ReEncrypt*`, `kms:GenerateDataKey*` and `kms:Describe*` of the key.
const LOG_ACTIONS: [&str; 9] = [
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyPair",
    "kms:GenerateDataKeyPairWithoutPlaintext",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
];

/// Every log group may be encrypted: CloudWatch Logs may do all of it, in the group's name.
pub fn log_keys(plan: &Plan) -> Vec<String> {
    let statements = statements(plan);
    let of_logs: Vec<_> = statements
        .iter()
        .filter(|statement| {
            statement.kind == "aws_kms_key"
                && statement.allows()
                && statement.address.contains("operations_key")
                && statement
                    .services()
                    .iter()
                    .any(|service| service.starts_with("logs."))
        })
        .collect();
    let may_all = |statement: &&&crate::policy::Statement| {
        let actions = statement.actions();
        LOG_ACTIONS
            .iter()
            .all(|action| actions.iter().any(|found| found == action))
    };
    broken(plan.of_kind("aws_cloudwatch_log_group"), |group| {
        let named = format!("{}:log-group:{}", plan.account, group.text("/name"));
        of_logs.iter().filter(may_all).any(|statement| {
            statement
                .conditions()
                .iter()
                .any(|(operator, key, patterns)| {
                    operator == "ArnLike"
                        && key == "kms:EncryptionContext:aws:logs:arn"
                        && patterns.iter().any(|pattern| {
                            let end = pattern.splitn(5, ':').nth(4).unwrap_or_default();
                            match end.split_once('*') {
                                Some((before, "")) => named.starts_with(before),
                                _ => named == end,
                            }
                        })
                })
        })
    })
}

pub fn settings(plan: &Plan) -> Vec<String> {
    broken(plan.of_kind("aws_lambda_function"), |function| {
        is_key(function.text("/kms_key_arn"), plan, "operations")
    })
}

pub fn schedules(plan: &Plan) -> Vec<String> {
    broken(plan.of_kind("aws_scheduler_schedule"), |schedule| {
        is_key(schedule.text("/kms_key_arn"), plan, "operations")
    })
}

pub fn athena(plan: &Plan) -> Vec<String> {
    broken(plan.of_kind("aws_athena_workgroup"), |workgroup| {
        let result = "/configuration/0/result_configuration/0";
        workgroup.is_true("/configuration/0/enforce_workgroup_configuration")
            && workgroup
                .number("/configuration/0/bytes_scanned_cutoff_per_query")
                .is_some_and(|bytes| bytes > 0.0)
            && workgroup.text(&format!(
                "{result}/encryption_configuration/0/encryption_option"
            )) == "SSE_KMS"
            && is_key(
                workgroup.text(&format!("{result}/encryption_configuration/0/kms_key_arn")),
                plan,
                "data",
            )
            && workgroup.text(&format!("{result}/expected_bucket_owner")) == plan.account
    })
}

pub fn databases(plan: &Plan) -> Vec<String> {
    let mut faults = broken(plan.of_kind("aws_glue_catalog_database"), |database| {
        let (bucket, part) = match database.index() {
            "quality" => ("quarantine", "quality"),
            zone => (zone, zone),
        };
        database.text("/location_uri")
            == format!("s3://{}-{bucket}-{}/{part}/", plan.prefix(), plan.account)
    });
    if plan.of_kind("aws_glue_catalog_database").len() != 3 {
        faults.push("there are three databases".to_owned());
    }
    faults
}

pub fn names(plan: &Plan) -> Vec<String> {
    let prefix = plan.prefix();
    let mut faults = Vec::new();
    for resource in plan.resources() {
        if resource.values.get("tags_all").is_some()
            && (resource.text("/tags_all/Project") != "tarn"
                || resource.text("/tags_all/Environment") != plan.environment
                || resource.text("/tags_all/ManagedBy") != "terraform")
        {
            faults.push(format!("{} is not tagged", resource.address));
        }
        // Inside of something that is named by the prefix.
        let inner = [
            "aws_iam_role_policy",
            "aws_scheduler_schedule",
            "aws_apigatewayv2_stage",
        ];
        let name = [
            "bucket",
            "name",
            "function_name",
            "alarm_name",
            "dashboard_name",
        ]
        .into_iter()
        .map(|argument| resource.text(&format!("/{argument}")))
        .find(|name| !name.is_empty());
        if let Some(name) = name.filter(|_| !inner.contains(&resource.kind)) {
            let bare = name
                .trim_start_matches("alias/")
                .trim_start_matches("/aws/lambda/")
                .trim_start_matches("/aws/apigateway/")
                .replace('_', "-");
            if !bare.starts_with(&prefix) {
                faults.push(format!("{} is named {name}", resource.address));
            }
        }
    }
    faults
}
