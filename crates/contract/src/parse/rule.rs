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
use super::quality::{Meta, Quality};
use super::yaml::{Faults, Map, Place, Spanned};
use crate::kinds::{self, Kind, Place as Where};
use crate::monitor::Monitor;
use crate::{
    Check, ColumnRef, Missing, MissingAction, ObjectMeasure, RowCheck, Rule, Severity,
    TableMeasure, Threshold, ValueCheck,
};
use tarn_core::privacy::Protection;
use tarn_core::schema::ColumnType;

/// Rules under construction.
pub(super) struct Rules<'a> {
    pub context: Context<'a>,
    pub list: Vec<Rule>,
    pub foreign: Vec<Spanned<Foreign>>,
    /// What is watched for anomalies.
    pub monitors: Vec<Monitor>,
    ids: HashSet<String>,
    /// Of the property that is being read.
    owner: Option<&'a str>,
    /// Where the property, or the schema object, stands.
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
pub(super) fn read<'a>(
    object: &Map<'a>,
    properties: &'a [Property],
    context: Context<'a>,
    faults: &mut Faults,
) -> Rules<'a> {
    let mut rules = Rules {
        context,
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
        rules.property(property, subject, faults);
    }
    rules.owner = None;
    rules.at = object.at;
    for node in object.list("quality", faults) {
        if let Some(mapping) = monitor::mapping(node) {
            let found = monitor::read(node, mapping, &rules.context, &rules.monitors, faults);
            rules.monitors.extend(found);
        } else if let Some(quality) = Quality::read(node, Where::Table, faults) {
            rules.of_table(&quality, faults);
        }
    }
    rules
}

