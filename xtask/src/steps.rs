//! The steps of `cargo xtask test`.

use std::process::Command;

use crate::process::{cargo, step};
use crate::{Outcome, docs, package, python, root, tarn, terraform};

/// Builds the binary and the tests with one set of features, so that Polars is built once.
pub fn build() -> Outcome {
    step(
        "build",
        &mut cargo(&["build", "--release", "--workspace", "--all-targets"]),
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
    step(
        "tests",
        cargo(&[
            "test",
            "--release",
            "--workspace",
            "--",
            "--include-ignored",
        ])
        .env("TARN_BIN", tarn()?)
        .env("TARN_PYTHON", python.join("bin/python"))
        .env("TARN_EMULATOR_PYTHON", emulator)
        .env("TARN_PACKAGE", package)
        .env("TARN_CHECKOV", checkov.join("bin/checkov"))
        .env("TARN_AWS_CLI", aws_cli.join("bin/aws")),
    )
}
