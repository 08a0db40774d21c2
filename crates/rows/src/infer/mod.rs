//! Drafts contracts from the content of a file, in two passes over its rows: the first finds the
//! types, the second reads the rows through a contract of these types and measures them. A draft is a
//! proposal: each rule comes with the evidence for it, and where the file leaves something open, with a
//! comment for the person who finishes it.

mod csv;
mod keys;
mod measure;
mod shape;
mod types;

use std::collections::HashMap;
use std::path::Path;

use serde_json::{Map, Value};
use tarn_contract::propose::{Declared, Evidence, propose};
use tarn_contract::{Contract, Draft, DraftColumn, Format, Names, parse_str, snake_case};
use tarn_core::text::{count, plural};
use tarn_core::{Error, ErrorKind, Result};

use crate::batch::TableColumn;
use crate::source::json::elements::{ValueReader, values_in};
use crate::source::json_lines::has_lines;
use crate::source::lines::{CHUNK_BYTES, Chunks, Line, Piece};
use crate::source::sniff::{HEAD_BYTES, sniff, text_head, why_unread};
use crate::source::sqlite::Database;
use crate::source::{archive, bytes};
use keys::Table;
use measure::{Measured, measure};
use types::Seen;

pub(crate) use types::{json_column, stored_column};

/// Rows of a file, or of each table of a database, that are looked at.
pub const ROW_LIMIT: u64 = 1_000_000;

/// How many values of a file are read to distinguish posts from events.
const HEAD_VALUES: usize = 1000;

/// Keys of JSON objects that become columns: objects used as maps have keys without end.
const KEY_LIMIT: usize = 500;

/// Drafts one contract per table of a database, one for any other file; their keys begin with
/// `raw/<source>/`. At most `limit` rows of each are read, or a batch more.
///
/// # Errors
/// `BadSource` where the file is none that the lake reads.
pub fn drafts(path: &Path, source: &str, limit: u64) -> Result<Vec<Draft>> {
    let unknown = || {
        Error::new(
            ErrorKind::BadSource,
            format!(
                "{} is neither a SQLite database, nor an access log, nor JSON, nor CSV; nothing to infer",
                path.display()
            ),
        )
    };
    let natural = |dataset: &str, format, folder: &str| {
        Draft::natural(dataset, format, &format!("raw/{source}/{folder}")).ok_or_else(unknown)
    };
    let Some(format) = sniff(path, &[])? else {
        return Err(match why_unread(path)? {
            Some(why) => Error::new(ErrorKind::BadSource, format!("{}: {why}", path.display())),
            None => unknown(),
        });
    };
    let draft = match format {
        Format::Sqlite => return database(path, source, limit),
        Format::Csv => csv::draft(path, source)?,
        format @ Format::AccessLog => natural("web_requests", format, "access_logs")?,
        Format::SocialPosts | Format::JsonLines if is_posts(path)? => {
            natural("social_posts", Format::SocialPosts, "posts")?
        }
        Format::SocialPosts | Format::JsonLines => json_lines(path, source, limit)?,
    };
    Ok(vec![of_lines(path, draft, limit)?])
}

/// Whether a file of JSON is one of posts: at least half of its objects look like posts. What is too long to be seen
/// whole is a document of posts.
fn is_posts(path: &Path) -> Result<bool> {
    let head = text_head(path)?;
    let mut ranges = values_in(&head);
    let is_whole = head.len() < HEAD_BYTES;
    if !is_whole && ranges.len() > 1 {
        ranges.pop();
    }
    let objects: Vec<Map<String, Value>> = ranges
        .into_iter()
        .take(HEAD_VALUES)
        .filter_map(|range| serde_json::from_slice(&head[range]).ok())
        .collect();
    if objects.is_empty() {
        return Ok(!is_whole);
    }
    // Messages of a stream about itself have one key each.
    let posts = objects.iter().filter(|object| is_post(object)).count();
    let others = objects
        .iter()
        .filter(|object| !is_post(object) && object.len() > 1);
    Ok(posts > 0 && posts >= others.count())
}

