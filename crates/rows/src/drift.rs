//! Schema drift: a source that has another shape than its contract says.

use std::collections::BTreeMap;

use rusqlite::types::Value as Stored;
use serde_json::Value;
use tarn_contract::propose::names;
use tarn_contract::{Column, Contract, DraftColumn, SchemaDrift, snake_case};
use tarn_core::privacy::redacted;
use tarn_core::rule_id;
use tarn_core::run::{Drift, DriftKind};
use tarn_core::schema::TableField;
use tarn_core::{Error, ErrorKind, Result};

use crate::batch::{NewColumn, NewValues, Rejected, RowPlace, TableColumn};
use crate::display::shortened;
use crate::infer;

/// Characters of a sample value.
const SAMPLE: usize = 60;

/// A column that the source has and the contract lacks: what the run record says, and what the contract would
/// declare; None where a column cannot hold its values.
#[derive(Debug)]
pub(crate) struct Added {
    pub drift: Drift,
    pub column: Option<Column>,
}

impl Added {
    pub(crate) fn new(found: &NewColumn) -> Self {
        let drafted = Drafted::of(found);
        Added {
            column: drafted.draft.map(|draft| Column {
                source_name: draft.source_name,
                description: "Added because the source has it; not in the contract yet".to_owned(),
                ..Column::optional(&snake_case(&draft.name), draft.ty, draft.encoding)
            }),
            drift: Drift {
                kind: DriftKind::NewColumn,
                column: found.name.clone(),
                expected: None,
                found: drafted.found,
                sample: drafted
                    .sample
                    .map(|sample| shortened(&redacted(&sample), SAMPLE)),
                place: drafted.place,
                rows: found.rows,
                personal: found
                    .personal
                    .map(|pattern| format!("its values look personal ({pattern})")),
            },
        }
    }

    /// Takes the name into account. What looks personal has no sample in a record.
    fn judge_name(&mut self, contract: &Contract) {
        let name = snake_case(&self.drift.column);
        if names::personal(&name, &contract.dataset).is_some() {
            let why = "its name is one of personal data".to_owned();
            self.drift.personal.get_or_insert(why);
        }
        if self.drift.personal.is_some() {
            self.drift.sample = None;
        }
    }
}

/// What the values of a column suggest.
#[derive(Default)]
struct Drafted {
    draft: Option<DraftColumn>,
    found: Option<String>,
    sample: Option<String>,
    place: Option<String>,
}

impl Drafted {
    fn of(column: &NewColumn) -> Self {
        match &column.values {
            NewValues::Json { values, place } => Drafted::of_json(&column.name, values, *place),
            NewValues::Stored {
                table,
                declared,
                values,
            } => Drafted::of_stored(table, declared, values),
            NewValues::Unreadable { table, why } => Drafted {
                found: Some(format!("nothing that can be read: {why}")),
                place: Some(format!("table {table}")),
                ..Drafted::default()
            },
        }
    }

    fn of_json(key: &str, values: &[Vec<u8>], place: Option<RowPlace>) -> Self {
        let values: Vec<Value> = values
            .iter()
            .filter_map(|value| serde_json::from_slice(value).ok())
            .collect();
        let is_scalar = |value: &Value| match value {
            Value::Object(_) => false,
            Value::Array(items) => items.iter().all(Value::is_string),
            _ => true,
        };
        let draft = (!values.is_empty() && values.iter().all(is_scalar))
            .then(|| infer::json_column(key, &values.iter().collect::<Vec<_>>()))
            .flatten()
            .filter(|draft| draft.comment.is_none() || !values.iter().any(Value::is_array));
        Drafted {
            found: match &draft {
                Some(draft) => Some(draft.ty.to_string()),
                None => values.first().map(|value| kind(value).to_owned()),
            },
            draft,
            sample: values.first().map(ToString::to_string),
            place: place.map(|place| place.to_string()),
        }
    }

