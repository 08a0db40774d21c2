//! The settings of a function from its environment. Everything is read and checked before the first event,
//! and all faults are reported together.

use std::path::PathBuf;

use chrono::TimeDelta;
use tarn_aws::{Need, Settings};
use tarn_contract::{Contracts, load_dir};
use tarn_core::schema::Zone;
use tarn_core::{Error, ErrorKind, Result};
use tarn_table::Retention;

/// Which function this is, as `_HANDLER` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handler {
    /// New objects of the raw zone into tables.
    Ingest,
    /// Records of the stream into the raw zone.
    Archive,
    /// KPI tables from curated ones.
    Marts,
    /// Results, reports, and the age of the data.
    Quality,
    /// Old versions and orphaned files.
    Maintain,
    /// The HTTP API.
    Api,
}

impl Handler {
    const ALL: [(&'static str, Handler); 6] = [
        ("ingest", Handler::Ingest),
        ("archive", Handler::Archive),
        ("marts", Handler::Marts),
        ("quality", Handler::Quality),
        ("maintain", Handler::Maintain),
        ("api", Handler::Api),
    ];

    fn parse(text: &str) -> Option<Self> {
        let found = Handler::ALL.into_iter().find(|(name, _)| *name == text);
        found.map(|(_, handler)| handler)
    }

    /// What it cannot work without.
    fn needs(self) -> &'static [Need] {
        match self {
            Handler::Ingest => &[
                Need::Raw,
                Need::Curated,
                Need::Quarantine,
                Need::Database(Zone::Curated),
                Need::Database(Zone::Quality),
                Need::Ledger,
                Need::MartsQueue,
                Need::PseudonymSecret,
            ],
            Handler::Archive => &[Need::Raw, Need::Stream, Need::StreamDataset],
            Handler::Marts => &[
                Need::Curated,
                Need::Analytics,
                Need::Database(Zone::Curated),
                Need::Database(Zone::Analytics),
                Need::Ledger,
            ],
            Handler::Quality => &[
                Need::Quarantine,
                Need::Results,
                Need::Database(Zone::Quality),
                Need::Ledger,
            ],
            Handler::Maintain | Handler::Api => &[
                Need::Curated,
                Need::Analytics,
                Need::Quarantine,
                Need::Catalog,
            ],
        }
    }
}

/// Checked settings of a function.
#[derive(Debug)]
pub struct Start {
    /// Which function this is.
    pub handler: Handler,
    /// Names of buckets, tables, queues.
    pub settings: Settings,
    /// The datasets.
    pub contracts: Contracts,
    /// The memory that Lambda gives it, in MiB.
    pub memory: u64,
    /// CloudWatch's namespace of its metrics.
    pub namespace: String,
    /// What is kept of tables.
    pub retention: Retention,
}

/// A variable that the runtime needs.
const FROM_LAMBDA: [&str; 4] = [
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
];

/// A function with less would be stopped by its first file.
const LEAST_MEMORY: u64 = 256;

impl Start {
    /// Reads the environment.
    ///
    /// # Errors
    /// One `BadRequest` that names every fault.
    pub fn read(vars: &dyn Fn(&str) -> Option<String>) -> Result<Start> {
        let mut faults = Vec::new();
        for name in FROM_LAMBDA {
            if set(vars, name).is_none() {
                faults.push(format!("{name} is not set, as Lambda sets it"));
            }
        }
        let handler = handler(vars, &mut faults);
        let needs = handler.map_or(&[][..], Handler::needs);
        let settings = Settings::from_vars(vars, needs)
            .map_err(|error| faults.push(error.to_string()))
            .ok();
        let contracts = contracts(vars).map_err(|fault| faults.push(fault)).ok();
        let memory = number(
            vars,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
            1024,
            LEAST_MEMORY,
            &mut faults,
        );
        let keep_days = number(vars, "TARN_KEEP_DAYS", 30, 0, &mut faults);
        let keep_versions = number(vars, "TARN_KEEP_VERSIONS", 10, 1, &mut faults);
        let orphan_days = number(vars, "TARN_ORPHAN_DAYS", 3, 1, &mut faults);
        let (Some(handler), Some(settings), Some(contracts), true) =
            (handler, settings, contracts, faults.is_empty())
        else {
            return Err(Error::new(ErrorKind::BadRequest, faults.join("; ")));
        };
        Ok(Start {
            handler,
            settings,
            contracts,
            memory,
            namespace: set(vars, "TARN_METRICS_NAMESPACE").unwrap_or_else(|| "Tarn".to_owned()),
            retention: Retention {
                keep_for: days(keep_days),
                at_least: usize::try_from(keep_versions).unwrap_or(usize::MAX),
                orphans_after: days(orphan_days),
            },
        })
    }

    /// Threads that its share of processors can feed: one per 1,769 MiB, which is one processor.
    pub fn threads(&self) -> usize {
        usize::try_from(self.memory.div_ceil(1_769)).unwrap_or(1)
    }
}

/// A hundred years: no limit in practice.
const MOST: u64 = 36_500;

fn days(number: u64) -> TimeDelta {
    TimeDelta::days(i64::try_from(number.min(MOST)).unwrap_or_default())
}

