//! Posts in the shapes of X/Twitter, Mastodon and Reddit, from their document trees.

use std::borrow::Cow;
use std::collections::HashMap;

use tarn_core::calendar;

use super::html;
use super::post::{Field, Post, PostFault, Text};
use super::shape::Shape;
use crate::reason::Reason;
use crate::source::json::document::Node;
use crate::source::number::Number;
use crate::source::time;
use crate::source::value::shortened;

type Result<T, E = PostFault> = std::result::Result<T, E>;

/// What posts of X API v2 refer to: authors and places, by their ids.
#[derive(Default)]
pub(super) struct Includes<'n, 'a> {
    users: HashMap<&'n str, &'n Node<'a>>,
    places: HashMap<&'n str, &'n Node<'a>>,
    tweets: HashMap<&'n str, &'n Node<'a>>,
}

impl<'n, 'a> Includes<'n, 'a> {
    /// The authors, places and tweets of an answer's `includes`.
    pub(super) fn new(includes: &'n Node<'a>) -> Self {
        let by_id = |key: &str| {
            let nodes = includes.get(key).map(Node::elements).unwrap_or_default();
            nodes
                .iter()
                .filter_map(|node| Some((id_of(node.get("id")?)?, node)))
                .collect::<HashMap<_, _>>()
        };
        Includes {
            users: by_id("users"),
            places: by_id("places"),
            tweets: by_id("tweets"),
        }
    }
}

/// An identifier: a text, or the digits of a number.
fn id_of<'n>(node: &'n Node<'_>) -> Option<&'n str> {
    match node {
        Node::Text(text) => Some(text.as_ref()),
        Node::Number(number) => std::str::from_utf8(number.text).ok(),
        _ => None,
    }
}

/// Reads a post of a network's shape.
pub(super) fn read<'a>(
    shape: Shape,
    node: &Node<'a>,
    includes: &Includes<'_, 'a>,
) -> Result<Post<'a>> {
    let mut post = match shape {
        Shape::TwitterV1 => twitter_v1(node)?,
        Shape::TwitterV2 => twitter_v2(node, includes)?,
        Shape::Mastodon => mastodon(node)?,
        Shape::Reddit => reddit(node)?,
        Shape::Plain => return Err(PostFault::OtherShape),
    };
    post.has_more = true;
    post.check()?;
    Ok(post)
}

/// A status of X API v1.1 (developer.x.com, "Tweet object" of the standard v1.1 data dictionary).
fn twitter_v1<'a>(node: &Node<'a>) -> Result<Post<'a>> {
    let user = node.value("user").unwrap_or(&Node::Null);
    let (text, entities) = whole_v1(node)?;
    let mut mentions: Vec<&Node<'a>> = list(entities, "user_mentions").iter().collect();
    // A retweet is cut where it is longer than a tweet; the tweet that it repeats is whole.
    let (text, tags) = match node.value("retweeted_status") {
        Some(repeated) => {
            let (whole, entities) = whole_v1(repeated)?;
            let is_new = |mention: &&Node<'a>| {
                let name = mention.value("screen_name");
                !list(
                    node.value("entities").unwrap_or(&Node::Null),
                    "user_mentions",
                )
                .iter()
                .any(|other| other.value("screen_name") == name)
            };
            mentions.extend(list(entities, "user_mentions").iter().filter(is_new));
            (retweeted(text, whole), entities)
        }
        None => (text, entities),
    };
    let (latitude, longitude) = position(node)?;
    let handle = text_of(user, "screen_name", Field::AuthorHandle)?;
    let post_id = first_id(node, &["id_str", "id"], Field::PostId)?;
    Ok(Post {
        platform: "x",
        url: tweet_url(handle.as_ref(), post_id.as_ref()),
        post_id,
        created_at: time_of(
            node,
            "created_at",
            time::twitter_timestamp,
            "Fri Sep 07 16:35:24 +0000 2012",
        )?,
        author_id: first_id(user, &["id_str", "id"], Field::AuthorId)?,
        author_handle: handle,
        author_name: text_of(user, "name", Field::AuthorName)?.map(decoded),
        author_followers: count(user, "followers_count", Field::AuthorFollowers)?,
        author_verified: flag(user, "verified", Field::AuthorVerified)?,
        author_location: text_of(user, "location", Field::AuthorLocation)?
            .and_then(not_empty)
            .map(decoded),
        text: text.map(decoded),
        language: text_of(node, "lang", Field::Language)?,
        like_count: count(node, "favorite_count", Field::LikeCount)?,
        share_count: count(node, "retweet_count", Field::ShareCount)?,
        reply_count: count(node, "reply_count", Field::ReplyCount)?,
        hashtags: Some(texts(list(tags, "hashtags"), "text", Field::Hashtags)?),
        mentions: Some(texts(
            mentions.iter().copied(),
            "screen_name",
            Field::Mentions,
        )?),
        mention_ids: Some(ids(mentions, &["id_str", "id"], Field::MentionIds)?),
        country: match node.value("place") {
            Some(place) => text_of(place, "country_code", Field::Country)?,
            None => None,
        },
        latitude,
        longitude,
        source_app: app(node)?,
        reply_to_id: first_id(
            node,
            &["in_reply_to_status_id_str", "in_reply_to_status_id"],
            Field::ReplyToId,
        )?,
        ..Post::default()
    })
}

