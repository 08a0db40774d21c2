//! Rules: `required`, `unique`, `missing`, `logicalTypeOptions` and `quality`, once every column is
//! known.

mod argument;
mod custom;
mod custom_table;
mod options;
mod value;

pub(super) use self::argument::comparable;
use std::collections::HashSet;
use tarn_core::rule_id;

use super::column::{Property, texts};
use super::context::{Context, Foreign};
use super::monitor;
use super::quality::{Ask, Meta, Quality};
use super::yaml::{Faults, Map, Place, Spanned};
use crate::kinds::{Place as Where, RuleKind};
use crate::monitor::Monitor;
use crate::{
    Check, ColumnRef, Missing, MissingAction, ObjectMeasure, RowCheck, Rule, Severity,
    TableMeasure, Threshold, ValueCheck,
};
use tarn_core::privacy::Protection;
use tarn_core::schema::ColumnType;

/// Rules under construction.
pub(super) struct Rules<'a, 'f> {
    pub context: Context<'a>,
    /// What is wrong with them.
    faults: &'f mut Faults,
    pub list: Vec<Rule>,
    pub foreign: Vec<Spanned<Foreign>>,
    /// What is watched for anomalies.
    pub monitors: Vec<Monitor>,
    ids: HashSet<String>,
    /// Of the property that is being read.
    owner: Option<&'a str>,
    /// Where the property or the schema object is.
    at: Place,
}

/// What a rule asks, and for people.
pub(super) struct Asked {
    check: Check,
    threshold: Threshold,
    text: String,
}

impl Asked {
    pub fn new(check: Check, threshold: Threshold, text: impl Into<String>) -> Self {
        Asked {
            check,
            threshold,
            text: text.into(),
        }
    }
}

/// The column whose rules are being read.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub index: usize,
    pub name: &'a str,
    pub ty: &'a ColumnType,
}

/// Reads every rule of a contract.
pub(super) fn read<'a, 'f>(
    object: &Map<'a>,
    properties: &'a [Property],
    context: Context<'a>,
    faults: &'f mut Faults,
) -> Rules<'a, 'f> {
    let mut rules = Rules {
        context,
        faults,
        list: Vec::new(),
        foreign: Vec::new(),
        monitors: Vec::new(),
        ids: HashSet::new(),
        owner: None,
        at: object.at,
    };
    for (index, property) in properties.iter().enumerate() {
        let Some(column) = &property.column else {
            continue;
        };
        let subject = Subject {
            index,
            name: &column.name,
            ty: &column.ty,
        };
        rules.owner = property.owner.as_deref();
        rules.at = property.unique.unwrap_or(property.name.at);
        rules.property(property, subject);
    }
    rules.owner = None;
    rules.at = object.at;
    for node in object.list("quality", rules.faults) {
        if let Some(mapping) = monitor::mapping(node) {
            let found = monitor::read(node, mapping, &rules.context, &rules.monitors, rules.faults);
            rules.monitors.extend(found);
        } else if let Some(quality) = Quality::read(node, Where::Table, rules.faults) {
            rules.of_table(&quality);
        }
    }
    rules
}

