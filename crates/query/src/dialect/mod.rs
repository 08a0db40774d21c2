//! What analysts know from Athena, DuckDB and PostgreSQL and DataFusion does not have, written in its terms.

mod calls;
mod subqueries;
mod templates;

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, GroupByExpr, Ident, Query, SelectItem, SetExpr, Statement, TableAlias,
    TableAliasColumnDef, TableFactor, Value, Visit, VisitMut, Visitor, VisitorMut,
};
use tarn_core::{Error, ErrorKind, Result};

use self::calls::call;
use self::subqueries::{Nested, Quantifier, condition_of, quantified};
use self::templates::{AT_TIME_ZONE, parsed, places};

pub(crate) use self::templates::hint;

/// Rewrites a statement in DataFusion's terms. `is_aggregate` knows the aggregate functions by name.
///
/// # Errors
/// `BadRequest` where a function is used in a way that has no equivalent.
pub(crate) fn translate(
    statement: &mut Statement,
    is_aggregate: &dyn Fn(&str) -> bool,
) -> Result<()> {
    match VisitMut::visit(statement, &mut Translation { is_aggregate }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Translation<'a> {
    is_aggregate: &'a dyn Fn(&str) -> bool,
}

impl VisitorMut for Translation<'_> {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        name_columns(query);
        let SetExpr::Select(select) = query.body.as_mut() else {
            return ControlFlow::Continue(());
        };
        for item in &mut select.projection {
            VisitMut::visit(item, &mut Nested::default())?;
        }
        let conditions = [
            &mut select.selection,
            &mut select.having,
            &mut select.qualify,
        ];
        for condition in conditions.into_iter().flatten() {
            condition_of(condition)?;
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        if let SetExpr::Select(select) = query.body.as_mut()
            && let GroupByExpr::All(_) = select.group_by
        {
            match groups(&select.projection, self.is_aggregate) {
                Ok(groups) => select.group_by = GroupByExpr::Expressions(groups, Vec::new()),
                Err(error) => return ControlFlow::Break(error),
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        // The column of a series is called as in DuckDB.
        if let TableFactor::Table {
            name,
            args: Some(_),
            alias: alias @ None,
            ..
        } = factor
        {
            let name = Ident::new(name.to_string().to_lowercase());
            *alias = Some(TableAlias {
                explicit: true,
                columns: vec![TableAliasColumnDef::from_name(name.value.clone())],
                name,
            });
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        let new = match &*expr {
            Expr::Function(function) => call(function),
            Expr::AtTimeZone {
                timestamp,
                time_zone,
            } => {
                let arguments = [timestamp.as_ref().clone(), time_zone.as_ref().clone()];
                parsed(AT_TIME_ZONE).and_then(|expr| places(expr, &arguments, None).map(Some))
            }
            Expr::AnyOp {
                left,
                compare_op,
                right,
                ..
            } => quantified(left, compare_op, right, Quantifier::Any),
            Expr::AllOp {
                left,
                compare_op,
                right,
            } => quantified(left, compare_op, right, Quantifier::All),
            _ => Ok(None),
        };
        match new {
            Ok(Some(new)) => *expr = new,
            Ok(None) => {}
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }
}

/// What GROUP BY ALL means: the places of the selected columns that are not aggregates. DataFusion takes an
/// aggregate that has a name for a column.
fn groups(selected: &[SelectItem], is_aggregate: &dyn Fn(&str) -> bool) -> Result<Vec<Expr>> {
    let mut groups = Vec::new();
    for (index, item) in selected.iter().enumerate() {
        let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else {
            return Err(refuse(
                "GROUP BY ALL needs the names of the columns: write them instead of *".to_owned(),
            ));
        };
        if Visit::visit(expr, &mut Aggregates { is_aggregate }).is_continue() {
            groups.push(Expr::value(Value::Number((index + 1).to_string(), false)));
        }
    }
    Ok(groups)
}

/// Breaks at an aggregate.
struct Aggregates<'a> {
    is_aggregate: &'a dyn Fn(&str) -> bool,
}

impl Visitor for Aggregates<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(function)
                if function.over.is_none()
                    && (self.is_aggregate)(&function.name.to_string().to_lowercase()) =>
            {
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        }
    }
}

/// Gives the columns of WITH RECURSIVE t(a, b) their names in its first SELECT, from where they are taken.
fn name_columns(query: &mut Query) {
    let Some(with) = query.with.as_mut().filter(|with| with.recursive) else {
        return;
    };
    for table in &mut with.cte_tables {
        let mut body = table.query.body.as_mut();
        while let SetExpr::SetOperation { left, .. } = body {
            body = left;
        }
        let SetExpr::Select(select) = body else {
            continue;
        };
        let names = &table.alias.columns;
        let is_plain = |item: &SelectItem| {
            matches!(
                item,
                SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. }
            )
        };
        if names.len() != select.projection.len() || !select.projection.iter().all(is_plain) {
            continue;
        }
        for (item, name) in select.projection.iter_mut().zip(names) {
            if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
                *item = SelectItem::ExprWithAlias {
                    expr: expr.clone(),
                    alias: name.name.clone(),
                };
            }
        }
        table.alias.columns.clear();
    }
}

fn refuse(text: String) -> Error {
    Error::new(ErrorKind::BadRequest, text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use datafusion::sql::sqlparser::dialect::GenericDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::templates::PARSED;
    use super::*;

    fn translated(sql: &str) -> String {
        let mut statements = Parser::parse_sql(&GenericDialect {}, sql).unwrap();
        translate(&mut statements[0], &|name| name == "count").unwrap();
        statements[0].to_string()
    }

    #[test]
    fn every_template_can_be_read() {
        for (template, parsed) in PARSED.iter() {
            assert!(parsed.is_ok(), "{template}: {parsed:?}");
        }
    }

    #[test]
    fn functions_of_other_engines_are_written_in_terms_of_this_one() {
        for (expr, expected) in [
            ("date(t)", "(CAST(t AS DATE))"),
            ("YEAR(t)", "date_part('year', t)"),
            ("if(a > 1, b, c)", "(CASE WHEN (a > 1) THEN b ELSE c END)"),
            ("date_add('day', -7, t)", "(t) + INTERVAL '-7 day'"),
            (
                "count_if(a) FILTER (WHERE b) OVER (ORDER BY c)",
                "count(CASE WHEN a THEN 1 END) FILTER (WHERE b) OVER (ORDER BY c)",
            ),
            (
                "max_by(a, b)",
                "first_value(a ORDER BY b DESC) FILTER (WHERE b IS NOT NULL)",
            ),
            ("year(date(t))", "date_part('year', ((CAST(t AS DATE))))"),
            ("sum(a)", "sum(a)"),
            (
                "a, b + 1 AS c, count(*) AS n FROM t GROUP BY ALL",
                "a, b + 1 AS c, count(*) AS n FROM t GROUP BY 1, 2",
            ),
            (
                "EXISTS (SELECT max(x) FROM t)",
                "(((SELECT count(*) FROM (SELECT max(x) FROM t) AS counted)) > 0)",
            ),
            ("a = ANY (b)", "array_has(b, a)"),
        ] {
            assert_eq!(
                translated(&format!("SELECT {expr}")),
                format!("SELECT {expected}")
            );
        }
    }

    #[test]
    fn the_columns_of_a_recursive_query_have_their_names() {
        assert_eq!(
            translated(
                "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT n FROM t"
            ),
            "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT n FROM t"
        );
    }
}
