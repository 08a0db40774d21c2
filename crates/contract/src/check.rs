//! What rules look at: values, columns, objects and tables.

use regex::Regex;
use tarn_core::privacy::PersonalPattern;

use crate::sql::Query;

/// What is asked.
#[derive(Debug, Clone)]
pub enum Check {
    /// Something of each row.
    Rows(RowCheck),
    /// A number taken from the values of the rule's column.
    Column(ColumnMeasure),
    /// A number taken from the object as a whole.
    Object(ObjectMeasure),
    /// A number taken from the table as it will be, and from other tables.
    Table(TableMeasure),
}

/// What is asked of each row. A null breaks only the checks that ask for a value.
#[derive(Debug, Clone)]
pub enum RowCheck {
    /// The rule's column has a value that is none of these texts.
    Present(Missing),
    /// The value of the rule's column passes.
    Value(ValueCheck),
    /// The rule's column compares with another one as the operator says.
    Pair {
        /// How the first compares with the second.
        operator: Operator,
        /// The second column.
        other: usize,
    },
    /// The rule's column is the sum of these columns, the second ones subtracted.
    Sum {
        /// Columns that are added.
        plus: Vec<usize>,
        /// Columns that are subtracted.
        minus: Vec<usize>,
        /// How far it may be off, in the column's own units.
        tolerance: Bound,
    },
    /// The value of the rule's column is one of another dataset's.
    Reference(ColumnRef),
    /// The value of the rule's column is not far from the others of the object.
    Outlier(Outlier),
    /// No earlier row has the same values in these columns. A row with a null in one of them does not
    /// repeat another.
    Unique {
        /// The columns.
        columns: Vec<usize>,
        /// Whether they are the table's primary key or its deduplication key, whose repetition is
        /// rejected in any case.
        key: bool,
    },
    /// No text of these columns looks like personal data.
    Personal {
        /// Text columns.
        columns: Vec<usize>,
        /// What is looked for.
        patterns: Vec<PersonalPattern>,
    },
    /// The value of the rule's column could be read as its type. Rows where it could not are rejected
    /// when they are read.
    Readable,
}

/// What counts as missing besides a null.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Missing {
    /// Empty texts and white space.
    pub blanks: bool,
    /// The usual sentinels, see [`tarn_core::profile::SENTINELS`].
    pub usual: bool,
    /// These very texts.
    pub texts: Vec<String>,
}

impl Missing {
    /// Only nulls.
    pub fn nulls() -> Self {
        Missing::default()
    }

    /// Whether nothing but a null counts.
    pub fn is_nulls(&self) -> bool {
        !self.blanks && !self.usual && self.texts.is_empty()
    }

    /// Whether a text counts.
    pub fn matches(&self, text: &[u8]) -> bool {
        (self.blanks && tarn_core::profile::is_blank(text))
            || (self.usual && tarn_core::profile::is_sentinel(text))
            || self.texts.iter().any(|missing| missing.as_bytes() == text)
    }
}

/// What is asked of a value.
#[derive(Debug, Clone)]
pub enum ValueCheck {
    /// Text matches.
    Pattern(Regex),
    /// Text has a well-known form.
    Format(TextFormat),
    /// Text is neither empty nor only white space.
    NotBlank,
    /// Text has at least this many characters.
    MinLength(u64),
    /// Text has at most this many characters.
    MaxLength(u64),
    /// Number is at least.
    Minimum(Bound),
    /// Number is at most.
    Maximum(Bound),
    /// Number is greater than.
    ExclusiveMinimum(Bound),
    /// Number is less than.
    ExclusiveMaximum(Bound),
    /// Number is a whole multiple; never zero.
    MultipleOf(i128),
    /// Value, written as text, is one of these.
    OneOf(Vec<String>),
    /// Value, written as text, is none of these.
    NoneOf(Vec<String>),
}

/// Well-known forms of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextFormat {
    /// A whole number.
    Integer,
    /// A decimal number.
    Decimal,
    /// `true` or `false`.
    Boolean,
    /// A day as in 2026-01-31.
    Date,
    /// An instant as in 2026-01-31T10:00:00Z.
    Timestamp,
    /// A UUID with hyphens.
    Uuid,
    /// `name@domain`.
    Email,
    /// An absolute URI: a scheme, a colon, and more without white space.
    Uri,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
}

impl TextFormat {
    /// Each with its name in contracts.
    pub const ALL: [(&'static str, TextFormat); 10] = [
        ("integer", TextFormat::Integer),
        ("decimal", TextFormat::Decimal),
        ("boolean", TextFormat::Boolean),
        ("date", TextFormat::Date),
        ("timestamp", TextFormat::Timestamp),
        ("uuid", TextFormat::Uuid),
        ("email", TextFormat::Email),
        ("uri", TextFormat::Uri),
        ("ipv4", TextFormat::Ipv4),
        ("ipv6", TextFormat::Ipv6),
    ];

    /// The name in contracts.
    pub fn as_str(self) -> &'static str {
        TextFormat::ALL
            .iter()
            .find(|(_, format)| *format == self)
            .map_or("", |(name, _)| name)
    }

