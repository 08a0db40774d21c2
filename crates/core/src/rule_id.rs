//! Identifiers of the rules that hold without a contract stating them, as rejected rows and run records have them.

/// A row that cannot be read.
pub const PARSE: &str = "parse";

/// A row whose key an accepted row has.
pub const DUPLICATE: &str = "duplicate";

/// A row with a column that the contract does not know.
pub const SCHEMA_DRIFT: &str = "schemaDrift";

/// The rule that a value must be one of its column's type.
pub fn type_of(column: &str) -> String {
    format!("{column}{TYPE}")
}

/// The column whose type a row does not fit; None for any other rule.
pub fn column_of_type_rule(rule: &str) -> Option<&str> {
    rule.strip_suffix(TYPE)
}

const TYPE: &str = ".type";
