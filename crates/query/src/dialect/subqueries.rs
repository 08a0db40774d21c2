//! Subqueries that DataFusion answers wrongly or cannot run: after ANY and ALL, and EXISTS and IN that are not a
//! condition of their own.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, GroupByExpr, Ident, Query, SelectItem, SetExpr, UnaryOperator, VisitMut,
    VisitorMut,
};
use tarn_core::{Error, Result};

use super::refuse;
use super::templates::{ANY_QUERY, parse, places};

/// Rewrites the subqueries of a condition that are not one of its parts that all must be true: in these,
/// DataFusion knows what nulls mean.
pub(super) fn condition_of(expr: &mut Expr) -> ControlFlow<Error> {
    match expr {
        Expr::Nested(inner) => condition_of(inner),
        Expr::BinaryOp {
            left,
            op: BinaryOperator::And,
            right,
        } => {
            condition_of(left)?;
            condition_of(right)
        }
        Expr::InSubquery { .. } | Expr::Exists { .. } => ControlFlow::Continue(()),
        Expr::UnaryOp {
            op: UnaryOperator::Not,
            expr: inner,
        } if is_subquery(inner) => ControlFlow::Continue(()),
        other => VisitMut::visit(other, &mut Nested::default()),
    }
}

/// Whether it is IN or EXISTS, perhaps in brackets.
fn is_subquery(expr: &Expr) -> bool {
    match expr {
        Expr::Nested(inner) => is_subquery(inner),
        Expr::InSubquery { .. } | Expr::Exists { .. } => true,
        _ => false,
    }
}

/// EXISTS and IN a query where DataFusion does not support them, as among the selected columns, or takes an
/// unknown answer for false, as within OR and NOT: written as counts.
#[derive(Default)]
pub(super) struct Nested {
    /// What is within a subquery is visited with that one.
    within: usize,
}

impl VisitorMut for Nested {
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
        if self.within > 0 {
            return ControlFlow::Continue(());
        }
        let new = match &*expr {
            Expr::Exists { subquery, negated } => exists(subquery, *negated),
            Expr::InSubquery {
                expr: operand,
                subquery,
                negated,
            } if !matches!(operand.as_ref(), Expr::Tuple(_)) => is_in(operand, subquery, *negated),
            _ => return ControlFlow::Continue(()),
        };
        match new {
            Ok(new) => {
                *expr = Expr::Nested(Box::new(new));
                ControlFlow::Continue(())
            }
            Err(error) => ControlFlow::Break(error),
        }
    }
}

fn exists(query: &Query, is_negated: bool) -> Result<Expr> {
    let comparison = if is_negated { "=" } else { ">" };
    let count = Expr::Subquery(Box::new(counted(query)?));
    places(parse(&format!("$1 {comparison} 0"))?, &[count], None)
}

/// Numbers in names that no other subquery has.
static NAMES: AtomicU64 = AtomicU64::new(0);

/// Of no rows, IN is false. A null on either side leaves open what a match does not settle.
fn is_in(operand: &Expr, query: &Query, is_negated: bool) -> Result<Expr> {
    // Counts of one condition need names of their own.
    let rows = |condition: &str| {
        let name = NAMES.fetch_add(1, Ordering::Relaxed);
        format!("(SELECT count(*) AS found_{name} FROM ({ANY_QUERY}) AS found(v){condition})")
    };
    let (all, null) = (rows(""), rows(" WHERE found.v IS NULL"));
    let wanted = if is_negated { 0 } else { 1 };
    // As numbers: of truth values the optimiser makes AND and OR, and has each subquery twice.
    let template = parse(&format!(
        "(CASE WHEN {all} = 0 THEN 0 WHEN $1 IN ({ANY_QUERY}) THEN 1 WHEN $1 IS NULL OR {null} > 0 THEN NULL \
         ELSE 0 END) = {wanted}"
    ))?;
    places(template, std::slice::from_ref(operand), Some(query))
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
            let name = NAMES.fetch_add(1, Ordering::Relaxed);
            select.projection = vec![SelectItem::ExprWithAlias {
                expr: parse("count(*)")?,
                alias: Ident::new(format!("found_{name}")),
            }];
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
