//! Rules of `type: custom` with engine tarn about tables and objects, and of `type: sql`.

use super::super::quality::Quality;
use super::super::yaml::{Faults, Node};
use super::argument::patterns;
use super::{Asked, Rules, Subject, texts};
use crate::kinds;
use crate::sql::Query;
use crate::{Check, Format, ObjectMeasure, RowCheck, TableMeasure};
use tarn_core::schema::{ColumnType, TableName, Zone};
use tarn_core::{Error, ErrorKind};

impl<'a> Rules<'a> {
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
                self.note_foreign_table(dataset, node.at);
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
                self.note_foreign_table(&table.name, text.at);
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
