//! `cargo xtask local`: the whole lake on an emulator of AWS on this machine.

use std::path::PathBuf;
use std::process::Command;

use clap::{Args, Subcommand};

use crate::emulator::Emulator;
use crate::package;
use crate::terraform::Terraform;
use crate::{Outcome, process, target};

/// Names an emulator that somebody else has started, such as one in Docker.
const ENDPOINT: &str = "AWS_ENDPOINT_URL";

/// Options of `cargo xtask local`.
#[derive(Args)]
pub struct Options {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Start the emulator and build the lake on it; what is there already is brought up to date
    Up {
        #[command(flatten)]
        place: Place,
        /// Zip file of the functions; by default the binary is built and packaged for this machine
        #[arg(long)]
        package: Option<PathBuf>,
    },
    /// Destroy the lake and stop the emulator
    Down {
        #[command(flatten)]
        place: Place,
    },
    /// Say what is running
    Status {
        #[command(flatten)]
        place: Place,
    },
    /// Print the end of the emulator's log, which holds the output of the functions, too
    Logs {
        #[command(flatten)]
        place: Place,
        /// Go on printing what is added
        #[arg(long)]
        follow: bool,
    },
}

#[derive(Args)]
struct Place {
    /// Port of the emulator, on the loopback interface only
    #[arg(long, default_value_t = USUAL_PORT)]
    port: u16,
}

/// The port of MiniStack and LocalStack.
const USUAL_PORT: u16 = 4566;

/// One lake on one emulator; its files are in `<target>/local/<port>`.
struct Local {
    folder: PathBuf,
    /// Whether Terraform's state is in `infra/local`: on the usual port.
    usual: bool,
    emulator: Emulator,
    /// An emulator that is not ours to start and stop.
    elsewhere: Option<String>,
}

pub fn run(options: &Options) -> Outcome {
    match &options.action {
        Action::Up { place, package } => Local::new(place)?.up(package.as_deref()),
        Action::Down { place } => Local::new(place)?.down(),
        Action::Status { place } => Local::new(place)?.status(),
        Action::Logs { place, follow } => Local::new(place)?.logs(*follow),
    }
}

impl Local {
    fn new(place: &Place) -> Outcome<Self> {
        let target = target()?.join("local");
        let elsewhere = match process::variable(ENDPOINT) {
            None => None,
            Some(endpoint) => Some(
                endpoint
                    .into_string()
                    .map_err(|_| format!("{ENDPOINT} is not a URL"))?,
            ),
        };
        // The commands to try set the variable to an emulator of ours.
        let elsewhere = elsewhere.filter(|endpoint| {
            let ours = Emulator::new(place.port, &target.join(place.port.to_string()));
            let named = [ours.endpoint(), format!("http://127.0.0.1:{}", place.port)];
            let is_free_or_ours = ours.running().is_some() || !ours.ready();
            !(named.contains(&endpoint.trim_end_matches('/').to_owned()) && is_free_or_ours)
        });
        let name = match &elsewhere {
            None => place.port.to_string(),
            Some(endpoint) => endpoint.replace(|c: char| !c.is_ascii_alphanumeric(), "-"),
        };
        let folder = target.join(name);
        Ok(Local {
            emulator: Emulator::new(place.port, &folder),
            usual: place.port == USUAL_PORT,
            folder,
            elsewhere,
        })
    }

    fn endpoint(&self) -> String {
        self.elsewhere
            .clone()
            .unwrap_or_else(|| self.emulator.endpoint())
    }

    /// The copy of the functions' zip file that is deployed; Terraform reads it again to destroy.
    fn package(&self) -> PathBuf {
        self.folder.join("functions.zip")
    }

    fn terraform(&self) -> Outcome<Terraform> {
        let folder = (!self.usual).then_some(self.folder.as_path());
        Terraform::new(folder, &self.endpoint())
    }

