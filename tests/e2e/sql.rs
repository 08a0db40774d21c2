//! What SQL answers, judged by DuckDB on the same files. The statements are those of the reference page.

use serde_json::Value;

use crate::files::python;
use crate::lake::{Lake, binary, lines, root};

/// The reference page lists at most this many.
const MOST_DIFFERENCES: usize = 10;

fn statements() -> Vec<Value> {
    let text = std::fs::read_to_string(root().join("tests/sql/statements.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
#[ignore = "needs DuckDB and pyiceberg: cargo xtask test runs it"]
fn statements_answer_as_duckdb_does_or_as_the_reference_says() {
    let lake = Lake::new();
    lake.ok(&["demo", "--days", "5", "--scale", "0.3"]);
    let path = root().join("tests/sql/statements.json");
    let arguments = [
        binary().display().to_string(),
        lake.path().display().to_string(),
        path.display().to_string(),
    ];
    let judged = lines(&python(
        "duckdb_statements.py",
        &arguments.each_ref().map(String::as_str),
    ));
    let statements = statements();
    assert_eq!(judged.len(), statements.len());
    let mut wrong = Vec::new();
    for (statement, found) in statements.iter().zip(&judged) {
        let error = found["error"].as_str();
        let is_right = match (statement["refused"].as_str(), statement["differs"].as_str()) {
            (Some(part), _) => error.is_some_and(|error| error.contains(part)),
            (None, Some(_)) => error.is_none() && found["same"] == false,
            (None, None) => found["same"] == true,
        };
        if !is_right {
            wrong.push(found.to_string());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let differences = statements
        .iter()
        .filter(|statement| statement["differs"].is_string())
        .count();
    assert!(differences <= MOST_DIFFERENCES);
}
