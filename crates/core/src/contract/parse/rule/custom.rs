//! Rules of `type: custom` with engine tarn, and of `type: sql`.

use super::super::quality::{Quality, number};
use super::super::value as values;
use super::super::yaml::{Faults, Map, Node, Place, Spanned, Value};
use super::{Asked, Foreign, Rules, Subject, texts, value};
use crate::contract::diagnostic::nearest;
use crate::contract::kinds;
use crate::contract::{
    Bound, Check, ColumnMeasure, ColumnRef, Format, ObjectMeasure, Operator, Outlier,
    PersonalPattern, RowCheck, TableMeasure, TextFormat, ValueCheck,
};
use crate::schema::{ColumnType, TableName, Zone};
use crate::sql::Query;
use crate::{Error, ErrorKind};

/// Columns of these types can be added and averaged.
fn is_number(ty: &ColumnType) -> bool {
    matches!(
        ty,
        ColumnType::Int | ColumnType::Long | ColumnType::Double | ColumnType::Decimal { .. }
    )
}

/// Whether values of two columns can be compared: both numbers, or both of one type.
pub(in super::super) fn comparable(a: &ColumnType, b: &ColumnType) -> bool {
    a == b || (is_number(a) && is_number(b))
}

fn name_of(node: &Node) -> Option<Spanned<&str>> {
    Some(Spanned {
        value: node.string()?,
        at: node.at,
    })
}

impl<'a> Rules<'a> {
    /// A rule of a column.
    pub(super) fn custom(
        &mut self,
        quality: &Quality<'a>,
        subject: Subject<'a>,
        property: &Map<'a>,
        faults: &mut Faults,
    ) {
        let Some(kind) = kinds::kind(quality.name.value) else {
            return;
        };
        let known: Vec<&str> = kind.arguments.iter().map(|(name, _)| *name).collect();
        quality.only_arguments(&known, faults);
        let before = faults.list.len();
        let asked = match kind.name {
            "blankValues" | "forbiddenValues" | "dataType" | "comparison" | "rowSum"
            | "reference" | "outlier" | "personalData" => {
                let Some((check, text)) =
                    self.row_check(kind.name, quality, subject, property, faults)
                else {
                    return;
                };
                quality
                    .threshold_or_none(kind, faults)
                    .map(|threshold| Asked::new(Check::Rows(check), threshold, text))
            }
            "groupSum" => {
                let Some((measure, text)) = self.group_sum(quality, subject, faults) else {
                    return;
                };
                quality
                    .threshold_or_none(kind, faults)
                    .map(|threshold| Asked::new(Check::Table(measure), threshold, text))
            }
            _ => {
                let Some((measure, text)) = self.measure(kind.name, quality, subject, faults)
                else {
                    return;
                };
                quality
                    .threshold(kind, faults)
                    .map(|threshold| Asked::new(Check::Column(measure), threshold, text))
            }
        };
        if let Some(asked) = asked
            && faults.list.len() == before
        {
            self.push(kind, Some(subject), asked, &quality.meta, faults);
        }
    }

