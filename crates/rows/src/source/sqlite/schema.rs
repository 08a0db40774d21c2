//! What a database says about its tables.

use crate::batch::TableColumn;
use rusqlite::Row;
use tarn_contract::{Column, Contract};
use tarn_core::Result;

use super::{Database, quoted, source_error};

/// A table, or what can be asked for rows like one.
pub(super) struct Relation {
    pub name: String,
    pub kind: Kind,
}

/// What a relation is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Table,
    View,
    /// Its rows are what a module of this name makes of other things.
    Virtual(String),
    /// A table in which the module of a virtual one keeps what it needs.
    Shadow,
}

/// A column whose values are in a column of another table, as a database declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    /// The column.
    pub column: String,
    /// The other table.
    pub table: String,
    /// Its column; None for its primary key.
    pub key: Option<String>,
}

/// The one column of the primary key, where it is declared INTEGER.
fn integer_key(columns: &[TableColumn]) -> Option<&TableColumn> {
    let keys: Vec<&TableColumn> = columns.iter().filter(|column| column.key > 0).collect();
    match keys.as_slice() {
        [only] if only.declared.eq_ignore_ascii_case("INTEGER") => Some(only),
        _ => None,
    }
}

/// A text of the schema. Some applications have written text that is not UTF-8: it cannot be named in a
/// contract, and the rest of the database is sound.
fn text(row: &Row<'_>, index: usize) -> rusqlite::Result<String> {
    let value = row.get_ref(index)?;
    Ok(String::from_utf8_lossy(value.as_bytes_or_null()?.unwrap_or_default()).into_owned())
}

/// What replaces bytes that are not UTF-8.
pub(super) const ODD: char = char::REPLACEMENT_CHARACTER;

impl Database {
    /// Its tables and what looks like one, in the order of their names.
    pub(super) fn relations(&self) -> Result<Vec<Relation>> {
        let mut statement = self
            .connection
            .prepare(
                "SELECT name, type, sql FROM sqlite_schema WHERE type IN ('table', 'view') \
                 AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name",
            )
            .map_err(source_error)?;
        let found = statement
            .query_map([], |row| Ok([text(row, 0)?, text(row, 1)?, text(row, 2)?]))
            .map_err(source_error)?;
        let mut relations = Vec::new();
        for found in found {
            let [name, ty, sql] = found.map_err(source_error)?;
            if name.contains(ODD) {
                tracing::warn!(table = name, "a table whose name is not UTF-8 is left out");
                continue;
            }
            let kind = match (ty.as_str(), virtual_table_module(&sql)) {
                ("view", _) => Kind::View,
                (_, Some(module)) => Kind::Virtual(module),
                _ => Kind::Table,
            };
            relations.push(Relation { name, kind });
        }
        let virtuals: Vec<(String, String)> = relations
            .iter()
            .filter_map(|relation| match &relation.kind {
                Kind::Virtual(module) => Some((relation.name.clone(), module.clone())),
                _ => None,
            })
            .collect();
        for relation in &mut relations {
            let shadows = |(owner, module): &(String, String)| {
                relation
                    .name
                    .get(..owner.len())
                    .is_some_and(|begin| begin.eq_ignore_ascii_case(owner))
                    && relation.name[owner.len()..]
                        .strip_prefix('_')
                        .is_some_and(|rest| is_shadow(module, rest))
            };
            if relation.kind == Kind::Table && virtuals.iter().any(shadows) {
                relation.kind = Kind::Shadow;
            }
        }
        Ok(relations)
    }

    /// The names of its tables, in order; neither views nor virtual tables and what these keep.
    pub fn tables(&self) -> Result<Vec<String>> {
        let relations = self.relations()?.into_iter();
        let tables = relations.filter(|relation| relation.kind == Kind::Table);
        Ok(tables.map(|relation| relation.name).collect())
    }

    /// The columns of a table, those that the database generates among them.
    pub fn columns(&self, table: &str) -> Result<Vec<TableColumn>> {
        let mut statement = self
            .connection
            .prepare(
                "SELECT name, type, pk, \"notnull\", hidden FROM pragma_table_xinfo(?1) WHERE hidden <> 1",
            )
            .map_err(source_error)?;
        let columns = statement
            .query_map([table], |row| {
                Ok(TableColumn {
                    name: text(row, 0)?,
                    declared: text(row, 1)?,
                    key: row.get(2)?,
                    required: row.get(3)?,
                    // <https://www.sqlite.org/pragma.html#pragma_table_xinfo>
                    computed: row.get::<_, i64>(4)? == 2,
                })
            })
            .map_err(source_error)?;
        columns.collect::<Result<_, _>>().map_err(source_error)
    }

