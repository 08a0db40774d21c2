//! An emulator of AWS for the tests of this process, with one lake in it.

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use aws_config::BehaviorVersion;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use aws_sdk_glue::types::DatabaseInput;
use aws_sdk_s3::config::{Credentials, Region};
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};
use tarn_aws::Aws;
use uuid::Uuid;

use crate::server;

/// A lake of its own on an emulator.
pub struct Lake {
    pub url: String,
    pub prefix: String,
    pub aws: Aws,
    pub config: aws_config::SdkConfig,
}

impl Lake {
    /// Makes buckets, databases and the ledger's table under new names.
    pub async fn new() -> Lake {
        let url = url();
        let prefix = format!("t{}", &Uuid::new_v4().simple().to_string()[..12]);
        let config = aws_config::defaults(BehaviorVersion::latest())
            .http_client(tarn_aws::https::client())
            .endpoint_url(&url)
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "given"))
            .load()
            .await;
        let lake = Lake {
            aws: server::aws(&url, &prefix).await,
            url,
            prefix,
            config,
        };
        lake.make().await;
        lake
    }

    pub fn s3(&self) -> aws_sdk_s3::Client {
        let config = aws_sdk_s3::config::Builder::from(&self.config).force_path_style(true);
        aws_sdk_s3::Client::from_conf(config.build())
    }

    pub fn bucket(&self, zone: &str) -> String {
        format!("{}-{zone}", self.prefix)
    }

    pub fn database(&self, zone: &str) -> String {
        format!("{}_{zone}", self.prefix)
    }

    async fn make(&self) {
        let s3 = self.s3();
        for zone in ["raw", "curated", "analytics", "quarantine", "results"] {
            let bucket = self.bucket(zone);
            s3.create_bucket().bucket(&bucket).send().await.unwrap();
            let enabled = VersioningConfiguration::builder()
                .status(BucketVersioningStatus::Enabled)
                .build();
            s3.put_bucket_versioning()
                .bucket(&bucket)
                .versioning_configuration(enabled)
                .send()
                .await
                .unwrap();
        }
        let glue = aws_sdk_glue::Client::new(&self.config);
        for zone in ["curated", "analytics", "quality"] {
            let database = DatabaseInput::builder()
                .name(self.database(zone))
                .build()
                .unwrap();
            glue.create_database()
                .database_input(database)
                .send()
                .await
                .unwrap();
        }
        let mut table = aws_sdk_dynamodb::Client::new(&self.config)
            .create_table()
            .table_name(format!("{}-ledger", self.prefix))
            .billing_mode(BillingMode::PayPerRequest);
        for (name, kind) in [("pk", KeyType::Hash), ("sk", KeyType::Range)] {
            table = table
                .key_schema(
                    KeySchemaElement::builder()
                        .attribute_name(name)
                        .key_type(kind)
                        .build()
                        .unwrap(),
                )
                .attribute_definitions(
                    AttributeDefinition::builder()
                        .attribute_name(name)
                        .attribute_type(ScalarAttributeType::S)
                        .build()
                        .unwrap(),
                );
        }
        table.send().await.unwrap();
    }
}

/// The emulator that `AWS_ENDPOINT_URL` names, or one that ends with this process.
fn url() -> String {
    static EMULATOR: OnceLock<(String, Option<Child>)> = OnceLock::new();
    let (url, _) = EMULATOR.get_or_init(|| match std::env::var("AWS_ENDPOINT_URL") {
        Ok(url) if !url.is_empty() => (url, None),
        _ => start(),
    });
    url.clone()
}

/// Runs the emulator's own program, and ends when its input does.
const BOUND: &str = "\
import os, runpy, sys, threading
def watch():
    sys.stdin.read()
    os._exit(0)
threading.Thread(target=watch, daemon=True).start()
runpy.run_module('ministack', run_name='__main__', alter_sys=True)
";

/// The emulator's input is a pipe of this process, so that it does not outlive the tests.
fn start() -> (String, Option<Child>) {
    let python = std::env::var_os("TARN_EMULATOR_PYTHON")
        .expect("TARN_EMULATOR_PYTHON must name a Python interpreter that has ministack");
    let port = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .unwrap()
        .port();
    let start_file = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap())
        .join("../../localstack/ministack_start.py");
    let mut command = Command::new(python);
    if start_file.is_file() {
        command.arg(start_file).arg("--stop-with-stdin");
        command.args(["--port", &port.to_string()]);
    } else {
        command.args(["-c", BOUND]);
    }
    let child = command
        .env("GATEWAY_PORT", port.to_string())
        .env("MINISTACK_HOST", "127.0.0.1")
        .env("LOG_LEVEL", "ERROR")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let patience = Instant::now() + Duration::from_secs(60);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < patience, "the emulator does not start");
        std::thread::sleep(Duration::from_millis(100));
    }
    (format!("http://127.0.0.1:{port}"), Some(child))
}