fn set(vars: &dyn Fn(&str) -> Option<String>, name: &str) -> Option<String> {
    vars(name).filter(|value| !value.is_empty())
}

fn handler(vars: &dyn Fn(&str) -> Option<String>, faults: &mut Vec<String>) -> Option<Handler> {
    let given = set(vars, "_HANDLER").unwrap_or_default();
    let found = Handler::parse(&given);
    if found.is_none() {
        let names = Handler::ALL.map(|(name, _)| name).join(", ");
        faults.push(format!(
            "the function's handler is {given:?} and must be one of {names}"
        ));
    }
    found
}

fn contracts(vars: &dyn Fn(&str) -> Option<String>) -> Result<Contracts, String> {
    let beside = || {
        let root = set(vars, "LAMBDA_TASK_ROOT").unwrap_or_else(|| ".".to_owned());
        PathBuf::from(root).join("contracts")
    };
    let folder = set(vars, "TARN_CONTRACTS").map_or_else(beside, PathBuf::from);
    load_dir(&folder).map_err(|faults| {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        format!("the contracts have mistakes: {}", faults.join("; "))
    })
}

fn number(
    vars: &dyn Fn(&str) -> Option<String>,
    name: &str,
    default: u64,
    least: u64,
    faults: &mut Vec<String>,
) -> u64 {
    let Some(text) = set(vars, name) else {
        return default;
    };
    match text.parse() {
        Ok(number) if (least..=MOST).contains(&number) => number,
        _ => {
            faults.push(format!(
                "{name} is {text:?} and must be a whole number from {least} to {MOST}"
            ));
            default
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const RIGHT: [(&str, &str); 14] = [
        ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001"),
        ("AWS_LAMBDA_FUNCTION_NAME", "tarn-dev-ingest"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024"),
        ("_HANDLER", "ingest"),
        ("TARN_CONTRACTS", "../../contracts"),
        ("TARN_RAW_BUCKET", "tarn-raw"),
        ("TARN_CURATED_BUCKET", "tarn-curated"),
        ("TARN_QUARANTINE_BUCKET", "tarn-quarantine"),
        ("TARN_CURATED_DATABASE", "tarn_curated"),
        ("TARN_QUALITY_DATABASE", "tarn_quality"),
        ("TARN_LEDGER_TABLE", "tarn-ledger"),
        (
            "TARN_PSEUDONYM_SECRET",
            "arn:aws:secretsmanager:eu-central-1:123456789012:secret:tarn-pseudonym-AbCdEf",
        ),
        (
            "TARN_MARTS_QUEUE_URL",
            "https://sqs.eu-central-1.amazonaws.com/123456789012/tarn-marts",
        ),
    ];

    fn read(vars: &[(&str, &str)]) -> Result<Start> {
        let owned: Vec<(String, String)> = vars
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Start::read(&move |name| {
            // The last one wins.
            let found = owned.iter().rev().find(|(known, _)| known == name);
            found.map(|(_, value)| value.clone())
        })
    }

    #[test]
    fn a_function_starts_with_what_it_needs_and_defaults_for_the_rest() {
        let start = read(&RIGHT).unwrap();
        assert_eq!(start.handler, Handler::Ingest);
        assert_eq!(start.namespace, "Tarn");
        assert_eq!((start.memory, start.threads()), (1024, 1));
        assert_eq!(start.retention.keep_for, TimeDelta::days(30));
        assert!(start.contracts.get("orders").is_some());
        let more = [
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "3538"),
            ("TARN_KEEP_DAYS", "7"),
        ];
        let start = read(&[&RIGHT[..], &more].concat()).unwrap();
        assert_eq!(start.threads(), 2);
        assert_eq!(start.retention.keep_for, TimeDelta::days(7));
    }

    #[test]
    fn all_faults_are_named_at_once() {
        let wrong = [
            ("TARN_RAW_BUCKET", ""),
            ("TARN_LEDGER_TABLE", "no table"),
            ("TARN_KEEP_DAYS", "a month"),
            ("TARN_ORPHAN_DAYS", "0"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
            ("TARN_CONTRACTS", "/no/such/folder"),
        ];
        let text = read(&[&RIGHT[..], &wrong].concat())
            .unwrap_err()
            .to_string();
        for (name, _) in &wrong[..5] {
            assert!(text.contains(name), "{name}: {text}");
        }
        assert!(text.contains("/no/such/folder"), "{text}");
    }

    #[test]
    fn an_unknown_handler_is_refused_with_the_names_there_are() {
        let text = read(&[("_HANDLER", "bootstrap")]).unwrap_err().to_string();
        assert!(text.contains("\"bootstrap\""), "{text}");
        assert!(
            text.contains("ingest, archive, marts, quality, maintain, api"),
            "{text}"
        );
    }

    #[test]
    fn every_handler_names_what_it_lacks() {
        for (name, handler) in Handler::ALL {
            let vars = [("_HANDLER", name), ("TARN_CONTRACTS", "../../contracts")];
            let text = read(&vars).unwrap_err().to_string();
            assert!(text.contains("is not set"), "{name}: {text}");
            assert!(!handler.needs().is_empty());
        }
    }
}