    fn up(&self, given: Option<&std::path::Path>) -> Outcome {
        // First what needs no time and may be missing.
        let terraform = self.terraform()?;
        let package = match given {
            Some(path) => std::path::absolute(path)
                .ok()
                .filter(|path| path.is_file())
                .ok_or_else(|| format!("{}: there is no such package", path.display()))?,
            None => package::quick()?,
        };
        match &self.elsewhere {
            Some(endpoint) => eprintln!("\n==> emulator at {endpoint} ({ENDPOINT})"),
            None if self.emulator.running().is_some() => {
                self.emulator.wait(|| None)?;
                eprintln!("\n==> emulator is running on port {}", self.emulator.port);
            }
            None => {
                // An emulator keeps nothing when it stops.
                terraform.forget()?;
                self.emulator.start()?;
                eprintln!("\n==> emulator started on port {}", self.emulator.port);
            }
        }
        eprintln!("\n==> terraform init");
        terraform.init()?;
        eprintln!("\n==> terraform apply");
        let deployed = self.package();
        std::fs::copy(&package, &deployed)
            .map_err(|error| format!("{}: {error}", deployed.display()))?;
        terraform.apply(&deployed)?;
        println!("{}", self.greeting(&terraform.outputs()?));
        Ok(())
    }

    fn down(&self) -> Outcome {
        let running = self.elsewhere.is_some() || self.emulator.running().is_some();
        let terraform = self.terraform()?;
        if running && terraform.has_state() {
            eprintln!("\n==> terraform destroy");
            terraform.destroy(&self.package())?;
        }
        terraform.forget()?;
        if self.elsewhere.is_none() {
            let stopped = self.emulator.stop()?;
            eprintln!(
                "\n==> emulator {}",
                if stopped {
                    "stopped"
                } else {
                    "was not running"
                }
            );
        }
        Ok(())
    }

    fn status(&self) -> Outcome {
        let running = match &self.elsewhere {
            Some(endpoint) => {
                println!("emulator: {endpoint} ({ENDPOINT})");
                true
            }
            None => match self.emulator.running() {
                Some(pid) if self.emulator.ready() => {
                    println!("emulator: {} (process {pid})", self.emulator.endpoint());
                    true
                }
                Some(pid) => {
                    println!("emulator: process {pid} does not answer; see cargo xtask local logs");
                    false
                }
                None => {
                    println!("emulator: not running; cargo xtask local up starts it");
                    false
                }
            },
        };
        let terraform = self.terraform()?;
        if !running || !terraform.has_state() {
            println!("lake: not deployed");
            return Ok(());
        }
        println!("lake: {} resources", terraform.resources()?.len());
        println!("{}", self.greeting(&terraform.outputs()?));
        Ok(())
    }

    fn logs(&self, follow: bool) -> Outcome {
        let log = self.emulator.log();
        if !log.exists() {
            return Err(format!(
                "{}: there is no log; cargo xtask local up starts the emulator",
                log.display()
            ));
        }
        let mut command = Command::new("tail");
        command.args(["-n", "200"]);
        if follow {
            command.arg("-f");
        }
        process::run("tail", command.arg(&log))
    }

    /// Where everything is, and what to try first.
    fn greeting(&self, outputs: &serde_json::Value) -> String {
        let text = |name: &str| outputs[name].as_str().unwrap_or("?").to_owned();
        let api = text("api_endpoint");
        let raw = text("raw_bucket");
        let mut lines = vec![
            String::new(),
            format!("endpoint    {}", self.endpoint()),
            format!("API         {api}"),
        ];
        for zone in ["raw", "curated", "analytics", "quarantine", "results"] {
            lines.push(format!(
                "{zone:<11} s3://{}",
                text(&format!("{zone}_bucket"))
            ));
        }
        lines.push(format!("stream      {}", text("stream")));
        lines.push(format!(
            "
Try it, with any AWS CLI:

  export AWS_ENDPOINT_URL={endpoint} AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION={region}
  cargo run -- generate --out shop
  aws s3 cp --recursive shop/web/access_logs s3://{raw}/raw/web/access_logs/ingest_date=$(date -u +%F)
  aws logs filter-log-events --log-group-name /aws/lambda/{ingest} --query events[].message --output text
  curl {api}/health
{tarn}  curl --aws-sigv4 aws:amz:{region}:execute-api --user test:test {api}/tables
  curl --aws-sigv4 aws:amz:{region}:execute-api --user test:test {api}/query \\
    --json '{{\"sql\": \"SELECT status, COUNT(*) AS requests FROM web_requests GROUP BY status\"}}'",
            endpoint = self.endpoint(),
            region = text("region"),
            tarn = if self.usual {
                "  cargo run --features aws -- --env infra/local runs\n"
            } else {
                ""
            },
            ingest = outputs["functions"]["ingest"].as_str().unwrap_or("?"),
        ));
        lines.join("\n")
    }
}
