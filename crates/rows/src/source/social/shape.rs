//! Which shape a JSON value has: a post of a platform, or an answer of an API that holds posts.

use std::ops::Range;

use super::post::PostFault;
use crate::reason::Reason;
use crate::source::json::cursor::Cursor;
use crate::source::json::document::Node;
use crate::source::json::error::Result as JsonResult;

/// Whose post it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// X/Twitter API v1.1: a status.
    TwitterV1,
    /// X/Twitter API v2: a tweet.
    TwitterV2,
    /// Mastodon API: a status.
    Mastodon,
    /// Reddit API: a post or comment, with its `kind` around it or without.
    Reddit,
    /// The plain shape.
    Plain,
}

/// The shape of a value, by the keys that only this shape has.
///
/// # Errors
/// What is unknown about it, for people.
pub(super) fn shape_of(node: &Node<'_>) -> Result<Shape, PostFault> {
    let Node::Object(members) = node else {
        return Err(PostFault::Parse("not a post: expected an object".into()));
    };
    let has = |key: &str| node.value(key).is_some();
    let is_object = |key: &str| matches!(node.get(key), Some(Node::Object(_)));
    let is_text = |key: &str| matches!(node.get(key), Some(Node::Text(_)));
    let is_id = |key: &str| match node.get(key) {
        Some(Node::Text(_)) => true,
        Some(Node::Number(number)) => number.is_digits(),
        _ => false,
    };
    let any = |keys: &[&str]| keys.iter().any(|key| has(key));
    if is_text("kind") && is_object("data") {
        return Ok(Shape::Reddit);
    }
    let v1 = ["full_text", "entities", "retweet_count", "favorite_count"];
    let is_v1 = (is_id("id_str") && (is_object("user") || any(&v1)))
        || (is_id("id") && any(&["full_text", "favorite_count"]));
    if is_v1 {
        return Ok(Shape::TwitterV1);
    }
    if is_object("account") && (is_text("content") || node.get("reblog").is_some()) {
        return Ok(Shape::Mastodon);
    }
    if has("created_utc") && any(&["subreddit", "permalink", "selftext", "body"]) {
        return Ok(Shape::Reddit);
    }
    let v2 = [
        "public_metrics",
        "author_id",
        "edit_history_tweet_ids",
        "conversation_id",
        "referenced_tweets",
    ];
    if is_id("id") && is_text("text") && any(&v2) {
        return Ok(Shape::TwitterV2);
    }
    // A plain post may lack what it must have; then this is the reason to give.
    let plain = [
        "id",
        "created_at",
        "text",
        "user",
        "metrics",
        "hashtags",
        "mentions",
    ];
    let is_plain = has("created_at") || (has("id") && has("text"));
    if is_plain && plain.iter().filter(|key| has(key)).count() >= 2 {
        return Ok(Shape::Plain);
    }
    let mut keys: Vec<&str> = members
        .iter()
        .take(6)
        .map(|(key, _)| key.as_ref())
        .collect();
    if members.len() > keys.len() {
        keys.push("…");
    }
    let found = if keys.is_empty() {
        "no keys".to_owned()
    } else {
        format!("the keys {}", keys.join(", "))
    };
    Err(PostFault::Parse(Reason::mismatch(
        "a post of X, Mastodon, Reddit or the plain shape",
        found,
    )))
}

/// Where the posts of an API's answer are in its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// Each post.
    pub posts: Vec<Range<usize>>,
    /// The `includes` of X API v2: authors and places that posts refer to.
    pub includes: Option<Range<usize>>,
}

