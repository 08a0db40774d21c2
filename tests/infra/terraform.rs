//! Runs `terraform` on a copy of the modules and roots, so that nothing is written into the
//! repository and a test may change what it wants.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// The account and region of offline plans.
pub const ACCOUNT: &str = "123456789012";
pub const REGION: &str = "eu-central-1";

/// Lets a root be planned without AWS: state in a file, no request to STS.
const OFFLINE: &str = r#"
terraform {
  backend "local" {}
}

provider "aws" {
  access_key                  = "offline"
  secret_key                  = "offline"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  max_retries                 = 1
  allowed_account_ids         = null
}
"#;

/// What AWS chooses is not known to a plan. These stand in for it, by file: a key has its alias for an
/// id, so that the plan shows which key encrypts what, and a queue has the URL that AWS would make.
const CHOSEN_BY_AWS: &[(&str, &str)] = &[
    (
        "terraform/modules/key/offline_override.tf",
        r#"
output "arn" {
  value = "arn:aws:kms:REGION:ACCOUNT:key/${var.alias}"
}
"#,
    ),
    (
        "terraform/modules/secret/offline_override.tf",
        r#"
output "arn" {
  value = "arn:aws:secretsmanager:REGION:ACCOUNT:secret:${var.name}-AbCdEf"
}
"#,
    ),
    (
        "terraform/modules/queue/offline_override.tf",
        r#"
output "url" {
  value = "https://sqs.REGION.amazonaws.com/ACCOUNT/${var.name}"
}
"#,
    ),
];

/// What is planned: every optional part is there.
const VALUES: &str = r#"
account_id       = "ACCOUNT"
region           = "REGION"
optimized_tables = ["curated.web_requests"]

trust_conditions = { lambda = true, glue = true }

alarms = {
  emails    = ["data-team@example.com"]
  freshness = { ad_events = 21600, web_requests = 93600 }
  quality   = ["ad_events", "orders"]
}

personas = {
  engineer = ["arn:aws:iam::ACCOUNT:role/data-engineers"]
  analyst  = ["arn:aws:iam::ACCOUNT:role/analysts"]
  marketer = ["arn:aws:iam::ACCOUNT:role/marketers"]
}
"#;

/// An offline plan into `plan.bin`.
pub const PLAN: &[&str] = &[
    "plan",
    "-input=false",
    "-no-color",
    "-refresh=false",
    "-out=plan.bin",
];

/// The repository.
pub fn root() -> PathBuf {
    // Cargo runs tests in the folder of their package.
    std::env::current_dir()
        .unwrap()
        .parent()
        .unwrap()
        .to_owned()
}

/// A copy of `terraform/` and `infra/`.
pub struct Copy {
    folder: TempDir,
}

impl Copy {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for part in ["terraform", "infra"] {
            copy(&root().join(part), &folder.path().join(part));
        }
        // Something to deploy; a plan reads nothing but its hash.
        std::fs::write(folder.path().join("package.zip"), b"PK\x05\x06").unwrap();
        Copy { folder }
    }

    pub fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    /// Replaces `old`, which is there exactly once, in a file.
    pub fn edit(&self, file: &str, old: &str, new: &str) {
        let path = self.path(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.matches(old).count(), 1, "{file}: {old}");
        std::fs::write(path, text.replacen(old, new, 1)).unwrap();
    }

    /// Initialises a root so that it can be planned offline, and gives its folder. `with_choices` fills
    /// in what AWS would choose instead of leaving it unknown.
    pub fn prepare(&self, environment: &str, with_choices: bool) -> String {
        let fill = |text: &str| text.replace("ACCOUNT", ACCOUNT).replace("REGION", REGION);
        let folder = format!("infra/{environment}");
        std::fs::write(self.path(&folder).join("offline_override.tf"), OFFLINE).unwrap();
        if environment != "local" {
            std::fs::write(self.path(&folder).join("terraform.tfvars"), fill(VALUES)).unwrap();
        }
        if with_choices {
            for (file, text) in CHOSEN_BY_AWS {
                std::fs::write(self.path(file), fill(text)).unwrap();
            }
        }
        self.succeed(&folder, &["init", "-input=false", "-no-color"]);
        folder
    }

    /// The plan of a root as JSON, made offline; `with_choices` as in `prepare`.
    pub fn plan(&self, environment: &str, with_choices: bool) -> Value {
        let folder = self.prepare(environment, with_choices);
        self.succeed(&folder, PLAN);
        let shown = self.succeed(&folder, &["show", "-json", "plan.bin"]);
        serde_json::from_slice(&shown.stdout).unwrap()
    }

    /// Runs `terraform` in a folder of the copy.
    pub fn run(&self, folder: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new("terraform");
        command
            .args(arguments)
            .current_dir(self.path(folder))
            .env("CHECKPOINT_DISABLE", "1")
            .env("TF_IN_AUTOMATION", "1")
            .env(
                "TF_VAR_package",
                serde_json::json!({ "path": self.path("package.zip") }).to_string(),
            );
        // The user's environment must not reach the tests.
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if name.starts_with("AWS_") || name.starts_with("TF_CLI_ARGS") {
                command.env_remove(name);
            }
        }
        // A folder of plugins, for machines that cannot reach the registry.
        if let Some(plugins) = std::env::var_os("TARN_TF_PLUGIN_DIR") {
            let mut option = std::ffi::OsString::from("-plugin-dir=");
            option.push(plugins);
            command
                .env("TF_CLI_ARGS_init", option)
                .env_remove("TF_CLI_CONFIG_FILE");
        } else {
            // The provider is large: it is downloaded once.
            let cache = std::env::temp_dir().join("tarn-terraform-plugins");
            std::fs::create_dir_all(&cache).unwrap();
            command.env("TF_PLUGIN_CACHE_DIR", cache);
        }
        command
            .output()
            .expect("terraform 1.11 or later is on the PATH")
    }

    /// Runs `terraform`, which has to succeed.
    pub fn succeed(&self, folder: &str, arguments: &[&str]) -> Output {
        let output = self.run(folder, arguments);
        assert!(
            output.status.success(),
            "terraform {} in {folder}:\n{}{}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        output
    }
}

/// Copies a folder without what Terraform wrote into it.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == ".terraform" || name.contains("tfstate") || name == "terraform.tfvars" {
            continue;
        }
        let target = to.join(&name);
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
