//! The entries of `quality` lists, as far as they are the same for all kinds.

use super::custom::{self, Custom};
use super::yaml::{Faults, Map, Node, Place, Spanned, Value};
use crate::diagnostic::nearest;
use crate::kinds::{KINDS, Place as Where, RuleKind, Spelling};
use crate::{Comparison, Severity, Threshold, Unit};

/// The keys that ODCS gives a rule.
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

/// The comparisons of ODCS; a rule has one of them.
pub(crate) const COMPARISONS: [&str; 8] = [
    "mustBe",
    "mustNotBe",
    "mustBeGreaterThan",
    "mustBeGreaterOrEqualTo",
    "mustBeLessThan",
    "mustBeLessOrEqualTo",
    "mustBeBetween",
    "mustNotBeBetween",
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

const METRICS: [&str; 5] = [
    "nullValues",
    "missingValues",
    "invalidValues",
    "duplicateValues",
    "rowCount",
];

/// What every rule has in addition to its check.
#[derive(Default)]
pub(super) struct Meta<'a> {
    pub id: Option<Spanned<&'a str>>,
    pub severity: Option<Severity>,
    pub dimension: Option<&'a str>,
    pub owner: Option<String>,
}

/// What an entry of a quality list asks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// The metric `invalidValues`, which has a list of values, a pattern, or both.
    InvalidValues,
    /// Any other metric, custom rule or query.
    Kind(RuleKind),
}

impl Ask {
    /// The library metric of that name.
    fn metric(name: &str) -> Option<Self> {
        match name {
            "invalidValues" => Some(Ask::InvalidValues),
            _ => RuleKind::parse(name)
                .filter(|_| METRICS.contains(&name))
                .map(Ask::Kind),
        }
    }

    /// The name in contracts.
    pub fn name(self) -> &'static str {
        match self {
            Ask::InvalidValues => "invalidValues",
            Ask::Kind(kind) => kind.name(),
        }
    }

    /// Where a library metric is written.
    fn place(self) -> Where {
        match self {
            Ask::InvalidValues => Where::Column,
            Ask::Kind(kind) => kind.definition().place,
        }
    }
}

/// An entry of a quality list.
pub(super) struct Quality<'a> {
    pub map: Map<'a>,
    /// What it asks, and where.
    pub name: Spanned<Ask>,
    pub meta: Meta<'a>,
    unit: Option<Spanned<Unit>>,
    /// The arguments of a metric, or the implementation of a custom rule.
    pub arguments: Option<Map<'a>>,
}

impl<'a> Quality<'a> {
    /// None for a rule in words; None and a fault for a rule that Tarn does not run. `place` is where the
    /// list is.
    pub fn read(node: &'a Node, place: Where, faults: &mut Faults) -> Option<Self> {
        let map = Map::of(node, "the quality rule", faults)?;
        map.only(KEYS, faults);
        let custom = Custom::read(&map, custom::RULE, faults);
        let severity = map
            .text("severity", faults)
            .and_then(|text| severity(&text, faults));
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
        let unit = map
            .text("unit", faults)
            .and_then(|text| unit(&text, faults));
        let (name, arguments) = match map.text("type", faults) {
            None => metric(&map, place, faults)?,
            Some(ty) => match ty.value {
                "library" => metric(&map, place, faults)?,
                "text" => return None,
                "sql" => (
                    Spanned {
                        value: Ask::Kind(RuleKind::Sql),
                        at: ty.at,
                    },
                    None,
                ),
                "custom" => implementation(&map, place, faults)?,
                other => {
                    faults.add(
                        ty.at,
                        format!("unknown type of rule '{other}'"),
                        "use library, sql, custom or text",
                    );
                    return None;
                }
            },
        };
        Some(Quality {
            name,
            meta: Meta {
                id: map.text("id", faults),
                severity,
                dimension: dimension.map(|text| text.value),
                owner: custom
                    .text("owner", faults)
                    .map(|text| text.value.to_owned()),
            },
            unit,
            arguments,
            map,
        })
    }

    /// Refuses arguments that the kind does not have.
    pub fn only_arguments(&self, known: &[&str], faults: &mut Faults) {
        let Some(map) = &self.arguments else {
            return;
        };
        for entry in map
            .entries
            .iter()
            .filter(|entry| entry.key != "kind" && !known.contains(&entry.key.as_str()))
        {
            let help = match known {
                [] => "remove it: it has no arguments".to_owned(),
                _ => match nearest(&entry.key, known.iter().copied()) {
                    Some(meant) => format!("did you mean '{meant}'?"),
                    None => format!("the arguments are {}", known.join(", ")),
                },
            };
            faults.add(
                entry.at,
                format!("{} has no argument '{}'", self.name.value.name(), entry.key),
                help,
            );
        }
    }

