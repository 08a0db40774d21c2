//! Subqueries that DataFusion answers wrongly or cannot run: after ANY and ALL, and EXISTS among the selected
//! columns.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, GroupByExpr, Query, SelectItem, SetExpr, VisitorMut,
};
use tarn_core::{Error, Result};

use super::refuse;
use super::templates::{ANY_QUERY, parse, places};

/// EXISTS among the selected columns, which DataFusion supports in conditions alone: as a count.
pub(super) struct Selected {
    pub(super) within: usize,
}

impl VisitorMut for Selected {
    type Break = Error;

    fn pre_visit_query(&mut self, _: &mut Query) -> ControlFlow<Error> {
        self.within += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<Error> {
        self.within = self.within.saturating_sub(1);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        let Expr::Exists { subquery, negated } = &*expr else {
            return ControlFlow::Continue(());
        };
        if self.within > 0 {
            return ControlFlow::Continue(());
        }
        let comparison = if *negated { "=" } else { ">" };
        match counted(subquery).and_then(|count| {
            let count = Expr::Subquery(Box::new(count));
            places(parse(&format!("$1 {comparison} 0"))?, &[count], None)
        }) {
            Ok(new) => {
                *expr = Expr::Nested(Box::new(new));
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        }
    }
}

/// The number of rows of a query.
pub(super) fn counted(query: &Query) -> Result<Query> {
    let mut counted = query.clone();
    if let SetExpr::Select(select) = counted.body.as_mut() {
        let is_grouped =
            !matches!(&select.group_by, GroupByExpr::Expressions(list, _) if list.is_empty());
        // An aggregate makes one row of none.
        let has_calls = select
            .projection
            .iter()
            .any(|item| item.to_string().contains('('));
        let is_plain = select.distinct.is_none()
            && !has_calls
            && !is_grouped
            && select.having.is_none()
            && counted.limit_clause.is_none();
        if is_plain {
            select.projection = vec![SelectItem::UnnamedExpr(parse("count(*)")?)];
            counted.order_by = None;
            return Ok(counted);
        }
    }
    let template = parse(&format!("(SELECT count(*) FROM ({ANY_QUERY}) AS counted)"))?;
    match places(template, &[], Some(query))? {
        Expr::Subquery(query) => Ok(*query),
        other => Err(Error::internal(format!("{other} is not a query"))),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Quantifier {
    Any,
    All,
}

/// A comparison with ANY or ALL rows of a subquery, which DataFusion answers wrongly without an error, by the
/// least and the greatest of them.
pub(super) fn quantified(
    left: &Expr,
    operator: &BinaryOperator,
    right: &Expr,
    quantifier: Quantifier,
) -> Result<Option<Expr>> {
    use BinaryOperator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    use Quantifier::{All, Any};

    let made = |template: &str, arguments: &[Expr], query: Option<&Query>| {
        places(parse(template)?, arguments, query).map(Some)
    };
    let Expr::Subquery(query) = right else {
        // Of an array.
        return match (quantifier, operator) {
            (Any, Eq) => made("array_has($2, $1)", &[left.clone(), right.clone()], None),
            _ => Err(refuse(
                "only = ANY (…) of an array is supported; of a query all comparisons are"
                    .to_owned(),
            )),
        };
    };
    let of = |what: &str| format!("(SELECT {what} FROM ({ANY_QUERY}) AS quantified(v))");
    let (least, greatest) = (of("MIN(v)"), of("MAX(v)"));
    let left = std::slice::from_ref(left);
    let holds = match (quantifier, operator) {
        (Any, Eq) => return made(&format!("$1 IN ({ANY_QUERY})"), left, Some(query)),
        (All, NotEq) => return made(&format!("$1 NOT IN ({ANY_QUERY})"), left, Some(query)),
        (All, Eq) => format!("($1 = {least} AND $1 = {greatest})"),
        (Any, NotEq) => format!("($1 <> {least} OR $1 <> {greatest})"),
        (All, Lt | LtEq) | (Any, Gt | GtEq) => format!("($1 {operator} {least})"),
        (All, Gt | GtEq) | (Any, Lt | LtEq) => format!("($1 {operator} {greatest})"),
        _ => {
            return Err(refuse(format!(
                "{operator} with ANY or ALL is not supported"
            )));
        }
    };
    // Of no rows, ALL is true and ANY is false. A null among the rows leaves open what the others do not settle.
    let (of_none, settled) = match quantifier {
        All => ("true", "NOT "),
        Any => ("false", ""),
    };
    let (rows, values) = (of("COUNT(*)"), of("COUNT(v)"));
    let text = format!(
        "(CASE WHEN {rows} = 0 THEN {of_none} WHEN {settled}{holds} THEN {} WHEN {rows} = {values} THEN {holds} END)",
        quantifier == Any
    );
    made(&text, left, Some(query))
}