/// The whole text of a status of v1.1, and its entities. A long tweet in compatibility mode holds them apart.
fn whole_v1<'n, 'a>(node: &'n Node<'a>) -> Result<(Option<Text<'a>>, &'n Node<'a>)> {
    let extended = node.value("extended_tweet").unwrap_or(&Node::Null);
    let entities = extended
        .value("entities")
        .or(node.value("entities"))
        .unwrap_or(&Node::Null);
    let texts = [(extended, "full_text"), (node, "full_text"), (node, "text")];
    let text = texts
        .into_iter()
        .find(|(node, key)| node.value(key).is_some());
    let text = match text {
        Some((node, key)) => text_of(node, key, Field::Text)?,
        None => None,
    };
    Ok((text, entities))
}

/// The text of a retweet: whom it repeats, as the retweet says, and the whole text of that.
fn retweeted<'a>(text: Option<Text<'a>>, whole: Option<Text<'a>>) -> Option<Text<'a>> {
    let (Some(cut), Some(repeated)) = (&text, &whole) else {
        return text.or(whole);
    };
    let (mut buffer, mut other) = (Vec::new(), Vec::new());
    let cut = String::from_utf8_lossy(cut.bytes(&mut buffer));
    let repeated = String::from_utf8_lossy(repeated.bytes(&mut other));
    match cut.split_once(": ") {
        Some((by, _)) if by.starts_with("RT @") => Some(Text::Made(format!("{by}: {repeated}"))),
        _ => text,
    }
}

