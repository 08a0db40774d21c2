//! What the contract and its columns together say about the table and its source.

use std::collections::HashSet;

use super::column::{Property, texts};
use super::custom::Custom;
use super::yaml::{Faults, Map, Place, Spanned, Value};
use crate::diagnostic::nearest;
use crate::{
    Charset, Column, CsvLayout, Deduplication, DeletedRows, Format, KeyPattern, LogFormat,
    MAXIMUM_DELETED_SHARE, SchemaDrift, SnapshotTime,
};
use tarn_core::schema::{ColumnType, PartitionUnit, Partitioning};

/// Where the rows come from.
pub(super) struct Source {
    pub format: Option<Format>,
    pub key_pattern: Option<Spanned<KeyPattern>>,
    pub deleted_rows: DeletedRows,
    pub maximum_deleted_share: f64,
    pub snapshot_time: Option<Spanned<SnapshotTime>>,
    pub log_format: Option<LogFormat>,
    pub csv: CsvLayout,
    pub schema_drift: SchemaDrift,
}

impl Source {
    /// Reads it, noting faults.
    pub fn read(map: &Map<'_>, custom: &Custom<'_>, faults: &mut Faults) -> Self {
        let names = Format::ALL.map(Format::as_str);
        let at = map
            .entries
            .iter()
            .find(|entry| entry.key == "customProperties")
            .map_or(map.at, |entry| entry.at);
        let mut missing = |name: &str, help: &str| {
            if custom.place(name).is_none() {
                faults.add(
                    at,
                    format!("the contract lacks the customProperty '{name}'"),
                    help,
                );
            }
        };
        missing(
            "sourceFormat",
            &format!(
                "add {{ property: sourceFormat, value: … }} with one of {}",
                names.join(", ")
            ),
        );
        missing(
            "keyPattern",
            "add { property: keyPattern, value: \"raw/<source>/<dataset>/**\" }",
        );
        let format = custom.text("sourceFormat", faults).and_then(|text| {
            let format = Format::ALL
                .into_iter()
                .find(|format| format.as_str() == text.value);
            if format.is_none() {
                let help = match nearest(text.value, names) {
                    Some(name) => format!("did you mean '{name}'?"),
                    None => format!("use one of {}", names.join(", ")),
                };
                faults.add(
                    text.at,
                    format!("unknown sourceFormat '{}'", text.value),
                    help,
                );
            }
            format
        });
        let key_pattern = custom.text("keyPattern", faults).and_then(|text| match KeyPattern::parse(text.value) {
            Ok(value) => Some(Spanned { value, at: text.at }),
            Err(fault) => {
                faults.add(text.at, fault, "write for example \"raw/shop/orders/**\", or \"raw/shop/orders/**/*.jsonl\"");
                None
            }
        });
        let deleted_rows = custom.text("deletedRows", faults).and_then(|text| {
            let value = match text.value {
                "keep" => DeletedRows::Keep,
                "soft" => DeletedRows::Soft,
                "remove" => DeletedRows::Remove,
                other => {
                    faults.add(
                        text.at,
                        format!("unknown deletedRows '{other}'"),
                        "use keep, soft or remove",
                    );
                    return None;
                }
            };
            if value != DeletedRows::Keep && format.is_some_and(|format| format != Format::Sqlite) {
                faults.add(
                    text.at,
                    "only a database shows that a row is gone",
                    "remove deletedRows, or use sourceFormat sqlite",
                );
            }
            Some(value)
        });
        let deleted_rows = deleted_rows.unwrap_or(DeletedRows::Keep);
        Source {
            format,
            key_pattern,
            deleted_rows,
            maximum_deleted_share: maximum_deleted_share(custom, deleted_rows, faults),
            snapshot_time: snapshot_time(custom, format, faults),
            log_format: log_format(custom, format, faults),
            csv: csv_layout(custom, format, faults),
            schema_drift: schema_drift(custom, format, faults),
        }
    }
}

fn maximum_deleted_share(
    custom: &Custom<'_>,
    deleted_rows: DeletedRows,
    faults: &mut Faults,
) -> f64 {
    let Some(share) = custom.share("maximumDeletedShare", faults) else {
        return MAXIMUM_DELETED_SHARE;
    };
    if deleted_rows == DeletedRows::Keep {
        faults.add(
            share.at,
            "maximumDeletedShare without rows that are deleted",
            "remove it, or set deletedRows to soft or remove",
        );
    }
    share.value
}

