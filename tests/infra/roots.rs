//! The roots: formatted, valid, and locked to one provider.

use serde_json::Value;

use crate::terraform::{Copy, PLAN};

#[test]
#[ignore = "needs terraform; run by cargo xtask test"]
fn everything_is_formatted() {
    let copy = Copy::new();
    for folder in ["terraform", "infra"] {
        let output = copy.run(folder, &["fmt", "-check", "-recursive", "-no-color"]);
        assert!(
            output.status.success(),
            "run terraform fmt -recursive {folder}: {}",
            String::from_utf8_lossy(&output.stdout)
        );
    }
}

#[test]
#[ignore = "needs terraform; run by cargo xtask test"]
fn every_root_is_valid_with_the_locked_provider() {
    let copy = Copy::new();
    for environment in ["dev", "local", "prod"] {
        let folder = format!("infra/{environment}");
        copy.succeed(
            &folder,
            &[
                "init",
                "-backend=false",
                "-input=false",
                "-no-color",
                "-lockfile=readonly",
            ],
        );
        copy.succeed(&folder, &["validate", "-no-color"]);
    }
}

/// A release is deployed from a bucket without a file on this machine.
#[test]
#[ignore = "needs terraform; run by cargo xtask test"]
fn every_function_of_a_root_runs_the_package_of_a_bucket() {
    let copy = Copy::new();
    // The sum of nothing, in hexadecimal as SHA256SUMS has it and in base64 as AWS has it.
    let sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let hash = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    std::fs::write(
        copy.path("infra/dev/package.auto.tfvars"),
        format!(
            r#"package = {{ bucket = "releases", key = "tarn.zip", object_version = "7", sha256 = "{sha256}" }}"#
        ),
    )
    .unwrap();
    let plan = copy.plan("dev", false);
    let functions: Vec<&Value> = plan["resource_changes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|change| change["type"] == "aws_lambda_function")
        .map(|change| &change["change"]["after"])
        .collect();
    assert_eq!(functions.len(), 6);
    for function in functions {
        assert_eq!(function["s3_bucket"], "releases");
        assert_eq!(function["s3_key"], "tarn.zip");
        assert_eq!(function["s3_object_version"], "7");
        assert_eq!(function["source_code_hash"], hash);
        assert_eq!(function["filename"], Value::Null);
    }
}

/// A root says what to do about a package that it cannot deploy.
#[test]
#[ignore = "needs terraform; run by cargo xtask test"]
fn a_root_without_a_package_says_how_to_name_one() {
    let copy = Copy::new();
    std::fs::write(
        copy.path("infra/local/package.auto.tfvars"),
        "package = { path = \"package.zip\", bucket = \"releases\", key = \"tarn.zip\" }",
    )
    .unwrap();
    let output = copy.run(&copy.prepare("local", false), PLAN);
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(
        text.contains("Say where the zip file is, in one way"),
        "{text}"
    );
}

/// The lock holds the archives' checksums of all platforms, so that it is good on any machine.
#[test]
fn the_roots_lock_the_same_provider_for_every_platform() {
    let lock = |environment: &str| {
        let file = crate::terraform::root()
            .join("infra")
            .join(environment)
            .join(".terraform.lock.hcl");
        std::fs::read_to_string(file).unwrap()
    };
    let dev = lock("dev");
    assert!(dev.contains("\"5.100.0\""));
    assert!(dev.contains("\"h1:"), "a folder of plugins has this form");
    assert!(dev.matches("\"zh:").count() >= 12, "the registry has this");
    assert_eq!(dev, lock("prod"));
    assert_eq!(dev, lock("local"));
}
