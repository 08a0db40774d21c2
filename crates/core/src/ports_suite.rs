//! What every implementation of the ports must do, as tests that any of them can run.
//!
//! Each test takes the port and uses names of its own, so a store that others use can be tested. It
//! returns what it found wrong. A test harness lists them:
//!
//! ```ignore
//! #[tokio::test]
//! async fn put_if_absent_keeps_what_is_there() {
//!     ports_suite::objects::put_if_absent_keeps_what_is_there(store()).await.unwrap()
//! }
//! ```

pub mod catalog;
pub mod ledger;
pub mod objects;

use std::fmt::Debug;

use uuid::Uuid;

use crate::error::{Error, ErrorKind};

/// What a test found: nothing wrong, or a sentence that says what.
pub type Verdict = Result<(), String>;

fn unique(what: &str) -> String {
    format!("{what}{}", Uuid::new_v4().simple())
}

fn done<T>(result: Result<T, Error>, doing: &str) -> Result<T, String> {
    result.map_err(|error| format!("{doing}: {error}"))
}

fn same<T: PartialEq + Debug>(found: T, expected: T, what: &str) -> Verdict {
    if found == expected {
        Ok(())
    } else {
        Err(format!("{what}: found {found:?}, expected {expected:?}"))
    }
}

fn holds(condition: bool, what: &str) -> Verdict {
    if condition {
        Ok(())
    } else {
        Err(format!("this does not hold: {what}"))
    }
}

fn fails<T: Debug>(result: Result<T, Error>, kind: ErrorKind, doing: &str) -> Verdict {
    match result {
        Ok(value) => Err(format!(
            "{doing}: succeeded with {value:?}, expected an error of kind {}",
            kind.as_str()
        )),
        Err(error) => same(
            error.kind(),
            kind,
            &format!("{doing}: kind of the error `{error}`"),
        ),
    }
}
