//! Examples of rejected rows, for people.

use std::collections::BTreeMap;
use std::path::PathBuf;

use polars::prelude::{PolarsError, col};
use serde::Serialize;
use tarn_contract::quarantine::{COLUMN, LINE, PAYLOAD, REASON, RULE};
use tarn_core::schema::TableField;
use tarn_core::{Error, Result};

use crate::columns::from_frame;
use crate::scan;
use tarn_rows::column::ColumnData;
use tarn_rows::display;

/// A rejected row, as far as it may be shown: personal values are protected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Example {
    /// The rule that it broke.
    pub rule: String,
    /// The column that broke it.
    pub column: Option<String>,
    /// What was found and what was expected.
    pub reason: String,
    /// The line of the source, counted from 1; None in a database.
    pub line: Option<i64>,
    /// The row; None where it is withheld.
    pub row: Option<String>,
}

/// Characters of a row.
const SHOWN: usize = 200;

fn failed(error: PolarsError) -> Error {
    Error::internal("the rejected rows cannot be read").with_source(error)
}

/// The first `per_rule` rows that broke each rule, from files of rejected rows with these fields. One
/// file is in memory at a time.
pub fn of_files(fields: &[TableField], files: &[PathBuf], per_rule: usize) -> Result<Vec<Example>> {
    let shown: Vec<TableField> = [RULE, COLUMN, REASON, LINE, PAYLOAD]
        .iter()
        .filter_map(|name| fields.iter().find(|field| field.field.name == *name))
        .cloned()
        .collect();
    let names: Vec<_> = shown
        .iter()
        .map(|field| col(field.field.name.as_str()))
        .collect();
    let mut examples: BTreeMap<String, Vec<Example>> = BTreeMap::new();
    for file in files {
        let rows = scan::table(fields, std::slice::from_ref(file))?
            .select(names.clone())
            .group_by_stable([col(RULE)])
            .head(Some(per_rule))
            .select(names.clone())
            .collect()
            .map_err(failed)?;
        let height = rows.height();
        let columns = from_frame::columns(&rows, &shown)?;
        let [rules, of, reasons, lines, payloads] = columns.as_slice() else {
            return Err(Error::internal("a table of rejected rows lacks a column"));
        };
        for row in 0..height {
            let rule = text(rules, row).unwrap_or_default();
            let known = examples.entry(rule.clone()).or_default();
            if known.len() < per_rule {
                known.push(Example {
                    rule,
                    column: text(of, row),
                    reason: text(reasons, row).unwrap_or_default(),
                    line: match lines {
                        ColumnData::Long(lines) => lines.get(row),
                        _ => None,
                    },
                    row: text(payloads, row).map(|text| display::shortened(&text, SHOWN)),
                });
            }
        }
    }
    Ok(examples.into_values().flatten().collect())
}

fn text(data: &ColumnData, row: usize) -> Option<String> {
    match data {
        ColumnData::Text(column) => column
            .get(row)
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned()),
        _ => None,
    }
}
