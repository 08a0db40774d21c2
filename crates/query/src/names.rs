//! Names in messages: the nearest known one, and the place in the text.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, Ident, OrderByExpr, OrderByKind, Query, SelectItem, SetExpr, Statement, Value,
    Visit, Visitor,
};
use tarn_contract::nearest;
use tarn_contract::sql::folded;

/// Where a name is first written in a statement: ", line 2, column 14".
pub(crate) fn place(statement: &Statement, name: &str) -> String {
    let mut search = Search { name, found: None };
    // Breaking off is how a visitor reports what it found.
    match statement.visit(&mut search) {
        ControlFlow::Continue(()) | ControlFlow::Break(()) => {}
    }
    search.found.unwrap_or_default()
}

struct Search<'a> {
    name: &'a str,
    found: Option<String>,
}

impl Search<'_> {
    fn is(&self, ident: &Ident) -> bool {
        match ident.quote_style {
            Some(_) => ident.value == self.name,
            None => ident.value.to_lowercase() == self.name.to_lowercase(),
        }
    }
}

impl Visitor for Search<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let ident = match expr {
            Expr::Identifier(ident) => Some(ident),
            Expr::CompoundIdentifier(idents) => idents.last(),
            Expr::Function(function) => function.name.0.last().and_then(|part| part.as_ident()),
            _ => None,
        };
        match ident.filter(|ident| self.is(ident)) {
            Some(ident) => {
                let start = ident.span.start;
                if start.line > 0 {
                    self.found = Some(format!(", line {}, column {}", start.line, start.column));
                }
                ControlFlow::Break(())
            }
            None => ControlFlow::Continue(()),
        }
    }
}

/// Whether a statement has WITH RECURSIVE.
pub(crate) fn is_recursive(statement: &Statement) -> bool {
    struct Recursive;
    impl Visitor for Recursive {
        type Break = ();

        fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
            match &query.with {
                Some(with) if with.recursive => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    statement.visit(&mut Recursive).is_break()
}

/// "; did you mean total?", where a known name is near.
pub(crate) fn suggestion<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    match nearest(name, known) {
        Some(near) => format!("; did you mean {near}?"),
        None => String::new(),
    }
}

/// A statement whose columns have names of their own: an expression is called as it is written, and the
/// second column of a name gets a number, as in `id` and `id_1`.
pub(crate) fn unique(mut statement: Statement) -> Statement {
    let Statement::Query(query) = &mut statement else {
        return statement;
    };
    let SetExpr::Select(select) = query.body.as_mut() else {
        return statement;
    };
    // ORDER BY ALL takes columns alone: their places say the same.
    let is_plain = |item: &SelectItem| {
        matches!(
            item,
            SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. }
        )
    };
    if let Some(order_by) = &mut query.order_by
        && let OrderByKind::All(options) = order_by.kind
        && select.projection.iter().all(is_plain)
    {
        let places = (1..=select.projection.len()).map(|place| OrderByExpr {
            expr: Expr::value(Value::Number(place.to_string(), false)),
            options,
            with_fill: None,
        });
        order_by.kind = OrderByKind::Expressions(places.collect());
    }
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for item in &mut select.projection {
        let (expr, name) = match item {
            SelectItem::UnnamedExpr(expr) => {
                let name = match &*expr {
                    Expr::Identifier(ident) => folded(ident),
                    Expr::CompoundIdentifier(idents) => {
                        idents.last().map(folded).unwrap_or_default()
                    }
                    // These expand to several columns.
                    Expr::Function(function) if is_unnest(function) => continue,
                    other => other.to_string(),
                };
                let is_column = matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
                if is_column && !seen.contains(&name) {
                    seen.insert(name);
                    continue;
                }
                (expr.clone(), name)
            }
            SelectItem::ExprWithAlias { expr, alias } => {
                let name = folded(alias);
                if !seen.contains(&name) {
                    seen.insert(name);
                    continue;
                }
                (expr.clone(), name)
            }
            _ => continue,
        };
        let name = free(&name, |name| seen.contains(name));
        seen.insert(name.clone());
        *item = SelectItem::ExprWithAlias {
            expr,
            alias: Ident::with_quote('"', name),
        };
    }
    statement
}

fn is_unnest(function: &Function) -> bool {
    function.name.to_string().eq_ignore_ascii_case("unnest")
}

/// A name; if it is taken, with a number at its end that makes it a new one.
pub(crate) fn free(name: &str, taken: impl Fn(&str) -> bool) -> String {
    if !taken(name) {
        return name.to_owned();
    }
    (1_u64..)
        .map(|number| format!("{name}_{number}"))
        .find(|name| !taken(name))
        .unwrap_or_default()
}
