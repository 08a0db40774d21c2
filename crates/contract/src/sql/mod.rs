//! Accepts a single query over tables, and nothing else.
//!
//! A statement is refused before anything is planned where it is too large or too deep, where it is not a
//! query, and where it names a table that the caller may not see, a table function that could read something
//! else than tables, or a clause that would be ignored.

mod bounds;
mod clauses;
mod dialect;
mod guard;
mod one_number;
mod precedence;

use std::ops::ControlFlow;
use std::sync::Arc;

use sqlparser::ast::{Spanned, Statement, VisitMut};
use sqlparser::parser::{Parser, ParserError};
use tarn_core::schema::{TableName, Zone};
use tarn_core::{Error, ErrorKind, Result};

use self::dialect::Bounded;
use self::guard::Guard;

pub use self::guard::folded;

/// A table as a query names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TableReference {
    /// The zone, where the query says it.
    pub zone: Option<Zone>,
    /// The table, in lower case unless it is quoted.
    pub name: String,
}

/// A query that was checked: one SELECT (or UNION, WITH …) over tables, or EXPLAIN of one.
#[derive(Debug, Clone)]
pub struct Query {
    statement: Arc<Tree>,
    is_explained: bool,
    tables: Vec<TableName>,
}

/// A tree that is dropped on a large stack, as taking it apart recurses.
#[derive(Debug)]
struct Tree(Statement);

impl Drop for Tree {
    fn drop(&mut self) {
        // The other statement holds nothing.
        let tree = std::mem::replace(&mut self.0, Statement::UnlockTables);
        bounds::on_a_large_stack(|| drop(tree));
    }
}

fn refuse(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::BadRequest, text)
}

/// Where something is in the text of a query: lines and columns count from 1.
fn at(part: &impl Spanned) -> Option<String> {
    let start = part.span().start;
    (start.line > 0).then(|| format!("line {}, column {}", start.line, start.column))
}

/// The same within a message.
fn place(part: &impl Spanned) -> String {
    at(part).map(|at| format!(" ({at})")).unwrap_or_default()
}

impl Query {
    /// Checks a query. `resolve` turns a name into a known table, or says why it cannot.
    ///
    /// # Errors
    /// `BadRequest` for a syntax error, more than one statement, anything but a query, a statement of more
    /// than 20,000 tokens or 200 levels, table functions, and clauses that are not supported; and what
    /// `resolve` returns.
    pub fn parse(
        sql: &str,
        resolve: &dyn Fn(&TableReference) -> Result<TableName>,
    ) -> Result<Self> {
        // The parser builds a chain of operators by a loop, and such a tree is taken apart by recursion.
        bounds::on_a_large_stack(|| Self::parse_here(sql, resolve))
    }

    fn parse_here(
        sql: &str,
        resolve: &dyn Fn(&TableReference) -> Result<TableName>,
    ) -> Result<Self> {
        let tokens = bounds::tokens(sql)?;
        let dialect = Bounded::new(tokens.len());
        let mut statements = Parser::new(&dialect)
            .with_recursion_limit(bounds::MOST_NESTED)
            .with_tokens_with_locations(tokens)
            .parse_statements()
            .map_err(syntax_error)?;
        if statements.len() > 1 {
            return Err(refuse("send one query at a time"));
        }
        let statement = statements
            .pop()
            .ok_or_else(|| refuse("the query is empty; try SELECT * FROM orders LIMIT 10"))?;
        bounds::check_depth(&statement)?;
        let (mut statement, is_explained) = explained(statement)?;
        if !matches!(statement, Statement::Query(_)) {
            return Err(refuse(
                "only queries are answered: SELECT …, WITH … SELECT …; only ingest changes tables",
            ));
        }
        let mut guard = Guard::new(resolve);
        if let ControlFlow::Break(error) = statement.visit(&mut guard) {
            return Err(error);
        }
        Ok(Query {
            statement: Arc::new(Tree(statement)),
            is_explained,
            tables: guard.tables.into_iter().collect(),
        })
    }

    /// The query, with every table by its full name.
    pub fn statement(&self) -> &Statement {
        &self.statement.0
    }

    /// Whether the plan is asked for instead of the rows.
    pub fn is_explained(&self) -> bool {
        self.is_explained
    }

    /// The tables it reads.
    pub fn tables(&self) -> &[TableName] {
        &self.tables
    }
}

