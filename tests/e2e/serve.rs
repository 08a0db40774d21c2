//! The HTTP API on localhost.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};

use serde_json::{Value, json};

use crate::lake::{Lake, root};

/// `tarn serve` on a free port, until it is dropped.
pub struct Server {
    child: Child,
    pub address: String,
}

impl Server {
    pub fn start(lake: &Lake) -> Self {
        Self::with(lake, &[])
    }

    /// With more options.
    pub fn with(lake: &Lake, options: &[&str]) -> Self {
        let mut child = lake
            .command()
            .args(["--json", "serve", "--port", "0"])
            .args(options)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let url: Value = serde_json::from_str(&line).unwrap();
        let address = url["url"]
            .as_str()
            .unwrap()
            .strip_prefix("http://")
            .unwrap()
            .to_owned();
        Server { child, address }
    }

    /// The process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    pub fn request(&self, method: &str, path: &str, body: Option<&str>) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let body = body.unwrap_or_default();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (
            head.split(' ').nth(1).unwrap().parse().unwrap(),
            body.to_owned(),
        )
    }

    pub fn json(&self, method: &str, path: &str, body: Option<&str>) -> (u16, Value) {
        let (status, text) = self.request(method, path, body);
        (
            status,
            serde_json::from_str(&text).unwrap_or(Value::String(text)),
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[test]
fn the_api_answers_health_tables_schema_versions_and_queries() {
    let lake = Lake::new();
    let log = lake.file(
        "access.log",
        "127.0.0.1 - - [01/Jan/2026:00:00:00 +0000] \"GET /x HTTP/1.1\" 200 5\nbroken\n",
    );
    lake.ingest(&[&log]);
    let server = Server::start(&lake);
    let (status, health) = server.json("GET", "/health", None);
    assert_eq!((status, &health["status"]), (200, &json!("ok")));
    assert_eq!(health.get("tables"), None, "it asks nothing of the lake");
    let (status, ready) = server.json("GET", "/ready", None);
    assert_eq!((status, &ready["status"]), (200, &json!("ready")));
    assert!(ready["tables"].as_u64().unwrap() >= 1, "{ready}");
    let (_, tables) = server.json("GET", "/tables", None);
    assert_eq!(tables["tables"][0]["table"], "curated.web_requests");
    let (_, schema) = server.json("GET", "/tables/web_requests", None);
    let column = schema["columns"]
        .as_array()
        .unwrap()
        .iter()
        .find(|column| column["name"] == "event_time")
        .unwrap();
    assert_eq!(
        (&column["type"], &column["required"]),
        (&json!("timestamptz"), &json!(true))
    );
    // What the contract says about the table and its columns.
    assert_eq!(
        schema["contract"],
        json!({ "name": "web_requests", "version": "3.0.0" })
    );
    let said = |schema: &Value, name: &str| {
        let columns = schema["columns"].as_array().unwrap();
        let column = columns.iter().find(|one| one["name"] == name).unwrap();
        ["primary_key", "classification", "protection"].map(|key| column[key].clone())
    };
    assert_eq!(
        said(&schema, "client_ip"),
        [json!(false), json!("restricted"), json!("generalise")]
    );
    let nothing = [json!(false), Value::Null, Value::Null];
    assert_eq!(said(&schema, "_run_id"), nothing);
    let (_, versions) = server.json("GET", "/tables/curated.web_requests/versions", None);
    assert_eq!(versions["versions"][0]["rows"], 1);
    let (_, schema) = server.json("GET", "/tables/quarantine_web_requests", None);
    assert_eq!(schema["contract"], Value::Null);
    let (status, answer) = server.json(
        "POST",
        "/query",
        Some(r#"{"sql": "SELECT path, status FROM web_requests"}"#),
    );
    assert_eq!(status, 200);
    assert_eq!(answer["rows"], json!([{"path": "/x", "status": 200}]));
    assert_eq!(
        answer["columns"][1],
        json!({"name": "status", "type": "int"})
    );
    let (_, csv) = server.request(
        "POST",
        "/query",
        Some(r#"{"sql": "SELECT _rule FROM quarantine_web_requests", "format": "csv"}"#),
    );
    assert_eq!(csv, "_rule\nparse\n");
    let (_, cut) = server.json(
        "POST",
        "/query",
        Some(r#"{"sql": "SELECT 1 AS a UNION ALL SELECT 2 AS a", "limit": 1}"#),
    );
    assert_eq!(
        (&cut["row_count"], &cut["truncated"]),
        (&json!(1), &json!(true))
    );
}

#[test]
#[ignore = "needs Python: cargo xtask test runs it"]
fn the_schemas_of_the_api_are_those_of_the_contracts() {
    let lake = Lake::new();
    lake.ok(&["demo", "--scale", "0.05"]);
    let server = Server::start(&lake);
    let request = json!({
        "contracts": root().join("contracts"),
        "api": format!("http://{}", server.address),
    });
    let python = std::env::var("TARN_PYTHON").expect("run cargo xtask test: it names a Python");
    let output = std::process::Command::new(python)
        .arg(root().join("tests/readers/contract_schema.py"))
        .arg(request.to_string())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["different"], json!([]));
    assert_eq!(found["compared"].as_object().unwrap().len(), 9, "{found}");
}

#[test]
fn wrong_requests_get_a_status_and_what_to_do() {
    let lake = Lake::new();
    let log = lake.file(
        "access.log",
        "127.0.0.1 - - [01/Jan/2026:00:00:00 +0000] \"GET /x HTTP/1.1\" 200 5\n",
    );
    lake.ingest(&[&log]);
    let server = Server::start(&lake);
    for (method, path, body, status, kind) in [
        ("GET", "/nothing", None, 404, "not_found"),
        ("GET", "/tables/nothing", None, 404, "not_found"),
        ("POST", "/query", Some("no json"), 400, "bad_request"),
        ("POST", "/query", Some("{}"), 400, "bad_request"),
        (
            "POST",
            "/query",
            Some(r#"{"sql": "DROP TABLE web_requests"}"#),
            400,
            "bad_request",
        ),
        (
            "POST",
            "/query",
            Some(r#"{"sql": "SELECT * FROM nothing"}"#),
            404,
            "not_found",
        ),
        (
            "POST",
            "/query",
            Some(r#"{"sql": "SELECT * FROM read_csv('/etc/passwd')"}"#),
            400,
            "bad_request",
        ),
        (
            "POST",
            "/query",
            Some(r#"{"sql": "SELECT 1", "format": "xml"}"#),
            400,
            "bad_request",
        ),
        (
            "POST",
            "/query",
            Some(r#"{"sql": "SELECT * FROM web_requests", "as_of": 99}"#),
            404,
            "not_found",
        ),
    ] {
        let (found, answer) = server.json(method, path, body);
        assert_eq!(
            (found, &answer["error"]["kind"]),
            (status, &json!(kind)),
            "{method} {path} {body:?}: {answer}"
        );
        assert!(!answer["error"]["message"].as_str().unwrap().is_empty());
    }
    assert_eq!(
        server.request("GET", "/health", None).0,
        200,
        "the server is still there"
    );
}
