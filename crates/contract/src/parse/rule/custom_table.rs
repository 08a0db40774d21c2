//! Rules of `type: custom` with engine tarn about tables and objects, and of `type: sql`.

use super::super::quality::Quality;
use super::super::yaml::{Faults, Node};
use super::argument::patterns;
use super::{Asked, Rules, Subject, texts};
use crate::kinds::RuleKind;
use crate::sql::Query;
use crate::{Check, Format, ObjectMeasure, RowCheck, TableMeasure};
use tarn_core::schema::{ColumnType, TableName, Zone};
use tarn_core::{Error, ErrorKind};

fn column_names(node: &Node, faults: &mut Faults) -> Vec<String> {
    texts(node, "columns", faults)
        .into_iter()
        .map(|text| text.value)
        .collect()
}

impl<'a> Rules<'a, '_> {
    /// A rule of the table.
    pub(super) fn custom_of_table(&mut self, kind: RuleKind, quality: &Quality<'a>) {
        quality.only_arguments_of(kind, self.faults);
        let before = self.faults.list.len();
        let Some((check, text)) = self.table_check(kind, quality) else {
            return;
        };
        let threshold = match kind {
            RuleKind::PersonalData => quality.threshold_or_none(kind, self.faults),
            _ => quality.threshold(kind, self.faults),
        };
        if let Some(threshold) = threshold
            && self.faults.list.len() == before
        {
            let asked = Asked::new(check, threshold, text);
            self.push(kind, None, asked, &quality.meta);
        }
    }

    fn table_check(&mut self, kind: RuleKind, quality: &Quality<'a>) -> Option<(Check, String)> {
        if matches!(
            kind,
            RuleKind::ColumnCount | RuleKind::ColumnExists | RuleKind::SchemaMatch
        ) && self.context.format.is_some_and(|format| {
            !matches!(format, Format::Sqlite | Format::JsonLines | Format::Csv)
        }) {
            self.faults.add(
                quality.name.at,
                format!(
                    "{} is meaningless for a format whose columns are always the same",
                    kind.name()
                ),
                "remove it, or use it with sourceFormat sqlite, csv or jsonLines",
            );
            return None;
        }
        Some(match kind {
            RuleKind::PersonalData => {
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
                        patterns: patterns(quality, self.faults)?,
                    }),
                    "no undeclared column holds personal data".to_owned(),
                )
            }
            RuleKind::RowCountMatch => {
                let node = quality.needed("dataset", "name the other dataset", self.faults)?;
                let Some(dataset) = node.string() else {
                    self.faults
                        .add(node.at, "dataset must be a name", "name the other dataset");
                    return None;
                };
                self.note_foreign_table(dataset, node.at);
                (
                    Check::Table(TableMeasure::RowCountMatch(dataset.to_owned())),
                    format!("rows more than {dataset} has"),
                )
            }
            RuleKind::ColumnCount => (
                Check::Object(ObjectMeasure::ColumnCount),
                "the number of columns of the source".to_owned(),
            ),
            RuleKind::ColumnExists => {
                let node = quality.needed("columns", "add columns: [id]", self.faults)?;
                let columns = column_names(node, self.faults);
                let text = format!("columns that the source lacks of {}", columns.join(", "));
                (Check::Object(ObjectMeasure::MissingColumns(columns)), text)
            }
            RuleKind::SchemaMatch => self.schema_match(quality),
            _ => (
                Check::Object(ObjectMeasure::FileFreshness),
                "the age of the object".to_owned(),
            ),
        })
    }

    fn schema_match(&mut self, quality: &Quality<'a>) -> (Check, String) {
        let ordered = match quality.argument("ordered") {
            None => false,
            Some(node) => {
                let ordered = node.boolean();
                if ordered.is_none()
                    || (ordered == Some(true) && self.context.format != Some(Format::Sqlite))
                {
                    self.faults.add(
                        node.at,
                        format!("ordered cannot be {}", node.shown()),
                        "write true or false; only the columns of a database table have an order",
                    );
                }
                ordered.unwrap_or(false)
            }
        };
        let columns = match quality.argument("columns") {
            Some(node) => column_names(node, self.faults),
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

    /// A rule of `type: sql`.
    pub(super) fn sql(&mut self, quality: &Quality<'a>, subject: Option<Subject<'a>>) {
        let Some(text) = quality.map.needed(
            "query",
            "add query: \"SELECT COUNT(*) FROM ${object} WHERE …\"",
            self.faults,
        ) else {
            return;
        };
        let own = TableName::new(Zone::Curated, self.context.dataset);
        let mut sql = text.value.replace("${object}", &own.to_string());
        match subject {
            Some(subject) => sql = sql.replace("${property}", subject.name),
            None if sql.contains("${property}") => {
                self.faults.add(
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
                    "a rule reads datasets, and {}.{} is not one",
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
                self.faults.add(
                    text.at,
                    format!("the query cannot be a rule: {error}{cause}"),
                    "write one SELECT that gives one number, such as SELECT COUNT(*) FROM ${object} WHERE …",
                );
                return;
            }
        };
        for table in query.tables() {
            if table.name != self.context.dataset {
                self.note_foreign_table(&table.name, text.at);
            }
        }
        if let Some(threshold) = quality.threshold(RuleKind::Sql, self.faults) {
            let name = quality.map.text("name", self.faults).map_or_else(
                || text.value.trim().to_owned(),
                |name| name.value.to_owned(),
            );
            let check = Check::Table(TableMeasure::Sql(Box::new(query)));
            let asked = Asked::new(check, threshold, name);
            self.push(RuleKind::Sql, subject, asked, &quality.meta);
        }
    }
}
