//! The steps of `cargo xtask test`.

use std::process::Command;

use crate::process::{cargo, step};
use crate::{Outcome, docs, python, tarn};

/// Builds the binary and the tests with one set of features, so that Polars is built once.
pub fn build() -> Outcome {
    step(
        "build",
        &mut cargo(&["build", "--release", "--workspace", "--all-targets"]),
    )
}

pub fn test() -> Outcome {
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
        .env("TARN_PYTHON", python.join("bin/python")),
    )
}
