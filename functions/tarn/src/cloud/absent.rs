//! What stands in for the lake on AWS in a build without the feature `aws`: nothing can be opened, so
//! that nothing of the rest is ever called.

use std::path::Path;
use std::process::ExitCode;

use tarn_contract::Contracts;
use tarn_core::{Error, ErrorKind, Result};
use tarn_lake::Lake;

use crate::cli::{Global, RedriveArgs};
use crate::cloud::Redriven;

/// A lake on AWS, of which there is none.
pub enum Remote {}

/// The stream of such a lake.
pub enum EventStream {}

fn absent() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "this build of tarn has no AWS side; build one that has it with: \
         cargo build --release --features aws",
    )
}

impl Remote {
    pub async fn open(_root: Option<&Path>, _contracts: Contracts) -> Result<Remote> {
        Err(absent())
    }

    pub fn lake(&self) -> &Lake {
        match *self {}
    }

    pub async fn depth(&self, _variable: &str) -> Result<Option<u64>> {
        match *self {}
    }

    pub fn stream(&self) -> Result<EventStream> {
        match *self {}
    }
}

impl EventStream {
    pub async fn put(&self, _records: Vec<Vec<u8>>) -> Result<usize> {
        match *self {}
    }
}

pub async fn redrive(_global: &Global, _args: &RedriveArgs) -> Result<Redriven> {
    Err(absent())
}

/// Whether Lambda started this process.
pub fn is_function() -> bool {
    std::env::var_os("AWS_LAMBDA_RUNTIME_API").is_some()
}

/// Says that this is no function.
pub fn serve() -> ExitCode {
    eprintln!("{}", absent());
    ExitCode::FAILURE
}
