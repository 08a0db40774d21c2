//! `FROM t CROSS JOIN UNNEST(t.list) AS u(item)`: DataFusion plans it as a correlated subquery and cannot run
//! it. Here the lists of each row are unnested beside the row.

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Column, Result};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::logical_plan::builder::unnest_with_options;
use datafusion::logical_expr::logical_plan::{Join, Projection, Unnest};
use datafusion::logical_expr::{Expr, JoinType, LogicalPlan, LogicalPlanBuilder};
use datafusion::optimizer::AnalyzerRule;

/// The rule.
#[derive(Debug)]
pub(crate) struct Lateral;

impl AnalyzerRule for Lateral {
    fn name(&self) -> &str {
        "lateral_unnest"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(rewritten).data()
    }
}

fn rewritten(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    match plan {
        // A row without a list gives no rows, as a row with an empty one.
        LogicalPlan::Unnest(mut unnest) if unnest.options.preserve_nulls => {
            unnest.options.preserve_nulls = false;
            Ok(Transformed::yes(LogicalPlan::Unnest(unnest)))
        }
        LogicalPlan::Join(join) => match correlated(&join) {
            Some(parts) => unnested(&join, parts).map(Transformed::yes),
            None => Ok(Transformed::no(LogicalPlan::Join(join))),
        },
        other => Ok(Transformed::no(other)),
    }
}

/// What the right side of the join consists of: names for the items, the lists, and where these come from.
struct Parts<'a> {
    named: &'a Projection,
    unnest: &'a Unnest,
    lists: &'a Projection,
}

fn correlated(join: &Join) -> Option<Parts<'_>> {
    if join.join_type != JoinType::Inner || !join.on.is_empty() {
        return None;
    }
    let mut right = join.right.as_ref();
    // New names for the columns, in their order, are given on the way.
    let (named, unnest) = loop {
        right = match right {
            LogicalPlan::SubqueryAlias(alias) => alias.input.as_ref(),
            LogicalPlan::Subquery(subquery) => subquery.subquery.as_ref(),
            LogicalPlan::Projection(projection) => match projection.input.as_ref() {
                LogicalPlan::Unnest(unnest) => break (projection, unnest),
                input => input,
            },
            _ => return None,
        };
    };
    let LogicalPlan::Projection(lists) = unnest.input.as_ref() else {
        return None;
    };
    let is_empty = matches!(lists.input.as_ref(), LogicalPlan::EmptyRelation(_));
    let columns = join.right.schema().fields().len();
    (is_empty && columns == named.expr.len()).then_some(Parts {
        named,
        unnest,
        lists,
    })
}

fn unnested(join: &Join, parts: Parts<'_>) -> Result<LogicalPlan> {
    let kept = || join.left.schema().columns().into_iter().map(Expr::Column);
    let lists = parts.lists.expr.iter().cloned().map(of_the_row);
    let lists = lists.collect::<Result<Vec<_>>>()?;
    let beside = LogicalPlanBuilder::from(join.left.as_ref().clone())
        .project(kept().chain(lists))?
        .build()?;
    let columns: Vec<Column> = parts.unnest.exec_columns.clone();
    let unnested = unnest_with_options(beside, columns, parts.unnest.options.clone())?;
    let names = join.right.schema().iter();
    let items = parts
        .named
        .expr
        .iter()
        .zip(names)
        .map(|(expr, (table, field))| {
            of_the_row(expr.clone().unalias())
                .map(|expr| expr.alias_qualified(table.cloned(), field.name()))
        });
    let items = items.collect::<Result<Vec<_>>>()?;
    let rows = LogicalPlanBuilder::from(unnested).project(kept().chain(items))?;
    match &join.filter {
        Some(filter) => rows.filter(filter.clone())?.build(),
        None => rows.build(),
    }
}

/// An expression over the row itself instead of one over the row of the query around it.
fn of_the_row(expr: Expr) -> Result<Expr> {
    expr.transform(|expr| match expr {
        Expr::OuterReferenceColumn(_, column) => Ok(Transformed::yes(Expr::Column(column))),
        other => Ok(Transformed::no(other)),
    })
    .data()
}
