//! The steps of `cargo xtask test`.

use std::process::Command;
use std::time::Instant;

use crate::{Outcome, docs, python, root, tarn};

fn run(title: &str, command: &mut Command) -> Outcome {
    eprintln!("\n==> {title}");
    let started = Instant::now();
    let status = command.current_dir(root()).status().map_err(|error| {
        format!(
            "{title}: {} cannot be started: {error}",
            command.get_program().display()
        )
    })?;
    if !status.success() {
        return Err(format!("{title} failed ({status})"));
    }
    eprintln!("    {:.0} s", started.elapsed().as_secs_f64());
    Ok(())
}

fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.args(args);
    // What Cargo tells this program about itself is not for the build: some build scripts watch these
    // variables, and everything would be built again after a build from a shell.
    for (name, _) in std::env::vars_os() {
        let own = [
            "CARGO_MANIFEST_",
            "CARGO_PKG_",
            "CARGO_CRATE_",
            "CARGO_BIN_",
            "CARGO_PRIMARY_",
        ];
        if name
            .to_str()
            .is_some_and(|name| own.iter().any(|prefix| name.starts_with(prefix)))
        {
            command.env_remove(&name);
        }
    }
    command
}

/// Builds the binary and the tests with one set of features, so that Polars is built once.
pub fn build() -> Outcome {
    run(
        "build",
        &mut cargo(&["build", "--release", "--workspace", "--all-targets"]),
    )
}

pub fn test() -> Outcome {
    run("formatting", &mut cargo(&["fmt", "--all", "--check"]))?;
    run(
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
        run(
            &format!("datacontract lint {}", contract.display()),
            Command::new(python.join("bin/datacontract"))
                .arg("lint")
                .arg(&contract),
        )?;
    }
    run(
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
