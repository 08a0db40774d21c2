//! The same inputs into a lake in a folder: the tables must have the same contents.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::deployment::{Deployment, required, root, succeed, wait_for};
use crate::inputs::Shop;

/// Columns that say when and how a row arrived rather than what it is.
const OF_THE_ARRIVAL: [&str; 2] = ["arrived_at", "lateness_seconds"];

const ZONES: [&str; 3] = ["curated", "analytics", "quality"];

pub fn contents_equal_those_of_a_folder(lake: &Deployment, shop: &Shop, stream: &Path) {
    let folder = lake.scratch().join("twin");
    let tarn = |args: &[&str]| {
        let mut command = Command::new(required("TARN_BIN"));
        command
            .env_remove("TARN_LAKE")
            .env_remove("TARN_CONTRACTS")
            .args(["--quiet", "--lake"])
            .arg(&folder)
            .args(args);
        command
    };
    take_the_keys(lake, &folder);
    for (source, path) in &shop.files {
        succeed(tarn(&["ingest", "--to", source]).arg(path));
    }
    // Some of the events are broken, which is not a failure.
    succeed(tarn(&["stream"]).arg(stream));
    succeed(&mut tarn(&["marts"]));

    let mut folder_tables = serde_json::Map::new();
    for line in succeed(&mut tarn(&["--json", "tables"])).lines() {
        let table: Value = serde_json::from_str(line).unwrap();
        folder_tables.insert(
            table["table"].as_str().unwrap().to_owned(),
            table["metadata_location"].clone(),
        );
    }
    assert!(folder_tables.len() >= 12, "{folder_tables:?}");
    let zones: serde_json::Map<String, Value> = ZONES
        .iter()
        .map(|zone| {
            let database = lake.output(&format!("{zone}_database"));
            ((*zone).to_owned(), json!(database))
        })
        .collect();
    let request = json!({
        "endpoint": lake.emulator.endpoint,
        "region": lake.output("region"),
        "zones": zones,
        "folder": folder_tables,
        "ignored": OF_THE_ARRIVAL,
    });

    // Marts follow their tables after a while.
    let found = wait_for("the contents of the folder's tables", 300, || {
        let found = compare(&request);
        let different: Vec<_> = found
            .as_object()
            .unwrap()
            .iter()
            .filter(|(_, table)| table["different"] != json!(null))
            .collect();
        if different.is_empty() {
            Ok(found.clone())
        } else {
            Err(format!("{different:#?}"))
        }
    });
    the_api_agrees_with_pyiceberg(lake, &found);
    columns_and_comments_are_those_of_the_contracts(lake);
}

/// As Glue shows them, and with it Athena.
fn columns_and_comments_are_those_of_the_contracts(lake: &Deployment) {
    let request = json!({
        "contracts": root().join("contracts"),
        "glue": {
            "endpoint": lake.emulator.endpoint,
            "region": lake.output("region"),
            "database": lake.output("curated_database"),
        },
    });
    let answer = succeed(
        Command::new(required("TARN_PYTHON"))
            .arg(root().join("tests/readers/contract_schema.py"))
            .arg(request.to_string()),
    );
    let found: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(found["different"], json!([]));
    assert_eq!(found["compared"].as_object().unwrap().len(), 9, "{found}");
}

/// Gives a lake in a folder the keys of the deployed one: the same people have the same pseudonyms.
fn take_the_keys(lake: &Deployment, folder: &Path) {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let secret = lake.output("pseudonym_secret");
    let value = lake.aws_ok(&["secretsmanager", "get-secret-value", "--secret-id", secret]);
    let keys = folder.join(".tarn/keys");
    std::fs::create_dir_all(&keys).unwrap();
    let mut file = std::fs::OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(keys.join("pseudonym.json"))
        .unwrap();
    file.write_all(value["SecretString"].as_str().unwrap().as_bytes())
        .unwrap();
}

/// Reads all tables by pyiceberg: those of the deployed lake through its Glue catalog.
fn compare(request: &Value) -> Value {
    let answer = succeed(
        Command::new(required("TARN_PYTHON"))
            .arg(root().join("tests/aws/readers/glue_tables.py"))
            .arg(request.to_string()),
    );
    serde_json::from_str(&answer).unwrap()
}

/// Rows, and values that are not null in every column.
fn the_api_agrees_with_pyiceberg(lake: &Deployment, tables: &Value) {
    for (name, table) in tables.as_object().unwrap() {
        let present = table["present"].as_object().unwrap();
        let counts: Vec<String> = present
            .keys()
            .map(|column| format!("COUNT({column}) AS {column}"))
            .collect();
        let rows = lake
            .query(&format!(
                "SELECT COUNT(*) AS number_of_rows, {} FROM {name}",
                counts.join(", ")
            ))
            .unwrap();
        let mut expected = present.clone();
        expected.insert("number_of_rows".into(), table["rows"].clone());
        assert_eq!(rows, [Value::Object(expected)], "{name}");
    }
}
