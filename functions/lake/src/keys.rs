//! A lake whose caller has no business with the keys of pseudonyms.

use async_trait::async_trait;
use tarn_core::ports::Keys;
use tarn_core::privacy::{KeyInfo, PseudonymKey};
use tarn_core::{Error, ErrorKind, Result};

/// No keys: whoever asks is refused.
pub(crate) struct NoKeys;

fn refused() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "the keys of pseudonyms are not known here; on AWS, set TARN_PSEUDONYM_SECRET",
    )
}

#[async_trait]
impl Keys for NoKeys {
    async fn newest(&self) -> Result<PseudonymKey> {
        Err(refused())
    }

    async fn list(&self) -> Result<Vec<KeyInfo>> {
        Err(refused())
    }

    async fn rotate(&self) -> Result<KeyInfo> {
        Err(refused())
    }
}
