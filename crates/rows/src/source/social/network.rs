//! Posts in the shapes of the networks, from their document trees: Mastodon and Reddit here, X in [`x`](super::x).

use super::html;
use super::members::{
    ISO, Result, count, epoch_seconds, first_id, ids, list, shown_count, text_of, texts, time_of,
};
use super::post::{Field, Post, PostFault, Text};
use super::shape::Shape;
use super::x::{Includes, twitter_v1, twitter_v2};
use crate::reason::Reason;
use crate::source::json::document::Node;
use crate::source::time;

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
