//! The keys of pseudonyms. New versions are added; existing ones never change.

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

use crate::error::{Error, ErrorKind, Result};

/// Bytes of a key: as many as SHA-256 gives (RFC 2104, section 3).
pub const KEY_BYTES: usize = 32;

/// The bytes of the hash that are a pseudonym, which has two hexadecimal digits for each. With 128 bits,
/// two of a billion values share a pseudonym with a chance below 10^-20.
const PSEUDONYM_BYTES: usize = 16;

/// Digits of a pseudonym.
pub const PSEUDONYM_DIGITS: usize = 2 * PSEUDONYM_BYTES;

/// The two hexadecimal digits of each byte: pseudonyms are made by the million.
const HEX: [[u8; 2]; 256] = {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [DIGITS[byte >> 4], DIGITS[byte & 15]];
        byte += 1;
    }
    pairs
};

/// One version of the key, ready to make pseudonyms. It has no `Debug`, so that no log shows it.
#[derive(Clone)]
pub struct PseudonymKey {
    version: u32,
    mac: Hmac<Sha256>,
}

impl PseudonymKey {
    /// A key from its bytes.
    pub fn new(version: u32, bytes: &[u8; KEY_BYTES]) -> Self {
        // A key that is shorter than a block of the hash is padded with zeros (RFC 2104, section 2).
        let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
        block.as_mut_slice()[..KEY_BYTES].copy_from_slice(bytes);
        let mac = Hmac::new(&block);
        block.as_mut_slice().zeroize();
        PseudonymKey { version, mac }
    }

    /// The key's version, from 1.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// A text that distinguishes this key from any other without revealing it: the pseudonym of a text
    /// that cannot be a value, because it has a NUL character.
    pub fn mark(&self) -> String {
        String::from_utf8_lossy(&self.pseudonym(b"\0mark of a key")).into_owned()
    }

    /// The pseudonym of a value: the first 16 bytes of its HMAC-SHA-256, as lower-case hexadecimal
    /// digits.
    pub fn pseudonym(&self, value: &[u8]) -> [u8; PSEUDONYM_DIGITS] {
        let mut mac = self.mac.clone();
        mac.update(value);
        let hash = mac.finalize().into_bytes();
        let mut text = [0; PSEUDONYM_DIGITS];
        for (pair, byte) in text.as_chunks_mut::<2>().0.iter_mut().zip(hash) {
            *pair = HEX[usize::from(byte)];
        }
        text
    }
}

/// What may be known of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyInfo {
    /// From 1; the greatest is used for new rows.
    pub version: u32,
    /// When it was made (UTC).
    pub created_at: DateTime<Utc>,
}

struct Entry {
    info: KeyInfo,
    bytes: Zeroizing<[u8; KEY_BYTES]>,
}

/// Every version of the key, oldest first. It has no `Debug`, and forgets its keys when dropped.
pub struct KeyRing {
    entries: Vec<Entry>,
}

/// How a key ring is stored, as JSON.
#[derive(Serialize, Deserialize)]
struct Stored {
    keys: Vec<StoredKey>,
}

#[derive(Serialize, Deserialize)]
struct StoredKey {
    #[serde(flatten)]
    info: KeyInfo,
    /// Hexadecimal.
    key: String,
}

impl Drop for StoredKey {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

impl KeyRing {
    /// A ring with a first key, whose version is the one after `above`: 0, or the last version of a ring
    /// that was lost, so that `_key_version` distinguishes the rows of both.
    ///
    /// # Errors
    /// `Internal` where the operating system has no randomness to give.
    pub fn first(now: DateTime<Utc>, above: u32) -> Result<Self> {
        let mut ring = KeyRing {
            entries: Vec::new(),
        };
        ring.rotate(now, above)?;
        Ok(ring)
    }

    /// Adds a new key, which new rows use from now on. Its version is greater than `above`.
    ///
    /// # Errors
    /// `Internal` where the operating system has no randomness to give.
    pub fn rotate(&mut self, now: DateTime<Utc>, above: u32) -> Result<KeyInfo> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(bytes.as_mut_slice()).map_err(|error| {
            Error::internal("the operating system gives no random bytes for a key")
                .with_source(error.to_string())
        })?;
        let info = KeyInfo {
            version: self
                .entries
                .last()
                .map_or(above, |last| last.info.version.max(above))
                .checked_add(1)
                .ok_or_else(|| Error::internal("there is no version of the key left"))?,
            created_at: now,
        };
        self.entries.push(Entry {
            info: info.clone(),
            bytes,
        });
        Ok(info)
    }

    /// The newest key.
    pub fn newest(&self) -> Option<PseudonymKey> {
        let last = self.entries.last()?;
        Some(PseudonymKey::new(last.info.version, &last.bytes))
    }