/// A text of X or Reddit without its character references.
fn decoded(text: Text<'_>) -> Text<'_> {
    let mut buffer = Vec::new();
    let found = std::str::from_utf8(text.bytes(&mut buffer))
        .ok()
        .and_then(html::decoded);
    match found {
        Some(decoded) => Text::Made(decoded),
        None => text,
    }
}

/// A tweet of X API v2 (docs.x.com, data dictionary); its author is in the answer's `includes`, or in the tweet
/// itself where a tool has put it there.
fn twitter_v2<'a>(node: &Node<'a>, includes: &Includes<'_, 'a>) -> Result<Post<'a>> {
    let user = match node.value("author") {
        Some(author @ Node::Object(_)) => author.clone(),
        _ => node
            .value("author_id")
            .and_then(id_of)
            .and_then(|id| includes.users.get(id))
            .map_or(Node::Null, |user| (*user).clone()),
    };
    let geo = node.value("geo").unwrap_or(&Node::Null);
    let place = geo
        .value("place_id")
        .and_then(id_of)
        .and_then(|id| includes.places.get(id).copied())
        .or(Some(geo).filter(|geo| geo.value("country_code").is_some()));
    let (metrics, entities) = (node.value("public_metrics"), node.value("entities"));
    let (metrics, entities) = (
        metrics.unwrap_or(&Node::Null),
        entities.unwrap_or(&Node::Null),
    );
    let (text, tags) = whole_v2(node)?;
    let references = list(node, "referenced_tweets");
    let reference = |kind: &str| {
        references.iter().find(|node| {
            node.get("type")
                .and_then(Node::as_text)
                .is_some_and(|ty| ty == kind)
        })
    };
    // A retweet is cut where it is long; the tweet that it repeats is whole.
    let repeated = reference("retweeted").and_then(|repeated| match repeated.value("text") {
        Some(_) => Some(repeated),
        None => includes.tweets.get(id_of(repeated.get("id")?)?).copied(),
    });
    let (text, tags) = match repeated {
        Some(repeated) => {
            let (whole, tags) = whole_v2(repeated)?;
            (retweeted(text, whole), tags)
        }
        None => (text, tags),
    };
    let mentions = list(entities, "mentions");
    let (latitude, longitude) = position(geo)?;
    let handle = text_of(&user, "username", Field::AuthorHandle)?;
    let post_id = first_id(node, &["id"], Field::PostId)?;
    let followers = user.value("public_metrics").unwrap_or(&Node::Null);
    let answered = reference("replied_to");
    Ok(Post {
        platform: "x",
        url: tweet_url(handle.as_ref(), post_id.as_ref()),
        post_id,
        created_at: time_of(node, "created_at", time::timestamp, ISO)?,
        author_id: first_id(node, &["author_id"], Field::AuthorId)?,
        author_handle: handle,
        author_name: text_of(&user, "name", Field::AuthorName)?.map(decoded),
        author_followers: count(followers, "followers_count", Field::AuthorFollowers)?,
        author_verified: flag(&user, "verified", Field::AuthorVerified)?,
        author_location: text_of(&user, "location", Field::AuthorLocation)?.map(decoded),
        text: text.map(decoded),
        language: text_of(node, "lang", Field::Language)?,
        like_count: count(metrics, "like_count", Field::LikeCount)?,
        share_count: count(metrics, "retweet_count", Field::ShareCount)?,
        reply_count: count(metrics, "reply_count", Field::ReplyCount)?,
        view_count: count(metrics, "impression_count", Field::ViewCount)?,
        hashtags: Some(texts(list(tags, "hashtags"), "tag", Field::Hashtags)?),
        mentions: Some(texts(mentions, "username", Field::Mentions)?),
        mention_ids: Some(ids(mentions, &["id"], Field::MentionIds)?),
        country: match place {
            Some(place) => text_of(place, "country_code", Field::Country)?,
            None => None,
        },
        latitude,
        longitude,
        source_app: app(node)?,
        reply_to_id: match answered {
            Some(answered) => first_id(answered, &["id"], Field::ReplyToId)?,
            None => None,
        },
        ..Post::default()
    })
}

/// The whole text of a tweet of v2, and the entities of that text: a long one has both in `note_tweet`.
fn whole_v2<'n, 'a>(node: &'n Node<'a>) -> Result<(Option<Text<'a>>, &'n Node<'a>)> {
    let entities = node.value("entities").unwrap_or(&Node::Null);
    match node
        .value("note_tweet")
        .filter(|note| note.value("text").is_some())
    {
        Some(note) => {
            let text = text_of(note, "text", Field::Text)?;
            Ok((text, note.value("entities").unwrap_or(entities)))
        }
        None => Ok((text_of(node, "text", Field::Text)?, entities)),
    }
}

/// A status of the Mastodon API (docs.joinmastodon.org/entities/Status).
fn mastodon<'a>(node: &Node<'a>) -> Result<Post<'a>> {
    let account = node.value("account").unwrap_or(&Node::Null);
    // A boost has no text of its own, but that of the status it boosts.
    let has_text = node
        .value("content")
        .and_then(Node::as_text)
        .is_some_and(|content| !content.is_empty());
    let written = match node.value("reblog") {
        Some(boosted) if !has_text => boosted,
        _ => node,
    };
    let mentions = list(written, "mentions");
    let url = match text_of(node, "url", Field::Url)? {
        Some(url) => Some(url),
        None => text_of(node, "uri", Field::Url)?,
    };
    let server = ["uri", "url"]
        .into_iter()
        .find_map(|key| host(node.value(key)?.as_text()?));
    Ok(Post {
        platform: "mastodon",
        server: server.map(Text::Made),
        post_id: first_id(node, &["id"], Field::PostId)?,
        created_at: time_of(node, "created_at", time::timestamp, ISO)?,
        author_id: first_id(account, &["id"], Field::AuthorId)?,
        author_handle: text_of(account, "acct", Field::AuthorHandle)?,
        author_name: text_of(account, "display_name", Field::AuthorName)?,
        author_followers: shown_count(account, "followers_count", Field::AuthorFollowers)?,
        text: written
            .value("content")
            .and_then(Node::as_text)
            .map(|content| Text::Made(html::to_text(content))),
        language: match text_of(node, "language", Field::Language)? {
            Some(language) => Some(language),
            None => text_of(written, "language", Field::Language)?,
        },
        like_count: shown_count(node, "favourites_count", Field::LikeCount)?,
        share_count: shown_count(node, "reblogs_count", Field::ShareCount)?,
        reply_count: shown_count(node, "replies_count", Field::ReplyCount)?,
        hashtags: Some(texts(list(written, "tags"), "name", Field::Hashtags)?),
        mentions: Some(texts(mentions, "acct", Field::Mentions)?),
        mention_ids: Some(ids(mentions, &["id"], Field::MentionIds)?),
        source_app: match node.value("application") {
            Some(application) => text_of(application, "name", Field::SourceApp)?,
            None => None,
        },
        reply_to_id: first_id(node, &["in_reply_to_id"], Field::ReplyToId)?,
        url,
        ..Post::default()
    })
}

