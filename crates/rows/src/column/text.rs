//! Texts laid end to end, interned while that pays.

use std::hash::BuildHasher;
use std::ops::Range;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::{Rows, Validity};

/// Texts laid end to end; text `i` is `bytes[ends[i - 1]..ends[i]]`.
#[derive(Debug, Clone, Default)]
pub struct Texts {
    /// The bytes of all texts, valid UTF-8.
    pub bytes: Vec<u8>,
    /// Where each text ends.
    pub ends: Vec<i64>,
}

impl Texts {
    /// Number of texts.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Text `index`.
    #[inline]
    pub fn get(&self, index: usize) -> &[u8] {
        let begin = if index == 0 {
            0
        } else {
            self.ends[index - 1] as usize
        };
        &self.bytes[begin..self.ends[index] as usize]
    }

    /// Makes room for this many more texts and their bytes.
    pub fn reserve(&mut self, texts: usize, bytes: usize) {
        self.ends.reserve(texts);
        self.bytes.reserve(bytes);
    }

    /// Appends a text, which must be valid UTF-8.
    #[inline]
    pub fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len() as i64);
    }

    /// Appends a short text of this many bytes: sixteen are copied, which takes no call, and some are cut off.
    #[inline]
    fn push_short(&mut self, text: ShortText, length: usize) {
        let end = self.bytes.len() + length;
        self.bytes.extend_from_slice(&text.bits.to_le_bytes());
        self.bytes.truncate(end);
        self.ends.push(end as i64);
    }

    /// Appends some texts of another.
    fn extend(&mut self, other: &Texts, range: Range<usize>) {
        let place = |text: usize| match text {
            0 => 0,
            _ => other.ends[text - 1],
        };
        let (begin, end) = (place(range.start), place(range.end));
        let shift = self.bytes.len() as i64 - begin;
        self.bytes
            .extend_from_slice(&other.bytes[begin as usize..end as usize]);
        self.ends
            .extend(other.ends[range].iter().map(|end| end + shift));
    }

    /// Cuts to `len` texts.
    pub fn truncate(&mut self, len: usize) {
        self.ends.truncate(len);
        self.bytes
            .truncate(self.ends.last().copied().unwrap_or(0) as usize);
    }
}

/// After this many rows a text column decides whether interning pays.
const INTERN_TRIAL_ROWS: usize = 2048;

/// No key: a column has fewer texts.
const UNKNOWN: u32 = u32::MAX;

/// A text column: interned, or plain once that does not pay.
#[derive(Debug, Clone)]
pub struct TextColumn {
    /// Distinct texts while interning, otherwise one text per row.
    pub texts: Texts,
    /// While interning: the text of each row (0 for a null). Empty once plain.
    pub keys: Vec<u32>,
    /// Which rows have a value.
    pub validity: Validity,
    /// Whether `keys` point into `texts`.
    pub interned: bool,
    table: HashTable<Slot>,
    recent: Recent,
    hasher: hashbrown::DefaultHashBuilder,
    last: Option<u32>,
}

/// An interned text. Its hash and its place stand next to its key: a lookup touches the table and the
/// text and nothing between them, and a growing table does not hash its texts again.
#[derive(Debug, Clone, Copy)]
struct Slot {
    hash: u32,
    begin: u32,
    len: u32,
    key: u32,
}

impl Slot {
    /// The table takes its group from the low bits of a hash and its tag from the high ones.
    #[inline]
    fn wide(hash: u32) -> u64 {
        u64::from(hash) << 32 | u64::from(hash)
    }
}

/// A text of at most 16 bytes as one number: the first byte lowest, zeros after the last. Two texts of
/// one length are equal if these are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShortText {
    bits: u128,
}

impl ShortText {
    const LONGEST: usize = size_of::<u128>();

    /// By length: which bits count.
    const MASKS: [u128; Self::LONGEST + 1] = {
        let mut masks = [u128::MAX; Self::LONGEST + 1];
        let mut length = 0;
        while length < Self::LONGEST {
            masks[length] = (1 << (8 * length)) - 1;
            length += 1;
        }
        masks
    };