/// Whether an object is a post, or a document of posts, of one of the networks.
fn is_post(object: &Map<String, Value>) -> bool {
    let has_one = |keys: &[&str]| keys.iter().any(|key| object.contains_key(*key));
    let has_text = has_one(&[
        "text",
        "full_text",
        "content",
        "rawContent",
        "body",
        "title",
    ]);
    let has_id = has_one(&["id", "id_str", "post_id"]);
    let holds_posts = |value: &Value| {
        let is_post_of_x = |value: &Value| {
            let post = value.as_object();
            post.is_some_and(|post| post.contains_key("id") && post.contains_key("text"))
        };
        match value {
            Value::Array(posts) => !posts.is_empty() && posts.iter().all(is_post_of_x),
            Value::Object(data) => data.contains_key("children") || is_post_of_x(value),
            _ => false,
        }
    };
    has_one(&["created_at", "created_utc"]) && has_text && has_id
        || has_one(&["created_utc"]) && has_text
        || has_one(&["tweet"])
        || object.get("statuses").is_some_and(Value::is_array)
        || object.get("data").is_some_and(holds_posts)
        || object
            .get("kind")
            .is_some_and(|kind| kind == "Listing" || kind == "t1" || kind == "t3")
}

/// The draft as a contract; None where it is not a valid one yet.
fn contract_of(draft: &mut Draft) -> Option<Contract> {
    let contract = parse_str(&draft.dataset, &draft.to_yaml()).ok();
    if contract.is_none() {
        draft
            .notes
            .push("Decide: the rows were not checked, because the draft has faults: tarn contract lint names them.".to_owned());
    }
    contract
}

/// The index of the draft's column that became this one.
fn drafted(draft: &Draft, source_name: &str) -> Option<usize> {
    draft
        .columns
        .iter()
        .position(|column| column.source_name == source_name)
}

/// Says how much was read, and which part of it does not fit.
fn note_rows(draft: &mut Draft, measured: &Measured) {
    draft.notes.push(if measured.partial {
        format!(
            "By the first {}; the source has more.",
            plural(measured.rows, "row")
        )
    } else {
        format!("By all {}.", plural(measured.rows, "row"))
    });
    let rejected: u64 = measured.rejected.values().sum();
    if rejected > 0 {
        let rules: Vec<String> = measured
            .rejected
            .iter()
            .map(|(rule, rows)| format!("{rule} {}", count(*rows)))
            .collect();
        draft.notes.push(format!(
            "Decide: {} would be rejected: {}.",
            plural(rejected, "row"),
            rules.join(", ")
        ));
    }
}

/// Measures a file of lines or documents, and proposes.
fn of_lines(path: &Path, mut draft: Draft, limit: u64) -> Result<Draft> {
    let Some(contract) = contract_of(&mut draft) else {
        return Ok(draft);
    };
    let mut reader = crate::source::open(&contract, path)?;
    let measured = measure(reader.as_mut(), &contract, limit, &[])?;
    note_rows(&mut draft, &measured);
    for (column, found) in contract.columns.iter().zip(measured.columns) {
        let Some(index) = drafted(&draft, &column.source_name) else {
            continue;
        };
        let evidence = Evidence {
            profile: found.profile,
            partial: measured.partial,
            declared: Declared {
                required: column.required,
                ..Declared::default()
            },
            texts: found.texts,
            ..Evidence::default()
        };
        let table = draft.dataset.clone();
        draft.columns[index].proposals = propose(&draft.columns[index], &table, &evidence);
    }
    Ok(draft)
}

fn database(path: &Path, source: &str, limit: u64) -> Result<Vec<Draft>> {
    let database = Database::open(path)?;
    let names = database.tables()?;
    let mut tables = Vec::new();
    let datasets = Names::in_snake_case(&names.iter().map(String::as_str).collect::<Vec<_>>());
    for (name, dataset) in names.iter().zip(datasets) {
        let mut notes = Vec::new();
        let wished = snake_case(name);
        if dataset != wished {
            notes.push(format!(
                "Decide: the dataset of another table is named {wished} already."
            ));
        }
        let mut declared = database.columns(name)?;
        declared.retain(|column| {
            let fault = database.why_unreadable(name, column, limit);
            if let Some(fault) = &fault {
                notes.push(format!("Left out: {}: {fault}.", column.name));
            }
            fault.is_none()
        });
        let mut seen = vec![Seen::default(); declared.len()];
        database.scan(name, &declared, limit, |index, value| {
            seen[index].add_stored(value);
        })?;
        let columns: Vec<DraftColumn> = declared
            .iter()
            .zip(&seen)
            .filter_map(|(column, seen)| seen.stored(column))
            .collect();
        if columns.is_empty() {
            continue;
        }
        let draft = Draft {
            dataset,
            format: Format::Sqlite,
            source_table: Some(name.clone()),
            key_folder: format!("raw/{source}/database"),
            notes,
            columns,
        };
        tables.push(table(&database, draft, name, declared, limit)?);
    }
    if tables.is_empty() {
        return Err(Error::new(
            ErrorKind::BadSource,
            "the database has no tables with columns that the lake could hold",
        ));
    }
    Ok(keys::proposed(tables))
}

