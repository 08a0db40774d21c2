//! The deployed HTTP API, as curl calls it.

use std::process::Command;

use serde_json::{Value, json};

use crate::deployment::{Deployment, succeed};

impl Deployment {
    /// Status and body of a request; `signed` adds the signature of the caller that IAM asks for.
    pub fn request(&self, signed: bool, path: &str, body: Option<&Value>) -> (u16, Value) {
        let api = self.output("api_endpoint").trim_end_matches('/');
        let host = api.split("://").nth(1).unwrap().split('/').next().unwrap();
        let (name, port) = host.split_once(':').unwrap_or((host, "80"));
        let mut command = Command::new("curl");
        command
            .args(["--silent", "--show-error", "--max-time", "60"])
            .args(["--write-out", "\n%{http_code}"])
            .arg("--resolve")
            .arg(format!("{name}:{port}:127.0.0.1"));
        if signed {
            command
                .arg("--aws-sigv4")
                .arg(format!("aws:amz:{}:execute-api", self.output("region")))
                .args(["--user", "test:test"]);
        }
        if let Some(body) = body {
            command
                .args(["--header", "Content-Type: application/json"])
                .args(["--data-binary", &body.to_string()]);
        }
        let answer = succeed(command.arg(format!("{api}{path}")));
        let (body, status) = answer.rsplit_once('\n').unwrap();
        (
            status.parse().unwrap(),
            serde_json::from_str(body).unwrap_or(Value::String(body.to_owned())),
        )
    }

    /// The rows of a query.
    pub fn query(&self, sql: &str) -> Result<Vec<Value>, String> {
        let (status, body) = self.request(true, "/query", Some(&json!({"sql": sql})));
        match body["rows"].as_array() {
            Some(rows) if status == 200 => Ok(rows.clone()),
            _ => Err(format!("{sql}: {status} {body}")),
        }
    }

    /// A single number; a table that does not exist yet has no rows.
    pub fn count(&self, table: &str, condition: &str) -> Result<u64, String> {
        let rows = self.query(&format!(
            "SELECT COUNT(*) AS n FROM {table} WHERE {condition}"
        ))?;
        rows[0]["n"]
            .as_u64()
            .ok_or_else(|| format!("{table}: no number in {rows:?}"))
    }

    /// Waits until a table has this many rows, and sees that no more come.
    pub fn wait_for_rows(&self, table: &str, condition: &str, expected: u64) {
        crate::deployment::wait_for(&format!("{expected} rows in {table}"), 180, || {
            match self.count(table, condition)? {
                found if found == expected => Ok(()),
                found if found > expected => panic!("{table}: {found} rows, not {expected}"),
                found => Err(format!("{found} rows")),
            }
        });
    }
}
