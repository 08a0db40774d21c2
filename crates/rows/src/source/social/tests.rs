#![allow(clippy::unwrap_used, clippy::expect_used)]

mod refused;

use std::collections::BTreeMap;
use std::io::Cursor as Bytes;
use std::path::PathBuf;

use proptest::prelude::*;
use tarn_contract::{Encoding, SOCIAL_POSTS};
use tarn_core::ErrorKind;

use super::post::Field;
use super::*;
use crate::column::ColumnData;

/// A column for every field of a post.
fn columns() -> Vec<Column> {
    let column = |(_, name, ty): &(Field, &str, tarn_core::schema::ColumnType)| {
        Column::optional(name, ty.clone(), Encoding::Natural)
    };
    Field::ALL.iter().map(column).collect()
}

type Values = BTreeMap<String, String>;

#[derive(Debug, Default, PartialEq)]
struct Seen {
    rows: Vec<(Option<u64>, i64, Vec<u8>, Values)>,
    rejected: Vec<Rejected>,
    blank: u64,
}

impl Seen {
    fn counts(&self) -> (usize, usize, u64) {
        (self.rows.len(), self.rejected.len(), self.blank)
    }

    fn value(&self, row: usize, column: &str) -> &str {
        self.rows[row].3.get(column).map_or("null", String::as_str)
    }

    fn values(&self, row: usize, columns: &[&str]) -> Vec<&str> {
        columns
            .iter()
            .map(|column| self.value(row, column))
            .collect()
    }

    /// The values of a row without its raw JSON and place.
    fn content(&self) -> Vec<Values> {
        let without_raw = |values: &Values| {
            values
                .iter()
                .filter(|(key, _)| *key != "raw_json")
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect()
        };
        self.rows.iter().map(|row| without_raw(&row.3)).collect()
    }
}

fn value(data: &ColumnData, row: usize) -> Option<String> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    match data {
        ColumnData::Text(data) => data.get(row).map(text),
        ColumnData::Int(data) => data.get(row).map(|value| value.to_string()),
        ColumnData::Long(data) => data.get(row).map(|value| value.to_string()),
        ColumnData::Double(data) => data.get(row).map(|value| value.to_string()),
        ColumnData::Boolean(data) => data.get(row).map(|value| value.to_string()),
        ColumnData::List(data) => data.validity.get(row).then(|| {
            let begin = if row == 0 { 0 } else { data.ends[row - 1] };
            let items: Vec<String> = (begin..data.ends[row])
                .map(|item| text(data.items.get(item as usize).unwrap()))
                .collect();
            items.join("|")
        }),
    }
}

fn read_from(open: impl Fn() -> Result<Input>, chunk_bytes: usize) -> Result<Seen> {
    let columns = columns();
    let mut reader = SocialReader::of_columns(open, &columns, chunk_bytes)?;
    let mut seen = Seen::default();
    while let Some(batch) = reader.next_batch()? {
        for data in &batch.columns {
            assert_eq!(data.len(), batch.rows());
        }
        for row in 0..batch.rows() {
            let values = columns
                .iter()
                .zip(&batch.columns)
                .filter_map(|(column, data)| Some((column.name.clone(), value(data, row)?)))
                .collect();
            seen.rows.push((
                batch.line(row),
                batch.offsets[row],
                batch.payload(row).unwrap().to_vec(),
                values,
            ));
        }
        seen.rejected.extend(batch.rejected);
        seen.blank += batch.blank;
    }
    Ok(seen)
}

fn read_bytes(object: &[u8], chunk_bytes: usize) -> Result<Seen> {
    read_from(
        || Input::new(Box::new(Bytes::new(object.to_vec()))),
        chunk_bytes,
    )
}

fn path(name: &str) -> PathBuf {
    // Cargo runs tests in the folder of their package.
    PathBuf::from("../../events/social").join(name)
}

