//! The steps of `cargo xtask test`.

use std::process::Command;

use crate::process::{self, cargo, step};
use crate::{Outcome, docs, package, python, root, target, tarn, terraform};

/// Builds the binary and the tests with one set of features, so that Polars is built once.
pub fn build() -> Outcome {
    step(
        "build",
        &mut cargo(&["build", "--release", "--workspace", "--all-targets"]),
    )
}

/// Compares the contracts with those of the commit before (or of the one that TARN_CONTRACTS_BASE
/// names): a breaking change needs a new major version.
fn contract_changes() -> Outcome {
    let base = process::variable("TARN_CONTRACTS_BASE")
        .and_then(|name| name.into_string().ok())
        .unwrap_or_else(|| "HEAD^".to_owned());
    let git = |args: &[&str]| {
        let mut command = Command::new("git");
        command.arg("-C").arg(root()).args(args);
        command
    };
    let listed = git(&["ls-tree", "--name-only", &base, "contracts/"]).output();
    let Some(listed) = listed.ok().filter(|output| output.status.success()) else {
        eprintln!("\n==> contract changes: not compared, for {base} is no commit here");
        return Ok(());
    };
    let folder = target()?.join("contracts-before");
    let unwritable = |error| format!("{}: {error}", folder.display());
    match std::fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(unwritable(error));
        }
        _ => std::fs::create_dir_all(&folder).map_err(unwritable)?,
    }
    for path in String::from_utf8_lossy(&listed.stdout).lines() {
        let Some(name) = path.strip_prefix("contracts/") else {
            continue;
        };
        let text = process::capture("git", &mut git(&["show", &format!("{base}:{path}")]))?;
        std::fs::write(folder.join(name), text).map_err(unwritable)?;
    }
    step(
        "contract changes",
        Command::new(tarn()?)
            .args(["contract", "diff"])
            .arg(&folder)
            .arg(root().join("contracts")),
    )
}

pub fn test() -> Outcome {
    // What may be missing is said before anything takes long.
    terraform::program()?;
    step("formatting", &mut cargo(&["fmt", "--all", "--check"]))?;
    step(
        "clippy",
        &mut cargo(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]),
    )?;
    build()?;
    eprintln!("\n==> generated reference pages");
    docs::run(true)?;
    let python = python::environment("test", python::TEST_PACKAGES)?;
    for contract in python::contracts()? {
        step(
            &format!("datacontract lint {}", contract.display()),
            Command::new(python.join("bin/datacontract"))
                .arg("lint")
                .arg(&contract),
        )?;
    }
    contract_changes()?;
    let emulator = python::environment_of("emulator", &root().join("localstack/requirements.txt"))?
        .join("bin/python");
    step(
        "emulator's start file",
        Command::new(&emulator)
            .args([
                "-m",
                "unittest",
                "discover",
                "-s",
                "localstack",
                "-t",
                "localstack",
            ])
            .env("PYTHONDONTWRITEBYTECODE", "1"),
    )?;
    let package = package::write_quick()?;
    let checkov = python::environment("checkov", python::CHECKOV)?;
    let aws_cli = python::environment("aws-cli", python::AWS_CLI)?;
    let browser = python::environment("browser", python::BROWSER)?;
    step(
        "tests",
        cargo(&[
            "test",
            "--release",
            "--workspace",
            // One run names everything that is broken.
            "--no-fail-fast",
            "--",
            "--include-ignored",
        ])
        .env("TARN_BIN", tarn()?)
        .env("TARN_BROWSER_PYTHON", browser.join("bin/python"))
        .env("TARN_PYTHON", python.join("bin/python"))
        .env("TARN_EMULATOR_PYTHON", emulator)
        .env("TARN_PACKAGE", package)
        .env("TARN_CHECKOV", checkov.join("bin/checkov"))
        .env("TARN_AWS_CLI", aws_cli.join("bin/aws")),
    )
}
