//! The steps of `cargo xtask test`.

use std::path::PathBuf;
use std::process::Command;

use crate::process::{self, cargo, quiet_step, step};
use crate::{Outcome, docs, package, programs, python, root, target, tarn, terraform};

/// Everything, with AWS. All builds use this selection, so nothing is compiled twice with different
/// features.
const ALL: &[&str] = &["--workspace", "--all-targets", "--features", "tarn/aws"];

/// The command line as the README's first command builds it, without AWS.
const FIRST: &[&str] = &["--package", "tarn"];

/// Builds the binary and the tests.
pub fn build() -> Outcome {
    step("build", cargo(&["build"]).args(ALL))
}

fn clippy(selection: &[&str]) -> Outcome {
    step(
        &format!("clippy {}", selection.join(" ")),
        cargo(&["clippy"])
            .args(selection)
            .args(["--", "-D", "warnings"]),
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
        eprintln!("\n==> contract changes: not compared, because {base} is not a commit here");
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

/// The programs that the tests use.
struct Tools {
    python: PathBuf,
    emulator: PathBuf,
    checkov: PathBuf,
    aws_cli: PathBuf,
}

/// Makes the Python environments and runs the checks that need only Python. This happens beside the build,
/// which does not need the network and seldom keeps all processors busy.
fn tools() -> Outcome<Tools> {
    let python = python::environment("test", python::TEST_PACKAGES)?;
    quiet_step(
        "spelling",
        Command::new(python.join("bin/typos")).current_dir(root()),
    )?;
    for contract in python::contracts()? {
        quiet_step(
            &format!("datacontract lint {}", contract.display()),
            Command::new(python.join("bin/datacontract"))
                .arg("lint")
                .arg(&contract),
        )?;
    }
    let emulator = python::environment_of("emulator", &root().join("localstack/requirements.txt"))?
        .join("bin/python");
    quiet_step(
        "emulator's start file",
        Command::new(&emulator)
            .args(["-m", "unittest", "discover"])
            .args(["-s", "localstack", "-t", "localstack"])
            .env("PYTHONDONTWRITEBYTECODE", "1"),
    )?;
    Ok(Tools {
        python,
        emulator,
        checkov: python::environment("checkov", python::CHECKOV)?,
        aws_cli: python::environment("aws-cli", python::AWS_CLI)?,
    })
}

/// Builds, and runs the checks that need no test program. Returns the package of the functions.
fn built() -> Outcome<PathBuf> {
    step("formatting", &mut cargo(&["fmt", "--all", "--check"]))?;
    clippy(ALL)?;
    clippy(FIRST)?;
    build()?;
    eprintln!("\n==> generated reference pages");
    docs::run(true)?;
    contract_changes()?;
    package::write_quick()
}

pub fn test() -> Outcome {
    // A missing program is reported before anything takes long.
    terraform::program()?;
    let (package, tools) = std::thread::scope(|scope| {
        let tools = scope.spawn(tools);
        let package = built();
        let tools = tools
            .join()
            .unwrap_or_else(|_| Err("the tools' thread panicked".to_owned()));
        package.and_then(|package| Ok((package, tools?)))
    })?;
    programs::run(
        &[ALL, FIRST],
        &[
            ("TARN_BIN", tarn()?),
            ("TARN_BROWSER_PYTHON", tools.python.join("bin/python")),
            ("TARN_PYTHON", tools.python.join("bin/python")),
            ("TARN_EMULATOR_PYTHON", tools.emulator),
            ("TARN_PACKAGE", package),
            ("TARN_CHECKOV", tools.checkov.join("bin/checkov")),
            ("TARN_AWS_CLI", tools.aws_cli.join("bin/aws")),
        ],
    )
}
