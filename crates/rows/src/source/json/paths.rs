//! Columns that are filled from within the values of an object's keys: `detail.event_id` is the key `event_id` of the
//! object under the key `detail`, or a key of that whole name.

use tarn_contract::Column;

use super::cursor::Cursor;
use super::target::{RowFault, RowResult, Target, read_value};
use crate::column::ColumnData;
use crate::reason::Reason;

/// What is filled from within values.
#[derive(Default)]
pub(super) struct Paths {
    /// By the keys of the object itself.
    heads: Vec<Head>,
    /// The columns.
    columns: Vec<usize>,
    /// Those that the object under way has filled.
    filled: Vec<usize>,
}

struct Head {
    key: String,
    tree: Tree,
    /// Where its value begins in the object under way.
    begin: Option<usize>,
    /// Whether some object had it.
    seen: bool,
}

/// What is filled from a value, and from the values of its keys.
#[derive(Default)]
struct Tree {
    targets: Vec<Target>,
    children: Vec<(String, Tree)>,
}

impl Paths {
    /// The paths that columns have, still without their targets.
    pub fn new(columns: &[Column]) -> Self {
        let mut paths = Paths::default();
        for column in columns {
            let name = &column.source_name;
            if let Some((head, _)) = split(name) {
                paths.head(head);
                paths.head(name);
            }
        }
        paths
    }

    fn head(&mut self, key: &str) -> &mut Head {
        let place = match self.heads.iter().position(|head| head.key == key) {
            Some(place) => place,
            None => {
                self.heads.push(Head {
                    key: key.to_owned(),
                    tree: Tree::default(),
                    begin: None,
                    seen: false,
                });
                self.heads.len() - 1
            }
        };
        &mut self.heads[place]
    }

    /// Whether a column with this source name is one of these: a path, or a key that paths begin with.
    pub fn takes(&self, name: &str) -> bool {
        self.heads.iter().any(|head| head.key == name)
    }

    /// Adds a column with this source name.
    pub fn add(&mut self, name: &str, target: Target) {
        self.columns.push(target.column);
        if let Some((head, rest)) = split(name) {
            let mut tree = &mut self.head(head).tree;
            for key in rest.split('.') {
                tree = tree.child(key);
            }
            tree.targets.push(target.clone());
        }
        self.head(name).tree.targets.push(target);
    }

    pub fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }

    /// The keys that are looked for, in order.
    pub fn heads(&self) -> impl Iterator<Item = &str> {
        self.heads.iter().map(|head| head.key.as_str())
    }

    /// The keys that some object had.
    pub fn seen_heads(&self) -> impl Iterator<Item = &str> {
        let seen = self.heads.iter().filter(|head| head.seen);
        seen.map(|head| head.key.as_str())
    }

    /// The number of a key among those that are looked for; None for one that comes after them.
    pub fn number_of(&self, number: usize) -> Option<usize> {
        (number < self.heads.len()).then_some(number)
    }

    /// Notes that the value of a key begins here.
    pub fn found(&mut self, number: usize, begin: usize) {
        self.heads[number].begin = Some(begin);
        self.heads[number].seen = true;
    }

    /// Fills the columns from the object, whose keys were all found.
    pub fn read(
        &mut self,
        object: &[u8],
        columns: &mut [ColumnData],
        scratch: &mut Vec<u8>,
    ) -> RowResult {
        self.filled.clear();
        let mut values: Vec<(usize, &Tree)> = Vec::new();
        for head in &mut self.heads {
            if let Some(begin) = head.begin.take() {
                values.push((begin, &head.tree));
            }
        }
        let mut row = Row {
            object,
            columns,
            scratch,
            filled: &mut self.filled,
        };
        for (begin, tree) in values {
            tree.read(begin, &mut row)?;
        }
        for &column in &self.columns {
            if !self.filled.contains(&column)
                && let Some(data) = columns.get_mut(column)
            {
                data.push_null();
            }
        }
        Ok(())
    }
}

/// An object, and the columns that it fills.
struct Row<'a> {
    object: &'a [u8],
    columns: &'a mut [ColumnData],
    scratch: &'a mut Vec<u8>,
    /// The columns that it has filled.
    filled: &'a mut Vec<usize>,
}

/// The first key of a path and the rest of it; None for any other name.
fn split(name: &str) -> Option<(&str, &str)> {
    let parts = name.split('.');
    let (head, rest) = name.split_once('.')?;
    (!name.starts_with('$') && parts.clone().all(|part| !part.is_empty())).then_some((head, rest))
}

impl Tree {
    fn child(&mut self, key: &str) -> &mut Tree {
        let place = match self.children.iter().position(|(other, _)| other == key) {
            Some(place) => place,
            None => {
                self.children.push((key.to_owned(), Tree::default()));
                self.children.len() - 1
            }
        };
        &mut self.children[place].1
    }

    /// The first column that is filled from here.
    fn first_column(&self) -> usize {
        let own = self.targets.first().map(|target| target.column);
        own.or_else(|| self.children.first().map(|(_, tree)| tree.first_column()))
            .unwrap_or_default()
    }

    /// Reads the value that begins here.
    fn read(&self, begin: usize, row: &mut Row<'_>) -> RowResult {
        let mut cursor = Cursor::new(row.object);
        for target in &self.targets {
            if row.filled.contains(&target.column) {
                let reason = "both a key of the whole name and one within a value";
                return Err(RowFault::value(target.column, Reason::from(reason)));
            }
            cursor.go_back(begin);
            read_value(&mut cursor, target, row.columns, row.scratch)?;
            row.filled.push(target.column);
        }
        if self.children.is_empty() {
            return Ok(());
        }
        cursor.go_back(begin);
        match cursor.peek() {
            b'{' => cursor.enter_object()?,
            b'n' => return Ok(()),
            _ => {
                let reason = Reason::mismatch("an object around it", "another value");
                return Err(RowFault::value(self.first_column(), reason));
            }
        }
        let mut first = true;
        let mut seen = vec![false; self.children.len()];
        while cursor.next_member(first)? {
            first = false;
            let key = cursor.key()?;
            let mut name = Vec::new();
            let name = key.text(&mut name);
            let known = self
                .children
                .iter()
                .position(|(key, _)| key.as_bytes() == name);
            let begin = cursor.position();
            cursor.skip_unread()?;
            if let Some(place) = known {
                if std::mem::replace(&mut seen[place], true) {
                    let name = String::from_utf8_lossy(name);
                    return Err(Box::new(RowFault::Parse(Reason::repeated_key(&name))));
                }
                let (_, tree) = &self.children[place];
                tree.read(begin, row)?;
            }
        }
        Ok(())
    }
}
