//! Stands in for the lake on AWS in a build without the feature `aws`. `Remote` has no values, so its
//! methods are never called.

use std::path::Path;

use tarn_contract::Contracts;
use tarn_core::{Error, ErrorKind, Result};
use tarn_lake::Lake;

use crate::cli::{Global, RedriveArgs};
use crate::cloud::Redriven;

/// A lake on AWS. This build cannot open one.
pub enum Remote {}

/// The stream of such a lake.
pub enum EventStream {}

fn absent() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "this build of tarn does not include AWS; build one that does: \
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

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]

    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    #[tokio::test]
    async fn a_lake_on_aws_is_refused_with_the_way_to_a_build_that_has_it() {
        let opened = Remote::open(None, Contracts::default()).await;
        let redriven = match Cli::parse_from(["tarn", "--aws", "redrive", "ingest"]) {
            Cli {
                global,
                command: Command::Redrive(args),
            } => redrive(&global, &args).await.err(),
            other => panic!("{other:?}"),
        };
        for error in [opened.err(), redriven] {
            let error = error.expect("it is refused");
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(error.to_string().contains("--features aws"), "{error}");
        }
    }
}