    /// The first `length` bytes of sixteen.
    #[inline(always)]
    pub fn first(bytes: &[u8; Self::LONGEST], length: usize) -> Option<Self> {
        let mask = Self::MASKS.get(length)?;
        Some(ShortText {
            bits: u128::from_le_bytes(*bytes) & mask,
        })
    }

    /// A text; None where it is longer.
    #[inline]
    pub fn of(text: &[u8]) -> Option<Self> {
        if text.len() > Self::LONGEST {
            return None;
        }
        // Two words that overlap: what both hold is shifted out of the second.
        let bits = if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
            let behind = u64::from_le_bytes(*last).checked_shr(8 * (16 - text.len() as u32));
            u128::from(behind.unwrap_or(0)) << 64 | u128::from(u64::from_le_bytes(*first))
        } else if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
            let behind = u32::from_le_bytes(*last).checked_shr(8 * (8 - text.len() as u32));
            u128::from(behind.unwrap_or(0)) << 32 | u128::from(u32::from_le_bytes(*first))
        } else {
            let byte = |at: usize| u128::from(text.get(at).copied().unwrap_or(0));
            byte(2) << 16 | byte(1) << 8 | byte(0)
        };
        Some(ShortText { bits })
    }
}

/// Short texts that were interned lately, found by their bytes without hashing: most columns of a
/// shop's data have a handful of short values.
#[derive(Debug, Clone, Default)]
struct Recent {
    /// Empty until the first short text.
    entries: Vec<RecentText>,
}

#[derive(Debug, Clone, Copy)]
struct RecentText {
    text: ShortText,
    length: u32,
    key: u32,
}

impl Recent {
    const ENTRIES: usize = 256;
    const NONE: RecentText = RecentText {
        text: ShortText { bits: 0 },
        length: u32::MAX,
        key: 0,
    };

    #[inline]
    fn place(text: ShortText, length: usize) -> usize {
        let (low, high) = (text.bits as u64, (text.bits >> 64) as u64);
        let mixed =
            (low ^ high.rotate_left(29) ^ length as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> (u64::BITS - Self::ENTRIES.ilog2())) as usize
    }

    #[inline]
    fn find(&self, text: ShortText, length: usize) -> Option<u32> {
        let entry = self.entries.get(Self::place(text, length))?;
        (entry.text == text && entry.length as usize == length).then_some(entry.key)
    }

    #[inline]
    fn insert(&mut self, text: ShortText, length: usize, key: u32) {
        if self.entries.is_empty() {
            self.entries = vec![Self::NONE; Self::ENTRIES];
        }
        if let Some(entry) = self.entries.get_mut(Self::place(text, length)) {
            *entry = RecentText {
                text,
                length: length as u32,
                key,
            };
        }
    }
}

impl TextColumn {
    /// An empty column. `intern` says whether to try interning.
    pub fn new(intern: bool) -> Self {
        TextColumn {
            texts: Texts::default(),
            keys: Vec::new(),
            validity: Validity::default(),
            interned: intern,
            table: HashTable::new(),
            recent: Recent::default(),
            hasher: hashbrown::DefaultHashBuilder::default(),
            last: None,
        }
    }

    /// A column of one text in every row.
    pub(crate) fn constant(text: &[u8], rows: usize) -> Self {
        let mut column = TextColumn::new(true);
        if let Some(more) = rows.checked_sub(1) {
            column.push(text);
            column.repeat(0, more);
        }
        column
    }

    /// Whether every row has the same text, as those have that say where a row came from.
    pub fn is_constant(&self) -> bool {
        self.interned && self.texts.len() == 1 && self.validity.nulls() == 0
    }

