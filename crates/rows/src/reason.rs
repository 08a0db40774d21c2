//! Why a value or a row is rejected. It stays a structure until it is stored or shown, so that what the source
//! holds can be withheld without a look into a text.

use std::borrow::Cow;
use std::fmt;

/// Why a value or a row is rejected. One word, which costs nothing where all is well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason(Box<Parts>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Parts {
    /// The part of the row that is wrong.
    place: Option<&'static str>,
    what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    /// The only form that quotes the source.
    Mismatch {
        expected: Cow<'static, str>,
        found: Found,
    },
    Other(Cow<'static, str>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    Quoted(Cow<'static, str>),
    Withheld,
}

impl Reason {
    /// Something else was found than what was expected. Only `found` may quote the source.
    #[cold]
    pub fn mismatch(
        expected: impl Into<Cow<'static, str>>,
        found: impl Into<Cow<'static, str>>,
    ) -> Self {
        Reason::of(What::Mismatch {
            expected: expected.into(),
            found: Found::Quoted(found.into()),
        })
    }

    /// A key that an object has twice.
    #[cold]
    pub(crate) fn repeated_key(key: &str) -> Self {
        Reason::mismatch("each key once", format!("\"{key}\" again"))
    }

    fn of(what: What) -> Self {
        Reason(Box::new(Parts { place: None, what }))
    }

    /// The same reason, with the part of the row that it is about.
    #[must_use]
    pub(crate) fn at(mut self, place: &'static str) -> Self {
        self.0.place = Some(place);
        self
    }

    /// From now on the reason does not show what was found.
    pub(crate) fn withhold(&mut self) {
        if let What::Mismatch { found, .. } = &mut self.0.what {
            *found = Found::Withheld;
        }
    }
}

impl From<String> for Reason {
    fn from(text: String) -> Self {
        Reason::of(What::Other(text.into()))
    }
}

impl From<&'static str> for Reason {
    fn from(text: &'static str) -> Self {
        Reason::of(What::Other(text.into()))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = self.0.place {
            write!(f, "{place}: ")?;
        }
        match &self.0.what {
            What::Mismatch {
                expected,
                found: Found::Quoted(found),
            } => write!(f, "expected {expected}, found {found}"),
            What::Mismatch {
                expected,
                found: Found::Withheld,
            } => write!(
                f,
                "expected {expected}, found something else, which is withheld"
            ),
            What::Other(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_shows_what_was_found_unless_it_is_withheld() {
        let mut reason = Reason::mismatch("a text", "the text \"ann, found here\"");
        assert_eq!(
            reason.to_string(),
            "expected a text, found the text \"ann, found here\""
        );
        reason.withhold();
        assert_eq!(
            reason.clone().at("name").to_string(),
            "name: expected a text, found something else, which is withheld"
        );
        let mut other = Reason::from("the post has no id");
        other.withhold();
        assert_eq!(other.to_string(), "the post has no id");
    }
}
