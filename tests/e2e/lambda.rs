//! The functions as AWS Lambda runs them, against a runtime API that the test serves, and the command line with
//! a lake on AWS. Nothing here needs AWS or an emulator.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use serde_json::{Value, json};

use crate::lake::{binary, root};

/// What the function sent, and where to.
struct Report {
    path: String,
    body: Value,
}

/// A function under test and the runtime API that it asks for events.
struct Function {
    process: Child,
    reports: Receiver<Report>,
}

impl Drop for Function {
    fn drop(&mut self) {
        // It may have ended by itself.
        if self.process.try_wait().unwrap().is_none() {
            self.process.kill().unwrap();
        }
        self.process.wait().unwrap();
    }
}

impl Function {
    fn start(handler: &str, events: Vec<Value>, variables: &[(&str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (sender, reports) = channel();
        std::thread::spawn(move || serve(&listener, events, &sender));
        let mut command = Command::new(binary().with_file_name("bootstrap"));
        for (name, _) in std::env::vars() {
            if name.starts_with("TARN_") || name.starts_with("AWS_") {
                command.env_remove(name);
            }
        }
        let process = command
            .env("AWS_LAMBDA_RUNTIME_API", address)
            .env("AWS_LAMBDA_FUNCTION_NAME", "tarn-test")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
            .env("TARN_CONTRACTS", root().join("contracts"))
            .env("_HANDLER", handler)
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Function { process, reports }
    }

    fn report(&self) -> Report {
        self.reports
            .recv_timeout(Duration::from_secs(120))
            .expect("the function reports nothing")
    }

    /// Waits for its end; the lines of its log.
    fn ended(&mut self) -> (i32, Vec<Value>) {
        let code = self.process.wait().unwrap().code().unwrap();
        (code, self.log())
    }

    /// The lines of its log, once it has ended.
    fn log(&mut self) -> Vec<Value> {
        let mut text = String::new();
        let mut output = self.process.stdout.take().unwrap();
        output.read_to_string(&mut text).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

fn serve(listener: &TcpListener, events: Vec<Value>, reports: &Sender<Report>) {
    let events = std::sync::Mutex::new(events.into_iter());
    std::thread::scope(|scope| {
        for stream in listener.incoming().flatten() {
            let events = &events;
            scope.spawn(move || {
                // A connection that breaks off is the function's end.
                answer_all(stream, &|| events.lock().unwrap().next(), reports).ok();
            });
        }
    });
}

fn answer_all(
    mut stream: TcpStream,
    next: &dyn Fn() -> Option<Value>,
    reports: &Sender<Report>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first)? == 0 {
            return Ok(());
        }
        let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
        let (mut length, mut chunked) = (0, false);
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            let header = header.trim_end().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(text) = header.strip_prefix("content-length: ") {
                length = text.parse().unwrap();
            }
            chunked |= header == "transfer-encoding: chunked";
        }
        let mut body = Vec::new();
        if chunked {
            loop {
                let mut size = String::new();
                reader.read_line(&mut size)?;
                let size = usize::from_str_radix(size.trim_end(), 16).unwrap();
                let mut chunk = vec![0; size + 2];
                reader.read_exact(&mut chunk)?;
                body.extend_from_slice(&chunk[..size]);
                if size == 0 {
                    break;
                }
            }
        } else {
            body.resize(length, 0);
            reader.read_exact(&mut body)?;
        }
        if path.ends_with("/invocation/next") {
            let Some(event) = next() else {
                // Nothing more happens; the function waits until it is stopped.
                std::thread::park();
                return Ok(());
            };
            let deadline = deadline_ms();
            let event = event.to_string();
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: 8476a536-e9f4-11e8-9739-2dfe598c3fcd\r\n\
                 Lambda-Runtime-Deadline-Ms: {deadline}\r\n\
                 Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:eu-central-1:123456789012:function:t\r\n\
                 Content-Length: {}\r\n\r\n{event}",
                event.len()
            )?;
            continue;
        }
        reports
            .send(Report {
                path,
                body: serde_json::from_slice(&body).unwrap(),
            })
            .ok();
        write!(stream, "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")?;
    }
}

