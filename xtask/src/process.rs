//! Starting programs, with messages that say which one and why it failed.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::{Outcome, root};

/// Runs a step in the workspace's folder, with a title before and its time after it.
pub fn step(title: &str, command: &mut Command) -> Outcome {
    eprintln!("\n==> {title}");
    let started = Instant::now();
    run(title, command.current_dir(root()))?;
    eprintln!("    {:.0} s", started.elapsed().as_secs_f64());
    Ok(())
}

/// Runs a step beside others. Its output is shown only if it fails.
pub fn quiet_step(title: &str, command: &mut Command) -> Outcome {
    let started = Instant::now();
    let output = command
        .current_dir(root())
        .stdin(Stdio::null())
        .output()
        .map_err(|error| cannot_start(title, command, &error))?;
    if !output.status.success() {
        return Err(format!(
            "{title} failed ({}):\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    eprintln!("==> {title}: {:.0} s", started.elapsed().as_secs_f64());
    Ok(())
}

/// Runs a command whose output goes to the terminal.
pub fn run(title: &str, command: &mut Command) -> Outcome {
    let status = command
        .status()
        .map_err(|error| cannot_start(title, command, &error))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{title} failed ({status})"))
    }
}

/// Runs a command and gives its standard output; on failure its error output is the message.
pub fn capture(title: &str, command: &mut Command) -> Outcome<Vec<u8>> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| cannot_start(title, command, &error))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(format!(
        "{title} failed ({}):\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim_end()
    ))
}

fn cannot_start(title: &str, command: &Command, error: &std::io::Error) -> String {
    format!(
        "{title}: {} cannot be started: {error}",
        command.get_program().display()
    )
}

/// Cargo itself. What Cargo tells this program about its own package is not for the build: some
/// build scripts watch these variables, and everything would be built again after a build from a
/// shell.
pub fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.args(args).current_dir(root());
    without_own_package(&mut command);
    command
}

/// Takes the variables by which Cargo describes this program's package out of a command's environment.
pub fn without_own_package(command: &mut Command) {
    const OWN: [&str; 5] = [
        "CARGO_MANIFEST_",
        "CARGO_PKG_",
        "CARGO_CRATE_",
        "CARGO_BIN_",
        "CARGO_PRIMARY_",
    ];
    for (name, _) in std::env::vars_os() {
        if name
            .to_str()
            .is_some_and(|name| OWN.iter().any(|prefix| name.starts_with(prefix)))
        {
            command.env_remove(&name);
        }
    }
}

/// Where a program is, by the search path.
pub fn find(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}

/// The search path with a folder before everything else.
pub fn path_with(first: &Path) -> Outcome<std::ffi::OsString> {
    let rest = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(std::iter::once(first.to_path_buf()).chain(std::env::split_paths(&rest)))
        .map_err(|error| format!("{}: {error}", first.display()))
}

/// A variable of the environment that is set and not empty.
pub fn variable(name: impl AsRef<OsStr>) -> Option<std::ffi::OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}
