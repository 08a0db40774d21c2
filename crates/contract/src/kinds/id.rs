//! What a rule is: one name for each kind. A typo does not compile.

macro_rules! kinds {
    ($($kind:ident = $name:literal,)*) => {
        /// A kind of rule.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum RuleKind {
            $(#[doc = concat!("`", $name, "`")] $kind,)*
        }

        impl RuleKind {
            /// Every kind, in the order of the reference page.
            pub const ALL: &'static [RuleKind] = &[$(RuleKind::$kind),*];

            /// The stable name in contracts, results and quarantine.
            pub const fn name(self) -> &'static str {
                match self {
                    $(RuleKind::$kind => $name,)*
                }
            }

            /// The kind of that name; None where there is none.
            pub fn parse(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(RuleKind::$kind),)*
                    _ => None,
                }
            }
        }
    };
}

kinds! {
    Required = "required",
    Missing = "missing",
    NullValues = "nullValues",
    MissingValues = "missingValues",
    BlankValues = "blankValues",
    Completeness = "completeness",
    ValidValues = "validValues",
    ForbiddenValues = "forbiddenValues",
    Pattern = "pattern",
    Format = "format",
    MinLength = "minLength",
    MaxLength = "maxLength",
    Minimum = "minimum",
    Maximum = "maximum",
    ExclusiveMinimum = "exclusiveMinimum",
    ExclusiveMaximum = "exclusiveMaximum",
    MultipleOf = "multipleOf",
    DataType = "dataType",
    DuplicateValues = "duplicateValues",
    PrimaryKey = "primaryKey",
    UniquenessRatio = "uniquenessRatio",
    DistinctCount = "distinctCount",
    Min = "min",
    Max = "max",
    Mean = "mean",
    StandardDeviation = "standardDeviation",
    Sum = "sum",
    Quantile = "quantile",
    Median = "median",
    Entropy = "entropy",
    Distribution = "distribution",
    Comparison = "comparison",
    RowSum = "rowSum",
    Reference = "reference",
    Outlier = "outlier",
    PersonalData = "personalData",
    Freshness = "freshness",
    GroupSum = "groupSum",
    RowCount = "rowCount",
    RowCountMatch = "rowCountMatch",
    ColumnCount = "columnCount",
    ColumnExists = "columnExists",
    SchemaMatch = "schemaMatch",
    FileFreshness = "fileFreshness",
    Sql = "sql",
}
