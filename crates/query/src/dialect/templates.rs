//! Expressions with places for arguments.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::LazyLock;

use datafusion::sql::sqlparser::ast::{Expr, Query, Value, VisitMut, VisitorMut};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use tarn_core::{Error, Result};

/// Functions by name and number of arguments, and what they are: `$1` is the first argument.
pub(super) const FUNCTIONS: [(&str, usize, &str); 50] = [
    ("mod", 2, "$1 % $2"),
    ("variance", 1, "var($1)"),
    ("date_add", 2, "$1 + $2"),
    ("date", 1, "CAST($1 AS DATE)"),
    ("year", 1, "date_part('year', $1)"),
    ("quarter", 1, "date_part('quarter', $1)"),
    ("month", 1, "date_part('month', $1)"),
    ("week", 1, "date_part('week', $1)"),
    ("weekofyear", 1, "date_part('week', $1)"),
    ("week_of_year", 1, "date_part('week', $1)"),
    ("day", 1, "date_part('day', $1)"),
    ("dayofmonth", 1, "date_part('day', $1)"),
    ("day_of_month", 1, "date_part('day', $1)"),
    ("dayofyear", 1, "date_part('doy', $1)"),
    ("day_of_year", 1, "date_part('doy', $1)"),
    ("dayofweek", 1, "date_part('dow', $1)"),
    ("weekday", 1, "date_part('dow', $1)"),
    ("isodow", 1, ISO_DAY),
    ("day_of_week", 1, ISO_DAY),
    ("hour", 1, "date_part('hour', $1)"),
    ("minute", 1, "date_part('minute', $1)"),
    (
        "second",
        1,
        "CAST(floor(date_part('second', $1)) AS BIGINT)",
    ),
    ("epoch", 1, "date_part('epoch', $1)"),
    ("to_unixtime", 1, "date_part('epoch', $1)"),
    ("dayname", 1, "to_char($1, '%A')"),
    ("monthname", 1, "to_char($1, '%B')"),
    ("strftime", 2, "to_char($1, $2)"),
    ("last_day", 1, LAST_DAY),
    ("last_day_of_month", 1, LAST_DAY),
    ("time_bucket", 2, "date_bin($1, $2)"),
    ("if", 2, "CASE WHEN $1 THEN $2 END"),
    ("if", 3, "CASE WHEN $1 THEN $2 ELSE $3 END"),
    ("ifnull", 2, "coalesce($1, $2)"),
    ("len", 1, "character_length($1)"),
    ("split", 2, "string_to_array($1, $2)"),
    ("string_split", 2, "string_to_array($1, $2)"),
    (
        "regexp_extract",
        2,
        "array_element(regexp_match($1, concat('(', $2, ')')), 1)",
    ),
    (
        "regexp_extract",
        3,
        "array_element(regexp_match($1, concat('(', $2, ')')), 1 + $3)",
    ),
    ("regexp_matches", 2, "regexp_like($1, $2)"),
    ("element_at", 2, "array_element($1, $2)"),
    ("list", 1, "array_agg($1)"),
    ("listagg", 2, "string_agg($1, $2)"),
    ("group_concat", 1, "string_agg($1, ',')"),
    ("group_concat", 2, "string_agg($1, $2)"),
    ("count_if", 1, "count(CASE WHEN $1 THEN 1 END)"),
    ("countif", 1, "count(CASE WHEN $1 THEN 1 END)"),
    ("any_value", 1, "min($1)"),
    ("approx_count_distinct", 1, "approx_distinct($1)"),
    ("approx_quantile", 2, "approx_percentile_cont($1, $2)"),
    ("approx_percentile", 2, "approx_percentile_cont($1, $2)"),
];

/// Monday is 1 and Sunday 7.
pub(super) const ISO_DAY: &str = "(date_part('dow', $1) + 6) % 7 + 1";

pub(super) const LAST_DAY: &str =
    "CAST(date_trunc('month', $1) + INTERVAL '1 month' - INTERVAL '1 day' AS DATE)";

/// Aggregates that take the row with the greatest or the least value of another column.
pub(super) const EXTREMES: [(&str, &str); 4] = [
    ("max_by", GREATEST),
    ("arg_max", GREATEST),
    ("min_by", LEAST),
    ("arg_min", LEAST),
];

pub(super) const GREATEST: &str = "first_value($1 ORDER BY $2 DESC) FILTER (WHERE $2 IS NOT NULL)";

