//! Which part of a log was ingested already, whatever its file is called. The same lines can come again
//! under another name, compressed, or followed by more lines; each line counts once.
//!
//! A content is recognised by its beginning. All contents with the same beginning share one [`Entry`] of
//! the ledger. The entry lists the contents that were ingested ([`Taken`]), with digests of each content
//! and of its beginnings. One pass over a new content then decides how it compares with each of them
//! ([`compare`]), and which part of it is new. All bytes are those of the decompressed object.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::layout::RAW;

/// A folder of this name in a raw key says that the object's lines are new, whatever they look like.
pub const AS_NEW: &str = "as-new";

/// Contents that share at least this many bytes have the same lines, wherever they come from. If they
/// share fewer, two servers may have logged the same, for example the health checks of a quiet night.
pub const SURE_BYTES: u64 = 64 << 10;

/// The longest beginning by which contents are recognised, in bytes.
pub const BEGINNING_BYTES: usize = 1024;

/// How many contents with one beginning are remembered, and how large their entry in the ledger may be,
/// in bytes. The oldest content is forgotten first.
const MOST_CONTENTS: usize = 64;
const MOST_BYTES: usize = 200 << 10;

/// A content's beginnings are digested as it is read, at growing lengths: each is this many times the one
/// before.
const FIRST_MARK: u64 = 4 << 10;
const MARK_FACTOR: u64 = 4;

/// Former lengths of a content that are remembered beside those.
const MOST_FORMER: usize = 24;

/// What a content is recognised by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    /// There is nothing to recognise.
    Empty,
    /// The digest of everything up to the end of its first line that is not blank, at most
    /// [`BEGINNING_BYTES`]. It stays the same when lines are added.
    Whole(Digest),
    /// The digest of all of it, because it is shorter and has no such line yet.
    Part(Digest),
}

/// The lengths at which a content of `bytes` is digested.
pub fn marks() -> impl Iterator<Item = u64> {
    std::iter::successors(Some(FIRST_MARK), |mark| mark.checked_mul(MARK_FACTOR))
}

/// What must be known of a content to recognise it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measure {
    /// Its length.
    pub bytes: u64,
    /// Where an unfinished last line begins; the length of the content if the last line is finished.
    pub whole: u64,
    /// The digest of all of it.
    pub digest: Digest,
    /// The digests of its beginnings, by their length.
    #[serde(default)]
    pub marks: BTreeMap<u64, Digest>,
}

impl Measure {
    /// Whether the last line lacks its end, and may go on.
    pub fn is_open(&self) -> bool {
        self.whole < self.bytes
    }

    /// The digest of the first `length` bytes, where it is known.
    pub fn at(&self, length: u64) -> Option<Digest> {
        if length == self.bytes {
            Some(self.digest)
        } else {
            self.marks.get(&length).copied()
        }
    }

    /// The lengths at which a digest of it is known.
    pub fn lengths(&self) -> impl Iterator<Item = u64> + '_ {
        self.marks.keys().copied().chain([self.bytes])
    }
}

/// How a content compares with one that was ingested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// Nothing shows that they share more than their beginning.
    Differs,
    /// All of it was ingested.
    Within,
    /// It continues where the ingested content ends.
    Extends,
    /// This many bytes are equal; the bytes after them must be compared.
    Open(u64),
}

/// Compares a content with one that was ingested. `content` has the digests of its beginnings at every
/// length of `taken` that it reaches.
pub fn compare(taken: &Measure, content: &Measure) -> Comparison {
    let equal = |length: &u64| {
        let known = taken.at(*length);
        known.is_some() && known == content.at(*length)
    };
    if taken.bytes <= content.bytes && equal(&taken.bytes) {
        return if taken.bytes == content.bytes {
            Comparison::Within
        } else {
            Comparison::Extends
        };
    }
    if content.bytes < taken.bytes && equal(&content.bytes) {
        return Comparison::Within;
    }
    let in_both = |length: &u64| *length <= content.bytes;
    let common = taken.lengths().filter(in_both).filter(equal).max();
    let differs = taken
        .lengths()
        .filter(in_both)
        .any(|length| !equal(&length));
    match common {
        // Nothing that could be compared is unequal: the rest of the shorter one is open.
        _ if !differs && content.bytes < taken.bytes => Comparison::Open(common.unwrap_or(0)),
        Some(common) if common >= SURE_BYTES => Comparison::Open(common),
        _ => Comparison::Differs,
    }
}

/// The folders that a log came from, as its raw key has them: they distinguish two servers. Folders that
/// are dates do not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(Vec<String>);

impl Origin {
    /// The folders after `raw/<source>/<dataset>/`.
    pub fn of_key(key: &str) -> Origin {
        let rest = key.strip_prefix(RAW).unwrap_or(key);
        let mut parts: Vec<&str> = rest.split('/').skip(2).collect();
        parts.pop();
        let mut folders = Vec::new();
        let mut in_date = false;
        for part in parts {
            let date = is_date(part) || (in_date && is_number(part, 1..=2));
            if !date && part != AS_NEW {
                folders.push(part.to_owned());
            }
            in_date = date;
        }
        Origin(folders)
    }

