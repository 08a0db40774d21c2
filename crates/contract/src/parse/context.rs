//! The columns, keys and other datasets that the rules of a contract may name.

use super::column::{Property, texts};
use super::yaml::{Faults, Node, Spanned};
use crate::diagnostic::nearest;
use crate::{ColumnRef, Format};
use tarn_core::privacy::Protection;
use tarn_core::schema::ColumnType;

/// A table or column of another dataset that a rule names; whether it exists shows when all contracts
/// are read.
#[derive(Debug, Clone)]
pub(super) struct Foreign {
    pub to: ColumnRef,
    /// The type of what is compared with the column; None if only the table is named.
    pub ty: Option<ColumnType>,
    /// Whether rows are judged by it, so the other dataset has to be ingested first.
    pub row: bool,
}

/// A column as rules refer to it.
pub(super) struct Known<'a> {
    pub name: &'a str,
    pub source_name: &'a str,
    /// None if the type is faulty.
    pub ty: Option<&'a ColumnType>,
    /// How its values are protected before Tarn keeps them; None where they are not personal.
    pub protection: Option<Protection>,
}

impl<'a> Known<'a> {
    pub fn of(property: &'a Property) -> Self {
        let column = property.column.as_ref();
        Known {
            name: &property.name.value,
            source_name: column.map_or("", |column| &column.source_name),
            ty: column.map(|column| &column.ty),
            protection: column.and_then(|column| column.protection),
        }
    }
}

/// What is known of the contract when its rules are read.
pub(super) struct Context<'a> {
    pub dataset: &'a str,
    pub format: Option<Format>,
    pub columns: Vec<Known<'a>>,
    /// Indexes of the primary key's columns.
    pub primary_key: &'a [usize],
    /// Indexes of the columns by which repeated events, or other rows that are added, are recognised;
    /// empty where there are none.
    pub repeats_by: Vec<usize>,
    pub owner: Option<&'a str>,
}

impl<'a> Context<'a> {
    /// The index and type of a column; a fault where there is none of that name.
    pub fn column(
        &self,
        name: &Spanned<&str>,
        faults: &mut Faults,
    ) -> Option<(usize, &'a ColumnType)> {
        let found = self
            .columns
            .iter()
            .position(|column| column.name == name.value);
        let Some(index) = found else {
            let names: Vec<&str> = self.columns.iter().map(|column| column.name).collect();
            let help = match nearest(name.value, names.iter().copied()) {
                Some(meant) => format!("did you mean '{meant}'?"),
                None => format!("the columns are {}", names.join(", ")),
            };
            faults.add(
                name.at,
                format!(
                    "the rule names a column '{}' that does not exist",
                    name.value
                ),
                help,
            );
            return None;
        };
        Some((index, self.columns[index].ty?))
    }

    /// Columns by a list of names.
    pub fn columns_of(&self, node: &Node, what: &str, faults: &mut Faults) -> Vec<usize> {
        texts(node, what, faults)
            .iter()
            .filter_map(|text| {
                let name = Spanned {
                    value: text.value.as_str(),
                    at: text.at,
                };
                Some(self.column(&name, faults)?.0)
            })
            .collect()
    }

    pub fn is_key(&self, columns: &[usize]) -> bool {
        let same = |key: &[usize]| {
            !key.is_empty()
                && key.len() == columns.len()
                && columns.iter().all(|column| key.contains(column))
        };
        same(self.primary_key) || same(&self.repeats_by)
    }
}
