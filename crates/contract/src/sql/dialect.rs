//! The syntax of queries, and a bound on the work of reading one.

use std::any::TypeId;
use std::cell::Cell;

use sqlparser::ast::Expr;
use sqlparser::dialect::{Dialect, GenericDialect};
use sqlparser::parser::{Parser, ParserError};

/// What is left of the stack where reading ends: not every construct counts its levels.
const LEAST_STACK: usize = 4 * 1024 * 1024;

/// The parser goes back where a construct cannot be read, and reads the same text as something else. Within
/// nested constructs this doubles with each level, so the beginnings of expressions are counted.
#[derive(Debug)]
pub(super) struct Bounded {
    left: Cell<usize>,
}

impl Bounded {
    /// For a statement of this many tokens.
    pub(super) fn new(tokens: usize) -> Self {
        Bounded {
            left: Cell::new(tokens.saturating_mul(20).saturating_add(10_000)),
        }
    }
}

/// Syntax that is read; where it is not supported, it is refused with what to write instead.
macro_rules! with_syntax {
    ($($feature:ident,)*) => {
        impl Dialect for Bounded {
            $(fn $feature(&self) -> bool {
                true
            })*

            fn dialect(&self) -> TypeId {
                TypeId::of::<GenericDialect>()
            }

            fn is_delimited_identifier_start(&self, ch: char) -> bool {
                matches!(ch, '"' | '`')
            }

            fn is_identifier_start(&self, ch: char) -> bool {
                ch.is_alphabetic() || ch == '_'
            }

            fn is_identifier_part(&self, ch: char) -> bool {
                ch.is_alphanumeric() || matches!(ch, '_' | '$')
            }

            fn parse_prefix(&self, _: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
                let is_deep = stacker::remaining_stack().is_some_and(|left| left < LEAST_STACK);
                match self.left.get().checked_sub(1) {
                    Some(left) if !is_deep => {
                        self.left.set(left);
                        None
                    }
                    // This one error ends reading at once.
                    _ => Some(Err(ParserError::RecursionLimitExceeded)),
                }
            }
        }
    };
}

with_syntax! {
        supports_unicode_string_literal,
        supports_group_by_expr,
    supports_order_by_all,
        supports_group_by_with_modifier,
        supports_left_associative_joins_without_parens,
        supports_window_function_null_treatment_arg,
        supports_dictionary_syntax,
        supports_window_clause_named_window_reference,
        support_map_literal_syntax,
        allow_extract_custom,
        allow_extract_single_quotes,
        supports_extract_comma_syntax,
        supports_parens_around_table_factor,
        supports_values_as_table_factor,
        supports_explain_with_utility_options,
        supports_from_first_select,
        supports_projection_trailing_commas,
        supports_bitwise_shift_operators,
        supports_struct_literal,
        supports_nested_comments,
        supports_string_escape_constant,
        supports_array_typedef_with_brackets,
        supports_filter_during_aggregation,
        supports_select_wildcard_except,
        supports_select_wildcard_exclude,
        supports_select_wildcard_ilike,
        supports_select_wildcard_replace,
        supports_select_wildcard_rename,
        supports_interval_options,
        supports_prewhere,
        supports_with_fill,
        supports_limit_by,
        supports_interpolate,
        supports_settings,
        supports_select_format,
        supports_pipe_operator,
        supports_connect_by,
}
