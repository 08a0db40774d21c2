//! A YAML document as a tree in which every node knows its line, and the faults found in it.
//!
//! The tree is built from parser events rather than through serde: a typed deserialiser stops at the
//! first fault and loses the spelling of numbers, but all faults of a contract are reported at once, and
//! money is compared exactly.

use std::collections::HashMap;
use std::rc::Rc;

use granit_parser::{Event, Marker, Parser, ScalarStyle, ScanError};

use crate::Diagnostic;
use crate::diagnostic::nearest;

/// A place in the file: line and column from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub line: usize,
    pub column: usize,
}

impl Place {
    pub const START: Place = Place { line: 1, column: 1 };

    fn of(marker: &Marker) -> Self {
        Place {
            line: marker.line().max(1),
            column: marker.col() + 1,
        }
    }
}

/// A value and its place.
#[derive(Debug, Clone)]
pub(super) struct Spanned<T> {
    pub value: T,
    pub at: Place,
}

/// A node of the tree.
#[derive(Debug)]
pub(crate) struct Node {
    pub at: Place,
    pub value: Value,
}

/// What a node is. Scalars keep their spelling.
#[derive(Debug)]
pub(crate) enum Value {
    Scalar { text: String, plain: bool },
    List(Vec<Rc<Node>>),
    Map(Vec<Entry>),
}

/// A key of a mapping and its value.
#[derive(Debug)]
pub(crate) struct Entry {
    pub key: String,
    pub at: Place,
    pub value: Rc<Node>,
}

impl Node {
    /// The text of a key's value.
    pub(super) fn text(&self, key: &str, faults: &mut Faults) -> Option<Spanned<&str>> {
        let text = self.string();
        if text.is_none() {
            let help = if self.scalar().is_some() {
                "put it in quotes"
            } else {
                "write it as a text"
            };
            faults.add(
                self.at,
                format!("'{key}' must be a text, not {}", self.shown()),
                help,
            );
        }
        text.map(|value| Spanned { value, at: self.at })
    }

    /// The text of a string: quoted, or plain and not null, boolean or a number.
    pub fn string(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, plain: false } => Some(text),
            Value::Scalar { text, plain: true } => {
                (!self.is_null() && !is_bool(text) && !is_number(text)).then_some(text)
            }
            Value::List(_) | Value::Map(_) => None,
        }
    }

    /// The spelling of a scalar that is not null.
    pub fn scalar(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } if !self.is_null() => Some(text),
            _ => None,
        }
    }

    /// The spelling of a number.
    pub fn number(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, plain: true } if is_number(text) => Some(text),
            _ => None,
        }
    }

    /// A boolean.
    pub fn boolean(&self) -> Option<bool> {
        match &self.value {
            Value::Scalar { text, plain: true } if is_bool(text) => {
                Some(text.eq_ignore_ascii_case("true"))
            }
            _ => None,
        }
    }

    /// The value of a mapping's key, even where it is null; None for anything but a mapping.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(entries) => entries
                .iter()
                .find(|entry| entry.key == key)
                .map(|entry| &*entry.value),
            Value::Scalar { .. } | Value::List(_) => None,
        }
    }

    /// Whether the value is null or left out.
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// What the value is, for messages.
    pub fn shown(&self) -> String {
        match &self.value {
            Value::Scalar { .. } if self.is_null() => "nothing".to_owned(),
            Value::Scalar { text, .. } => format!("'{text}'"),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a mapping".to_owned(),
        }
    }
}

fn is_bool(text: &str) -> bool {
    matches!(text, "true" | "True" | "TRUE" | "false" | "False" | "FALSE")
}

fn is_number(text: &str) -> bool {
    // The first digit is checked because "inf", "nan" and "infinity", which are numbers in Rust, are
    // words in YAML.
    let digits = text.trim_start_matches(['+', '-', '.']);
    digits.starts_with(|c: char| c.is_ascii_digit()) && text.parse::<f64>().is_ok()
}

/// Collects what is wrong with one file.
#[derive(Debug)]
pub(super) struct Faults {
    file: String,
    pub list: Vec<Diagnostic>,
}

