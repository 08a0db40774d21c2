//! Drafts contracts from what a file shows of itself. A draft is a proposal: where the file leaves
//! something open, it carries a comment for the person who finishes it.

use std::path::Path;

use rusqlite::types::Value as Stored;
use serde_json::{Map, Value};
use tarn_core::contract::{Draft, DraftColumn, Encoding, Format};
use tarn_core::schema::ColumnType;
use tarn_core::{Error, ErrorKind, Result};

use crate::source::sniff::{head_lines, sniff, text_head};
use crate::source::sqlite::{Database, TableColumn};
use crate::source::time;

/// Rows of a table that are looked at.
const SAMPLE_ROWS: u32 = 1000;

/// Drafts one contract per table of a database, one for any other file; their keys begin with
/// `raw/<source>/`.
///
/// # Errors
/// `BadSource` where the file is none that the lake reads.
pub fn drafts(path: &Path, source: &str) -> Result<Vec<Draft>> {
    let unknown = || {
        Error::new(
            ErrorKind::BadSource,
            format!(
                "{} is neither a SQLite database, nor an access log, nor JSON; nothing to infer",
                path.display()
            ),
        )
    };
    match sniff(path, &[])?.ok_or_else(unknown)? {
        Format::Sqlite => database(path, source),
        format @ Format::AccessLog => {
            let draft =
                Draft::natural("web_requests", format, &format!("raw/{source}/access_logs"));
            draft.map(|draft| vec![draft]).ok_or_else(unknown)
        }
        Format::SocialPosts | Format::JsonLines => {
            let head = text_head(path)?;
            let objects: Vec<Map<String, Value>> = head_lines(&head)
                .take(SAMPLE_ROWS as usize)
                .filter_map(|line| match serde_json::from_slice(line) {
                    Ok(Value::Object(object)) => Some(object),
                    _ => None,
                })
                .collect();
            // Posts are whole documents or carry the marks of a network; anything else is events.
            if objects.is_empty() || objects.iter().all(is_post) {
                let draft = Draft::natural(
                    "social_posts",
                    Format::SocialPosts,
                    &format!("raw/{source}/posts"),
                );
                return draft.map(|draft| vec![draft]).ok_or_else(unknown);
            }
            Ok(vec![json_lines(&objects, source)])
        }
    }
}

fn is_post(object: &Map<String, Value>) -> bool {
    let has = |key: &str| object.contains_key(key);
    has("created_at") && (has("text") || has("full_text") || has("content"))
        || has("created_utc")
        || has("includes")
        || object
            .get("kind")
            .is_some_and(|kind| kind == "Listing" || kind == "t1" || kind == "t3")
        || object.get("data").is_some_and(Value::is_object)
        || has("statuses")
}

fn column(name: &str, ty: ColumnType, encoding: Encoding) -> DraftColumn {
    DraftColumn {
        name: name.to_owned(),
        source_name: name.to_owned(),
        ty,
        required: false,
        primary_key: false,
        encoding,
        comment: None,
    }
}

const MONEY: ColumnType = ColumnType::Decimal {
    precision: 18,
    scale: 2,
};

fn sounds_like_money(name: &str) -> bool {
    let name = name.to_lowercase();
    [
        "price", "amount", "total", "cost", "revenue", "tax", "discount", "fee", "balance",
    ]
    .iter()
    .any(|word| name.contains(word))
}

fn database(path: &Path, source: &str) -> Result<Vec<Draft>> {
    let database = Database::open(path)?;
    let mut drafts = Vec::new();
    for table in database.tables()? {
        let columns = database.columns(&table)?;
        let rows = database.sample(&table, SAMPLE_ROWS)?;
        let columns: Vec<DraftColumn> = columns
            .iter()
            .enumerate()
            .filter_map(|(index, column)| {
                let values = rows.iter().filter_map(|row| row.get(index));
                stored_column(column, &values.collect::<Vec<_>>())
            })
            .collect();
        if !columns.is_empty() {
            drafts.push(Draft {
                dataset: table.clone(),
                format: Format::Sqlite,
                source_table: Some(table),
                key_folder: format!("raw/{source}/database"),
                columns,
            });
        }
    }
    if drafts.is_empty() {
        return Err(Error::new(
            ErrorKind::BadSource,
            "the database has no tables",
        ));
    }
    Ok(drafts)
}

/// The number of digits and decimals of a declaration such as NUMERIC(10,2).
fn declared_decimal(declared: &str) -> Option<(u8, u8)> {
    let (name, rest) = declared.split_once('(')?;
    let name = name.trim().to_ascii_uppercase();
    if !matches!(name.as_str(), "NUMERIC" | "DECIMAL" | "DEC" | "MONEY") {
        return None;
    }
    let (precision, scale) = rest.trim_end().strip_suffix(')')?.split_once(',')?;
    let (precision, scale) = (precision.trim().parse().ok()?, scale.trim().parse().ok()?);
    ((1..=18).contains(&precision) && scale <= precision).then_some((precision, scale))
}

