//! Rules: `logicalTypeOptions` and `quality`.

use regex::Regex;

use super::column::texts;
use super::quality::{Quality, shown};
use super::value;
use super::yaml::{Faults, Map, Node, Spanned};
use crate::contract::diagnostic::nearest;
use crate::contract::{
    Bound, ColumnMetric, Comparison, Metric, Severity, TableCheck, TableRule, ValueCheck, ValueRule,
};
use crate::schema::ColumnType;

/// The rules of a column for each value and over the column; rules about the key go to `key_rules`.
pub(super) fn of_column(
    map: &Map<'_>,
    column: &str,
    ty: &ColumnType,
    key_rules: &mut Vec<Spanned<TableRule>>,
    faults: &mut Faults,
) -> (Vec<ValueRule>, Vec<ColumnMetric>) {
    let mut rules = Rules {
        column,
        ty,
        list: Vec::new(),
    };
    if let Some(options) = map.get("logicalTypeOptions") {
        rules.options(options, faults);
    }
    let mut metrics = Vec::new();
    for node in map.list("quality", faults) {
        let Some(quality) = Quality::read(node, faults) else {
            continue;
        };
        match quality.metric.value {
            "invalidValues" => rules.invalid_values(&quality, faults),
            "nullValues" => {
                quality.arguments(&[], faults);
                metrics.extend(quality.column_metric(column, Metric::NullValues, faults));
            }
            "missingValues" => {
                let arguments = quality.arguments(&["missingValues"], faults);
                let texts = arguments
                    .and_then(|arguments| arguments.get("missingValues"))
                    .map(|node| texts(node, "missingValues", faults))
                    .unwrap_or_default();
                if *ty != ColumnType::String && !texts.is_empty() {
                    faults.add(
                        quality.metric.at,
                        format!("missingValues on a {ty} column"),
                        "use the metric nullValues",
                    );
                    continue;
                }
                let metric =
                    Metric::MissingValues(texts.into_iter().map(|text| text.value).collect());
                metrics.extend(quality.column_metric(column, metric, faults));
            }
            "duplicateValues" => {
                quality.arguments(&[], faults);
                let at = quality.metric.at;
                key_rules.extend(
                    quality
                        .duplicates(column, faults)
                        .map(|value| Spanned { value, at }),
                );
            }
            "rowCount" => faults.add(
                quality.metric.at,
                "rowCount is a metric of the table",
                "move the rule to the quality list of the schema object",
            ),
            _ => quality.unknown_metric(faults),
        }
    }
    (rules.list, metrics)
}

/// The rules of the table, given its primary key in order.
pub(super) fn of_table(
    map: &Map<'_>,
    primary_key: &[String],
    faults: &mut Faults,
) -> Vec<TableRule> {
    let mut rules = Vec::new();
    for node in map.list("quality", faults) {
        let Some(quality) = Quality::read(node, faults) else {
            continue;
        };
        match quality.metric.value {
            "rowCount" => {
                quality.arguments(&[], faults);
                if let Some(unit) = quality.percent {
                    faults.add(
                        unit,
                        "rowCount is not measured in per cent",
                        "write unit: rows",
                    );
                }
                if let Some(comparison) = quality.comparison(faults) {
                    rules.push(quality.table_rule(
                        TableCheck::RowCount(comparison),
                        format!("the number of rows {}", shown(comparison)),
                        "completeness",
                    ));
                }
            }
            "duplicateValues" => {
                let columns = quality
                    .arguments(&["properties"], faults)
                    .and_then(|arguments| arguments.get("properties"))
                    .map(|node| (node.at, texts(node, "properties", faults)));
                if let Some((at, columns)) = &columns
                    && !primary_key.is_empty()
                    && !(columns.len() == primary_key.len()
                        && columns
                            .iter()
                            .all(|column| primary_key.contains(&column.value)))
                {
                    faults.add(
                        *at,
                        "duplicateValues is checked for the primary key only",
                        format!(
                            "write properties: [{}], or change the primary key",
                            primary_key.join(", ")
                        ),
                    );
                }
                if primary_key.is_empty() {
                    faults.add(
                        quality.metric.at,
                        "duplicateValues in a table without primary key",
                        "mark the columns that identify a row with primaryKey: true",
                    );
                }
                rules.extend(quality.duplicates(&primary_key.join(", "), faults));
            }
            "nullValues" | "missingValues" | "invalidValues" => faults.add(
                quality.metric.at,
                format!("{} is a metric of a column", quality.metric.value),
                "move the rule to the quality list of the column",
            ),
            _ => quality.unknown_metric(faults),
        }
    }
    rules
}

/// Value rules of one column under construction.
struct Rules<'a> {
    column: &'a str,
    ty: &'a ColumnType,
    list: Vec<ValueRule>,
}

