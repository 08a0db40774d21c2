//! Who may do what.

use std::collections::{BTreeMap, BTreeSet};

use crate::plan::Plan;
use crate::policy::{Statement, documents, of_role, statements};

/// Policies with `*` as resource, by the statement's name and its actions: AWS has no narrower resource
/// for them.
const STARS: &[(&str, &[&str])] = &[(
    "WriteTraces",
    &["xray:PutTelemetryRecords", "xray:PutTraceSegments"],
)];

pub fn known(plan: &Plan) -> Vec<String> {
    plan.resources()
        .iter()
        .flat_map(|resource| documents(resource).1)
        .collect()
}

fn label(statement: &Statement) -> String {
    format!("{} {}", statement.address, statement.sid())
}

pub fn no_action_wildcard(plan: &Plan) -> Vec<String> {
    statements(plan)
        .iter()
        .filter(|statement| {
            statement.json.get("NotAction").is_some()
                || statement.json.get("NotResource").is_some()
                || statement.json.get("NotPrincipal").is_some()
                || (statement.allows()
                    && (statement.actions().is_empty()
                        || statement
                            .actions()
                            .iter()
                            .any(|action| action.contains('*') || !action.contains(':'))))
        })
        .map(label)
        .collect()
}

/// Only the last part of an ARN, the resource, may end in a wildcard.
fn is_too_wide(arn: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let [_, _, _, _, _, resource] = parts.as_slice() else {
        return true;
    };
    let before = &arn[..arn.len() - resource.len()];
    before.contains(['*', '?']) || resource.starts_with('*')
}

pub fn no_star(plan: &Plan) -> Vec<String> {
    statements(plan)
        .iter()
        .filter(|statement| statement.allows() && statement.kind != "aws_iam_role")
        // In a key's policy the star is the key itself.
        .filter(|statement| statement.kind != "aws_kms_key")
        .filter(|statement| {
            let resources = statement.resources();
            if resources.is_empty() {
                return true;
            }
            if resources.contains(&"*".to_owned()) {
                return !STARS.iter().any(|(sid, actions)| {
                    *sid == statement.sid()
                        && statement
                            .actions()
                            .iter()
                            .all(|action| actions.contains(&action.as_str()))
                });
            }
            resources.iter().any(|arn| is_too_wide(arn))
        })
        .map(label)
        .collect()
}

pub fn not_everybody(plan: &Plan) -> Vec<String> {
    statements(plan)
        .iter()
        .filter(|statement| statement.allows() && statement.is_about_everybody())
        .map(label)
        .collect()
}

/// A service acts for any caller. Each of its permissions demands that it acts for this account.
pub fn deputies(plan: &Plan) -> Vec<String> {
    let ours =
        |value: &str| value == plan.account || value.contains(&format!(":{}:", plan.account));
    statements(plan)
        .iter()
        .filter(|statement| statement.allows() && !statement.services().is_empty())
        .filter(|statement| {
            let keys = [
                "aws:SourceAccount",
                "aws:SourceArn",
                // CloudWatch Logs names the log group instead.
                "kms:EncryptionContext:aws:logs:arn",
            ];
            !keys.iter().any(|key| statement.demands(key, ours))
        })
        .map(label)
        .collect()
}

pub fn trust(plan: &Plan) -> Vec<String> {
    statements(plan)
        .iter()
        .filter(|statement| statement.kind == "aws_iam_role")
        .filter(|statement| {
            let principals = &statement.json["Principal"];
            let named = principals["AWS"]
                .as_array()
                .is_some_and(|arns| !arns.is_empty() && arns.iter().all(|arn| arn != "*"));
            statement.actions() != ["sts:AssumeRole"] || (statement.services().len() != 1 && !named)
        })
        .map(label)
        .collect()
}

const FUNCTIONS: [&str; 6] = ["api", "archive", "ingest", "maintain", "marts", "quality"];

pub fn own_roles(plan: &Plan) -> Vec<String> {
    let roles: BTreeSet<String> = plan
        .of_kind("aws_iam_role")
        .iter()
        .map(|role| role.text("/name").to_owned())
        .collect();
    let mut faults = Vec::new();
    for function in FUNCTIONS {
        let name = format!("{}-{function}", plan.prefix());
        if !roles.contains(&name) {
            faults.push(format!("{name} has no role of its name"));
        }
        if of_role(plan, function).is_empty() {
            faults.push(format!("{name} may do nothing"));
        }
        // Roles take policies only from this module.
        for kind in [
            "aws_iam_role_policy_attachment",
            "aws_iam_policy_attachment",
        ] {
            faults.extend(
                plan.of_kind(kind)
                    .iter()
                    .map(|attached| attached.address.to_owned()),
            );
        }
    }
    faults
}

