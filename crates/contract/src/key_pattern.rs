//! Glob patterns over raw keys.

use std::fmt;

use regex::Regex;

/// Which raw keys belong to a dataset: `raw/<source>/<dataset>/` and then a glob.
///
/// `*` stands for any characters within one path segment, `?` for one character of it, `{a,b}` for one of
/// the alternatives, and `**` as a whole segment for any number of segments, including none. A key that
/// ends in `/` is a folder marker and matches nothing. Keys are compared as they are (decoded, any
/// UTF-8); upper and lower case differ.
#[derive(Debug, Clone)]
pub struct KeyPattern {
    text: String,
    /// Length of the literal part before the first wildcard.
    prefix: usize,
    regex: Regex,
}

impl KeyPattern {
    /// Parses a pattern; the error says what is wrong with it and what to write instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let prefix = text.find(WILDCARDS).unwrap_or(text.len());
        let mut folder = text.get(..prefix).unwrap_or_default().split('/');
        let starts_right = folder.next() == Some("raw")
            && folder.next().is_some_and(|source| !source.is_empty())
            && folder.next().is_some_and(|dataset| !dataset.is_empty())
            && folder.next().is_some();
        if !starts_right {
            return Err(format!(
                "key pattern '{text}' must begin with raw/<source>/<dataset>/ without wildcards, for example raw/shop/orders/**"
            ));
        }
        if text.ends_with('/') {
            return Err(format!(
                "key pattern '{text}' names a folder; write {text}** for every file under it"
            ));
        }
        let segments: Vec<&str> = text.split('/').collect();
        let mut regex = String::from(r"(?s)\A");
        for (index, segment) in segments.iter().enumerate() {
            let last = index + 1 == segments.len();
            if *segment == "**" {
                regex.push_str(if last {
                    "(?:[^/]*/)*[^/]+"
                } else {
                    "(?:[^/]*/)*"
                });
                continue;
            }
            translate(segment, &mut regex)
                .map_err(|fault| format!("key pattern '{text}': {fault}"))?;
            if !last {
                regex.push('/');
            }
        }
        regex.push_str(r"\z");
        let regex = Regex::new(&regex).map_err(|_| format!("key pattern '{text}' is too long"))?;
        Ok(KeyPattern {
            text: text.to_owned(),
            prefix,
            regex,
        })
    }

    /// Whether the key belongs to the dataset.
    pub fn matches(&self, key: &str) -> bool {
        !key.ends_with('/') && self.regex.is_match(key)
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The literal part before the first wildcard: every key that matches begins with it.
    pub fn prefix(&self) -> &str {
        self.text.get(..self.prefix).unwrap_or(&self.text)
    }

    /// The `<source>` and `<dataset>` of the folder `raw/<source>/<dataset>/`.
    pub fn folder(&self) -> Option<(&str, &str)> {
        let mut parts = self.prefix().split('/').skip(1);
        Some((parts.next()?, parts.next()?))
    }
}

impl PartialEq for KeyPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for KeyPattern {}

impl fmt::Display for KeyPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

const WILDCARDS: [char; 4] = ['*', '?', '{', '}'];

