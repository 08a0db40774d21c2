//! Posts in the plain shape, read in one pass without a document tree:
//!
//! `{"id","created_at","text","lang","user":{"id","screen_name","name","followers","verified",
//! "location"},"metrics":{"likes","shares","comments","views"},"hashtags":["…"],"mentions":[{"id",
//! "screen_name"}],"geo":{"country","lat","lon"},"source","sentiment","reply_to","url"}`
//!
//! `id` and `created_at` (ISO 8601) are required; everything else may be missing or null. Ids are
//! texts or whole numbers.

use super::post::{Field, Post, PostFault, Text};
use crate::reason::Reason;
use crate::source::json::cursor::Cursor;
use crate::source::json::keys::{KeyTable, Member};
use crate::source::number::Number;
use crate::source::time;
use crate::source::value::shortened;

const TOP: [&str; 13] = [
    "id",
    "created_at",
    "text",
    "lang",
    "user",
    "metrics",
    "hashtags",
    "mentions",
    "geo",
    "source",
    "sentiment",
    "reply_to",
    "url",
];
const USER: [&str; 6] = [
    "id",
    "screen_name",
    "name",
    "followers",
    "verified",
    "location",
];
const METRICS: [&str; 4] = ["likes", "shares", "comments", "views"];
const GEO: [&str; 3] = ["country", "lat", "lon"];
const MENTION: [&str; 2] = ["id", "screen_name"];

/// Keys by which the shapes of the networks differ from this one.
const NETWORK_KEYS: [&str; 24] = [
    "favorite_count",
    "tweet",
    "id_str",
    "full_text",
    "retweet_count",
    "statuses",
    "data",
    "includes",
    "author_id",
    "public_metrics",
    "edit_history_tweet_ids",
    "conversation_id",
    "referenced_tweets",
    "account",
    "content",
    "favourites_count",
    "reblogs_count",
    "reblog",
    "kind",
    "subreddit",
    "created_utc",
    "permalink",
    "selftext",
    "errors",
];

/// Reads posts; remembers in which order their keys come.
pub(super) struct PlainReader {
    top: KeyTable,
    user: KeyTable,
    metrics: KeyTable,
    geo: KeyTable,
    mention: KeyTable,
    /// Per unknown key of the top level: whether it is one of [`NETWORK_KEYS`].
    network: Vec<bool>,
}

type Result<T, E = PostFault> = std::result::Result<T, E>;

impl PlainReader {
    /// A reader that has seen nothing yet.
    pub(super) fn new() -> Self {
        PlainReader {
            top: KeyTable::new(TOP),
            user: KeyTable::new(USER),
            metrics: KeyTable::new(METRICS),
            geo: KeyTable::new(GEO),
            mention: KeyTable::new(MENTION),
            network: Vec::new(),
        }
    }

