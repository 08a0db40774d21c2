//! Keys of tables and the references between them.

use tarn_contract::propose::names::{self, Identifies};
use tarn_contract::propose::{Declared, Evidence, Reference, propose, without_circles};
use tarn_contract::{Contract, Draft, snake_case};
use tarn_core::schema::ColumnType;
use tarn_core::text::plural;

use super::drafted;
use super::measure::Measured;
use super::types::declared_length;
use crate::batch::TableColumn;
use crate::source::sqlite::ForeignKey;

/// A table of a database.
pub(super) struct Table {
    pub name: String,
    pub draft: Draft,
    /// The draft as a contract, and what was measured of its columns; None where it has faults.
    pub found: Option<(Contract, Measured)>,
    pub declared: Vec<TableColumn>,
    /// Columns that the database keeps unique.
    pub unique: Vec<String>,
    pub foreign: Vec<ForeignKey>,
}

fn can_be_key(ty: &ColumnType) -> bool {
    matches!(ty, ColumnType::String | ColumnType::Int | ColumnType::Long)
}

/// Columns that may be a key together.
pub(super) fn candidates(contract: &Contract) -> Vec<usize> {
    let named: Vec<usize> = (0..contract.columns.len())
        .filter(|&index| {
            let column = &contract.columns[index];
            can_be_key(&column.ty) && names::is_key(&snake_case(&column.source_name))
        })
        .collect();
    match named.len() {
        2..=4 => named,
        _ => Vec::new(),
    }
}

/// Gives a table without a declared key one, if some of its columns distinguish its rows.
pub(super) fn choose(
    draft: &mut Draft,
    contract: &Contract,
    measured: &Measured,
    together: &[usize],
    unique: &[String],
) {
    let rows = measured.rows - measured.rejected.values().sum::<u64>();
    let tells_apart = |index: &usize| {
        let profile = &measured.columns[*index].profile;
        profile.nulls == 0 && profile.distinct == Some(rows) && rows > 0
    };
    let single: Vec<usize> = (0..contract.columns.len())
        .filter(|&index| can_be_key(&contract.columns[index].ty))
        .filter(tells_apart)
        .collect();
    let name = |index: usize| snake_case(&contract.columns[index].source_name);
    let own = snake_case(&draft.dataset);
    let rank = |index: &usize| {
        let name = name(*index);
        let is_own = name == "id" || names::refers(&name, &own, "id");
        let declared = unique.contains(&contract.columns[*index].source_name);
        (is_own, declared, names::is_key(&name))
    };
    // The first of equal ones.
    let best = single
        .iter()
        .rev()
        .max_by_key(|index| rank(index))
        .filter(|index| rank(index) != (false, false, false));
    let complete = together
        .iter()
        .all(|&index| measured.columns[index].profile.nulls == 0);
    let pair = complete
        && measured.together.total() == rows
        && measured.together.distinct() == rows
        && rows > 0;
    let chosen: Vec<usize> = match best {
        Some(&best) => vec![best],
        None if pair => together.to_vec(),
        None => single.first().copied().into_iter().collect(),
    };
    for &index in &chosen {
        if let Some(place) = drafted(draft, &contract.columns[index].source_name) {
            let column = &mut draft.columns[place];
            column.primary_key = true;
            let what = match chosen.len() {
                1 => "this column distinguishes",
                _ => "these columns together distinguish",
            };
            column.comment = Some(format!(
                "Decide: no primary key is declared; {what} all {}.",
                plural(rows, "row")
            ));
        }
    }
}

/// A reference between columns of two tables, by their indexes.
struct Edge {
    from: (usize, usize),
    to: (usize, usize),
    reference: Reference,
}

/// The drafts, with what their columns suggest.
pub(super) fn proposed(tables: Vec<Table>) -> Vec<Draft> {
    let mut edges = declared(&tables);
    let known: Vec<(usize, usize)> = edges.iter().map(|edge| edge.from).collect();
    edges.extend(
        by_name(&tables)
            .into_iter()
            .filter(|edge| !known.contains(&edge.from)),
    );
    let kept = without_circles(
        edges
            .iter()
            .filter(|edge| edge.reference.without_rule.is_none())
            .map(|edge| {
                (
                    tables[edge.from.0].name.as_str(),
                    tables[edge.to.0].name.as_str(),
                )
            }),
    );
    let asked = edges
        .iter_mut()
        .filter(|edge| edge.reference.without_rule.is_none());
    for (edge, kept) in asked.zip(kept) {
        if !kept {
            edge.reference.without_rule =
                Some("No rule: the references would go in a circle.".to_owned());
        }
    }
    let mut drafts = Vec::new();
    for (number, mut table) in tables.into_iter().enumerate() {
        if let Some((contract, measured)) = table.found.take() {
            propose_columns(number, &mut table, &contract, measured, &edges);
        }
        drafts.push(table.draft);
    }
    drafts
}

