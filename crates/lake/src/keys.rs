//! The key that personal columns are protected with, and what the lake knows of keys that are gone.
//!
//! The ledger keeps the last version of the key that was used. A lake that has used one and finds none
//! must not silently make another: the same person would get another pseudonym from then on.

use async_trait::async_trait;
use tarn_contract::quarantine;
use tarn_core::ports::Keys;
use tarn_core::privacy::{KeyInfo, PseudonymKey};
use tarn_core::schema::system;
use tarn_core::{Error, ErrorKind, Result};

use crate::Lake;

/// The name of the ledger's value: the last version of the key that was used.
const USED: &str = "keys/pseudonym/used";

/// The name of the ledger's value that identifies the key of that version.
fn mark_of(version: u32) -> String {
    format!("keys/pseudonym/mark/{version}")
}

/// No keys, for callers that do not need them: every request is refused.
pub(crate) struct NoKeys;

fn refused() -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "the keys of pseudonyms are not known here; on AWS, set TARN_PSEUDONYM_SECRET",
    )
}

#[async_trait]
impl Keys for NoKeys {
    async fn current(&self) -> Result<Option<PseudonymKey>> {
        Err(refused())
    }

    async fn newest(&self) -> Result<PseudonymKey> {
        Err(refused())
    }

    async fn list(&self) -> Result<Vec<KeyInfo>> {
        Err(refused())
    }

    async fn rotate(&self, _above: u32) -> Result<KeyInfo> {
        Err(refused())
    }
}

/// What remains of a key that rows were made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsedKey {
    /// No row was.
    None,
    /// The last version, as the ledger says.
    Version(u32),
    /// Tables have pseudonyms from before the ledger kept the version.
    Unknown,
}

fn lost(used: UsedKey, newest: Option<u32>) -> Error {
    let rows = match used {
        UsedKey::Version(version) => format!("version {version} of the key"),
        _ => "a key".to_owned(),
    };
    let found = match newest {
        Some(newest) => format!("the keys that are there end at version {newest}"),
        None => "there is no key".to_owned(),
    };
    Error::new(
        ErrorKind::Storage,
        format!(
            "the keys of pseudonyms are lost: rows of this lake were made with {rows}, and {found}; restore \
             them from a backup. Where there is none, tarn keys rotate --lost makes a new key: the same \
             people then have other pseudonyms than before"
        ),
    )
}

impl Lake {
    /// The last version of the key that rows were made with.
    ///
    /// # Errors
    /// Where the ledger or the catalog does not answer.
    pub async fn used_key(&self) -> Result<UsedKey> {
        if let Some(version) = self.ledger.state(USED).await? {
            return version.parse().map(UsedKey::Version).map_err(|error| {
                Error::internal(format!("the ledger's value {USED} is not a version"))
                    .with_source(error)
            });
        }
        for contract in self.contracts.iter().filter(|one| one.is_personal()) {
            for table in [contract.table(), quarantine::table(&contract.dataset)] {
                let Some(table) = self.tables.load(&table).await? else {
                    continue;
                };
                // A run makes its tables before it asks for a key; only then has one rows.
                let mut fields = table.fields().into_iter();
                if table.current_snapshot_id().is_some()
                    && fields.any(|field| field.field.name == system::KEY_VERSION)
                {
                    return Ok(UsedKey::Unknown);
                }
            }
        }
        Ok(UsedKey::None)
    }

    /// The key that new rows are protected with; the first one is made where the lake never had any.
    /// From here on the lake knows that it was used.
    ///
    /// # Errors
    /// `Storage` where keys that rows were made with are gone.
    pub async fn pseudonym_key(&self) -> Result<PseudonymKey> {
        // Before the key is looked for: a version that is known as used had its key by then.
        let used = self.used_key().await?;
        let key = match (self.keys.current().await?, used) {
            (Some(key), UsedKey::Version(version)) if key.version() < version => {
                // The value may be older than a rotation; the ring is not.
                let newest = self.keys.list().await?.last().map(|info| info.version);
                if newest.is_none_or(|newest| newest < version) {
                    return Err(lost(used, newest));
                }
                self.check_mark(&key).await?;
                return Ok(key);
            }
            (Some(key), _) => key,
            (None, UsedKey::None) => self.keys.newest().await?,
            (None, UsedKey::Version(_)) => return Err(lost(used, None)),
            // Another run may have made the first key and its table meanwhile.
            (None, UsedKey::Unknown) => {
                self.keys.current().await?.ok_or_else(|| lost(used, None))?
            }
        };
        self.check_mark(&key).await?;
        if used != UsedKey::Version(key.version()) {
            self.ledger
                .put_state(USED, &key.version().to_string())
                .await?;
        }
        Ok(key)
    }

    /// Makes sure that the key is the one that rows of its version were made with: with a flipped bit
    /// or the key of another lake, the same people would get other pseudonyms.
    async fn check_mark(&self, key: &PseudonymKey) -> Result<()> {
        let (name, mark) = (mark_of(key.version()), key.mark());
        match self.ledger.state(&name).await? {
            None => self.ledger.put_state(&name, &mark).await,
            Some(known) if known == mark => Ok(()),
            Some(_) => Err(Error::new(
                ErrorKind::Damaged,
                format!(
                    "version {} of the key of pseudonyms is not the one that rows were made with: it is \
                     damaged, or comes from another lake; restore it from a backup. Where there is none, tarn \
                     keys rotate makes a new key: the same people then have other pseudonyms than before",
                    key.version()
                ),
            )),
        }
    }

    /// Adds a key that new rows use from now on.
    ///
    /// # Errors
    /// `Storage` if keys that rows were made with are gone; `Conflict` if another process adds one at the
    /// same time.
    pub async fn rotate_key(&self) -> Result<KeyInfo> {
        let used = self.used_key().await?;
        let newest = self.keys.list().await?.last().map(|info| info.version);
        if is_lost(used, newest) {
            return Err(lost(used, newest));
        }
        self.keys.rotate(0).await
    }

    /// Makes a new key to replace lost ones. `seen` is the greatest version that the rows of the
    /// tables name, where the ledger does not know it.
    ///
    /// # Errors
    /// `BadRequest` where no key is lost.
    pub async fn replace_lost_key(&self, seen: u32) -> Result<KeyInfo> {
        let used = self.used_key().await?;
        let newest = self.keys.list().await?.last().map(|info| info.version);
        if !is_lost(used, newest) {
            return Err(Error::new(
                ErrorKind::BadRequest,
                "no key is lost; leave --lost out to add a new one beside those that are there",
            ));
        }
        let above = match used {
            UsedKey::Version(version) => version.max(seen),
            _ => seen,
        };
        self.keys.rotate(above).await
    }
}

fn is_lost(used: UsedKey, newest: Option<u32>) -> bool {
    match used {
        UsedKey::None => false,
        UsedKey::Version(version) => newest.is_none_or(|newest| newest < version),
        UsedKey::Unknown => newest.is_none(),
    }
}
