//! A lake in a temporary folder and the binary that works on it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// The repository.
pub fn root() -> PathBuf {
    // Cargo runs tests in the folder of their package. The path is not compiled in: a build may be
    // shared by clones in several places.
    std::env::current_dir()
        .unwrap()
        .parent()
        .unwrap()
        .to_owned()
}

/// The binary: `cargo xtask test` builds it and names it.
pub fn binary() -> PathBuf {
    match std::env::var_os("TARN_BIN") {
        Some(path) => path.into(),
        // target/<profile>/deps/e2e-… → target/<profile>/tarn
        None => std::env::current_exe()
            .unwrap()
            .parent()
            .unwrap()
            .parent()
            .unwrap()
            .join("tarn"),
    }
}

/// Real data that is not part of the repository, if it is present.
pub fn shared(path: &str) -> Option<PathBuf> {
    let path = root().join("../shared/data").join(path);
    if !path.exists() {
        eprintln!("NOT RUN: {} is not there", path.display());
        return None;
    }
    Some(path)
}

/// Rows of other objects that left the table for newer ones, by the outcome of a run.
pub fn replaced(outcome: &Value) -> u64 {
    let replaced = outcome["replaced"].as_array();
    let rows = replaced.into_iter().flatten();
    rows.map(|object| object["rows"].as_u64().unwrap()).sum()
}

/// A lake of its own.
pub struct Lake {
    folder: TempDir,
    /// The part of the lake's path that is below that folder.
    below: PathBuf,
    /// `--contracts`
    pub contracts: Option<PathBuf>,
}

impl Lake {
    pub fn new() -> Self {
        Lake {
            folder: tempfile::tempdir().unwrap(),
            below: PathBuf::from("lake"),
            contracts: None,
        }
    }

    /// A lake with this contract alone.
    pub fn with_contract(file: &str, text: &str) -> Self {
        let mut lake = Lake::new();
        let folder = lake.scratch().join("contracts");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(file), text).unwrap();
        lake.contracts = Some(folder);
        lake
    }

    /// A lake whose path goes through a folder of this name.
    pub fn below(name: &str) -> Self {
        Lake {
            below: Path::new(name).join("lake"),
            ..Lake::new()
        }
    }

    /// A lake with the keys of another: the same people have the same pseudonyms.
    pub fn with_keys_of(other: &Lake) -> Self {
        let lake = Lake::new();
        lake.ok(&["keys", "rotate"]);
        let file = ".tarn/keys/pseudonym.json";
        std::fs::copy(other.path().join(file), lake.path().join(file)).unwrap();
        lake
    }

    /// The lake's folder.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join(&self.below)
    }

    /// A folder for other files.
    pub fn scratch(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file outside the lake.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join("files").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(binary());
        command
            .env_remove("TARN_LAKE")
            .env_remove("TARN_CONTRACTS")
            .arg("--lake")
            .arg(self.path());
        if let Some(contracts) = &self.contracts {
            command.arg("--contracts").arg(contracts);
        }
        command
    }

    pub fn run(&self, args: &[&str]) -> Output {
        self.command().args(args).output().unwrap()
    }

    /// Runs a command that must succeed; its standard output.
    pub fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(
            output.status.success(),
            "{args:?} failed, {}: {}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// Ingests files and returns the run records, whatever their status.
    pub fn ingest(&self, paths: &[&Path]) -> Vec<Value> {
        let mut command = self.command();
        let output = command
            .args(["--json", "ingest"])
            .args(paths)
            .output()
            .unwrap();
        let records = lines(&String::from_utf8(output.stdout).unwrap());
        assert!(
            !records.is_empty(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        for record in &records {
            assert_accounted(record);
        }
        records
    }

    /// The rows of a query as JSON objects.
    pub fn query(&self, sql: &str) -> Vec<Value> {
        let text = self.ok(&["query", "--format", "ndjson", sql]);
        lines(&text)
    }

    /// The single value of a query.
    pub fn value(&self, sql: &str) -> Value {
        let rows = self.query(sql);
        assert_eq!(rows.len(), 1, "{sql}");
        rows[0]
            .as_object()
            .unwrap()
            .values()
            .next()
            .unwrap()
            .clone()
    }

    /// The tables as `tarn tables --json` lists them.
    pub fn tables(&self) -> Vec<Value> {
        lines(&self.ok(&["--json", "tables"]))
    }
}

/// JSON lines.
pub fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Accepted + rejected = received in every dataset of a run.
pub fn assert_accounted(record: &Value) {
    for outcome in record["datasets"].as_array().unwrap() {
        let number = |name: &str| outcome[name].as_u64().unwrap();
        assert_eq!(
            number("accepted") + number("rejected"),
            number("received"),
            "{record}"
        );
        let by_rule: u64 = outcome["rejected_by"]
            .as_object()
            .unwrap()
            .values()
            .map(|count| count.as_u64().unwrap())
            .sum();
        assert_eq!(by_rule, number("rejected"), "{record}");
    }
    if record["status"] == "failed" {
        assert!(
            record["reason"]
                .as_str()
                .is_some_and(|reason| !reason.is_empty()),
            "{record}"
        );
    }
}
