//! Bounds of a statement. Parsing, checking, planning and dropping a tree all recurse, and an overflow of the
//! stack ends the process: so a statement is measured before it is used.

use std::ops::ControlFlow;

use sqlparser::ast::{Expr, Query, SetExpr, Statement, Visit, Visitor};
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};
use tarn_core::Result;

use super::dialect::Bounded;
use super::{refuse, syntax_error};

/// Tokens of a statement, white space not counted: a list of 10,000 values fits.
const MOST_TOKENS: usize = 20_000;

/// Bytes of a statement.
const MOST_BYTES: usize = 1024 * 1024;

/// Levels of expressions, and parts of one UNION, that a statement has at most: a chain of operators such as
/// `a OR b OR c` has a level for each.
const MOST_LEVELS: usize = 200;

/// Levels of brackets and of subqueries.
pub(super) const MOST_NESTED: usize = 100;

/// Types within types, such as the lists of `int[][]`, of a whole statement.
const MOST_NESTED_TYPES: usize = 32;

/// Enough for the deepest tree that `MOST_TOKENS` tokens make, in a build without optimisation. The memory is
/// taken as it is used.
const STACK: usize = 256 * 1024 * 1024;

/// Runs work that recurses once for each token.
pub(super) fn on_a_large_stack<T>(work: impl FnOnce() -> T) -> T {
    stacker::grow(STACK, work)
}

/// The tokens of a statement that is not too large.
pub(super) fn tokens(sql: &str) -> Result<Vec<TokenWithSpan>> {
    if sql.len() > MOST_BYTES {
        return Err(refuse("the query is longer than 1 MiB"));
    }
    let tokens = Tokenizer::new(&Bounded::new(0), sql)
        .tokenize_with_location()
        .map_err(|error| syntax_error(error.into()))?;
    let mut nested = 0_usize;
    let mut types = 0_usize;
    let mut count = 0_usize;
    let mut last = &Token::EOF;
    for TokenWithSpan { token, .. } in &tokens {
        if matches!(token, Token::Whitespace(_)) {
            continue;
        }
        count += 1;
        match token {
            Token::LParen | Token::LBracket | Token::LBrace => nested += 1,
            Token::RParen | Token::RBracket | Token::RBrace => nested = nested.saturating_sub(1),
            _ => {}
        }
        // `ARRAY<`, `MAP(` and `[]` are how types contain types.
        let opens = matches!(token, Token::Lt | Token::LParen)
            && matches!(last, Token::Word(word) if is_container(&word.value));
        if opens || (*token == Token::RBracket && *last == Token::LBracket) {
            types += 1;
        }
        last = token;
        if nested > MOST_NESTED {
            return Err(refuse(format!(
                "the query has brackets more than {MOST_NESTED} levels deep; use WITH, or split it"
            )));
        }
    }
    if types > MOST_NESTED_TYPES {
        return Err(refuse(format!(
            "the query names more than {MOST_NESTED_TYPES} types of lists or structures"
        )));
    }
    if count > MOST_TOKENS {
        return Err(refuse(format!(
            "the query has {count} words and signs, and at most {MOST_TOKENS} are taken; join a table instead of \
             naming each value"
        )));
    }
    Ok(tokens)
}

fn is_container(word: &str) -> bool {
    [
        "array",
        "map",
        "struct",
        "tuple",
        "nested",
        "nullable",
        "lowcardinality",
        "union",
        "row",
        "list",
        "table",
        "setof",
    ]
    .iter()
    .any(|name| word.eq_ignore_ascii_case(name))
}

/// Refuses a tree that is too deep. It is dropped by the caller, on the large stack.
pub(super) fn check_depth(statement: &Statement) -> Result<()> {
    let mut depth = Depth(0);
    match statement.visit(&mut depth) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(refuse(format!(
            "the query has an expression or a UNION of more than {MOST_LEVELS} levels; use IN (…) for many values, \
             or split it"
        ))),
    }
}

struct Depth(usize);

impl Depth {
    fn enter(&mut self) -> ControlFlow<()> {
        self.0 += 1;
        if self.0 > MOST_LEVELS {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

impl Visitor for Depth {
    type Break = ();

    fn pre_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
        self.enter()
    }

    fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
        self.0 = self.0.saturating_sub(1);
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        // The parts of a UNION are a chain as well, which is not visited as expressions are.
        let mut parts = 0;
        let mut body = query.body.as_ref();
        while let SetExpr::SetOperation { left, .. } = body {
            parts += 1;
            body = left;
        }
        if parts > MOST_LEVELS {
            return ControlFlow::Break(());
        }
        self.enter()
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.0 = self.0.saturating_sub(1);
        ControlFlow::Continue(())
    }
}