    /// Refuses arguments that the definition of a kind does not list.
    pub fn only_arguments_of(&self, kind: RuleKind, faults: &mut Faults) {
        let listed = kind.definition().arguments.iter();
        let known: Vec<&str> = listed.map(|(name, _)| *name).collect();
        self.only_arguments(&known, faults);
    }

    /// An argument's node.
    pub fn argument(&self, name: &str) -> Option<&'a Node> {
        self.arguments.as_ref()?.get(name)
    }

    /// An argument's node; a fault where it is missing.
    pub fn needed(&self, name: &str, help: &str, faults: &mut Faults) -> Option<&'a Node> {
        let node = self.argument(name);
        if node.is_none() {
            let at = self.arguments.as_ref().map_or(self.name.at, |map| map.at);
            faults.add(
                at,
                format!("{} lacks its argument '{name}'", self.name.value.name()),
                help,
            );
        }
        node
    }

    /// Where the comparison is, or else the rule.
    pub fn comparison_place(&self) -> Place {
        self.map
            .entries
            .iter()
            .find(|entry| COMPARISONS.contains(&entry.key.as_str()))
            .map_or(self.map.at, |entry| entry.value.at)
    }

    /// What the rule of a kind compares its number with.
    pub fn threshold(&self, kind: RuleKind, faults: &mut Faults) -> Option<Threshold> {
        let kind = kind.definition();
        let comparison = self.comparison(faults)?;
        let unit = match &self.unit {
            None => kind.units.first().copied().unwrap_or(Unit::Number),
            Some(unit) if kind.units.contains(&unit.value) => unit.value,
            // A number without a unit may be given an empty one.
            Some(unit) => {
                faults.add(
                    unit.at,
                    format!("{} is not measured in this unit", kind.name()),
                    "remove the unit",
                );
                return None;
            }
        };
        let (least, greatest) = match unit {
            Unit::Percent if kind.range.0 >= 0.0 => (0.0, 100.0),
            _ => kind.range,
        };
        if let Some(out) = comparison
            .numbers()
            .find(|number| *number < least || *number > greatest)
        {
            let help = if greatest.is_finite() {
                format!("write a number from {least} to {greatest}")
            } else {
                format!("write a number from {least} on")
            };
            faults.add(
                self.comparison_place(),
                format!("the threshold {out} of {} is out of range", kind.name()),
                help,
            );
            return None;
        }
        Some(Threshold { comparison, unit })
    }

    /// Like [`Quality::threshold`], with no rows as the default.
    pub fn threshold_or_none(&self, kind: RuleKind, faults: &mut Faults) -> Option<Threshold> {
        let said = self
            .map
            .entries
            .iter()
            .any(|entry| entry.key.starts_with("must"));
        if said {
            self.threshold(kind, faults)
        } else {
            Some(Threshold::NONE)
        }
    }

    /// The one comparison that a rule has.
    fn comparison(&self, faults: &mut Faults) -> Option<Comparison> {
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
        let make = match entry.key.as_str() {
            "mustBeBetween" => return ends(node, "mustBeBetween", Comparison::Between, faults),
            "mustNotBeBetween" => {
                return ends(node, "mustNotBeBetween", Comparison::Outside, faults);
            }
            "mustBe" => Comparison::Equal,
            "mustNotBe" => Comparison::NotEqual,
            "mustBeGreaterThan" => Comparison::Greater,
            "mustBeGreaterOrEqualTo" => Comparison::GreaterOrEqual,
            "mustBeLessThan" => Comparison::Less,
            "mustBeLessOrEqualTo" => Comparison::LessOrEqual,
            // An unknown key: a fault was noted.
            _ => return None,
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
}

fn ends(
    node: &Node,
    key: &str,
    make: fn(f64, f64) -> Comparison,
    faults: &mut Faults,
) -> Option<Comparison> {
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
        return Some(make(*low, *high));
    }
    faults.add(
        node.at,
        format!("{key} needs two numbers, the smaller first"),
        format!("write {key}: [0, 10]"),
    );
    None
}

/// A finite number.
pub(super) fn number(node: &Node) -> Option<f64> {
    node.number()
        .and_then(|text| text.parse::<f64>().ok())
        .filter(|value| value.is_finite())
}

