//! The settings of the lake's ports on AWS: names of buckets, databases, the ledger's table, streams and
//! queues. They come from environment variables, and all of them are checked at once.

use std::collections::BTreeMap;

use tarn_core::schema::Zone;
use tarn_core::{Error, ErrorKind, Result};

/// Days after which the ledger forgets a run, where [`RUN_DAYS`] says nothing.
const DEFAULT_RUN_DAYS: u32 = 400;

/// The variable that says after how many days the ledger forgets a run.
pub const RUN_DAYS: &str = "TARN_RUN_DAYS";
const LEDGER_TABLE: &str = "TARN_LEDGER_TABLE";
const STREAM: &str = "TARN_STREAM";
const STREAM_DATASET: &str = "TARN_STREAM_DATASET";
const INGEST_QUEUE_URL: &str = "TARN_INGEST_QUEUE_URL";
const MARTS_QUEUE_URL: &str = "TARN_MARTS_QUEUE_URL";
const PSEUDONYM_SECRET: &str = "TARN_PSEUDONYM_SECRET";
const ENDPOINT: &str = "AWS_ENDPOINT_URL";

/// A bucket of the lake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Bucket {
    Raw,
    Curated,
    Analytics,
    Quarantine,
    Results,
}

impl Bucket {
    const ALL: [Bucket; 5] = [
        Bucket::Raw,
        Bucket::Curated,
        Bucket::Analytics,
        Bucket::Quarantine,
        Bucket::Results,
    ];

    fn variable(self) -> &'static str {
        match self {
            Bucket::Raw => "TARN_RAW_BUCKET",
            Bucket::Curated => "TARN_CURATED_BUCKET",
            Bucket::Analytics => "TARN_ANALYTICS_BUCKET",
            Bucket::Quarantine => "TARN_QUARANTINE_BUCKET",
            Bucket::Results => "TARN_RESULTS_BUCKET",
        }
    }

    /// The first part of the keys in it.
    fn first_part(self) -> &'static str {
        match self {
            Bucket::Raw => "raw",
            Bucket::Curated => "curated",
            Bucket::Analytics => "analytics",
            Bucket::Quarantine => "quality",
            Bucket::Results => "results",
        }
    }
}

fn database_variable(zone: Zone) -> &'static str {
    match zone {
        Zone::Curated => "TARN_CURATED_DATABASE",
        Zone::Analytics => "TARN_ANALYTICS_DATABASE",
        Zone::Quality => "TARN_QUALITY_DATABASE",
    }
}

/// A setting that a caller needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// The bucket of raw objects.
    Raw,
    /// The bucket of curated tables.
    Curated,
    /// The bucket of analytics tables.
    Analytics,
    /// The bucket of quarantine tables and the quality summary.
    Quarantine,
    /// The bucket of query results.
    Results,
    /// The database of one zone.
    Database(Zone),
    /// The databases of all zones.
    Catalog,
    /// The ledger's table.
    Ledger,
    /// The stream of events.
    Stream,
    /// The dataset that records of the stream belong to.
    StreamDataset,
    /// The queue that notifies the marts of changed tables.
    MartsQueue,
    /// The secret that holds the keys of pseudonyms.
    PseudonymSecret,
}

impl Need {
    fn variables(self) -> Vec<&'static str> {
        match self {
            Need::Raw => vec![Bucket::Raw.variable()],
            Need::Curated => vec![Bucket::Curated.variable()],
            Need::Analytics => vec![Bucket::Analytics.variable()],
            Need::Quarantine => vec![Bucket::Quarantine.variable()],
            Need::Results => vec![Bucket::Results.variable()],
            Need::Database(zone) => vec![database_variable(zone)],
            Need::Catalog => Zone::ALL.map(database_variable).to_vec(),
            Need::Ledger => vec![LEDGER_TABLE],
            Need::Stream => vec![STREAM],
            Need::StreamDataset => vec![STREAM_DATASET],
            Need::MartsQueue => vec![MARTS_QUEUE_URL],
            Need::PseudonymSecret => vec![PSEUDONYM_SECRET],
        }
    }
}

