//! Which rows a table has, by the hashes of their primary keys, and which it should have.
//!
//! This looks at the files alone, not at the join that made them: it is the judge of it.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::Path;

use polars::prelude::{PolarsError, col, lit};
use tarn_contract::DeletedRows;
use tarn_core::schema::{TableField, system};
use tarn_core::{Error, Result};
use xxhash_rust::xxh3::xxh3_128_with_seed;

use crate::columns::from_frame;
use crate::scan;
use tarn_rows::column::ColumnData;

/// Hashes primary keys: equal keys have equal hashes within one run, and no one can choose keys that share
/// one without knowing the seed.
pub(super) struct KeyHasher {
    names: Vec<String>,
    seed: u64,
}

/// The rows of a file.
#[derive(Debug, Default, Clone)]
pub(super) struct FileKeys {
    /// Rows that exist at the source, as far as the table says.
    pub living: Vec<u128>,
    /// Rows that are marked as deleted.
    pub gone: Vec<u128>,
    /// Rows with a key that lacks a part.
    pub keyless: u64,
}

impl KeyHasher {
    pub fn new(names: &[String]) -> Self {
        KeyHasher {
            names: names.to_vec(),
            seed: RandomState::new().build_hasher().finish(),
        }
    }

    /// The keys of a file's rows.
    pub fn of_file(&self, fields: &[TableField], path: &Path) -> Result<FileKeys> {
        let failed = |error: PolarsError| {
            Error::internal("the keys of a file cannot be read").with_source(error)
        };
        let keys: Vec<TableField> = self
            .names
            .iter()
            .filter_map(|name| fields.iter().find(|field| field.field.name == *name))
            .cloned()
            .collect();
        if keys.len() < self.names.len() {
            return Err(Error::internal("a key's column is not in its table"));
        }
        let marked = fields
            .iter()
            .any(|field| field.field.name == system::DELETED_AT);
        let gone = if marked {
            col(system::DELETED_AT).is_not_null()
        } else {
            lit(false)
        };
        const GONE: &str = "__gone";
        let mut columns: Vec<_> = self.names.iter().map(|name| col(name.as_str())).collect();
        columns.push(gone.alias(GONE));
        let rows = scan::table(fields, &[path.to_owned()])?
            .select(columns)
            .collect()
            .map_err(failed)?;
        let data = from_frame::columns(&rows, &keys)?;
        let gone = rows.column(GONE).map_err(failed)?;
        let gone = gone.bool().map_err(failed)?;
        let mut found = FileKeys::default();
        let mut bytes = Vec::new();
        for row in 0..rows.height() {
            if !write_key(&data, row, &mut bytes) {
                found.keyless += 1;
                continue;
            }
            let hash = xxh3_128_with_seed(&bytes, self.seed);
            match gone.get(row) {
                Some(true) => found.gone.push(hash),
                _ => found.living.push(hash),
            }
        }
        Ok(found)
    }

    /// The keys of the rows of several files.
    pub fn of_files<'p>(
        &self,
        fields: &[TableField],
        paths: impl IntoIterator<Item = &'p Path>,
    ) -> Result<FileKeys> {
        let mut all = FileKeys::default();
        for path in paths {
            all.append(self.of_file(fields, path)?);
        }
        Ok(all)
    }
}

impl FileKeys {
    pub fn append(&mut self, mut other: FileKeys) {
        self.living.append(&mut other.living);
        self.gone.append(&mut other.gone);
        self.keyless += other.keyless;
    }

    /// Rows that have the key of another one.
    pub fn repeated(&self) -> u64 {
        let mut all: Vec<u128> = self.living.iter().chain(&self.gone).copied().collect();
        all.sort_unstable();
        let distinct = all.chunk_by(|a, b| a == b).count();
        (all.len() - distinct) as u64
    }
}

/// Writes the parts of a row's key; false where one has no value.
fn write_key(columns: &[ColumnData], row: usize, bytes: &mut Vec<u8>) -> bool {
    bytes.clear();
    for column in columns {
        if !column.validity().get(row) {
            return false;
        }
        match column {
            ColumnData::Text(texts) => {
                let text = texts.get(row).unwrap_or_default();
                // With their lengths, so that parts cannot run into each other.
                bytes.extend_from_slice(&text.len().to_le_bytes());
                bytes.extend_from_slice(text);
            }
            ColumnData::Int(numbers) => bytes.extend_from_slice(&numbers.values[row].to_le_bytes()),
            ColumnData::Long(numbers) => {
                bytes.extend_from_slice(&numbers.values[row].to_le_bytes());
            }
            ColumnData::Boolean(flags) => bytes.push(u8::from(flags.values[row])),
            // No contract has such a key.
            ColumnData::Double(_) | ColumnData::List(_) => return false,
        }
    }
    true
}