    /// A name of a table's rowid that none of its columns has; None where there is none, or no rowid
    /// (<https://www.sqlite.org/rowidtable.html>).
    pub(super) fn rowid_name(&self, table: &str, columns: &[TableColumn]) -> Option<&'static str> {
        let is_column = |name: &&str| {
            columns
                .iter()
                .any(|column| column.name.eq_ignore_ascii_case(name))
        };
        let name = ["_rowid_", "rowid", "oid"]
            .into_iter()
            .find(|name| !is_column(name))?;
        let sql = format!("SELECT {name} FROM {}", quoted(table));
        self.connection.prepare(&sql).is_ok().then_some(name)
    }

    /// The columns of a table that the database keeps unique, each by itself.
    pub(crate) fn unique_columns(&self, table: &str) -> Result<Vec<String>> {
        self.names(
            "SELECT min(info.name) FROM pragma_index_list(?1) AS list, pragma_index_info(list.name) AS info \
             WHERE list.\"unique\" = 1 AND list.partial = 0 GROUP BY list.name HAVING count(*) = 1",
            table,
        )
    }

    /// The contract's column that is another name of the rowid: the table's INTEGER PRIMARY KEY, unless
    /// it has an index of its own, as one that is declared DESC has
    /// (<https://www.sqlite.org/lang_createtable.html#rowids_and_the_integer_primary_key>).
    pub(super) fn rowid_column(
        &self,
        contract: &Contract,
        table: &str,
        columns: &[TableColumn],
    ) -> Result<Option<usize>> {
        let Some(key) = integer_key(columns) else {
            return Ok(None);
        };
        let indexes = self.names(
            "SELECT name FROM pragma_index_list(?1) WHERE origin = 'pk'",
            table,
        )?;
        let is_key = |column: &Column| column.source_name.eq_ignore_ascii_case(&key.name);
        Ok(if indexes.is_empty() {
            contract.columns.iter().position(is_key)
        } else {
            None
        })
    }

    /// The foreign keys of one column that a table declares.
    pub(crate) fn foreign_keys(&self, table: &str) -> Result<Vec<ForeignKey>> {
        let mut statement = self
            .connection
            .prepare(
                "SELECT min(\"from\"), \"table\", min(\"to\") FROM pragma_foreign_key_list(?1) \
                 GROUP BY id, \"table\" HAVING count(*) = 1 ORDER BY id DESC",
            )
            .map_err(source_error)?;
        let keys = statement
            .query_map([table], |row| {
                Ok(ForeignKey {
                    column: row.get(0)?,
                    table: row.get(1)?,
                    key: row.get(2)?,
                })
            })
            .map_err(source_error)?;
        keys.collect::<Result<_, _>>().map_err(source_error)
    }

    fn names(&self, sql: &str, table: &str) -> Result<Vec<String>> {
        let mut statement = self.connection.prepare(sql).map_err(source_error)?;
        let names = statement
            .query_map([table], |row| row.get::<_, Option<String>>(0))
            .map_err(source_error)?;
        let names: Vec<Option<String>> = names.collect::<Result<_, _>>().map_err(source_error)?;
        // An index of an expression has no column.
        Ok(names.into_iter().flatten().collect())
    }
}

/// The module of a virtual table, from its CREATE statement: SQLite writes the beginning itself, and
/// then what its author wrote from the name on.
fn virtual_table_module(sql: &str) -> Option<String> {
    let mut rest = sql.strip_prefix("CREATE VIRTUAL TABLE ")?;
    let mut token = || {
        let (token, behind) = next_token(rest)?;
        rest = behind;
        Some(token)
    };
    let _name = token()?;
    let using = token()?;
    using
        .eq_ignore_ascii_case("USING")
        .then(|| token().map(str::to_owned))
        .flatten()
}

/// The next word or quoted name, without its quotes, and what is behind it.
fn next_token(sql: &str) -> Option<(&str, &str)> {
    let mut sql = sql.trim_start();
    loop {
        sql = if let Some(comment) = sql.strip_prefix("--") {
            comment.split_once('\n')?.1.trim_start()
        } else if let Some(comment) = sql.strip_prefix("/*") {
            comment.split_once("*/")?.1.trim_start()
        } else {
            break;
        };
    }
    let close = match sql.chars().next()? {
        '[' => ']',
        quote @ ('"' | '`' | '\'') => quote,
        _ => {
            let end = sql
                .find(|c: char| c.is_ascii() && !c.is_ascii_alphanumeric() && c != '_' && c != '$')
                .unwrap_or(sql.len());
            return (end > 0).then(|| sql.split_at(end));
        }
    };
    let mut from = 1;
    loop {
        let at = from + sql.get(from..)?.find(close)?;
        // A quote within a name is written twice.
        if close == ']' || !sql[at + 1..].starts_with(close) {
            return Some((&sql[1..at], &sql[at + 1..]));
        }
        from = at + 2;
    }
}

/// Whether a module keeps tables with this ending after the name of the virtual table and `_`.
fn is_shadow(module: &str, ending: &str) -> bool {
    let endings: &[&str] = match module.to_ascii_lowercase().as_str() {
        "fts1" => &["content", "term"],
        "fts2" => &["content", "segments", "segdir"],
        // <https://www.sqlite.org/fts3.html#shadow_tables>
        "fts3" | "fts4" => &["content", "docsize", "segdir", "segments", "stat"],
        // <https://www.sqlite.org/fts5.html#fts5_data_structures>
        "fts5" => &["config", "content", "data", "docsize", "idx"],
        // <https://www.sqlite.org/rtree.html#storage>
        "rtree" | "rtree_i32" | "geopoly" => &["node", "parent", "rowid"],
        "spellfix1" => &["vocab"],
        // <https://github.com/asg017/sqlite-vec>
        "vec0" => {
            let ending = ending.trim_end_matches(|c: char| c.is_ascii_digit());
            let numbered = ["vector_chunks", "metadatachunks", "metadatatext"];
            return numbered.contains(&ending)
                || ["auxiliary", "chunks", "info", "rowids"].contains(&ending);
        }
        _ => &[],
    };
    endings
        .iter()
        .any(|known| known.eq_ignore_ascii_case(ending))
}
