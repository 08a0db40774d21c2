//! JSON documents in the arguments, whatever they are for.

use serde_json::Value;

use crate::plan::Plan;
use crate::policy::statements;

/// The JSON document in a text, if it is one.
fn document(text: &str) -> Option<Value> {
    let begins = text.trim_start().starts_with(['{', '[']);
    begins.then(|| serde_json::from_str(text).ok()).flatten()
}

/// The places of nulls below `value`; `inside` says that this is a document and no argument, where a
/// null only says that nothing was set.
fn nulls_in(value: &Value, place: &str, inside: bool, found: &mut Vec<String>) {
    match value {
        Value::Null if inside => found.push(place.to_owned()),
        Value::String(text) => {
            if let Some(document) = document(text) {
                nulls_in(&document, place, true, found);
            }
        }
        Value::Array(list) => {
            for (index, each) in list.iter().enumerate() {
                nulls_in(each, &format!("{place}/{index}"), inside, found);
            }
        }
        Value::Object(map) => {
            for (name, each) in map {
                nulls_in(each, &format!("{place}/{name}"), inside, found);
            }
        }
        _ => {}
    }
}

/// No service keeps a null: what it returns differs from what was put, and an apply waits for the two to
/// be equal until it gives up.
pub fn nulls(plan: &Plan) -> Vec<String> {
    let mut found = Vec::new();
    for resource in plan.resources() {
        nulls_in(resource.values, resource.address, false, &mut found);
    }
    found
}

/// Whether a value is empty, or a list or an object with an empty part.
fn is_hollow(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty() || list.iter().any(is_hollow),
        Value::Object(map) => map.is_empty() || map.values().any(is_hollow),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// IAM refuses a policy with an empty list of actions or resources, or an empty condition.
pub fn hollow(plan: &Plan) -> Vec<String> {
    statements(plan)
        .iter()
        .filter(|statement| is_hollow(&statement.json))
        .map(|statement| format!("{} {}", statement.address, statement.sid()))
        .collect()
}
