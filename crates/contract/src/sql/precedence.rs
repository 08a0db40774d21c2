//! `a IS DISTINCT FROM b AND c` means `(a IS DISTINCT FROM b) AND c`. The parser takes all that follows FROM as
//! one operand, and so gives another tree, whose answer would be wrong without an error.

use sqlparser::ast::{BinaryOperator, Expr, UnaryOperator, Value};

/// How tightly a logical operator binds; None for operators that bind more tightly than all of these.
fn strength(operator: &BinaryOperator) -> Option<u8> {
    match operator {
        BinaryOperator::Or => Some(1),
        BinaryOperator::Xor => Some(2),
        BinaryOperator::And => Some(3),
        _ => None,
    }
}

/// Puts an expression right whose operands are right.
pub(super) fn settle(expr: &mut Expr) {
    let limit = match expr {
        Expr::IsDistinctFrom(_, right) | Expr::IsNotDistinctFrom(_, right) => loose(right, 4),
        Expr::UnaryOp {
            op: UnaryOperator::Not,
            expr: operand,
        } => loose(operand, 4),
        Expr::BinaryOp { op, right, .. } => loose(right, strength(op).unwrap_or(4)),
        _ => false,
    };
    if limit {
        turn(expr);
    }
}

/// Whether an operand is an operation that binds less tightly than `strength`, and is not in brackets.
fn loose(operand: &Expr, than: u8) -> bool {
    matches!(operand, Expr::BinaryOp { op, .. } if strength(op).is_some_and(|own| own < than))
}

/// From `outer (a inner b)` to `(outer a) inner b`.
fn turn(expr: &mut Expr) {
    let nothing = || Box::new(Expr::value(Value::Null));
    let operand = match expr {
        Expr::IsDistinctFrom(_, right) | Expr::IsNotDistinctFrom(_, right) => right,
        Expr::UnaryOp { expr: operand, .. } => operand,
        Expr::BinaryOp { right, .. } => right,
        _ => return,
    };
    let Expr::BinaryOp { left, op, right } = std::mem::replace(operand.as_mut(), *nothing()) else {
        return;
    };
    *operand = left;
    settle(expr);
    let outer = std::mem::replace(expr, *nothing());
    *expr = Expr::BinaryOp {
        left: Box::new(outer),
        op,
        right,
    };
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::{Query, TableReference};
    use tarn_core::schema::{TableName, Zone};

    fn known(reference: &TableReference) -> tarn_core::Result<TableName> {
        Ok(TableName::new(Zone::Curated, &reference.name))
    }

    /// The two texts have the same tree, with brackets where the second has them.
    fn assert_means(written: &str, meant: &str) {
        let tree = |condition: &str| {
            let sql = format!("SELECT 1 FROM t WHERE {condition}");
            let text = Query::parse(&sql, &known).unwrap().statement().to_string();
            text.replace(['(', ')'], "")
        };
        // Without brackets the text does not show the tree: each operation is compared by its place.
        let shape = |condition: &str| {
            let sql = format!("SELECT 1 FROM t WHERE {condition}");
            let shown = format!("{:?}", Query::parse(&sql, &known).unwrap().statement());
            let operators = [
                "IsDistinctFrom",
                "IsNotDistinctFrom",
                "op: And",
                "op: Or",
                "op: Not",
            ];
            let mut found: Vec<(usize, &str)> = operators
                .iter()
                .flat_map(|name| shown.match_indices(name).map(|(at, _)| (at, *name)))
                .collect();
            found.sort_unstable();
            found.into_iter().map(|(_, name)| name).collect::<Vec<_>>()
        };
        assert_eq!(tree(written), tree(meant));
        assert_eq!(shape(written), shape(meant), "{written}");
    }

    #[test]
    fn what_follows_a_distinct_from_is_not_its_operand() {
        for (written, meant) in [
            ("a IS DISTINCT FROM b AND c", "(a IS DISTINCT FROM b) AND c"),
            (
                "a IS NOT DISTINCT FROM b OR c",
                "(a IS NOT DISTINCT FROM b) OR c",
            ),
            (
                "x AND a IS DISTINCT FROM b OR c",
                "(x AND (a IS DISTINCT FROM b)) OR c",
            ),
            (
                "x OR a IS DISTINCT FROM b AND c",
                "x OR ((a IS DISTINCT FROM b) AND c)",
            ),
            (
                "NOT a IS DISTINCT FROM b AND c",
                "(NOT (a IS DISTINCT FROM b)) AND c",
            ),
            (
                "a IS DISTINCT FROM b AND c IS DISTINCT FROM d OR e",
                "((a IS DISTINCT FROM b) AND (c IS DISTINCT FROM d)) OR e",
            ),
            ("a IS DISTINCT FROM b", "(a IS DISTINCT FROM b)"),
        ] {
            assert_means(written, meant);
        }
    }
}
