//! What SQL answers, judged by DuckDB on the same files. The statements are those of the reference page.

use serde_json::{Value, json};

use crate::files::python;
use crate::lake::{Lake, binary, lines, root};
use crate::serve::Server;

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

#[test]
#[ignore = "needs DuckDB and pyiceberg: cargo xtask test runs it"]
fn every_version_has_the_same_rows_for_all_engines_by_conditions_on_every_column() {
    let lake = Lake::new();
    lake.ok(&["demo", "--days", "3", "--scale", "0.1"]);
    let server = Server::start(&lake);
    let arguments = [
        binary().display().to_string(),
        lake.path().display().to_string(),
        server.address.clone(),
    ];
    let found = python("versions.py", &arguments.each_ref().map(String::as_str));
    let found: Value = serde_json::from_str(&found).unwrap();
    assert_eq!(found["differences"], json!([]), "{found}");
    assert!(found["versions"].as_u64().unwrap() > 20, "{found}");
    assert!(found["conditions"].as_u64().unwrap() > 1_000, "{found}");
}

#[test]
fn a_day_of_many_is_read_from_its_own_files() {
    let lake = Lake::new();
    for day in 1..=4 {
        let lines: String = (0..50)
            .map(|n| {
                format!(
                    "127.0.0.1 - - [{day:02}/Jan/2026:10:00:{n:02} +0000] \"GET /{n} HTTP/1.1\" 200 {n}\n"
                )
            })
            .collect();
        let log = lake.file(&format!("access-{day}.log"), lines);
        lake.ingest(&[&log]);
    }
    let server = Server::start(&lake);
    let ask = |condition: &str| {
        let sql = format!("SELECT COUNT(*) AS n FROM web_requests WHERE {condition}");
        let (status, answer) =
            server.json("POST", "/query", Some(&json!({ "sql": sql }).to_string()));
        assert_eq!(status, 200, "{answer}");
        let scanned = &answer["scanned"];
        let number = |name: &str| scanned[name].as_u64().unwrap();
        assert_eq!(
            number("files"),
            number("files_pruned") + number("files_read")
        );
        (
            answer["rows"][0]["n"].as_u64().unwrap(),
            number("files"),
            number("files_read"),
        )
    };
    let day = "event_time >= '2026-01-02' AND event_time < '2026-01-03'";
    assert_eq!(ask(day), (50, 4, 1));
    // A condition that bounds cannot judge does not prevent the other.
    assert_eq!(ask(&format!("{day} AND path LIKE '/4%'")), (11, 4, 1));
    assert_eq!(ask("event_time < '2026-01-01'"), (0, 4, 0));
    assert_eq!(ask("CAST(event_time AS DATE) = '2026-01-03'"), (50, 4, 1));
    assert_eq!(ask("status = 404"), (0, 4, 0));
    let plan = lake.ok(&[
        "query",
        "--format",
        "csv",
        &format!("EXPLAIN SELECT path FROM web_requests WHERE {day}"),
    ]);
    assert!(
        plan.contains("Files: 3 of 4 left out by their bounds, 1 to read"),
        "{plan}"
    );
}
