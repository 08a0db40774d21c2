//! Changes of contracts, judged by Tarn and by the Data Contract CLI.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::lake::{Lake, root};

type Case = (
    &'static str,
    &'static [(&'static str, &'static str)],
    bool,
    bool,
);

/// Name, what is replaced in the orders' contract, and whether it breaks consumers and producers.
const CHANGES: &[Case] = &[
    ("nothing", &[], false, false),
    (
        "a description",
        &[("Number of the order.", "The order's number.")],
        false,
        false,
    ),
    (
        "no longer required",
        &[(
            "        physicalType: string\n        required: true",
            "        physicalType: string\n        required: false",
        )],
        true,
        false,
    ),
    (
        "newly required",
        &[(
            "        description: Coupon that was used; null if none was.\n",
            "        description: Coupon that was used; null if none was.\n        required: true\n",
        )],
        false,
        true,
    ),
    ("a type", &[("decimal(12,2)", "decimal(14,2)")], true, true),
    ("a column gone", &[(COUPON, "")], true, false),
    (
        "a new value",
        &[(
            "[web, app, marketplace, store]",
            "[web, app, marketplace, store, phone]",
        )],
        true,
        false,
    ),
    (
        "a value gone",
        &[("[web, app, marketplace, store]", "[web, app, store]")],
        false,
        true,
    ),
    (
        "a lower minimum",
        &[(
            "logicalTypeOptions: { minimum: 1 }",
            "logicalTypeOptions: { minimum: 0 }",
        )],
        true,
        false,
    ),
    (
        "a higher minimum",
        &[(
            "logicalTypeOptions: { minimum: 1 }",
            "logicalTypeOptions: { minimum: 5 }",
        )],
        false,
        true,
    ),
    (
        "a rule gone",
        &[("logicalTypeOptions: { pattern: \"^[A-Z]{3}$\" }", "")],
        true,
        false,
    ),
    (
        "a rule that only warns",
        &[("mustBeGreaterThan: 0", "mustBeGreaterThan: 5")],
        false,
        false,
    ),
];

const COUPON: &str = "      - name: coupon
        description: Coupon that was used; null if none was.
        logicalType: string
        physicalType: string
        classification: internal
        quality:
          - { type: custom, engine: tarn, implementation: { kind: blankValues }, mustBeLessThan: 1, unit: percent, severity: warn }
";

fn orders() -> String {
    std::fs::read_to_string(root().join("contracts/orders.odcs.yaml")).unwrap()
}

fn edited(replacements: &[(&str, &str)]) -> String {
    replacements.iter().fold(orders(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    })
}

/// The verdict of `tarn contract diff`.
fn is_breaking(lake: &Lake, old: &Path, new: &Path, party: &str) -> bool {
    let output = lake.run(&[
        "--json",
        "contract",
        "diff",
        "--for",
        party,
        old.to_str().unwrap(),
        new.to_str().unwrap(),
    ]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let breaking = found["impact"] == "breaking";
    // The versions are the same, so a breaking change fails.
    assert_eq!(output.status.code(), Some(i32::from(breaking)), "{found}");
    breaking
}

#[test]
#[ignore = "needs Python with datacontract-cli; run by cargo xtask test"]
fn tarn_and_the_data_contract_cli_agree_on_what_is_breaking() {
    let lake = Lake::new();
    let old = lake.file("orders.odcs.yaml", orders());
    let pairs: Vec<(PathBuf, PathBuf)> = CHANGES
        .iter()
        .enumerate()
        .map(|(number, (_, replacements, ..))| {
            (
                old.clone(),
                lake.file(&format!("{number}.odcs.yaml"), edited(replacements)),
            )
        })
        .collect();
    let python = std::env::var("TARN_PYTHON").expect("run cargo xtask test");
    let output = Command::new(python)
        .arg(root().join("tests/readers/contract_breaking.py"))
        .arg(json!(pairs).to_string())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let theirs: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(theirs.len(), CHANGES.len());
    for (((name, _, consumers, producers), (old, new)), theirs) in
        CHANGES.iter().zip(&pairs).zip(&theirs)
    {
        let expected = json!({ "consumers": consumers, "producers": producers });
        let ours = json!({
            "consumers": is_breaking(&lake, old, new, "consumers"),
            "producers": is_breaking(&lake, old, new, "producers"),
        });
        assert_eq!(ours, expected, "{name}");
        assert_eq!(theirs, &expected, "{name}, by the Data Contract CLI");
    }
}

#[test]
fn a_breaking_change_of_a_folder_of_contracts_fails_until_the_major_version_is_raised() {
    let lake = Lake::new();
    let folder = lake.scratch().join("new");
    std::fs::create_dir_all(&folder).unwrap();
    for entry in std::fs::read_dir(root().join("contracts")).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
    }
    let old = root().join("contracts");
    let diff = || {
        lake.run(&[
            "contract",
            "diff",
            old.to_str().unwrap(),
            folder.to_str().unwrap(),
        ])
    };
    assert!(diff().status.success() && diff().stdout.is_empty());
    let changed = edited(&[(COUPON, "")]);
    std::fs::write(folder.join("orders.odcs.yaml"), &changed).unwrap();
    let output = diff();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("breaking    schema.orders.properties.coupon removed"),
        "{text}"
    );
    assert!(text.contains("write version: "), "{text}");
    let version = changed
        .lines()
        .find(|line| line.starts_with("version: "))
        .unwrap();
    std::fs::write(
        folder.join("orders.odcs.yaml"),
        changed.replace(version, "version: 99.0.0"),
    )
    .unwrap();
    assert!(diff().status.success());
    std::fs::remove_file(folder.join("orders.odcs.yaml")).unwrap();
    assert_eq!(diff().status.code(), Some(1), "the contract is gone");
}
