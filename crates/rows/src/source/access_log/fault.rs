//! Why a line of an access log is no row.

/// Why a line is no row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The column that could not be read.
    pub field: &'static str,
    /// The field, what was expected and what was found.
    pub reason: String,
}

/// A fault: the field, what was expected, and the beginning of what was found.
#[cold]
#[inline(never)]
pub fn fault(field: &'static str, expected: &str, found: &[u8]) -> Fault {
    const SHOWN: usize = 48;
    let found = match found {
        [] => "nothing".to_owned(),
        _ if found.len() > SHOWN => format!("`{}…`", found[..SHOWN].escape_ascii()),
        _ => format!("`{}`", found.escape_ascii()),
    };
    Fault {
        field,
        reason: format!("{field}: expected {expected}, found {found}"),
    }
}