/// Measures a table, and gives it a key where it has none.
fn table(
    database: &Database,
    mut draft: Draft,
    name: &str,
    declared: Vec<TableColumn>,
    limit: u64,
) -> Result<Table> {
    let unique = database.unique_columns(name)?;
    let foreign = database.foreign_keys(name)?;
    let has_key = draft.columns.iter().any(|column| column.primary_key);
    let mut measured = None;
    // Whatever column were the key for now, its repeated values would be rejected.
    if let Some(mut contract) = contract_of(&mut draft) {
        if !has_key {
            contract.primary_key.clear();
        }
        let together = if has_key {
            Vec::new()
        } else {
            keys::candidates(&contract)
        };
        let (_, mut reader) = database.table(&contract)?;
        let found = measure(&mut reader, &contract, limit, &together)?;
        note_rows(&mut draft, &found);
        if !has_key {
            keys::choose(&mut draft, &contract, &found, &together, &unique);
        }
        measured = Some(found);
    }
    // The names are final now.
    let contract = measured.as_ref().and_then(|_| contract_of(&mut draft));
    Ok(Table {
        name: name.to_owned(),
        draft,
        found: contract.zip(measured),
        declared,
        unique,
        foreign,
    })
}

fn json_lines(path: &Path, source: &str, limit: u64) -> Result<Draft> {
    let mut columns: Vec<(String, Seen)> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut left_out = false;
    json_objects(path, limit, |object| {
        for (key, value) in &object {
            let place = match places.get(key) {
                Some(&place) => place,
                None if columns.len() < KEY_LIMIT => {
                    columns.push((key.clone(), Seen::default()));
                    places.insert(key.clone(), columns.len() - 1);
                    columns.len() - 1
                }
                None => {
                    left_out = true;
                    continue;
                }
            };
            columns[place].1.add_json(value);
        }
    })?;
    let mut notes = Vec::new();
    if left_out {
        notes.push(format!(
            "Left out: the keys after the first {KEY_LIMIT}; the objects have more."
        ));
    }
    let mut drafted = Vec::new();
    for (name, seen) in &columns {
        match seen.json(name) {
            Some(column) => drafted.push(column),
            None => notes.push(format!(
                "Left out: {name}: its values are objects, lists of other things than texts, or of several types."
            )),
        }
    }
    if drafted.is_empty() {
        return Err(Error::new(
            ErrorKind::BadSource,
            format!(
                "{} has no JSON objects with values that columns could hold",
                path.display()
            ),
        ));
    }
    Ok(Draft {
        dataset: format!("{source}_events"),
        format: Format::JsonLines,
        source_table: None,
        key_folder: format!("raw/{source}/events"),
        notes,
        columns: drafted,
    })
}

/// Reads the objects of about this many JSON lines, or values of an array; those of an archive object as their producers sent
/// them.
fn json_objects(path: &Path, limit: u64, mut each: impl FnMut(Map<String, Value>)) -> Result<()> {
    let mut show = |line: &[u8]| {
        for range in values_in(line) {
            if let Ok(Value::Object(object)) = serde_json::from_slice(&line[range]) {
                each(object);
            }
        }
    };
    if !has_lines(&text_head(path)?) {
        let mut values = ValueReader::new(bytes::open(path)?, CHUNK_BYTES).keeping_cut();
        let mut shown = 0;
        while shown < limit
            && let Some(elements) = values.next()?
        {
            shown += elements.ranges.len() as u64;
            elements
                .ranges
                .into_iter()
                .for_each(|range| show(&elements.text[range]));
        }
        return Ok(());
    }
    let mut chunks = Chunks::new(bytes::open(path)?, CHUNK_BYTES);
    let mut wrapped = None;
    let mut lines = 0;
    while let Some(piece) = chunks.next_piece()? {
        // A line that is too long is rejected when it is read.
        let Piece::Lines(chunk) = piece else {
            continue;
        };
        let mut at = 0;
        while let Some(line) = Line::at(&chunk.text, at) {
            at = line.next;
            let text = &chunk.text[line.begin..line.end];
            if lines == 0 && wrapped.is_none() && archive::is_header(text)? {
                wrapped = Some(archive::Decoder::default());
                continue;
            }
            if lines >= limit {
                return Ok(());
            }
            lines += 1;
            match &mut wrapped {
                None => show(text),
                Some(decoder) => {
                    let mut data = Vec::new();
                    if decoder.read(text, &mut data).is_ok() {
                        data.split(|&byte| byte == b'\n').for_each(&mut show);
                    }
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
