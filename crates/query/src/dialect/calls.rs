//! Calls of functions.

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Value,
};
use tarn_core::Result;

use super::refuse;
use super::templates::{DIFFERENCES, EXTREMES, FUNCTIONS, parse, parsed, places};

/// The arguments of a call; None where they are not plain expressions.
pub(super) fn arguments(function: &Function) -> Option<Vec<Expr>> {
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    list.args
        .iter()
        .map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
            _ => None,
        })
        .collect()
}

pub(super) fn text_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text),
            _ => None,
        },
        Expr::Identifier(ident) => Some(&ident.value),
        _ => None,
    }
}

pub(super) fn call(function: &Function) -> Result<Option<Expr>> {
    let name = function.name.to_string().to_lowercase();
    let Some(arguments) = arguments(function) else {
        return Ok(None);
    };
    if let Some((_, template)) = EXTREMES.iter().find(|(known, _)| *known == name) {
        let [_, _] = arguments.as_slice() else {
            return Err(refuse(format!("{name} takes two columns")));
        };
        if function.over.is_some() || function.filter.is_some() {
            return Err(refuse(format!(
                "{name} over a window or with FILTER is not supported; write first_value(… ORDER BY …)"
            )));
        }
        return places(parsed(template)?, &arguments, None).map(Some);
    }
    if (name == "date_add" && arguments.len() != 2) || name == "dateadd" {
        return added(&name, &arguments).map(Some);
    }
    if let ("date_diff" | "datediff", [unit, from, to]) = (name.as_str(), arguments.as_slice()) {
        let wanted = text_of(unit).map(str::to_lowercase).unwrap_or_default();
        let found = DIFFERENCES.iter().find(|(unit, _)| *unit == wanted);
        let Some((_, template)) = found else {
            let units: Vec<&str> = DIFFERENCES.iter().map(|(unit, _)| *unit).collect();
            return Err(refuse(format!(
                "{name} takes one of the units '{}'",
                units.join("', '")
            )));
        };
        return filled(template, &[from.clone(), to.clone()], function).map(Some);
    }
    let found = FUNCTIONS
        .iter()
        .find(|(known, count, _)| *known == name && *count == arguments.len());
    match found {
        Some((_, _, template)) => filled(template, &arguments, function).map(Some),
        None => Ok(None),
    }
}

/// Athena's `date_add('day', 7, time)`.
pub(super) fn added(name: &str, arguments: &[Expr]) -> Result<Expr> {
    let wrong = || {
        refuse(format!(
            "{name} takes a unit, a constant whole number and a time, as in {name}('day', 7, order_time); or write \
             order_time + INTERVAL '7 days'"
        ))
    };
    let [unit, number, time] = arguments else {
        return Err(wrong());
    };
    let (unit, number) = (text_of(unit).ok_or_else(wrong)?, number.to_string());
    let number: i64 = number.replace(' ', "").parse().map_err(|_| wrong())?;
    if !unit.chars().all(|c| c.is_ascii_alphabetic()) {
        return Err(wrong());
    }
    let template = parse(&format!("($1) + INTERVAL '{number} {unit}'"))?;
    places(template, std::slice::from_ref(time), None)
}

/// A template with its arguments, and with the FILTER and OVER of the call.
pub(super) fn filled(
    template: &'static str,
    arguments: &[Expr],
    function: &Function,
) -> Result<Expr> {
    let mut expr = places(parsed(template)?, arguments, None)?;
    if let Expr::Function(new) = &mut expr {
        new.filter.clone_from(&function.filter);
        new.over.clone_from(&function.over);
        new.within_group.clone_from(&function.within_group);
        if let (FunctionArguments::List(new), FunctionArguments::List(old)) =
            (&mut new.args, &function.args)
        {
            new.duplicate_treatment = old.duplicate_treatment;
            new.clauses.clone_from(&old.clauses);
        }
        return Ok(expr);
    }
    if function.filter.is_some() || function.over.is_some() {
        return Err(refuse(format!(
            "{} is not an aggregate: it takes neither FILTER nor OVER",
            function.name
        )));
    }
    Ok(Expr::Nested(Box::new(expr)))
}
