//! The one error type of the lake: what stops a run, as opposed to a bad row, which is data.

use std::error::Error as StdError;
use std::fmt;

/// What kind of thing went wrong, for programs that decide what to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The source object cannot be read as what its contract says it is.
    BadSource,
    /// A contract or a setting is wrong.
    BadContract,
    /// A rule of a contract that stops a run was broken: nothing was committed.
    Quality,
    /// A request by a user is wrong: an unknown table, SQL that is not a query.
    BadRequest,
    /// The named thing does not exist.
    NotFound,
    /// Somebody else changed the same thing first.
    Conflict,
    /// Storage or a service did not answer as it should.
    Storage,
    /// A file of the lake does not have the content that was written; nothing is answered from it.
    Damaged,
    /// What is asked for is legitimate but not supported.
    Unsupported,
    /// A fault of Tarn itself.
    Internal,
}

impl ErrorKind {
    /// A stable name, as used in run records and HTTP answers.
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorKind::BadSource => "bad_source",
            ErrorKind::BadContract => "bad_contract",
            ErrorKind::Quality => "quality",
            ErrorKind::BadRequest => "bad_request",
            ErrorKind::NotFound => "not_found",
            ErrorKind::Conflict => "conflict",
            ErrorKind::Storage => "storage",
            ErrorKind::Damaged => "damaged",
            ErrorKind::Unsupported => "unsupported",
            ErrorKind::Internal => "internal",
        }
    }
}

/// An error with what was being done, and whether a retry of the same call can help.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    context: Vec<String>,
    retryable: bool,
    source: Option<Box<dyn StdError + Send + Sync + 'static>>,
}

/// The result of everything in the lake that can stop a run.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `kind` that a retry does not fix.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error {
            kind,
            message: message.into(),
            context: Vec::new(),
            // After a lost race the caller reads again; other errors say themselves whether a retry
            // helps.
            retryable: kind == ErrorKind::Conflict,
            source: None,
        }
    }

    /// A fault of Tarn itself: an invariant that does not hold.
    pub fn internal(message: impl Into<String>) -> Self {
        Error::new(ErrorKind::Internal, message)
    }

    /// Attaches the error that caused this one.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Says that the same call may succeed later.
    #[must_use]
    pub fn retryable(mut self, retryable: bool) -> Self {
        self.retryable = retryable;
        self
    }

    /// Adds what was being done; the outermost context is added last and printed first.
    #[must_use]
    pub fn context(mut self, context: impl Into<String>) -> Self {
        self.context.push(context.into());
        self
    }

    /// What kind of error this is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the same call may succeed later.
    pub fn is_retryable(&self) -> bool {
        self.retryable
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for context in self.context.iter().rev() {
            write!(f, "{context}: ")?;
        }
        f.write_str(&self.message)?;
        let mut source: Option<&(dyn StdError + 'static)> = self
            .source
            .as_ref()
            .map(|source| source.as_ref() as &(dyn StdError + 'static));
        let mut shown = self.message.clone();
        while let Some(error) = source {
            let text = error.to_string();
            // Many libraries repeat their cause in their own text.
            if !shown.contains(&text) {
                write!(f, ": {text}")?;
                shown = text;
            }
            source = error.source();
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source
            .as_ref()
            .map(|source| source.as_ref() as &(dyn StdError + 'static))
    }
}

/// Adds context to a result of the lake.
pub trait ResultExt<T> {
    /// Adds what was being done to the error.
    fn context(self, context: impl FnOnce() -> String) -> Result<T>;
}

impl<T> ResultExt<T> for Result<T> {
    fn context(self, context: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| error.context(context()))
    }
}