fn propose_columns(
    number: usize,
    table: &mut Table,
    contract: &Contract,
    measured: Measured,
    edges: &[Edge],
) {
    for (index, (column, found)) in contract.columns.iter().zip(measured.columns).enumerate() {
        let Some(place) = drafted(&table.draft, &column.source_name) else {
            continue;
        };
        let declared = table
            .declared
            .iter()
            .find(|declared| declared.name == column.source_name);
        let is_text = column.ty == ColumnType::String;
        let evidence = Evidence {
            profile: found.profile,
            partial: measured.partial,
            declared: Declared {
                required: declared.is_some_and(|declared| declared.required),
                unique: table.unique.contains(&column.source_name),
                max_length: declared
                    .filter(|_| is_text)
                    .and_then(|declared| declared_length(&declared.declared)),
            },
            texts: found.texts,
            reference: edges
                .iter()
                .find(|edge| edge.from == (number, index))
                .map(|edge| edge.reference.clone()),
            referred: edges
                .iter()
                .any(|edge| edge.to == (number, index) && edge.reference.without_rule.is_none()),
        };
        let draft = &mut table.draft.columns[place];
        draft.proposals = propose(draft, &table.name, &evidence);
    }
}

/// The column of a table, as an index of its contract.
fn column_of(table: &Table, name: &str) -> Option<usize> {
    let (contract, _) = table.found.as_ref()?;
    contract
        .columns
        .iter()
        .position(|column| column.source_name.eq_ignore_ascii_case(name))
}

fn single_key(table: &Table) -> Option<usize> {
    match table.found.as_ref()?.0.primary_key.as_slice() {
        [only] => Some(*only),
        _ => None,
    }
}

/// Whether the values of both columns are of one kind and so compare, and are counted alike.
fn same_kind(a: &ColumnType, b: &ColumnType) -> bool {
    let is_whole = |ty: &ColumnType| matches!(ty, ColumnType::Int | ColumnType::Long);
    can_be_key(a) && (a == b || is_whole(a) && is_whole(b))
}

/// Compares the values; None where the columns cannot be compared.
fn edge(
    tables: &[Table],
    from: (usize, usize),
    to: (usize, usize),
    declared: bool,
) -> Option<Edge> {
    let (contract, measured) = tables[from.0].found.as_ref()?;
    let (other, others) = tables[to.0].found.as_ref()?;
    let (column, key) = (contract.columns.get(from.1)?, other.columns.get(to.1)?);
    if !same_kind(&column.ty, &key.ty) {
        return None;
    }
    let (own, its) = (&measured.columns[from.1], &others.columns[to.1]);
    let (found, looked_for) = own.frequencies.found_in(&its.frequencies);
    let is_personal = |table: &Table, name: &str, texts: &[(_, u64)]| {
        let by_name = names::personal(&snake_case(name), &snake_case(&table.name));
        matches!(by_name, Some((Identifies::Directly, _))) || !texts.is_empty()
    };
    let personal = is_personal(&tables[from.0], &column.source_name, &own.texts.personal)
        || is_personal(&tables[to.0], &key.source_name, &its.texts.personal);
    Some(Edge {
        from,
        to,
        reference: Reference {
            to: format!("{}.{}", other.dataset, key.name),
            declared,
            looked_for,
            found,
            without_rule: if personal {
                Some("No rule: what is kept of personal values cannot be looked up.".to_owned())
            } else if others.partial {
                Some("No rule: the other table was not read to its end.".to_owned())
            } else {
                None
            },
        },
    })
}

fn declared(tables: &[Table]) -> Vec<Edge> {
    let mut edges = Vec::new();
    for (number, table) in tables.iter().enumerate() {
        for foreign in &table.foreign {
            let other = tables
                .iter()
                .position(|other| other.name.eq_ignore_ascii_case(&foreign.table));
            let found = other.and_then(|other| {
                let key = match &foreign.key {
                    Some(key) => column_of(&tables[other], key)?,
                    None => single_key(&tables[other])?,
                };
                let from = (number, column_of(table, &foreign.column)?);
                edge(tables, from, (other, key), true)
            });
            edges.extend(found);
        }
    }
    edges
}

/// Columns that are named like the key of another table, and whose values are all among the key's.
fn by_name(tables: &[Table]) -> Vec<Edge> {
    let mut edges = Vec::new();
    for (number, table) in tables.iter().enumerate() {
        let Some((contract, _)) = &table.found else {
            continue;
        };
        for (index, column) in contract.columns.iter().enumerate() {
            if contract.primary_key == [index] {
                continue;
            }
            let name = snake_case(&column.source_name);
            let found = tables.iter().enumerate().filter_map(|(other, its)| {
                let key = single_key(its).filter(|_| other != number)?;
                let key_name = snake_case(&its.found.as_ref()?.0.columns[key].source_name);
                if !names::refers(&name, &snake_case(&its.name), &key_name) {
                    return None;
                }
                let found = edge(tables, (number, index), (other, key), false)?;
                let reference = &found.reference;
                (reference.looked_for > 0
                    && reference.found == reference.looked_for
                    && reference.without_rule.is_none())
                .then_some(found)
            });
            edges.extend(found.take(1));
        }
    }
    edges
}