impl Faults {
    /// None yet.
    pub fn new(file: &str) -> Self {
        Faults {
            file: file.to_owned(),
            list: Vec::new(),
        }
    }

    /// Notes a fault of the value at a place.
    pub fn add(&mut self, at: Place, message: impl Into<String>, help: impl Into<String>) {
        self.list.push(Diagnostic {
            file: self.file.clone(),
            line: at.line,
            column: at.column,
            message: message.into(),
            help: help.into(),
        });
    }

    /// Notes a fault of the file as a whole.
    pub fn add_whole(&mut self, message: impl Into<String>, help: impl Into<String>) {
        self.add(Place { line: 0, column: 0 }, message, help);
    }
}

/// A node under construction.
enum Open {
    List {
        at: Place,
        anchor: usize,
        items: Vec<Rc<Node>>,
    },
    Map {
        at: Place,
        anchor: usize,
        entries: Vec<Entry>,
        key: Option<(String, Place)>,
    },
}

impl Open {
    /// The finished node, with the number of its anchor; 0 is none.
    fn close(self) -> (Rc<Node>, usize) {
        let (at, anchor, value) = match self {
            Open::List { at, anchor, items } => (at, anchor, Value::List(items)),
            Open::Map {
                at,
                anchor,
                entries,
                ..
            } => (at, anchor, Value::Map(entries)),
        };
        (Rc::new(Node { at, value }), anchor)
    }

    /// Adds an item of a list, or the next key or value of a map.
    fn add(&mut self, node: Rc<Node>, faults: &mut Faults) {
        let (entries, key) = match self {
            Open::List { items, .. } => return items.push(node),
            Open::Map { entries, key, .. } => (entries, key),
        };
        match (key.take(), &node.value) {
            (Some((name, at)), _) => {
                if entries.iter().any(|entry| entry.key == name) {
                    faults.add(
                        at,
                        format!("the key '{name}' is given twice"),
                        "remove one of the two",
                    );
                } else {
                    entries.push(Entry {
                        key: name,
                        at,
                        value: node,
                    });
                }
            }
            (None, Value::Scalar { text, .. }) => *key = Some((text.clone(), node.at)),
            (None, Value::List(_) | Value::Map(_)) => {
                faults.add(node.at, "a key must be a name", "write `name: value`");
                *key = Some((String::new(), node.at));
            }
        }
    }
}

/// Reads the one document of `text`; None with faults noted if it is not YAML. Aliases stand for the node
/// of their anchor. The parser limits the nesting to 255.
pub(super) fn parse(text: &str, faults: &mut Faults) -> Option<Rc<Node>> {
    let mut open: Vec<Open> = Vec::new();
    let mut anchors: HashMap<usize, Rc<Node>> = HashMap::new();
    let mut root: Option<Rc<Node>> = None;
    for event in Parser::new_from_str(text) {
        let (event, span) = match event {
            Ok(event) => event,
            Err(error) => {
                faults.add(
                    syntax_place(text, &error),
                    format!("this is not YAML: {}", error.info()),
                    "check indentation (spaces, no tabs), quotes and brackets here and on the line above",
                );
                return None;
            }
        };
        let at = Place::of(&span.start);
        let (node, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_text = tag.is_some_and(|tag| tag.is_yaml_core_schema_tag("str"));
                let plain = style == ScalarStyle::Plain && !is_text;
                (
                    Rc::new(Node {
                        at,
                        value: Value::Scalar {
                            text: text.into_owned(),
                            plain,
                        },
                    }),
                    anchor,
                )
            }
            Event::SequenceStart(_, anchor, _) => {
                open.push(Open::List {
                    at,
                    anchor,
                    items: Vec::new(),
                });
                continue;
            }
            Event::MappingStart(_, anchor, _) => {
                open.push(Open::Map {
                    at,
                    anchor,
                    entries: Vec::new(),
                    key: None,
                });
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(open) => open.close(),
                None => continue,
            },
            Event::Alias(id) => match anchors.get(&id) {
                Some(node) => (Rc::clone(node), 0),
                None => {
                    let message = "this alias is inside the value that it names";
                    faults.add(at, message, "write the value out");
                    return None;
                }
            },
            Event::DocumentStart(..) if root.is_some() => {
                let help = "keep one contract per file";
                faults.add(at, "the file has more than one YAML document", help);
                return None;
            }
            _ => continue,
        };
        if anchor > 0 {
            anchors.insert(anchor, Rc::clone(&node));
        }
        match open.last_mut() {
            None => root = Some(node),
            Some(parent) => parent.add(node, faults),
        }
    }
    root
}