/// None for a column of blobs, which no table holds.
pub(crate) fn stored_column(declared: &TableColumn, values: &[&Stored]) -> Option<DraftColumn> {
    let present: Vec<&Stored> = values
        .iter()
        .copied()
        .filter(|value| !matches!(value, Stored::Null))
        .collect();
    if present.iter().any(|value| matches!(value, Stored::Blob(_)))
        || declared.declared.eq_ignore_ascii_case("BLOB")
    {
        return None;
    }
    let all =
        |is: &dyn Fn(&Stored) -> bool| !present.is_empty() && present.iter().all(|value| is(value));
    let whole = all(&|value| matches!(value, Stored::Integer(_)));
    let number = all(&|value| matches!(value, Stored::Integer(_) | Stored::Real(_)));
    let text = all(&|value| matches!(value, Stored::Text(_)));
    let name = declared.name.as_str();
    let upper = declared.declared.to_ascii_uppercase();
    let mut draft = if let Some((precision, scale)) = declared_decimal(&upper) {
        let encoding = if text {
            Encoding::Natural
        } else {
            Encoding::Real
        };
        column(name, ColumnType::Decimal { precision, scale }, encoding)
    } else if number && !whole && sounds_like_money(name) {
        let mut draft = column(name, MONEY, Encoding::Real);
        draft.comment = Some(
            "Decide: money stored as a floating point number, taken to two decimals".to_owned(),
        );
        draft
    } else if number && !whole || present.is_empty() && upper.contains("REAL") {
        column(name, ColumnType::Double, Encoding::Natural)
    } else if whole && name.to_lowercase().ends_with("_cents") {
        let mut draft = column(name, MONEY, Encoding::MinorUnits(2));
        let short = name.len() - "_cents".len();
        draft.name = name.get(..short).unwrap_or(name).to_owned();
        draft
    } else if whole && upper.contains("BOOL") {
        column(name, ColumnType::Boolean, Encoding::ZeroOne)
    } else if whole || present.is_empty() && upper.contains("INT") {
        let mut draft = column(name, ColumnType::Long, Encoding::Natural);
        if sounds_like_money(name) {
            draft.comment = Some(
                "Decide: if this is money in cents, use decimal(18,2) with encoding minorUnits:2"
                    .to_owned(),
            );
        }
        draft
    } else {
        text_column(
            name,
            present.iter().filter_map(|value| match value {
                Stored::Text(text) => Some(text.as_str()),
                _ => None,
            }),
        )
    };
    draft.primary_key = declared.key > 0;
    draft.required = draft.primary_key || declared.required;
    Some(draft)
}

fn text_column<'a>(name: &str, values: impl Iterator<Item = &'a str> + Clone) -> DraftColumn {
    let all = |is: &dyn Fn(&[u8]) -> bool| {
        let mut any = false;
        values.clone().all(|value| {
            any = true;
            is(value.as_bytes())
        }) && any
    };
    let ty = if all(&|text| time::date(text).is_ok()) {
        ColumnType::Date
    } else if all(&|text| time::timestamp(text).is_ok()) {
        ColumnType::Timestamp
    } else {
        ColumnType::String
    };
    column(name, ty, Encoding::Natural)
}

fn json_lines(objects: &[Map<String, Value>], source: &str) -> Draft {
    let mut names: Vec<&String> = Vec::new();
    for name in objects.iter().flat_map(Map::keys) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let columns = names
        .into_iter()
        .map(|name| {
            let values: Vec<&Value> = objects
                .iter()
                .filter_map(|object| object.get(name))
                .filter(|value| !value.is_null())
                .collect();
            let mut draft = json_column(name, &values);
            draft.required = values.len() == objects.len();
            draft
        })
        .collect();
    Draft {
        dataset: format!("{source}_events"),
        format: Format::JsonLines,
        source_table: None,
        key_folder: format!("raw/{source}/events"),
        columns,
    }
}

/// Milliseconds since 1970 of the years 2001 to 2096: what an epoch time most likely is.
const PLAUSIBLE_MILLIS: std::ops::Range<i64> = 1_000_000_000_000..4_000_000_000_000;

pub(crate) fn json_column(name: &str, values: &[&Value]) -> DraftColumn {
    let all =
        |is: &dyn Fn(&Value) -> bool| !values.is_empty() && values.iter().all(|value| is(value));
    if all(&Value::is_boolean) {
        return column(name, ColumnType::Boolean, Encoding::Natural);
    }
    let lower = name.to_lowercase();
    if all(&|value| value.as_i64().is_some()) {
        if lower.ends_with("_micros") {
            let mut draft = column(
                name,
                ColumnType::Decimal {
                    precision: 18,
                    scale: 6,
                },
                Encoding::MinorUnits(6),
            );
            draft.name = name
                .get(..name.len() - "_micros".len())
                .unwrap_or(name)
                .to_owned();
            return draft;
        }
        let sounds_like_time = ["_ts", "time", "_at", "date"]
            .iter()
            .any(|word| lower.contains(word));
        if sounds_like_time
            && all(&|value| {
                value
                    .as_i64()
                    .is_some_and(|v| PLAUSIBLE_MILLIS.contains(&v))
            })
        {
            return column(name, ColumnType::Timestamp, Encoding::EpochMillis);
        }
        return column(name, ColumnType::Long, Encoding::Natural);
    }
    if all(&Value::is_number) {
        let mut draft = column(name, ColumnType::Double, Encoding::Natural);
        if sounds_like_money(name) || lower.contains("bid") {
            draft.ty = ColumnType::Decimal {
                precision: 18,
                scale: 6,
            };
            draft.comment = Some("Decide: taken for money with up to six decimals".to_owned());
        }
        return draft;
    }
    if all(&Value::is_string) {
        return text_column(name, values.iter().filter_map(|value| value.as_str()));
    }
    if all(&|value| {
        value
            .as_array()
            .is_some_and(|items| items.iter().all(Value::is_string))
    }) {
        return column(name, ColumnType::StringList, Encoding::Natural);
    }
    let mut draft = column(name, ColumnType::String, Encoding::Natural);
    draft.comment = Some(
        "Decide: the values are objects or of several types; rows that are no text are rejected"
            .to_owned(),
    );
    draft
}
