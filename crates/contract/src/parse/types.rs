//! Types and encodings of columns.

use super::custom::Custom;
use super::yaml::{Faults, Map, Spanned};
use crate::Encoding;
use crate::diagnostic::nearest;
use tarn_core::schema::ColumnType;

const LOGICAL_TYPES: [&str; 7] = [
    "string",
    "integer",
    "number",
    "boolean",
    "date",
    "timestamp",
    "array",
];

/// The type from logicalType and physicalType, which must agree.
pub(super) fn column_type(map: &Map<'_>, faults: &mut Faults) -> Option<ColumnType> {
    let help = format!("use one of {}", LOGICAL_TYPES.join(", "));
    let physical = map.text("physicalType", faults);
    let logical = map.needed("logicalType", &help, faults);
    let physical = match physical {
        Some(physical) => Some(physical_type(&physical, faults)?),
        None => None,
    };
    let logical = logical?;
    if !LOGICAL_TYPES.contains(&logical.value) {
        let help = match nearest(logical.value, LOGICAL_TYPES) {
            Some(name) => format!("did you mean '{name}'? {help}"),
            None => help,
        };
        faults.add(
            logical.at,
            format!("unknown logicalType '{}'", logical.value),
            help,
        );
        return None;
    }
    if let Some(items) = map.get("items")
        && let Some(items) = Map::of(items, "items", faults)
        && let Some(of) = items
            .text("logicalType", faults)
            .filter(|of| of.value != "string")
    {
        faults.add(
            of.at,
            format!("an array of '{}' is not supported", of.value),
            "only array<string> is: use logicalType string",
        );
    }
    let Some(physical) = physical else {
        return match logical.value {
            "string" => Some(ColumnType::String),
            "integer" => Some(ColumnType::Long),
            "boolean" => Some(ColumnType::Boolean),
            "date" => Some(ColumnType::Date),
            "timestamp" => Some(ColumnType::Timestamp),
            "array" => Some(ColumnType::StringList),
            _ => {
                faults.add(
                    logical.at,
                    "logicalType number needs a physicalType",
                    "write physicalType: decimal(12,2) for money, or double for a measure",
                );
                None
            }
        };
    };
    let (expected, go_with) = match physical {
        ColumnType::String => ("string", "string"),
        ColumnType::Int | ColumnType::Long => ("integer", "int or bigint"),
        ColumnType::Double | ColumnType::Decimal { .. } => ("number", "double or decimal(p,s)"),
        ColumnType::Boolean => ("boolean", "boolean"),
        ColumnType::Date => ("date", "date"),
        ColumnType::Timestamp => ("timestamp", "timestamptz"),
        ColumnType::StringList => ("array", "array<string>"),
    };
    if logical.value != expected {
        faults.add(
            logical.at,
            format!(
                "logicalType '{}' does not go with physicalType '{physical}'",
                logical.value
            ),
            format!("write logicalType: {expected}, which goes with {go_with}"),
        );
        return None;
    }
    Some(physical)
}

/// A type as tables have it.
fn physical_type(text: &Spanned<&str>, faults: &mut Faults) -> Option<ColumnType> {
    const NAMES: [&str; 9] = [
        "string",
        "int",
        "bigint",
        "double",
        "boolean",
        "date",
        "timestamptz",
        "decimal(p,s)",
        "array<string>",
    ];
    let spelling: String = text
        .value
        .chars()
        .filter(|c| !c.is_whitespace())
        .flat_map(char::to_lowercase)
        .collect();
    match spelling.as_str() {
        "string" => return Some(ColumnType::String),
        "int" => return Some(ColumnType::Int),
        "bigint" => return Some(ColumnType::Long),
        "double" => return Some(ColumnType::Double),
        "boolean" => return Some(ColumnType::Boolean),
        "date" => return Some(ColumnType::Date),
        "timestamptz" => return Some(ColumnType::Timestamp),
        "array<string>" => return Some(ColumnType::StringList),
        _ => {}
    }
    if spelling.starts_with("decimal") || spelling.starts_with("numeric") {
        return decimal(&spelling, text, faults);
    }
    let meant = match spelling
        .trim_end_matches(|c: char| !c.is_ascii_alphabetic())
        .trim_end_matches(char::is_numeric)
    {
        "varchar" | "char" | "text" | "uuid" | "json" => Some("string"),
        "integer" | "smallint" | "tinyint" => Some("int"),
        "long" => Some("bigint"),
        "float" | "real" => Some("double (or decimal(12,2) for money)"),
        "bool" => Some("boolean"),
        "timestamp" | "datetime" => Some("timestamptz"),
        "array" | "list" => Some("array<string>"),
        _ => nearest(&spelling, NAMES),
    };
    let help = match meant {
        Some(name) => format!("did you mean {name}? use one of {}", NAMES.join(", ")),
        None => format!("use one of {}", NAMES.join(", ")),
    };
    faults.add(
        text.at,
        format!("unknown physicalType '{}'", text.value),
        help,
    );
    None
}