impl<'a> Rules<'a> {
    /// Adds a rule; its text begins with the column's name, where it has one.
    pub fn push(
        &mut self,
        kind: &'static Kind,
        subject: Option<Subject<'_>>,
        asked: Asked,
        meta: &Meta<'_>,
        faults: &mut Faults,
    ) {
        let Asked {
            check,
            threshold,
            text,
        } = asked;
        let base = match subject {
            Some(subject) => format!("{}.{}", subject.name, kind.name),
            None => kind.name.to_owned(),
        };
        let id = match (&meta.id, &check) {
            (_, Check::Rows(RowCheck::Unique { key: true, .. })) => rule_id::DUPLICATE.to_owned(),
            (_, Check::Rows(RowCheck::Readable)) => {
                rule_id::type_of(subject.map_or("", |subject| subject.name))
            }
            (Some(id), _) => {
                if self.ids.contains(id.value) {
                    faults.add(
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
        // A check of rows that allows none says so by its text.
        let text = match threshold == Threshold::NONE && matches!(check, Check::Rows(_)) {
            true => text,
            false => format!("{text}: {threshold}"),
        };
        self.list.push(Rule {
            id,
            kind,
            column: subject.map(|subject| subject.index),
            check,
            threshold,
            severity: meta.severity.unwrap_or(Severity::Reject),
            dimension: meta.dimension.unwrap_or(kind.dimension).to_owned(),
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
    fn strict(
        &mut self,
        kind: &'static str,
        subject: Subject<'_>,
        check: RowCheck,
        text: &str,
        faults: &mut Faults,
    ) {
        let Some(kind) = kinds::kind(kind) else {
            return;
        };
        let asked = Asked::new(Check::Rows(check), Threshold::NONE, text);
        self.push(kind, Some(subject), asked, &Meta::default(), faults);
    }

    fn property(&mut self, property: &'a Property, subject: Subject<'a>, faults: &mut Faults) {
        let Some(map) = Map::of(&property.node, "the column", faults) else {
            return;
        };
        if property.required {
            self.strict(
                "required",
                subject,
                RowCheck::Present(Missing::nulls()),
                "is required",
                faults,
            );
        }
        if let Some(column) = &property.column
            && column.missing.action == MissingAction::Reject
        {
            self.strict(
                "missing",
                subject,
                RowCheck::Present(column.missing.values.clone()),
                "is not missing",
                faults,
            );
        }
        if let Some(options) = map.get("logicalTypeOptions") {
            self.options(options, subject, faults);
        }
        if property.unique.is_some() {
            self.unique(
                &[subject.index],
                Some(subject),
                Threshold::NONE,
                &Meta::default(),
                faults,
            );
        }
        for node in map.list("quality", faults) {
            if let Some(quality) = Quality::read(node, Where::Column, faults) {
                self.of_column(&quality, subject, &map, faults);
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
        faults: &mut Faults,
    ) {
        let key = self.context.is_key(columns);
        // Repeated rows are told apart by what is kept of them.
        if let Some(&index) = columns.iter().find(|&&index| {
            let protection = self.context.columns[index].protection;
            !matches!(protection, None | Some(Protection::Pseudonymise))
        }) && threshold == Threshold::NONE
            && meta.severity.unwrap_or(Severity::Reject) == Severity::Reject
        {
            faults.add(
                self.at,
                format!(
                    "{} is not kept as it is, so that repeated values cannot be told apart",
                    self.context.columns[index].name
                ),
                "write severity: warn, or protection: pseudonymise, which keeps equal values equal",
            );
            return;
        }
        let kind = kinds::kind(if key { "primaryKey" } else { "duplicateValues" });
        let Some(kind) = kind else {
            return;
        };
        // A key is said to be unique in several ways, and checked once.
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
        self.push(
            kind,
            subject,
            Asked::new(check, threshold, text),
            meta,
            faults,
        );
    }

    fn of_column(
        &mut self,
        quality: &Quality<'a>,
        subject: Subject<'a>,
        map: &Map<'a>,
        faults: &mut Faults,
    ) {
        match quality.name.value {
            "invalidValues" => self.invalid_values(quality, subject, faults),
            name @ ("nullValues" | "missingValues") => {
                let Some(kind) = kinds::kind(name) else {
                    return;
                };
                let (values, text) = if name == "nullValues" {
                    quality.only_arguments(&[], faults);
                    (Missing::nulls(), "has a value")
                } else {
                    (
                        self.missing_of(quality, subject, faults),
                        "has a value that stands for one",
                    )
                };
                if let Some(threshold) = quality.threshold(kind, faults) {
                    let check = Check::Rows(RowCheck::Present(values));
                    let asked = Asked::new(check, threshold, text);
                    self.push(kind, Some(subject), asked, &quality.meta, faults);
                }
            }
            "duplicateValues" => {
                quality.only_arguments(&[], faults);
                if let Some(threshold) = self.duplicates_threshold(quality, faults) {
                    self.unique(
                        &[subject.index],
                        Some(subject),
                        threshold,
                        &quality.meta,
                        faults,
                    );
                }
            }
            "sql" => self.sql(quality, Some(subject), faults),
            _ => self.custom(quality, subject, map, faults),
        }
    }

    fn duplicates_threshold(
        &self,
        quality: &Quality<'_>,
        faults: &mut Faults,
    ) -> Option<Threshold> {
        quality.threshold(kinds::kind("duplicateValues")?, faults)
    }

    /// What counts as missing by a rule's own list, or by the usual one.
    fn missing_of(
        &self,
        quality: &Quality<'_>,
        subject: Subject<'_>,
        faults: &mut Faults,
    ) -> Missing {
        quality.only_arguments(&["missingValues"], faults);
        let Some(node) = quality.argument("missingValues") else {
            return Missing {
                blanks: true,
                usual: true,
                texts: Vec::new(),
            };
        };
        let texts = texts(node, "missingValues", faults);
        if *subject.ty != ColumnType::String && !texts.is_empty() {
            faults.add(
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

    fn of_table(&mut self, quality: &Quality<'a>, faults: &mut Faults) {
        match quality.name.value {
            "rowCount" => {
                quality.only_arguments(&[], faults);
                if let Some(kind) = kinds::kind("rowCount")
                    && let Some(threshold) = quality.threshold(kind, faults)
                {
                    let check = Check::Object(ObjectMeasure::RowCount);
                    let asked = Asked::new(check, threshold, "the number of rows");
                    self.push(kind, None, asked, &quality.meta, faults);
                }
            }
            "duplicateValues" => {
                quality.only_arguments(&["properties"], faults);
                let columns = match quality.argument("properties") {
                    Some(node) => {
                        let columns = self.context.columns_of(node, "properties", faults);
                        if columns.is_empty() {
                            faults.add(
                                node.at,
                                "properties names no column",
                                "name the columns that are unique together",
                            );
                            return;
                        }
                        columns
                    }
                    None if self.context.primary_key.is_empty() => {
                        faults.add(
                            quality.name.at,
                            "duplicateValues says no columns, and the table has no primary key",
                            "add arguments: { properties: [a, b] }, or mark the columns that identify a row with primaryKey: true",
                        );
                        return;
                    }
                    None => self.context.primary_key.to_vec(),
                };
                if let Some(threshold) = self.duplicates_threshold(quality, faults) {
                    self.unique(&columns, None, threshold, &quality.meta, faults);
                }
            }
            "sql" => self.sql(quality, None, faults),
            _ => self.custom_of_table(quality, faults),
        }
    }

    /// The metric invalidValues: a check of each value.
    fn invalid_values(&mut self, quality: &Quality<'_>, subject: Subject<'_>, faults: &mut Faults) {
        quality.only_arguments(&["validValues", "pattern"], faults);
        let (values, pattern) = (quality.argument("validValues"), quality.argument("pattern"));
        let (Some(of_values), Some(of_pattern)) =
            (kinds::kind("validValues"), kinds::kind("pattern"))
        else {
            return;
        };
        if values.is_none() && pattern.is_none() {
            let at = quality
                .arguments
                .as_ref()
                .map_or(quality.name.at, |arguments| arguments.at);
            faults.add(
                at,
                "invalidValues says neither validValues nor pattern",
                "add arguments: { validValues: [a, b] } or { pattern: '^…$' }",
            );
        }
        let Some(threshold) = quality.threshold(of_values, faults) else {
            return;
        };
        if let Some(node) = values {
            let values = value::list(node, "validValues", subject.ty, faults);
            let text = format!("is one of {}", values.join(", "));
            let check = Check::Rows(RowCheck::Value(ValueCheck::OneOf(values)));
            let asked = Asked::new(check, threshold, &text);
            self.push(of_values, Some(subject), asked, &quality.meta, faults);
        }
        if pattern.is_some()
            && let Some(arguments) = &quality.arguments
            && let Some(text) = arguments.text("pattern", faults)
            && let Some(regex) = value::regex(&text, subject.ty, faults)
        {
            let shown = format!("matches {}", text.value);
            let check = Check::Rows(RowCheck::Value(ValueCheck::Pattern(regex)));
            let asked = Asked::new(check, threshold, &shown);
            self.push(of_pattern, Some(subject), asked, &quality.meta, faults);
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
