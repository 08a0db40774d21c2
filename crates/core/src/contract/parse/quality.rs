//! The entries of `quality` lists, as far as they are the same for all metrics.

use super::custom::{self, Custom};
use super::yaml::{Faults, Map, Node, Place, Spanned, Value};
use crate::contract::diagnostic::nearest;
use crate::contract::{ColumnMetric, Comparison, Metric, Severity, TableCheck, TableRule};

/// What ODCS knows of a rule.
const KEYS: &[&str] = &[
    "id",
    "authoritativeDefinitions",
    "businessImpact",
    "customProperties",
    "description",
    "dimension",
    "method",
    "name",
    "schedule",
    "scheduler",
    "severity",
    "tags",
    "type",
    "unit",
    "metric",
    "rule",
    "arguments",
    "query",
    "engine",
    "implementation",
    "mustBe",
    "mustNotBe",
    "mustBeGreaterThan",
    "mustBeGreaterOrEqualTo",
    "mustBeLessThan",
    "mustBeLessOrEqualTo",
    "mustBeBetween",
    "mustNotBeBetween",
];

const COMPARISONS: [&str; 7] = [
    "mustBe",
    "mustNotBe",
    "mustBeGreaterThan",
    "mustBeGreaterOrEqualTo",
    "mustBeLessThan",
    "mustBeLessOrEqualTo",
    "mustBeBetween",
];

const DIMENSIONS: [&str; 7] = [
    "accuracy",
    "completeness",
    "conformity",
    "consistency",
    "coverage",
    "timeliness",
    "uniqueness",
];

const SUPPORTED: &str = "Tarn runs the metrics nullValues, missingValues, invalidValues and duplicateValues of columns, and rowCount and duplicateValues of tables";

/// An entry of a quality list, as far as it is the same for all metrics.
pub(super) struct Quality<'a> {
    pub map: Map<'a>,
    pub metric: Spanned<&'a str>,
    pub severity: Severity,
    dimension: Option<&'a str>,
    /// Place of `unit: percent`.
    pub percent: Option<Place>,
}

impl<'a> Quality<'a> {
    /// None for a rule in words, and with a fault for one that Tarn does not run.
    pub fn read(node: &'a Node, faults: &mut Faults) -> Option<Self> {
        let map = Map::of(node, "the quality rule", faults)?;
        map.only(KEYS, faults);
        Custom::read(&map, custom::NONE, faults);
        if let Some(kind) = map.text("type", faults) {
            match kind.value {
                "library" => {}
                "text" => return None,
                other => {
                    faults.add(
                        kind.at,
                        format!("Tarn does not run rules of type '{other}'"),
                        SUPPORTED,
                    );
                    return None;
                }
            }
        }
        let severity = match map.text("severity", faults) {
            None => Severity::Reject,
            Some(text) => match text.value {
                "warn" | "warning" => Severity::Warn,
                "reject" | "error" => Severity::Reject,
                "abort" => Severity::Abort,
                other => {
                    faults.add(
                        text.at,
                        format!("unknown severity '{other}'"),
                        "use warn (the row is kept and counted), reject (it goes to quarantine) or abort (the run fails)",
                    );
                    Severity::Reject
                }
            },
        };
        let dimension = map.text("dimension", faults);
        if let Some(unknown) = dimension
            .as_ref()
            .filter(|text| !DIMENSIONS.contains(&text.value))
        {
            faults.add(
                unknown.at,
                format!("unknown dimension '{}'", unknown.value),
                format!("use one of {}", DIMENSIONS.join(", ")),
            );
        }
        let unit = map.text("unit", faults);
        let percent = unit
            .as_ref()
            .filter(|unit| unit.value == "percent")
            .map(|unit| unit.at);
        if let Some(unit) = unit.filter(|unit| !matches!(unit.value, "rows" | "percent")) {
            faults.add(
                unit.at,
                format!("unknown unit '{}'", unit.value),
                "use rows or percent",
            );
        }
        let metric = map.needed("metric", SUPPORTED, faults)?;
        Some(Quality {
            map,
            metric,
            severity,
            dimension: dimension.map(|text| text.value),
            percent,
        })
    }

    pub fn dimension(&self, default: &str) -> String {
        self.dimension.unwrap_or(default).to_owned()
    }

    pub fn unknown_metric(&self, faults: &mut Faults) {
        let known = [
            "nullValues",
            "missingValues",
            "invalidValues",
            "duplicateValues",
            "rowCount",
        ];
        let help = match nearest(self.metric.value, known) {
            Some(name) => format!("did you mean '{name}'?"),
            None => SUPPORTED.to_owned(),
        };
        faults.add(
            self.metric.at,
            format!("unknown metric '{}'", self.metric.value),
            help,
        );
    }