    /// Rows.
    pub fn len(&self) -> usize {
        self.validity.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes room for this many more rows.
    pub fn reserve(&mut self, rows: usize) {
        if self.interned {
            self.keys.reserve(rows);
        } else {
            self.texts.ends.reserve(rows);
        }
    }

    /// Appends a text, which must be valid UTF-8.
    #[inline]
    pub fn push(&mut self, text: &[u8]) {
        debug_assert!(std::str::from_utf8(text).is_ok());
        self.validity.push(true);
        self.push_text(text);
    }

    /// Appends a short text, which `text` holds too and must be valid UTF-8.
    #[inline(always)]
    pub(crate) fn push_short(&mut self, short: ShortText, text: &[u8]) {
        debug_assert_eq!(Some(short), ShortText::of(text));
        self.validity.push(true);
        if !self.interned {
            return self.texts.push_short(short, text.len());
        }
        match self.recent.find(short, text.len()) {
            Some(key) => self.keys.push(key),
            None => {
                let key = self.look_up(text, Some(short));
                self.push_key(key, text);
            }
        }
    }

    /// Appends a text whose row is counted already.
    #[inline]
    fn push_text(&mut self, text: &[u8]) {
        if !self.interned {
            return self.texts.push(text);
        }
        let key = self.intern(text);
        self.push_key(key, text);
    }

    /// Appends the key of a text, or the text itself where it has none: interning ends there.
    #[inline]
    fn push_key(&mut self, key: Option<u32>, text: &[u8]) {
        match key {
            Some(key) => self.keys.push(key),
            None => {
                self.make_plain();
                self.texts.push(text);
            }
        }
    }

    /// The key of a text, which is added if it is new; None where interning cannot continue or does not pay.
    #[inline]
    fn intern(&mut self, text: &[u8]) -> Option<u32> {
        let short = ShortText::of(text);
        let known = match short {
            Some(short) => self.recent.find(short, text.len()),
            // Neighbouring rows often repeat a value: logs are bursts of one visitor.
            None => self
                .last
                .filter(|&last| self.texts.get(last as usize) == text),
        };
        known.or_else(|| self.look_up(text, short))
    }

    /// The key of a text that was not seen lately.
    #[inline(never)]
    fn look_up(&mut self, text: &[u8], short: Option<ShortText>) -> Option<u32> {
        let hash = self.hasher.hash_one(text) as u32;
        let texts = &mut self.texts;
        let key = match self.table.entry(
            Slot::wide(hash),
            |slot| {
                slot.hash == hash
                    && slot.len as usize == text.len()
                    && texts.bytes[slot.begin as usize..][..text.len()] == *text
            },
            |slot| Slot::wide(slot.hash),
        ) {
            Entry::Occupied(entry) => entry.get().key,
            Entry::Vacant(entry) => {
                let (begin, key) = (texts.bytes.len(), texts.ends.len());
                let hopeless = self.keys.len() < INTERN_TRIAL_ROWS && key * 2 >= INTERN_TRIAL_ROWS;
                // A slot cannot point beyond 4 GiB.
                if hopeless || begin + text.len() > u32::MAX as usize {
                    return None;
                }
                entry.insert(Slot {
                    hash,
                    begin: begin as u32,
                    len: text.len() as u32,
                    key: key as u32,
                });
                texts.push(text);
                key as u32
            }
        };
        match short {
            Some(short) => self.recent.insert(short, text.len(), key),
            None => self.last = Some(key),
        }
        Some(key)
    }

    /// Appends a row without a value.
    #[inline]
    pub fn push_null(&mut self) {
        self.validity.push(false);
        self.push_no_text();
    }

    /// Appends a row without a value that is counted already.
    #[inline]
    fn push_no_text(&mut self) {
        if self.interned {
            self.keys.push(0);
        } else {
            self.texts.push(b"");
        }
    }

    /// Appends rows without a value up to this many rows.
    #[inline]
    pub(crate) fn pad(&mut self, rows: usize) {
        if let Some(missing @ 1..) = rows.checked_sub(self.len()) {
            self.validity.extend_null(missing);
            if self.interned {
                self.keys.resize(rows, 0);
            } else {
                self.texts.ends.resize(rows, self.texts.bytes.len() as i64);
            }
        }
    }

    /// Appends some rows of another column.
    pub(super) fn append(&mut self, other: &TextColumn, rows: &Rows) {
        self.reserve(rows.count());
        if other.validity.nulls() == other.len() {
            return self.pad(self.len() + rows.count());
        }
        match (self.interned, other.interned) {
            (false, false) => {
                for run in rows.runs() {
                    self.texts.extend(&other.texts, run.clone());
                    self.validity.extend(&other.validity, run);
                }
            }
            // Each distinct text is looked up once, where there are enough rows to pay for the list.
            (true, true) if rows.count() * 2 >= other.texts.len() => self.append_keys(other, rows),
            _ => {
                for row in rows.iter() {
                    match other.get(row) {
                        Some(text) => self.push(text),
                        None => self.push_null(),
                    }
                }
            }
        }
    }

    /// Appends this many rows of the text with this key, while texts are interned.
    fn repeat(&mut self, key: u32, rows: usize) {
        self.keys.resize(self.keys.len() + rows, key);
        self.validity.extend_valid(rows);
    }

    fn append_keys(&mut self, other: &TextColumn, rows: &Rows) {
        if other.is_constant() && rows.count() > 0 {
            if let Some(key) = self.intern(other.texts.get(0)) {
                return self.repeat(key, rows.count());
            }
            self.make_plain();
        }
        let mut known = vec![UNKNOWN; other.texts.len()];
        for run in rows.runs() {
            self.validity.extend(&other.validity, run.clone());
            self.extend_distinct(other, run, &mut known, TextColumn::push_text);
        }
    }

    /// Appends rows of an interned column, whose validity has been appended: each distinct text by
    /// `push`, and by its key in this column when it comes again. `known` has those keys.
    fn extend_distinct(
        &mut self,
        other: &TextColumn,
        rows: Range<usize>,
        known: &mut [u32],
        mut push: impl FnMut(&mut TextColumn, &[u8]),
    ) {
        let nulls = other.validity.nulls() > 0;
        for row in rows {
            if nulls && !other.validity.get(row) {
                self.push_no_text();
                continue;
            }
            let key = other.keys[row] as usize;
            if self.interned && known[key] != UNKNOWN {
                self.keys.push(known[key]);
            } else {
                push(self, other.texts.get(key));
                known[key] = self.keys.last().copied().unwrap_or(UNKNOWN);
            }
        }
    }

    /// The text of a row, None for a null.
    #[inline]
    pub fn get(&self, row: usize) -> Option<&[u8]> {
        if !self.validity.get(row) {
            return None;
        }
        Some(self.texts.get(if self.interned {
            self.keys[row] as usize
        } else {
            row
        }))
    }

    #[cold]
    fn make_plain(&mut self) {
        let mut plain = Texts::default();
        for (row, &key) in self.keys.iter().enumerate() {
            plain.push(if self.validity.get(row) {
                self.texts.get(key as usize)
            } else {
                b""
            });
        }
        self.texts = plain;
        self.keys = Vec::new();
        self.table = HashTable::new();
        self.recent = Recent::default();
        self.interned = false;
    }

    /// The rows with every text exchanged for what `change` appends to its second argument, which must
    /// be valid UTF-8; each distinct text is asked for once where texts are interned. There is room for
    /// changed texts of `width` bytes each, or as long as they were, from the beginning.
    pub fn map(self, width: usize, mut change: impl FnMut(&[u8], &mut Vec<u8>)) -> Self {
        let rows = self.len();
        let mut changed = TextColumn::new(self.interned);
        if self.validity.nulls() == rows {
            changed.pad(rows);
            return changed;
        }
        changed.reserve(rows);
        let bytes = self.texts.bytes.len().max(width * self.texts.len());
        changed.texts.bytes.reserve(bytes);
        if self.interned {
            changed.validity = self.validity.clone();
            let mut known = vec![UNKNOWN; self.texts.len()];
            let mut text = Vec::new();
            changed.extend_distinct(&self, 0..rows, &mut known, |changed, from| {
                text.clear();
                change(from, &mut text);
                changed.push_text(&text);
            });
            return changed;
        }
        for row in 0..rows {
            if self.validity.get(row) {
                change(self.texts.get(row), &mut changed.texts.bytes);
            }
            changed.texts.ends.push(changed.texts.bytes.len() as i64);
        }
        changed.validity = self.validity;
        changed
    }

    /// Cuts to `len` rows: used to take back a row whose later column was bad.
    pub fn truncate(&mut self, len: usize) {
        self.validity.truncate(len);
        if self.interned {
            self.keys.truncate(len);
        } else {
            self.texts.truncate(len);
        }
    }
}