impl Rules<'_> {
    fn push(
        &mut self,
        check: ValueCheck,
        name: &str,
        text: String,
        severity: Severity,
        dimension: String,
    ) {
        let base = format!("{}.{name}", self.column);
        let same = self
            .list
            .iter()
            .filter(|rule| rule.id == base || rule.id.starts_with(&format!("{base}.")))
            .count();
        let id = if same == 0 {
            base
        } else {
            format!("{base}.{}", same + 1)
        };
        self.list.push(ValueRule {
            check,
            severity,
            dimension,
            text: format!("{} {text}", self.column),
            id,
        });
    }

    fn option(&mut self, check: ValueCheck, name: &str, text: String) {
        self.push(check, name, text, Severity::Reject, "conformity".to_owned());
    }

    /// `logicalTypeOptions`: rules of severity reject.
    fn options(&mut self, node: &Node, faults: &mut Faults) {
        let Some(map) = Map::of(node, "logicalTypeOptions", faults) else {
            return;
        };
        let (mut least, mut most, mut shortest, mut longest) = (None, None, None, None);
        for entry in map.entries {
            let (key, node) = (entry.key.as_str(), &*entry.value);
            match key {
                "pattern" => {
                    let Some(text) = map.text(key, faults) else {
                        continue;
                    };
                    if let Some(regex) = self.regex(&text, faults) {
                        self.option(
                            ValueCheck::Pattern(regex),
                            key,
                            format!("matches {}", text.value),
                        );
                    }
                }
                "minLength" | "maxLength" => {
                    if *self.ty != ColumnType::String {
                        faults.add(
                            entry.at,
                            format!("{key} on a {} column", self.ty),
                            "remove it: only text has a length",
                        );
                        continue;
                    }
                    let Some(length) = node.number().and_then(|text| text.parse::<u64>().ok())
                    else {
                        faults.add(
                            node.at,
                            format!("{key} cannot be {}", node.shown()),
                            "write a whole number from 0",
                        );
                        continue;
                    };
                    if key == "minLength" {
                        shortest = Some(length);
                        self.option(
                            ValueCheck::MinLength(length),
                            key,
                            format!("has at least {length} characters"),
                        );
                    } else {
                        longest = Some((length, node.at));
                        self.option(
                            ValueCheck::MaxLength(length),
                            key,
                            format!("has at most {length} characters"),
                        );
                    }
                }
                "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => {
                    let Some(text) = node.scalar() else {
                        faults.add(
                            node.at,
                            format!("{key} cannot be {}", node.shown()),
                            "write a number",
                        );
                        continue;
                    };
                    let bound = match value::bound(self.ty, text) {
                        Ok(bound) => bound,
                        Err(help) => {
                            faults.add(
                                node.at,
                                format!(
                                    "{key} '{text}' does not go with the column's type {}",
                                    self.ty
                                ),
                                help,
                            );
                            continue;
                        }
                    };
                    match key {
                        "minimum" => {
                            least = Some(bound);
                            self.option(
                                ValueCheck::Minimum(bound),
                                key,
                                format!("is at least {text}"),
                            );
                        }
                        "maximum" => {
                            most = Some((bound, node.at));
                            self.option(
                                ValueCheck::Maximum(bound),
                                key,
                                format!("is at most {text}"),
                            );
                        }
                        "exclusiveMinimum" => {
                            self.option(
                                ValueCheck::ExclusiveMinimum(bound),
                                key,
                                format!("is greater than {text}"),
                            );
                        }
                        _ => self.option(
                            ValueCheck::ExclusiveMaximum(bound),
                            key,
                            format!("is less than {text}"),
                        ),
                    }
                }
                "timezone" if *self.ty == ColumnType::Timestamp => {
                    if node.boolean() != Some(true) {
                        faults.add(
                            node.at,
                            "timestamps without a time zone are not supported",
                            "write timezone: true; values without an offset are read as UTC",
                        );
                    }
                }
                "defaultTimezone" if *self.ty == ColumnType::Timestamp => {
                    if !node
                        .scalar()
                        .is_some_and(|zone| matches!(zone, "UTC" | "Etc/UTC" | "Z"))
                    {
                        faults.add(
                            node.at,
                            format!("the default time zone cannot be {}", node.shown()),
                            "write defaultTimezone: UTC",
                        );
                    }
                }
                other => {
                    let known = [
                        "pattern",
                        "minLength",
                        "maxLength",
                        "minimum",
                        "maximum",
                        "exclusiveMinimum",
                        "exclusiveMaximum",
                    ];
                    let help = match nearest(other, known) {
                        Some(name) => format!("did you mean '{name}'?"),
                        None => format!("remove it; Tarn checks {}", known.join(", ")),
                    };
                    faults.add(
                        entry.at,
                        format!("Tarn does not check the logicalTypeOption '{other}'"),
                        help,
                    );
                }
            }
        }
        if let (Some(least), Some((most, at))) = (least, most)
            && exceeds(least, most)
        {
            faults.add(at, "maximum is less than minimum", "exchange the two");
        }
        if let (Some(shortest), Some((longest, at))) = (shortest, longest)
            && shortest > longest
        {
            faults.add(at, "maxLength is less than minLength", "exchange the two");
        }
    }

    fn regex(&self, text: &Spanned<&str>, faults: &mut Faults) -> Option<Regex> {
        if *self.ty != ColumnType::String {
            faults.add(
                text.at,
                format!("a pattern on a {} column", self.ty),
                "remove it: only text has a pattern",
            );
            return None;
        }
        match Regex::new(text.value) {
            Ok(regex) => Some(regex),
            Err(error) => {
                // The library's text has several lines; the last one says what is wrong.
                let shown = error.to_string();
                let reason = shown
                    .lines()
                    .last()
                    .unwrap_or_default()
                    .trim_start_matches("error: ")
                    .to_owned();
                faults.add(
                    text.at,
                    format!("'{}' is no regular expression: {reason}", text.value),
                    "mend it; look-around and back-references are not supported",
                );
                None
            }
        }
    }

    /// The metric invalidValues: rules for each value.
    fn invalid_values(&mut self, quality: &Quality<'_>, faults: &mut Faults) {
        match quality.comparison(faults) {
            Some(Comparison::Equal(0.0)) => {}
            Some(_) => faults.add(
                quality.comparison_place(),
                "invalidValues is checked row by row",
                "write mustBe: 0, with severity warn where such rows shall be kept",
            ),
            None => return,
        }
        let Some(arguments) = quality.arguments(&["validValues", "pattern"], faults) else {
            faults.add(
                quality.metric.at,
                "invalidValues lacks its arguments",
                "add arguments: { validValues: [a, b] } or { pattern: '^…$' }",
            );
            return;
        };
        if arguments.get("validValues").is_none() && arguments.get("pattern").is_none() {
            faults.add(
                arguments.at,
                "invalidValues says neither validValues nor pattern",
                "add validValues: [a, b] or pattern: '^…$'",
            );
        }
        if let Some(node) = arguments.get("validValues") {
            let values = texts(node, "validValues", faults);
            if values.is_empty() {
                faults.add(
                    node.at,
                    "validValues names no value",
                    "list the values that are allowed",
                );
            }
            let values: Vec<String> = values
                .into_iter()
                .filter_map(|value| self.canonical(value, faults))
                .collect();
            let text = format!("is one of {}", values.join(", "));
            self.push(
                ValueCheck::OneOf(values),
                "validValues",
                text,
                quality.severity,
                quality.dimension("conformity"),
            );
        }
        if let Some(text) = arguments.text("pattern", faults)
            && let Some(regex) = self.regex(&text, faults)
        {
            let shown = format!("matches {}", text.value);
            self.push(
                ValueCheck::Pattern(regex),
                "pattern",
                shown,
                quality.severity,
                quality.dimension("conformity"),
            );
        }
    }

    /// A valid value as the column's values are written as text.
    fn canonical(&self, value: Spanned<String>, faults: &mut Faults) -> Option<String> {
        let text = match (self.ty, value::check(self.ty, &value.value)) {
            (ColumnType::Double | ColumnType::Timestamp | ColumnType::StringList, _) => Err(
                "use validValues with text, whole numbers, decimals, dates or booleans".to_owned(),
            ),
            (ColumnType::Int | ColumnType::Long, Ok(())) => value::bound(self.ty, &value.value)
                .map(|bound| match bound {
                    Bound::Integer(number) => number.to_string(),
                    Bound::Double(number) => number.to_string(),
                }),
            (ColumnType::Decimal { scale, .. }, Ok(())) => {
                value::bound(self.ty, &value.value).map(|bound| match bound {
                    Bound::Integer(number) => value::decimal_text(number, *scale),
                    Bound::Double(number) => number.to_string(),
                })
            }
            (_, checked) => checked.map(|()| value.value.clone()),
        };
        match text {
            Ok(text) => Some(text),
            Err(help) => {
                faults.add(
                    value.at,
                    format!(
                        "'{}' is no valid value of a {} column",
                        value.value, self.ty
                    ),
                    help,
                );
                None
            }
        }
    }
}

fn exceeds(least: Bound, most: Bound) -> bool {
    match (least, most) {
        (Bound::Integer(least), Bound::Integer(most)) => least > most,
        (Bound::Double(least), Bound::Double(most)) => least > most,
        _ => false,
    }
}