impl<'a> Rules<'a, '_> {
    /// Adds a rule; its text begins with the column's name, where it has one.
    pub fn push(
        &mut self,
        kind: RuleKind,
        subject: Option<Subject<'_>>,
        asked: Asked,
        meta: &Meta<'_>,
    ) {
        let Asked {
            check,
            threshold,
            text,
        } = asked;
        let base = match subject {
            Some(subject) => format!("{}.{}", subject.name, kind.name()),
            None => kind.name().to_owned(),
        };
        let id = match (&meta.id, &check) {
            (_, Check::Rows(RowCheck::Unique { key: true, .. })) => rule_id::DUPLICATE.to_owned(),
            (_, Check::Rows(RowCheck::Readable)) => {
                rule_id::type_of(subject.map_or("", |subject| subject.name))
            }
            (Some(id), _) => {
                if self.ids.contains(id.value) {
                    self.faults.add(
                        id.at,
                        format!("another rule has the id '{}'", id.value),
                        "give each rule of a contract an id of its own",
                    );
                }
                id.value.to_owned()
            }
            (None, _) => std::iter::once(base.clone())
                .chain((2..).map(|number| format!("{base}.{number}")))
                .find(|id| !self.ids.contains(id))
                .unwrap_or(base),
        };
        self.ids.insert(id.clone());
        let text = match subject {
            Some(subject)
                if !matches!(check, Check::Column(_) | Check::Table(TableMeasure::Sql(_))) =>
            {
                format!("{} {text}", subject.name)
            }
            _ => text,
        };
        // The text of a check of rows that allows none is enough.
        let text = if threshold == Threshold::NONE && matches!(check, Check::Rows(_)) {
            text
        } else {
            format!("{text}: {threshold}")
        };
        self.list.push(Rule {
            id,
            kind: kind.definition(),
            column: subject.map(|subject| subject.index),
            check,
            threshold,
            severity: meta.severity.unwrap_or(Severity::Reject),
            dimension: meta
                .dimension
                .unwrap_or(kind.definition().dimension)
                .to_owned(),
            owner: meta
                .owner
                .as_deref()
                .or(self.owner)
                .or(self.context.owner)
                .map(str::to_owned),
            text,
        });
    }

    /// A rule that allows no row to break it, of severity reject.
    fn strict(&mut self, kind: RuleKind, subject: Subject<'_>, check: RowCheck, text: &str) {
        let asked = Asked::new(Check::Rows(check), Threshold::NONE, text);
        self.push(kind, Some(subject), asked, &Meta::default());
    }

    fn property(&mut self, property: &'a Property, subject: Subject<'a>) {
        let Some(map) = Map::of(&property.node, "the column", self.faults) else {
            return;
        };
        if property.required {
            self.strict(
                RuleKind::Required,
                subject,
                RowCheck::Present(Missing::nulls()),
                "is required",
            );
        }
        if let Some(column) = &property.column
            && column.missing.action == MissingAction::Reject
        {
            self.strict(
                RuleKind::Missing,
                subject,
                RowCheck::Present(column.missing.values.clone()),
                "is not missing",
            );
        }
        if let Some(options) = map.get("logicalTypeOptions") {
            self.options(options, subject);
        }
        if property.unique.is_some() {
            self.unique(
                &[subject.index],
                Some(subject),
                Threshold::NONE,
                &Meta::default(),
            );
        }
        for node in map.list("quality", self.faults) {
            if let Some(quality) = Quality::read(node, Where::Column, self.faults) {
                self.of_column(&quality, subject, &map);
            }
        }
    }

    /// Rows with the same values in these columns.
    fn unique(
        &mut self,
        columns: &[usize],
        subject: Option<Subject<'_>>,
        threshold: Threshold,
        meta: &Meta<'_>,
    ) {
        let key = self.context.is_key(columns);
        // Repeated rows are recognised by their protected values.
        if let Some(&index) = columns.iter().find(|&&index| {
            let protection = self.context.columns[index].protection;
            !matches!(protection, None | Some(Protection::Pseudonymise))
        }) && threshold == Threshold::NONE
            && meta.severity.unwrap_or(Severity::Reject) == Severity::Reject
        {
            self.faults.add(
                self.at,
                format!(
                    "the protection of {} makes different values equal, so repeated values cannot be found",
                    self.context.columns[index].name
                ),
                "write severity: warn, or protection: pseudonymise, which keeps equal values equal",
            );
            return;
        }
        let kind = if key {
            RuleKind::PrimaryKey
        } else {
            RuleKind::DuplicateValues
        };
        // Several rules can say that a key is unique; it is checked once.
        if key && self.ids.contains(rule_id::DUPLICATE) {
            return;
        }
        let names: Vec<&str> = columns
            .iter()
            .map(|&index| self.context.columns[index].name)
            .collect();
        let text = match (subject, names.as_slice()) {
            (Some(_), _) => "is unique".to_owned(),
            (None, [name]) => format!("{name} is unique"),
            (None, names) => format!("{} are unique together", names.join(", ")),
        };
        let check = Check::Rows(RowCheck::Unique {
            columns: columns.to_vec(),
            key,
        });
        self.push(kind, subject, Asked::new(check, threshold, text), meta);
    }

    fn of_column(&mut self, quality: &Quality<'a>, subject: Subject<'a>, map: &Map<'a>) {
        match quality.name.value {
            Ask::InvalidValues => self.invalid_values(quality, subject),
            Ask::Kind(kind @ (RuleKind::NullValues | RuleKind::MissingValues)) => {
                let (values, text) = if kind == RuleKind::NullValues {
                    quality.only_arguments(&[], self.faults);
                    (Missing::nulls(), "has a value")
                } else {
                    (
                        self.missing_of(quality, subject),
                        "has a value that stands for one",
                    )
                };
                if let Some(threshold) = quality.threshold(kind, self.faults) {
                    let check = Check::Rows(RowCheck::Present(values));
                    let asked = Asked::new(check, threshold, text);
                    self.push(kind, Some(subject), asked, &quality.meta);
                }
            }
            Ask::Kind(RuleKind::DuplicateValues) => {
                quality.only_arguments(&[], self.faults);
                if let Some(threshold) = self.duplicates_threshold(quality) {
                    self.unique(&[subject.index], Some(subject), threshold, &quality.meta);
                }
            }
            Ask::Kind(RuleKind::Sql) => self.sql(quality, Some(subject)),
            Ask::Kind(kind) => self.custom(kind, quality, subject, map),
        }
    }

    fn duplicates_threshold(&mut self, quality: &Quality<'_>) -> Option<Threshold> {
        quality.threshold(RuleKind::DuplicateValues, self.faults)
    }

    /// What counts as missing by a rule's own list, or by the default one.
    fn missing_of(&mut self, quality: &Quality<'_>, subject: Subject<'_>) -> Missing {
        quality.only_arguments(&["missingValues"], self.faults);
        let Some(node) = quality.argument("missingValues") else {
            return Missing {
                blanks: true,
                usual: true,
                texts: Vec::new(),
            };
        };
        let texts = texts(node, "missingValues", self.faults);
        if *subject.ty != ColumnType::String && !texts.is_empty() {
            self.faults.add(
                quality.name.at,
                format!("missingValues on a {} column", subject.ty),
                "use the metric nullValues",
            );
        }
        Missing {
            texts: texts.into_iter().map(|text| text.value).collect(),
            ..Missing::default()
        }
    }

    fn of_table(&mut self, quality: &Quality<'a>) {
        match quality.name.value {
            Ask::Kind(RuleKind::RowCount) => {
                quality.only_arguments(&[], self.faults);
                if let Some(threshold) = quality.threshold(RuleKind::RowCount, self.faults) {
                    let check = Check::Object(ObjectMeasure::RowCount);
                    let asked = Asked::new(check, threshold, "the number of rows");
                    self.push(RuleKind::RowCount, None, asked, &quality.meta);
                }
            }
            Ask::Kind(RuleKind::DuplicateValues) => {
                quality.only_arguments(&["properties"], self.faults);
                let columns = match quality.argument("properties") {
                    Some(node) => {
                        let columns = self.context.columns_of(node, "properties", self.faults);
                        if columns.is_empty() {
                            self.faults.add(
                                node.at,
                                "properties names no column",
                                "name the columns that are unique together",
                            );
                            return;
                        }
                        columns
                    }
                    None if self.context.primary_key.is_empty() => {
                        self.faults.add(
                            quality.name.at,
                            "duplicateValues says no columns, and the table has no primary key",
                            "add arguments: { properties: [a, b] }, or mark the columns that identify a row with primaryKey: true",
                        );
                        return;
                    }
                    None => self.context.primary_key.to_vec(),
                };
                if let Some(threshold) = self.duplicates_threshold(quality) {
                    self.unique(&columns, None, threshold, &quality.meta);
                }
            }
            Ask::Kind(RuleKind::Sql) => self.sql(quality, None),
            Ask::InvalidValues => {}
            Ask::Kind(kind) => self.custom_of_table(kind, quality),
        }
    }

    /// The metric invalidValues: a check of each value.
    fn invalid_values(&mut self, quality: &Quality<'_>, subject: Subject<'_>) {
        quality.only_arguments(&["validValues", "pattern"], self.faults);
        let (values, pattern) = (quality.argument("validValues"), quality.argument("pattern"));
        if values.is_none() && pattern.is_none() {
            let at = quality
                .arguments
                .as_ref()
                .map_or(quality.name.at, |arguments| arguments.at);
            self.faults.add(
                at,
                "invalidValues says neither validValues nor pattern",
                "add arguments: { validValues: [a, b] } or { pattern: '^…$' }",
            );
        }
        let Some(threshold) = quality.threshold(RuleKind::ValidValues, self.faults) else {
            return;
        };
        if let Some(node) = values {
            let values = value::list(node, "validValues", subject.ty, self.faults);
            let text = format!("is one of {}", values.join(", "));
            let check = Check::Rows(RowCheck::Value(ValueCheck::OneOf(values)));
            let asked = Asked::new(check, threshold, &text);
            self.push(RuleKind::ValidValues, Some(subject), asked, &quality.meta);
        }
        if pattern.is_some()
            && let Some(arguments) = &quality.arguments
            && let Some(text) = arguments.text("pattern", self.faults)
            && let Some(regex) = value::regex(&text, subject.ty, self.faults)
        {
            let shown = format!("matches {}", text.value);
            let check = Check::Rows(RowCheck::Value(ValueCheck::Pattern(regex)));
            let asked = Asked::new(check, threshold, &shown);
            self.push(RuleKind::Pattern, Some(subject), asked, &quality.meta);
        }
    }

    /// A rule of another dataset's table or column.
    fn note_foreign(&mut self, foreign: Foreign, at: Place) {
        self.foreign.push(Spanned { value: foreign, at });
    }

    /// A rule of another dataset's table, whichever columns it looks at.
    fn note_foreign_table(&mut self, dataset: &str, at: Place) {
        let to = ColumnRef {
            dataset: dataset.to_owned(),
            column: String::new(),
        };
        let foreign = Foreign {
            to,
            ty: None,
            row: false,
        };
        self.note_foreign(foreign, at);
    }
}
