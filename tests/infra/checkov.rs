//! checkov, an independent judge of plans: no failed check but the named exceptions.

use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::plan;

/// How many exceptions there may be.
const MOST_SKIPS: usize = 10;

struct Skip {
    check: String,
    /// The resources' addresses begin with it.
    resource: String,
}

fn skips() -> Vec<Skip> {
    let text = include_str!("checkov-skips.json");
    let all: Vec<Value> = serde_json::from_str(text).unwrap();
    all.iter()
        .map(|skip| {
            let text = |name: &str| skip[name].as_str().unwrap().to_owned();
            assert!(text("reason").len() > 40, "say why: {}", text("check"));
            Skip {
                check: text("check"),
                resource: text("resource"),
            }
        })
        .collect()
}

/// The failed checks of a plan, as check and resource.
fn failed(environment: &str) -> Vec<(String, String)> {
    let program: PathBuf = std::env::var_os("TARN_CHECKOV")
        .expect("TARN_CHECKOV names the checkov program; cargo xtask test sets it")
        .into();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plan.json");
    std::fs::write(&file, plan::of(environment).json.to_string()).unwrap();
    let output = Command::new(program)
        .args([
            "--framework",
            "terraform_plan",
            "--output",
            "json",
            "--compact",
        ])
        .args(["--skip-download", "--quiet", "--file"])
        .arg(&file)
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(report["summary"]["parsing_errors"], 0);
    let passed = report["summary"]["passed"].as_u64().unwrap();
    assert!(passed > 300, "only {passed} checks were made");
    report["results"]["failed_checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|failed| {
            (
                failed["check_id"].as_str().unwrap().to_owned(),
                failed["resource"].as_str().unwrap().to_owned(),
            )
        })
        .collect()
}

#[test]
fn there_are_at_most_ten_exceptions_each_with_its_reason() {
    let skips = skips();
    assert!(skips.len() <= MOST_SKIPS, "{} exceptions", skips.len());
}

#[test]
#[ignore = "needs terraform; run by cargo xtask test"]
fn checkov_finds_nothing_in_prod_but_the_named_exceptions() {
    let skips = skips();
    let failed = failed("prod");
    let covers = |skip: &Skip, (check, resource): &(String, String)| {
        skip.check == *check && resource.starts_with(&skip.resource)
    };
    let open: Vec<String> = failed
        .iter()
        .filter(|failure| !skips.iter().any(|skip| covers(skip, failure)))
        .map(|(check, resource)| format!("{check} {resource}"))
        .collect();
    assert!(open.is_empty(), "{}", open.join("\n"));
    // An exception that is no longer needed must be removed.
    for skip in &skips {
        assert!(
            failed.iter().any(|failure| covers(skip, failure)),
            "nothing fails {} on {}",
            skip.check,
            skip.resource
        );
    }
}
