//! The lake's ports on AWS: objects on S3, the catalog on Glue, the ledger on DynamoDB, the keys of
//! pseudonyms in Secrets Manager; besides them a producer for Kinesis and queues on SQS. The only crate that names `aws-*`.
//!
//! The SDK retries failures that pass by themselves (throttling, 5xx, lost connections), at most
//! [`CALL_ATTEMPTS`] times with exponential back-off and jitter. A retried write may have succeeded at
//! its first attempt, with a lost reply; each port says how it distinguishes that from a lost race.
#![cfg_attr(not(test), warn(unused_crate_dependencies))]

mod catalog;
mod failure;
pub mod https;
mod keys;
mod ledger;
mod objects;
mod queue;
mod settings;
mod stream;
mod stream_reader;

use std::sync::Arc;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_sdk_s3::config::Credentials;
use tarn_core::Backoff;
use tarn_core::ports::{Catalog, Keys, Ledger, Objects};
use uuid::Uuid;

use crate::catalog::GlueCatalog;
use crate::keys::SecretKeys;
use crate::ledger::DynamoLedger;
use crate::objects::S3Objects;
pub use crate::queue::{Queue, Received};
pub use crate::settings::{Need, RUN_DAYS, Settings};
pub use crate::stream::{Stream, StreamEntry};
pub use crate::stream_reader::StoredRecord;

/// How often the SDK sends one call, the first time included.
pub const CALL_ATTEMPTS: u32 = 6;

/// The longest pause between two attempts of a call.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long one attempt of a small call may take. Calls that carry objects are bounded otherwise: the
/// SDK gives up a transfer that stalls.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);

/// How long S3 may take to begin its answer after the last byte of a large part was sent.
const OBJECT_TIMEOUT: Duration = Duration::from_secs(300);

/// The services of AWS, for as long as a function lives. Clones share connections.
#[derive(Debug, Clone)]
pub struct Aws {
    settings: Arc<Settings>,
    s3: aws_sdk_s3::Client,
    glue: aws_sdk_glue::Client,
    dynamodb: aws_sdk_dynamodb::Client,
    kinesis: aws_sdk_kinesis::Client,
    secrets: aws_sdk_secretsmanager::Client,
    sqs: aws_sdk_sqs::Client,
}

impl Aws {
    /// Prepares the services with the credentials that the SDK finds: environment, profile, role.
    /// Nothing is called yet: wrong credentials show at the first call.
    pub async fn connect(settings: Settings) -> Aws {
        let config = loader(&settings).load().await;
        Aws::new(settings, &config)
    }

    /// Like [`Aws::connect`], with given keys: for an emulator, whose keys are not secret.
    pub async fn connect_with_keys(settings: Settings, id: &str, secret: &str) -> Aws {
        let keys = Credentials::new(id, secret, None, None, "given");
        let config = loader(&settings).credentials_provider(keys).load().await;
        Aws::new(settings, &config)
    }

    fn new(settings: Settings, config: &SdkConfig) -> Aws {
        let s3 = aws_sdk_s3::config::Builder::from(config)
            // An emulator has no host name per bucket.
            .force_path_style(settings.endpoint().is_some())
            .timeout_config(
                TimeoutConfig::builder()
                    .read_timeout(OBJECT_TIMEOUT)
                    .build(),
            )
            .build();
        Aws {
            s3: aws_sdk_s3::Client::from_conf(s3),
            glue: aws_sdk_glue::Client::new(config),
            dynamodb: aws_sdk_dynamodb::Client::new(config),
            kinesis: aws_sdk_kinesis::Client::new(config),
            secrets: aws_sdk_secretsmanager::Client::new(config),
            sqs: aws_sdk_sqs::Client::new(config),
            settings: Arc::new(settings),
        }
    }

    /// What this was made with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The lake's objects.
    pub fn objects(&self) -> Arc<dyn Objects> {
        Arc::new(S3Objects::new(self.s3.clone(), self.settings.clone()))
    }

    /// The lake's catalog.
    pub fn catalog(&self) -> Arc<dyn Catalog> {
        Arc::new(GlueCatalog::new(self.glue.clone(), self.settings.clone()))
    }

    /// The lake's ledger.
    pub fn ledger(&self) -> Arc<dyn Ledger> {
        Arc::new(DynamoLedger::new(
            self.dynamodb.clone(),
            self.settings.clone(),
        ))
    }

    /// The lake's keys of pseudonyms.
    pub fn keys(&self) -> Arc<dyn Keys> {
        Arc::new(SecretKeys::new(self.secrets.clone(), self.settings.clone()))
    }

    /// A producer for the stream of this name.
    pub fn stream(&self, name: &str) -> Stream {
        Stream::new(self.kinesis.clone(), name)
    }

    /// The queue of this URL.
    pub fn queue(&self, url: &str) -> Queue {
        Queue::new(self.sqs.clone(), url)
    }
}

fn loader(settings: &Settings) -> ConfigLoader {
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(https::client())
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(CALL_ATTEMPTS)
                .with_initial_backoff(Duration::from_millis(100))
                .with_max_backoff(LONGEST_PAUSE),
        )
        .timeout_config(
            TimeoutConfig::builder()
                .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                .build(),
        );
    if let Ok(name) = AppName::new("tarn") {
        loader = loader.app_name(name);
    }
    if let Some(region) = settings.region() {
        loader = loader.region(Region::new(region.to_owned()));
    }
    if let Some(endpoint) = settings.endpoint() {
        loader = loader.endpoint_url(endpoint);
    }
    loader
}

/// Waits before repetition `repetition`, counted from 1, by a [`Backoff`] from `first` up to
/// [`LONGEST_PAUSE`].
pub(crate) async fn pause(repetition: u32, first: Duration) {
    let random = Uuid::new_v4().as_fields().0;
    let pause = Backoff::new(first, LONGEST_PAUSE).pause(repetition, random);
    tokio::time::sleep(pause).await;
}
