//! A small HTTP server that answers like a service of AWS, or passes calls on to an emulator, and
//! fails on request.

use std::collections::VecDeque;

use std::sync::{Arc, Mutex};

use tarn_aws::{Aws, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A call.
#[derive(Debug, Clone)]
pub struct Call {
    /// The operation (`UpdateTable`) of JSON services, or the HTTP method of S3.
    pub what: String,
    /// The path with its query.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    raw: Vec<u8>,
}

impl Call {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// What is answered to a call.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// How many bytes of the body are sent before the connection is closed; all if None.
    pub cut_at: Option<usize>,
}

impl Answer {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Answer {
        Answer {
            status,
            body: body.into(),
            ..Answer::default()
        }
    }

    pub fn json(body: serde_json::Value) -> Answer {
        Answer::new(200, body.to_string())
    }

    /// An error as the JSON services answer it.
    pub fn error(status: u16, code: &str) -> Answer {
        let body = serde_json::json!({"__type": code, "Message": "on request"});
        Answer::new(status, body.to_string())
    }

    pub fn with(mut self, name: &str, value: &str) -> Answer {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// What goes wrong with one call.
#[derive(Debug, Clone)]
pub enum Fault {
    /// It is answered so, and never arrives.
    Answer(Answer),
    /// It arrives, and its answer is lost.
    LoseAnswer,
}

type Backend = Box<dyn Fn(&Call) -> Answer + Send + Sync>;

pub struct Server {
    pub url: String,
    calls: Mutex<Vec<String>>,
    faults: Mutex<VecDeque<(String, Fault)>>,
    backend: Option<Backend>,
    upstream: Option<String>,
}

impl Server {
    /// A server that answers by itself.
    pub async fn start(backend: impl Fn(&Call) -> Answer + Send + Sync + 'static) -> Arc<Server> {
        Server::listen(Some(Box::new(backend)), None).await
    }

    /// A server that passes calls on to `url`.
    pub async fn in_front_of(url: &str) -> Arc<Server> {
        let address = url.trim_start_matches("http://").to_owned();
        Server::listen(None, Some(address)).await
    }

    async fn listen(backend: Option<Backend>, upstream: Option<String>) -> Arc<Server> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Arc::new(Server {
            url: format!("http://{}", listener.local_addr().unwrap()),
            calls: Mutex::default(),
            faults: Mutex::default(),
            backend,
            upstream,
        });
        let accepting = Arc::clone(&server);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = Arc::clone(&accepting);
                tokio::spawn(async move { server.serve(stream).await });
            }
        });
        server
    }

    /// Lets the next calls of `what` fail so, one after the other.
    pub fn inject(&self, what: &str, faults: impl IntoIterator<Item = Fault>) {
        let faults = faults.into_iter().map(|fault| (what.to_owned(), fault));
        self.faults.lock().unwrap().extend(faults);
    }

    /// How many calls of `what` came in.
    pub fn count(&self, what: &str) -> usize {
        let calls = self.calls.lock().unwrap();
        calls.iter().filter(|call| *call == what).count()
    }

    async fn serve(&self, mut stream: TcpStream) {
        let Some(call) = read_call(&mut stream).await else {
            return;
        };
        self.calls.lock().unwrap().push(call.what.clone());
        let fault = {
            let mut faults = self.faults.lock().unwrap();
            let at = faults.iter().position(|(what, _)| *what == call.what);
            at.and_then(|at| faults.remove(at)).map(|(_, fault)| fault)
        };
        let answer = match &fault {
            Some(Fault::Answer(answer)) => rendered(&call, answer),
            _ => self.answer(&call).await,
        };
        if !matches!(fault, Some(Fault::LoseAnswer)) {
            stream.write_all(&answer).await.unwrap_or_default();
        }
        stream.shutdown().await.unwrap_or_default();
    }

    async fn answer(&self, call: &Call) -> Vec<u8> {
        if let Some(backend) = &self.backend {
            return rendered(call, &backend(call));
        }
        let mut upstream = TcpStream::connect(self.upstream.as_ref().unwrap())
            .await
            .unwrap();
        // One call per connection, so that its answer ends with it.
        let text = call
            .raw
            .windows(2)
            .position(|pair| pair == b"\r\n")
            .unwrap();
        let mut request = call.raw[..text].to_vec();
        request.extend_from_slice(b"\r\nconnection: close");
        request.extend_from_slice(&call.raw[text..]);
        upstream.write_all(&request).await.unwrap();
        let mut answer = Vec::new();
        upstream.read_to_end(&mut answer).await.unwrap();
        answer
    }
}

fn rendered(call: &Call, answer: &Answer) -> Vec<u8> {
    let mut text = format!(
        "HTTP/1.1 {} x\r\nconnection: close\r\ncontent-length: {}\r\n",
        answer.status,
        answer.body.len()
    );
    for (name, value) in &answer.headers {
        text += &format!("{name}: {value}\r\n");
    }
    let mut bytes = (text + "\r\n").into_bytes();
    if call.what != "HEAD" {
        let end = answer.cut_at.unwrap_or(answer.body.len());
        bytes.extend_from_slice(&answer.body[..end]);
    }
    bytes
}

async fn read_call(stream: &mut TcpStream) -> Option<Call> {
    let mut raw = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    let head = loop {
        if let Some(at) = raw.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        let read = stream.read(&mut buffer).await.ok()?;
        if read == 0 {
            return None;
        }
        raw.extend_from_slice(&buffer[..read]);
    };
    let text = String::from_utf8_lossy(&raw[..head]).into_owned();
    let mut lines = text.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let method = first.next()?.to_owned();
    let path = first.next()?.to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let header = |name: &str| {
        let found = headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone())
    };
    let length: usize = header("content-length").map_or(0, |text| text.parse().unwrap());
    if header("expect").is_some() {
        stream
            .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
            .await
            .ok()?;
    }
    while raw.len() < head + 4 + length {
        let read = stream.read(&mut buffer).await.ok()?;
        if read == 0 {
            return None;
        }
        raw.extend_from_slice(&buffer[..read]);
    }
    let target = header("x-amz-target");
    let what = target.map_or(method, |target| {
        target.rsplit('.').next().unwrap_or_default().to_owned()
    });
    Some(Call {
        what,
        target: path,
        headers,
        body: raw[head + 4..].to_vec(),
        raw,
    })
}

/// Settings of a whole lake at `url`, with `prefix` in front of every name.
pub fn settings(url: &str, prefix: &str) -> Settings {
    let name = |variable: &str| {
        let part = variable.strip_prefix("TARN_")?;
        let (what, kind) = part.rsplit_once('_')?;
        let what = what.to_lowercase();
        match kind {
            "BUCKET" => Some(format!("{prefix}-{what}")),
            "DATABASE" => Some(format!("{}_{what}", prefix.replace('-', "_"))),
            "TABLE" => Some(format!("{prefix}-{what}")),
            _ => None,
        }
    };
    let vars = |variable: &str| match variable {
        "AWS_ENDPOINT_URL" => Some(url.to_owned()),
        "AWS_REGION" => Some("us-east-1".to_owned()),
        "TARN_PSEUDONYM_SECRET" => Some(format!(
            "arn:aws:secretsmanager:us-east-1:000000000000:secret:{prefix}-keys-AbCdEf"
        )),
        _ => name(variable),
    };
    Settings::from_vars(&vars, &[]).unwrap()
}

/// The ports at `url`.
pub async fn aws(url: &str, prefix: &str) -> Aws {
    Aws::connect_with_keys(settings(url, prefix), "test", "test").await
}
