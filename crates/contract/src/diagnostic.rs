//! What is wrong with a contract, where, and how to fix it.

use std::fmt;

/// A mistake in a contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file as its path was given.
    pub file: String,
    /// The line of the offending value, from 1; 0 where the fault is of the file as a whole.
    pub line: usize,
    /// The column of the offending value in characters, from 1; 0 with line 0.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": {}\n  help: {}", self.message, self.help)
    }
}

impl std::error::Error for Diagnostic {}

/// The candidate that was probably meant: the one with the fewest edits, if they are few.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let most = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (edits(&fold(word), &fold(candidate)), candidate))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, _)| *distance <= most)
        .map(|(_, candidate)| candidate)
}

/// Case and word separators do not distinguish names.
fn fold(word: &str) -> Vec<char> {
    word.chars()
        .filter(|c| !matches!(c, '_' | '-' | ' '))
        .flat_map(char::to_lowercase)
        .collect()
}

/// Levenshtein's distance.
fn edits(from: &[char], to: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, a) in from.iter().enumerate() {
        let mut next = vec![index + 1];
        for ((left_above, above), b) in row.iter().zip(row.iter().skip(1)).zip(to) {
            let left = next.last().copied().unwrap_or_default();
            next.push(
                (left_above + usize::from(a != b))
                    .min(above + 1)
                    .min(left + 1),
            );
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_across_typos_and_spelling_of_words() {
        let names = ["keyPattern", "sourceFormat", "deduplicateBy"];
        assert_eq!(nearest("keypatern", names), Some("keyPattern"));
        assert_eq!(nearest("source_format", names), Some("sourceFormat"));
        assert_eq!(nearest("dedupBy", names), None);
        assert_eq!(nearest("colour", names), None);
        assert_eq!(nearest("", names), None);
    }
}
