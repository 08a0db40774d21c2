//! Digests of contents, and files that have their digest in their name.
//!
//! A file that the lake writes once is named `<stem>.b3_<digest>.<extension>`: a reader that knows the
//! name can check whether the content is what was written. Metadata and manifests name the files of a
//! table, so the digest of each naming file protects the digests in it. This costs no request and no
//! record.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes of a digest: enough that nobody finds two contents that share one.
const BYTES: usize = 16;

/// What precedes the digest in a file's name. Iceberg's libraries take it for the name of a codec before
/// `.metadata.json`, and ignore other parts of a name.
const MARK: &str = ".b3_";

/// The first 128 bits of the BLAKE3 hash of a content; shown as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; BYTES]);

/// A digest that is being computed.
#[derive(Default)]
pub struct Hasher(blake3::Hasher);

impl Hasher {
    /// Takes more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all that was taken.
    pub fn finish(&self) -> Digest {
        let mut digest = [0; BYTES];
        self.0.finalize_xof().fill(&mut digest);
        Digest(digest)
    }
}

impl Digest {
    /// Of bytes.
    pub fn of(bytes: &[u8]) -> Digest {
        let mut hasher = Hasher::default();
        hasher.update(bytes);
        hasher.finish()
    }

    /// Of all that is left to read, and how many bytes that were.
    ///
    /// # Errors
    /// Those of the reader.
    pub fn of_reader(source: &mut impl Read) -> io::Result<(Digest, u64)> {
        let mut hasher = Hasher::default();
        let mut buffer = vec![0; 256 << 10];
        let mut size = 0;
        loop {
            match source.read(&mut buffer) {
                Ok(0) => return Ok((hasher.finish(), size)),
                Ok(read) => {
                    hasher.update(buffer.get(..read).unwrap_or_default());
                    size += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Of a file, and its size in bytes.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub fn of_file(path: &Path) -> io::Result<(Digest, u64)> {
        Digest::of_reader(&mut File::open(path)?)
    }

    /// From 32 hexadecimal digits in lower case.
    pub fn parse(text: &str) -> Option<Digest> {
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return None;
        }
        let mut digest = [0; BYTES];
        hex::decode_to_slice(text, &mut digest).ok()?;
        Some(Digest(digest))
    }

    /// The digest that a file's name carries; None where it carries none.
    pub fn in_name(key: &str) -> Option<Digest> {
        let name = key.rsplit('/').next()?;
        let (_, rest) = name.rsplit_once(MARK)?;
        let (digest, _) = rest.split_once('.')?;
        Digest::parse(digest)
    }

    /// The name of a file of this content.
    pub fn name(&self, stem: &str, extension: &str) -> String {
        format!("{stem}{MARK}{self}.{extension}")
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Digest::parse(&text).ok_or_else(|| D::Error::custom("not 32 hexadecimal digits"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_digest_is_the_beginning_of_blake3() {
        // The hash of nothing, as the test vectors of BLAKE3 have it.
        assert_eq!(
            Digest::of(b"").to_string(),
            "af1349b9f5f9a1a6a0404dea36dcc949"
        );
        let (digest, size) = Digest::of_reader(&mut &b"abc"[..]).unwrap();
        assert_eq!((digest, size), (Digest::of(b"abc"), 3));
        assert_eq!(Digest::parse(&digest.to_string()), Some(digest));
    }

    #[test]
    fn a_name_carries_its_digest_and_other_names_carry_none() {
        let digest = Digest::of(b"abc");
        for (stem, extension) in [
            ("run-00000", "parquet"),
            ("00001-9d1f", "metadata.json"),
            ("a.b3_x", "avro"),
        ] {
            let name = digest.name(stem, extension);
            assert_eq!(Digest::in_name(&name), Some(digest), "{name}");
            assert_eq!(Digest::in_name(&format!("a/b/{name}")), Some(digest));
        }
        for other in [
            "",
            "a.parquet",
            "run-5997558b4092434ab8269ca8f35d713f-00000.parquet",
            "5997558b4092434ab8269ca8f35d713f.parquet",
            "a.b3_5997558b4092434ab8269ca8f35d713.parquet",
            "a.b3_5997558B4092434ab8269ca8f35d713f.parquet",
            "a.b3_5997558b4092434ab8269ca8f35d713f",
            "a.b3_5997558b4092434ab8269ca8f35d713f.d/x.parquet",
        ] {
            assert_eq!(Digest::in_name(other), None, "{other}");
        }
    }
}