/// A minute from now, in milliseconds.
fn deadline_ms() -> u128 {
    let now = std::time::SystemTime::now();
    let since = now.duration_since(std::time::UNIX_EPOCH).unwrap();
    (since + Duration::from_secs(60)).as_millis()
}

fn sample(path: &str) -> Value {
    let text = std::fs::read_to_string(root().join("events").join(path)).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// An address without a listener: AWS cannot be reached.
const NOBODY: [(&str, &str); 4] = [
    ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
    ("AWS_REGION", "us-east-1"),
    ("AWS_ACCESS_KEY_ID", "test"),
    ("AWS_SECRET_ACCESS_KEY", "test"),
];

const ARCHIVE: [(&str, &str); 3] = [
    ("TARN_RAW_BUCKET", "tarn-raw"),
    ("TARN_STREAM", "tarn-events"),
    ("TARN_STREAM_DATASET", "ad_events"),
];

#[test]
fn a_function_with_wrong_settings_does_not_start_and_names_them_all() {
    let wrong = [
        ("TARN_RAW_BUCKET", "NO BUCKET"),
        ("TARN_CONTRACTS", "/no/such/folder"),
        ("TARN_KEEP_DAYS", "a month"),
    ];
    let mut function = Function::start("ingest", Vec::new(), &wrong);
    let report = function.report();
    assert_eq!(report.path, "/2018-06-01/runtime/init/error");
    assert_eq!(report.body["errorType"], "tarn.bad_request");
    let (code, log) = function.ended();
    assert_eq!(code, 1);
    assert_eq!(log.len(), 1, "{log:?}");
    assert_eq!(log[0]["level"], "ERROR");
    for text in [&report.body["errorMessage"], &log[0]["message"]] {
        let text = text.as_str().unwrap();
        for part in [
            "TARN_RAW_BUCKET is \"NO BUCKET\"",
            "TARN_CURATED_BUCKET is not set",
            "TARN_LEDGER_TABLE is not set",
            "TARN_MARTS_QUEUE_URL is not set",
            "TARN_KEEP_DAYS is \"a month\"",
            "/no/such/folder",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}

#[test]
fn a_function_of_an_unknown_name_does_not_start() {
    let mut function = Function::start("main", Vec::new(), &[]);
    let text = function.report().body["errorMessage"].to_string();
    assert!(text.contains("ingest, archive, marts"), "{text}");
    assert_eq!(function.ended().0, 1);
}

#[test]
fn a_stream_for_a_dataset_without_contract_does_not_start() {
    let variables = [&ARCHIVE[..], &NOBODY, &[("TARN_STREAM_DATASET", "orders")]].concat();
    let mut function = Function::start("archive", Vec::new(), &variables);
    let text = function.report().body["errorMessage"].to_string();
    assert!(text.contains("orders"), "{text}");
    assert_eq!(function.ended().0, 1);
}

#[test]
fn an_event_that_cannot_be_read_fails_its_invocation_and_a_store_that_is_away_the_batch() {
    let events = vec![json!({ "what": "else" }), sample("kinesis/batch.json")];
    let function = Function::start("archive", events, &[&ARCHIVE[..], &NOBODY].concat());
    let refused = function.report();
    assert!(refused.path.ends_with("/error"), "{}", refused.path);
    assert_eq!(refused.body["errorType"], "tarn.bad_request");
    let answered = function.report();
    assert!(answered.path.ends_with("/response"), "{}", answered.path);
    assert_eq!(
        answered.body,
        json!({ "batchItemFailures": [
            { "itemIdentifier": "49590338271490256608559692538361571095921575989136588898" }
        ] })
    );
}

/// Neither the store nor the queue can be reached. The log says that the queue could not be asked for an
/// earlier delivery; the answer stays the same.
#[test]
fn a_queue_that_cannot_be_asked_for_a_message_soon_delivers_it_later() {
    let ingest = [
        ("TARN_RAW_BUCKET", "tarn-dev-raw-123456789012"),
        ("TARN_CURATED_BUCKET", "tarn-curated"),
        ("TARN_QUARANTINE_BUCKET", "tarn-quarantine"),
        ("TARN_CURATED_DATABASE", "tarn_curated"),
        ("TARN_QUALITY_DATABASE", "tarn_quality"),
        ("TARN_LEDGER_TABLE", "tarn-ledger"),
        (
            "TARN_PSEUDONYM_SECRET",
            "arn:aws:secretsmanager:eu-central-1:123456789012:secret:tarn-pseudonym-AbCdEf",
        ),
        ("TARN_MARTS_QUEUE_URL", "http://127.0.0.1:9/1/tarn-marts"),
        ("TARN_INGEST_QUEUE_URL", "http://127.0.0.1:9/1/tarn-ingest"),
    ];
    let mut batch = sample("s3/sqs_batch.json");
    let id = batch["Records"][0]["messageId"].clone();
    batch["Records"].as_array_mut().unwrap().truncate(1);
    let mut function = Function::start("ingest", vec![batch], &[&ingest[..], &NOBODY].concat());
    let answered = function.report();
    assert!(answered.path.ends_with("/response"), "{}", answered.path);
    assert_eq!(
        answered.body,
        json!({ "batchItemFailures": [{ "itemIdentifier": id }] })
    );
    function.process.kill().unwrap();
    function.process.wait().unwrap();
    let asked = function.log().into_iter().find(|line| {
        let message = line["message"].as_str().unwrap_or_default();
        message.contains("after the visibility timeout")
    });
    assert_eq!(asked.expect("the log says it")["level"], "WARN");
}

#[test]
fn the_api_says_that_the_lake_cannot_be_reached() {
    let zones = [
        ("TARN_CURATED_BUCKET", "tarn-curated"),
        ("TARN_ANALYTICS_BUCKET", "tarn-analytics"),
        ("TARN_QUARANTINE_BUCKET", "tarn-quarantine"),
        ("TARN_CURATED_DATABASE", "curated"),
        ("TARN_ANALYTICS_DATABASE", "analytics"),
        ("TARN_QUALITY_DATABASE", "quality"),
    ];
    let events = vec![sample("apigw/health.json"), sample("apigw/ready.json")];
    let function = Function::start("api", events, &[&zones[..], &NOBODY].concat());
    // The service runs, whether the lake answers or not.
    let report = function.report();
    assert_eq!(report.body["statusCode"], 200, "{}", report.body);
    let report = function.report();
    assert!(report.path.ends_with("/response"), "{}", report.path);
    assert_eq!(report.body["statusCode"], 503, "{}", report.body);
    let body: Value = serde_json::from_str(report.body["body"].as_str().unwrap()).unwrap();
    assert_eq!(body["error"]["kind"], "storage");
}

fn tarn(args: &[&str]) -> (i32, String) {
    let mut command = Command::new(binary());
    for (name, _) in std::env::vars() {
        if name.starts_with("TARN_") || name.starts_with("AWS_") {
            command.env_remove(name);
        }
    }
    let output = command.args(args).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    (output.status.code().unwrap(), text)
}

#[test]
fn a_command_on_aws_names_every_setting_that_it_lacks() {
    for command in [
        &["tables"][..],
        &["query", "SELECT 1"],
        &["runs"],
        &["marts"],
    ] {
        let (code, text) = tarn(&[&["--aws"], command].concat());
        assert_eq!(code, 1);
        for part in [
            "TARN_RAW_BUCKET is not set",
            "TARN_LEDGER_TABLE is not set",
            "--env",
        ] {
            assert!(text.contains(part), "{text}");
        }
    }
}

#[test]
fn a_command_says_what_is_wrong_with_the_lake_that_is_named() {
    for (args, part) in [
        (&["--env", "/no/such/root", "tables"][..], "/no/such/root"),
        (&["--aws", "demo"], "in a folder only"),
        (&["redrive", "ingest"], "--aws or --env"),
        (&["--aws", "redrive", "ingest"], "TARN_INGEST_DLQ_URL"),
    ] {
        let (code, text) = tarn(args);
        assert_eq!(code, 1, "{args:?}: {text}");
        assert!(text.contains(part), "{args:?}: {text}");
    }
}