fn read_file(name: &str) -> Result<Seen> {
    let path = path(name);
    let seen = read_from(|| bytes::open(&path), CHUNK_BYTES)?;
    if !name.ends_with(".gz") {
        let object = std::fs::read(&path).unwrap();
        for chunk_bytes in [4, 64, 1000] {
            assert_eq!(
                read_bytes(&object, chunk_bytes).unwrap(),
                seen,
                "the chunk size changes nothing"
            );
        }
        let places = seen
            .rows
            .iter()
            .map(|row| (row.1, &row.2))
            .chain(seen.rejected.iter().map(|row| (row.offset, &row.payload)));
        for (offset, payload) in places {
            assert!(object[offset as usize..].starts_with(payload));
        }
    }
    Ok(seen)
}

#[test]
fn plain_posts_fill_every_column() {
    let seen = read_file("plain.ndjson").unwrap();
    assert_eq!(seen.counts(), (5, 0, 0));
    assert_eq!(seen.rows[1].0, Some(2));
    let expected = [
        ("post_id", "1790000000000000001"),
        ("platform", "other"),
        ("created_at", "1767607201250000"),
        ("author_id", "101"),
        ("author_handle", "u1"),
        ("author_name", "User 1"),
        ("author_followers", "1001"),
        ("author_verified", "false"),
        ("author_location", "DE"),
        ("text", "post 1 \u{1f600} café\nsecond line"),
        ("language", "en"),
        ("like_count", "1"),
        ("share_count", "2"),
        ("reply_count", "3"),
        ("view_count", "4"),
        ("hashtags", "sale|shoes"),
        ("mentions", "u7"),
        ("mention_ids", "7"),
        ("country", "DE"),
        ("latitude", "52.5"),
        ("longitude", "13.4"),
        ("source_app", "web"),
        ("reply_to_id", "null"),
        ("url", "https://social.example.com/u1/status/1"),
        ("sentiment", "0.25"),
        ("sentiment_source", "provided"),
        ("raw_json", "null"),
    ];
    for (column, value) in expected {
        assert_eq!(seen.value(0, column), value, "{column}");
    }
    let columns = [
        "hashtags",
        "mentions",
        "country",
        "sentiment_source",
        "raw_json",
    ];
    assert_eq!(seen.values(1, &columns), ["", "", "null", "vader", "null"]);
    assert!(seen.value(1, "sentiment").parse::<f64>().unwrap() > 0.5);
    // A score out of range is not taken, and an empty text has none.
    assert_eq!(
        seen.values(
            2,
            &["post_id", "reply_to_id", "sentiment", "sentiment_source"]
        ),
        ["3", "2", "null", "null"]
    );
    assert!(seen.value(2, "raw_json").contains("\"sentiment\":5"));
    assert_eq!(
        seen.values(3, &["created_at", "text", "hashtags", "raw_json"]),
        ["1767600004000000", "null", "null", "null"]
    );
    assert!(seen.value(4, "raw_json").contains("\"pinned\":true"));
}

#[test]
fn the_same_posts_are_read_from_every_layout() {
    let lines = read_file("plain.ndjson").unwrap();
    assert_eq!(read_file("plain.ndjson.gz").unwrap(), lines);
    let array = read_file("plain_array.json").unwrap();
    assert_eq!(array.content(), lines.content());
    assert_eq!(array.rows[0].0, None);
    let document = read_file("plain_document.json").unwrap();
    assert_eq!(document.content(), lines.content()[..1]);
    assert_eq!(read_file("empty.json").unwrap().counts(), (0, 0, 0));
    assert_eq!(read_file("empty_array.json").unwrap().counts(), (0, 0, 0));
    assert_eq!(
        read_file("bom_crlf_blank.ndjson").unwrap().counts(),
        (2, 0, 2)
    );
}