    fn of_stored(table: &str, declared: &TableColumn, values: &[Stored]) -> Self {
        let values: Vec<&Stored> = values.iter().collect();
        let draft = infer::stored_column(declared, &values);
        let first = values
            .iter()
            .position(|value| !matches!(value, Stored::Null));
        let sample = first.map(|row| match values[row] {
            Stored::Null => String::new(),
            Stored::Integer(value) => value.to_string(),
            Stored::Real(value) => value.to_string(),
            Stored::Text(text) => format!("'{text}'"),
            Stored::Blob(bytes) => format!("a blob of {} bytes", bytes.len()),
        });
        Drafted {
            found: Some(
                draft
                    .as_ref()
                    .map_or_else(|| "blob".to_owned(), |draft| draft.ty.to_string()),
            ),
            draft,
            sample,
            place: Some(first.map_or_else(
                || format!("table {table}"),
                |row| format!("table {table}, row {}", row + 1),
            )),
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Object(_) => "object",
        Value::Array(_) => "list",
        _ => "value",
    }
}

/// Values of columns that their type cannot hold, while an object is read.
#[derive(Debug, Default)]
pub struct TypeFaults {
    columns: BTreeMap<String, (u64, Drift)>,
}

impl TypeFaults {
    pub fn note(&mut self, contract: &Contract, row: &Rejected) {
        let Some(column) = row
            .column
            .as_deref()
            .filter(|name| rule_id::column_of_type_rule(&row.rule) == Some(name))
            .and_then(|name| contract.column(name))
        else {
            return;
        };
        if let Some((rows, _)) = self.columns.get_mut(&column.name) {
            *rows += 1;
            return;
        }
        let drift = Drift {
            kind: DriftKind::ChangedType,
            column: column.source_name.clone(),
            expected: Some(column.ty.to_string()),
            found: None,
            sample: Some(row.reason.to_string()),
            place: Some(row.place().to_string()),
            rows: 0,
            personal: None,
        };
        self.columns.insert(column.name.clone(), (1, drift));
    }

    /// A few odd values are bad rows; where half of the rows have them the column is another one.
    fn drifts(self, received: u64) -> impl Iterator<Item = Drift> {
        self.columns
            .into_values()
            .filter(move |(rows, _)| rows.saturating_mul(2) >= received)
            .map(|(rows, drift)| Drift { rows, ..drift })
    }
}

/// The name of an added column. Up to version 0.1.0 letters of other scripts were left out of names: a
/// table that has such a column keeps it.
fn name_in_table(name: String, source_name: &str, fields: &[TableField]) -> String {
    let has = |name: &str| fields.iter().any(|field| field.field.name == name);
    let former = snake_case(&source_name.replace(|c: char| !c.is_ascii(), " "));
    if !has(&name) && has(&former) {
        former
    } else {
        name
    }
}

/// What an object's drift comes to, by the contract's choice: what the run record says, and the
/// columns to be added to the table, which has `fields` now.
///
/// # Errors
/// `BadSource` with every difference, where the contract says that the run is to fail.
pub fn decide(
    contract: &Contract,
    fields: &[TableField],
    new: &[NewColumn],
    types: TypeFaults,
    received: u64,
) -> Result<(Vec<Drift>, Vec<Column>)> {
    if contract.schema_drift == SchemaDrift::Ignore {
        return Ok((Vec::new(), Vec::new()));
    }
    let evolves = contract.schema_drift == SchemaDrift::Evolve;
    let mut new: Vec<Added> = new.iter().map(Added::new).collect();
    for new in &mut new {
        new.judge_name(contract);
        if !evolves {
            // It would not have been added in any case.
            new.drift.personal = None;
        }
    }
    let mut drifts: Vec<Drift> = new.iter().map(|column| column.drift.clone()).collect();
    if contract.is_personal() {
        // Without a declaration it may also be a name.
        drifts.iter_mut().for_each(|drift| drift.sample = None);
    }
    drifts.extend(types.drifts(received));
    if contract.schema_drift == SchemaDrift::Fail && !drifts.is_empty() {
        let drifts: Vec<String> = drifts.iter().map(ToString::to_string).collect();
        return Err(Error::new(
            ErrorKind::BadSource,
            format!(
                "the source drifted from contract {}: {}; change the contract, or its schemaDrift",
                contract.dataset,
                drifts.join("; ")
            ),
        ));
    }
    let mut added: Vec<Column> = Vec::new();
    if evolves {
        // Nobody has said how a column that looks personal is to be protected.
        let addable = new
            .into_iter()
            .filter(|new| new.drift.personal.is_none())
            .filter_map(|new| new.column);
        for mut column in addable {
            column.name = name_in_table(column.name, &column.source_name, fields);
            let taken = contract.column(&column.name).is_some()
                || column.name.starts_with('_')
                || added.iter().any(|other| other.name == column.name);
            if !taken {
                added.push(column);
            }
        }
    }
    Ok((drifts, added))
}

#[cfg(test)]
mod tests {
    use tarn_core::schema::Field;

    use super::*;

    #[test]
    fn a_table_keeps_the_name_that_a_column_was_given_before() {
        let fields = |names: &[&str]| -> Vec<TableField> {
            (1..)
                .zip(names)
                .map(|(id, name)| TableField {
                    field: Field {
                        name: (*name).to_owned(),
                        ty: tarn_core::schema::ColumnType::String,
                        required: false,
                        doc: String::new(),
                    },
                    id,
                    element_id: None,
                })
                .collect()
        };
        for (table, expected) in [
            (&["id"][..], "grosse"),
            (&["id", "gr_e"], "gr_e"),
            (&["id", "gr_e", "grosse"], "grosse"),
        ] {
            let found = name_in_table(snake_case("Größe"), "Größe", &fields(table));
            assert_eq!(found, expected, "{table:?}");
        }
    }
}
