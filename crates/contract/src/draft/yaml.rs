//! YAML under construction, as every reader of YAML 1.1 and 1.2 understands it.

use std::fmt::Write as _;

/// The YAML under construction, two spaces a level.
#[derive(Default)]
pub(super) struct Lines {
    pub text: String,
}

impl Lines {
    pub fn line(&mut self, level: usize, line: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        if writeln!(self.text, "{:width$}{line}", "", width = level * 2).is_err() {
            debug_assert!(false, "a String refused text");
        }
    }

    pub fn comment(&mut self, level: usize, comment: &str) {
        let printable: String = comment
            .chars()
            .map(|c| if is_printable(c) { c } else { ' ' })
            .collect();
        self.line(level, format_args!("# {}", printable.trim()));
    }

    pub fn custom(&mut self, level: usize, property: &str, value: &str) {
        self.line(level, format_args!("- property: {property}"));
        self.line(level + 1, format_args!("value: {}", scalar(value)));
    }
}

/// A text as a YAML scalar that both YAML 1.1 and 1.2 read as that text.
pub(super) fn scalar(text: &str) -> String {
    // `no`, `on` and the like are booleans in YAML 1.1.
    const WORDS: [&str; 9] = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    let is_word = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    if is_word {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            c if is_printable(c) => quoted.push(c),
            c => {
                let code = u32::from(c);
                let escape = match code {
                    0..=0xff => format!("\\x{code:02x}"),
                    0x100..=0xffff => format!("\\u{code:04x}"),
                    _ => format!("\\U{code:08x}"),
                };
                quoted.push_str(&escape);
            }
        }
    }
    quoted.push('"');
    quoted
}

/// Whether every YAML reader takes the character as it is and on one line.
fn is_printable(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{a0}'..='\u{2027}' | '\u{202a}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
}

/// Texts as the items of a YAML list.
pub(super) fn list(texts: &[String]) -> String {
    let items: Vec<String> = texts.iter().map(|text| scalar(text)).collect();
    items.join(", ")
}
