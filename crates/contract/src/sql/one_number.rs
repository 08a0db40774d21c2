//! Whether a query gives one number, as a rule needs it.

use std::convert::Infallible;
use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, GroupByExpr, LimitClause, SelectItem, SetExpr, Statement, Value, Visit, Visitor,
};
use tarn_core::Result;

use super::{Query, refuse};

impl Query {
    /// Whether the query gives one row of one column, judged by its text: one expression, which is an
    /// aggregate without GROUP BY, or has no table, or LIMIT 1.
    ///
    /// # Errors
    /// `BadRequest`, saying what is missing.
    pub fn one_number(&self) -> Result<()> {
        let (Statement::Query(query), false) = (self.statement(), self.is_explained) else {
            return Err(refuse("it is not a query"));
        };
        let SetExpr::Select(select) = query.body.as_ref() else {
            return Err(refuse("it is not a plain SELECT"));
        };
        let expr = match select.projection.as_slice() {
            [SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }] => expr,
            [_] => return Err(refuse("it selects every column instead of one number")),
            several => {
                return Err(refuse(format!(
                    "it selects {} columns instead of one number",
                    several.len()
                )));
            }
        };
        if let Expr::Value(value) = expr
            && !matches!(value.value, Value::Number(..))
        {
            return Err(refuse("what it selects is not a number"));
        }
        let grouped =
            !matches!(&select.group_by, GroupByExpr::Expressions(list, _) if list.is_empty());
        let mut aggregates = Aggregates(false);
        let ControlFlow::Continue(()) = expr.visit(&mut aggregates);
        let limited = matches!(
            &query.limit_clause,
            Some(LimitClause::LimitOffset { limit: Some(Expr::Value(limit)), .. })
                if matches!(&limit.value, Value::Number(number, _) if number == "1")
        );
        if limited || (!grouped && (aggregates.0 || select.from.is_empty())) {
            return Ok(());
        }
        Err(refuse(
            "it may give several rows instead of one: select an aggregate without GROUP BY, or add LIMIT 1",
        ))
    }
}

/// Whether an expression calls an aggregate function.
struct Aggregates(bool);

impl Visitor for Aggregates {
    type Break = Infallible;

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Infallible> {
        const NAMES: [&str; 11] = [
            "count",
            "sum",
            "avg",
            "min",
            "max",
            "median",
            "stddev",
            "stddev_samp",
            "var",
            "var_samp",
            "corr",
        ];
        if let Expr::Function(function) = expr
            && function.over.is_none()
            && NAMES.contains(&function.name.to_string().to_lowercase().as_str())
        {
            self.0 = true;
        }
        ControlFlow::Continue(())
    }
}