/// The zones whose objects a role has any of these actions on.
fn zones(plan: &Plan, role: &str, actions: &[&str]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for statement in of_role(plan, role)
        .iter()
        .filter(|statement| statement.allows())
    {
        if !statement
            .actions()
            .iter()
            .any(|action| actions.contains(&action.as_str()))
        {
            continue;
        }
        for arn in statement.resources() {
            if let Some(rest) = arn.strip_prefix("arn:aws:s3:::") {
                let bucket = rest.split('/').next().unwrap_or_default();
                let zone = bucket
                    .strip_prefix(&format!("{}-", plan.prefix()))
                    .and_then(|rest| rest.strip_suffix(&format!("-{}", plan.account)));
                found.insert(zone.unwrap_or(bucket).to_owned());
            }
        }
    }
    found
}

fn differs(
    what: &str,
    found: impl IntoIterator<Item = String>,
    expected: &[&str],
) -> Option<String> {
    let found: BTreeSet<String> = found.into_iter().collect();
    let expected: BTreeSet<String> = expected.iter().map(|text| (*text).to_owned()).collect();
    (found != expected).then(|| format!("{what}: {found:?}, expected {expected:?}"))
}

pub fn zones_written(plan: &Plan) -> Vec<String> {
    let writes = ["s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion"];
    [
        ("ingest", &["curated", "quarantine"][..]),
        ("archive", &["raw"]),
        ("marts", &["analytics"]),
        ("quality", &["quarantine", "results"]),
        ("maintain", &["analytics", "curated", "quarantine"]),
        ("api", &[]),
    ]
    .into_iter()
    .filter_map(|(function, expected)| differs(function, zones(plan, function, &writes), expected))
    .collect()
}

pub fn zones_read(plan: &Plan) -> Vec<String> {
    [
        ("ingest", &["curated", "quarantine", "raw"][..]),
        ("archive", &["raw"]),
        ("marts", &["analytics", "curated"]),
        ("quality", &["quarantine", "results"]),
        ("maintain", &["analytics", "curated", "quarantine"]),
        ("api", &["analytics", "curated", "quarantine", "raw"]),
    ]
    .into_iter()
    .filter_map(|(function, expected)| {
        differs(function, zones(plan, function, &["s3:GetObject"]), expected)
    })
    .collect()
}

fn resources_with(plan: &Plan, role: &str, action: &str) -> Vec<String> {
    of_role(plan, role)
        .iter()
        .filter(|statement| statement.allows())
        .filter(|statement| statement.actions().iter().any(|found| found == action))
        .flat_map(Statement::resources)
        .map(|arn| arn.rsplit(':').next().unwrap_or_default().to_owned())
        .collect()
}

pub fn queues_sent(plan: &Plan) -> Vec<String> {
    [
        ("ingest", &["marts"][..]),
        ("archive", &["archive-dlq"]),
        ("marts", &["task-marts-dlq"]),
        ("quality", &["task-quality-dlq"]),
        ("maintain", &["task-maintain-dlq"]),
        ("api", &[]),
    ]
    .into_iter()
    .filter_map(|(function, expected)| {
        let expected: Vec<String> = expected
            .iter()
            .map(|queue| format!("{}-{queue}", plan.prefix()))
            .collect();
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        differs(
            function,
            resources_with(plan, function, "sqs:SendMessage"),
            &expected,
        )
    })
    .collect()
}

/// Each function delays messages only of the queue that it reads.
pub fn queues_put_off(plan: &Plan) -> Vec<String> {
    FUNCTIONS
        .into_iter()
        .filter_map(|function| {
            let own = format!("{}-{function}", plan.prefix());
            let expected: &[&str] = match function {
                "ingest" | "marts" => &[own.as_str()],
                _ => &[],
            };
            let found = resources_with(plan, function, "sqs:ChangeMessageVisibility");
            differs(function, found, expected)
        })
        .collect()
}

/// Functions that may change what a service keeps.
fn changers(plan: &Plan, service: &str, reads: &[&str]) -> Vec<String> {
    FUNCTIONS
        .into_iter()
        .filter(|function| {
            of_role(plan, function)
                .iter()
                .flat_map(Statement::actions)
                .any(|action| action.starts_with(service) && !reads.contains(&action.as_str()))
        })
        .map(str::to_owned)
        .collect()
}

