//! Clauses that would be ignored, or change something.

use sqlparser::ast::{
    Expr, Function, FunctionArguments, GroupByExpr, OrderBy, OrderByKind, Query, Select, SetExpr,
    SetOperator, SetQuantifier, TableFactor,
};
use tarn_core::Result;

use super::{place, refuse};

/// Table functions that read nothing.
const TABLE_FUNCTIONS: [&str; 3] = ["generate_series", "range", "unnest"];

/// Refuses clauses of a query.
pub(super) fn check_query(query: &Query) -> Result<()> {
    let plain = query.locks.is_empty()
        && query.for_clause.is_none()
        && query.settings.is_none()
        && query.format_clause.is_none()
        && query.pipe_operators.is_empty();
    if !plain {
        return Err(refuse(
            "locks, settings, FORMAT and pipes are not supported in a query",
        ));
    }
    if query.fetch.is_some() {
        return Err(refuse("FETCH is not supported; write LIMIT"));
    }
    if let Some(OrderBy { kind, interpolate }) = &query.order_by {
        let filled = match kind {
            OrderByKind::Expressions(list) => list.iter().any(|item| item.with_fill.is_some()),
            OrderByKind::All(_) => false,
        };
        if filled || interpolate.is_some() {
            return Err(refuse("WITH FILL and INTERPOLATE are not supported"));
        }
    }
    let mut rest = vec![query.body.as_ref()];
    while let Some(body) = rest.pop() {
        match body {
            SetExpr::Select(select) => check_select(select)?,
            SetExpr::SetOperation {
                op,
                set_quantifier,
                left,
                right,
            } => {
                let is_counted = matches!(
                    set_quantifier,
                    SetQuantifier::All | SetQuantifier::AllByName | SetQuantifier::ByName
                );
                if is_counted && *op != SetOperator::Union {
                    return Err(refuse(format!(
                        "{op} {set_quantifier} is not supported; number the rows by ROW_NUMBER() and write {op}"
                    )));
                }
                rest.extend([left.as_ref(), right]);
            }
            SetExpr::Query(_) | SetExpr::Values(_) => {}
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                return Err(refuse(
                    "a query changes nothing; only ingest changes tables",
                ));
            }
            SetExpr::Table(_) => return Err(refuse("write SELECT * FROM …")),
        }
    }
    Ok(())
}

fn check_select(select: &Select) -> Result<()> {
    if select.into.is_some() {
        return Err(refuse(
            "SELECT INTO is not supported: queries change nothing",
        ));
    }
    let modified =
        matches!(&select.group_by, GroupByExpr::Expressions(_, modifiers) if !modifiers.is_empty());
    let unsupported = [
        (select.top.is_some(), "TOP is not supported; write LIMIT"),
        (
            select.prewhere.is_some(),
            "PREWHERE is not supported; write WHERE",
        ),
        (
            !select.connect_by.is_empty(),
            "CONNECT BY is not supported; write WITH RECURSIVE",
        ),
        (
            !(select.cluster_by.is_empty()
                && select.distribute_by.is_empty()
                && select.sort_by.is_empty()),
            "CLUSTER BY, DISTRIBUTE BY and SORT BY are not supported; write ORDER BY",
        ),
        (
            !select.lateral_views.is_empty(),
            "LATERAL VIEW is not supported; write CROSS JOIN UNNEST(…)",
        ),
        (
            select.value_table_mode.is_some()
                || select.select_modifiers.is_some()
                || select.exclude.is_some(),
            "this form of SELECT is not supported; list the columns, or write SELECT * EXCLUDE (…)",
        ),
        (
            modified,
            "GROUP BY … WITH is not supported; write GROUP BY ROLLUP (…) or CUBE (…)",
        ),
    ];
    match unsupported.into_iter().find(|(found, _)| *found) {
        Some((_, text)) => Err(refuse(text)),
        None => Ok(()),
    }
}

/// Refuses what is not a table, and clauses of tables.
pub(super) fn check_table(factor: &TableFactor) -> Result<()> {
    match factor {
        TableFactor::Table {
            name,
            args,
            with_hints,
            version: None,
            with_ordinality: false,
            partitions,
            json_path: None,
            sample: None,
            index_hints,
            ..
        } if with_hints.is_empty() && partitions.is_empty() && index_hints.is_empty() => {
            let allowed = |name: &str| {
                let named = |known: &&str| known.eq_ignore_ascii_case(name);
                TABLE_FUNCTIONS.iter().any(named)
            };
            match args {
                Some(arguments) if arguments.settings.is_some() || !allowed(&name.to_string()) => {
                    Err(refuse(format!(
                        "{name}(…) is not a table{}; queries read tables of the lake, and {}",
                        place(name),
                        TABLE_FUNCTIONS.join(", ")
                    )))
                }
                _ => Ok(()),
            }
        }
        TableFactor::Table { name, .. } => Err(refuse(format!(
            "samples, versions, hints and ordinality of a table are not supported{}; a former version is read \
             with as_of",
            place(name)
        ))),
        TableFactor::Derived { sample: None, .. }
        | TableFactor::NestedJoin { .. }
        | TableFactor::UNNEST { .. } => Ok(()),
        other => Err(refuse(format!(
            "{other} is not a table; queries read tables of the lake only"
        ))),
    }
}

/// Refuses parts of expressions.
pub(super) fn check_expr(expr: &Expr) -> Result<()> {
    match expr {
        Expr::Function(Function {
            name, parameters, ..
        }) if *parameters != FunctionArguments::None => Err(refuse(format!(
            "{name} is called with two lists of arguments{}",
            place(name)
        ))),
        _ => Ok(()),
    }
}
