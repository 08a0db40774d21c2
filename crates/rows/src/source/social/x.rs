//! Posts of X/Twitter, from their document trees.

use std::collections::HashMap;

use super::html;
use super::members::{
    ISO, Result, count, decoded, first_id, flag, id_of, ids, list, not_empty, refused, text_of,
    texts, time_of,
};
use super::post::{Field, Post, PostFault, Text};
use crate::source::json::document::Node;
use crate::source::time;

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

/// A status of X API v1.1 (developer.x.com, "Tweet object" of the standard v1.1 data dictionary).
pub(super) fn twitter_v1<'a>(node: &Node<'a>) -> Result<Post<'a>> {
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

/// A tweet of X API v2 (docs.x.com, data dictionary); its author is in the answer's `includes`, or in the tweet
/// itself where a tool has put it there.
pub(super) fn twitter_v2<'a>(node: &Node<'a>, includes: &Includes<'_, 'a>) -> Result<Post<'a>> {
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

/// The address of a tweet, which X gives for neither of its shapes.
fn tweet_url<'a>(handle: Option<&Text<'_>>, id: Option<&Text<'_>>) -> Option<Text<'a>> {
    let (mut handle_bytes, mut id_bytes) = (Vec::new(), Vec::new());
    let (handle, id) = (handle?.bytes(&mut handle_bytes), id?.bytes(&mut id_bytes));
    let (handle, id) = (String::from_utf8_lossy(handle), String::from_utf8_lossy(id));
    Some(Text::Made(format!("https://x.com/{handle}/status/{id}")))
}