    /// Whether both may be the same: one is the end of the other. A log without folders may be of any
    /// server.
    pub fn may_be(&self, other: &Origin) -> bool {
        let (short, long) = if self.0.len() <= other.0.len() {
            (&self.0, &other.0)
        } else {
            (&other.0, &self.0)
        };
        long.ends_with(short)
    }

    /// Whether what may be `other` may be this one too.
    fn includes(&self, other: &Origin) -> bool {
        other.0.ends_with(&self.0)
    }
}

/// Whether a raw key says that its lines are new.
pub fn is_as_new(key: &str) -> bool {
    let mut folders = key.split('/').skip(3).peekable();
    while let Some(folder) = folders.next() {
        // The last part is the file.
        if folders.peek().is_some() && folder == AS_NEW {
            return true;
        }
    }
    false
}

fn is_number(text: &str, lengths: std::ops::RangeInclusive<usize>) -> bool {
    lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `2026`, `202601`, `20260131`, `2026-01`, `2026-01-31`, or a number or such a date after a name and
/// `=`.
fn is_date(part: &str) -> bool {
    if let Some((name, value)) = part.split_once('=') {
        return !name.is_empty() && (is_number(value, 1..=8) || is_date(value));
    }
    let digits: String = part.split('-').collect();
    let dashes = part.len() - digits.len();
    let shape = match dashes {
        0 => [4, 6, 8].contains(&part.len()),
        1 => part.len() == 7 && part.find('-') == Some(4),
        2 => part.len() == 10 && part.find('-') == Some(4) && part.rfind('-') == Some(7),
        _ => false,
    };
    shape && is_number(&digits, 4..=8) && (digits.starts_with("19") || digits.starts_with("20"))
}

/// How far the ingest of a content is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// A run is about to commit it. No other run ingests the same lines meanwhile.
    Claimed {
        /// Others wait until then, unless the run is known to have stopped (UTC).
        until: DateTime<Utc>,
        /// The process that ingests it, if it is known.
        by: Option<String>,
        /// Whether its lines are in tables already and are read again.
        #[serde(default)]
        again: bool,
    },
    /// Its lines are in tables.
    Taken,
}

/// A content that was ingested, or is being ingested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// The raw object.
    pub key: String,
    /// Its version as rows name it.
    pub version: String,
    /// The run.
    pub run_id: String,
    /// How far it is.
    pub stage: Stage,
    /// What is known of the content; None for an object that was ingested before contents were recognised
    /// and has not been looked at yet.
    pub measure: Option<Measure>,
}

impl Taken {
    /// Whether it is that version of that object.
    pub fn is(&self, key: &str, version: &str) -> bool {
        self.key == key && self.version == version
    }

    /// Where it came from.
    pub fn origin(&self) -> Origin {
        Origin::of_key(&self.key)
    }
}

/// The contents with one beginning, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Them.
    pub contents: Vec<Taken>,
}

impl Entry {
    /// The lengths at which a content must be digested to be compared with all of these.
    pub fn lengths(&self) -> BTreeSet<u64> {
        let measures = self
            .contents
            .iter()
            .filter_map(|taken| taken.measure.as_ref());
        measures.flat_map(Measure::lengths).collect()
    }

    /// Puts a content into the entry. It replaces what is known of the same version, and the contents
    /// that it continues by `within`. Their lengths and digests are remembered as its beginnings.
    pub fn put(&mut self, mut taken: Taken, within: impl Fn(&Taken) -> bool) {
        let origin = taken.origin();
        let mut former: BTreeMap<u64, Digest> = BTreeMap::new();
        self.contents.retain(|old| {
            let replaced = old.is(&taken.key, &taken.version)
                || (old.stage == Stage::Taken && origin.includes(&old.origin()) && within(old));
            if let (true, Some(measure)) = (replaced, &old.measure) {
                former.extend(&measure.marks);
                former.insert(measure.bytes, measure.digest);
            }
            !replaced
        });
        if let Some(measure) = &mut taken.measure {
            let regular: BTreeSet<u64> =
                marks().take_while(|mark| *mark <= measure.bytes).collect();
            former.retain(|length, _| !regular.contains(length) && *length < measure.bytes);
            while former.len() > MOST_FORMER {
                former.pop_first();
            }
            measure.marks.retain(|length, _| regular.contains(length));
            measure.marks.extend(former);
        }
        self.contents.push(taken);
        self.forget();
    }

    /// Keeps the entry small enough for any ledger.
    fn forget(&mut self) {
        let size = |taken: &Taken| {
            let marks = taken
                .measure
                .as_ref()
                .map_or(0, |measure| measure.marks.len());
            400 + taken.key.len() + taken.version.len() + 60 * marks
        };
        let mut bytes: usize = self.contents.iter().map(size).sum();
        while self.contents.len() > MOST_CONTENTS || bytes > MOST_BYTES {
            let oldest = self
                .contents
                .iter()
                .position(|taken| taken.stage == Stage::Taken);
            let Some(oldest) = oldest.filter(|_| self.contents.len() > 1) else {
                return;
            };
            let forgotten = self.contents.remove(oldest);
            bytes -= size(&forgotten);
        }
    }
}

#[cfg(test)]
#[path = "content_tests.rs"]
mod tests;