/// The host that an address names, in lower case: of `https://host/…`, or of `tag:host,2016-10-27:…`, as
/// statuses of old versions of Mastodon are named (RFC 4151). The port is left out.
fn host(address: &str) -> Option<String> {
    let (scheme, rest) = address.trim().split_once(':')?;
    let is = |known: &str| scheme.eq_ignore_ascii_case(known);
    let authority = if is("https") || is("http") {
        let rest = rest.strip_prefix("//")?;
        let authority = rest.split(['/', '?', '#']).next()?;
        authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host)
    } else if is("tag") {
        rest.split_once(',')?.0
    } else {
        return None;
    };
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    // A final dot names the same host.
    let host = host.strip_suffix('.').unwrap_or(host);
    let odd = |letter: char| letter.is_whitespace() || letter.is_control();
    (!host.is_empty() && !host.contains(odd)).then(|| host.to_lowercase())
}

/// A post (`t3`) or comment (`t1`) of the Reddit API (reddit.com/dev/api, "things"). Its id is the full
/// name, since posts and comments number themselves apart.
fn reddit<'a>(node: &Node<'a>) -> Result<Post<'a>> {
    let kind = node
        .value("kind")
        .and_then(Node::as_text)
        .map(|kind| kind.as_ref());
    let data = node
        .value("data")
        .filter(|_| kind.is_some())
        .unwrap_or(node);
    let comment = data.value("body").is_some();
    let kind = kind.unwrap_or(if comment { "t1" } else { "t3" });
    if kind != "t1" && kind != "t3" {
        return Err(PostFault::Parse(Reason::mismatch(
            "a post or comment of Reddit",
            format!("a thing of kind {kind}"),
        )));
    }
    let post_id = match text_of(data, "name", Field::PostId)? {
        Some(name) => Some(name),
        None => data
            .value("id")
            .and_then(Node::as_text)
            .map(|id| Text::Made(format!("{kind}_{id}"))),
    };
    let written = |key: &str| {
        data.value(key)
            .and_then(Node::as_text)
            .filter(|text| !text.is_empty() && !is_deleted(text))
            .map(|text| html::decoded(text).unwrap_or_else(|| text.to_string()))
    };
    let text = match (written("title"), written("selftext"), data.value("body")) {
        (_, _, Some(_)) => written("body"),
        (Some(title), Some(text), None) => Some(format!("{title}\n\n{text}")),
        (Some(text), None, None) | (None, Some(text), None) => Some(text),
        (None, None, None) => None,
    };
    let likes = count(data, "score", Field::LikeCount)?;
    Ok(Post {
        platform: "reddit",
        post_id,
        created_at: epoch_seconds(data, "created_utc")?,
        author_id: text_of(data, "author_fullname", Field::AuthorId)?,
        author_handle: match data.value("author") {
            Some(Node::Text(author)) if is_deleted(author) => None,
            _ => text_of(data, "author", Field::AuthorHandle)?,
        },
        mentions: Some(text.as_deref().map(user_names).unwrap_or_default()),
        text: text.map(Text::Made),
        like_count: if likes.is_some() {
            likes
        } else {
            count(data, "ups", Field::LikeCount)?
        },
        share_count: count(data, "num_crossposts", Field::ShareCount)?,
        reply_count: count(data, "num_comments", Field::ReplyCount)?,
        view_count: count(data, "view_count", Field::ViewCount)?,
        hashtags: Some(Vec::new()),
        mention_ids: Some(Vec::new()),
        reply_to_id: text_of(data, "parent_id", Field::ReplyToId)?,
        url: written("permalink").map(|path| Text::Made(format!("https://www.reddit.com{path}"))),
        ..Post::default()
    })
}

