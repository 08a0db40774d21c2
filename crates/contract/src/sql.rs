//! Accepts a single query over tables, and nothing else. Polars' SQL can also drop, create and delete
//! tables and has table functions that read files and URLs.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, GroupByExpr, Ident, LimitClause, ObjectName, ObjectNamePart, Query as SqlQuery,
    SelectItem, SetExpr, Statement, TableAlias, TableFactor, Value, VisitMut, VisitorMut,
};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;
use tarn_core::schema::{TableName, Zone};
use tarn_core::{Error, ErrorKind, Result};

/// A table as a query names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableReference {
    /// The zone, where the query says it.
    pub zone: Option<Zone>,
    /// The table.
    pub name: String,
}

/// A query that was checked: one SELECT (or UNION, WITH …) over tables.
#[derive(Debug, Clone)]
pub struct Query {
    statement: Statement,
    tables: Vec<TableName>,
}

fn refuse(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::BadRequest, text)
}

impl Query {
    /// Checks a query. `resolve` turns a name into a known table, or says why it cannot.
    ///
    /// # Errors
    /// `BadRequest` for a syntax error, more than one statement, anything but a query, and table
    /// functions; and what `resolve` returns.
    pub fn parse(
        sql: &str,
        resolve: &dyn Fn(&TableReference) -> Result<TableName>,
    ) -> Result<Self> {
        let mut statements = Parser::parse_sql(&GenericDialect {}, sql)
            .map_err(|error| refuse("the query has a syntax error").with_source(error))?;
        if statements.len() > 1 {
            return Err(refuse("send one query at a time"));
        }
        let mut statement = statements
            .pop()
            .ok_or_else(|| refuse("the query is empty; try SELECT * FROM orders LIMIT 10"))?;
        let mut names = CommonNames::default();
        let ControlFlow::Continue(()) = statement.visit(&mut names);
        let mut guard = Guard {
            common: names.0,
            resolve,
            tables: BTreeSet::new(),
        };
        if let ControlFlow::Break(error) = statement.visit(&mut guard) {
            return Err(error);
        }
        Ok(Query {
            statement,
            tables: guard.tables.into_iter().collect(),
        })
    }

    /// The query with every table by its full name. Where a column of `instants` is compared with a time
    /// in UTC (`'2026-01-31T10:00:00Z'`, `TIMESTAMP '2026-01-31 10:00:00'`), the time is written in the
    /// form that Polars reads.
    pub fn text(&self, instants: &BTreeSet<&str>) -> String {
        let mut statement = self.statement.clone();
        let ControlFlow::Continue(()) = statement.visit(&mut Times { instants });
        statement.to_string()
    }

    /// Whether the query gives one row of one column, judged by its text: one expression, which is an
    /// aggregate without GROUP BY, or has no table, or LIMIT 1.
    ///
    /// # Errors
    /// `BadRequest`, saying what is missing.
    pub fn one_number(&self) -> Result<()> {
        let Statement::Query(query) = &self.statement else {
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
        let ControlFlow::Continue(()) = expr.clone().visit(&mut aggregates);
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

    /// The tables it reads.
    pub fn tables(&self) -> &[TableName] {
        &self.tables
    }
}

/// Writes times that are compared with instants without zone: Polars reads them as UTC.
struct Times<'a> {
    instants: &'a BTreeSet<&'a str>,
}

impl Times<'_> {
    fn is_instant(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Identifier(name) => self.instants.contains(name.value.as_str()),
            Expr::CompoundIdentifier(names) => names
                .last()
                .is_some_and(|name| self.instants.contains(name.value.as_str())),
            _ => false,
        }
    }

    fn write_plainly(expr: &mut Expr) {
        let text = match &*expr {
            Expr::Value(value) => match &value.value {
                Value::SingleQuotedString(text) => text,
                _ => return,
            },
            Expr::TypedString(typed) => match &typed.value.value {
                Value::SingleQuotedString(text) => text,
                _ => return,
            },
            _ => return,
        };
        let text = text
            .strip_suffix('Z')
            .or_else(|| text.strip_suffix("+00:00"))
            .unwrap_or(text);
        *expr = Expr::Value(Value::SingleQuotedString(text.replacen('T', " ", 1)).into());
    }
}

