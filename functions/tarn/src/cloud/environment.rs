//! Where the lake on AWS is: the `TARN_*` variables, or the outputs of the Terraform root that it was
//! deployed from.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tarn_aws::{Need, Settings};
use tarn_core::{Error, ErrorKind, Result};

/// Outputs of a root, and the variables that say the same.
const OUTPUTS: [(&str, &str); 18] = [
    ("raw_bucket", "TARN_RAW_BUCKET"),
    ("curated_bucket", "TARN_CURATED_BUCKET"),
    ("analytics_bucket", "TARN_ANALYTICS_BUCKET"),
    ("quarantine_bucket", "TARN_QUARANTINE_BUCKET"),
    ("results_bucket", "TARN_RESULTS_BUCKET"),
    ("curated_database", "TARN_CURATED_DATABASE"),
    ("analytics_database", "TARN_ANALYTICS_DATABASE"),
    ("quality_database", "TARN_QUALITY_DATABASE"),
    ("ledger_table", "TARN_LEDGER_TABLE"),
    ("stream", "TARN_STREAM"),
    ("ingest_queue_url", "TARN_INGEST_QUEUE_URL"),
    ("ingest_dlq_url", "TARN_INGEST_DLQ_URL"),
    ("marts_queue_url", "TARN_MARTS_QUEUE_URL"),
    ("marts_dlq_url", "TARN_MARTS_DLQ_URL"),
    ("archive_dlq_url", "TARN_ARCHIVE_DLQ_URL"),
    ("pseudonym_secret", "TARN_PSEUDONYM_SECRET"),
    ("region", "AWS_REGION"),
    ("endpoint", "AWS_ENDPOINT_URL"),
];

/// Values of variables: those of a Terraform root win over those of the process.
#[derive(Debug, Default)]
pub struct Environment {
    outputs: BTreeMap<&'static str, String>,
    root: Option<String>,
}

impl Environment {
    /// Asks Terraform for the outputs of a root, where one is given.
    ///
    /// # Errors
    /// `BadRequest` if Terraform is not installed, or the root was not applied.
    pub fn read(root: Option<&Path>) -> Result<Environment> {
        let Some(root) = root else {
            return Ok(Environment::default());
        };
        Ok(Environment {
            outputs: outputs(&terraform_output(root)?)?,
            root: Some(root.display().to_string()),
        })
    }

    /// The value of a variable, where it is set.
    pub fn get(&self, variable: &str) -> Option<String> {
        let output = self.outputs.get(variable).cloned();
        output
            .or_else(|| std::env::var(variable).ok())
            .filter(|value| !value.is_empty())
    }

    /// Checked settings.
    ///
    /// # Errors
    /// One `BadRequest` that names every fault and says where settings come from.
    pub fn settings(&self, needs: &[Need]) -> Result<Settings> {
        Settings::from_vars(&|name| self.get(name), needs)
            .map_err(|error| error.context(self.source()))
    }

    /// Variables that a command needs.
    ///
    /// # Errors
    /// One `BadRequest` that names all that are not set.
    pub fn need<const N: usize>(&self, variables: [&str; N]) -> Result<[String; N]> {
        let missing: Vec<String> = variables
            .into_iter()
            .filter(|variable| self.get(variable).is_none())
            .map(|variable| {
                let output = OUTPUTS.iter().find(|(_, name)| *name == variable);
                let output = output.map_or("", |(output, _)| output);
                format!("{variable} is not set (output {output})")
            })
            .collect();
        if missing.is_empty() {
            return Ok(variables.map(|variable| self.get(variable).unwrap_or_default()));
        }
        Err(bad(missing.join("; ")).context(self.source()))
    }

    fn source(&self) -> String {
        match &self.root {
            Some(root) => format!("the outputs of {root}, and the environment"),
            None => "the environment (or name the lake's Terraform root with --env)".to_owned(),
        }
    }
}

fn bad(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::BadRequest, text)
}

fn terraform_output(root: &Path) -> Result<Vec<u8>> {
    if !root.is_dir() {
        return Err(bad(format!("there is no folder {}", root.display())));
    }
    let output = Command::new("terraform")
        .arg(format!("-chdir={}", root.display()))
        .args(["output", "-json"])
        .output()
        .map_err(|error| {
            bad("terraform cannot be run; install it, or set the TARN_* variables and say --aws")
                .with_source(error)
        })?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(bad(format!(
        "terraform output of {} failed: {}",
        root.display(),
        String::from_utf8_lossy(&output.stderr).trim()
    )))
}

fn outputs(json: &[u8]) -> Result<BTreeMap<&'static str, String>> {
    let found: Value = serde_json::from_slice(json)
        .map_err(|error| bad("terraform's outputs are not JSON").with_source(error))?;
    let mut values = BTreeMap::new();
    for (output, variable) in OUTPUTS {
        let value = found.pointer(&format!("/{output}/value"));
        if let Some(text) = value
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
        {
            values.insert(variable, text.to_owned());
        }
    }
    if values.is_empty() {
        return Err(bad(
            "the Terraform root has no outputs of a lake; apply it first",
        ));
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const JSON: &[u8] = br#"{
        "raw_bucket": { "sensitive": false, "type": "string", "value": "tarn-dev-raw" },
        "region": { "sensitive": false, "type": "string", "value": "eu-central-1" },
        "endpoint": { "sensitive": false, "type": "string", "value": "" },
        "functions": { "type": ["map", "string"], "value": { "ingest": "tarn-dev-ingest" } }
    }"#;

    #[test]
    fn outputs_of_a_root_become_variables() {
        let values = outputs(JSON).unwrap();
        let expected = [
            ("AWS_REGION", "eu-central-1"),
            ("TARN_RAW_BUCKET", "tarn-dev-raw"),
        ];
        let expected: BTreeMap<_, _> = expected
            .into_iter()
            .map(|(name, value)| (name, value.to_owned()))
            .collect();
        assert_eq!(values, expected);
    }

    #[test]
    fn a_root_that_was_not_applied_is_told_from_one_that_was() {
        for json in [&b"{}"[..], b"null", b"no JSON"] {
            assert!(outputs(json).is_err());
        }
    }

    #[test]
    fn what_is_missing_is_said_with_the_way_to_say_it() {
        let environment = Environment {
            outputs: outputs(JSON).unwrap(),
            root: Some("infra/dev".to_owned()),
        };
        let needs = [Need::Raw, Need::Curated, Need::Ledger];
        let text = environment.settings(&needs).unwrap_err().to_string();
        assert!(text.contains("infra/dev"), "{text}");
        assert!(text.contains("TARN_CURATED_BUCKET is not set"), "{text}");
        assert!(text.contains("TARN_LEDGER_TABLE is not set"), "{text}");
        let needed = ["TARN_INGEST_DLQ_URL", "TARN_RAW_BUCKET", "TARN_STREAM"];
        let text = environment.need(needed).unwrap_err().to_string();
        assert!(text.contains("TARN_STREAM is not set"), "{text}");
        assert!(!text.contains("TARN_RAW_BUCKET"), "{text}");
        assert!(text.contains("ingest_dlq_url"), "{text}");
        let error = Environment::read(Some(Path::new("/no/such/root"))).unwrap_err();
        assert!(error.to_string().contains("/no/such/root"));
    }
}
