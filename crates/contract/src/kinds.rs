//! Every kind of rule that a contract can state: the one list from which contracts are read and the
//! reference page is written.

mod id;
mod list;
mod page;

pub use self::id::RuleKind;
pub use self::list::KINDS;
pub use self::page::page;
use super::threshold::Unit;

/// Where a rule of a kind is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In a property.
    Column,
    /// In the schema object.
    Table,
    /// In either.
    Both,
}

/// What a rule of a kind looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Each row; it counts the rows that break it.
    Row,
    /// The rows of an object, together.
    Object,
    /// The table as it will be once the object is in it.
    Table,
}

/// How ODCS spells a rule of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// A key of the property itself, such as `required: true`.
    Key,
    /// A key of `logicalTypeOptions`.
    Option,
    /// A metric of the library, in `quality`.
    Metric,
    /// `type: sql` with a query.
    Sql,
    /// `type: custom` with `engine: tarn` and an `implementation`.
    Custom,
}

/// A kind of rule.
#[derive(Debug, PartialEq)]
pub struct Kind {
    /// Which one it is.
    pub id: RuleKind,
    /// How it is spelled.
    pub spelling: Spelling,
    /// Where it is written.
    pub place: Place,
    /// What it looks at.
    pub scope: Scope,
    /// Its dimension if a rule does not name one.
    pub dimension: &'static str,
    /// What the measured number is.
    pub measures: &'static str,
    /// Its arguments and what each means.
    pub arguments: &'static [(&'static str, &'static str)],
    /// The units that its threshold may have; the first is the default.
    pub units: &'static [Unit],
    /// The least and the greatest threshold that make sense in the first unit.
    pub range: (f64, f64),
    /// An example of a rule of the kind, in a property or in the schema object.
    pub example: &'static str,
}

impl Kind {
    /// Its stable name in contracts, results and quarantine.
    pub fn name(&self) -> &'static str {
        self.id.name()
    }
}

impl RuleKind {
    /// What is known of the kind.
    pub fn definition(self) -> &'static Kind {
        &KINDS[self as usize]
    }
}