pub(super) const LEAST: &str = "first_value($1 ORDER BY $2) FILTER (WHERE $2 IS NOT NULL)";

/// What it does depends on the type of the time: see `exact`.
pub(super) const AT_TIME_ZONE: &str = "at_time_zone($1, $2)";

/// How many boundaries of a unit are between two times, as DuckDB and Redshift count them.
pub(super) const DIFFERENCES: [(&str, &str); 7] = [
    ("day", "CAST($2 AS DATE) - CAST($1 AS DATE)"),
    (
        "week",
        "(CAST(date_trunc('week', $2) AS DATE) - CAST(date_trunc('week', $1) AS DATE)) / 7",
    ),
    (
        "month",
        "(date_part('year', $2) - date_part('year', $1)) * 12 + date_part('month', $2) - date_part('month', $1)",
    ),
    ("year", "date_part('year', $2) - date_part('year', $1)"),
    (
        "hour",
        "CAST((date_part('epoch', date_trunc('hour', $2)) - date_part('epoch', date_trunc('hour', $1))) / 3600 AS BIGINT)",
    ),
    (
        "minute",
        "CAST((date_part('epoch', date_trunc('minute', $2)) - date_part('epoch', date_trunc('minute', $1))) / 60 AS BIGINT)",
    ),
    (
        "second",
        "CAST(date_part('epoch', date_trunc('second', $2)) - date_part('epoch', date_trunc('second', $1)) AS BIGINT)",
    ),
];

/// Functions that are not here, and what to write.
pub(super) const HINTS: [(&str, &str); 3] = [
    ("date_format", "to_char(time, '%Y-%m-%d')"),
    ("format_datetime", "to_char(time, '%Y-%m-%d')"),
    ("date_parse", "to_timestamp(text, '%Y-%m-%d')"),
];

pub(super) fn parse(text: &str) -> Result<Expr> {
    Parser::new(&GenericDialect {})
        .with_recursion_limit(200)
        .try_with_sql(text)
        .and_then(|mut parser| parser.parse_expr())
        .map_err(|error| {
            Error::internal(format!("the expression {text} cannot be read")).with_source(error)
        })
}

/// The templates, parsed once.
pub(super) static PARSED: LazyLock<BTreeMap<&'static str, Result<Expr>>> = LazyLock::new(|| {
    let functions = FUNCTIONS.iter().map(|(_, _, template)| *template);
    let differences = DIFFERENCES.iter().map(|(_, template)| *template);
    functions
        .chain(differences)
        .chain([GREATEST, LEAST, AT_TIME_ZONE])
        .map(|template| (template, parse(template)))
        .collect()
});

/// What to write instead of a function that does not exist.
pub(crate) fn hint(function: &str) -> Option<&'static str> {
    let found = HINTS.iter().find(|(name, _)| *name == function);
    found.map(|(_, hint)| *hint)
}

/// A template that was parsed before.
pub(super) fn parsed(template: &'static str) -> Result<Expr> {
    match PARSED.get(template) {
        Some(Ok(expr)) => Ok(expr.clone()),
        Some(Err(error)) => Err(Error::internal(error.to_string())),
        None => Err(Error::internal(format!("{template} was not read"))),
    }
}

/// The query that stands for another one in a template.
pub(super) const ANY_QUERY: &str = "SELECT '$query'";

/// A template with arguments in their places, which are filled once: they are not visited again.
pub(super) fn places(
    mut template: Expr,
    arguments: &[Expr],
    query: Option<&Query>,
) -> Result<Expr> {
    match VisitMut::visit(&mut template, &mut Places { arguments, query }) {
        ControlFlow::Continue(()) => Ok(template),
        ControlFlow::Break(never) => match never {},
    }
}

pub(super) struct Places<'a> {
    arguments: &'a [Expr],
    query: Option<&'a Query>,
}

impl VisitorMut for Places<'_> {
    type Break = std::convert::Infallible;

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        if let Some(new) = self.query
            && query.to_string() == ANY_QUERY
        {
            query.clone_from(new);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        if let Expr::Value(value) = expr
            && let Value::Placeholder(place) = &value.value
            && let Some(index) = place
                .strip_prefix('$')
                .and_then(|n| n.parse::<usize>().ok())
            && let Some(argument) = index.checked_sub(1).and_then(|at| self.arguments.get(at))
        {
            *expr = match argument {
                Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Value(_) => {
                    argument.clone()
                }
                other => Expr::Nested(Box::new(other.clone())),
            };
        }
        ControlFlow::Continue(())
    }
}