pub fn catalog(plan: &Plan) -> Vec<String> {
    let reads = ["glue:GetDatabase", "glue:GetTable", "glue:GetTables"];
    let mut faults: Vec<String> = differs(
        "change the catalog",
        changers(plan, "glue:", &reads),
        &["ingest", "maintain", "marts", "quality"],
    )
    .into_iter()
    .collect();
    // Nobody drops a table or a database.
    faults.extend(
        statements(plan)
            .iter()
            .filter(|statement| {
                statement.allows()
                    && statement
                        .actions()
                        .iter()
                        .any(|action| action.starts_with("glue:Delete"))
            })
            .map(label),
    );
    faults
}

/// Functions that commit keep the ledger; quality notes what it watches, and nothing else.
pub fn ledger(plan: &Plan) -> Vec<String> {
    let reads = [
        "dynamodb:BatchGetItem",
        "dynamodb:GetItem",
        "dynamodb:Query",
    ];
    let mut faults: Vec<String> = differs(
        "change the ledger",
        changers(plan, "dynamodb:", &reads),
        &["ingest", "maintain", "marts", "quality"],
    )
    .into_iter()
    .collect();
    let changes =
        |action: &String| action.starts_with("dynamodb:") && !reads.contains(&action.as_str());
    faults.extend(
        of_role(plan, "quality")
            .iter()
            .filter(|statement| statement.actions().iter().any(changes))
            .filter(|statement| {
                let keys = (
                    "ForAllValues:StringLike".to_owned(),
                    "dynamodb:LeadingKeys".to_owned(),
                    vec!["state#watched/*".to_owned()],
                );
                statement.actions() != ["dynamodb:PutItem"] || statement.conditions() != [keys]
            })
            .map(label),
    );
    faults
}

/// Only ingest uses the keys of pseudonyms, and it uses no other secret.
pub fn secrets(plan: &Plan) -> Vec<String> {
    let expected = format!(
        ":{}:secret:{}-pseudonym-keys-??????",
        plan.account,
        plan.prefix()
    );
    let allowed = [
        "secretsmanager:GetSecretValue",
        "secretsmanager:PutSecretValue",
    ];
    let of_secrets = |statement: &&Statement| {
        let of_secrets = |action: &String| action.starts_with("secretsmanager:") || action == "*";
        statement.allows() && statement.actions().iter().any(of_secrets)
    };
    let mut faults: Vec<String> = statements(plan)
        .iter()
        .filter(of_secrets)
        .filter(|statement| {
            let actions = statement.actions();
            !statement.address.contains("[\"ingest\"]")
                || !statement
                    .resources()
                    .iter()
                    .all(|arn| arn.ends_with(&expected))
                || !actions
                    .iter()
                    .all(|action| allowed.contains(&action.as_str()))
        })
        .map(label)
        .collect();
    if of_role(plan, "ingest").iter().filter(of_secrets).count() != 1 {
        faults.push("ingest does not read the keys of pseudonyms".to_owned());
    }
    faults
}

pub fn keys(plan: &Plan) -> Vec<String> {
    let data = format!("alias/{}-data", plan.prefix());
    let operations = format!("alias/{}-operations", plan.prefix());
    statements(plan)
        .iter()
        .filter(|statement| {
            statement.kind == "aws_iam_role_policy"
                && statement
                    .actions()
                    .iter()
                    .any(|action| action.starts_with("kms:"))
        })
        .filter(|statement| {
            let alias =
                |name: &str| statement.demands("kms:ResourceAliases", |found| found == name);
            let through = statement.demands("kms:ViaService", |service| {
                service.ends_with(".amazonaws.com")
            });
            !(alias(&data) && through || alias(&operations))
        })
        .map(label)
        .collect()
}

pub fn personas(plan: &Plan) -> Vec<String> {
    let mut faults = Vec::new();
    let reads = ["s3:GetObject", "s3:GetObjectVersion"];
    let writes = ["s3:PutObject", "s3:DeleteObject"];
    let cases: [(&str, &[&str], &[&str]); 3] = [
        (
            "engineer",
            &["analytics", "curated", "quarantine", "raw", "results"],
            &["raw", "results"],
        ),
        (
            "analyst",
            &["analytics", "curated", "results"],
            &["results"],
        ),
        ("marketer", &["analytics", "results"], &["results"]),
    ];
    for (persona, read, written) in cases {
        faults.extend(differs(
            &format!("{persona} reads"),
            zones(plan, persona, &reads),
            read,
        ));
        faults.extend(differs(
            &format!("{persona} writes"),
            zones(plan, persona, &writes),
            written,
        ));
        let databases: Vec<String> = resources_with(plan, persona, "glue:GetTable")
            .into_iter()
            .filter_map(|arn| arn.strip_prefix("database/").map(str::to_owned))
            .collect();
        let expected: &[&str] = match persona {
            "engineer" => &["analytics", "curated", "quality"],
            "analyst" => &["analytics", "curated"],
            _ => &["analytics"],
        };
        let expected: Vec<String> = expected
            .iter()
            .map(|zone| format!("{}_{zone}", plan.prefix().replace('-', "_")))
            .collect();
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        faults.extend(differs(
            &format!("{persona}'s databases"),
            databases,
            &expected,
        ));
    }
    faults
}