/// Checked settings. What is not set is an error only when it is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    buckets: BTreeMap<Bucket, String>,
    databases: BTreeMap<Zone, String>,
    ledger_table: Option<String>,
    stream: Option<String>,
    stream_dataset: Option<String>,
    ingest_queue_url: Option<String>,
    marts_queue_url: Option<String>,
    pseudonym_secret: Option<String>,
    run_days: u32,
    region: Option<String>,
    endpoint: Option<String>,
}

impl Settings {
    /// Reads the variables that `vars` returns, and checks that those of `needs` are set. An empty variable
    /// counts as not set.
    ///
    /// # Errors
    /// One `BadRequest` that names every variable that is missing or wrong.
    pub fn from_vars(vars: &dyn Fn(&str) -> Option<String>, needs: &[Need]) -> Result<Settings> {
        let mut read = Reader {
            vars,
            faults: Vec::new(),
        };
        let mut buckets = BTreeMap::new();
        for bucket in Bucket::ALL {
            if let Some(name) = read.checked(bucket.variable(), BUCKET_NAME, is_bucket) {
                buckets.insert(bucket, name);
            }
        }
        let mut databases = BTreeMap::new();
        for zone in Zone::ALL {
            if let Some(name) = read.checked(database_variable(zone), DATABASE_NAME, is_database) {
                databases.insert(zone, name);
            }
        }
        let run_days = read.checked(
            RUN_DAYS,
            "must be a whole number of days from 1 to 36500",
            |text| {
                text.parse::<u32>()
                    .is_ok_and(|days| (1..=36_500).contains(&days))
            },
        );
        let region = read
            .value("AWS_REGION")
            .or_else(|| read.value("AWS_DEFAULT_REGION"));
        let settings = Settings {
            buckets,
            databases,
            ledger_table: read.checked(LEDGER_TABLE, TABLE_NAME, |name| {
                (3..=255).contains(&name.len()) && is_resource(name)
            }),
            stream: read.checked(STREAM, STREAM_NAME, |name| {
                name.len() <= 128 && is_resource(name)
            }),
            stream_dataset: read.checked(STREAM_DATASET, DATASET_NAME, is_database),
            ingest_queue_url: read.checked(INGEST_QUEUE_URL, QUEUE_URL, is_queue_url),
            marts_queue_url: read.checked(MARTS_QUEUE_URL, QUEUE_URL, is_queue_url),
            pseudonym_secret: read.checked(PSEUDONYM_SECRET, SECRET_ARN, is_secret),
            run_days: run_days
                .and_then(|days| days.parse().ok())
                .unwrap_or(DEFAULT_RUN_DAYS),
            region,
            endpoint: read.checked(ENDPOINT, ENDPOINT_URL, is_url),
        };
        for variable in needs.iter().flat_map(|need| need.variables()) {
            if read.value(variable).is_none() {
                read.faults.push(format!("{variable} is not set"));
            }
        }
        read.faults.dedup();
        if read.faults.is_empty() {
            return Ok(settings);
        }
        Err(Error::new(
            ErrorKind::BadRequest,
            format!("the settings are wrong: {}", read.faults.join("; ")),
        ))
    }

