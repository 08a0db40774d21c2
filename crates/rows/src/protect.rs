//! Protects personal columns: the values as received become the values that the tables keep. What is
//! done to a text is done once per distinct text where a column interns its texts.

use std::hash::Hash;

use hashbrown::HashMap;
use tarn_contract::{Column, Contract};
use tarn_core::privacy::{
    MASK, PSEUDONYM_DIGITS, Protection, PseudonymKey, push_network, redacted, year,
};
use tarn_core::schema::ColumnType;
use tarn_core::{Error, Result};

use crate::batch::Batch;
use crate::column::{ColumnData, ListColumn, Plain, TextColumn};

/// The protection of one contract's columns.
pub struct Protector<'a> {
    contract: &'a Contract,
    /// None where no column of the contract is personal.
    key: Option<PseudonymKey>,
}

impl<'a> Protector<'a> {
    /// A protector for rows of a contract.
    ///
    /// # Errors
    /// `Internal` where the contract has personal columns and there is no key.
    pub fn new(contract: &'a Contract, key: Option<PseudonymKey>) -> Result<Self> {
        if contract.is_personal() && key.is_none() {
            return Err(Error::internal(format!(
                "{} has personal columns, and there is no key to protect them with",
                contract.dataset
            )));
        }
        Ok(Protector {
            key: key.filter(|_| contract.is_personal()),
            contract,
        })
    }

    /// The key, where the contract has personal columns.
    pub fn key(&self) -> Option<&PseudonymKey> {
        self.key.as_ref()
    }

    /// Protects the rows of a batch, those that broke a rule among them.
    ///
    /// # Errors
    /// `Internal` where a column has another type than its contract says.
    pub fn apply(&self, batch: &mut Batch) -> Result<()> {
        let columns = || self.contract.columns.iter();
        self.columns(columns(), &mut batch.columns)?;
        self.columns(columns(), &mut batch.rejected_columns)?;
        let key = self.contract.primary_key.iter();
        let key = key.filter_map(|&index| self.contract.columns.get(index));
        self.columns(key, &mut batch.unread_keys)?;
        if self.key.is_some() {
            for rejected in &mut batch.rejected {
                if rejected.row.is_none() {
                    rejected.reason.withhold();
                }
            }
        }
        Ok(())
    }

    fn columns<'c>(
        &self,
        declared: impl Iterator<Item = &'c Column>,
        columns: &mut [ColumnData],
    ) -> Result<()> {
        let Some(key) = &self.key else {
            return Ok(());
        };
        for (column, data) in declared.zip(columns) {
            if let Some(protection) = column.protection {
                let received = std::mem::replace(data, ColumnData::Boolean(Plain::new()));
                *data = protected(column, protection, received, key)?;
            }
        }
        Ok(())
    }

    /// The key's version for each row of protected columns that has a pseudonym, or for which `also` says
    /// that the key was used; None where there is no key.
    pub fn key_versions(
        &self,
        columns: &[ColumnData],
        also: impl Fn(usize) -> bool,
        rows: usize,
    ) -> Option<ColumnData> {
        let key = self.key.as_ref()?;
        let pseudonyms: Vec<&ColumnData> = self
            .contract
            .columns
            .iter()
            .zip(columns)
            .filter(|(column, _)| column.protection == Some(Protection::Pseudonymise))
            .map(|(_, data)| data)
            .collect();
        let version = i32::try_from(key.version()).unwrap_or(i32::MAX);
        if pseudonyms.iter().any(|data| data.validity().nulls() == 0) {
            return Some(ColumnData::Int(Plain::of(vec![version; rows])));
        }
        let mut versions = Plain::new();
        for row in 0..rows {
            if also(row) || pseudonyms.iter().any(|data| data.validity().get(row)) {
                versions.push(version);
            } else {
                versions.push_null();
            }
        }
        Some(ColumnData::Int(versions))
    }
}

fn protected(
    column: &Column,
    protection: Protection,
    data: ColumnData,
    key: &PseudonymKey,
) -> Result<ColumnData> {
    if protection == Protection::Drop {
        return Ok(ColumnData::nulls(&column.ty, data.len()));
    }
    let change = |text: &[u8], kept: &mut Vec<u8>| match protection {
        Protection::Pseudonymise => kept.extend_from_slice(&key.pseudonym(text)),
        // Texts are valid UTF-8.
        Protection::Redact => match simdutf8::basic::from_utf8(text) {
            Ok(text) => kept.extend_from_slice(redacted(text).as_bytes()),
            Err(_) => kept.extend_from_slice(MASK.as_bytes()),
        },
        Protection::Generalise => {
            if !std::str::from_utf8(text).is_ok_and(|text| push_network(text, kept)) {
                kept.extend_from_slice(MASK.as_bytes());
            }
        }
        Protection::Mask | Protection::Drop => kept.extend_from_slice(MASK.as_bytes()),
    };
    let width = match protection {
        Protection::Pseudonymise => PSEUDONYM_DIGITS,
        _ => 0,
    };
    Ok(match (data, protection) {
        (ColumnData::Text(texts), _) => ColumnData::Text(texts.map(width, change)),
        (ColumnData::List(list), _) => ColumnData::List(ListColumn {
            items: list.items.map(width, change),
            ..list
        }),
        (ColumnData::Int(days), Protection::Generalise) if column.ty == ColumnType::Date => {
            let mut years = Plain::new();
            for row in 0..days.values.len() {
                match days.get(row) {
                    Some(day) => years.push(year(day)),
                    None => years.push_null(),
                }
            }
            ColumnData::Int(years)
        }
        (ColumnData::Int(numbers), Protection::Pseudonymise) => digits(&numbers, key),
        (ColumnData::Long(numbers), Protection::Pseudonymise) => digits(&numbers, key),
        _ => {
            return Err(Error::internal(format!(
                "column {} cannot be protected by {}",
                column.name,
                protection.as_str()
            )));
        }
    })
}

/// After this many numbers their repetition decides whether pseudonyms are remembered.
const REPEAT_TRIAL: usize = 2048;

/// Pseudonyms of numbers: of their decimal digits, so that a number and its text have the same one.
fn digits<T: Copy + Default + Eq + Hash + itoa::Integer>(
    numbers: &Plain<T>,
    key: &PseudonymKey,
) -> ColumnData {
    let mut texts = TextColumn::new(true);
    texts.reserve(numbers.values.len());
    let mut written = itoa::Buffer::new();
    let mut made = |number: T| key.pseudonym(written.format(number).as_bytes());
    // Looking a number up costs nearly half of what making its pseudonym does.
    let mut known = Some(HashMap::new());
    for row in 0..numbers.values.len() {
        if row == REPEAT_TRIAL {
            known = known.filter(|known| known.len() < REPEAT_TRIAL / 2);
        }
        let Some(number) = numbers.get(row) else {
            texts.push_null();
            continue;
        };
        texts.push(&match &mut known {
            Some(known) => *known.entry(number).or_insert_with(|| made(number)),
            None => made(number),
        });
    }
    ColumnData::Text(texts)
}

#[cfg(test)]
#[path = "protect_tests.rs"]
mod tests;
