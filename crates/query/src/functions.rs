//! Unknown functions are refused before planning, with the nearest name and the place.

use std::ops::ControlFlow;

use datafusion::execution::SessionState;
use datafusion::sql::sqlparser::ast::{Expr, Spanned, Statement, Visit, Visitor};
use tarn_core::{Error, ErrorKind, Result};

use crate::dialect::hint;
use crate::names::suggestion;

/// Refuses functions that the session does not have.
pub(crate) fn check(state: &SessionState, statement: &Statement) -> Result<()> {
    match statement.visit(&mut Unknown { state }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Unknown<'a> {
    state: &'a SessionState,
}

impl Visitor for Unknown<'_> {
    type Break = Error;

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Error> {
        let Expr::Function(function) = expr else {
            return ControlFlow::Continue(());
        };
        let name = function.name.to_string().to_lowercase();
        let state = self.state;
        // The planner knows this one by itself.
        if name == "unnest"
            || name == "grouping"
            || state.scalar_functions().contains_key(&name)
            || state.aggregate_functions().contains_key(&name)
            || state.window_functions().contains_key(&name)
        {
            return ControlFlow::Continue(());
        }
        let known = state
            .scalar_functions()
            .keys()
            .chain(state.aggregate_functions().keys())
            .chain(state.window_functions().keys())
            .map(String::as_str);
        let start = function.name.span().start;
        let help = match hint(&name) {
            Some(hint) => format!("; write {hint}"),
            None => suggestion(&name, known),
        };
        ControlFlow::Break(Error::new(
            ErrorKind::BadRequest,
            format!(
                "there is no function {name}, line {}, column {}{help}",
                start.line, start.column
            ),
        ))
    }
}