impl VisitorMut for Times<'_> {
    type Break = Infallible;

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Infallible> {
        match expr {
            Expr::BinaryOp { left, right, .. } if self.is_instant(left) => {
                Self::write_plainly(right)
            }
            Expr::Between {
                expr, low, high, ..
            } if self.is_instant(expr) => {
                Self::write_plainly(low);
                Self::write_plainly(high);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// Whether an expression calls an aggregate function.
struct Aggregates(bool);

impl VisitorMut for Aggregates {
    type Break = Infallible;

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Infallible> {
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

/// Names given by WITH, which are not tables.
#[derive(Default)]
struct CommonNames(BTreeSet<String>);

impl VisitorMut for CommonNames {
    type Break = Infallible;

    fn pre_visit_query(&mut self, query: &mut SqlQuery) -> ControlFlow<Infallible> {
        if let Some(with) = &query.with {
            self.0.extend(
                with.cte_tables
                    .iter()
                    .map(|table| table.alias.name.value.clone()),
            );
        }
        ControlFlow::Continue(())
    }
}

struct Guard<'a> {
    common: BTreeSet<String>,
    resolve: &'a dyn Fn(&TableReference) -> Result<TableName>,
    tables: BTreeSet<TableName>,
}

impl Guard<'_> {
    fn table(&mut self, name: &mut ObjectName, alias: &mut Option<TableAlias>) -> Result<()> {
        let parts: Vec<String> = name
            .0
            .iter()
            .map(|part| match part {
                ObjectNamePart::Identifier(ident) => Ok(ident.value.clone()),
                ObjectNamePart::Function(_) => Err(refuse(format!("{name} is not a table"))),
            })
            .collect::<Result<_>>()?;
        let reference = match parts.as_slice() {
            [name] if self.common.contains(name) => return Ok(()),
            [name] => TableReference {
                zone: None,
                name: name.clone(),
            },
            [zone, table] => match Zone::ALL.into_iter().find(|known| known.as_str() == zone) {
                Some(zone) => TableReference {
                    zone: Some(zone),
                    name: table.clone(),
                },
                None => {
                    return Err(refuse(format!(
                        "there is no database {zone}; there are curated, analytics and quality"
                    )));
                }
            },
            _ => {
                return Err(refuse(format!(
                    "{name} is not a table; write database.table"
                )));
            }
        };
        let table = (self.resolve)(&reference)?;
        let quoted = Ident::with_quote('"', table.to_string());
        *name = ObjectName(vec![ObjectNamePart::Identifier(quoted)]);
        if alias.is_none() {
            // Columns can be written as orders.total even though the table is curated.orders.
            *alias = Some(TableAlias {
                explicit: true,
                name: Ident::with_quote('"', reference.name),
                columns: Vec::new(),
                at: None,
            });
        }
        self.tables.insert(table);
        Ok(())
    }
}

impl VisitorMut for Guard<'_> {
    type Break = Error;

    fn pre_visit_statement(&mut self, statement: &mut Statement) -> ControlFlow<Error> {
        match statement {
            Statement::Query(_) => ControlFlow::Continue(()),
            _ => ControlFlow::Break(refuse(
                "only queries are answered: SELECT …, WITH … SELECT …; only ingest changes tables",
            )),
        }
    }

    fn pre_visit_query(&mut self, query: &mut SqlQuery) -> ControlFlow<Error> {
        let plain = query.locks.is_empty()
            && query.for_clause.is_none()
            && query.settings.is_none()
            && query.format_clause.is_none()
            && query.pipe_operators.is_empty()
            && !matches!(
                query.body.as_ref(),
                SetExpr::Insert(_)
                    | SetExpr::Update(_)
                    | SetExpr::Delete(_)
                    | SetExpr::Merge(_)
                    | SetExpr::Table(_)
            );
        if plain {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(refuse(
                "locks, settings and FORMAT are not supported in a query",
            ))
        }
    }

    fn pre_visit_select(&mut self, select: &mut sqlparser::ast::Select) -> ControlFlow<Error> {
        if select.into.is_some() {
            return ControlFlow::Break(refuse(
                "SELECT INTO is not supported: queries change nothing",
            ));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        match factor {
            TableFactor::Table {
                name,
                alias,
                args: None,
                ..
            } => match self.table(name, alias) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => ControlFlow::Break(error),
            },
            TableFactor::Derived { .. } | TableFactor::NestedJoin { .. } => {
                ControlFlow::Continue(())
            }
            other => ControlFlow::Break(refuse(format!(
                "{other} is not a table; queries read tables of the lake only"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn known(reference: &TableReference) -> Result<TableName> {
        match reference.name.as_str() {
            "orders" => Ok(TableName::new(Zone::Curated, "orders")),
            "daily_sales" => Ok(TableName::new(Zone::Analytics, "daily_sales")),
            other => Err(refuse(format!("no table {other}"))),
        }
    }

    #[test]
    fn queries_pass_and_name_their_tables() {
        for (sql, tables) in [
            ("SELECT 1", vec![]),
            ("select * from orders", vec!["curated.orders"]),
            (
                "SELECT o.total FROM curated.orders o JOIN analytics.daily_sales d ON true",
                vec!["curated.orders", "analytics.daily_sales"],
            ),
            (
                "WITH x AS (SELECT * FROM orders) SELECT count(*) FROM x",
                vec!["curated.orders"],
            ),
            (
                "SELECT * FROM orders WHERE order_id IN (SELECT order_id FROM orders)",
                vec!["curated.orders"],
            ),
            (
                "SELECT * FROM (SELECT * FROM orders) t UNION ALL SELECT * FROM orders",
                vec!["curated.orders"],
            ),
        ] {
            let query = Query::parse(sql, &known).unwrap();
            let names: Vec<String> = query.tables().iter().map(ToString::to_string).collect();
            assert_eq!(names, tables, "{sql}");
        }
    }

    #[test]
    fn times_in_utc_are_written_for_polars_only_beside_instants() {
        let instants = BTreeSet::from(["order_time"]);
        for (condition, expected) in [
            (
                "order_time < '2026-01-03T10:00:00Z'",
                "order_time < '2026-01-03 10:00:00'",
            ),
            (
                "orders.order_time >= TIMESTAMP '2026-01-03 10:00:00'",
                "orders.order_time >= '2026-01-03 10:00:00'",
            ),
            (
                "order_time BETWEEN '2026-01-03' AND '2026-01-04T00:00:00+00:00'",
                "order_time BETWEEN '2026-01-03' AND '2026-01-04 00:00:00'",
            ),
            (
                "coupon = '2026-01-03T10:00:00Z'",
                "coupon = '2026-01-03T10:00:00Z'",
            ),
        ] {
            let query =
                Query::parse(&format!("SELECT 1 FROM orders WHERE {condition}"), &known).unwrap();
            let text = query.text(&instants);
            assert!(text.ends_with(expected), "{text}");
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for sql in [
            "",
            "DROP TABLE orders",
            "DELETE FROM orders",
            "TRUNCATE TABLE orders",
            "CREATE TABLE x AS SELECT * FROM orders",
            "INSERT INTO orders VALUES (1)",
            "UPDATE orders SET total = 0",
            "SELECT 1; DROP TABLE orders",
            "SELECT * FROM read_csv('/etc/passwd')",
            "SELECT * FROM read_parquet('http://example.com/x.parquet')",
            "SELECT * FROM orders, read_json('x')",
            "SELECT * FROM orders WHERE 1 IN (SELECT * FROM read_csv('x'))",
            "WITH x AS (DELETE FROM orders RETURNING *) SELECT * FROM x",
            "SELECT * INTO copy FROM orders",
            "SELECT * FROM secrets",
            "SELECT * FROM information_schema.tables",
            "SELECT * FROM a.b.c",
            "EXPLAIN SELECT 1",
            "SHOW TABLES",
            "TABLE orders",
            "SELECT",
        ] {
            assert!(Query::parse(sql, &known).is_err(), "{sql}");
        }
    }
}
