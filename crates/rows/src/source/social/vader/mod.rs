//! VADER: the sentiment of a text by a word list and rules made for short posts in English (Hutto and Gilbert 2014,
//! "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social Media Text").
//!
//! The rules are those of the reference, vaderSentiment 3.3.2, and the two lists are its lists (`LICENSE.txt`): words
//! with their valence, and emoji with their descriptions. A test compares the scores of both.

mod words;

use hashbrown::HashMap;

use self::words::{BOOSTERS, NEGATIONS, SPECIAL_CASES};

/// What a word in capitals adds where others are not in capitals.
const CAPITALS: f64 = 0.733;
/// What a negation multiplies a valence with.
const NEGATED: f64 = -0.74;
/// How fast a sum of valences comes near 1.
const ALPHA: f64 = 15.0;

/// The lists.
pub(super) struct Vader {
    valences: HashMap<&'static str, f64>,
    emoji: HashMap<char, &'static str>,
    boosters: HashMap<&'static str, f64>,
    special: HashMap<&'static str, f64>,
}

/// A text as words and emoticons.
struct Words<'t> {
    written: Vec<&'t str>,
    lower: Vec<String>,
    /// Whether some of them are in capitals and others are not.
    differ: bool,
}

impl Vader {
    /// Reads the lists, which are part of the program.
    pub(super) fn new() -> Self {
        let lines = |text: &'static str| text.lines().filter_map(|line| line.split_once('\t'));
        let boosters = BOOSTERS
            .iter()
            .flat_map(|(valence, words)| words.iter().map(move |word| (*word, *valence)));
        Vader {
            valences: lines(include_str!("lexicon.tsv"))
                .filter_map(|(word, valence)| Some((word, valence.parse().ok()?)))
                .collect(),
            emoji: lines(include_str!("emoji.tsv"))
                .filter_map(|(emoji, text)| Some((emoji.chars().next()?, text)))
                .collect(),
            boosters: boosters.collect(),
            special: SPECIAL_CASES.iter().copied().collect(),
        }
    }

    /// Whether a word in small letters is in the list of words with a valence.
    pub(super) fn has(&self, word: &str) -> bool {
        self.valences.contains_key(word)
    }

    /// The compound score, from -1 (negative) to 1 (positive), rounded to four digits; 0 for a text without words.
    pub(super) fn compound(&self, text: &str) -> f64 {
        let text = self.without_emoji(text);
        let words = Words::of(&text);
        if words.written.is_empty() {
            return 0.0;
        }
        let mut valences: Vec<f64> = (0..words.written.len())
            .map(|at| self.valence(&words, at))
            .collect();
        weigh_around_but(&words, &mut valences);
        let mut sum: f64 = valences.iter().sum();
        let emphasis = emphasis(&text);
        if sum > 0.0 {
            sum += emphasis;
        } else if sum < 0.0 {
            sum -= emphasis;
        }
        let compound = sum / (sum * sum + ALPHA).sqrt();
        (compound.clamp(-1.0, 1.0) * 1e4).round() / 1e4
    }

    /// The text with its emoji described in words.
    fn without_emoji(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut after_space = true;
        for character in text.chars() {
            match self.emoji.get(&character) {
                Some(description) => {
                    if !after_space {
                        out.push(' ');
                    }
                    out.push_str(description);
                    after_space = false;
                }
                None => {
                    out.push(character);
                    after_space = character == ' ';
                }
            }
        }
        out.trim_matches(is_space).to_owned()
    }

    /// The valence of a word among those around it.
    fn valence(&self, words: &Words<'_>, at: usize) -> f64 {
        let lower = |index: usize| words.lower.get(index).map_or("", String::as_str);
        // The word this many places before.
        let before = |places: usize| at.checked_sub(places).map_or("", lower);
        let word = lower(at);
        if self.boosters.contains_key(word) || (word == "kind" && lower(at + 1) == "of") {
            return 0.0;
        }
        let Some(&own) = self.valences.get(word) else {
            return 0.0;
        };
        let mut valence = own;
        // "no" before a word of the list negates it and has no valence of its own.
        if word == "no" && self.valences.contains_key(lower(at + 1)) {
            valence = 0.0;
        }
        let is_after_no = before(1) == "no"
            || before(2) == "no"
            || (before(3) == "no" && matches!(before(1), "or" | "nor"));
        if is_after_no {
            valence = own * NEGATED;
        }
        if words.differ && words.written.get(at).is_some_and(|word| is_upper(word)) {
            valence += if valence > 0.0 { CAPITALS } else { -CAPITALS };
        }
        for places in 1..=3 {
            if at < places || self.valences.contains_key(before(places)) {
                continue;
            }
            let boost = self.boost(words, at - places, valence);
            valence += boost * [1.0, 0.95, 0.9][places - 1];
            valence = negate(valence, places, before);
            if places == 3 {
                valence = self.special_case(valence, at, lower);
            }
        }
        if before(1) == "least" && !self.valences.contains_key("least") {
            let is_exempt = at > 1 && matches!(before(2), "at" | "very");
            if !is_exempt {
                valence *= NEGATED;
            }
        }
        valence
    }