    /// The bucket that holds `key`, or the keys that begin with it: the key's first part is its zone.
    ///
    /// # Errors
    /// `BadRequest` for a key that begins with no zone, or with one whose bucket is not set.
    pub fn bucket_of(&self, key: &str) -> Result<&str> {
        let zone = key.split_once('/').map(|(zone, _)| zone);
        let bucket = zone.and_then(|zone| {
            Bucket::ALL
                .into_iter()
                .find(|bucket| bucket.first_part() == zone)
        });
        let Some(bucket) = bucket else {
            let parts = Bucket::ALL.map(|bucket| format!("{}/", bucket.first_part()));
            return Err(Error::new(
                ErrorKind::BadRequest,
                format!(
                    "{key:?} is in no bucket of the lake: keys begin with one of {}",
                    parts.join(", ")
                ),
            ));
        };
        self.buckets
            .get(&bucket)
            .map(String::as_str)
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::BadRequest,
                    format!(
                        "the bucket of {key:?} is not known here: set {}",
                        bucket.variable()
                    ),
                )
            })
    }

    /// The Glue database of a zone.
    ///
    /// # Errors
    /// `BadRequest` where it is not set.
    pub fn database(&self, zone: Zone) -> Result<&str> {
        let name = self.databases.get(&zone).map(String::as_str);
        set(name, database_variable(zone))
    }

    /// The zones whose databases are set.
    pub fn zones(&self) -> impl Iterator<Item = Zone> {
        self.databases.keys().copied()
    }

    /// The DynamoDB table of the ledger.
    ///
    /// # Errors
    /// `BadRequest` where it is not set.
    pub fn ledger_table(&self) -> Result<&str> {
        set(self.ledger_table.as_deref(), LEDGER_TABLE)
    }

    /// The Kinesis stream of events.
    ///
    /// # Errors
    /// `BadRequest` where it is not set.
    pub fn stream(&self) -> Result<&str> {
        set(self.stream.as_deref(), STREAM)
    }

    /// The dataset that records of the stream belong to.
    ///
    /// # Errors
    /// `BadRequest` where it is not set.
    pub fn stream_dataset(&self) -> Result<&str> {
        set(self.stream_dataset.as_deref(), STREAM_DATASET)
    }

    /// The URL of the queue of objects to ingest, where it is set: without it, messages that failed come
    /// again after the queue's visibility timeout.
    pub fn ingest_queue_url(&self) -> Option<&str> {
        self.ingest_queue_url.as_deref()
    }

    /// The URL of the queue that notifies the marts of changed tables.
    ///
    /// # Errors
    /// `BadRequest` where it is not set.
    pub fn marts_queue_url(&self) -> Result<&str> {
        set(self.marts_queue_url.as_deref(), MARTS_QUEUE_URL)
    }

    /// The ARN of the secret that holds the keys of pseudonyms.
    ///
    /// # Errors
    /// `BadRequest` where it is not set.
    pub fn pseudonym_secret(&self) -> Result<&str> {
        set(self.pseudonym_secret.as_deref(), PSEUDONYM_SECRET)
    }

    /// Days after which the ledger forgets a run.
    pub fn run_days(&self) -> u32 {
        self.run_days
    }

    /// The region, where a variable names it; the SDK looks further.
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// The URL of an emulator; None for AWS itself.
    pub fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }
}

fn set<'a>(value: Option<&'a str>, variable: &str) -> Result<&'a str> {
    value.ok_or_else(|| Error::new(ErrorKind::BadRequest, format!("{variable} is not set")))
}

struct Reader<'a> {
    vars: &'a dyn Fn(&str) -> Option<String>,
    faults: Vec<String>,
}

impl Reader<'_> {
    fn value(&self, variable: &str) -> Option<String> {
        (self.vars)(variable).filter(|value| !value.is_empty())
    }

    fn checked(
        &mut self,
        variable: &str,
        rule: &str,
        is_right: impl FnOnce(&str) -> bool,
    ) -> Option<String> {
        let value = self.value(variable)?;
        if !is_right(&value) {
            self.faults
                .push(format!("{variable} is {value:?} and {rule}"));
        }
        Some(value)
    }
}

const BUCKET_NAME: &str =
    "must be the name of a bucket: 3 to 63 lower-case letters, digits, hyphens and points";
const DATABASE_NAME: &str =
    "must be the name of a Glue database: lower-case letters, digits and underscores";
const DATASET_NAME: &str =
    "must be the name of a dataset: lower-case letters, digits and underscores";
const TABLE_NAME: &str = "must be the name of a DynamoDB table: 3 to 255 letters, digits, hyphens, points and underscores";
const STREAM_NAME: &str =
    "must be the name of a stream: up to 128 letters, digits, hyphens, points and underscores";
const QUEUE_URL: &str = "must be the URL of a queue, such as \
    https://sqs.eu-central-1.amazonaws.com/123456789012/name";
const SECRET_ARN: &str = "must be the ARN of a secret, such as \
    arn:aws:secretsmanager:eu-central-1:123456789012:secret:name-AbCdEf";
const ENDPOINT_URL: &str = "must be a URL, such as http://localhost:4566";