fn snapshot_time(
    custom: &Custom<'_>,
    format: Option<Format>,
    faults: &mut Faults,
) -> Option<Spanned<SnapshotTime>> {
    let text = custom.text("snapshotTime", faults)?;
    if format.is_some_and(|format| format != Format::Sqlite) {
        faults.add(
            text.at,
            "only a database is delivered as snapshots",
            "remove snapshotTime, or use sourceFormat sqlite",
        );
    }
    match SnapshotTime::parse(text.value) {
        Ok(value) => Some(Spanned { value, at: text.at }),
        Err(help) => {
            faults.add(
                text.at,
                format!("snapshotTime cannot be '{}'", text.value),
                help,
            );
            None
        }
    }
}

fn log_format(
    custom: &Custom<'_>,
    format: Option<Format>,
    faults: &mut Faults,
) -> Option<LogFormat> {
    let text = custom.text("logFormat", faults)?;
    if format.is_some_and(|format| format != Format::AccessLog) {
        faults.add(
            text.at,
            "only an access log has a logFormat",
            "remove logFormat, or use sourceFormat accessLog",
        );
    }
    match LogFormat::parse(text.value) {
        Ok(value) => Some(value),
        Err((what, help)) => {
            faults.add(text.at, what, help);
            None
        }
    }
}

fn csv_layout(custom: &Custom<'_>, format: Option<Format>, faults: &mut Faults) -> CsvLayout {
    let delimiter = custom.text("delimiter", faults);
    let charset = custom.text("charset", faults);
    if format.is_some_and(|format| format != Format::Csv) {
        for at in [&delimiter, &charset]
            .into_iter()
            .flatten()
            .map(|text| text.at)
        {
            faults.add(
                at,
                "only CSV has a delimiter and a charset",
                "remove it, or use sourceFormat csv",
            );
        }
    }
    CsvLayout {
        delimiter: delimiter.and_then(|text| match text.value {
            "tab" => Some(b'\t'),
            text if text.len() == 1 && !matches!(text, "\"" | "\n" | "\r") => text.bytes().next(),
            other => {
                faults.add(
                    text.at,
                    format!("the delimiter '{other}' is not one character"),
                    "write \",\", \";\", \"|\" or tab",
                );
                None
            }
        }),
        charset: charset.and_then(|text| {
            let found = Charset::ALL
                .into_iter()
                .find(|charset| charset.as_str().eq_ignore_ascii_case(text.value));
            if found.is_none() {
                faults.add(
                    text.at,
                    format!("unknown charset '{}'", text.value),
                    format!(
                        "use one of {}",
                        Charset::ALL.map(Charset::as_str).join(", ")
                    ),
                );
            }
            found
        }),
    }
}

/// The column that has the time of a snapshot must hold times.
pub(super) fn snapshot_time_faults(source: &Source, properties: &[Property], faults: &mut Faults) {
    let Some(Spanned {
        value: SnapshotTime::Column(name),
        at,
    }) = &source.snapshot_time
    else {
        return;
    };
    let names = || {
        properties
            .iter()
            .map(|property| property.name.value.as_str())
    };
    let Some(property) = properties
        .iter()
        .find(|property| property.name.value == *name)
    else {
        let help = match nearest(name, names()) {
            Some(name) => format!("did you mean '{name}'?"),
            None => format!("use one of {}", names().collect::<Vec<_>>().join(", ")),
        };
        faults.add(
            *at,
            format!("snapshotTime names a column '{name}' that does not exist"),
            help,
        );
        return;
    };
    let Some(column) = &property.column else {
        return;
    };
    if !matches!(column.ty, ColumnType::Date | ColumnType::Timestamp) || column.protection.is_some()
    {
        faults.add(
            *at,
            format!("the column '{name}' tells no time of a snapshot: it must be an unprotected date or timestamptz column"),
            "use such a column, or a date in the key: key:%Y-%m-%d",
        );
    }
}

fn schema_drift(custom: &Custom<'_>, format: Option<Format>, faults: &mut Faults) -> SchemaDrift {
    let Some(text) = custom.text("schemaDrift", faults) else {
        return SchemaDrift::default();
    };
    let names = SchemaDrift::ALL.map(SchemaDrift::as_str);
    let Some(choice) = SchemaDrift::ALL
        .into_iter()
        .find(|choice| choice.as_str() == text.value)
    else {
        let help = match nearest(text.value, names) {
            Some(name) => format!("did you mean '{name}'?"),
            None => format!("use one of {}", names.join(", ")),
        };
        faults.add(
            text.at,
            format!("unknown schemaDrift '{}'", text.value),
            help,
        );
        return SchemaDrift::default();
    };
    if matches!(format, Some(Format::AccessLog | Format::SocialPosts)) {
        faults.add(
            text.at,
            "the columns of access logs and posts are Tarn's own: they do not drift",
            "remove schemaDrift",
        );
    }
    choice
}