fn syntax_error(error: ParserError) -> Error {
    let text = match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text,
        ParserError::RecursionLimitExceeded => {
            return refuse(format!(
                "the query has a syntax error, or is nested more than {} levels deep: check brackets and CASE … END, use WITH, \
                 or split it",
                bounds::MOST_NESTED
            ));
        }
    };
    // The parser's own words: "Expected: an expression, found: FROM at Line: 1, Column: 8".
    let text = text
        .replacen("Expected: ", "expected ", 1)
        .replacen(", found: ", ", found ", 1)
        .replacen(" at Line: ", " at line ", 1)
        .replacen(", Column: ", ", column ", 1);
    refuse(format!("the query has a syntax error: {text}"))
}

/// The statement that EXPLAIN is asked about, or the statement itself.
fn explained(statement: Statement) -> Result<(Statement, bool)> {
    match statement {
        Statement::Explain {
            analyze: false,
            verbose: false,
            query_plan: false,
            estimate: false,
            statement,
            format: None,
            options: None,
            ..
        } => Ok((*statement, true)),
        Statement::Explain { .. } => Err(refuse(
            "only plain EXPLAIN is supported: write EXPLAIN SELECT …; what a query has read comes with its answer",
        )),
        other => Ok((other, false)),
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

    fn tables(sql: &str) -> Vec<String> {
        let query = Query::parse(sql, &known).unwrap_or_else(|error| panic!("{sql}: {error}"));
        query.tables().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_name_of_with_hides_a_table_where_it_is_in_scope_alone() {
        let orders = vec!["curated.orders"];
        for (sql, expected) in [
            (
                "WITH orders AS (SELECT * FROM daily_sales) SELECT * FROM orders",
                vec!["analytics.daily_sales"],
            ),
            (
                "WITH orders AS (SELECT * FROM orders) SELECT * FROM orders",
                orders.clone(),
            ),
            (
                "WITH a AS (SELECT * FROM orders), b AS (SELECT * FROM a) SELECT * FROM b, a",
                orders.clone(),
            ),
            (
                "SELECT * FROM orders WHERE 1 IN (WITH orders AS (SELECT 1) SELECT * FROM orders)",
                orders.clone(),
            ),
            (
                "WITH a AS (WITH orders AS (SELECT 1) SELECT * FROM orders) SELECT * FROM a, orders",
                orders.clone(),
            ),
            (
                "WITH RECURSIVE n AS (SELECT 1 UNION ALL SELECT * FROM n) SELECT * FROM n, Orders",
                orders.clone(),
            ),
        ] {
            assert_eq!(tables(sql), expected, "{sql}");
        }
        // A definition does not see those after it.
        assert!(
            Query::parse(
                "WITH a AS (SELECT * FROM b), b AS (SELECT 1) SELECT * FROM a",
                &known
            )
            .is_err()
        );
    }

    #[test]
    fn names_are_found_in_any_case_and_with_their_zone() {
        for sql in [
            "SELECT * FROM ORDERS",
            "SELECT * FROM Curated.Orders",
            "select * from \"orders\"",
        ] {
            assert_eq!(tables(sql), ["curated.orders"], "{sql}");
        }
        assert!(Query::parse("SELECT * FROM \"ORDERS\"", &known).is_err());
    }

    #[test]
    fn the_plan_of_a_query_can_be_asked_for() {
        let query = Query::parse("EXPLAIN SELECT * FROM orders", &known).unwrap();
        assert!(query.is_explained());
        assert_eq!(query.tables().len(), 1);
        for sql in [
            "EXPLAIN ANALYZE SELECT 1",
            "EXPLAIN DROP TABLE orders",
            "EXPLAIN EXPLAIN SELECT 1",
        ] {
            assert!(Query::parse(sql, &known).is_err(), "{sql}");
        }
    }

    #[test]
    fn messages_say_where() {
        for (sql, part) in [
            (
                "SELECT *\nFROM orders, sales",
                "line 2, column 14: no table sales",
            ),
            ("SELECT * FROM read_csv('x')", "line 1, column 15"),
            ("SELECT FROM WHERE", "line 1, column 13"),
            ("SELECT 'x", "line 1, column 8"),
            ("SELECT * FROM attic.orders", "(line 1, column 15)"),
        ] {
            let text = Query::parse(sql, &known).unwrap_err().to_string();
            assert!(text.contains(part), "{sql}: {text}");
        }
    }

    #[test]
    fn clauses_that_would_be_ignored_are_refused() {
        for sql in [
            "SELECT * FROM orders TABLESAMPLE (10 PERCENT)",
            "SELECT * FROM orders FOR SYSTEM_TIME AS OF '2026-01-01'",
            "SELECT * FROM orders FOR UPDATE",
            "SELECT TOP 5 * FROM orders",
            "SELECT * FROM orders FETCH FIRST 5 ROWS ONLY",
            "SELECT a FROM orders GROUP BY a WITH ROLLUP",
            "SELECT * FROM orders PREWHERE a = 1",
            "SELECT * FROM orders LATERAL VIEW explode(a) t AS b",
            "SELECT * FROM orders WITH (NOLOCK)",
            "FROM orders |> WHERE a = 1",
            "SELECT AS STRUCT a FROM orders",
        ] {
            assert!(Query::parse(sql, &known).is_err(), "{sql}");
        }
    }

    /// A part that is repeated, with what comes before and after it.
    fn repeated(before: &str, part: &str, after: &str, times: usize) -> String {
        format!("{before}{}{after}", part.repeat(times))
    }

    #[test]
    fn no_size_or_depth_of_a_statement_ends_the_process() {
        for (before, part, after) in [
            ("SELECT 1", "+1", ""),
            ("SELECT 'a'", "||'a'", ""),
            ("SELECT 1", "::int", ""),
            ("SELECT 1", " IS NULL", ""),
            ("SELECT true", " AND true", ""),
            ("SELECT true", " OR true", ""),
            ("SELECT 1", " UNION ALL SELECT 1", ""),
            ("SELECT 1", " EXCEPT SELECT 1", ""),
            ("SELECT a", "[1]", " FROM orders"),
            ("SELECT a", " AT TIME ZONE 'UTC'", " FROM orders"),
            ("SELECT a", " COLLATE x", " FROM orders"),
            ("SELECT a", " BETWEEN 1 AND 2", " FROM orders"),
            ("SELECT a", " LIKE 'x'", " FROM orders"),
            ("SELECT ", "NOT ", "true"),
            ("SELECT ", "- ", "1"),
            ("SELECT ", "(", "1"),
            ("SELECT ", "abs(", "1"),
            ("SELECT ", "CASE WHEN 1=1 THEN ", "1"),
            ("SELECT ", "CASE ", "1"),
            ("SELECT ", "CASE WHEN ", "1"),
            ("SELECT ", "CAST(", "1"),
            ("SELECT ", "TRY_CAST(", "1"),
            ("SELECT ", "EXTRACT(YEAR FROM ", "1"),
            ("SELECT ", "TRIM(", "1"),
            ("SELECT ", "SUBSTRING(", "1"),
            ("SELECT ", "POSITION(", "1"),
            ("SELECT ", "OVERLAY(", "1"),
            ("SELECT ", "CEIL(", "1"),
            ("SELECT ", "STRUCT(", "1"),
            ("SELECT ", "MAP {", "1"),
            ("SELECT ", "{'a': ", "1"),
            ("SELECT ", "EXISTS (SELECT ", "1"),
            ("SELECT ", "INTERVAL (", "1"),
            ("SELECT ", "a IN (", "1"),
            ("SELECT ", "ROW_NUMBER() OVER (ORDER BY ", "1"),
            ("SELECT ", "ARRAY[", "1"),
            ("SELECT CAST(1 AS ", "ARRAY<", "INT"),
            ("SELECT CAST(1 AS ", "STRUCT<a ", "INT"),
            ("SELECT CAST(1 AS INT", "[]", ")"),
            ("SELECT * FROM ", "(", "orders"),
            ("SELECT * FROM ", "(SELECT * FROM ", "orders"),
            ("", "EXPLAIN ", "SELECT 1"),
            ("", "(", "SELECT 1"),
            ("SELECT 1", ", 1", ""),
            ("SELECT * FROM orders", " JOIN orders ON true", ""),
            ("WITH a0 AS (SELECT 1)", ", a AS (SELECT 1)", " SELECT 1"),
            ("SELECT ", "a -> ", "b FROM orders"),
            ("SELECT INTERVAL ", "INTERVAL ", "'1' DAY"),
        ] {
            for times in [90, 1_230, 9_000, 40_000] {
                let sql = repeated(before, part, after, times);
                // Whether it is taken or refused: the process goes on, and what is taken can be dropped here.
                drop(Query::parse(&sql, &known));
            }
        }
        for (part, times, is_taken) in [("+1", 180, true), ("+1", 210, false), (",1", 9_000, true)]
        {
            let taken = Query::parse(&repeated("SELECT 1", part, "", times), &known);
            assert_eq!(taken.is_ok(), is_taken, "{part} {times}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_strange(sql in "(SELECT|FROM|WITH|orders|\\(|\\)|'|\"|,|\\*|[a-z]|[0-9]|\\[|<|\\.|é| )*") {
            drop(Query::parse(&sql, &known));
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
            "SHOW TABLES",
            "TABLE orders",
            "SELECT",
        ] {
            assert!(Query::parse(sql, &known).is_err(), "{sql}");
        }
    }
}
