//! A plan as `terraform show -json` gives it, and the questions that the checks ask of it.

use std::sync::OnceLock;

use serde_json::Value;

use crate::terraform::{ACCOUNT, Copy};

/// One resource that the plan would make.
pub struct Resource<'a> {
    pub address: &'a str,
    pub kind: &'a str,
    /// Its arguments as far as they are known.
    pub values: &'a Value,
    /// Which of them are known only after the apply.
    pub unknown: &'a Value,
}

impl<'a> Resource<'a> {
    /// The text at a path such as `/name`; empty where there is none.
    pub fn text(&self, pointer: &str) -> &'a str {
        self.values
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    pub fn number(&self, pointer: &str) -> Option<f64> {
        self.values.pointer(pointer).and_then(Value::as_f64)
    }

    pub fn is_true(&self, pointer: &str) -> bool {
        self.values.pointer(pointer) == Some(&Value::Bool(true))
    }

    pub fn is_unknown(&self, pointer: &str) -> bool {
        self.unknown.pointer(pointer) == Some(&Value::Bool(true))
    }

    /// What is in the brackets of the address's last part: `this["raw"]` is `raw`.
    pub fn index(&self) -> &'a str {
        let last = self.address.rsplit(']').nth(1).unwrap_or_default();
        if self.address.ends_with(']') {
            last.rsplit('[')
                .next()
                .unwrap_or_default()
                .trim_matches('"')
        } else {
            ""
        }
    }
}

/// A plan, and its environment.
pub struct Plan {
    pub environment: &'static str,
    pub account: &'static str,
    pub json: Value,
}

impl Plan {
    /// The prefix of every name.
    pub fn prefix(&self) -> String {
        format!("tarn-{}", self.environment)
    }

    /// Everything that the plan would make.
    pub fn resources(&self) -> Vec<Resource<'_>> {
        static NOTHING: Value = Value::Null;
        self.json["resource_changes"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|change| change["mode"] == "managed")
            .map(|change| Resource {
                address: change["address"].as_str().unwrap(),
                kind: change["type"].as_str().unwrap(),
                values: change.pointer("/change/after").unwrap_or(&NOTHING),
                unknown: change.pointer("/change/after_unknown").unwrap_or(&NOTHING),
            })
            .collect()
    }

    pub fn of_kind(&self, kind: &str) -> Vec<Resource<'_>> {
        self.resources()
            .into_iter()
            .filter(|resource| resource.kind == kind)
            .collect()
    }
}

fn made(environment: &'static str) -> Plan {
    Plan {
        environment,
        account: if environment == "local" {
            "000000000000"
        } else {
            ACCOUNT
        },
        json: Copy::new().plan(environment, true),
    }
}

/// The plan of a root, made once for all tests.
pub fn of(environment: &str) -> &'static Plan {
    static DEV: OnceLock<Plan> = OnceLock::new();
    static PROD: OnceLock<Plan> = OnceLock::new();
    static LOCAL: OnceLock<Plan> = OnceLock::new();
    match environment {
        "dev" => DEV.get_or_init(|| made("dev")),
        "prod" => PROD.get_or_init(|| made("prod")),
        "local" => LOCAL.get_or_init(|| made("local")),
        _ => panic!("no such root: {environment}"),
    }
}