/// Whether a text is what Reddit shows instead of one that is gone.
fn is_deleted(text: &str) -> bool {
    matches!(text, "[deleted]" | "[removed]" | "[ Removed by Reddit ]")
}

/// The names after `u/` in a text, as Reddit links them: 3 to 20 letters, digits, `_` and `-`.
fn user_names<'a>(text: &str) -> Vec<Text<'a>> {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let bytes = text.as_bytes();
    let mut names = Vec::new();
    for (at, _) in text.match_indices("u/") {
        let before = at.checked_sub(1).and_then(|at| bytes.get(at));
        let linked = match before {
            // `/u/name`, but no path such as `example.com/u/name`.
            Some(b'/') => !at
                .checked_sub(2)
                .and_then(|at| bytes.get(at))
                .is_some_and(|byte| !byte.is_ascii_whitespace() && *byte != b'('),
            Some(byte) => !is_name(byte) && *byte != b'.' && byte.is_ascii(),
            None => true,
        };
        let rest = bytes.get(at + 2..).unwrap_or_default();
        let length = rest.iter().take_while(|byte| is_name(byte)).count();
        if linked && (3..=20).contains(&length) {
            names.push(Text::Made(
                text.get(at + 2..at + 2 + length)
                    .unwrap_or_default()
                    .to_owned(),
            ));
        }
    }
    names
}

const ISO: &str = "2026-01-31T10:00:00Z";

fn shown(node: &Node<'_>) -> String {
    match node {
        Node::Null => "null".to_owned(),
        Node::Boolean(value) => value.to_string(),
        Node::Number(number) => shortened(number.text),
        Node::Text(text) => format!("the text \"{}\"", shortened(text.as_bytes())),
        Node::List(_) => "a list".to_owned(),
        Node::Object(_) => "an object".to_owned(),
    }
}

#[cold]
fn refused(field: Field, expected: impl Into<Cow<'static, str>>, found: &Node<'_>) -> PostFault {
    PostFault::Value(field, Reason::mismatch(expected, shown(found)))
}

fn text_of<'a>(node: &Node<'a>, key: &str, field: Field) -> Result<Option<Text<'a>>> {
    match node.value(key) {
        None => Ok(None),
        Some(Node::Text(text)) => Ok(Some(text.clone().into())),
        Some(other) => Err(refused(field, "a text", other)),
    }
}

/// The first of these members that is there, a text or a whole number.
fn first_id<'a>(node: &Node<'a>, keys: &[&str], field: Field) -> Result<Option<Text<'a>>> {
    match keys.iter().find_map(|key| node.value(key)) {
        None => Ok(None),
        Some(Node::Text(text)) => Ok(Some(text.clone().into())),
        Some(Node::Number(number)) if number.is_digits() => Ok(Some(Text::plain(number.text))),
        Some(other) => Err(refused(field, "an id", other)),
    }
}

/// A whole number, also in quotes: X's archive writes its numbers so.
fn count(node: &Node<'_>, key: &str, field: Field) -> Result<Option<i64>> {
    let Some(found) = node.value(key) else {
        return Ok(None);
    };
    let number = match found {
        Node::Number(number) => *number,
        Node::Text(text) => match quoted_number(text) {
            Some(number) => number,
            None => return Err(refused(field, "a whole number", found)),
        },
        other => return Err(refused(field, "a whole number", other)),
    };
    number
        .scaled(0)
        .map(Some)
        .ok_or_else(|| refused(field, "a whole number of at most 64 bits", found))
}

fn quoted_number(text: &str) -> Option<Number<'_>> {
    Number::read(text.as_bytes())
        .ok()
        .filter(|number| number.text.len() == text.len())
}

/// As [`count`]; −1 stands for a number that a server of Mastodon does not show.
fn shown_count(node: &Node<'_>, key: &str, field: Field) -> Result<Option<i64>> {
    Ok(count(node, key, field)?.filter(|count| *count != -1))
}

fn flag(node: &Node<'_>, key: &str, field: Field) -> Result<Option<bool>> {
    match node.value(key) {
        None => Ok(None),
        Some(Node::Boolean(value)) => Ok(Some(*value)),
        Some(other) => Err(refused(field, "true or false", other)),
    }
}