/// What the columns together say about the table.
pub(super) struct Table {
    /// Indexes of the columns, in key order.
    pub primary_key: Vec<usize>,
    pub partitioning: Option<Partitioning>,
}

impl Table {
    /// Reads it, noting faults.
    pub fn read(
        properties: &[Property],
        format: Option<Format>,
        at: Place,
        faults: &mut Faults,
    ) -> Self {
        let mut names = HashSet::new();
        for property in properties {
            let name = property.name.value.as_str();
            if !names.insert(name) {
                faults.add(
                    property.name.at,
                    format!("column '{name}' is given twice"),
                    "rename or remove one of the two",
                );
            }
        }
        let mut keys: Vec<(u64, usize)> = Vec::new();
        for (index, property) in properties.iter().enumerate() {
            let Some(position) = &property.key else {
                continue;
            };
            if keys.iter().any(|(other, _)| *other == position.value) {
                faults.add(
                    position.at,
                    format!(
                        "two columns have position {} in the primary key",
                        position.value
                    ),
                    "number the key's columns by primaryKeyPosition: 1, 2, …",
                );
            }
            keys.push((position.value, index));
        }
        keys.sort_unstable();
        let primary_key: Vec<usize> = keys.into_iter().map(|(_, index)| index).collect();
        if format == Some(Format::Sqlite) && primary_key.is_empty() {
            faults.add(
                at,
                "a database table without primary key cannot be updated",
                "mark the columns that identify a row with primaryKey: true and required: true",
            );
        }
        let mut partitioning = None;
        for property in properties {
            let Some(unit) = &property.partition else {
                continue;
            };
            if partitioning.is_some() {
                faults.add(
                    unit.at,
                    "a second column is partitioned",
                    "keep partitioned: true on one date or timestamp column",
                );
            } else {
                partitioning = Some(Partitioning {
                    column: property.name.value.clone(),
                    unit: unit.value,
                });
            }
        }
        Table {
            primary_key,
            partitioning,
        }
    }
}

/// The deduplication of events.
pub(super) fn deduplication(
    custom: &Custom<'_>,
    properties: &[Property],
    format: Option<Format>,
    faults: &mut Faults,
) -> Option<Deduplication> {
    let by = custom.text("deduplicateBy", faults);
    let window = custom.whole("deduplicationWindowDays", 1, 366, faults);
    let Some(by) = by else {
        if let (Some(window), None) = (window, custom.place("deduplicateBy")) {
            faults.add(
                window.at,
                "deduplicationWindowDays without deduplicateBy",
                "add { property: deduplicateBy, value: <column> }, or remove it",
            );
        }
        return None;
    };
    if custom.place("deduplicationWindowDays").is_none() {
        faults.add(
            by.at,
            "deduplicateBy without a window",
            "add { property: deduplicationWindowDays, value: 7 }",
        );
    }
    if format == Some(Format::Sqlite) {
        faults.add(
            by.at,
            "the primary key identifies the rows of a database",
            "remove deduplicateBy",
        );
    }
    let Some(property) = properties
        .iter()
        .find(|property| property.name.value == by.value)
    else {
        faults.add(
            by.at,
            format!(
                "deduplicateBy names a column '{}' that does not exist",
                by.value
            ),
            meant(by.value, properties),
        );
        return None;
    };
    by_day("deduplicateBy", properties, faults);
    if !property.required {
        faults.add(
            by.at,
            format!("deduplicateBy names '{}', which is not required", by.value),
            "add required: true to the column",
        );
    }
    if let Some(column) = &property.column
        && !matches!(
            column.ty,
            ColumnType::String | ColumnType::Int | ColumnType::Long
        )
    {
        faults.add(
            by.at,
            format!("deduplicateBy names a {} column", column.ty),
            "use a string or integer column",
        );
    }
    if let Some(column) = &property.column
        && let Some(protection) = column.protection
        && !protection.keeps_identity()
    {
        faults.add(
            by.at,
            format!(
                "deduplicateBy names '{}', whose protection {} would make different events equal",
                by.value,
                protection.as_str()
            ),
            "protect it with pseudonymise",
        );
    }
    let window_days = u32::try_from(window?.value).ok()?;
    Some(Deduplication {
        column: by.value.to_owned(),
        window_days,
    })
}

