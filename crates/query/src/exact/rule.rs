//! The rewriting, before types are coerced.

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue, plan_err};
use datafusion::config::ConfigOptions;
use datafusion::functions::core::expr_fn::nullif;
use datafusion::functions::math::expr_fn::round;
use datafusion::logical_expr::expr::{Between, InList, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    BinaryExpr, Cast, Expr, ExprSchemable, LogicalPlan, Operator, TryCast, cast, lit,
};
use datafusion::optimizer::AnalyzerRule;

use super::checked::Operation;
use super::quotient::PRECISION;
use super::{quotient, zone};

/// The rule.
#[derive(Debug)]
pub(crate) struct Exact;

impl AnalyzerRule for Exact {
    fn name(&self) -> &str {
        "exact"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(rewritten).data()
    }
}

fn rewritten(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let schema = match &plan {
        LogicalPlan::TableScan(scan) => DFSchema::clone(&scan.projected_schema),
        other => merge_schema(&other.inputs()),
    };
    let names = NamePreserver::new(&plan);
    plan.map_expressions(|expr| {
        let name = names.save(&expr);
        expr.transform_up(|expr| expression(expr, &schema))
            .map(|expr| expr.update_data(|expr| name.restore(expr)))
    })?
    .map_data(LogicalPlan::recompute_schema)
}

fn expression(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match expr {
        Expr::BinaryExpr(binary) => operation(binary, schema),
        Expr::Negative(inner) if is_whole(&inner.get_type(schema)?) => {
            let negated = Operation::Subtract.on(lit(0_i64), long(*inner));
            Ok(Transformed::yes(negated))
        }
        Expr::Between(Between {
            expr,
            negated,
            low,
            high,
        }) => {
            let ty = expr.get_type(schema)?;
            let low = comparable(*low, &ty, schema)?;
            let high = comparable(*high, &ty, schema)?;
            Ok(Transformed::yes(Expr::Between(Between {
                expr,
                negated,
                low: Box::new(low),
                high: Box::new(high),
            })))
        }
        Expr::InList(InList {
            expr,
            list,
            negated,
        }) => {
            let ty = expr.get_type(schema)?;
            let list = list
                .into_iter()
                .map(|item| comparable(item, &ty, schema))
                .collect::<Result<_>>()?;
            Ok(Transformed::yes(Expr::InList(InList {
                expr,
                list,
                negated,
            })))
        }
        Expr::Cast(Cast { expr, data_type }) => Ok(Transformed::yes(Expr::Cast(Cast {
            expr: Box::new(whole(*expr, &data_type, schema)?),
            data_type: microseconds(data_type),
        }))),
        Expr::TryCast(TryCast { expr, data_type }) => {
            Ok(Transformed::yes(Expr::TryCast(TryCast {
                expr: Box::new(whole(*expr, &data_type, schema)?),
                data_type: microseconds(data_type),
            })))
        }
        Expr::ScalarFunction(function) => call(function, schema),
        // Counts take an unknown condition for a true one.
        Expr::AggregateFunction(mut aggregate) => {
            aggregate.params.filter = aggregate
                .params
                .filter
                .map(|filter| Box::new(filter.is_true()));
            Ok(Transformed::yes(Expr::AggregateFunction(aggregate)))
        }
        Expr::WindowFunction(mut window) => {
            window.params.filter = window
                .params
                .filter
                .map(|filter| Box::new(filter.is_true()));
            Ok(Transformed::yes(Expr::WindowFunction(window)))
        }
        other => Ok(Transformed::no(other)),
    }
}

/// A number that becomes a whole one is rounded half away from zero, as in Athena; DataFusion cuts off.
fn whole(expr: Expr, target: &DataType, schema: &DFSchema) -> Result<Expr> {
    let own = expr.get_type(schema)?;
    if is_whole(target) && (is_decimal(&own) || own.is_floating()) {
        return Ok(round(vec![expr]));
    }
    Ok(expr)
}

fn call(function: ScalarFunction, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match (function.name(), function.args.as_slice()) {
        // Of a list, DataFusion would count the characters of its text.
        ("character_length", [list]) if matches!(list.get_type(schema)?, DataType::List(_)) => {
            let length = datafusion::functions_nested::expr_fn::array_length(list.clone());
            Ok(Transformed::yes(length))
        }
        (zone::NAME, [time, Expr::Literal(ScalarValue::Utf8(Some(zone)), _)]) => {
            zone::converted(time.clone(), zone, schema).map(Transformed::yes)
        }
        (zone::NAME, _) => plan_err!(
            "AT TIME ZONE takes the name of a time zone, as in AT TIME ZONE 'Europe/Berlin'"
        ),
        _ => Ok(Transformed::no(Expr::ScalarFunction(function))),
    }
}

/// Nanoseconds of 64 bits end in the year 2262; the lake's instants do not.
fn microseconds(ty: DataType) -> DataType {
    match ty {
        DataType::Timestamp(TimeUnit::Nanosecond, zone) => {
            DataType::Timestamp(TimeUnit::Microsecond, zone)
        }
        other => other,
    }
}

fn is_whole(ty: &DataType) -> bool {
    ty.is_integer()
}

