//! The sentiment of a text by [VADER](super::vader), which knows English: a text in another language has no score,
//! and a reason instead.

use std::sync::LazyLock;

use super::language;
use super::vader::Vader;

/// The lists have nine thousand entries: they are read once per process.
static VADER: LazyLock<Vader> = LazyLock::new(Vader::new);

/// How many bytes of a text are scored, which is more than any post has: a text with "but" takes time that grows with
/// the square of the number of words.
const SCORED_BYTES: usize = 64 * 1024;

/// Scores texts.
pub(super) struct Sentiment {
    vader: &'static Vader,
}

/// What is known of a text's sentiment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scored {
    /// From -1 (negative) to 1 (positive).
    Score(f64),
    /// It is not, or not surely, English.
    OtherLanguage,
    /// It has no words.
    Nothing,
}

impl Sentiment {
    /// Loads the word list.
    pub(super) fn new() -> Self {
        Sentiment { vader: &VADER }
    }

    /// The compound score, to four digits as VADER publishes it. `language` is what the platform says, if it does;
    /// else the text's words decide.
    pub(crate) fn score(&self, text: &str, language: Option<&str>) -> Scored {
        if text.trim().is_empty() {
            return Scored::Nothing;
        }
        let is_english = match language.filter(|language| !matches!(*language, "" | "und")) {
            Some(language) => {
                let primary = language.split(['-', '_']).next().unwrap_or_default();
                primary.eq_ignore_ascii_case("en")
            }
            None => language::is_english(text, |word| self.vader.has(word)),
        };
        if !is_english {
            return Scored::OtherLanguage;
        }
        let text = text
            .get(..text.floor_char_boundary(SCORED_BYTES))
            .unwrap_or(text);
        Scored::Score(self.vader.compound(text))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn scores_are_those_of_the_reference() {
        let sentiment = Sentiment::new();
        // As vaderSentiment 3.3.2 gives them.
        for (text, expected) in [
            ("VADER is smart, handsome, and funny!", 0.8439),
            ("Hello!", 0.0),
            ("We ship on Friday!", 0.0),
            ("Which boots?", 0.0),
            ("Parcel came today!!!", 0.0),
            ("Boots in stock", 0.0),
            ("I love these boots!", 0.6696),
            (
                "My mind knows this, but my heart wants to see them punished.",
                0.4215,
            ),
            ("No worries, sorry again about the ticket...", 0.3724),
        ] {
            assert_eq!(
                sentiment.score(text, None),
                Scored::Score(expected),
                "{text}"
            );
        }
    }

    #[test]
    fn other_languages_have_no_score() {
        let sentiment = Sentiment::new();
        let score = |text: &str, language: &str| sentiment.score(text, Some(language));
        assert_eq!(score("C'est nul", "fr"), Scored::OtherLanguage);
        assert_eq!(score("love it", "en-GB"), Scored::Score(0.6369));
        assert_eq!(score("love it", "und"), Scored::Score(0.6369));
        assert_eq!(sentiment.score("東京", None), Scored::OtherLanguage);
        assert_eq!(sentiment.score("Москва", None), Scored::OtherLanguage);
        assert_eq!(sentiment.score("😀 123", None), Scored::Score(0.3612));
        assert_eq!(sentiment.score(" \n", None), Scored::Nothing);
    }

    #[test]
    fn a_text_of_a_megabyte_takes_no_longer_than_a_long_post() {
        let started = std::time::Instant::now();
        let text = "no é but love ".repeat(100_000);
        assert!(matches!(
            Sentiment::new().score(&text, None),
            Scored::Score(_)
        ));
        assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    }

    proptest! {
        #[test]
        fn any_text_is_scored_in_range(text in any::<String>(), words in "[a-zA-Z!?:)( ']{0,80}") {
            let sentiment = Sentiment::new();
            for text in [text, words] {
                if let Scored::Score(score) = sentiment.score(&text, Some("en")) {
                    prop_assert!((-1.0..=1.0).contains(&score));
                }
            }
        }
    }
}