/// Takes apart an answer that holds posts: the search of X API v1.1 (`statuses`), X API v2 (`data`
/// with `includes`), a Reddit listing, X's archive (`tweet` around each), a list of any of these. None where the
/// value is none of these.
///
/// # Errors
/// Where it is not JSON.
pub(super) fn answer(json: &[u8]) -> JsonResult<Option<Answer>> {
    let mut cursor = Cursor::replacing(json);
    if cursor.peek() == b'[' {
        let array = value(&mut cursor)?;
        cursor.finish()?;
        return Ok(Some(Answer {
            posts: elements(json, array)?,
            includes: None,
        }));
    }
    if cursor.peek() != b'{' {
        return Ok(None);
    }
    let (mut kind, mut post) = (None, false);
    let (mut statuses, mut data, mut includes, mut tweet) = (None, None, None, None);
    members(&mut cursor, |key, range| match key {
        b"statuses" => statuses = Some(range),
        b"data" => data = Some(range),
        b"includes" => includes = Some(range),
        b"kind" => kind = Some(range),
        b"tweet" => tweet = Some(range),
        b"id" | b"text" | b"created_at" => post = true,
        _ => {}
    })?;
    cursor.finish()?;
    let first = |range: &Range<usize>| json.get(range.start).copied();
    if let Some(range) = statuses.filter(|range| !post && first(range) == Some(b'[')) {
        return Ok(Some(Answer {
            posts: elements(json, range)?,
            includes: None,
        }));
    }
    if let Some(range) = tweet.filter(|range| !post && first(range) == Some(b'{')) {
        return Ok(Some(Answer {
            posts: vec![range],
            includes: None,
        }));
    }
    let Some(data) = data.filter(|_| !post) else {
        return Ok(None);
    };
    let is_listing = kind.map(|range| json.get(range) == Some(b"\"Listing\"".as_slice()));
    match (first(&data), is_listing) {
        (Some(b'['), None) => Ok(Some(Answer {
            posts: elements(json, data)?,
            includes,
        })),
        (Some(b'{'), None) => Ok(Some(Answer {
            posts: vec![data],
            includes,
        })),
        (Some(b'{'), Some(true)) => {
            let children = member(json, data, b"children")?;
            match children.filter(|range| first(range) == Some(b'[')) {
                Some(range) => Ok(Some(Answer {
                    posts: elements(json, range)?,
                    includes: None,
                })),
                None => Ok(None),
            }
        }
        _ => Ok(None),
    }
}

/// Where the answers to a comment of Reddit are in its text: a listing in `replies`, with its `kind` around the
/// comment or without. None where there is none.
///
/// # Errors
/// Where it is not JSON.
pub(super) fn replies(json: &[u8]) -> JsonResult<Option<Range<usize>>> {
    let find = |of: Range<usize>, wanted: &[u8]| {
        let found = member(json, of, wanted)?;
        Ok(found.filter(|range| json.get(range.start) == Some(&b'{')))
    };
    let whole = 0..json.len();
    if Cursor::replacing(json).peek() != b'{' {
        return Ok(None);
    }
    match find(whole.clone(), b"data")? {
        Some(data) => find(data, b"replies"),
        None => find(whole, b"replies"),
    }
}

/// Whether a value is none that holds a post: a message of X's streams about themselves, or Reddit's sign of more
/// comments.
pub(super) fn is_message(node: &Node<'_>) -> bool {
    let Node::Object(members) = node else {
        return false;
    };
    let kind = node.get("kind").and_then(Node::as_text);
    if kind.is_some_and(|kind| kind == "more") {
        return true;
    }
    const MESSAGES: [&str; 10] = [
        "delete",
        "limit",
        "disconnect",
        "warning",
        "scrub_geo",
        "status_withheld",
        "user_withheld",
        "friends",
        "friends_str",
        "control",
    ];
    match members.as_slice() {
        [(key, Node::Object(_) | Node::List(_))] => MESSAGES.contains(&key.as_ref()),
        _ => false,
    }
}

/// Where the member of an object with this key is; the object is at `of`.
fn member(json: &[u8], of: Range<usize>, wanted: &[u8]) -> JsonResult<Option<Range<usize>>> {
    let mut found = None;
    let mut cursor = Cursor::replacing(json.get(of.clone()).unwrap_or_default());
    members(&mut cursor, |key, range| {
        if key == wanted {
            found = Some(range.start + of.start..range.end + of.start);
        }
    })?;
    Ok(found)
}

/// Visits the members of the object at the cursor, with the place of each value.
fn members(cursor: &mut Cursor<'_>, mut visit: impl FnMut(&[u8], Range<usize>)) -> JsonResult<()> {
    cursor.enter_object()?;
    let mut first = true;
    let mut scratch = Vec::new();
    while cursor.next_member(first)? {
        first = false;
        let key = cursor.key()?;
        let range = value(cursor)?;
        visit(key.text(&mut scratch), range);
    }
    Ok(())
}

fn value(cursor: &mut Cursor<'_>) -> JsonResult<Range<usize>> {
    let length = cursor.skip_value()?.len();
    Ok(cursor.position() - length..cursor.position())
}

