//! The lake on AWS. The feature `aws` brings it in; a build without it has none of the AWS SDKs, and
//! says so where the lake on AWS is asked for.

#[cfg(not(feature = "aws"))]
mod absent;
#[cfg(feature = "aws")]
mod connection;
#[cfg(feature = "aws")]
mod environment;
#[cfg(feature = "aws")]
mod redrive;
#[cfg(feature = "aws")]
mod remote;

#[cfg(not(feature = "aws"))]
pub use absent::{Remote, is_function, redrive, serve};
#[cfg(feature = "aws")]
pub use connection::{Cloud, connect};
#[cfg(feature = "aws")]
pub use redrive::redrive;
#[cfg(feature = "aws")]
pub use remote::Remote;

#[cfg(feature = "aws")]
pub use crate::lambda::{is_function, main as serve};

/// What `tarn redrive` did with a dead-letter queue.
pub struct Redriven {
    /// Its dead letters before that.
    pub depth: u64,
    /// How many of them are on their way again.
    pub moved: usize,
}
