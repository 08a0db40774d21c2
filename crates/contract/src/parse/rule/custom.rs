//! Rules of `type: custom` with engine tarn about columns.

use super::super::context::Foreign;
use super::super::quality::Quality;
use super::super::yaml::Map;
use super::argument::{
    argument_number, column_ref, comparable, is_number, name_of, node_text, of_numbers, of_text,
    one_of, patterns, shares, target, tolerance,
};
use super::{Asked, Rules, Subject, value};
use crate::kinds::RuleKind;
use crate::{
    Check, ColumnMeasure, ColumnRef, Operator, Outlier, RowCheck, TableMeasure, TextFormat,
    ValueCheck,
};
use tarn_core::schema::ColumnType;

impl<'a> Rules<'a, '_> {
    /// A rule of a column.
    pub(super) fn custom(
        &mut self,
        kind: RuleKind,
        quality: &Quality<'a>,
        subject: Subject<'a>,
        property: &Map<'a>,
    ) {
        quality.only_arguments_of(kind, self.faults);
        let before = self.faults.list.len();
        let asked = match kind {
            RuleKind::BlankValues
            | RuleKind::ForbiddenValues
            | RuleKind::DataType
            | RuleKind::Comparison
            | RuleKind::RowSum
            | RuleKind::Reference
            | RuleKind::Outlier
            | RuleKind::PersonalData => {
                let Some((check, text)) = self.row_check(kind, quality, subject, property) else {
                    return;
                };
                quality
                    .threshold_or_none(kind, self.faults)
                    .map(|threshold| Asked::new(Check::Rows(check), threshold, text))
            }
            RuleKind::GroupSum => {
                let Some((measure, text)) = self.group_sum(quality, subject) else {
                    return;
                };
                quality
                    .threshold_or_none(kind, self.faults)
                    .map(|threshold| Asked::new(Check::Table(measure), threshold, text))
            }
            _ => {
                let Some((measure, text)) = self.measure(kind, quality, subject) else {
                    return;
                };
                quality
                    .threshold(kind, self.faults)
                    .map(|threshold| Asked::new(Check::Column(measure), threshold, text))
            }
        };
        if let Some(asked) = asked
            && self.faults.list.len() == before
        {
            self.push(kind, Some(subject), asked, &quality.meta);
        }
    }

    fn row_check(
        &mut self,
        kind: RuleKind,
        quality: &Quality<'a>,
        subject: Subject<'a>,
        property: &Map<'a>,
    ) -> Option<(RowCheck, String)> {
        Some(match kind {
            RuleKind::BlankValues => {
                of_text(quality, subject, self.faults)?;
                (
                    RowCheck::Value(ValueCheck::NotBlank),
                    "is not blank".to_owned(),
                )
            }
            RuleKind::ForbiddenValues => {
                let node = quality.needed("values", "add values: [a, b]", self.faults)?;
                let list = value::list(node, "values", subject.ty, self.faults);
                let text = format!("is none of {}", list.join(", "));
                (RowCheck::Value(ValueCheck::NoneOf(list)), text)
            }
            RuleKind::DataType => match quality.argument("type") {
                None => (RowCheck::Readable, format!("can be read as {}", subject.ty)),
                Some(node) => {
                    of_text(quality, subject, self.faults)?;
                    let names = TextFormat::ALL.map(|(name, _)| name);
                    let format = one_of(node, "type", &TextFormat::ALL, &names, self.faults)?;
                    (
                        RowCheck::Value(ValueCheck::Format(format)),
                        format!("can be read as {}", format.as_str()),
                    )
                }
            },
            RuleKind::Comparison => self.comparison(quality, subject)?,
            RuleKind::RowSum => self.row_sum(quality, subject)?,
            RuleKind::Reference => self.reference(quality, subject, property)?,
            RuleKind::Outlier => self.outlier(quality, subject)?,
            _ => {
                of_text(quality, subject, self.faults)?;
                (
                    RowCheck::Personal {
                        columns: vec![subject.index],
                        patterns: patterns(quality, self.faults)?,
                    },
                    "holds no personal data".to_owned(),
                )
            }
        })
    }

    fn reference(
        &mut self,
        quality: &Quality<'a>,
        subject: Subject<'a>,
        property: &Map<'a>,
    ) -> Option<(RowCheck, String)> {
        let (to, at) = target(quality, property, self.faults)?;
        let text = format!("is a {} of {}", to.column, to.dataset);
        self.note_foreign(
            Foreign {
                to: to.clone(),
                ty: Some(subject.ty.clone()),
                row: true,
            },
            at,
        );
        if self.context.columns[subject.index].protection.is_some() {
            self.faults.add(
                quality.name.at,
                format!(
                    "{} is personal, and its protected values refer to nothing",
                    subject.name
                ),
                "remove the rule; a rule of type: sql can compare pseudonyms of two tables",
            );
        }
        if matches!(
            subject.ty,
            ColumnType::Double | ColumnType::Boolean | ColumnType::StringList
        ) {
            self.faults.add(
                quality.name.at,
                format!("a {} column refers to nothing", subject.ty),
                "use it on a column of text, whole numbers, decimals, dates or timestamps",
            );
        }
        Some((RowCheck::Reference(to), text))
    }

    fn outlier(
        &mut self,
        quality: &Quality<'a>,
        subject: Subject<'a>,
    ) -> Option<(RowCheck, String)> {
        of_numbers(quality, subject, self.faults)?;
        let limit = argument_number(quality, "limit", 0.0, f64::MAX, self.faults)?;
        if limit <= 0.0 {
            self.faults.add(
                quality.name.at,
                "the limit of an outlier must be greater than 0",
                "write limit: 3.5",
            );
        }
        let node = quality.needed("method", "add method: mad", self.faults)?;
        let methods = [
            ("mad", Outlier::Mad(limit)),
            ("iqr", Outlier::Iqr(limit)),
            ("medianMultiple", Outlier::MedianMultiple(limit)),
        ];
        let names = methods.map(|(name, _)| name);
        let method = one_of(node, "method", &methods, &names, self.faults)?;
        let text = match method {
            Outlier::Mad(limit) => format!("has a robust z-score of at most {limit}"),
            Outlier::Iqr(limit) => {
                format!("is within {limit} interquartile ranges of the quartiles")
            }
            Outlier::MedianMultiple(limit) => {
                format!("is at most {limit} times the median")
            }
        };
        Some((RowCheck::Outlier(method), text))
    }

    fn comparison(
        &mut self,
        quality: &Quality<'a>,
        subject: Subject<'a>,
    ) -> Option<(RowCheck, String)> {
        let node = quality.needed("operator", "add operator: \">=\"", self.faults)?;
        let signs = Operator::ALL.map(|(sign, _)| sign);
        let operator = one_of(node, "operator", &Operator::ALL, &signs, self.faults)?;
        let node = quality.needed("column", "name the other column", self.faults)?;
        let Some(name) = name_of(node) else {
            self.faults
                .add(node.at, "column must be a name", "name the other column");
            return None;
        };
        let (other, ty) = self.context.column(&name, self.faults)?;
        if !comparable(subject.ty, ty) || *subject.ty == ColumnType::StringList {
            self.faults.add(
                node.at,
                format!(
                    "{} of type {} cannot be compared with {} of type {ty}",
                    subject.name, subject.ty, name.value
                ),
                "compare numbers with numbers, and other columns with one of the same type",
            );
        }
        let sign = node_text(quality, "operator");
        Some((
            RowCheck::Pair { operator, other },
            format!("{sign} {}", name.value),
        ))
    }

    fn row_sum(
        &mut self,
        quality: &Quality<'a>,
        subject: Subject<'a>,
    ) -> Option<(RowCheck, String)> {
        of_numbers(quality, subject, self.faults)?;
        let node = quality.needed("plus", "add plus: [a, b]", self.faults)?;
        let plus = self.context.columns_of(node, "plus", self.faults);
        let minus = match quality.argument("minus") {
            Some(node) => self.context.columns_of(node, "minus", self.faults),
            None => Vec::new(),
        };
        if plus.is_empty() {
            self.faults.add(
                node.at,
                "plus names no column",
                "name the columns that are added",
            );
        }
        let tolerance = tolerance(quality, subject, self.faults)?;
        let names = |columns: &[usize], sign: &str| -> String {
            columns
                .iter()
                .filter_map(|&index| self.context.columns.get(index))
                .map(|column| column.name)
                .collect::<Vec<_>>()
                .join(sign)
        };
        for &index in plus.iter().chain(&minus) {
            let column = self.context.columns.get(index)?;
            if !column.ty.is_none_or(is_number) {
                self.faults.add(
                    quality.name.at,
                    format!("{} is not a number and cannot be added", column.name),
                    "name numeric columns",
                );
            }
        }
        let mut text = format!("is {}", names(&plus, " + "));
        if !minus.is_empty() {
            text = format!("{text} - {}", names(&minus, " - "));
        }
        Some((
            RowCheck::Sum {
                plus,
                minus,
                tolerance,
            },
            text,
        ))
    }

    fn group_sum(
        &mut self,
        quality: &Quality<'a>,
        subject: Subject<'a>,
    ) -> Option<(TableMeasure, String)> {
        of_numbers(quality, subject, self.faults)?;
        let node = quality.needed("of", "add of: dataset.column", self.faults)?;
        let of = column_ref(node, self.faults)?;
        let node_by = quality.needed(
            "by",
            "name the other dataset's column that names a row",
            self.faults,
        )?;
        let Some(by) = node_by.string() else {
            self.faults.add(
                node_by.at,
                "by must be a name",
                "name a column of the other dataset",
            );
            return None;
        };
        let key = match quality.argument("key") {
            Some(node) => self.context.column(&name_of(node)?, self.faults)?.0,
            None => match self.context.primary_key {
                [only] => *only,
                _ => {
                    self.faults.add(
                        quality.name.at,
                        "groupSum needs the column here that the other dataset names",
                        "add key: column; without it, the table needs a primary key of one column",
                    );
                    return None;
                }
            },
        };
        let tolerance = tolerance(quality, subject, self.faults)?;
        self.note_foreign(
            Foreign {
                to: of.clone(),
                ty: Some(subject.ty.clone()),
                row: false,
            },
            node.at,
        );
        self.note_foreign(
            Foreign {
                to: ColumnRef {
                    dataset: of.dataset.clone(),
                    column: by.to_owned(),
                },
                ty: self.context.columns.get(key)?.ty.cloned(),
                row: false,
            },
            node_by.at,
        );
        let text = format!("is the sum of {}.{} by {by}", of.dataset, of.column);
        Some((
            TableMeasure::GroupSum {
                of,
                by: by.to_owned(),
                key,
                tolerance,
            },
            text,
        ))
    }

    fn measure(
        &mut self,
        kind: RuleKind,
        quality: &Quality<'a>,
        subject: Subject<'a>,
    ) -> Option<(ColumnMeasure, String)> {
        let numeric = !matches!(
            kind,
            RuleKind::Completeness
                | RuleKind::DistinctCount
                | RuleKind::UniquenessRatio
                | RuleKind::Entropy
                | RuleKind::Distribution
                | RuleKind::Freshness
        );
        if numeric {
            of_numbers(quality, subject, self.faults)?;
        }
        if matches!(
            kind,
            RuleKind::DistinctCount
                | RuleKind::UniquenessRatio
                | RuleKind::Entropy
                | RuleKind::Distribution
        ) && *subject.ty == ColumnType::StringList
        {
            self.faults.add(
                quality.name.at,
                format!("{} on a {} column", kind.name(), subject.ty),
                "use it on a column of single values",
            );
            return None;
        }
        let text = format!("{} of {}", kind.name(), subject.name);
        Some((
            match kind {
                RuleKind::Completeness => {
                    ColumnMeasure::Completeness(self.missing_of(quality, subject))
                }
                RuleKind::DistinctCount => ColumnMeasure::DistinctCount,
                RuleKind::UniquenessRatio => ColumnMeasure::UniquenessRatio,
                RuleKind::Min => ColumnMeasure::Min,
                RuleKind::Max => ColumnMeasure::Max,
                RuleKind::Mean => ColumnMeasure::Mean,
                RuleKind::StandardDeviation => ColumnMeasure::StandardDeviation,
                RuleKind::Sum => ColumnMeasure::Sum,
                RuleKind::Median => ColumnMeasure::Quantile(0.5),
                RuleKind::Quantile => {
                    let p = argument_number(quality, "p", 0.0, 1.0, self.faults)?;
                    return Some((ColumnMeasure::Quantile(p), format!("{text} at {p}")));
                }
                RuleKind::Entropy => ColumnMeasure::Entropy,
                RuleKind::Distribution => {
                    ColumnMeasure::Distribution(shares(quality, subject, self.faults)?)
                }
                _ => {
                    if *subject.ty != ColumnType::Timestamp && *subject.ty != ColumnType::Date {
                        self.faults.add(
                            quality.name.at,
                            format!("freshness of a {} column", subject.ty),
                            "use it on a date or timestamp column",
                        );
                    }
                    ColumnMeasure::Freshness
                }
            },
            text,
        ))
    }
}
