//! What a measured number is compared with.

/// What a number is compared with, and its unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threshold {
    /// The comparison.
    pub comparison: Comparison,
    /// The unit of both.
    pub unit: Unit,
}

impl Threshold {
    /// No rows.
    pub const NONE: Threshold = Threshold {
        comparison: Comparison::Equal(0.0),
        unit: Unit::Rows,
    };
}

impl std::fmt::Display for Threshold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.comparison {
            Comparison::Equal(x) => write!(f, "{x}")?,
            Comparison::NotEqual(x) => write!(f, "not {x}")?,
            Comparison::Greater(x) => write!(f, "more than {x}")?,
            Comparison::GreaterOrEqual(x) => write!(f, "at least {x}")?,
            Comparison::Less(x) => write!(f, "less than {x}")?,
            Comparison::LessOrEqual(x) => write!(f, "at most {x}")?,
            Comparison::Between(low, high) => write!(f, "{low} to {high}")?,
            Comparison::Outside(low, high) => write!(f, "less than {low} or more than {high}")?,
        }
        f.write_str(match self.unit {
            Unit::Rows | Unit::Number => "",
            Unit::Percent => " per cent",
            Unit::Seconds => " seconds",
            Unit::Minutes => " minutes",
            Unit::Hours => " hours",
            Unit::Days => " days",
        })
    }
}

/// The unit of a measured number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Rows.
    Rows,
    /// Per cent of the rows.
    Percent,
    /// The column's own, or none.
    Number,
    /// Time.
    Seconds,
    /// Time.
    Minutes,
    /// Time.
    Hours,
    /// Time.
    Days,
}

impl Unit {
    /// Seconds of a unit of time; 1 for the others.
    pub fn seconds(self) -> f64 {
        match self {
            Unit::Minutes => 60.0,
            Unit::Hours => 3600.0,
            Unit::Days => 86_400.0,
            Unit::Seconds | Unit::Rows | Unit::Percent | Unit::Number => 1.0,
        }
    }
}

/// A comparison of a number with a threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Comparison {
    /// `mustBe`
    Equal(f64),
    /// `mustNotBe`
    NotEqual(f64),
    /// `mustBeGreaterThan`
    Greater(f64),
    /// `mustBeGreaterOrEqualTo`
    GreaterOrEqual(f64),
    /// `mustBeLessThan`
    Less(f64),
    /// `mustBeLessOrEqualTo`
    LessOrEqual(f64),
    /// `mustBeBetween`, both ends included
    Between(f64, f64),
    /// `mustNotBeBetween`, both ends included
    Outside(f64, f64),
}

impl Comparison {
    /// Whether `value` satisfies the comparison.
    pub fn holds(self, value: f64) -> bool {
        match self {
            Comparison::Equal(x) => value == x,
            Comparison::NotEqual(x) => value != x,
            Comparison::Greater(x) => value > x,
            Comparison::GreaterOrEqual(x) => value >= x,
            Comparison::Less(x) => value < x,
            Comparison::LessOrEqual(x) => value <= x,
            Comparison::Between(low, high) => (low..=high).contains(&value),
            Comparison::Outside(low, high) => value < low || value > high,
        }
    }

    /// The numbers that it names.
    pub fn numbers(self) -> impl Iterator<Item = f64> {
        let (first, second) = match self {
            Comparison::Equal(x)
            | Comparison::NotEqual(x)
            | Comparison::Greater(x)
            | Comparison::GreaterOrEqual(x)
            | Comparison::Less(x)
            | Comparison::LessOrEqual(x) => (x, None),
            Comparison::Between(low, high) | Comparison::Outside(low, high) => (low, Some(high)),
        };
        std::iter::once(first).chain(second)
    }
}
