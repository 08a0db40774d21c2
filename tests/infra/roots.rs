//! The roots: formatted, valid, and locked to one provider.

use crate::terraform::Copy;

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
