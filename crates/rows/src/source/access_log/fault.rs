//! Why a line of an access log is not a row.

use std::borrow::Cow;

use crate::reason::Reason;

/// Why a line is not a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// The column that could not be read.
    pub(super) field: &'static str,
    expected: Cow<'static, str>,
    /// The beginning of what was found.
    found: String,
}

/// A fault: the field, what was expected, and what was found.
#[cold]
#[inline(never)]
pub(super) fn fault(
    field: &'static str,
    expected: impl Into<Cow<'static, str>>,
    found: &[u8],
) -> Fault {
    const SHOWN: usize = 48;
    let found = match found {
        [] => "nothing".to_owned(),
        _ if found.len() > SHOWN => format!("`{}…`", found[..SHOWN].escape_ascii()),
        _ => format!("`{}`", found.escape_ascii()),
    };
    Fault {
        field,
        expected: expected.into(),
        found,
    }
}

impl From<Fault> for Reason {
    fn from(fault: Fault) -> Self {
        Reason::mismatch(fault.expected, fault.found).at(fault.field)
    }
}