fn severity(text: &Spanned<&str>, faults: &mut Faults) -> Option<Severity> {
    match text.value {
        "warn" | "warning" => Some(Severity::Warn),
        "reject" | "error" => Some(Severity::Reject),
        "abort" => Some(Severity::Abort),
        other => {
            faults.add(
                text.at,
                format!("unknown severity '{other}'"),
                "use warn (the row is kept and counted), reject (it goes to quarantine) or abort (the run fails)",
            );
            None
        }
    }
}

fn unit(text: &Spanned<&str>, faults: &mut Faults) -> Option<Spanned<Unit>> {
    let value = match text.value {
        "rows" => Unit::Rows,
        "percent" => Unit::Percent,
        "seconds" => Unit::Seconds,
        "minutes" => Unit::Minutes,
        "hours" => Unit::Hours,
        "days" => Unit::Days,
        other => {
            faults.add(
                text.at,
                format!("unknown unit '{other}'"),
                "use rows or percent, and of an age seconds, minutes, hours or days",
            );
            return None;
        }
    };
    Some(Spanned { value, at: text.at })
}

type Named<'a> = (Spanned<Ask>, Option<Map<'a>>);

fn metric<'a>(map: &Map<'a>, place: Where, faults: &mut Faults) -> Option<Named<'a>> {
    let name = map.needed(
        "metric",
        "write one of nullValues, missingValues, invalidValues, duplicateValues and rowCount, or type: sql or custom",
        faults,
    )?;
    let Some(ask) = Ask::metric(name.value) else {
        let help = match nearest(name.value, METRICS) {
            Some(meant) => format!("did you mean '{meant}'?"),
            None if RuleKind::parse(name.value).is_some_and(is_custom) => {
                format!(
                    "write type: custom, engine: tarn, implementation: {{ kind: {} }}",
                    name.value
                )
            }
            None => format!("the metrics are {}", METRICS.join(", ")),
        };
        faults.add(name.at, format!("unknown metric '{}'", name.value), help);
        return None;
    };
    if !fits(ask.place(), place) {
        misplaced(&name, "a metric", place, faults);
        return None;
    }
    let arguments = match map.get("arguments") {
        Some(node) => Some(Map::of(node, "arguments", faults)?),
        None => None,
    };
    let asked = Spanned {
        value: ask,
        at: name.at,
    };
    Some((asked, arguments))
}

fn implementation<'a>(map: &Map<'a>, place: Where, faults: &mut Faults) -> Option<Named<'a>> {
    let engine = map.needed("engine", "write engine: tarn", faults)?;
    if engine.value != "tarn" {
        faults.add(
            engine.at,
            format!("Tarn does not run rules of engine '{}'", engine.value),
            "write engine: tarn, or type: text for a rule in words",
        );
        return None;
    }
    let Some(node) = map.get("implementation") else {
        faults.add(
            map.at,
            "the rule lacks 'implementation'",
            "add implementation: { kind: … }",
        );
        return None;
    };
    let arguments = Map::of(node, "implementation", faults)?;
    let name = arguments.needed("kind", "name the kind of rule", faults)?;
    let kinds = || {
        KINDS
            .iter()
            .filter(|kind| kind.spelling == Spelling::Custom)
            .map(|kind| kind.name())
    };
    let Some(known) = RuleKind::parse(name.value).filter(|kind| is_custom(*kind)) else {
        let help = match (nearest(name.value, kinds()), METRICS.contains(&name.value)) {
            (_, true) => format!("write metric: {} without a type", name.value),
            (Some(meant), _) => format!("did you mean '{meant}'?"),
            (None, _) => format!("the kinds are {}", kinds().collect::<Vec<_>>().join(", ")),
        };
        faults.add(
            name.at,
            format!("unknown kind of rule '{}'", name.value),
            help,
        );
        return None;
    };
    if !fits(known.definition().place, place) {
        misplaced(&name, "a rule", place, faults);
        return None;
    }
    let asked = Spanned {
        value: Ask::Kind(known),
        at: name.at,
    };
    Some((asked, Some(arguments)))
}

fn is_custom(kind: RuleKind) -> bool {
    kind.definition().spelling == Spelling::Custom
}

fn fits(kind: Where, place: Where) -> bool {
    kind == Where::Both || kind == place
}

fn misplaced(name: &Spanned<&str>, what: &str, place: Where, faults: &mut Faults) {
    let (of, to) = match place {
        Where::Column => ("the table", "the schema object"),
        _ => ("a column", "the column"),
    };
    faults.add(
        name.at,
        format!("{} is {what} of {of}", name.value),
        format!("move the rule to the quality list of {to}"),
    );
}