    /// What may be shown of the keys, oldest first.
    pub fn infos(&self) -> Vec<KeyInfo> {
        self.entries
            .iter()
            .map(|entry| entry.info.clone())
            .collect()
    }

    /// Reads a stored ring.
    ///
    /// # Errors `Storage` if the text is not a ring of at least one key with positive, growing versions.
    /// The message does not quote the text.
    pub fn from_text(text: &str) -> Result<Self> {
        let bad = |what: &str| {
            Error::new(
                ErrorKind::Storage,
                format!(
                    "the keys of pseudonyms cannot be read: {what}; restore them from a backup"
                ),
            )
        };
        let stored: Stored = serde_json::from_str(text)
            .map_err(|_| bad("they are not JSON of the expected form"))?;
        let mut entries: Vec<Entry> = Vec::new();
        for key in stored.keys {
            let last = entries.last().map_or(0, |last| last.info.version);
            if key.info.version <= last {
                return Err(bad("their versions do not grow"));
            }
            let bytes =
                from_hex(&key.key).ok_or_else(|| bad("a key is not 64 hexadecimal digits"))?;
            entries.push(Entry {
                info: key.info.clone(),
                bytes,
            });
        }
        if entries.is_empty() {
            return Err(bad("there is none"));
        }
        Ok(KeyRing { entries })
    }

    /// The ring as it is stored.
    ///
    /// # Errors Only those of the JSON writer.
    pub fn to_text(&self) -> Result<Zeroizing<String>> {
        let keys = self.entries.iter().map(|entry| StoredKey {
            info: entry.info.clone(),
            key: hex::encode(entry.bytes.as_slice()),
        });
        let stored = Stored {
            keys: keys.collect(),
        };
        serde_json::to_string_pretty(&stored)
            .map(Zeroizing::new)
            .map_err(|error| Error::internal("keys cannot be written").with_source(error))
    }
}

fn from_hex(text: &str) -> Option<Zeroizing<[u8; KEY_BYTES]>> {
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    hex::decode_to_slice(text, bytes.as_mut_slice()).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn text(bytes: [u8; 32]) -> String {
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn a_pseudonym_is_the_beginning_of_an_hmac_sha_256() {
        // Computed with Python: hmac.new(bytes(range(32)), b"alice@example.com", "sha256").
        let key = PseudonymKey::new(1, &std::array::from_fn(|index| index as u8));
        assert_eq!(text(key.pseudonym(b"alice@example.com")), ALICE);
        assert_eq!(text(key.pseudonym(b"")), NOTHING);
    }

    const ALICE: &str = "a59fc578d4cb46faab1d6eb348e7c74b";
    const NOTHING: &str = "d38b42096d80f45f826b44a9d5607de7";

    #[test]
    fn a_ring_is_read_as_it_was_written_and_grows_by_rotation() {
        let mut ring = KeyRing::first(Utc::now(), 0).unwrap();
        let first = ring.newest().unwrap();
        assert_eq!(ring.rotate(Utc::now(), 0).unwrap().version, 2);
        let again = KeyRing::from_text(&ring.to_text().unwrap()).unwrap();
        assert_eq!(again.infos(), ring.infos());
        let (new, read) = (ring.newest().unwrap(), again.newest().unwrap());
        assert_eq!((new.version(), read.version()), (2, 2));
        assert_eq!(new.pseudonym(b"x"), read.pseudonym(b"x"));
        assert_ne!(new.pseudonym(b"x"), first.pseudonym(b"x"));
        assert_ne!(new.pseudonym(b"x"), new.pseudonym(b"y"));
        // After a loss no version is used again.
        assert_eq!(ring.rotate(Utc::now(), 5).unwrap().version, 6);
        let anew = KeyRing::first(Utc::now(), 6).unwrap();
        let read = KeyRing::from_text(&anew.to_text().unwrap()).unwrap();
        assert_eq!(read.newest().unwrap().version(), 7);
    }

    #[test]
    fn a_damaged_ring_is_refused_and_not_quoted() {
        let mut ring = KeyRing::first(Utc::now(), 0).unwrap();
        ring.rotate(Utc::now(), 0).unwrap();
        let good = ring.to_text().unwrap();
        let key = good.split('"').find(|part| part.len() == 64).unwrap();
        for damaged in [
            "",
            "{}",
            "{\"keys\":[]}",
            &good[..good.len() / 2],
            &good.replace("\"version\": 1", "\"version\": 2"),
            &good.replace("\"version\": 1", "\"version\": 0"),
            &good.replace(key, &key[1..]),
            &good.replace(key, &"g".repeat(64)),
        ] {
            let error = KeyRing::from_text(damaged).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Storage);
            assert!(!error.to_string().contains(&key[1..]), "{error}");
        }
    }
}