/// Where the syntax is wrong. For a tab in the indentation, the parser gives the place where the value
/// before it began, which may be lines above.
fn syntax_place(text: &str, error: &ScanError) -> Place {
    let place = Place::of(error.marker());
    if !error.info().contains("tab") {
        return place;
    }
    let indented_by_tab = |line: &str| line.trim_start_matches(' ').starts_with('\t');
    text.lines()
        .enumerate()
        .skip(place.line - 1)
        .find(|(_, line)| indented_by_tab(line))
        .map_or(place, |(index, line)| Place {
            line: index + 1,
            column: line.find('\t').unwrap_or_default() + 1,
        })
}

/// A mapping with its name for messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Map<'a> {
    pub at: Place,
    what: &'a str,
    pub entries: &'a [Entry],
}

impl<'a> Map<'a> {
    /// The node as a mapping; a fault otherwise.
    pub fn of(node: &'a Node, what: &'a str, faults: &mut Faults) -> Option<Self> {
        match &node.value {
            Value::Map(entries) => Some(Map {
                at: node.at,
                what,
                entries,
            }),
            _ => {
                faults.add(
                    node.at,
                    format!("{what} must be a mapping, not {}", node.shown()),
                    "write `key: value` lines",
                );
                None
            }
        }
    }

    /// Refuses keys that ODCS does not have here: a misspelt key would silently have no effect.
    pub fn only(&self, known: &[&str], faults: &mut Faults) {
        for entry in self
            .entries
            .iter()
            .filter(|entry| !known.contains(&entry.key.as_str()))
        {
            let help = match nearest(&entry.key, known.iter().copied()) {
                Some(name) => format!("did you mean '{name}'?"),
                None => format!("remove it; known are {}", known.join(", ")),
            };
            faults.add(
                entry.at,
                format!("unknown key '{}' in {}", entry.key, self.what),
                help,
            );
        }
    }

    /// The value of a key; None where it is absent or null.
    pub fn get(&self, key: &str) -> Option<&'a Node> {
        self.entries
            .iter()
            .find(|entry| entry.key == key)
            .map(|entry| &*entry.value)
            .filter(|node| !node.is_null())
    }

    /// The text of a key.
    pub fn text(&self, key: &str, faults: &mut Faults) -> Option<Spanned<&'a str>> {
        self.get(key)?.text(key, faults)
    }

    /// The text of a key that must be there and not be empty.
    pub fn needed(&self, key: &str, help: &str, faults: &mut Faults) -> Option<Spanned<&'a str>> {
        if self.get(key).is_none() {
            let at = self
                .entries
                .iter()
                .find(|entry| entry.key == key)
                .map_or(self.at, |entry| entry.at);
            faults.add(at, format!("{} lacks '{key}'", self.what), help);
            return None;
        }
        let text = self.text(key, faults)?;
        if text.value.trim().is_empty() {
            faults.add(text.at, format!("'{key}' is empty"), help);
            return None;
        }
        Some(text)
    }

    /// A boolean key, false where absent.
    pub fn flag(&self, key: &str, faults: &mut Faults) -> bool {
        let Some(node) = self.get(key) else {
            return false;
        };
        node.boolean().unwrap_or_else(|| {
            faults.add(
                node.at,
                format!("'{key}' must be true or false, not {}", node.shown()),
                "write true or false",
            );
            false
        })
    }

    /// A list, empty where absent.
    pub fn list(&self, key: &str, faults: &mut Faults) -> &'a [Rc<Node>] {
        match self.get(key).map(|node| (node, &node.value)) {
            None => &[],
            Some((_, Value::List(items))) => items,
            Some((node, _)) => {
                faults.add(
                    node.at,
                    format!("'{key}' must be a list, not {}", node.shown()),
                    "begin each entry with `- `",
                );
                &[]
            }
        }
    }
}