    /// Reads a post into `post`, which is overwritten. With `settled` the shape is known to be this
    /// one; without, a key of another shape ends the reading with `OtherShape`.
    pub(super) fn read<'a>(
        &mut self,
        json: &'a [u8],
        settled: bool,
        post: &mut Post<'a>,
    ) -> Result<()> {
        // The lists' memory is used again from post to post.
        let emptied = |list: &mut Option<Vec<Text<'a>>>| {
            let mut list = list.take().unwrap_or_default();
            list.clear();
            list
        };
        let mut tags = emptied(&mut post.hashtags);
        let mut mentioned = (emptied(&mut post.mentions), emptied(&mut post.mention_ids));
        *post = Post {
            platform: "other",
            ..Post::default()
        };
        let cursor = &mut Cursor::replacing(json);
        cursor.enter_object()?;
        self.top.begin();
        loop {
            let key = match self.top.next(cursor)? {
                Member::Key(key) => key,
                Member::Other => usize::MAX,
                Member::End => break,
            };
            match key {
                0 => post.post_id = id(cursor, Field::PostId)?,
                1 => post.created_at = timestamp(cursor)?,
                2 => post.text = text(cursor, Field::Text)?,
                3 => post.language = text(cursor, Field::Language)?,
                4 => self.read_user(cursor, post)?,
                5 => self.read_metrics(cursor, post)?,
                6 => {
                    if array(cursor, Field::Hashtags)? {
                        while cursor.next_element(tags.is_empty())? {
                            match text(cursor, Field::Hashtags)? {
                                Some(tag) => tags.push(tag),
                                None => return Err(refused(Field::Hashtags, "a text", b"null")),
                            }
                        }
                        post.hashtags = Some(std::mem::take(&mut tags));
                    }
                }
                7 => {
                    if array(cursor, Field::Mentions)? {
                        self.read_mentions(cursor, post, std::mem::take(&mut mentioned))?;
                    }
                }
                8 => self.read_geo(cursor, post)?,
                9 => post.source_app = text(cursor, Field::SourceApp)?,
                10 => read_sentiment(cursor, post)?,
                11 => post.reply_to_id = id(cursor, Field::ReplyToId)?,
                12 => post.url = text(cursor, Field::Url)?,
                _ => {
                    if !settled && self.is_network_key(key) {
                        return Err(PostFault::OtherShape);
                    }
                    cursor.skip_value()?;
                    post.has_more = true;
                }
            }
        }
        cursor.finish()?;
        post.check()
    }

    fn is_network_key(&mut self, key: usize) -> bool {
        let Some(number) = key.checked_sub(TOP.len()).filter(|_| key != usize::MAX) else {
            return false;
        };
        while self.network.len() <= number {
            let name = self.top.name(TOP.len() + self.network.len());
            self.network.push(NETWORK_KEYS.contains(&name));
        }
        self.network.get(number).copied().unwrap_or(false)
    }

    fn read_user<'a>(&mut self, cursor: &mut Cursor<'a>, post: &mut Post<'a>) -> Result<()> {
        if !object(cursor, Field::AuthorId)? {
            return Ok(());
        }
        self.user.begin();
        loop {
            match self.user.next(cursor)? {
                Member::Key(0) => post.author_id = id(cursor, Field::AuthorId)?,
                Member::Key(1) => post.author_handle = text(cursor, Field::AuthorHandle)?,
                Member::Key(2) => post.author_name = text(cursor, Field::AuthorName)?,
                Member::Key(3) => post.author_followers = count(cursor, Field::AuthorFollowers)?,
                Member::Key(4) => post.author_verified = boolean(cursor, Field::AuthorVerified)?,
                Member::Key(5) => post.author_location = text(cursor, Field::AuthorLocation)?,
                Member::Key(_) | Member::Other => skip(cursor, post)?,
                Member::End => return Ok(()),
            }
        }
    }

    fn read_metrics<'a>(&mut self, cursor: &mut Cursor<'a>, post: &mut Post<'a>) -> Result<()> {
        if !object(cursor, Field::LikeCount)? {
            return Ok(());
        }
        self.metrics.begin();
        loop {
            match self.metrics.next(cursor)? {
                Member::Key(0) => post.like_count = count(cursor, Field::LikeCount)?,
                Member::Key(1) => post.share_count = count(cursor, Field::ShareCount)?,
                Member::Key(2) => post.reply_count = count(cursor, Field::ReplyCount)?,
                Member::Key(3) => post.view_count = count(cursor, Field::ViewCount)?,
                Member::Key(_) | Member::Other => skip(cursor, post)?,
                Member::End => return Ok(()),
            }
        }
    }

    fn read_geo<'a>(&mut self, cursor: &mut Cursor<'a>, post: &mut Post<'a>) -> Result<()> {
        if !object(cursor, Field::Country)? {
            return Ok(());
        }
        self.geo.begin();
        loop {
            match self.geo.next(cursor)? {
                Member::Key(0) => post.country = text(cursor, Field::Country)?,
                Member::Key(1) => post.latitude = double(cursor, Field::Latitude)?,
                Member::Key(2) => post.longitude = double(cursor, Field::Longitude)?,
                Member::Key(_) | Member::Other => skip(cursor, post)?,
                Member::End => return Ok(()),
            }
        }
    }

    fn read_mentions<'a>(
        &mut self,
        cursor: &mut Cursor<'a>,
        post: &mut Post<'a>,
        (mut handles, mut ids): (Vec<Text<'a>>, Vec<Text<'a>>),
    ) -> Result<()> {
        let mut first = true;
        while cursor.next_element(first)? {
            first = false;
            if !object(cursor, Field::Mentions)? {
                return Err(refused(Field::Mentions, "an object", b"null"));
            }
            self.mention.begin();
            loop {
                match self.mention.next(cursor)? {
                    Member::Key(0) => ids.extend(id(cursor, Field::MentionIds)?),
                    Member::Key(1) => handles.extend(text(cursor, Field::Mentions)?),
                    Member::Key(_) | Member::Other => skip(cursor, post)?,
                    Member::End => break,
                }
            }
        }
        post.mentions = Some(handles);
        post.mention_ids = Some(ids);
        Ok(())
    }
}

fn skip(cursor: &mut Cursor<'_>, post: &mut Post<'_>) -> Result<()> {
    cursor.skip_value()?;
    post.has_more = true;
    Ok(())
}

/// A score outside -1 to 1 is none of ours; the post keeps it in its JSON.
fn read_sentiment(cursor: &mut Cursor<'_>, post: &mut Post<'_>) -> Result<()> {
    match cursor.peek() {
        b'-' | b'0'..=b'9' => {
            let score = cursor.number()?.as_f64();
            post.sentiment = Some(score).filter(|score| (-1.0..=1.0).contains(score));
            post.has_more |= post.sentiment.is_none();
        }
        b'n' => cursor.null()?,
        _ => skip(cursor, post)?,
    }
    Ok(())
}

