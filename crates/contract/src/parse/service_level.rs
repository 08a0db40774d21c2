//! The service levels of a contract: `slaProperties`, and the rows per day, for which ODCS has no name.

use super::custom::Custom;
use super::yaml::{Faults, Map, Node, Value};
use crate::diagnostic::nearest;
use crate::service_level::ServiceLevel;

/// The keys that ODCS gives a service level.
const KEYS: &[&str] = &[
    "id",
    "property",
    "value",
    "valueExt",
    "unit",
    "element",
    "driver",
    "description",
    "scheduler",
    "schedule",
];

/// Service levels that Tarn evaluates.
const EVALUATED: [&str; 3] = ["freshness", "frequency", "latency"];

/// Service levels of ODCS that Tarn cannot measure: they are for people.
const FOR_PEOPLE: [&str; 11] = [
    "availability",
    "throughput",
    "errorRate",
    "generalAvailability",
    "endOfSupport",
    "endOfLife",
    "retention",
    "timeOfAvailability",
    "timeToDetect",
    "timeToNotify",
    "timeToRepair",
];

/// Seconds of a unit of time.
const UNITS: [(&str, f64); 17] = [
    ("s", 1.0),
    ("sec", 1.0),
    ("second", 1.0),
    ("seconds", 1.0),
    ("m", 60.0),
    ("min", 60.0),
    ("minute", 60.0),
    ("minutes", 60.0),
    ("h", 3_600.0),
    ("hour", 3_600.0),
    ("hours", 3_600.0),
    ("d", 86_400.0),
    ("day", 86_400.0),
    ("days", 86_400.0),
    ("w", 604_800.0),
    ("week", 604_800.0),
    ("weeks", 604_800.0),
];

/// The service levels of a contract, noting faults.
pub(super) fn of_contract(
    map: &Map<'_>,
    custom: &Custom<'_>,
    faults: &mut Faults,
) -> Vec<ServiceLevel> {
    let mut levels: Vec<ServiceLevel> = Vec::new();
    for node in map.list("slaProperties", faults) {
        let Some(entry) = Map::of(node, "the service level", faults) else {
            continue;
        };
        entry.only(KEYS, faults);
        let Some(name) = entry.needed("property", "write for example property: freshness", faults)
        else {
            continue;
        };
        if FOR_PEOPLE.contains(&name.value) {
            continue;
        }
        if !EVALUATED.contains(&name.value) {
            let known = EVALUATED.into_iter().chain(FOR_PEOPLE);
            let help = match nearest(name.value, known) {
                Some(meant) => format!("did you mean '{meant}'?"),
                None => format!("Tarn evaluates {}", EVALUATED.join(", ")),
            };
            faults.add(
                name.at,
                format!("unknown service level '{}'", name.value),
                help,
            );
            continue;
        }
        let Some(seconds) = seconds(&entry, faults) else {
            continue;
        };
        let level = match name.value {
            "latency" => ServiceLevel::Latency { seconds },
            "frequency" => ServiceLevel::Frequency { seconds },
            _ => ServiceLevel::Freshness { seconds },
        };
        if levels.iter().any(|other| other.kind() == level.kind()) {
            faults.add(
                name.at,
                format!("{} is given twice", name.value),
                "remove one of the two",
            );
        }
        levels.push(level);
    }
    if let Some(node) = custom.node("rowsPerDay", faults) {
        levels.extend(rows_per_day(node, faults));
    }
    levels
}

fn seconds(entry: &Map<'_>, faults: &mut Faults) -> Option<f64> {
    let Some(node) = entry.get("value") else {
        faults.add(
            entry.at,
            "the service level has no value",
            "write for example value: 24",
        );
        return None;
    };
    let value = node.scalar().and_then(|text| text.parse::<f64>().ok());
    let value = value.filter(|value| value.is_finite() && *value > 0.0);
    if value.is_none() {
        faults.add(
            node.at,
            format!("the value must be a number above 0, not {}", node.shown()),
            "write for example value: 24",
        );
    }
    let unit = entry.needed("unit", "write unit: h", faults)?;
    let Some((_, seconds)) = UNITS.iter().find(|(name, _)| *name == unit.value) else {
        faults.add(
            unit.at,
            format!("unknown unit '{}'", unit.value),
            "use s, min, h, d or w",
        );
        return None;
    };
    Some(value? * seconds)
}

fn rows_per_day(node: &Node, faults: &mut Faults) -> Option<ServiceLevel> {
    let whole = |node: &Node| node.number().and_then(|text| text.parse::<u64>().ok());
    let (low, high) = match &node.value {
        Value::List(ends) => match ends.as_slice() {
            [low, high] => (whole(low), whole(high)),
            _ => (None, None),
        },
        _ => (whole(node), Some(u64::MAX)),
    };
    match (low, high) {
        (Some(low), Some(high)) if low <= high => Some(ServiceLevel::RowsPerDay {
            low: Some(low),
            high: (high < u64::MAX).then_some(high),
        }),
        _ => {
            faults.add(
                node.at,
                format!("rowsPerDay cannot be {}", node.shown()),
                "write the least, 1000, or the least and the most, [1000, 50000]",
            );
            None
        }
    }
}
