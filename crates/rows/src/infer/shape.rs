//! The shape that all texts of a column have in common, as a regular expression: `^SKU-[0-9]{4}$`.

/// Longer texts are not codes.
const LONGEST: usize = 40;

/// What stands at a place of every text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// This very character.
    Literal(u8),
    Digit,
    Upper,
    Lower,
    /// One of a to f: all the same a digit may come yet.
    LowerHexadecimal,
    /// A digit or one of a to f.
    Hexadecimal,
}

impl Class {
    fn holds(self, byte: u8) -> bool {
        match self {
            Class::Literal(literal) => byte == literal,
            Class::Digit => byte.is_ascii_digit(),
            Class::Upper => byte.is_ascii_uppercase(),
            Class::Lower => byte.is_ascii_lowercase(),
            Class::LowerHexadecimal => matches!(byte, b'a'..=b'f'),
            Class::Hexadecimal => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        }
    }

    /// The least class that holds all that this one holds, and the byte.
    fn widened(self, byte: u8) -> Option<Class> {
        const FROM_NARROW: [Class; 5] = [
            Class::Digit,
            Class::Upper,
            Class::LowerHexadecimal,
            Class::Lower,
            Class::Hexadecimal,
        ];
        if self.holds(byte) {
            return Some(self);
        }
        let holds_own = |wider: Class| match self {
            Class::Literal(literal) => wider.holds(literal),
            Class::Digit => wider == Class::Hexadecimal,
            Class::LowerHexadecimal => matches!(wider, Class::Lower | Class::Hexadecimal),
            Class::Upper | Class::Lower | Class::Hexadecimal => false,
        };
        FROM_NARROW
            .into_iter()
            .find(|&wider| wider.holds(byte) && holds_own(wider))
    }

    fn pattern(self) -> String {
        match self {
            Class::Literal(b'-') => "-".to_owned(),
            Class::Literal(literal) => regex::escape(&char::from(literal).to_string()),
            Class::Digit => "[0-9]".to_owned(),
            Class::Upper => "[A-Z]".to_owned(),
            Class::Lower | Class::LowerHexadecimal => "[a-z]".to_owned(),
            Class::Hexadecimal => "[0-9a-f]".to_owned(),
        }
    }
}

/// The shape of the texts so far.
#[derive(Debug, Clone, Default)]
pub(super) enum Shape {
    /// No text yet.
    #[default]
    Unknown,
    /// One class per byte.
    Known(Vec<Class>),
    /// They have none in common.
    None,
}

impl Shape {
    /// Takes a text into account.
    pub(super) fn add(&mut self, text: &[u8]) {
        match self {
            Shape::None => {}
            Shape::Unknown if (2..=LONGEST).contains(&text.len()) && text.is_ascii() => {
                *self = Shape::Known(text.iter().map(|&byte| Class::Literal(byte)).collect());
            }
            Shape::Known(classes) if classes.len() == text.len() => {
                let fits = classes.iter_mut().zip(text).all(|(class, &byte)| {
                    class
                        .widened(byte)
                        .map(|widened| *class = widened)
                        .is_some()
                });
                if !fits {
                    *self = Shape::None;
                }
            }
            _ => *self = Shape::None,
        }
    }

    /// The regular expression, where the texts are codes. With many distinct codes, a place where all
    /// have the same letter keeps it; with few, only codes such as `DE` and `EUR` are recognised.
    pub(super) fn pattern(&self, distinct: u64) -> Option<String> {
        let Shape::Known(classes) = self else {
            return None;
        };
        const MANY: u64 = 20;
        let is_upper = |class: &Class| match *class {
            Class::Literal(byte) => byte.is_ascii_uppercase(),
            class => class == Class::Upper,
        };
        if matches!(classes.len(), 2 | 3) && classes.iter().all(is_upper) {
            return Some(format!("^[A-Z]{{{}}}$", classes.len()));
        }
        let varied = classes
            .iter()
            .any(|class| !matches!(class, Class::Literal(_)));
        let words = classes.iter().all(|class| {
            matches!(class, Class::Lower | Class::LowerHexadecimal)
                || matches!(class, Class::Literal(byte) if byte.is_ascii_lowercase())
        });
        if distinct < MANY || !varied || words {
            return None;
        }
        // Beside hexadecimal digits, a place with digits or letters alone is one of them by chance.
        let hexadecimal = classes.contains(&Class::Hexadecimal);
        let class_at = |class: Class| match class {
            Class::Digit | Class::LowerHexadecimal if hexadecimal => Class::Hexadecimal,
            // Numbers that are counted up begin alike for a while.
            Class::Literal(b'0'..=b'9') if hexadecimal => Class::Hexadecimal,
            Class::Literal(b'0'..=b'9') => Class::Digit,
            class => class,
        };
        let mut pattern = String::from("^");
        let mut at = 0;
        while let Some(&class) = classes.get(at) {
            let class = class_at(class);
            let run = classes[at..]
                .iter()
                .take_while(|other| class_at(**other) == class)
                .count();
            if let Class::Literal(_) = class {
                pattern += &class.pattern();
                at += 1;
                continue;
            }
            pattern += &class.pattern();
            if run > 1 {
                pattern += &format!("{{{run}}}");
            }
            at += run;
        }
        Some(pattern + "$")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]
    use super::*;

    fn shape(texts: &[&str], distinct: u64) -> Option<String> {
        let mut shape = Shape::default();
        texts.iter().for_each(|text| shape.add(text.as_bytes()));
        shape.pattern(distinct)
    }

    #[test]
    fn codes_have_a_shape_and_words_have_none() {
        for (texts, distinct, expected) in [
            (&["DE", "FR"][..], 2, Some("^[A-Z]{2}$")),
            (&["EUR"], 1, Some("^[A-Z]{3}$")),
            (
                &["SKU-0001", "SKU-1234", "SKU-0987"],
                300,
                Some("^SKU-[0-9]{4}$"),
            ),
            (&["SKU-0001", "SKU-1234"], 2, None),
            (
                &["0f3a", "a1b2", "f999", "ba01"],
                100,
                Some("^[0-9a-f]{4}$"),
            ),
            (&["2440", "2441"], 100, Some("^[0-9]{4}$")),
            (&["a.1", "a.2"], 100, Some("^a\\.[0-9]$")),
            (&["red", "tan"], 100, None),
            (&["web", "store"], 2, None),
            (&["A1", "1A"], 100, None),
            (&["é1", "é2"], 100, None),
            (&[], 0, None),
            (&["same", "same"], 1, None),
        ] {
            let found = shape(texts, distinct);
            assert_eq!(found.as_deref(), expected, "{texts:?}");
            if let Some(pattern) = found {
                let regex = regex::Regex::new(&pattern).expect("a regular expression");
                assert!(texts.iter().all(|text| regex.is_match(text)), "{pattern}");
            }
        }
    }
}
