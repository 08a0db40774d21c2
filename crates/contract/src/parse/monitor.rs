//! What a contract watches for anomalies: rules of the table of `type: custom` and engine `tarn` whose
//! implementation is `{ anomaly: { metric: … } }`.

use serde_json::{Map as JsonMap, Number, Value as Json};

use super::context::Context;
use super::yaml::{Faults, Map, Node, Spanned, Value};
use crate::metric::Metric;
use crate::monitor::Monitor;
use tarn_core::schema::ColumnType;

/// The `anomaly` mapping of a rule; None where the rule is another.
pub(super) fn mapping(rule: &Node) -> Option<&Node> {
    rule.get("implementation")?.get("anomaly")
}

fn json(node: &Node) -> Json {
    if let Some(number) = node.number() {
        let whole = number.parse::<i64>().ok().map(Number::from);
        let number = whole.or_else(|| Number::from_f64(number.parse().ok()?));
        return number.map_or(Json::Null, Json::Number);
    }
    match (&node.value, node.boolean()) {
        (_, Some(value)) => Json::Bool(value),
        (Value::Scalar { text, .. }, _) => Json::String(text.clone()),
        (Value::List(items), _) => items.iter().map(|item| json(item)).collect(),
        (Value::Map(entries), _) => entries
            .iter()
            .map(|entry| (entry.key.clone(), json(&entry.value)))
            .collect::<JsonMap<String, Json>>()
            .into(),
    }
}

/// Reads a monitor, noting faults.
pub(super) fn read(
    rule: &Node,
    mapping: &Node,
    context: &Context<'_>,
    known: &[Monitor],
    faults: &mut Faults,
) -> Option<Monitor> {
    let rule = Map::of(rule, "the quality rule", faults)?;
    rule_faults(&rule, faults);
    let anomaly = Map::of(mapping, "anomaly", faults)?;
    let Json::Object(values) = json(mapping) else {
        return None;
    };
    let monitor = match Monitor::parse(&values) {
        Ok(monitor) => monitor,
        Err(fault) => {
            let at = anomaly
                .entries
                .iter()
                .find(|entry| entry.key == fault.entry)
                .map_or(anomaly.at, |entry| entry.value.at);
            faults.add(at, fault.message, fault.help);
            return None;
        }
    };
    columns(&monitor, &anomaly, context, faults)?;
    let same = |other: &&Monitor| {
        (&other.metric, &other.segment_by, other.per)
            == (&monitor.metric, &monitor.segment_by, monitor.per)
    };
    if known.iter().any(|other| same(&other)) {
        faults.add(
            rule.at,
            format!("{} is watched twice", monitor.metric),
            "remove one of the two",
        );
    }
    Some(monitor)
}

/// The rule around a monitor has a type and an engine, and no threshold.
fn rule_faults(rule: &Map<'_>, faults: &mut Faults) {
    let is = |name: &str, wanted: &str| {
        rule.get(name)
            .and_then(Node::string)
            .is_some_and(|text| text == wanted)
    };
    if !is("type", "custom") || !is("engine", "tarn") {
        faults.add(
            rule.at,
            "an anomaly monitor is a rule of type custom and engine tarn",
            "write type: custom and engine: tarn",
        );
    }
    if let Some(entry) = rule
        .entries
        .iter()
        .find(|entry| entry.key.starts_with("must"))
    {
        faults.add(
            entry.at,
            "an anomaly monitor has no threshold: its history is what it compares with",
            "remove it",
        );
    }
}

/// Checks the columns that a monitor names; None where the table lacks one.
fn columns(
    monitor: &Monitor,
    anomaly: &Map<'_>,
    context: &Context<'_>,
    faults: &mut Faults,
) -> Option<()> {
    let mut named = Vec::new();
    if let (Some(column), Some(node)) = (monitor.metric.column(), anomaly.get("metric")) {
        named.push((column, node.at));
    }
    if let (Some(column), Some(node)) = (&monitor.segment_by, anomaly.get("segmentBy")) {
        named.push((column, node.at));
    }
    for (value, at) in named {
        let (index, ty) = context.column(&Spanned { value, at }, faults)?;
        let is_number = matches!(
            ty,
            ColumnType::Int | ColumnType::Long | ColumnType::Double | ColumnType::Decimal { .. }
        );
        let wants_number = matches!(
            monitor.metric,
            Metric::Mean(_) | Metric::Sum(_) | Metric::Quantile(..)
        );
        if wants_number && !is_number {
            faults.add(
                at,
                format!("{value} is a {ty} column, which has no {}", monitor.metric),
                "name a column of numbers",
            );
        }
        let wants_values =
            matches!(monitor.metric, Metric::Share(..)) || monitor.segment_by.is_some();
        if wants_values && context.columns[index].protection.is_some() {
            faults.add(
                at,
                format!("{value} is personal: its values are not counted one by one"),
                "name a column that is not personal",
            );
        }
    }
    Some(())
}
