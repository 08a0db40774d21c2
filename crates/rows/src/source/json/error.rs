//! What is wrong with a JSON text.

use std::fmt;

/// How many levels deep a value may hold others; deeper ones are refused.
pub(crate) const DEPTH_LIMIT: u32 = 128;

/// What is wrong with a JSON text, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonError {
    /// What is wrong.
    pub fault: Fault,
    /// The byte at which it shows, counted from 0 in the text given to the cursor.
    pub at: usize,
}

/// What is wrong with a JSON text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The text ends inside a value.
    UnexpectedEnd,
    /// Something else was expected.
    Expected(&'static str),
    /// A control character inside a string, where only its escape is allowed.
    ControlCharacter,
    /// An escape that JSON does not know.
    BadEscape,
    /// Half of a surrogate pair, which stands for no character.
    LoneSurrogate,
    /// Not a number by JSON's grammar.
    BadNumber,
    /// More levels than [`DEPTH_LIMIT`].
    TooDeep,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fault {
            Fault::UnexpectedEnd => write!(f, "the text ends unexpectedly")?,
            Fault::Expected(what) => write!(f, "expected {what}")?,
            Fault::ControlCharacter => write!(f, "control character in a string")?,
            Fault::BadEscape => write!(f, "unknown escape in a string")?,
            Fault::LoneSurrogate => write!(f, "half of a surrogate pair in a string")?,
            Fault::BadNumber => write!(f, "malformed number")?,
            Fault::TooDeep => write!(f, "nested more than {DEPTH_LIMIT} levels deep")?,
        }
        write!(f, " at byte {}", self.at)
    }
}

/// The result of reading JSON.
pub(crate) type Result<T, E = JsonError> = std::result::Result<T, E>;