    /// Whether a text has the form.
    pub fn matches(self, text: &str) -> bool {
        match self {
            TextFormat::Integer => {
                let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
                !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
            }
            TextFormat::Decimal => {
                let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
                let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
                let all =
                    |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
                all(whole) && all(fraction)
            }
            TextFormat::Boolean => matches!(text, "true" | "false"),
            TextFormat::Date => {
                text.len() == 10 && chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok()
            }
            TextFormat::Timestamp => chrono::DateTime::parse_from_rfc3339(text).is_ok(),
            TextFormat::Uuid => text.len() == 36 && uuid::Uuid::try_parse(text).is_ok(),
            TextFormat::Email => text.split_once('@').is_some_and(|(name, domain)| {
                let plain = |part: &str| {
                    !part.is_empty()
                        && !part.contains(|c: char| c == '@' || c.is_whitespace() || c.is_control())
                };
                plain(name) && plain(domain) && domain.split('.').all(|label| !label.is_empty())
            }),
            TextFormat::Uri => text.split_once(':').is_some_and(|(scheme, rest)| {
                scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                    && scheme
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
                    && !rest.is_empty()
                    && !rest.contains(|c: char| c.is_whitespace() || c.is_control())
            }),
            TextFormat::Ipv4 => text.parse::<std::net::Ipv4Addr>().is_ok(),
            TextFormat::Ipv6 => text.parse::<std::net::Ipv6Addr>().is_ok(),
        }
    }
}

/// A bound in the column's own units.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// For int, bigint, and decimal (scaled by the column's scale, so 1.50 at scale 2 is 150), and for
    /// timestamps (microseconds) and dates (days).
    Integer(i128),
    /// For double.
    Double(f64),
}

/// How two values of a row compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Operator {
    /// Each with its sign.
    pub const ALL: [(&'static str, Operator); 6] = [
        ("=", Operator::Equal),
        ("!=", Operator::NotEqual),
        ("<", Operator::Less),
        ("<=", Operator::LessOrEqual),
        (">", Operator::Greater),
        (">=", Operator::GreaterOrEqual),
    ];

    /// Whether two values with this order satisfy it.
    pub fn holds(self, ordering: std::cmp::Ordering) -> bool {
        match self {
            Operator::Equal => ordering.is_eq(),
            Operator::NotEqual => ordering.is_ne(),
            Operator::Less => ordering.is_lt(),
            Operator::LessOrEqual => ordering.is_le(),
            Operator::Greater => ordering.is_gt(),
            Operator::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

/// A column of another dataset.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ColumnRef {
    /// The dataset.
    pub dataset: String,
    /// The column of its table.
    pub column: String,
}

/// What makes a number an outlier among those of its column in one object. Objects with fewer than
/// [`OUTLIER_LEAST`] values have no outliers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outlier {
    /// Its robust z-score, 0.6745 · |x − median| / MAD, is greater than this (Iglewicz and Hoaglin 1993);
    /// where more than half of the values are equal, |x − median| / (1.253314 · mean absolute deviation).
    Mad(f64),
    /// It is farther than this multiple of the interquartile range from the quartiles (Tukey 1977).
    Iqr(f64),
    /// It is greater than this multiple of the median.
    MedianMultiple(f64),
}

/// With fewer values there is no outlier.
pub const OUTLIER_LEAST: u64 = 10;

/// A number taken from a column's values over one object.
#[derive(Debug, Clone, PartialEq)]
pub enum ColumnMeasure {
    /// Per cent of the rows that have a value.
    Completeness(Missing),
    /// Distinct values.
    DistinctCount,
    /// Distinct values per value, from 0 to 1.
    UniquenessRatio,
    /// Least value.
    Min,
    /// Greatest value.
    Max,
    /// Arithmetic mean.
    Mean,
    /// Standard deviation of the sample.
    StandardDeviation,
    /// Sum.
    Sum,
    /// Quantile, from 0 to 1.
    Quantile(f64),
    /// Shannon's entropy in bits.
    Entropy,
    /// Total variation distance, from 0 to 1, of the values' shares from these: half the sum of the
    /// absolute differences. Values that are not named count together.
    Distribution(Vec<(String, f64)>),
    /// Age of the newest value when the run began.
    Freshness,
}

/// A number taken from an object.
#[derive(Debug, Clone, PartialEq)]
pub enum ObjectMeasure {
    /// Rows received.
    RowCount,
    /// Columns that the source provides.
    ColumnCount,
    /// How many of these columns the source does not provide.
    MissingColumns(Vec<String>),
    /// In how many places the source's columns differ from these.
    SchemaDifferences {
        /// Names at the source.
        columns: Vec<String>,
        /// Whether the order counts.
        ordered: bool,
    },
    /// Age of the object when the run began.
    FileFreshness,
}

/// A number taken from the table as it will be.
#[derive(Debug, Clone)]
pub enum TableMeasure {
    /// Its rows less those of another dataset's table; in per cent of the latter's.
    RowCountMatch(String),
    /// Rows whose value in the rule's column is not the sum of the other dataset's column over the rows
    /// with this row's key. The sum is zero if the other dataset has no such rows.
    GroupSum {
        /// What is summed.
        of: ColumnRef,
        /// The column of the other dataset that names the row here.
        by: String,
        /// This dataset's key, a column.
        key: usize,
        /// How far it may be off, in the column's own units.
        tolerance: Bound,
    },
    /// The one number that a query gives.
    Sql(Box<Query>),
}

impl TableMeasure {
    /// The other datasets that it reads.
    pub fn datasets(&self, own: &str) -> Vec<String> {
        let all = match self {
            TableMeasure::RowCountMatch(dataset) => vec![dataset.clone()],
            TableMeasure::GroupSum { of, .. } => vec![of.dataset.clone()],
            TableMeasure::Sql(query) => query
                .tables()
                .iter()
                .map(|table| table.name.clone())
                .collect(),
        };
        all.into_iter().filter(|dataset| dataset != own).collect()
    }
}
