//! An emulator, and the lake that Terraform builds on it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// The repository: Cargo runs tests in the folder of their package.
pub fn root() -> PathBuf {
    std::env::current_dir()
        .unwrap()
        .parent()
        .unwrap()
        .to_owned()
}

/// A variable that `cargo xtask test` sets.
pub fn required(name: &str) -> OsString {
    std::env::var_os(name)
        .unwrap_or_else(|| panic!("{name} is not set: run cargo xtask test, which sets it"))
}

/// Asks repeatedly until there is an answer.
pub fn wait_for<T>(what: &str, seconds: u64, mut answer: impl FnMut() -> Result<T, String>) -> T {
    let started = Instant::now();
    loop {
        match answer() {
            Ok(answer) => return answer,
            Err(last) if started.elapsed().as_secs() >= seconds => {
                panic!("{what}: not within {seconds} s; last: {last}")
            }
            Err(_) => std::thread::sleep(Duration::from_millis(500)),
        }
    }
}

/// An emulator of AWS: that of `AWS_ENDPOINT_URL`, or one that the tests start on a free port, which ends
/// when this program ends.
pub struct Emulator {
    pub endpoint: String,
    own: Option<Child>,
    folder: TempDir,
}

impl Emulator {
    /// `authentication` checks signatures and enforces IAM policies.
    pub fn start(authentication: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        if let Ok(endpoint) = std::env::var("AWS_ENDPOINT_URL") {
            return Emulator {
                endpoint,
                own: None,
                folder,
            };
        }
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let log = std::fs::File::create(folder.path().join("emulator.log")).unwrap();
        let mut command = Command::new(required("TARN_EMULATOR_PYTHON"));
        command
            .arg(root().join("localstack/ministack_start.py"))
            .args(["--stop-with-stdin", "--port", &port.to_string()])
            .arg("--state-dir")
            .arg(folder.path().join("state"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        if authentication {
            command.arg("--authentication");
        }
        let emulator = Emulator {
            endpoint: format!("http://localhost:{port}"),
            own: Some(command.spawn().unwrap()),
            folder,
        };
        wait_for("the emulator", 60, || {
            let output = Command::new("curl")
                .args(["--silent", "--fail", "--output", "/dev/null"])
                .arg(format!("{}/_ministack/ready", emulator.endpoint))
                .status()
                .map_err(|error| error.to_string())?;
            output
                .success()
                .then_some(())
                .ok_or_else(|| emulator.log_end())
        });
        emulator
    }

    /// What the emulator and the functions wrote last.
    pub fn log_end(&self) -> String {
        let text = std::fs::read(self.folder.path().join("emulator.log")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }

    /// The running processes of a function: their identifiers and environments. Empty for an emulator
    /// that the tests did not start.
    pub fn processes(&self, handler: &str) -> Vec<(String, BTreeMap<String, String>)> {
        let handler = handler.to_owned();
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").unwrap() {
            let process = entry.unwrap();
            // Most belong to other programs, and some have ended by now.
            let environment = std::fs::read(process.path().join("environ")).unwrap_or_default();
            let environment: BTreeMap<String, String> = String::from_utf8_lossy(&environment)
                .split('\0')
                .filter_map(|variable| variable.split_once('='))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect();
            let is_ours = environment
                .get("LAMBDA_TASK_ROOT")
                .is_some_and(|code| Path::new(code).starts_with(self.folder.path()));
            if is_ours && environment.get("_HANDLER") == Some(&handler) {
                let id = process.file_name().into_string().unwrap();
                found.push((id, environment));
            }
        }
        found
    }

    /// Whether the tests started it, so its functions are processes here.
    pub fn is_own(&self) -> bool {
        self.own.is_some()
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        if let Some(child) = &mut self.own {
            // It stops, with its functions, when its input ends.
            drop(child.stdin.take());
            child.wait().unwrap();
        }
        if std::thread::panicking() {
            let mut stderr = std::io::stderr();
            writeln!(stderr, "--- the emulator's log ends:\n{}", self.log_end()).unwrap();
        }
    }
}

/// The lake of `infra/local` on an emulator.
pub struct Deployment {
    pub emulator: Emulator,
    pub outputs: Value,
    package: PathBuf,
    work: TempDir,
}

impl Deployment {
    /// Starts an emulator and applies.
    pub fn new(authentication: bool) -> Self {
        let mut deployment = Deployment {
            emulator: Emulator::start(authentication),
            outputs: Value::Null,
            package: required("TARN_PACKAGE").into(),
            work: tempfile::tempdir().unwrap(),
        };
        // Version 2 would otherwise want text in base64, which version 1 takes as it is.
        std::fs::write(
            deployment.work.path().join("aws-config"),
            "[default]\ncli_binary_format = raw-in-base64-out\n",
        )
        .unwrap();
        let mut init = deployment.terraform("init");
        init.args(["-input=false", "-no-color"]);
        if let Some(plugins) = std::env::var_os("TARN_TF_PLUGIN_DIR") {
            let mut option = OsString::from("-plugin-dir=");
            option.push(plugins);
            init.arg(option).env_remove("TF_CLI_CONFIG_FILE");
        }
        succeed(&mut init);
        succeed(
            deployment
                .with_variables("apply")
                .args(["-auto-approve", "-parallelism=40"]),
        );
        let outputs = succeed(
            deployment
                .terraform("output")
                .arg(deployment.state_option())
                .arg("-json"),
        );
        let mut outputs: Value = serde_json::from_str(&outputs).unwrap();
        for output in outputs.as_object_mut().unwrap().values_mut() {
            *output = output["value"].take();
        }
        deployment.outputs = outputs;
        deployment
    }

    /// A folder for files of the test.
    pub fn scratch(&self) -> &Path {
        self.work.path()
    }

    fn state_option(&self) -> String {
        format!(
            "-state={}",
            self.work.path().join("terraform.tfstate").display()
        )
    }

    fn terraform(&self, subcommand: &str) -> Command {
        let mut command = Command::new("terraform");
        command
            .arg(format!("-chdir={}", root().join("infra/local").display()))
            .arg(subcommand)
            .env("TF_DATA_DIR", self.work.path().join("terraform"))
            .env("TF_IN_AUTOMATION", "true")
            .env("CHECKPOINT_DISABLE", "true")
            .stdin(Stdio::null());
        // The user's own AWS settings must not reach the emulator.
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("AWS_")) {
                command.env_remove(name);
            }
        }
        command
    }