fn time_of(
    node: &Node<'_>,
    key: &str,
    parse: fn(&[u8]) -> Result<i64, time::Fault>,
    example: &str,
) -> Result<Option<i64>> {
    let expected = format!("a time such as {example}");
    match node.value(key) {
        None => Ok(None),
        Some(found @ Node::Text(text)) => match parse(text.as_bytes()) {
            Ok(micros) => Ok(Some(micros)),
            Err(time::Fault::Form) => Err(refused(Field::CreatedAt, expected, found)),
            Err(_) => Err(refused(
                Field::CreatedAt,
                "a day and time of the calendar",
                found,
            )),
        },
        Some(other) => Err(refused(Field::CreatedAt, expected, other)),
    }
}

fn epoch_seconds(node: &Node<'_>, key: &str) -> Result<Option<i64>> {
    match node.value(key) {
        None => Ok(None),
        Some(found) => {
            let seconds = match found {
                Node::Number(number) => Some(*number),
                Node::Text(text) => quoted_number(text),
                _ => None,
            };
            let micros = seconds
                .and_then(|seconds| seconds.scaled(6))
                .and_then(calendar::in_range);
            micros
                .map(Some)
                .ok_or_else(|| refused(Field::CreatedAt, "seconds since 1970", found))
        }
    }
}

fn list<'n, 'a>(node: &'n Node<'a>, key: &str) -> &'n [Node<'a>] {
    node.get(key).map(Node::elements).unwrap_or_default()
}

fn texts<'n, 'a: 'n>(
    nodes: impl IntoIterator<Item = &'n Node<'a>>,
    key: &str,
    field: Field,
) -> Result<Vec<Text<'a>>> {
    nodes
        .into_iter()
        .filter_map(|node| text_of(node, key, field).transpose())
        .collect()
}

fn ids<'n, 'a: 'n>(
    nodes: impl IntoIterator<Item = &'n Node<'a>>,
    keys: &[&str],
    field: Field,
) -> Result<Vec<Text<'a>>> {
    nodes
        .into_iter()
        .filter_map(|node| first_id(node, keys, field).transpose())
        .collect()
}

/// Latitude and longitude of a GeoJSON point in `coordinates` (longitude first), or of the older
/// `geo` of v1.1 (latitude first).
fn position(node: &Node<'_>) -> Result<(Option<f64>, Option<f64>)> {
    let pair = |key: &str| match node.value(key).and_then(|point| point.value("coordinates")) {
        Some(Node::List(pair)) => match pair.as_slice() {
            [Node::Number(first), Node::Number(second)] => Some((first.as_f64(), second.as_f64())),
            _ => None,
        },
        _ => None,
    };
    let (latitude, longitude) = match (pair("coordinates"), pair("geo")) {
        (Some((longitude, latitude)), _) | (None, Some((latitude, longitude))) => {
            (latitude, longitude)
        }
        (None, None) => return Ok((None, None)),
    };
    if latitude.is_finite() && longitude.is_finite() {
        return Ok((Some(latitude), Some(longitude)));
    }
    Err(PostFault::Value(
        Field::Latitude,
        "the coordinates are out of range".into(),
    ))
}

fn app<'a>(node: &Node<'a>) -> Result<Option<Text<'a>>> {
    let Some(source) = node.value("source") else {
        return Ok(None);
    };
    let Some(source) = source.as_text() else {
        return Err(refused(Field::SourceApp, "a text", source));
    };
    Ok(not_empty(Text::Made(html::link_text(source).to_owned())))
}

fn not_empty(text: Text<'_>) -> Option<Text<'_>> {
    let empty = match &text {
        Text::Raw(string) => string.raw.is_empty(),
        Text::Made(text) => text.is_empty(),
    };
    (!empty).then_some(text)
}

/// The address of a tweet, which X gives for neither of its shapes.
fn tweet_url<'a>(handle: Option<&Text<'_>>, id: Option<&Text<'_>>) -> Option<Text<'a>> {
    let (mut handle_bytes, mut id_bytes) = (Vec::new(), Vec::new());
    let (handle, id) = (handle?.bytes(&mut handle_bytes), id?.bytes(&mut id_bytes));
    let (handle, id) = (String::from_utf8_lossy(handle), String::from_utf8_lossy(id));
    Some(Text::Made(format!("https://x.com/{handle}/status/{id}")))
}
