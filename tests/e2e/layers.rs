//! Rules about dependencies.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use crate::lake::root;

pub fn metadata() -> Value {
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
fn versions_and_features_live_in_the_root_manifest_alone() {
    let metadata = metadata();
    for (member, _) in members(&metadata) {
        let package = metadata["packages"]
            .as_array()
            .unwrap()
            .iter()
            .find(|package| package["name"] == member.as_str())
            .unwrap();
        let manifest = std::fs::read_to_string(package["manifest_path"].as_str().unwrap()).unwrap();
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

/// The compiler then warns of a dependency that nothing uses, and a warning fails the tests.
#[test]
fn each_crate_asks_for_a_warning_of_unused_dependencies() {
    const LINT: &str = "#![cfg_attr(not(test), warn(unused_crate_dependencies))]";
    let metadata = metadata();
    for (member, _) in members(&metadata)
        .iter()
        .filter(|(name, _)| name != "tarn-tests")
    {
        let packages = metadata["packages"].as_array().unwrap();
        let package = packages
            .iter()
            .find(|package| package["name"] == member.as_str())
            .unwrap();
        for target in package["targets"].as_array().unwrap() {
            if target["kind"][0] == "lib" || target["kind"][0] == "bin" {
                let root = std::fs::read_to_string(target["src_path"].as_str().unwrap()).unwrap();
                assert!(root.contains(LINT), "{member}");
            }
        }
    }
}
