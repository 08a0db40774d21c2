//! The keys of pseudonyms in a secret of AWS Secrets Manager.
//!
//! Each version of the secret holds the whole ring. It is put with a token that names the version of
//! its newest key: if two writers put the same version at once, one is
//! refused (`ResourceExistsException`) and reads what the other has put.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use aws_sdk_secretsmanager::Client;
use chrono::Utc;
use tarn_core::ports::Keys;
use tarn_core::privacy::{KeyInfo, KeyRing, PseudonymKey};
use tarn_core::{Error, ErrorKind, Result};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use crate::failure::{code, failed};
use crate::settings::Settings;

/// How long a function uses the key that it has read. After this time every function knows a rotation.
const FRESH: Duration = Duration::from_secs(300);

/// The keys of a lake on AWS.
pub(crate) struct SecretKeys {
    client: Client,
    settings: Arc<Settings>,
    known: Mutex<Option<(Instant, PseudonymKey)>>,
}

/// The outcome of a put.
enum Put {
    Done,
    /// Another writer has put this version.
    Taken,
}

impl SecretKeys {
    pub(crate) fn new(client: Client, settings: Arc<Settings>) -> Self {
        SecretKeys {
            client,
            settings,
            known: Mutex::new(None),
        }
    }

    /// The stored ring; None where the secret has no value yet, or does not exist.
    async fn read(&self) -> Result<Option<KeyRing>> {
        let secret = self.settings.pseudonym_secret()?;
        match self
            .client
            .get_secret_value()
            .secret_id(secret)
            .send()
            .await
        {
            Ok(value) => {
                let text = value.secret_string.map(Zeroizing::new).ok_or_else(|| {
                    Error::new(
                        ErrorKind::Storage,
                        format!("the secret {secret} holds no text; restore its former version"),
                    )
                })?;
                KeyRing::from_text(&text).map(Some)
            }
            Err(error) if code(&error) == Some("ResourceNotFoundException") => Ok(None),
            Err(error) => Err(failed("GetSecretValue", secret, error)),
        }
    }

    async fn put(&self, ring: &KeyRing, version: u32) -> Result<Put> {
        let secret = self.settings.pseudonym_secret()?;
        let result = self
            .client
            .put_secret_value()
            .secret_id(secret)
            .client_request_token(format!("tarn-pseudonym-key-version-{version:08}"))
            .secret_string(ring.to_text()?.as_str())
            .send()
            .await;
        match result {
            Ok(_) => Ok(Put::Done),
            Err(error) if code(&error) == Some("ResourceExistsException") => Ok(Put::Taken),
            Err(error) => Err(failed("PutSecretValue", secret, error)),
        }
    }

    /// The stored ring, with a first key after version `above` where there is none.
    async fn ring(&self, above: u32) -> Result<KeyRing> {
        if let Some(ring) = self.read().await? {
            return Ok(ring);
        }
        let ring = KeyRing::first(Utc::now(), above)?;
        match self.put(&ring, above.saturating_add(1)).await? {
            Put::Done => Ok(ring),
            Put::Taken => self.read().await?.ok_or_else(|| {
                Error::new(
                    ErrorKind::Storage,
                    "another process made the first key, and it cannot be read yet; try again",
                )
                .retryable(true)
            }),
        }
    }
}

fn empty() -> Error {
    Error::internal("a ring of keys is empty")
}

#[async_trait]
impl Keys for SecretKeys {
    async fn current(&self) -> Result<Option<PseudonymKey>> {
        let mut known = self.known.lock().await;
        if let Some((read_at, key)) = known.as_ref()
            && read_at.elapsed() < FRESH
        {
            return Ok(Some(key.clone()));
        }
        let Some(ring) = self.read().await? else {
            return Ok(None);
        };
        let key = ring.newest().ok_or_else(empty)?;
        *known = Some((Instant::now(), key.clone()));
        Ok(Some(key))
    }

    async fn newest(&self) -> Result<PseudonymKey> {
        if let Some(key) = self.current().await? {
            return Ok(key);
        }
        let mut known = self.known.lock().await;
        let key = self.ring(0).await?.newest().ok_or_else(empty)?;
        *known = Some((Instant::now(), key.clone()));
        Ok(key)
    }

    async fn list(&self) -> Result<Vec<KeyInfo>> {
        Ok(self
            .read()
            .await?
            .map(|ring| ring.infos())
            .unwrap_or_default())
    }

    async fn rotate(&self, above: u32) -> Result<KeyInfo> {
        let mut ring = match self.read().await? {
            Some(ring) => ring,
            None => {
                let infos = self.ring(above).await?.infos();
                return infos.into_iter().next_back().ok_or_else(empty);
            }
        };
        let info = ring.rotate(Utc::now(), above)?;
        match self.put(&ring, info.version).await? {
            Put::Done => {
                *self.known.lock().await = None;
                Ok(info)
            }
            Put::Taken => Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "version {} of the key was just made by another process; list the keys, and rotate again if needed",
                    info.version
                ),
            )),
        }
    }
}
