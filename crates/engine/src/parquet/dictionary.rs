//! The distinct values of a column in a row group, numbered as they come, for as long as that pays.

use std::hash::{BuildHasher, Hash};

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};

use super::bounds::Bounds;
use tarn_rows::column::{TextColumn, Texts};

/// After this many values of a row group the writer checks whether any came twice.
const TRIAL_VALUES: usize = 1024;

/// After this many values they must repeat clearly.
const SETTLED_VALUES: usize = 32 * 1024;

/// About how many bytes the texts of a dictionary have at most: a reader keeps them in memory.
const LARGEST_BYTES: usize = 4 << 20;

/// Texts of this many bytes and more are long: a number instead of one saves much. Pseudonyms are shorter.
const LONG_BYTES: usize = 40;

/// Which part of the values may be distinct for a dictionary to pay.
enum Worth {
    /// Little is saved per value, since differences of whole numbers have as many bits as they need, and
    /// the number that stands for one needs nearly as many: a quarter.
    Whole,
    /// Half.
    Short,
    /// Much is saved per value: three quarters, and nearly all in the beginning, since values from a
    /// large stock repeat little there.
    Long,
}

impl Worth {
    fn pays(&self, distinct: usize, values: usize) -> bool {
        distinct
            <= match self {
                Worth::Whole => values / 4,
                Worth::Short => values / 2,
                Worth::Long if values < SETTLED_VALUES => values - values / 16,
                Worth::Long => values - values / 4,
            }
    }
}

/// Distinct values by their numbers.
trait Store<V> {
    fn has(&self, number: u32, value: V) -> bool;
    fn add(&mut self, value: V);
}

impl Store<&[u8]> for Texts {
    #[inline]
    fn has(&self, number: u32, value: &[u8]) -> bool {
        self.get(number as usize) == value
    }

    fn add(&mut self, value: &[u8]) {
        self.push(value);
    }
}

impl Store<u64> for Vec<u64> {
    #[inline]
    fn has(&self, number: u32, value: u64) -> bool {
        self.get(number as usize) == Some(&value)
    }

    fn add(&mut self, value: u64) {
        self.push(value);
    }
}

/// Numbers the values of a column.
#[derive(Default)]
struct Numbering {
    /// The hash of a value and its number.
    table: HashTable<(u32, u32)>,
    hasher: DefaultHashBuilder,
    /// Values that were numbered, repeated ones each time.
    values: usize,
    distinct: u32,
    closed: bool,
}

impl Numbering {
    /// The number of a value among the distinct ones of `store`, where it is added if it is new.
    #[inline]
    fn number<V: Hash + Copy>(&mut self, value: V, store: &mut impl Store<V>) -> u32 {
        let wide = |hash: u32| u64::from(hash) << 32 | u64::from(hash);
        let hash = self.hasher.hash_one(value) as u32;
        let entry = self.table.entry(
            wide(hash),
            |&(other, number)| other == hash && store.has(number, value),
            |&(other, _)| wide(other),
        );
        match entry {
            Entry::Occupied(entry) => entry.get().1,
            Entry::Vacant(entry) => {
                let number = self.distinct;
                entry.insert((hash, number));
                self.distinct += 1;
                store.add(value);
                number
            }
        }
    }

    /// Whether the first values of a row group, as numbered so far, repeat less than they must for a dictionary
    /// to pay in the end: at most `hopeful` of them may be distinct.
    #[inline]
    fn hopeless(&self, numbered: usize, hopeful: usize) -> bool {
        self.values == 0 && numbered == TRIAL_VALUES && self.distinct as usize > hopeful
    }

    /// Takes a page's numbers, or forgets what it added and numbers nothing more.
    fn settle(&mut self, worth: Worth, before: u32, numbers: Vec<u32>) -> Option<Vec<u32>> {
        let values = self.values + numbers.len();
        if worth.pays(self.distinct as usize, values) {
            self.values = values;
            return Some(numbers);
        }
        self.close(before);
        None
    }

    fn close(&mut self, before: u32) {
        self.closed = true;
        self.distinct = before;
        self.table = HashTable::new();
    }

    fn memory(&self) -> usize {
        self.table.capacity() * size_of::<(u32, u32)>()
    }
}

/// The texts of a page, by their numbers in the dictionary.
#[derive(Default)]
pub(super) struct Numbered {
    pub numbers: Vec<u32>,
    /// Those of the least and the greatest text.
    bounds: Option<(u32, u32)>,
}

impl Numbered {
    /// The least and the greatest text.
    pub fn bounds<'a>(&self, texts: &'a Texts) -> Bounds<&'a [u8]> {
        let bounds = self
            .bounds
            .into_iter()
            .flat_map(|(least, greatest)| [least, greatest]);
        Bounds::of(bounds.map(|number| texts.get(number as usize)))
    }

    /// Takes the number of a text into account.
    #[inline]
    fn widen(&mut self, number: u32, text: &[u8], texts: &Texts) {
        let Some((least, greatest)) = &mut self.bounds else {
            self.bounds = Some((number, number));
            return;
        };
        if text < texts.get(*least as usize) {
            *least = number;
        } else if text > texts.get(*greatest as usize) {
            *greatest = number;
        }
    }
}

