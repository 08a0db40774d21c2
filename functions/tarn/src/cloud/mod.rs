//! The lake on AWS. It needs the feature `aws`; a build without it contains no AWS SDK and reports that
//! when a command asks for the lake on AWS.

#[cfg(not(feature = "aws"))]
mod absent;
#[cfg(feature = "aws")]
mod environment;
#[cfg(feature = "aws")]
mod redrive;
#[cfg(feature = "aws")]
mod remote;

#[cfg(not(feature = "aws"))]
pub use absent::{Remote, redrive};
#[cfg(feature = "aws")]
pub use redrive::redrive;
#[cfg(feature = "aws")]
pub use remote::Remote;

/// The result of `tarn redrive`.
pub struct Redriven {
    /// Dead letters in the queue before the command.
    pub depth: u64,
    /// How many of them were sent again.
    pub moved: usize,
}