/// `decimal(precision,scale)` from its spelling without spaces, in lower case.
fn decimal(spelling: &str, text: &Spanned<&str>, faults: &mut Faults) -> Option<ColumnType> {
    let sizes = spelling
        .strip_prefix("decimal(")
        .and_then(|rest| rest.strip_suffix(')'))
        .and_then(|rest| rest.split_once(','))
        .and_then(|(precision, scale)| {
            Some((precision.parse::<u8>().ok()?, scale.parse::<u8>().ok()?))
        });
    match sizes {
        Some((precision @ 1..=18, scale)) if scale <= precision => {
            Some(ColumnType::Decimal { precision, scale })
        }
        Some(_) => {
            faults.add(
                text.at,
                format!("physicalType '{}' is out of range", text.value),
                "a decimal has 1 to 18 digits in all, and not more than that after the decimal point",
            );
            None
        }
        None => {
            faults.add(
                text.at,
                format!(
                    "physicalType '{}' lacks its precision and scale",
                    text.value
                ),
                "write decimal(12,2): 12 digits in all, 2 of them after the decimal point",
            );
            None
        }
    }
}

/// The exponent of `minorUnits:<exponent>`; a fault for any other text.
fn minor_units(text: &Spanned<&str>, ty: &ColumnType, faults: &mut Faults) -> Option<u8> {
    let Some(exponent) = text.value.strip_prefix("minorUnits:") else {
        let mut names = vec!["natural", "minorUnits:2"];
        names.extend(ENCODINGS.iter().map(|(name, ..)| *name));
        let help = match nearest(text.value, names.iter().copied()) {
            Some(name) => format!("did you mean '{name}'?"),
            None => format!("use one of {}", names.join(", ")),
        };
        faults.add(text.at, format!("unknown encoding '{}'", text.value), help);
        return None;
    };
    let Ok(exponent) = exponent.trim().parse::<u8>() else {
        faults.add(
            text.at,
            format!("encoding '{}' does not say which unit", text.value),
            "write minorUnits:2 for cents or minorUnits:6 for micros",
        );
        return None;
    };
    if let ColumnType::Decimal { scale, .. } = ty
        && exponent > *scale
    {
        faults.add(
            text.at,
            format!("minorUnits:{exponent} has more digits after the decimal point than the column's {ty}"),
            format!("give the column a scale of at least {exponent}, or name the unit that the source counts in"),
        );
    }
    Some(exponent)
}

/// Types that an encoding goes with, as messages name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fits {
    Decimals,
    Numbers,
    Times,
    Days,
    Booleans,
}

impl Fits {
    fn name(self) -> &'static str {
        match self {
            Fits::Decimals => "decimal(p,s)",
            Fits::Numbers => "decimal(p,s), double, int or bigint",
            Fits::Times => "timestamptz",
            Fits::Days => "date or timestamptz",
            Fits::Booleans => "boolean",
        }
    }

    fn holds(self, ty: &ColumnType) -> bool {
        let is_decimal = matches!(ty, ColumnType::Decimal { .. });
        match self {
            Fits::Decimals => is_decimal,
            Fits::Numbers => {
                is_decimal || matches!(ty, ColumnType::Double | ColumnType::Int | ColumnType::Long)
            }
            Fits::Times => *ty == ColumnType::Timestamp,
            Fits::Days => matches!(ty, ColumnType::Date | ColumnType::Timestamp),
            Fits::Booleans => *ty == ColumnType::Boolean,
        }
    }
}

/// Encodings without a parameter, and what each goes with.
const ENCODINGS: [(&str, Encoding, Fits); 10] = [
    ("real", Encoding::Real, Fits::Decimals),
    ("decimalComma", Encoding::DecimalComma, Fits::Numbers),
    ("decimalPoint", Encoding::DecimalPoint, Fits::Numbers),
    ("dayMonthYear", Encoding::DayMonthYear, Fits::Days),
    ("monthDayYear", Encoding::MonthDayYear, Fits::Days),
    ("epochSeconds", Encoding::EpochSeconds, Fits::Times),
    ("epochMillis", Encoding::EpochMillis, Fits::Times),
    ("epochMicros", Encoding::EpochMicros, Fits::Times),
    ("zeroOne", Encoding::ZeroOne, Fits::Booleans),
    ("booleanText", Encoding::BooleanText, Fits::Booleans),
];

/// An encoding as contracts write it; None if it is the default or does not fit the type.
pub(crate) fn encoding_name(encoding: Encoding, ty: &ColumnType) -> Option<String> {
    match (encoding, ty) {
        (Encoding::Natural, _) => None,
        (Encoding::MinorUnits(exponent), ColumnType::Decimal { scale, .. }) => {
            (exponent <= *scale).then(|| format!("minorUnits:{exponent}"))
        }
        _ => ENCODINGS
            .iter()
            .find(|(_, known, fits)| *known == encoding && fits.holds(ty))
            .map(|(name, ..)| (*name).to_owned()),
    }
}

/// How the source writes the value; what does not fit the type is a fault.
pub(super) fn encoding(custom: &Custom<'_>, ty: &ColumnType, faults: &mut Faults) -> Encoding {
    let Some(text) = custom.text("encoding", faults) else {
        return Encoding::Natural;
    };
    if text.value == "natural" {
        return Encoding::Natural;
    }
    let known = ENCODINGS.iter().find(|(name, ..)| *name == text.value);
    let (encoding, fits) = match known {
        Some((_, encoding, fits)) => (*encoding, *fits),
        None => match minor_units(&text, ty, faults) {
            Some(exponent) => (Encoding::MinorUnits(exponent), Fits::Decimals),
            None => return Encoding::Natural,
        },
    };
    if !fits.holds(ty) {
        faults.add(
            text.at,
            format!(
                "encoding '{}' does not go with the column's type {ty}",
                text.value
            ),
            format!(
                "use it with physicalType {}, or remove the encoding",
                fits.name()
            ),
        );
    }
    encoding
}