    fn with_variables(&self, subcommand: &str) -> Command {
        let mut command = self.terraform(subcommand);
        command
            .arg(self.state_option())
            .args(["-input=false", "-no-color", "-compact-warnings"])
            .arg(format!("-var=endpoint={}", self.emulator.endpoint))
            .arg(format!(
                "-var=package={}",
                serde_json::json!({ "path": self.package })
            ))
            .arg(format!(
                "-var=architecture={}",
                if cfg!(target_arch = "aarch64") {
                    "arm64"
                } else {
                    "x86_64"
                }
            ));
        command
    }

    /// A plan of what is built must have nothing to do.
    pub fn assert_second_plan_is_empty(&self) {
        let output = self
            .with_variables("plan")
            .arg("-detailed-exitcode")
            .output()
            .unwrap();
        assert_eq!(
            output.status.code(),
            Some(0),
            "the second plan has changes:\n{}",
            text_of(&output)
        );
    }

    pub fn destroy(&self) {
        succeed(
            self.with_variables("destroy")
                .args(["-auto-approve", "-parallelism=40"]),
        );
    }

    /// An output that is text.
    pub fn output(&self, name: &str) -> &str {
        self.outputs[name]
            .as_str()
            .unwrap_or_else(|| panic!("there is no output {name}"))
    }

    /// The AWS command line, as the emulator's root user.
    pub fn aws(&self, args: &[&str]) -> Command {
        let mut command =
            Command::new(std::env::var_os("TARN_AWS_CLI").unwrap_or_else(|| "aws".into()));
        command
            .args(args)
            // Version 1 does not read AWS_ENDPOINT_URL for SQS.
            .args(["--endpoint-url", &self.emulator.endpoint])
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env_remove("AWS_SESSION_TOKEN")
            .env_remove("AWS_PROFILE")
            .env("AWS_DEFAULT_REGION", self.output("region"))
            .env("AWS_CONFIG_FILE", self.work.path().join("aws-config"))
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .stdin(Stdio::null());
        command
    }

    /// The answer of an AWS command that must succeed.
    pub fn aws_ok(&self, args: &[&str]) -> Value {
        let text = succeed(self.aws(args).args(["--output", "json"]));
        if text.trim().is_empty() {
            return Value::Null;
        }
        serde_json::from_str(&text).unwrap_or(Value::String(text))
    }

    /// `aws s3 cp` into the raw zone.
    pub fn upload(&self, path: &Path, key: &str) {
        succeed(
            self.aws(&["s3", "cp", "--only-show-errors"])
                .arg(path)
                .arg(format!("s3://{}/{key}", self.output("raw_bucket"))),
        );
    }

    /// Messages of a queue, waiting and taken.
    pub fn depth(&self, queue_url: &str) -> u64 {
        let attributes = self.aws_ok(&[
            "sqs",
            "get-queue-attributes",
            "--queue-url",
            queue_url,
            "--attribute-names",
            "All",
        ]);
        [
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
        ]
        .iter()
        .map(|name| {
            attributes["Attributes"][name]
                .as_str()
                .unwrap()
                .parse::<u64>()
                .unwrap()
        })
        .sum()
    }
}

/// The standard output of a command that must succeed.
pub fn succeed(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", command.get_program().display()));
    assert!(
        output.status.success(),
        "{command:?} failed:\n{}",
        text_of(&output)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Everything that a command wrote.
pub fn text_of(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
