//! Reports to Lambda why a function cannot start, so that its caller sees the reason.
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html#runtimes-api-initerror>

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;
use tarn_core::Error;

/// Long enough for an address on the same machine.
const PATIENCE: Duration = Duration::from_secs(2);

/// Reports the error. A failure of the report is ignored: the reason is in the log.
pub fn report(error: &Error) {
    let Ok(address) = std::env::var("AWS_LAMBDA_RUNTIME_API") else {
        return;
    };
    if let Err(failure) = post(&address, error) {
        tracing::warn!(%failure, "the error could not be reported to Lambda");
    }
}

fn post(address: &str, error: &Error) -> std::io::Result<()> {
    let kind = format!("tarn.{}", error.kind().as_str());
    let body = json!({ "errorMessage": error.to_string(), "errorType": kind, "stackTrace": [] });
    let body = body.to_string();
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let request = format!(
        "POST /2018-06-01/runtime/init/error HTTP/1.1\r\nHost: {address}\r\n\
         Content-Type: application/vnd.aws.lambda.error+json\r\n\
         Lambda-Runtime-Function-Error-Type: {kind}\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes())?;
    // Lambda stops the process once it has answered.
    stream.read_exact(&mut [0])
}