    /// What a booster adds to a valence.
    fn boost(&self, words: &Words<'_>, at: usize, valence: f64) -> f64 {
        let (Some(written), Some(lower)) = (words.written.get(at), words.lower.get(at)) else {
            return 0.0;
        };
        let Some(&boost) = self.boosters.get(lower.as_str()) else {
            return 0.0;
        };
        let mut boost = if valence < 0.0 { -boost } else { boost };
        if words.differ && is_upper(written) {
            boost += if valence > 0.0 { CAPITALS } else { -CAPITALS };
        }
        boost
    }

    /// The valence of an idiom that a word is part of, and what boosters of several words add. There are at least three
    /// words before it.
    fn special_case<'w>(
        &self,
        mut valence: f64,
        at: usize,
        lower: impl Fn(usize) -> &'w str,
    ) -> f64 {
        let joined = |from: usize, to: usize| -> String {
            (from..=to).map(&lower).collect::<Vec<_>>().join(" ")
        };
        let known = |phrase: String| self.special.get(phrase.as_str()).copied();
        let phrases = [(1, 0), (2, 0), (2, 1), (3, 1), (3, 2)];
        let found = phrases
            .into_iter()
            .find_map(|(from, to)| known(joined(at - from, at - to)));
        valence = found.unwrap_or(valence);
        for to in [1, 2] {
            if !lower(at + to).is_empty()
                && let Some(found) = known(joined(at, at + to))
            {
                valence = found;
            }
        }
        let boosters = [(3, 1), (3, 2), (2, 1)];
        valence
            + boosters
                .into_iter()
                .filter_map(|(from, to)| self.boosters.get(joined(at - from, at - to).as_str()))
                .sum::<f64>()
    }
}

impl<'t> Words<'t> {
    fn of(text: &'t str) -> Self {
        let written: Vec<&str> = text
            .split(is_space)
            .filter(|token| !token.is_empty())
            .map(without_punctuation)
            .collect();
        let upper = written.iter().filter(|word| is_upper(word)).count();
        Words {
            lower: written.iter().map(|word| word.to_lowercase()).collect(),
            differ: (1..written.len()).contains(&upper),
            written,
        }
    }
}

/// White space as the reference has it.
fn is_space(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}

/// A word without punctuation around it; what is then of two characters or less is an emoticon, and stays.
fn without_punctuation(token: &str) -> &str {
    let stripped = token.trim_matches(|character: char| character.is_ascii_punctuation());
    if stripped.chars().count() <= 2 {
        token
    } else {
        stripped
    }
}

fn is_upper(word: &str) -> bool {
    word.chars().any(char::is_uppercase) && !word.chars().any(char::is_lowercase)
}

fn is_negation(word: &str) -> bool {
    NEGATIONS.contains(&word) || word.contains("n't")
}

/// A valence after what a word some places before does to it.
fn negate<'w>(valence: f64, places: usize, before: impl Fn(usize) -> &'w str) -> f64 {
    let is_stress = |word: &str| matches!(word, "so" | "this");
    let (stressed, certain) = match places {
        1 => (false, false),
        2 => (
            before(2) == "never" && is_stress(before(1)),
            before(2) == "without" && before(1) == "doubt",
        ),
        _ => (
            (before(3) == "never" && is_stress(before(2))) || is_stress(before(1)),
            before(3) == "without" && (before(2) == "doubt" || before(1) == "doubt"),
        ),
    };
    if stressed {
        valence * 1.25
    } else if !certain && is_negation(before(places)) {
        valence * NEGATED
    } else {
        valence
    }
}

/// What stands before "but" counts half, what stands after it half as much again. As in the reference, a valence is
/// looked for by its value, so of equal ones the first is changed.
fn weigh_around_but(words: &Words<'_>, valences: &mut [f64]) {
    let Some(but) = words.lower.iter().position(|word| word == "but") else {
        return;
    };
    for at in 0..valences.len() {
        let Some(&valence) = valences.get(at) else {
            return;
        };
        let Some(first) = valences.iter().position(|other| *other == valence) else {
            continue;
        };
        if let Some(changed) = valences.get_mut(first) {
            match first.cmp(&but) {
                std::cmp::Ordering::Less => *changed = valence * 0.5,
                std::cmp::Ordering::Greater => *changed = valence * 1.5,
                std::cmp::Ordering::Equal => {}
            }
        }
    }
}

/// What exclamation and question marks add.
fn emphasis(text: &str) -> f64 {
    let count = |mark: char| text.chars().filter(|character| *character == mark).count();
    let exclamations = count('!').min(4) as f64 * 0.292;
    let questions = match count('?') {
        0 | 1 => 0.0,
        count @ 2..=3 => count as f64 * 0.18,
        _ => 0.96,
    };
    exclamations + questions
}