fn variables_of(zones: &[&str], what: &str) -> Vec<String> {
    zones
        .iter()
        .map(|zone| format!("TARN_{zone}_{what}"))
        .collect()
}

fn others(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| format!("TARN_{name}")).collect()
}

/// The environment variables that each function asks for.
fn expected_variables() -> BTreeMap<&'static str, Vec<String>> {
    let buckets = |zones: &[&str]| variables_of(zones, "BUCKET");
    let databases = |zones: &[&str]| variables_of(zones, "DATABASE");
    BTreeMap::from([
        (
            "ingest",
            [
                buckets(&["RAW", "CURATED", "QUARANTINE"]),
                databases(&["CURATED", "QUALITY"]),
                others(&[
                    "LEDGER_TABLE",
                    "RUN_DAYS",
                    "INGEST_QUEUE_URL",
                    "MARTS_QUEUE_URL",
                    "PSEUDONYM_SECRET",
                ]),
            ]
            .concat(),
        ),
        (
            "archive",
            [buckets(&["RAW"]), others(&["STREAM", "STREAM_DATASET"])].concat(),
        ),
        (
            "marts",
            [
                buckets(&["CURATED", "ANALYTICS"]),
                databases(&["CURATED", "ANALYTICS"]),
                others(&["LEDGER_TABLE", "RUN_DAYS", "MARTS_QUEUE_URL"]),
            ]
            .concat(),
        ),
        (
            "quality",
            [
                buckets(&["QUARANTINE", "RESULTS"]),
                databases(&["QUALITY"]),
                others(&["LEDGER_TABLE", "RUN_DAYS"]),
            ]
            .concat(),
        ),
        (
            "maintain",
            [
                buckets(&["CURATED", "ANALYTICS", "QUARANTINE"]),
                databases(&["CURATED", "ANALYTICS", "QUALITY"]),
                others(&["LEDGER_TABLE", "RUN_DAYS"]),
                others(&["KEEP_DAYS", "KEEP_VERSIONS", "ORPHAN_DAYS"]),
            ]
            .concat(),
        ),
        (
            "api",
            [
                buckets(&["RAW", "CURATED", "ANALYTICS", "QUARANTINE", "RESULTS"]),
                databases(&["CURATED", "ANALYTICS", "QUALITY"]),
                others(&["LEDGER_TABLE", "RUN_DAYS"]),
            ]
            .concat(),
        ),
    ])
}

/// The environment variables of each function: what the binary asks for, and no secret.
pub fn environment(plan: &Plan) -> Vec<String> {
    let expected = expected_variables();
    let mut faults = Vec::new();
    for function in plan.of_kind("aws_lambda_function") {
        let name = function.text("/handler");
        let of = |value: &serde_json::Value| -> Vec<String> {
            value
                .pointer("/environment/0/variables")
                .and_then(serde_json::Value::as_object)
                .into_iter()
                .flatten()
                .map(|(name, _)| name.clone())
                .collect()
        };
        let mut found: BTreeSet<String> = of(function.values).into_iter().collect();
        found.extend(of(function.unknown));
        let mut wanted = expected.get(name).cloned().unwrap_or_default();
        wanted.extend(others(&["LOG", "METRICS_NAMESPACE"]));
        let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
        faults.extend(differs(name, found, &wanted));
    }
    faults
}

pub fn permissions(plan: &Plan) -> Vec<String> {
    let permissions = plan.of_kind("aws_lambda_permission");
    let mut faults: Vec<String> = permissions
        .iter()
        .filter(|permission| {
            permission.text("/principal") != "apigateway.amazonaws.com"
                || permission.text("/function_name") != format!("{}-api", plan.prefix())
                || permission.text("/action") != "lambda:InvokeFunction"
                // The API's id is chosen by AWS.
                || !permission.is_unknown("/source_arn")
        })
        .map(|permission| permission.address.to_owned())
        .collect();
    if permissions.len() != 1 {
        faults.push(format!("{} permissions", permissions.len()));
    }
    faults.extend(
        plan.of_kind("aws_lambda_function_url")
            .iter()
            .map(|url| url.address.to_owned()),
    );
    faults
}