#[test]
fn tweets_of_the_first_api_are_read() {
    let seen = read_file("x_v1.ndjson").unwrap();
    assert_eq!(seen.counts(), (2, 0, 0));
    assert_eq!(
        read_file("x_v1_search.json").unwrap().content(),
        seen.content()
    );
    let columns = [
        "post_id",
        "platform",
        "created_at",
        "author_id",
        "author_handle",
        "author_name",
        "author_followers",
        "author_verified",
        "author_location",
        "text",
        "like_count",
        "share_count",
        "hashtags",
        "mentions",
        "mention_ids",
        "country",
        "latitude",
        "longitude",
        "source_app",
        "reply_to_id",
        "url",
        "sentiment_source",
    ];
    assert_eq!(
        seen.values(0, &columns),
        [
            "244111636544225280",
            "x",
            "1347035724000000",
            "5819322",
            "bob",
            "Bob B.",
            "263063",
            "false",
            "null",
            "Happy Birthday @alice! Tom & Jerry",
            "3",
            "2",
            "party",
            "alice",
            "14076314",
            "US",
            "43.5",
            "-73.6",
            "Twitter for iPhone",
            "244111636544225000",
            "https://x.com/bob/status/244111636544225280",
            "vader",
        ]
    );
    assert_eq!(
        seen.values(1, &["text", "hashtags", "mentions"]),
        ["the whole long text #long", "long", ""]
    );
    assert_eq!(seen.value(0, "raw_json").as_bytes(), seen.rows[0].2);
}

#[test]
fn tweets_of_the_second_api_are_read_with_their_authors() {
    let seen = read_file("x_v2.json").unwrap();
    assert_eq!(seen.counts(), (2, 0, 0));
    let columns = [
        "post_id",
        "platform",
        "created_at",
        "author_id",
        "author_handle",
        "author_followers",
        "author_verified",
        "text",
        "like_count",
        "share_count",
        "reply_count",
        "view_count",
        "hashtags",
        "mentions",
        "mention_ids",
        "country",
        "reply_to_id",
        "url",
    ];
    assert_eq!(
        seen.values(0, &columns),
        [
            "1346889436626259968",
            "x",
            "1609958440000000",
            "2244994945",
            "XDevelopers",
            "513868",
            "true",
            "Learn #api with @bob",
            "70",
            "11",
            "2",
            "900",
            "api",
            "bob",
            "5819322",
            "US",
            "1346889436626259000",
            "https://x.com/XDevelopers/status/1346889436626259968",
        ]
    );
    assert_eq!(
        seen.values(1, &["author_id", "author_handle", "url"]),
        ["1", "null", "null"]
    );
    let pages = read_file("x_v2_pages.ndjson").unwrap();
    assert_eq!(pages.counts(), (3, 0, 1));
    assert_eq!(pages.values(0, &["author_handle"]), ["XDevelopers"]);
    assert_eq!(
        pages.values(2, &["author_handle", "like_count"]),
        ["null", "70"]
    );
}

#[test]
fn mastodon_statuses_are_read() {
    let seen = read_file("mastodon.json").unwrap();
    assert_eq!(seen.counts(), (2, 0, 0));
    let columns = [
        "post_id",
        "platform",
        "created_at",
        "author_id",
        "author_handle",
        "author_name",
        "author_followers",
        "text",
        "like_count",
        "share_count",
        "reply_count",
        "hashtags",
        "mentions",
        "mention_ids",
        "source_app",
        "reply_to_id",
        "url",
    ];
    assert_eq!(
        seen.values(0, &columns),
        [
            "103270115826048975",
            "mastodon",
            "1575776913901000",
            "1",
            "gargron@mastodon.example",
            "Eugen",
            "322930",
            "\"I lost my inheritance with one wrong digit\"\nsays @eve\nGreat & good",
            "11",
            "6",
            "5",
            "news",
            "eve@other.example",
            "9",
            "Web",
            "103270115826048000",
            "https://mastodon.example/@gargron/1",
        ]
    );
    assert_eq!(seen.value(1, "text"), "boosted");
    assert_eq!(seen.value(0, "server"), "mastodon.example");
}