/// The dictionary of a column of texts.
#[derive(Default)]
pub(super) struct TextDictionary {
    numbering: Numbering,
    /// The distinct texts by their numbers.
    pub texts: Texts,
}

impl TextDictionary {
    /// The numbers of a page's texts without its nulls; None where they are to be stored as they are.
    pub fn numbers(&mut self, column: &TextColumn) -> Option<Numbered> {
        if column.validity.nulls() == column.len() {
            return Some(Numbered::default());
        }
        if self.numbering.closed {
            return None;
        }
        let before = self.numbering.distinct;
        if column.is_constant() {
            let number = self.numbering.number(column.texts.get(0), &mut self.texts);
            let numbered = Numbered {
                numbers: vec![number; column.len()],
                bounds: Some((number, number)),
            };
            return self.settle(before, numbered);
        }
        let mut numbered = Numbered {
            numbers: Vec::with_capacity(column.len()),
            bounds: None,
        };
        // The number of each distinct text of the column, from 1.
        let distinct = if column.interned {
            column.texts.len()
        } else {
            0
        };
        if self.texts.is_empty() && column.interned {
            self.texts.reserve(distinct, column.texts.bytes.len());
        }
        let mut known = vec![0u32; distinct];
        for row in 0..column.len() {
            if !column.validity.get(row) {
                continue;
            }
            let key = if column.interned {
                column.keys[row] as usize
            } else {
                row
            };
            let number = match known.get(key) {
                Some(&number @ 1..) => number - 1,
                _ => {
                    let text = column.texts.get(key);
                    let number = self.numbering.number(text, &mut self.texts);
                    if let Some(known) = known.get_mut(key) {
                        *known = number + 1;
                    }
                    numbered.widen(number, text, &self.texts);
                    number
                }
            };
            numbered.numbers.push(number);
            if self
                .numbering
                .hopeless(numbered.numbers.len(), TRIAL_VALUES - 1)
                || self.texts.bytes.len() > LARGEST_BYTES
            {
                self.close(before);
                return None;
            }
        }
        self.settle(before, numbered)
    }

    /// Takes a page's numbers, or the texts are to be stored as they are.
    fn settle(&mut self, before: u32, numbered: Numbered) -> Option<Numbered> {
        if self.texts.bytes.len() > LARGEST_BYTES {
            self.close(before);
            return None;
        }
        let worth = if self.texts.bytes.len() >= LONG_BYTES * self.texts.len() {
            Worth::Long
        } else {
            Worth::Short
        };
        let settled = self.numbering.settle(worth, before, numbered.numbers);
        self.texts.truncate(self.numbering.distinct as usize);
        let bounds = numbered.bounds;
        settled.map(|numbers| Numbered { numbers, bounds })
    }

    fn close(&mut self, before: u32) {
        self.numbering.close(before);
        self.texts.truncate(before as usize);
    }

    /// Bytes held, roughly.
    pub fn memory(&self) -> usize {
        self.texts.bytes.len() + 8 * self.texts.len() + self.numbering.memory()
    }
}

/// The dictionary of a column of numbers, by their bits: -0.0 stays what it is.
#[derive(Default)]
pub(super) struct NumberDictionary {
    numbering: Numbering,
    /// The distinct values by their numbers.
    pub bits: Vec<u64>,
}

impl NumberDictionary {
    /// The numbers of a page's values, which are not null; None where they are to be stored as they are.
    /// `whole` says whether they are whole numbers.
    pub fn numbers(&mut self, values: impl Iterator<Item = u64>, whole: bool) -> Option<Vec<u32>> {
        if self.numbering.closed {
            return None;
        }
        let before = self.numbering.distinct;
        let mut numbers = Vec::with_capacity(values.size_hint().0);
        // Nothing but a dictionary makes fractions smaller.
        let (worth, hopeful) = if whole {
            (Worth::Whole, TRIAL_VALUES - TRIAL_VALUES / 16)
        } else {
            (Worth::Long, TRIAL_VALUES - 1)
        };
        let mut last = None;
        for value in values {
            let number = match last {
                Some((before, number)) if before == value => number,
                _ => self.numbering.number(value, &mut self.bits),
            };
            last = Some((value, number));
            numbers.push(number);
            if self.numbering.hopeless(numbers.len(), hopeful) {
                self.numbering.close(before);
                self.bits.truncate(before as usize);
                return None;
            }
        }
        let settled = self.numbering.settle(worth, before, numbers);
        self.bits.truncate(self.numbering.distinct as usize);
        settled
    }

    /// Bytes held, roughly.
    pub fn memory(&self) -> usize {
        8 * self.bits.len() + self.numbering.memory()
    }
}