/// The places of an array's elements.
fn elements(json: &[u8], array: Range<usize>) -> JsonResult<Vec<Range<usize>>> {
    let begin = array.start;
    let mut cursor = Cursor::replacing(json.get(array).unwrap_or_default());
    cursor.enter_array()?;
    let mut ranges = Vec::new();
    while cursor.next_element(ranges.is_empty())? {
        let range = value(&mut cursor)?;
        ranges.push(range.start + begin..range.end + begin);
    }
    Ok(ranges)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn posts(json: &str) -> Option<Vec<&str>> {
        let answer = answer(json.as_bytes()).unwrap()?;
        Some(answer.posts.into_iter().map(|range| &json[range]).collect())
    }

    #[test]
    fn the_posts_of_an_answer_are_found() {
        assert_eq!(
            posts(r#"{"statuses": [ {"a":1} , {"b":2}],"search_metadata":{}}"#),
            Some(vec![r#"{"a":1}"#, r#"{"b":2}"#])
        );
        assert_eq!(
            posts(r#"{"meta":{},"data":[{"id":"1"}],"includes":{"users":[]}}"#),
            Some(vec![r#"{"id":"1"}"#])
        );
        assert_eq!(posts(r#"{"data":{"id":"1"}}"#), Some(vec![r#"{"id":"1"}"#]));
        assert_eq!(
            posts(
                r#"{"kind":"Listing","data":{"after":null,"children":[{"kind":"t3","data":{}}]}}"#
            ),
            Some(vec![r#"{"kind":"t3","data":{}}"#])
        );
        assert_eq!(posts(r#"{"data":[]}"#), Some(vec![]));
        assert_eq!(posts(r#"[{"a":1}, 5]"#), Some(vec![r#"{"a":1}"#, "5"]));
        assert_eq!(
            posts(r#"{"tweet":{"id":"1"}}"#),
            Some(vec![r#"{"id":"1"}"#])
        );
        for none in [
            r#"{"kind":"t3","data":{}}"#,
            r#"{"kind":"more","data":{"children":["a"]}}"#,
            r#"{"id":1,"data":{}}"#,
            r#"{"statuses":5}"#,
            "5",
        ] {
            assert_eq!(posts(none), None, "{none}");
        }
        assert!(answer(br#"{"data":[}"#).is_err() && answer(br#"{"data":[]} x"#).is_err());
    }

    #[test]
    fn answers_to_a_comment_are_found_and_messages_known() {
        let listing = r#"{"kind":"Listing","data":{"children":[]}}"#;
        for comment in [
            format!(r#"{{"kind":"t1","data":{{"body":"x","replies":{listing}}}}}"#),
            format!(r#"{{"body":"x","replies":{listing},"id":"1"}}"#),
        ] {
            let range = replies(comment.as_bytes()).unwrap().unwrap();
            assert_eq!(&comment[range], listing);
        }
        assert_eq!(replies(br#"{"kind":"t1","data":{"replies":""}}"#), Ok(None));
        assert_eq!(replies(b"5"), Ok(None));
        let is_message = |json: &str| is_message(&Node::read(json.as_bytes()).unwrap());
        for message in [
            r#"{"delete":{"status":{"id":1}}}"#,
            r#"{"limit":{"track":5}}"#,
            r#"{"friends":[1,2]}"#,
            r#"{"kind":"more","data":{"children":["a"]}}"#,
        ] {
            assert!(is_message(message), "{message}");
        }
        for other in [r#"{"limit":5}"#, r#"{"id":1,"delete":{}}"#, "[]", "{}"] {
            assert!(!is_message(other), "{other}");
        }
    }

    #[test]
    fn shapes_are_recognised_by_their_own_keys() {
        let shape = |json: &str| shape_of(&Node::read(json.as_bytes()).unwrap());
        assert_eq!(
            shape(r#"{"id":1,"id_str":"1","user":{},"text":""}"#),
            Ok(Shape::TwitterV1)
        );
        assert_eq!(
            shape(r#"{"id":"1","text":"","author_id":"2"}"#),
            Ok(Shape::TwitterV2)
        );
        assert_eq!(
            shape(r#"{"id":"1","account":{},"content":""}"#),
            Ok(Shape::Mastodon)
        );
        assert_eq!(shape(r#"{"kind":"t1","data":{}}"#), Ok(Shape::Reddit));
        assert_eq!(
            shape(r#"{"id":"1","created_utc":1.0,"permalink":"/r"}"#),
            Ok(Shape::Reddit)
        );
        assert_eq!(
            shape(r#"{"id":1,"text":"","kind":"note"}"#),
            Ok(Shape::Plain)
        );
        assert_eq!(
            shape(r#"{"id":1,"text":"","author_id":2}"#),
            Ok(Shape::TwitterV2)
        );
        assert_eq!(
            shape(r#"{"id":1,"full_text":"","user":{}}"#),
            Ok(Shape::TwitterV1)
        );
        // Of a tool that is not known.
        let other = r#"{"id":1,"user":{},"hashtags":[],"date":"2026-01-31"}"#;
        for unknown in ["{}", r#"{"id":1}"#, r#"{"text":"x"}"#, "[]", "5", other] {
            assert!(
                matches!(shape(unknown), Err(PostFault::Parse(_))),
                "{unknown}"
            );
        }
    }
}
