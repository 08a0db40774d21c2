//! Terraform on `infra/local`. The lake on the usual port has its state where Terraform looks for it,
//! so that `terraform output` and `tarn --env infra/local` find it; others have theirs elsewhere.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Outcome, process, root};

/// Names the folder of a local plugin mirror, for machines without access to the registry.
pub const PLUGINS: &str = "TARN_TF_PLUGIN_DIR";

/// The Terraform root of a lake on an emulator.
fn environment() -> PathBuf {
    root().join("infra/local")
}

/// Terraform for one deployment of the lake on an emulator.
pub struct Terraform {
    program: PathBuf,
    folder: PathBuf,
    endpoint: String,
}

impl Terraform {
    /// The `terraform` of the search path; its files are kept in `folder`, or in the root itself.
    pub fn new(folder: Option<&Path>, endpoint: &str) -> Outcome<Self> {
        Ok(Terraform {
            program: program()?,
            folder: folder.map_or_else(environment, Path::to_path_buf),
            endpoint: endpoint.to_owned(),
        })
    }

    fn state(&self) -> PathBuf {
        self.folder.join("terraform.tfstate")
    }

    /// Whether something may be deployed: there is a state.
    pub fn has_state(&self) -> bool {
        self.state().exists()
    }

    /// Forgets what was deployed, when the emulator that held it is gone.
    pub fn forget(&self) -> Outcome {
        for name in ["terraform.tfstate", "terraform.tfstate.backup"] {
            let path = self.folder.join(name);
            if path.exists() {
                std::fs::remove_file(&path)
                    .map_err(|error| format!("{}: {error}", path.display()))?;
            }
        }
        Ok(())
    }

    fn command(&self, subcommand: &str) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg(format!("-chdir={}", environment().display()))
            .arg(subcommand)
            .env("TF_DATA_DIR", self.folder.join(".terraform"))
            .env("TF_IN_AUTOMATION", "true")
            .env("CHECKPOINT_DISABLE", "true")
            .stdin(Stdio::null());
        // Somebody's own account has nothing to do with the emulator.
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("AWS_")) {
                command.env_remove(name);
            }
        }
        command
    }

    /// Installs the providers, from the plugin mirror where one is named.
    pub fn init(&self) -> Outcome {
        std::fs::create_dir_all(&self.folder)
            .map_err(|error| format!("{}: {error}", self.folder.display()))?;
        initialise(self.command("init").args(["-input=false", "-no-color"]))
    }

    fn with_variables(&self, subcommand: &str, package: &Path) -> Command {
        let mut command = self.command(subcommand);
        command
            .arg(format!("-state={}", self.state().display()))
            .args(["-input=false", "-no-color"])
            .arg(format!("-var=endpoint={}", self.endpoint))
            .arg(format!("-var=package={}", package_value(package)))
            .arg(format!(
                "-var=architecture={}",
                crate::package::Arch::host()
            ));
        command
    }

    /// Builds everything that is not there yet.
    pub fn apply(&self, package: &Path) -> Outcome {
        process::run(
            "terraform apply",
            self.with_variables("apply", package).args([
                "-auto-approve",
                "-compact-warnings",
                "-parallelism=40",
            ]),
        )
    }

    /// Destroys everything.
    pub fn destroy(&self, package: &Path) -> Outcome {
        process::run(
            "terraform destroy",
            self.with_variables("destroy", package).args([
                "-auto-approve",
                "-compact-warnings",
                "-parallelism=40",
            ]),
        )
    }

    /// The outputs by name.
    pub fn outputs(&self) -> Outcome<serde_json::Value> {
        let text = process::capture(
            "terraform output",
            self.command("output")
                .arg(format!("-state={}", self.state().display()))
                .arg("-json"),
        )?;
        let mut outputs: serde_json::Value =
            serde_json::from_slice(&text).map_err(|error| format!("terraform output: {error}"))?;
        if let Some(outputs) = outputs.as_object_mut() {
            for output in outputs.values_mut() {
                *output = output["value"].take();
            }
        }
        Ok(outputs)
    }

    /// The addresses of what is deployed.
    pub fn resources(&self) -> Outcome<Vec<String>> {
        let text = process::capture(
            "terraform state list",
            self.command("state")
                .arg("list")
                .arg(format!("-state={}", self.state().display())),
        )?;
        Ok(String::from_utf8_lossy(&text)
            .lines()
            .map(str::to_owned)
            .collect())
    }
}

/// Runs an init that takes the providers from the plugin mirror where one is named.
fn initialise(init: &mut Command) -> Outcome {
    if let Some(plugins) = process::variable(PLUGINS) {
        let mut option = std::ffi::OsString::from("-plugin-dir=");
        option.push(plugins);
        init.arg(option).env_remove("TF_CLI_CONFIG_FILE");
    }
    process::capture("terraform init", init)
        .map(|_| ())
        .map_err(|error| {
            format!(
                "{error}\nWithout access to registry.terraform.io, set {PLUGINS} to a folder \
                 that holds the providers (terraform providers mirror DIR)."
            )
        })
}

/// The value of the variable `package` for a file, as Terraform writes it: that is how JSON writes it,
/// but for the two beginnings of a template.
fn package_value(path: &Path) -> String {
    serde_json::json!({ "path": path.to_string_lossy() })
        .to_string()
        .replace("${", "$${")
        .replace("%{", "%%{")
}

/// Where Terraform is.
pub fn program() -> Outcome<PathBuf> {
    process::find("terraform").ok_or_else(|| {
        "terraform is not on the search path: install 1.11 or later \
         (https://developer.hashicorp.com/terraform/install)"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_a_package_is_a_value_of_terraform() {
        let cases = [
            ("/a/functions.zip", r#"{"path":"/a/functions.zip"}"#),
            (r#"/a "b"\c.zip"#, r#"{"path":"/a \"b\"\\c.zip"}"#),
            ("/${a}/%{b}.zip", r#"{"path":"/$${a}/%%{b}.zip"}"#),
        ];
        for (path, value) in cases {
            assert_eq!(package_value(Path::new(path)), value);
        }
    }
}
