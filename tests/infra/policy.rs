//! Policies of IAM, buckets, queues, topics and keys, as statements.

use serde_json::Value;

use crate::plan::{Plan, Resource};

/// The arguments that hold a policy, by kind of resource.
const POLICIES: &[(&str, &str)] = &[
    ("aws_iam_role", "/assume_role_policy"),
    ("aws_iam_role_policy", "/policy"),
    ("aws_kms_key", "/policy"),
    ("aws_s3_bucket_policy", "/policy"),
    ("aws_sns_topic_policy", "/policy"),
    ("aws_sqs_queue_policy", "/policy"),
];

/// One statement of a policy.
pub struct Statement {
    /// Address of the resource whose policy it is, and the kind.
    pub address: String,
    pub kind: String,
    pub json: Value,
}

impl Statement {
    pub fn sid(&self) -> &str {
        self.json["Sid"].as_str().unwrap_or_default()
    }

    pub fn allows(&self) -> bool {
        self.json["Effect"] == "Allow"
    }

    pub fn actions(&self) -> Vec<String> {
        texts(&self.json["Action"])
    }

    pub fn resources(&self) -> Vec<String> {
        texts(&self.json["Resource"])
    }

    /// Every condition as operator, key and values.
    pub fn conditions(&self) -> Vec<(String, String, Vec<String>)> {
        let mut found = Vec::new();
        for (operator, keys) in self.json["Condition"].as_object().into_iter().flatten() {
            for (key, values) in keys.as_object().into_iter().flatten() {
                found.push((operator.clone(), key.clone(), texts(values)));
            }
        }
        found
    }

    /// Whether a condition demands one of `values` or more exact ones of `key`.
    pub fn demands(&self, key: &str, accepted: impl Fn(&str) -> bool) -> bool {
        self.conditions().iter().any(|(operator, found, values)| {
            let positive = [
                "StringEquals",
                "ArnEquals",
                "ArnLike",
                "Bool",
                "ForAnyValue:StringEquals",
            ];
            positive.contains(&operator.as_str())
                && found == key
                && !values.is_empty()
                && values.iter().all(|value| accepted(value))
        })
    }

    /// The services that the statement is about.
    pub fn services(&self) -> Vec<String> {
        texts(&self.json["Principal"]["Service"])
    }

    pub fn is_about_everybody(&self) -> bool {
        self.json["Principal"] == "*" || texts(&self.json["Principal"]["AWS"]).contains(&"*".into())
    }
}

/// One text or a list of them.
fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(values) => values
            .iter()
            .filter_map(|value| value.as_str().map(str::to_owned))
            .collect(),
        _ => Vec::new(),
    }
}

/// The policy documents of a resource, and those that are not known or cannot be read.
pub fn documents(resource: &Resource<'_>) -> (Vec<Value>, Vec<String>) {
    let mut found = Vec::new();
    let mut faults = Vec::new();
    for (kind, pointer) in POLICIES {
        if resource.kind != *kind {
            continue;
        }
        match serde_json::from_str::<Value>(resource.text(pointer)) {
            Ok(document) if document["Statement"].is_array() => found.push(document),
            _ => faults.push(format!("{}{pointer}", resource.address)),
        }
    }
    (found, faults)
}

/// Every statement of every policy of the plan.
pub fn statements(plan: &Plan) -> Vec<Statement> {
    let mut all = Vec::new();
    for resource in plan.resources() {
        for document in documents(&resource).0 {
            for statement in document["Statement"].as_array().into_iter().flatten() {
                all.push(Statement {
                    address: resource.address.to_owned(),
                    kind: resource.kind.to_owned(),
                    json: statement.clone(),
                });
            }
        }
    }
    all
}

/// The statements of the role of one function or persona, by the role's name without the prefix.
pub fn of_role(plan: &Plan, name: &str) -> Vec<Statement> {
    let marks = [
        format!("module.function[\"{name}\"]."),
        format!("module.access.aws_iam_role_policy.this[\"{name}\"]"),
    ];
    statements(plan)
        .into_iter()
        .filter(|statement| {
            statement.kind == "aws_iam_role_policy"
                && marks.iter().any(|mark| statement.address.contains(mark))
        })
        .collect()
}