    fn row_check(
        &mut self,
        kind: &str,
        quality: &Quality<'a>,
        subject: Subject<'a>,
        property: &Map<'a>,
        faults: &mut Faults,
    ) -> Option<(RowCheck, String)> {
        Some(match kind {
            "blankValues" => {
                of_text(quality, subject, faults)?;
                (
                    RowCheck::Value(ValueCheck::NotBlank),
                    "is not blank".to_owned(),
                )
            }
            "forbiddenValues" => {
                let node = quality.needed("values", "add values: [a, b]", faults)?;
                let list = value::list(node, "values", subject.ty, faults);
                let text = format!("is none of {}", list.join(", "));
                (RowCheck::Value(ValueCheck::NoneOf(list)), text)
            }
            "dataType" => match quality.argument("type") {
                None => (RowCheck::Readable, format!("can be read as {}", subject.ty)),
                Some(node) => {
                    of_text(quality, subject, faults)?;
                    let names = TextFormat::ALL.map(|(name, _)| name);
                    let format = one_of(node, "type", &TextFormat::ALL, &names, faults)?;
                    (
                        RowCheck::Value(ValueCheck::Format(format)),
                        format!("can be read as {}", format.as_str()),
                    )
                }
            },
            "comparison" => self.comparison(quality, subject, faults)?,
            "rowSum" => self.row_sum(quality, subject, faults)?,
            "reference" => {
                let (to, at) = target(quality, property, faults)?;
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
                    faults.add(
                        quality.name.at,
                        format!(
                            "{} is personal, and what is kept of it refers to nothing",
                            subject.name
                        ),
                        "remove the rule; a rule of type: sql can compare pseudonyms of two tables",
                    );
                }
                if matches!(
                    subject.ty,
                    ColumnType::Double | ColumnType::Boolean | ColumnType::StringList
                ) {
                    faults.add(
                        quality.name.at,
                        format!("a {} column refers to nothing", subject.ty),
                        "use it on a column of text, whole numbers, decimals, dates or timestamps",
                    );
                }
                (RowCheck::Reference(to), text)
            }
            "outlier" => {
                of_numbers(quality, subject, faults)?;
                let limit = argument_number(quality, "limit", 0.0, f64::MAX, faults)?;
                if limit <= 0.0 {
                    faults.add(
                        quality.name.at,
                        "the limit of an outlier must be greater than 0",
                        "write limit: 3.5",
                    );
                }
                let node = quality.needed("method", "add method: mad", faults)?;
                let methods = [
                    ("mad", Outlier::Mad(limit)),
                    ("iqr", Outlier::Iqr(limit)),
                    ("medianMultiple", Outlier::MedianMultiple(limit)),
                ];
                let names = methods.map(|(name, _)| name);
                let method = one_of(node, "method", &methods, &names, faults)?;
                let text = match method {
                    Outlier::Mad(limit) => format!("has a robust z-score of at most {limit}"),
                    Outlier::Iqr(limit) => {
                        format!("is within {limit} interquartile ranges of the quartiles")
                    }
                    Outlier::MedianMultiple(limit) => {
                        format!("is at most {limit} times the median")
                    }
                };
                (RowCheck::Outlier(method), text)
            }
            _ => {
                of_text(quality, subject, faults)?;
                (
                    RowCheck::Personal {
                        columns: vec![subject.index],
                        patterns: patterns(quality, faults)?,
                    },
                    "holds no personal data".to_owned(),
                )
            }
        })
    }

    fn comparison(
        &self,
        quality: &Quality<'a>,
        subject: Subject<'a>,
        faults: &mut Faults,
    ) -> Option<(RowCheck, String)> {
        let node = quality.needed("operator", "add operator: \">=\"", faults)?;
        let signs = Operator::ALL.map(|(sign, _)| sign);
        let operator = one_of(node, "operator", &Operator::ALL, &signs, faults)?;
        let node = quality.needed("column", "name the other column", faults)?;
        let Some(name) = name_of(node) else {
            faults.add(node.at, "column must be a name", "name the other column");
            return None;
        };
        let (other, ty) = self.context.column(&name, faults)?;
        if !comparable(subject.ty, ty) || *subject.ty == ColumnType::StringList {
            faults.add(
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
        &self,
        quality: &Quality<'a>,
        subject: Subject<'a>,
        faults: &mut Faults,
    ) -> Option<(RowCheck, String)> {
        of_numbers(quality, subject, faults)?;
        let node = quality.needed("plus", "add plus: [a, b]", faults)?;
        let plus = self.context.columns_of(node, "plus", faults);
        let minus = match quality.argument("minus") {
            Some(node) => self.context.columns_of(node, "minus", faults),
            None => Vec::new(),
        };
        if plus.is_empty() {
            faults.add(
                node.at,
                "plus names no column",
                "name the columns that are added",
            );
        }
        let tolerance = tolerance(quality, subject, faults)?;
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
                faults.add(
                    quality.name.at,
                    format!("{} is no number and cannot be added", column.name),
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
        faults: &mut Faults,
    ) -> Option<(TableMeasure, String)> {
        of_numbers(quality, subject, faults)?;
        let node = quality.needed("of", "add of: dataset.column", faults)?;
        let of = column_ref(node, faults)?;
        let node_by = quality.needed(
            "by",
            "name the other dataset's column that names a row",
            faults,
        )?;
        let Some(by) = node_by.string() else {
            faults.add(
                node_by.at,
                "by must be a name",
                "name a column of the other dataset",
            );
            return None;
        };
        let key = match quality.argument("key") {
            Some(node) => self.context.column(&name_of(node)?, faults)?.0,
            None => match self.context.primary_key {
                [only] => *only,
                _ => {
                    faults.add(
                        quality.name.at,
                        "groupSum needs the column here that the other dataset names",
                        "add key: column; without it, the table needs a primary key of one column",
                    );
                    return None;
                }
            },
        };
        let tolerance = tolerance(quality, subject, faults)?;
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
        &self,
        kind: &str,
        quality: &Quality<'a>,
        subject: Subject<'a>,
        faults: &mut Faults,
    ) -> Option<(ColumnMeasure, String)> {
        let numeric = !matches!(
            kind,
            "completeness"
                | "distinctCount"
                | "uniquenessRatio"
                | "entropy"
                | "distribution"
                | "freshness"
        );
        if numeric {
            of_numbers(quality, subject, faults)?;
        }
        if matches!(
            kind,
            "distinctCount" | "uniquenessRatio" | "entropy" | "distribution"
        ) && *subject.ty == ColumnType::StringList
        {
            faults.add(
                quality.name.at,
                format!("{kind} on a {} column", subject.ty),
                "use it on a column of single values",
            );
            return None;
        }
        let text = format!("{} of {}", kind, subject.name);
        Some((
            match kind {
                "completeness" => {
                    ColumnMeasure::Completeness(self.missing_of(quality, subject, faults))
                }
                "distinctCount" => ColumnMeasure::DistinctCount,
                "uniquenessRatio" => ColumnMeasure::UniquenessRatio,
                "min" => ColumnMeasure::Min,
                "max" => ColumnMeasure::Max,
                "mean" => ColumnMeasure::Mean,
                "standardDeviation" => ColumnMeasure::StandardDeviation,
                "sum" => ColumnMeasure::Sum,
                "median" => ColumnMeasure::Quantile(0.5),
                "quantile" => {
                    let p = argument_number(quality, "p", 0.0, 1.0, faults)?;
                    return Some((ColumnMeasure::Quantile(p), format!("{text} at {p}")));
                }
                "entropy" => ColumnMeasure::Entropy,
                "distribution" => ColumnMeasure::Distribution(shares(quality, subject, faults)?),
                _ => {
                    if *subject.ty != ColumnType::Timestamp && *subject.ty != ColumnType::Date {
                        faults.add(
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

    /// A rule of the table.
    pub(super) fn custom_of_table(&mut self, quality: &Quality<'a>, faults: &mut Faults) {
        let Some(kind) = kinds::kind(quality.name.value) else {
            return;
        };
        let known: Vec<&str> = kind.arguments.iter().map(|(name, _)| *name).collect();
        quality.only_arguments(&known, faults);
        let before = faults.list.len();
        let Some((check, text)) = self.table_check(kind.name, quality, faults) else {
            return;
        };
        let threshold = match kind.name {
            "personalData" => quality.threshold_or_none(kind, faults),
            _ => quality.threshold(kind, faults),
        };
        if let Some(threshold) = threshold
            && faults.list.len() == before
        {
            let asked = Asked::new(check, threshold, text);
            self.push(kind, None, asked, &quality.meta, faults);
        }
    }

    fn table_check(
        &mut self,
        kind: &str,
        quality: &Quality<'a>,
        faults: &mut Faults,
    ) -> Option<(Check, String)> {
        if matches!(kind, "columnCount" | "columnExists" | "schemaMatch")
            && self
                .context
                .format
                .is_some_and(|format| !matches!(format, Format::Sqlite | Format::JsonLines))
        {
            faults.add(
                quality.name.at,
                format!("{kind} says nothing of a format whose columns are always the same"),
                "remove it, or use it with sourceFormat sqlite or jsonLines",
            );
            return None;
        }
        let names = |node: &Node, faults: &mut Faults| -> Vec<String> {
            texts(node, "columns", faults)
                .into_iter()
                .map(|text| text.value)
                .collect()
        };
        Some(match kind {
            "personalData" => {
                let columns = (0..self.context.columns.len())
                    .filter(|&index| {
                        let column = &self.context.columns[index];
                        column.protection.is_none()
                            && matches!(
                                column.ty,
                                Some(ColumnType::String | ColumnType::StringList)
                            )
                    })
                    .collect();
                (
                    Check::Rows(RowCheck::Personal {
                        columns,
                        patterns: patterns(quality, faults)?,
                    }),
                    "no undeclared column holds personal data".to_owned(),
                )
            }
            "rowCountMatch" => {
                let node = quality.needed("dataset", "name the other dataset", faults)?;
                let Some(dataset) = node.string() else {
                    faults.add(node.at, "dataset must be a name", "name the other dataset");
                    return None;
                };
                let to = ColumnRef {
                    dataset: dataset.to_owned(),
                    column: String::new(),
                };
                self.note_foreign(
                    Foreign {
                        to,
                        ty: None,
                        row: false,
                    },
                    node.at,
                );
                (
                    Check::Table(TableMeasure::RowCountMatch(dataset.to_owned())),
                    format!("rows more than {dataset} has"),
                )
            }
            "columnCount" => (
                Check::Object(ObjectMeasure::ColumnCount),
                "the number of columns of the source".to_owned(),
            ),
            "columnExists" => {
                let node = quality.needed("columns", "add columns: [id]", faults)?;
                let columns = names(node, faults);
                let text = format!("columns that the source lacks of {}", columns.join(", "));
                (Check::Object(ObjectMeasure::MissingColumns(columns)), text)
            }
            "schemaMatch" => {
                let ordered = match quality.argument("ordered") {
                    None => false,
                    Some(node) => {
                        let ordered = node.boolean();
                        if ordered.is_none()
                            || (ordered == Some(true)
                                && self.context.format != Some(Format::Sqlite))
                        {
                            faults.add(
                                node.at,
                                format!("ordered cannot be {}", node.shown()),
                                "write true or false; only the columns of a database table have an order",
                            );
                        }
                        ordered.unwrap_or(false)
                    }
                };
                let columns = match quality.argument("columns") {
                    Some(node) => names(node, faults),
                    None => self
                        .context
                        .columns
                        .iter()
                        .map(|column| column.source_name)
                        .filter(|name| !name.starts_with('$'))
                        .map(str::to_owned)
                        .collect(),
                };
                (
                    Check::Object(ObjectMeasure::SchemaDifferences { columns, ordered }),
                    "differences of the source's columns".to_owned(),
                )
            }
            _ => (
                Check::Object(ObjectMeasure::FileFreshness),
                "the age of the object".to_owned(),
            ),
        })
    }

    /// A rule of `type: sql`.
    pub(super) fn sql(
        &mut self,
        quality: &Quality<'a>,
        subject: Option<Subject<'a>>,
        faults: &mut Faults,
    ) {
        let Some(kind) = kinds::kind("sql") else {
            return;
        };
        let Some(text) = quality.map.needed(
            "query",
            "add query: \"SELECT COUNT(*) FROM ${object} WHERE …\"",
            faults,
        ) else {
            return;
        };
        let own = TableName::new(Zone::Curated, self.context.dataset);
        let mut sql = text.value.replace("${object}", &own.to_string());
        match subject {
            Some(subject) => sql = sql.replace("${property}", subject.name),
            None if sql.contains("${property}") => {
                faults.add(
                    text.at,
                    "${property} in a rule of the table",
                    "name the column, or move the rule to the quality list of a column",
                );
                return;
            }
            None => {}
        }
        let parsed = Query::parse(&sql, &|reference| match reference.zone {
            None | Some(Zone::Curated) => Ok(TableName::new(Zone::Curated, &reference.name)),
            Some(zone) => Err(Error::new(
                ErrorKind::BadRequest,
                format!(
                    "a rule reads datasets, and {}.{} is none",
                    zone.as_str(),
                    reference.name
                ),
            )),
        })
        .and_then(|query| query.one_number().map(|()| query));
        let query = match parsed {
            Ok(query) => query,
            Err(error) => {
                let cause = std::error::Error::source(&error)
                    .map(|cause| format!(": {cause}"))
                    .unwrap_or_default();
                faults.add(
                    text.at,
                    format!("the query cannot be a rule: {error}{cause}"),
                    "write one SELECT that gives one number, such as SELECT COUNT(*) FROM ${object} WHERE …",
                );
                return;
            }
        };
        for table in query.tables() {
            if table.name != self.context.dataset {
                let to = ColumnRef {
                    dataset: table.name.clone(),
                    column: String::new(),
                };
                self.note_foreign(
                    Foreign {
                        to,
                        ty: None,
                        row: false,
                    },
                    text.at,
                );
            }
        }
        if let Some(threshold) = quality.threshold(kind, faults) {
            let name = quality.map.text("name", faults).map_or_else(
                || text.value.trim().to_owned(),
                |name| name.value.to_owned(),
            );
            let check = Check::Table(TableMeasure::Sql(Box::new(query)));
            let asked = Asked::new(check, threshold, name);
            self.push(kind, subject, asked, &quality.meta, faults);
        }
    }
}

fn node_text<'q>(quality: &'q Quality<'_>, name: &str) -> &'q str {
    quality
        .argument(name)
        .and_then(Node::scalar)
        .unwrap_or_default()
}

fn of_text(quality: &Quality<'_>, subject: Subject<'_>, faults: &mut Faults) -> Option<()> {
    if matches!(subject.ty, ColumnType::String)
        || (quality.name.value == "personalData" && *subject.ty == ColumnType::StringList)
    {
        return Some(());
    }
    faults.add(
        quality.name.at,
        format!("{} on a {} column", quality.name.value, subject.ty),
        "use it on a column of text",
    );
    None
}

fn of_numbers(quality: &Quality<'_>, subject: Subject<'_>, faults: &mut Faults) -> Option<()> {
    if is_number(subject.ty) {
        return Some(());
    }
    faults.add(
        quality.name.at,
        format!("{} on a {} column", quality.name.value, subject.ty),
        "use it on a column of numbers",
    );
    None
}

/// One of the words that an argument knows.
fn one_of<T: Copy, const N: usize>(
    node: &Node,
    what: &str,
    choices: &[(&'static str, T); N],
    names: &[&'static str; N],
    faults: &mut Faults,
) -> Option<T> {
    let word = node.scalar().unwrap_or_default();
    let signs = |word: &str| !word.starts_with(|c: char| c.is_alphabetic());
    let found = choices.iter().find(|(name, _)| *name == word);
    if found.is_none() {
        let help = match nearest(word, names.iter().copied()) {
            Some(meant) if !signs(meant) => format!("did you mean '{meant}'?"),
            _ => format!("use one of {}", names.join(", ")),
        };
        faults.add(node.at, format!("unknown {what} {}", node.shown()), help);
    }
    found.map(|(_, value)| *value)
}

fn argument_number(
    quality: &Quality<'_>,
    name: &str,
    least: f64,
    greatest: f64,
    faults: &mut Faults,
) -> Option<f64> {
    let help = format!("add {name}: 0.5");
    let node = quality.needed(name, &help, faults)?;
    let value = number(node).filter(|value| (least..=greatest).contains(value));
    if value.is_none() {
        let help = match greatest {
            f64::MAX => format!("write a number greater than {least}"),
            _ => format!("write a number from {least} to {greatest}"),
        };
        faults.add(node.at, format!("{name} cannot be {}", node.shown()), help);
    }
    value
}

fn patterns(quality: &Quality<'_>, faults: &mut Faults) -> Option<Vec<PersonalPattern>> {
    let Some(node) = quality.argument("find") else {
        return Some(PersonalPattern::ALL.map(|(_, pattern)| pattern).to_vec());
    };
    let mut found = Vec::new();
    for text in texts(node, "find", faults) {
        let pattern = PersonalPattern::ALL
            .iter()
            .find(|(name, _)| *name == text.value);
        match pattern {
            Some((_, pattern)) => found.push(*pattern),
            None => faults.add(
                text.at,
                format!("'{}' is no pattern of personal data", text.value),
                "use email, ip, phone, card or iban",
            ),
        }
    }
    if found.is_empty() {
        faults.add(
            node.at,
            "find names no pattern",
            "use some of email, ip, phone, card and iban",
        );
        return None;
    }
    Some(found)
}

fn shares(
    quality: &Quality<'_>,
    subject: Subject<'_>,
    faults: &mut Faults,
) -> Option<Vec<(String, f64)>> {
    let node = quality.needed("shares", "add shares: { a: 0.6, b: 0.4 }", faults)?;
    let Value::Map(entries) = &node.value else {
        faults.add(
            node.at,
            format!("shares must be a mapping, not {}", node.shown()),
            "write shares: { a: 0.6, b: 0.4 }",
        );
        return None;
    };
    let mut shares = Vec::new();
    for entry in entries {
        let name = Spanned {
            value: entry.key.clone(),
            at: entry.at,
        };
        let name = value::canonical(name, subject.ty, faults)?;
        match number(&entry.value).filter(|share| (0.0..=1.0).contains(share)) {
            Some(share) => shares.push((name, share)),
            None => faults.add(
                entry.value.at,
                format!("a share cannot be {}", entry.value.shown()),
                "write a number from 0 to 1",
            ),
        }
    }
    let sum: f64 = shares.iter().map(|(_, share)| share).sum();
    if shares.is_empty() || sum > 1.0 + 1e-9 {
        faults.add(
            node.at,
            format!("the shares add up to {sum}"),
            "write shares that add up to at most 1; the rest is that of all other values",
        );
    }
    Some(shares)
}

fn tolerance(quality: &Quality<'_>, subject: Subject<'_>, faults: &mut Faults) -> Option<Bound> {
    let text = quality
        .argument("tolerance")
        .map_or(Some("0"), Node::scalar)
        .unwrap_or_default();
    let bound = values::bound(subject.ty, text).and_then(|bound| match bound {
        Bound::Integer(number) if number < 0 => Err("write a number from 0 on".to_owned()),
        Bound::Double(number) if number < 0.0 => Err("write a number from 0 on".to_owned()),
        bound => Ok(bound),
    });
    match bound {
        Ok(bound) => Some(bound),
        Err(help) => {
            let at = quality
                .argument("tolerance")
                .map_or(quality.name.at, |node| node.at);
            faults.add(at, format!("the tolerance cannot be '{text}'"), help);
            None
        }
    }
}

/// `dataset.column`.
fn column_ref(node: &Node, faults: &mut Faults) -> Option<ColumnRef> {
    let parts = node
        .string()
        .and_then(|text| text.split_once('.'))
        .filter(|(dataset, column)| !dataset.is_empty() && !column.is_empty());
    if parts.is_none() {
        faults.add(
            node.at,
            format!("{} is no dataset.column", node.shown()),
            "write for example orders.order_id",
        );
    }
    let (dataset, column) = parts?;
    Some(ColumnRef {
        dataset: dataset.to_owned(),
        column: column.to_owned(),
    })
}

/// What a reference refers to: by the rule, or by the column's one relationship.
fn target(
    quality: &Quality<'_>,
    property: &Map<'_>,
    faults: &mut Faults,
) -> Option<(ColumnRef, Place)> {
    if let Some(node) = quality.argument("to") {
        return Some((column_ref(node, faults)?, node.at));
    }
    let [relationship] = property.list("relationships", faults) else {
        faults.add(
            quality.name.at,
            "the reference does not say what it refers to",
            "add to: dataset.column, or one relationship to the column",
        );
        return None;
    };
    let node = Map::of(relationship, "the relationship", faults)?.get("to")?;
    Some((column_ref(node, faults)?, node.at))
}