#[cold]
fn refused(field: Field, expected: &'static str, found: &[u8]) -> PostFault {
    PostFault::Value(field, Reason::mismatch(expected, shortened(found)))
}

/// The fault of a value of another type, or of no value at all.
#[cold]
fn other_type(cursor: &mut Cursor<'_>, field: Field, expected: &'static str) -> PostFault {
    match cursor.skip_value() {
        Ok(found) => refused(field, expected, found),
        Err(error) => error.into(),
    }
}

/// Takes `null`, which says nothing, or refuses a value of another type.
#[inline]
fn nothing<T>(cursor: &mut Cursor<'_>, field: Field, expected: &'static str) -> Result<Option<T>> {
    if cursor.peek() == b'n' {
        cursor.null()?;
        return Ok(None);
    }
    Err(other_type(cursor, field, expected))
}

#[inline]
fn object(cursor: &mut Cursor<'_>, field: Field) -> Result<bool> {
    if cursor.peek() == b'{' {
        cursor.enter_object()?;
        return Ok(true);
    }
    nothing::<()>(cursor, field, "an object").map(|_| false)
}

#[inline]
fn array(cursor: &mut Cursor<'_>, field: Field) -> Result<bool> {
    if cursor.peek() == b'[' {
        cursor.enter_array()?;
        return Ok(true);
    }
    nothing::<()>(cursor, field, "a list").map(|_| false)
}

#[inline]
fn text<'a>(cursor: &mut Cursor<'a>, field: Field) -> Result<Option<Text<'a>>> {
    if cursor.peek() == b'"' {
        Ok(Some(Text::Raw(cursor.string()?)))
    } else {
        nothing(cursor, field, "a text")
    }
}

#[inline]
fn id<'a>(cursor: &mut Cursor<'a>, field: Field) -> Result<Option<Text<'a>>> {
    match cursor.peek() {
        b'"' => Ok(Some(Text::Raw(cursor.string()?))),
        b'-' | b'0'..=b'9' => {
            if let Some((_, digits)) = cursor.small_whole() {
                return Ok(Some(Text::plain(digits)));
            }
            let number = cursor.number()?;
            if number.is_digits() {
                Ok(Some(Text::plain(number.text)))
            } else {
                Err(refused(field, "an id", number.text))
            }
        }
        _ => nothing(cursor, field, "an id"),
    }
}

#[inline]
fn count(cursor: &mut Cursor<'_>, field: Field) -> Result<Option<i64>> {
    if let Some((whole, _)) = cursor.small_whole() {
        return Ok(Some(whole));
    }
    match cursor.peek() {
        b'-' | b'0'..=b'9' => {
            let number = cursor.number()?;
            let whole = number.scaled(0);
            whole
                .map(Some)
                .ok_or_else(|| refused(field, "a whole number of at most 64 bits", number.text))
        }
        b'"' => quoted_count(cursor, field),
        _ => nothing(cursor, field, "a whole number"),
    }
}

/// A whole number in quotes.
#[cold]
fn quoted_count(cursor: &mut Cursor<'_>, field: Field) -> Result<Option<i64>> {
    let text = cursor.string()?.raw;
    let number = Number::read(text).ok();
    let whole = number
        .filter(|number| number.text.len() == text.len())
        .and_then(|number| number.scaled(0));
    whole
        .map(Some)
        .ok_or_else(|| refused(field, "a whole number", text))
}

#[inline]
fn double(cursor: &mut Cursor<'_>, field: Field) -> Result<Option<f64>> {
    match cursor.peek() {
        b'-' | b'0'..=b'9' => {
            let number = cursor.number()?;
            let value = Some(number.as_f64()).filter(|value| value.is_finite());
            if value.is_some() {
                Ok(value)
            } else {
                Err(refused(
                    field,
                    "a 64-bit floating point number",
                    number.text,
                ))
            }
        }
        _ => nothing(cursor, field, "a number"),
    }
}

#[inline]
fn boolean(cursor: &mut Cursor<'_>, field: Field) -> Result<Option<bool>> {
    match cursor.peek() {
        b't' | b'f' => Ok(Some(cursor.boolean()?)),
        _ => nothing(cursor, field, "true or false"),
    }
}

#[inline]
fn timestamp(cursor: &mut Cursor<'_>) -> Result<Option<i64>> {
    if cursor.peek() != b'"' {
        return nothing(
            cursor,
            Field::CreatedAt,
            "a time such as 2026-01-31T10:00:00Z",
        );
    }
    let written = cursor.string()?;
    let mut scratch = Vec::new();
    let written = written.text(&mut scratch);
    match time::timestamp(written) {
        Ok(micros) => Ok(Some(micros)),
        Err(time::Fault::Form) => Err(refused(
            Field::CreatedAt,
            "a time such as 2026-01-31T10:00:00Z",
            written,
        )),
        Err(_) => Err(refused(
            Field::CreatedAt,
            "a day and time of the calendar",
            written,
        )),
    }
}