#[test]
fn the_server_of_a_mastodon_status_is_the_host_of_its_uri_else_of_its_url() {
    let cases = [
        (
            r#""https://one.example/users/a/statuses/1""#,
            "null",
            "one.example",
        ),
        (
            r#""https://two.example/users/a/statuses/1""#,
            "null",
            "two.example",
        ),
        (
            r#""HTTPS://Three.EXAMPLE/x""#,
            r#""https://web.example/@a/1""#,
            "three.example",
        ),
        (r#""https://one.example:8443/x""#, "null", "one.example"),
        (r#""https://one.example.?x""#, "null", "one.example"),
        (
            r#""https://ana:secret@one.example/x""#,
            "null",
            "one.example",
        ),
        (r#""https://[2001:DB8::1]/x""#, "null", "[2001:db8::1]"),
        (r#""https://[2001:DB8::1]:443/x""#, "null", "[2001:db8::1]"),
        (
            r#""tag:Old.example,2016-10-27:objectId=1:objectType=Status""#,
            "null",
            "old.example",
        ),
        ("null", r#""https://web.example/@a/1""#, "web.example"),
        (
            r#""no address""#,
            r#""https://web.example/@a/1""#,
            "web.example",
        ),
        (
            r#""https:///x""#,
            r#""https://web.example/@a/1""#,
            "web.example",
        ),
        (r#""https://a b/x""#, "null", "null"),
        (r#""https:one.example""#, "null", "null"),
        (r#""ftp://one.example/x""#, "null", "null"),
        (r#""""#, r#""""#, "null"),
        ("null", "null", "null"),
    ];
    for (uri, url, server) in cases {
        let status = format!(
            r#"{{"id":"1","created_at":"2026-01-01T00:00:00Z","content":"x","reblogs_count":0,"favourites_count":0,"account":{{"id":"1"}},"uri":{uri},"url":{url}}}"#
        );
        let seen = read_bytes(status.as_bytes(), CHUNK_BYTES).unwrap();
        assert_eq!(seen.counts(), (1, 0, 0), "{uri} {url}");
        assert_eq!(
            seen.values(0, &["platform", "server"]),
            ["mastodon", server],
            "{uri} {url}"
        );
    }
    for file in ["x_v1.ndjson", "reddit.ndjson", "plain.ndjson"] {
        let seen = read_file(file).unwrap();
        assert!(!seen.rows.is_empty());
        for row in 0..seen.rows.len() {
            assert_eq!(seen.value(row, "server"), "null", "{file}");
        }
    }
}

#[test]
fn reddit_posts_and_comments_are_read() {
    let seen = read_file("reddit_listing.json").unwrap();
    // A sign of more comments is not a post.
    assert_eq!(seen.counts(), (2, 0, 1));
    let columns = [
        "post_id",
        "platform",
        "created_at",
        "author_handle",
        "text",
        "like_count",
        "reply_count",
        "share_count",
        "mentions",
        "reply_to_id",
        "url",
    ];
    assert_eq!(
        seen.values(0, &columns),
        [
            "t3_15bfi0",
            "reddit",
            "1389649907500000",
            "dave",
            "New shoes\n\nAsk u/alice-1 or /u/bob_2 (not example.com/u/carol)",
            "12",
            "4",
            "1",
            "alice-1|bob_2",
            "null",
            "https://www.reddit.com/r/shoes/comments/15bfi0/new_shoes/",
        ]
    );
    assert_eq!(
        seen.values(1, &["post_id", "text", "like_count", "reply_to_id"]),
        ["t1_c1", "I hate it", "-3", "t3_15bfi0"]
    );
    assert!(seen.value(1, "sentiment").parse::<f64>().unwrap() < 0.0);
    assert_eq!(
        read_file("reddit_thread.json").unwrap().content(),
        seen.content()
    );
    let lines = read_file("reddit.ndjson").unwrap();
    assert_eq!(lines.counts(), (3, 0, 0));
    assert_eq!(lines.content()[1..], seen.content()[..]);
}

#[test]
fn a_contract_may_ask_for_few_fields_and_for_none_that_there_is_not() {
    let open = || bytes::open(&path("plain.ndjson"));
    let mut few: Vec<Column> = columns()
        .into_iter()
        .filter(|column| ["text", "post_id"].contains(&column.name.as_str()))
        .collect();
    let mut reader = SocialReader::of_columns(open, &few, CHUNK_BYTES).unwrap();
    let batch = reader.next_batch().unwrap().unwrap();
    assert_eq!((batch.columns.len(), batch.rows()), (2, 5));
    few[0].source_name = "txt".to_owned();
    let error = SocialReader::of_columns(open, &few, CHUNK_BYTES)
        .err()
        .unwrap();
    assert_eq!(error.kind(), ErrorKind::BadContract);
    assert!(
        error
            .to_string()
            .contains("a post has no field txt; it has post_id, platform")
    );
}

#[test]
fn the_fields_are_those_that_contracts_may_name() {
    let fields: Vec<_> = Field::ALL
        .iter()
        .map(|(_, name, ty)| (*name, ty.clone()))
        .collect();
    let named: Vec<_> = SOCIAL_POSTS
        .iter()
        .map(|natural| (natural.name, natural.ty.clone()))
        .collect();
    assert_eq!(fields, named);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_line_is_read_or_rejected_or_blank_at_any_chunk_size(
        lines in prop::collection::vec(prop_oneof![
            Just(b"{\"id\":1,\"created_at\":\"2026-01-01\",\"text\":\"x\"}".to_vec()),
            Just(b"{\"id_str\":\"1\",\"user\":{},\"created_at\":\"Fri Sep 07 16:35:24 +0000 2012\"}".to_vec()),
            Just(b"{\"id\":\"1\"}".to_vec()),
            Just(b"  ".to_vec()),
            prop::collection::vec(any::<u8>().prop_filter("one line", |byte| *byte != b'\n'), 0..20),
            "[{}\":,a-c0-9.\\[\\]]{0,20}".prop_map(String::into_bytes),
        ], 0..12),
        chunk_bytes in 4usize..80,
    ) {
        let object = lines.join(&b'\n');
        prop_assume!(Input::new(Box::new(Bytes::new(object.clone()))).is_ok_and(|input| !input.is_gzip()));
        match (read_bytes(&object, CHUNK_BYTES), read_bytes(&object, chunk_bytes)) {
            (Ok(seen), Ok(again)) => {
                let text = object.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&object);
                if layout(text, true) == Layout::Lines {
                    let count = text.iter().filter(|byte| **byte == b'\n').count() + usize::from(!text.is_empty() && !text.ends_with(b"\n"));
                    // A line may hold a list of posts.
                    prop_assert!(seen.rows.len() + seen.rejected.len() + seen.blank as usize >= count);
                }
                prop_assert_eq!(again, seen);
            }
            (Err(error), Err(again)) => prop_assert_eq!(error.to_string(), again.to_string()),
            (one, other) => prop_assert!(false, "{:?} {:?}", one.err(), other.err()),
        }
    }

    #[test]
    fn every_element_of_an_array_is_read_or_rejected_at_any_chunk_size(
        elements in prop::collection::vec(prop_oneof![
            Just("{\"id\":1,\"created_at\":\"2026-01-01\",\"text\":\"\\ud83d\\ude00é\"}".to_owned()),
            Just("12345".to_owned()), Just("null".to_owned()), Just("\"x\\\"]\"".to_owned()), Just("{\"x\":[[1],{}]}".to_owned()),
        ], 0..8),
        space in "[ \n\t]{0,4}",
        chunk_bytes in 4usize..80,
    ) {
        let object = format!("{space}[{space}{}{space}]{space}", elements.join(&format!("{space},{space}")));
        let seen = read_bytes(object.as_bytes(), chunk_bytes).unwrap();
        prop_assert_eq!(seen.rows.len() + seen.rejected.len(), elements.len());
        prop_assert_eq!(read_bytes(object.as_bytes(), CHUNK_BYTES).unwrap(), seen);
    }
}