fn is_decimal(ty: &DataType) -> bool {
    matches!(ty, DataType::Decimal128(_, _) | DataType::Decimal256(_, _))
}

fn is_text(ty: &DataType) -> bool {
    matches!(
        ty,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    )
}

/// The left operand of 64 bits; one that has them stays as it is, so that a chain is seen.
fn whole_operand(expr: Expr, ty: &DataType) -> Expr {
    if *ty == DataType::Int64 {
        expr
    } else {
        long(expr)
    }
}

fn long(expr: Expr) -> Expr {
    cast(expr, DataType::Int64)
}

fn operation(binary: BinaryExpr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let BinaryExpr { left, op, right } = binary;
    let (left_type, right_type) = (left.get_type(schema)?, right.get_type(schema)?);
    let both = |is: fn(&DataType) -> bool| is(&left_type) && is(&right_type);
    if both(is_whole)
        && let Some(operation) = Operation::of(op)
    {
        let left = whole_operand(*left, &left_type);
        return Ok(Transformed::yes(operation.on(left, long(*right))));
    }
    match op {
        // A difference of days is their number, as in PostgreSQL and DuckDB.
        Operator::Minus if both(|ty| matches!(ty, DataType::Date32)) => {
            let days = |expr: Expr| long(cast(expr, DataType::Int32));
            let difference = Operation::Subtract.on(days(*left), days(*right));
            Ok(Transformed::yes(difference))
        }
        Operator::Divide if both(is_exact) && !both(is_whole) => {
            let (numerator, denominator) =
                (decimal(*left, &left_type), decimal(*right, &right_type));
            Ok(Transformed::yes(quotient::of(numerator, denominator)))
        }
        Operator::Divide | Operator::Modulo if right_type.is_numeric() => {
            // As in the marts: a rate of nothing is null.
            let zero = ScalarValue::new_zero(&right_type)?;
            Ok(Transformed::yes(binary_of(
                *left,
                op,
                nullif(*right, Expr::Literal(zero, None)),
            )))
        }
        op if op.supports_propagation() => {
            let left_new = comparable(*left, &right_type, schema)?;
            let right_new = comparable(*right, &left_type, schema)?;
            Ok(Transformed::yes(binary_of(left_new, op, right_new)))
        }
        _ => Ok(Transformed::no(binary_of(*left, op, *right))),
    }
}

fn binary_of(left: Expr, op: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}

fn is_exact(ty: &DataType) -> bool {
    is_whole(ty) || matches!(ty, DataType::Decimal128(_, _))
}

/// A whole number or a decimal of 128 bits as such a decimal.
fn decimal(expr: Expr, ty: &DataType) -> Expr {
    if is_whole(ty) {
        cast(expr, DataType::Decimal128(20, 0))
    } else {
        expr
    }
}

/// An operand of a comparison with a value of another type.
fn comparable(operand: Expr, other: &DataType, schema: &DFSchema) -> Result<Expr> {
    let own = operand.get_type(schema)?;
    if other.is_numeric() && is_text(&own) {
        return number(operand);
    }
    if matches!(other, DataType::Duration(_)) && matches!(own, DataType::Interval(_)) {
        return duration(operand);
    }
    Ok(operand)
}

/// A text that is compared with a number: DataFusion would compare both as texts.
fn number(operand: Expr) -> Result<Expr> {
    let Expr::Literal(value, _) = &operand else {
        return plan_err!(
            "{operand} is a text, and it is compared with a number: write CAST({operand} AS DECIMAL(18, 2)) or another type"
        );
    };
    let text = match value.try_as_str() {
        Some(Some(text)) => text.trim().to_owned(),
        _ => return Ok(lit(ScalarValue::Null)),
    };
    let digits = text.trim_start_matches(['-', '+']);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_plain = !(whole.is_empty() && fraction.is_empty())
        && whole
            .chars()
            .chain(fraction.chars())
            .all(|c| c.is_ascii_digit())
        && text.len() - digits.len() <= 1;
    let count = whole.len() + fraction.len();
    match (u8::try_from(count), i8::try_from(fraction.len())) {
        (Ok(precision), Ok(scale)) if is_plain && precision <= PRECISION => Ok(cast(
            lit(text),
            DataType::Decimal128(precision.max(1), scale),
        )),
        _ => match text.parse::<f64>() {
            Ok(number) => Ok(lit(number)),
            Err(_) => plan_err!("'{text}' is not a number, and it is compared with one"),
        },
    }
}

/// An interval that is compared with a difference of times: DataFusion would compare other units.
fn duration(operand: Expr) -> Result<Expr> {
    const DAY: i64 = 86_400_000_000;
    let Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), _) = &operand else {
        return plan_err!(
            "a difference of times is compared with an interval that is not constant: compare their seconds"
        );
    };
    if interval.months != 0 {
        return plan_err!(
            "months have no fixed length: compare a difference of times with days, as in INTERVAL '30 days'"
        );
    }
    let micros = i64::from(interval.days)
        .checked_mul(DAY)
        .and_then(|days| days.checked_add(interval.nanoseconds / 1_000));
    match micros {
        Some(micros) => Ok(lit(ScalarValue::DurationMicrosecond(Some(micros)))),
        None => plan_err!("the interval is too long"),
    }
}
