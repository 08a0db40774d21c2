//! Resolves the tables of a query, with the names that WITH gives in its scopes.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, Ident, ObjectName, ObjectNamePart, Query as SqlQuery, TableFactor, VisitorMut,
};
use tarn_core::schema::{TableName, Zone};
use tarn_core::{Error, Result};

use super::{TableReference, at, clauses, place, precedence, refuse};

/// A name as it is looked up: case matters in quotes only.
pub fn folded(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    }
}

/// The names that WITH gives in one query. They come into scope one after the other: the definition of
/// `orders` in `WITH orders AS (SELECT * FROM orders)` reads the table.
#[derive(Default)]
struct Scope {
    names: Vec<String>,
    /// A definition of WITH RECURSIVE sees its own name.
    is_recursive: bool,
    /// Definitions that were begun, and those that were ended.
    begun: usize,
    ended: usize,
    /// Whether the query of this scope is a definition of the query around it.
    defines: bool,
}

impl Scope {
    fn knows(&self, name: &str) -> bool {
        let visible = if self.is_recursive {
            self.begun
        } else {
            self.ended
        };
        self.names.iter().take(visible).any(|known| known == name)
    }
}

/// Visits a query, and checks all of it.
pub(super) struct Guard<'a> {
    resolve: &'a dyn Fn(&TableReference) -> Result<TableName>,
    scopes: Vec<Scope>,
    /// The tables that are read.
    pub(super) tables: BTreeSet<TableName>,
}

impl<'a> Guard<'a> {
    pub(super) fn new(resolve: &'a dyn Fn(&TableReference) -> Result<TableName>) -> Self {
        Guard {
            resolve,
            scopes: Vec::new(),
            tables: BTreeSet::new(),
        }
    }

    fn begin(&mut self, query: &SqlQuery) {
        // The definitions are the first queries within a query.
        let mut defines = false;
        if let Some(around) = self.scopes.last_mut()
            && around.begun < around.names.len()
        {
            around.begun += 1;
            defines = true;
        }
        let mut scope = Scope {
            defines,
            ..Scope::default()
        };
        if let Some(with) = &query.with {
            scope.is_recursive = with.recursive;
            let names = with.cte_tables.iter();
            scope.names = names.map(|table| folded(&table.alias.name)).collect();
        }
        self.scopes.push(scope);
    }

    fn end(&mut self) {
        if let Some(ended) = self.scopes.pop()
            && ended.defines
            && let Some(around) = self.scopes.last_mut()
        {
            around.ended += 1;
        }
    }

    /// Writes a table by its full name.
    fn table(&mut self, name: &mut ObjectName) -> Result<()> {
        let mut parts = Vec::with_capacity(name.0.len());
        for part in &name.0 {
            match part {
                ObjectNamePart::Identifier(ident) => parts.push(folded(ident)),
                ObjectNamePart::Function(_) => {
                    return Err(refuse(format!("{name} is not a table{}", place(name))));
                }
            }
        }
        let reference = match parts.as_slice() {
            [table] if self.scopes.iter().any(|scope| scope.knows(table)) => return Ok(()),
            [table] => TableReference {
                zone: None,
                name: table.clone(),
            },
            [zone, table] => match Zone::ALL.into_iter().find(|known| known.as_str() == zone) {
                Some(zone) => TableReference {
                    zone: Some(zone),
                    name: table.clone(),
                },
                None => {
                    return Err(refuse(format!(
                        "there is no database {zone}{}; there are curated, analytics and quality",
                        place(name)
                    )));
                }
            },
            _ => {
                return Err(refuse(format!(
                    "{name} is not a table{}; write database.table",
                    place(name)
                )));
            }
        };
        let table = (self.resolve)(&reference).map_err(|error| match at(name) {
            Some(at) => error.context(at),
            None => error,
        })?;
        let span = name
            .0
            .last()
            .and_then(|part| part.as_ident())
            .map(|ident| ident.span);
        let ident = |text: &str| {
            let mut ident = Ident::with_quote('"', text);
            ident.span = span.unwrap_or(ident.span);
            ObjectNamePart::Identifier(ident)
        };
        *name = ObjectName(vec![ident(table.zone.as_str()), ident(&table.name)]);
        self.tables.insert(table);
        Ok(())
    }
}

fn flow(result: Result<()>) -> ControlFlow<Error> {
    match result {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    }
}

impl VisitorMut for Guard<'_> {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &mut SqlQuery) -> ControlFlow<Error> {
        self.begin(query);
        flow(clauses::check_query(query))
    }

    fn post_visit_query(&mut self, _: &mut SqlQuery) -> ControlFlow<Error> {
        self.end();
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        flow(clauses::check_expr(expr))
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        precedence::settle(expr);
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        let checked = clauses::check_table(factor).and_then(|()| match factor {
            TableFactor::Table {
                name, args: None, ..
            } => self.table(name),
            _ => Ok(()),
        });
        flow(checked)
    }
}