/// The day of an earlier row is known from its partition.
fn by_day(name: &str, properties: &[Property], faults: &mut Faults) {
    if let Some(unit) = properties
        .iter()
        .filter_map(|property| property.partition.as_ref())
        .find(|unit| unit.value != PartitionUnit::Day)
    {
        faults.add(
            unit.at,
            format!("{name} needs partitions by day"),
            format!("set partitionUnit to day, or remove {name}"),
        );
    }
}

/// Indexes of the columns by which the newest of equal rows is the one that stays.
pub(super) fn newest_by(
    custom: &Custom<'_>,
    properties: &[Property],
    format: Option<Format>,
    faults: &mut Faults,
) -> Vec<usize> {
    const NAME: &str = "newestBy";
    let Some(node) = custom.node(NAME, faults) else {
        return Vec::new();
    };
    if let Some(Format::Sqlite | Format::AccessLog) = format {
        let (message, help) = match format {
            Some(Format::Sqlite) => (
                "the primary key identifies the rows of a database",
                "remove newestBy",
            ),
            _ => ("the lines of a log are taken once each", "remove newestBy"),
        };
        faults.add(node.at, message, help);
    }
    if custom.place("deduplicateBy").is_some() {
        faults.add(
            node.at,
            "newestBy and deduplicateBy exclude each other: of equal rows the newest stays by one, the first by \
             the other",
            "remove one of the two",
        );
    }
    by_day(NAME, properties, faults);
    let mut columns = Vec::new();
    let names = texts(node, NAME, faults);
    for name in &names {
        let found = properties
            .iter()
            .position(|property| property.name.value == name.value);
        let Some(index) = found else {
            faults.add(
                name.at,
                format!(
                    "newestBy names a column '{}' that does not exist",
                    name.value
                ),
                meant(&name.value, properties),
            );
            continue;
        };
        if columns.contains(&index) {
            faults.add(
                name.at,
                format!("newestBy names '{}' twice", name.value),
                "remove one of the two",
            );
            continue;
        }
        columns.push(index);
        let column = properties
            .get(index)
            .and_then(|found| found.column.as_ref());
        if let Some(column) = column {
            cannot_tell_rows(name, column, faults);
        }
    }
    if names.is_empty() {
        if matches!(node.value, Value::List(_)) {
            faults.add(
                node.at,
                "newestBy names no column",
                "list the columns that tell rows apart, for example [platform, post_id]",
            );
        }
    } else if !columns.is_empty()
        && !columns
            .iter()
            .filter_map(|&index| properties.get(index))
            .any(|property| property.required)
    {
        faults.add(
            node.at,
            "newestBy names no required column: rows without any of these values would be one",
            "add required: true to at least one of the columns",
        );
    }
    columns
}

/// Faults of a column that must identify rows.
fn cannot_tell_rows(name: &Spanned<String>, column: &Column, faults: &mut Faults) {
    if !matches!(
        column.ty,
        ColumnType::String | ColumnType::Int | ColumnType::Long
    ) {
        faults.add(
            name.at,
            format!("newestBy names a {} column", column.ty),
            "use string and integer columns",
        );
    }
    if let Some(protection) = column.protection {
        let why = if protection.keeps_identity() {
            "gives equal values different pseudonyms once the key is rotated"
        } else {
            "would make different rows equal"
        };
        faults.add(
            name.at,
            format!(
                "newestBy names '{}', whose protection {} {why}",
                name.value,
                protection.as_str()
            ),
            "use columns without protection",
        );
    }
}

/// Which column was probably meant, or which there are.
fn meant(name: &str, properties: &[Property]) -> String {
    let names: Vec<&str> = properties
        .iter()
        .map(|property| property.name.value.as_str())
        .collect();
    match nearest(name, names.iter().copied()) {
        Some(name) => format!("did you mean '{name}'?"),
        None => format!("use one of {}", names.join(", ")),
    }
}

/// Properties that compare with the time of an event need that time, which is in the partition column.
pub(super) fn event_time_faults(custom: &Custom<'_>, properties: &[Property], faults: &mut Faults) {
    if properties
        .iter()
        .any(|property| property.partition.is_some())
    {
        return;
    }
    let asked = ["deduplicateBy", "newestBy", "lateAfterSeconds"]
        .into_iter()
        .filter_map(|name| Some((name, custom.place(name)?)));
    let supplied = properties
        .iter()
        .filter_map(|property| property.supplied.as_ref())
        .filter(|name| name.value == "$latenessSeconds")
        .map(|name| ("$latenessSeconds", name.at));
    for (name, at) in asked.chain(supplied) {
        faults.add(
            at,
            format!("{name} needs the time of the event"),
            "mark the column that holds it with partitioned: true",
        );
    }
}