/// What is known of both sides before a merge.
pub(super) struct Sides {
    /// Accepted rows.
    pub accepted: Vec<u128>,
    /// Rejected rows, those with a key.
    pub rejected: Vec<u128>,
    /// Whether a rejected row has no key, so that nothing may be deleted.
    pub keyless: bool,
    /// Rows of the table as it is.
    pub current: FileKeys,
    pub deleted_rows: DeletedRows,
}

/// How a table compares with what it should be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Living rows that the table should have.
    pub expected: u64,
    /// Living rows that it has.
    pub found: u64,
    /// Expected keys that no row has.
    pub missing: u64,
    /// Rows whose key is not expected, or expected once and there again.
    pub surplus: u64,
}

impl Sides {
    /// The keys that the living rows of the table should have, sorted.
    fn expected(&mut self) -> Vec<u128> {
        self.accepted.sort_unstable();
        self.rejected.sort_unstable();
        let mut kept: Vec<u128> = self
            .current
            .living
            .iter()
            .copied()
            .filter(|key| {
                self.accepted.binary_search(key).is_err()
                    && (self.keyless
                        || self.deleted_rows == DeletedRows::Keep
                        || self.rejected.binary_search(key).is_ok())
            })
            .collect();
        kept.sort_unstable();
        // Copies of one row that an older version of the program left are one row.
        kept.dedup();
        let mut expected = self.accepted.clone();
        expected.append(&mut kept);
        expected.sort_unstable();
        expected
    }

    /// Holds the living rows of the table as it would be against what they should be.
    pub fn compare(mut self, mut found: Vec<u128>) -> Comparison {
        let expected = self.expected();
        found.sort_unstable();
        let mut comparison = Comparison {
            expected: expected.len() as u64,
            found: found.len() as u64,
            ..Comparison::default()
        };
        let (mut left, mut right) = (expected.iter().peekable(), found.iter().peekable());
        loop {
            match (left.peek(), right.peek()) {
                (None, None) => return comparison,
                (Some(a), Some(b)) if a == b => {
                    left.next();
                    right.next();
                }
                (Some(a), Some(b)) if a < b => {
                    comparison.missing += 1;
                    left.next();
                }
                (Some(_), None) => {
                    comparison.missing += 1;
                    left.next();
                }
                (_, Some(_)) => {
                    comparison.surplus += 1;
                    right.next();
                }
            }
        }
    }
}

impl Comparison {
    /// Whether the table is what it should be.
    pub fn agrees(&self) -> bool {
        self.missing == 0 && self.surplus == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sides(deleted_rows: DeletedRows, keyless: bool) -> Sides {
        Sides {
            accepted: vec![3, 1],
            rejected: vec![4, 9, 1],
            keyless,
            current: FileKeys {
                living: vec![1, 2, 2, 4],
                gone: vec![7],
                keyless: 0,
            },
            deleted_rows,
        }
    }

    #[test]
    fn a_table_has_what_was_accepted_what_is_held_and_what_is_kept() {
        for (deleted_rows, keyless, expected) in [
            (DeletedRows::Remove, false, vec![1, 3, 4]),
            (DeletedRows::Soft, false, vec![1, 3, 4]),
            (DeletedRows::Keep, false, vec![1, 2, 3, 4]),
            (DeletedRows::Remove, true, vec![1, 2, 3, 4]),
        ] {
            assert_eq!(sides(deleted_rows, keyless).expected(), expected);
            assert!(
                sides(deleted_rows, keyless)
                    .compare(expected.clone())
                    .agrees()
            );
        }
        let compared = sides(DeletedRows::Remove, false).compare(vec![3, 3, 1, 5]);
        assert_eq!(
            compared,
            Comparison {
                expected: 3,
                found: 4,
                missing: 1,
                surplus: 2
            }
        );
        assert!(!compared.agrees());
    }
}
