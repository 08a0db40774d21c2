//! The dependency rules: which crate may name what.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use crate::lake::root;

fn metadata() -> Value {
    let output = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()))
        // Packages for other systems may have to be fetched for it.
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Members and what each names in its manifest, build and test dependencies included.
fn members(metadata: &Value) -> Vec<(String, BTreeSet<String>)> {
    let ids: BTreeSet<&str> = metadata["workspace_members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|id| id.as_str().unwrap())
        .collect();
    metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|package| ids.contains(package["id"].as_str().unwrap()))
        .map(|package| {
            let dependencies = package["dependencies"].as_array().unwrap();
            let names = dependencies
                .iter()
                .map(|dependency| dependency["name"].as_str().unwrap().to_owned());
            (
                package["name"].as_str().unwrap().to_owned(),
                names.collect(),
            )
        })
        .collect()
}

#[test]
fn heavy_dependencies_are_named_by_one_crate_each() {
    let metadata = metadata();
    for (member, names) in members(&metadata) {
        for name in names {
            let owner = if name == "polars" || name.starts_with("polars-") {
                "tarn-engine"
            } else if name == "iceberg" || name == "parquet" {
                "tarn-table"
            } else if name.starts_with("aws-") {
                "tarn-aws"
            } else {
                continue;
            };
            assert_eq!(member, owner, "{member} names {name}");
        }
    }
}

#[test]
fn the_libraries_depend_on_one_another_through_core_alone() {
    let libraries = ["tarn-core", "tarn-engine", "tarn-table", "tarn-local"];
    for (member, names) in members(&metadata()) {
        if !libraries.contains(&member.as_str()) {
            continue;
        }
        for name in names.iter().filter(|name| name.starts_with("tarn-")) {
            assert_eq!(name, "tarn-core", "{member} depends on {name}");
        }
        if member == "tarn-core" {
            for heavy in ["tokio", "polars", "iceberg", "rusqlite"] {
                assert!(!names.contains(heavy), "tarn-core names {heavy}");
            }
        }
    }
}

#[test]
fn versions_and_features_live_in_the_root_manifest_alone() {
    for (member, _) in members(&metadata()) {
        let folder = match member.as_str() {
            "tarn" => "functions/tarn".to_owned(),
            "xtask" => "xtask".to_owned(),
            "tarn-tests" => "tests".to_owned(),
            name => {
                let name = name.strip_prefix("tarn-").unwrap();
                let in_crates = format!("crates/{name}");
                if root().join(&in_crates).exists() {
                    in_crates
                } else {
                    format!("functions/{name}")
                }
            }
        };
        let manifest = std::fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
        let dependencies = manifest.split("ependencies]").skip(1).flat_map(str::lines);
        for line in dependencies.take_while(|line| !line.starts_with("[[")) {
            let line = line.trim();
            assert!(
                line.is_empty()
                    || line.starts_with('[')
                    || line.starts_with('#')
                    || line.ends_with(".workspace = true"),
                "{member}: {line}"
            );
        }
    }
}

/// With any of these, SQL gets table functions that read any file and any URL.
#[test]
fn sql_has_no_table_functions_that_read_files() {
    let metadata = metadata();
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let sql = nodes
        .iter()
        .find(|node| node["id"].as_str().unwrap().contains("polars-sql@"))
        .unwrap();
    for feature in sql["features"].as_array().unwrap() {
        assert!(
            !["csv", "parquet", "json", "ipc"].contains(&feature.as_str().unwrap()),
            "{feature}"
        );
    }
}
