//! The sentiment of a text by VADER, a word list and rules made for short posts in English (Hutto
//! and Gilbert 2014, "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social Media
//! Text"). Texts in other languages mostly score 0.

use std::panic::{AssertUnwindSafe, catch_unwind};

use vader_sentimental::SentimentIntensityAnalyzer;

/// How many bytes of a text are scored, which is more than nearly every post has: the library's time
/// grows with the square of the number of words.
const SCORED_BYTES: usize = 4096;

/// Scores texts; made once per reader.
pub(super) struct Sentiment {
    analyzer: SentimentIntensityAnalyzer<'static>,
}

impl Sentiment {
    /// Loads the word list.
    pub(super) fn new() -> Self {
        Sentiment {
            analyzer: SentimentIntensityAnalyzer::new(),
        }
    }

    /// The compound score, from -1 (negative) to 1 (positive), to four digits as VADER publishes it.
    /// None for a text without words, and where the library fails on a text, which must not stop a run.
    pub(crate) fn score(&self, text: &str) -> Option<f64> {
        if text.trim().is_empty() {
            return None;
        }
        let text = text
            .get(..text.floor_char_boundary(SCORED_BYTES))
            .unwrap_or(text);
        let score = catch_unwind(AssertUnwindSafe(|| {
            self.analyzer.polarity_scores(text).compound
        }))
        .ok()?;
        score
            .is_finite()
            .then(|| ((score * 1e4).round() / 1e4).clamp(-1.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn praise_is_positive_and_blame_is_negative() {
        let sentiment = Sentiment::new();
        assert!(
            sentiment
                .score("VADER is smart, handsome, and funny!")
                .is_some_and(|score| score > 0.8)
        );
        assert!(
            sentiment
                .score("The shipping was terrible and slow.")
                .is_some_and(|score| score < -0.3)
        );
        assert_eq!(sentiment.score("東京"), Some(0.0));
        assert_eq!(sentiment.score(" \n"), None);
    }

    #[test]
    fn a_text_of_a_megabyte_takes_no_longer_than_a_long_post() {
        let started = std::time::Instant::now();
        assert!(
            Sentiment::new()
                .score(&"no é love ".repeat(100_000))
                .is_some()
        );
        assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    }

    proptest! {
        #[test]
        fn any_text_is_scored_in_range(text in any::<String>(), words in "[a-zA-Z!?:)( ']{0,80}") {
            let sentiment = Sentiment::new();
            for text in [text, words] {
                if let Some(score) = sentiment.score(&text) {
                    prop_assert!((-1.0..=1.0).contains(&score));
                }
            }
        }
    }
}