fn is_bucket(name: &str) -> bool {
    let is_edge = |byte: Option<&u8>| {
        byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    let bytes = name.as_bytes();
    (3..=63).contains(&bytes.len())
        && is_edge(bytes.first())
        && is_edge(bytes.last())
        && bytes.iter().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.')
        })
}

fn is_database(name: &str) -> bool {
    name.len() <= 255
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

fn is_resource(name: &str) -> bool {
    name.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'))
}

fn is_url(text: &str) -> bool {
    let rest = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"));
    rest.is_some_and(|rest| {
        !rest.is_empty() && !rest.starts_with('/') && !rest.contains(char::is_whitespace)
    })
}

fn is_queue_url(text: &str) -> bool {
    is_url(text)
        && text
            .split('/')
            .skip(3)
            .filter(|part| !part.is_empty())
            .count()
            >= 2
}

fn is_secret(text: &str) -> bool {
    let mut parts = text.splitn(7, ':');
    parts.next() == Some("arn")
        && parts.nth(1) == Some("secretsmanager")
        && parts.nth(2) == Some("secret")
        && parts.next().is_some_and(|name| !name.is_empty())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const ALL_NEEDS: [Need; 11] = [
        Need::Raw,
        Need::Curated,
        Need::Analytics,
        Need::Quarantine,
        Need::Results,
        Need::Catalog,
        Need::Ledger,
        Need::Stream,
        Need::StreamDataset,
        Need::MartsQueue,
        Need::PseudonymSecret,
    ];

    fn read(vars: &[(&str, &str)], needs: &[Need]) -> Result<Settings, String> {
        let vars = |name: &str| {
            vars.iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned())
        };
        Settings::from_vars(&vars, needs).map_err(|error| {
            assert_eq!(error.kind(), ErrorKind::BadRequest);
            assert!(!error.is_retryable());
            error.to_string()
        })
    }

    #[test]
    fn every_missing_variable_is_named_at_once() {
        let text = read(&[("TARN_RAW_BUCKET", "")], &ALL_NEEDS).unwrap_err();
        for variable in [
            "TARN_RAW_BUCKET",
            "TARN_CURATED_BUCKET",
            "TARN_ANALYTICS_BUCKET",
            "TARN_QUARANTINE_BUCKET",
            "TARN_RESULTS_BUCKET",
            "TARN_CURATED_DATABASE",
            "TARN_ANALYTICS_DATABASE",
            "TARN_QUALITY_DATABASE",
            "TARN_LEDGER_TABLE",
            "TARN_STREAM",
            "TARN_STREAM_DATASET",
            "TARN_MARTS_QUEUE_URL",
            "TARN_PSEUDONYM_SECRET",
        ] {
            assert!(text.contains(&format!("{variable} is not set")), "{text}");
        }
    }

    #[test]
    fn only_what_is_needed_must_be_set() {
        assert!(read(&[], &[]).is_ok());
        let ledger = [("TARN_LEDGER_TABLE", "tarn-dev-ledger")];
        assert!(read(&ledger, &[Need::Ledger]).is_ok());
        let text = read(&ledger, &[Need::Ledger, Need::Raw]).unwrap_err();
        assert_eq!(text, "the settings are wrong: TARN_RAW_BUCKET is not set");
    }

    #[test]
    fn wrong_values_are_refused_and_right_ones_kept() {
        let long = "a".repeat(64);
        let cases: &[(&str, &str, bool)] = &[
            ("TARN_RAW_BUCKET", "tarn-dev-raw-123456789012", true),
            ("TARN_RAW_BUCKET", "a.b", true),
            ("TARN_RAW_BUCKET", "ab", false),
            ("TARN_RAW_BUCKET", &long, false),
            ("TARN_RAW_BUCKET", "Tarn-raw", false),
            ("TARN_RAW_BUCKET", "s3://tarn-raw", false),
            ("TARN_RAW_BUCKET", "tarn_raw", false),
            ("TARN_RAW_BUCKET", "-tarn", false),
            (
                "TARN_PSEUDONYM_SECRET",
                "arn:aws:secretsmanager:eu-central-1:123456789012:secret:tarn-dev-AbCdEf",
                true,
            ),
            ("TARN_PSEUDONYM_SECRET", "tarn-dev-pseudonym", false),
            (
                "TARN_PSEUDONYM_SECRET",
                "arn:aws:s3:eu-central-1:123456789012:secret:tarn",
                false,
            ),
            ("TARN_QUALITY_DATABASE", "tarn_dev_quality", true),
            ("TARN_QUALITY_DATABASE", "tarn-dev", false),
            ("TARN_QUALITY_DATABASE", "Tarn", false),
            ("TARN_LEDGER_TABLE", "tarn.dev-ledger_1", true),
            ("TARN_LEDGER_TABLE", "t1", false),
            ("TARN_LEDGER_TABLE", "arn:aws:dynamodb:x", false),
            ("TARN_STREAM", "tarn-events", true),
            ("TARN_STREAM", "a b", false),
            (
                "TARN_MARTS_QUEUE_URL",
                "https://sqs.eu-central-1.amazonaws.com/123456789012/tarn-marts",
                true,
            ),
            (
                "TARN_MARTS_QUEUE_URL",
                "http://localhost:4566/000000000000/q",
                true,
            ),
            ("TARN_MARTS_QUEUE_URL", "tarn-marts", false),
            (
                "TARN_MARTS_QUEUE_URL",
                "https://sqs.eu-central-1.amazonaws.com/",
                false,
            ),
            ("AWS_ENDPOINT_URL", "http://localhost:4566", true),
            ("AWS_ENDPOINT_URL", "localhost:4566", false),
            ("AWS_ENDPOINT_URL", "http://", false),
            ("TARN_RUN_DAYS", "30", true),
            ("TARN_RUN_DAYS", "0", false),
            ("TARN_RUN_DAYS", "-1", false),
            ("TARN_RUN_DAYS", "a month", false),
        ];
        for (variable, value, right) in cases {
            let result = read(&[(variable, value)], &[]);
            assert_eq!(result.is_ok(), *right, "{variable}={value}: {result:?}");
            if let Err(text) = result {
                assert!(text.contains(&format!("{variable} is {value:?}")), "{text}");
            }
        }
    }

    #[test]
    fn wrong_and_missing_variables_are_reported_together() {
        let vars = [("TARN_RAW_BUCKET", "RAW"), ("TARN_STREAM", "a b")];
        let text = read(&vars, &[Need::Raw, Need::Ledger]).unwrap_err();
        for part in [
            "TARN_RAW_BUCKET is \"RAW\"",
            "TARN_STREAM is \"a b\"",
            "TARN_LEDGER_TABLE is not set",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn a_key_is_in_the_bucket_of_its_first_part() {
        let settings = read(
            &[
                ("TARN_RAW_BUCKET", "the-raw"),
                ("TARN_CURATED_BUCKET", "the-curated"),
                ("TARN_QUARANTINE_BUCKET", "the-quarantine"),
                ("TARN_RESULTS_BUCKET", "the-results"),
            ],
            &[],
        )
        .unwrap();
        let cases = [
            ("raw/web/a.log", Some("the-raw")),
            ("raw/", Some("the-raw")),
            ("curated/orders/data/x.parquet", Some("the-curated")),
            ("quality/summary.json", Some("the-quarantine")),
            ("results/athena/x", Some("the-results")),
            ("analytics/kpi/data/x.parquet", None),
            ("raw", None),
            ("rawer/x", None),
            ("/raw/x", None),
            ("", None),
        ];
        for (key, bucket) in cases {
            assert_eq!(settings.bucket_of(key).ok(), bucket, "{key}");
        }
        let text = settings.bucket_of("analytics/x").unwrap_err().to_string();
        assert!(text.contains("TARN_ANALYTICS_BUCKET"), "{text}");
        let text = settings.bucket_of("elsewhere/x").unwrap_err().to_string();
        assert!(text.contains("raw/, curated/"), "{text}");
    }

    #[test]
    fn runs_are_kept_for_four_hundred_days_unless_told_otherwise() {
        assert_eq!(read(&[], &[]).unwrap().run_days(), 400);
        let settings = read(&[("TARN_RUN_DAYS", "7")], &[]).unwrap();
        assert_eq!(settings.run_days(), 7);
    }
}
