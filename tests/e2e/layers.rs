//! Rules about dependencies.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

use crate::lake::root;

fn cargo(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()))
        .args(arguments)
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// The answer of `cargo metadata`: the workspace and everything that it depends on, asked for once.
pub fn metadata() -> &'static Value {
    static METADATA: LazyLock<Value> = LazyLock::new(|| {
        // Packages for other systems may have to be fetched for it.
        serde_json::from_slice(&cargo(&["metadata", "--format-version", "1", "--locked"])).unwrap()
    });
    &METADATA
}

/// All packages: members and dependencies.
pub fn all_packages() -> &'static [Value] {
    metadata()["packages"].as_array().unwrap()
}

/// The packages of the workspace. Only members have no source.
pub fn members() -> impl Iterator<Item = &'static Value> {
    all_packages()
        .iter()
        .filter(|package| package["source"].is_null())
}

/// The packages of a build, each with its version and its features.
fn packages(selection: &[&str]) -> BTreeMap<String, BTreeSet<String>> {
    let tree = [
        "tree", "--locked", "--edges", "normal", "--prefix", "none", "--format", "{p}\t{f}",
    ];
    let text = String::from_utf8(cargo(&[&tree, selection].concat())).unwrap();
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in text.lines() {
        let line = line.trim_end_matches(" (*)");
        let (package, features) = line.split_once('\t').unwrap_or((line, ""));
        let features = features.split(',').filter(|feature| !feature.is_empty());
        let of_package = found.entry(package.to_owned()).or_default();
        of_package.extend(features.map(str::to_owned));
    }
    found
}

/// What the first command of the README builds.
const FIRST: &[&str] = &["--package", "tarn"];

/// What `cargo xtask test` builds.
const ALL: &[&str] = &["--workspace", "--features", "tarn/aws"];

#[test]
fn the_first_build_has_no_aws_and_one_tls_stack() {
    let first = packages(FIRST);
    assert!(first.len() > 100, "{first:?}");
    let aws = |name: &str| {
        ["aws-", "aws_", "lambda_"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
    };
    let found: Vec<_> = first.keys().filter(|name| aws(name)).collect();
    assert!(found.is_empty(), "{found:?}");
    let all = packages(ALL);
    assert!(all.keys().any(|name| name.starts_with("aws-sdk-s3 ")));
    assert!(all.keys().any(|name| name.starts_with("ring ")));
    for other in ["aws-lc-rs ", "aws-lc-sys ", "openssl ", "native-tls "] {
        assert!(!all.keys().any(|name| name.starts_with(other)), "{other}");
    }
}

/// Cargo compiles a package again if its features differ, and with it everything that depends on it. To fix
/// a difference, enable the feature in the root manifest, and if no member uses the package, name it in
/// `functions/tarn/Cargo.toml`.
#[test]
fn the_first_build_compiles_nothing_that_the_whole_one_compiles_again() {
    let all = packages(ALL);
    for (package, features) in packages(FIRST) {
        // The command line itself differs. It is small.
        if package.starts_with("tarn ") {
            continue;
        }
        let whole = all.get(&package);
        assert_eq!(Some(&features), whole, "{package}");
    }
}

#[test]
fn versions_and_features_are_only_in_the_root_manifest() {
    for package in members() {
        let manifest = std::fs::read_to_string(package["manifest_path"].as_str().unwrap()).unwrap();
        let dependencies = manifest.split("ependencies]").skip(1).flat_map(str::lines);
        for line in dependencies.take_while(|line| !line.starts_with("[[")) {
            let line = line.trim();
            assert!(
                line.is_empty()
                    || line.starts_with('[')
                    || line.starts_with('#')
                    || line.ends_with(".workspace = true")
                    || line.ends_with(" = { workspace = true, optional = true }"),
                "{}: {line}",
                package["name"]
            );
        }
    }
}

/// The files of source code below a folder.
pub fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The first lines of the code blocks that rustdoc would run.
fn examples(text: &str) -> Vec<&str> {
    let mut open = false;
    let mut found = Vec::new();
    for line in text.lines().map(str::trim_start) {
        let comment = line
            .strip_prefix("///")
            .or_else(|| line.strip_prefix("//!"));
        let Some(kind) = comment.and_then(|text| text.trim().strip_prefix("```")) else {
            continue;
        };
        open = !open;
        if open && !["text", "ignore"].contains(&kind) {
            found.push(line);
        }
    }
    found
}

/// `doctest = false` saves time in crates without examples. A crate with an example must not set it.
#[test]
fn examples_in_documentation_are_run() {
    let mut run = 0;
    for package in members() {
        let targets = package["targets"].as_array().unwrap();
        for target in targets.iter().filter(|target| target["kind"][0] == "lib") {
            let root = Path::new(target["src_path"].as_str().unwrap());
            for file in sources(root.parent().unwrap()) {
                let text = std::fs::read_to_string(&file).unwrap();
                let examples = examples(&text);
                if target["doctest"] == true {
                    run += examples.len();
                } else {
                    assert!(
                        examples.is_empty(),
                        "{}: {examples:?} would not run; remove doctest = false",
                        file.display()
                    );
                }
            }
        }
    }
    assert!(run > 0);
}

/// With any of these, SQL gets table functions that read any file and any URL.
#[test]
fn sql_has_no_table_functions_that_read_files() {
    let nodes = metadata()["resolve"]["nodes"].as_array().unwrap();
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
    for package in members().filter(|package| package["name"] != "tarn-tests") {
        for target in package["targets"].as_array().unwrap() {
            if target["kind"][0] == "lib" || target["kind"][0] == "bin" {
                let root = std::fs::read_to_string(target["src_path"].as_str().unwrap()).unwrap();
                assert!(root.contains(LINT), "{}", package["name"]);
            }
        }
    }
}