/// Appends one segment as a regular expression.
fn translate(segment: &str, regex: &mut String) -> Result<(), String> {
    if segment.contains("**") {
        return Err("'**' must be alone between two slashes; within a name write '*'".to_owned());
    }
    let mut in_braces = false;
    let mut buffer = [0_u8; 4];
    for character in segment.chars() {
        match character {
            '*' => regex.push_str("[^/]*"),
            '?' => regex.push_str("[^/]"),
            '{' if in_braces => return Err("alternatives in braces cannot be nested".to_owned()),
            '{' => {
                in_braces = true;
                regex.push_str("(?:");
            }
            '}' if in_braces => {
                in_braces = false;
                regex.push(')');
            }
            '}' => return Err("'}' without '{' before it".to_owned()),
            ',' if in_braces => regex.push('|'),
            '[' | ']' | '\\' => {
                return Err(format!(
                    "'{character}' has no meaning in a key pattern; write '?' for one character or {{a,b}} for alternatives"
                ));
            }
            literal => regex.push_str(&regex::escape(literal.encode_utf8(&mut buffer))),
        }
    }
    if in_braces {
        return Err("'{' needs a '}' in the same segment".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use proptest::prelude::*;

    use super::*;

    /// Matches by walking the pattern, independently of the regular expression.
    fn glob(pattern: &[char], key: &[char]) -> bool {
        match pattern {
            [] => key.is_empty(),
            ['*', '*'] => key.last().is_some_and(|&last| last != '/'),
            ['*', '*', '/', rest @ ..] => {
                glob(rest, key)
                    || (0..key.len())
                        .any(|index| key[index] == '/' && glob(rest, &key[index + 1..]))
            }
            ['*', rest @ ..] => (0..=key.len())
                .take_while(|&n| !key[..n].contains(&'/'))
                .any(|n| glob(rest, &key[n..])),
            ['?', rest @ ..] => {
                matches!(key, [first, tail @ ..] if *first != '/' && glob(rest, tail))
            }
            ['{', rest @ ..] => {
                let end = rest.iter().position(|&c| c == '}').unwrap();
                rest[..end]
                    .split(|&c| c == ',')
                    .any(|choice| glob(&[choice, &rest[end + 1..]].concat(), key))
            }
            [literal, rest @ ..] => {
                matches!(key, [first, tail @ ..] if first == literal && glob(rest, tail))
            }
        }
    }

    fn oracle(pattern: &str, key: &str) -> bool {
        let (pattern, key): (Vec<char>, Vec<char>) =
            (pattern.chars().collect(), key.chars().collect());
        key.last() != Some(&'/') && glob(&pattern, &key)
    }

    #[test]
    fn a_pattern_matches_the_keys_it_describes_and_no_others() {
        let cases = [
            ("raw/web/logs/**", "raw/web/logs/a.log", true),
            (
                "raw/web/logs/**",
                "raw/web/logs/ingest_date=2026-01-31/déjà vu + 1.log.gz",
                true,
            ),
            ("raw/web/logs/**", "raw/web/logs", false),
            ("raw/web/logs/**", "raw/web/logs/", false),
            ("raw/web/logs/**", "raw/web/logs/x/", false),
            ("raw/web/logs/**", "raw/web/logs2/a.log", false),
            ("raw/web/logs/**/*.log", "raw/web/logs/a.log", true),
            ("raw/web/logs/**/*.log", "raw/web/logs/b/c/a.log", true),
            ("raw/web/logs/**/*.log", "raw/web/logs/b/c/a.log.gz", false),
            ("raw/web/logs/*.{log,log.gz}", "raw/web/logs/a.log.gz", true),
            ("raw/web/logs/*.{log,log.gz}", "raw/web/logs/a/b.log", false),
            ("raw/web/logs/a?c.log", "raw/web/logs/aéc.log", true),
            ("raw/web/logs/a?c.log", "raw/web/logs/a/c.log", false),
            ("raw/web/logs/a.log", "raw/web/logs/aXlog", false),
            ("raw/web/logs/*", "raw/web/logs/line\nbreak", true),
            ("raw/web/logs/A*", "raw/web/logs/a", false),
        ];
        for (pattern, key, expected) in cases {
            assert_eq!(
                KeyPattern::parse(pattern).unwrap().matches(key),
                expected,
                "{pattern} on {key}"
            );
            assert_eq!(oracle(pattern, key), expected, "oracle: {pattern} on {key}");
        }
    }

    #[test]
    fn a_wrong_pattern_says_what_to_write_instead() {
        let cases = [
            ("", "must begin with raw/<source>/<dataset>/"),
            ("**", "must begin with raw/<source>/<dataset>/"),
            ("raw/web/**", "must begin with raw/<source>/<dataset>/"),
            ("raw/web/log*/x", "must begin with raw/<source>/<dataset>/"),
            ("raw//logs/x", "must begin with raw/<source>/<dataset>/"),
            ("/raw/web/logs/x", "must begin with raw/<source>/<dataset>/"),
            (
                "curated/web/logs/**",
                "must begin with raw/<source>/<dataset>/",
            ),
            ("raw/web/logs/", "write raw/web/logs/** for every file"),
            ("raw/web/logs/a**", "'**' must be alone"),
            ("raw/web/logs/***", "'**' must be alone"),
            ("raw/web/logs/{a,b", "needs a '}'"),
            ("raw/web/logs/{a/b}", "needs a '}'"),
            ("raw/web/logs/{a{b}}", "cannot be nested"),
            ("raw/web/logs/a}", "without '{'"),
            ("raw/web/logs/[ab]", "no meaning in a key pattern"),
        ];
        for (pattern, expected) in cases {
            let fault = KeyPattern::parse(pattern).unwrap_err();
            assert!(fault.contains(expected), "{pattern}: {fault}");
        }
    }

    #[test]
    fn the_prefix_and_the_folder_are_the_literal_beginning() {
        let pattern = KeyPattern::parse("raw/web/logs/2026-*/x").unwrap();
        assert_eq!(pattern.prefix(), "raw/web/logs/2026-");
        assert_eq!(pattern.folder(), Some(("web", "logs")));
        let literal = KeyPattern::parse("raw/shop/database/shop.sqlite").unwrap();
        assert_eq!(literal.prefix(), "raw/shop/database/shop.sqlite");
        assert!(literal.matches("raw/shop/database/shop.sqlite"));
    }

    proptest! {
        #[test]
        fn matching_agrees_with_an_independent_matcher(
            segments in prop::collection::vec("\\*\\*|([ab.+é]|[*]b|\\?|\\{a,b\\}|\\{,a\\*b,\\?\\}){1,4}", 1..5),
            key in prop::collection::vec("[ab.+é]{0,4}", 1..6),
        ) {
            let pattern = format!("raw/s/d/{}", segments.join("/"));
            let key = format!("raw/s/d/{}", key.join("/"));
            let parsed = KeyPattern::parse(&pattern).unwrap();
            prop_assert_eq!(parsed.matches(&key), oracle(&pattern, &key), "{} on {}", pattern, key);
            prop_assert!(!parsed.matches(&key) || key.starts_with(parsed.prefix()));
        }

        #[test]
        fn any_text_parses_or_is_refused_without_a_panic(text in "(raw/s/d/)?\\PC{0,20}", key in "\\PC{0,30}") {
            if let Ok(pattern) = KeyPattern::parse(&text) {
                prop_assert!(pattern.folder().is_some());
                prop_assert_eq!(pattern.matches(&key), oracle(&text, &key));
            }
        }
    }
}