    /// The arguments, which may only have the given names.
    pub fn arguments(&self, known: &[&str], faults: &mut Faults) -> Option<Map<'a>> {
        let map = Map::of(self.map.get("arguments")?, "arguments", faults)?;
        for entry in map
            .entries
            .iter()
            .filter(|entry| !known.contains(&entry.key.as_str()))
        {
            let help = match known {
                [] => "remove it: the metric has no arguments".to_owned(),
                _ => format!("the arguments are {}", known.join(", ")),
            };
            faults.add(
                entry.at,
                format!("{} has no argument '{}'", self.metric.value, entry.key),
                help,
            );
        }
        Some(map)
    }

    pub fn comparison_place(&self) -> Place {
        let is_comparison = |key: &str| COMPARISONS.contains(&key);
        self.map
            .entries
            .iter()
            .find(|entry| is_comparison(&entry.key))
            .map_or(self.map.at, |entry| entry.value.at)
    }

    /// The one comparison that every rule has.
    pub fn comparison(&self, faults: &mut Faults) -> Option<Comparison> {
        let mut found = None;
        for entry in self
            .map
            .entries
            .iter()
            .filter(|entry| entry.key.starts_with("must"))
        {
            if found.is_some() {
                faults.add(
                    entry.at,
                    "the rule has more than one comparison",
                    "write two rules",
                );
                return None;
            }
            found = Some(entry);
        }
        let Some(entry) = found else {
            faults.add(
                self.map.at,
                "the rule says nothing to compare with",
                format!("add one of {}", COMPARISONS.join(", ")),
            );
            return None;
        };
        let node = &*entry.value;
        if entry.key == "mustBeBetween" {
            let ends = match &node.value {
                Value::List(items) => items
                    .iter()
                    .map(|item| number(item))
                    .collect::<Option<Vec<f64>>>(),
                _ => None,
            };
            if let Some([low, high]) = ends.as_deref()
                && low <= high
            {
                return Some(Comparison::Between(*low, *high));
            }
            faults.add(
                node.at,
                "mustBeBetween needs two numbers, the smaller first",
                "write mustBeBetween: [0, 10]",
            );
            return None;
        }
        let make = match entry.key.as_str() {
            "mustBe" => Comparison::Equal,
            "mustNotBe" => Comparison::NotEqual,
            "mustBeGreaterThan" => Comparison::Greater,
            "mustBeGreaterOrEqualTo" => Comparison::GreaterOrEqual,
            "mustBeLessThan" => Comparison::Less,
            "mustBeLessOrEqualTo" => Comparison::LessOrEqual,
            other => {
                if KEYS.contains(&other) {
                    faults.add(
                        entry.at,
                        format!("Tarn does not run the comparison '{other}'"),
                        format!("use one of {}", COMPARISONS.join(", ")),
                    );
                }
                return None;
            }
        };
        let value = number(node);
        if value.is_none() {
            faults.add(
                node.at,
                format!("{} needs a number, not {}", entry.key, node.shown()),
                format!("write {}: 0", entry.key),
            );
        }
        value.map(make)
    }

    pub fn column_metric(
        &self,
        column: &str,
        metric: Metric,
        faults: &mut Faults,
    ) -> Option<ColumnMetric> {
        let comparison = self.comparison(faults)?;
        let unit = if self.percent.is_some() {
            " per cent"
        } else {
            ""
        };
        let text = format!(
            "{} of {column} {}{unit}",
            self.metric.value,
            shown(comparison)
        );
        Some(ColumnMetric {
            metric,
            comparison,
            percent: self.percent.is_some(),
            severity: self.severity,
            dimension: self.dimension("completeness"),
            text,
        })
    }

    pub fn table_rule(&self, check: TableCheck, text: String, dimension: &str) -> TableRule {
        TableRule {
            check,
            severity: self.severity,
            dimension: self.dimension(dimension),
            text,
        }
    }

    pub fn duplicates(&self, columns: &str, faults: &mut Faults) -> Option<TableRule> {
        if let Some(unit) = self.percent {
            faults.add(
                unit,
                "duplicateValues is not measured in per cent",
                "write unit: rows",
            );
        }
        let comparison = self.comparison(faults)?;
        let text = format!("duplicateValues of {columns} {}", shown(comparison));
        Some(self.table_rule(TableCheck::DuplicateKeys(comparison), text, "uniqueness"))
    }
}

fn number(node: &Node) -> Option<f64> {
    node.number()
        .and_then(|text| text.parse::<f64>().ok())
        .filter(|value| value.is_finite())
}

/// A comparison in words.
pub(super) fn shown(comparison: Comparison) -> String {
    match comparison {
        Comparison::Equal(x) => format!("must be {x}"),
        Comparison::NotEqual(x) => format!("must not be {x}"),
        Comparison::Greater(x) => format!("must be greater than {x}"),
        Comparison::GreaterOrEqual(x) => format!("must be at least {x}"),
        Comparison::Less(x) => format!("must be less than {x}"),
        Comparison::LessOrEqual(x) => format!("must be at most {x}"),
        Comparison::Between(low, high) => format!("must be from {low} to {high}"),
    }
}
