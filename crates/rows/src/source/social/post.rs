//! A post, whichever platform's shape it came in, and the columns it is written to.

use std::borrow::Cow;

use tarn_contract::{Column, Encoding};
use tarn_core::schema::ColumnType;
use tarn_core::{Error, ErrorKind, Result};

use super::sentiment::{Scored, Sentiment};
use crate::column::{ColumnData, Plain};
use crate::reason::Reason;
use crate::source::json::error::JsonError;
use crate::source::json::keys::KeyError;
use crate::source::json::string::Str;
use crate::source::value::Decoder;

/// A text of a post: as it is in the JSON, or made from it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Text<'a> {
    /// As it is between its quotes, or the digits of a number.
    Raw(Str<'a>),
    /// Unescaped or composed.
    Made(String),
}

impl<'a> Text<'a> {
    /// Digits or another text without escapes.
    pub(super) fn plain(raw: &'a [u8]) -> Self {
        Text::Raw(Str {
            raw,
            escaped: false,
        })
    }

    /// The text's bytes, UTF-8; `scratch` may hold them.
    pub(super) fn bytes<'s>(&'s self, scratch: &'s mut Vec<u8>) -> &'s [u8] {
        match self {
            Text::Raw(string) => string.text(scratch),
            Text::Made(text) => text.as_bytes(),
        }
    }
}

impl<'a> From<Cow<'a, str>> for Text<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        match text {
            Cow::Borrowed(text) => Text::plain(text.as_bytes()),
            Cow::Owned(text) => Text::Made(text),
        }
    }
}

/// What a post says; None is what it does not say.
#[derive(Debug, Clone, Default)]
pub(super) struct Post<'a> {
    /// `x`, `mastodon`, `reddit` or `other`.
    pub platform: &'static str,
    /// The host of its server, in lower case, where its platform has many of them.
    pub server: Option<Text<'a>>,
    /// Its identifier on the platform.
    pub post_id: Option<Text<'a>>,
    /// Microseconds since 1970-01-01T00:00:00Z.
    pub created_at: Option<i64>,
    /// The author's identifier.
    pub author_id: Option<Text<'a>>,
    /// The name by which the author is mentioned.
    pub author_handle: Option<Text<'a>>,
    /// The name that the author shows.
    pub author_name: Option<Text<'a>>,
    /// Followers of the author.
    pub author_followers: Option<i64>,
    /// Whether the platform calls the author verified.
    pub author_verified: Option<bool>,
    /// Where the author says to be.
    pub author_location: Option<Text<'a>>,
    /// What the author wrote.
    pub text: Option<Text<'a>>,
    /// The language, as the platform says.
    pub language: Option<Text<'a>>,
    /// Likes, favourites or score.
    pub like_count: Option<i64>,
    /// Shares, retweets or boosts.
    pub share_count: Option<i64>,
    /// Replies.
    pub reply_count: Option<i64>,
    /// Views.
    pub view_count: Option<i64>,
    /// Hashtags without the number sign.
    pub hashtags: Option<Vec<Text<'a>>>,
    /// Handles of those it mentions.
    pub mentions: Option<Vec<Text<'a>>>,
    /// Identifiers of those it mentions.
    pub mention_ids: Option<Vec<Text<'a>>>,
    /// The country of its place, as the platform writes it.
    pub country: Option<Text<'a>>,
    /// Degrees, WGS 84.
    pub latitude: Option<f64>,
    /// Degrees, WGS 84.
    pub longitude: Option<f64>,
    /// The program it was written with.
    pub source_app: Option<Text<'a>>,
    /// The post that it answers.
    pub reply_to_id: Option<Text<'a>>,
    /// Its address.
    pub url: Option<Text<'a>>,
    /// From -1 to 1, where the post itself has one.
    pub sentiment: Option<f64>,
    /// Whether the columns cannot hold all that the post says.
    pub has_more: bool,
}

/// Why something is not a post.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum PostFault {
    /// It cannot be read, or is not a post of a known shape.
    Parse(Reason),
    /// A field has a value that its column cannot hold.
    Value(Field, Reason),
    /// It has keys or values that the shape at hand does not have.
    OtherShape,
}

impl From<JsonError> for PostFault {
    #[cold]
    fn from(error: JsonError) -> Self {
        PostFault::Parse(format!("not JSON: {error}").into())
    }
}

impl From<KeyError> for PostFault {
    #[cold]
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Json(error) => error.into(),
            KeyError::Duplicate(key) => PostFault::Parse(Reason::repeated_key(&key)),
        }
    }
}

impl Post<'_> {
    /// Checks that the post has what every post must have.
    pub(super) fn check(&self) -> std::result::Result<(), PostFault> {
        if self.post_id.is_none() {
            return Err(PostFault::Parse("the post has no id".into()));
        }
        if self.created_at.is_none() {
            return Err(PostFault::Parse("the post has no time of creation".into()));
        }
        Ok(())
    }
}

macro_rules! fields {
    ($($field:ident $name:literal $ty:ident,)*) => {
        /// A field of a post that a contract may ask for by its name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Field { $(#[doc = concat!("`", $name, "`")] $field,)* }

        impl Field {
            /// Every field, its name and its type.
            pub const ALL: &'static [(Field, &'static str, ColumnType)] =
                &[$((Field::$field, $name, ColumnType::$ty),)*];
        }
    };
}

fields! {
    PostId "post_id" String,
    Platform "platform" String,
    Server "server" String,
    CreatedAt "created_at" Timestamp,
    AuthorId "author_id" String,
    AuthorHandle "author_handle" String,
    AuthorName "author_name" String,
    AuthorFollowers "author_followers" Long,
    AuthorVerified "author_verified" Boolean,
    AuthorLocation "author_location" String,
    Text "text" String,
    Language "language" String,
    LikeCount "like_count" Long,
    ShareCount "share_count" Long,
    ReplyCount "reply_count" Long,
    ViewCount "view_count" Long,
    Hashtags "hashtags" StringList,
    Mentions "mentions" StringList,
    MentionIds "mention_ids" StringList,
    Country "country" String,
    Latitude "latitude" Double,
    Longitude "longitude" Double,
    SourceApp "source_app" String,
    ReplyToId "reply_to_id" String,
    Url "url" String,
    Sentiment "sentiment" Double,
    SentimentSource "sentiment_source" String,
    RawJson "raw_json" String,
}

/// Where a post's fields go.
pub(super) struct Columns {
    fields: Vec<(Field, Decoder)>,
    /// Where the contract asks for sentiment.
    sentiment: Option<Sentiment>,
    scratch: Vec<u8>,
}

impl Columns {
    /// The fields that a contract's columns ask for by their source names.
    ///
    /// # Errors
    /// `BadContract` for a column that posts do not have, or have with another type.
    pub(super) fn new(columns: &[Column]) -> Result<Self> {
        let mut fields = Vec::with_capacity(columns.len());
        for column in columns {
            let wrong = |what: String| {
                Error::new(
                    ErrorKind::BadContract,
                    format!("column {}: {what}", column.name),
                )
            };
            let Some((field, _, ty)) = Field::ALL
                .iter()
                .find(|(_, name, _)| *name == column.source_name)
            else {
                let names: Vec<&str> = Field::ALL.iter().map(|(_, name, _)| *name).collect();
                return Err(wrong(format!(
                    "a post has no field {}; it has {}",
                    column.source_name,
                    names.join(", ")
                )));
            };
            if column.ty != *ty || column.encoding != Encoding::Natural {
                return Err(wrong(format!(
                    "its type must be {ty} in its natural encoding, not {}",
                    column.ty
                )));
            }
            fields.push((*field, Decoder::new(column)?));
        }
        let asked = fields
            .iter()
            .any(|(field, _)| matches!(field, Field::Sentiment | Field::SentimentSource));
        Ok(Columns {
            fields,
            sentiment: asked.then(Sentiment::new),
            scratch: Vec::new(),
        })
    }

    /// The index of the column that a field goes to.
    pub(crate) fn index_of(&self, field: Field) -> Option<usize> {
        self.fields.iter().position(|(other, _)| *other == field)
    }

    /// Appends a post that was checked; `raw` is its JSON as received.
    pub(super) fn push(&mut self, post: &Post<'_>, raw: &[u8], columns: &mut [ColumnData]) {
        let scratch = &mut self.scratch;
        let (sentiment, source) = match (post.sentiment, &self.sentiment) {
            (Some(score), _) => (Some(score), Some("provided")),
            (None, Some(sentiment)) => match scored(sentiment, post) {
                Scored::Score(score) => (Some(score), Some("vader")),
                Scored::OtherLanguage => (None, Some("other_language")),
                Scored::Nothing => (None, None),
            },
            (None, None) => (None, None),
        };
        for ((field, decoder), data) in self.fields.iter().zip(columns) {
            match field {
                Field::PostId => text(decoder, data, post.post_id.as_ref(), scratch),
                Field::Platform => bytes(decoder, data, Some(post.platform.as_bytes())),
                Field::Server => text(decoder, data, post.server.as_ref(), scratch),
                Field::CreatedAt => long(decoder, data, post.created_at),
                Field::AuthorId => text(decoder, data, post.author_id.as_ref(), scratch),
                Field::AuthorHandle => text(decoder, data, post.author_handle.as_ref(), scratch),
                Field::AuthorName => text(decoder, data, post.author_name.as_ref(), scratch),
                Field::AuthorFollowers => long(decoder, data, post.author_followers),
                Field::AuthorVerified => match data {
                    ColumnData::Boolean(data) if post.author_verified.is_some() => {
                        plain(data, post.author_verified)
                    }
                    data => decoder.push_missing(data),
                },
                Field::AuthorLocation => {
                    text(decoder, data, post.author_location.as_ref(), scratch)
                }
                Field::Text => text(decoder, data, post.text.as_ref(), scratch),
                Field::Language => text(decoder, data, post.language.as_ref(), scratch),
                Field::LikeCount => long(decoder, data, post.like_count),
                Field::ShareCount => long(decoder, data, post.share_count),
                Field::ReplyCount => long(decoder, data, post.reply_count),
                Field::ViewCount => long(decoder, data, post.view_count),
                Field::Hashtags => list(decoder, data, post.hashtags.as_deref(), scratch),
                Field::Mentions => list(decoder, data, post.mentions.as_deref(), scratch),
                Field::MentionIds => list(decoder, data, post.mention_ids.as_deref(), scratch),
                Field::Country => text(decoder, data, post.country.as_ref(), scratch),
                Field::Latitude => double(decoder, data, post.latitude),
                Field::Longitude => double(decoder, data, post.longitude),
                Field::SourceApp => text(decoder, data, post.source_app.as_ref(), scratch),
                Field::ReplyToId => text(decoder, data, post.reply_to_id.as_ref(), scratch),
                Field::Url => text(decoder, data, post.url.as_ref(), scratch),
                Field::Sentiment => double(decoder, data, sentiment),
                Field::SentimentSource => bytes(decoder, data, source.map(str::as_bytes)),
                Field::RawJson => bytes(decoder, data, post.has_more.then_some(raw)),
            }
        }
    }
}

fn scored(sentiment: &Sentiment, post: &Post<'_>) -> Scored {
    let (mut text, mut language) = (Vec::new(), Vec::new());
    let Some(written) = &post.text else {
        return Scored::Nothing;
    };
    let written = String::from_utf8_lossy(written.bytes(&mut text));
    let language = post
        .language
        .as_ref()
        .map(|tag| String::from_utf8_lossy(tag.bytes(&mut language)));
    sentiment.score(&written, language.as_deref())
}

#[inline]
fn plain<T: Copy + Default>(data: &mut Plain<T>, value: Option<T>) {
    match value {
        Some(value) => data.push(value),
        None => data.push_null(),
    }
}

#[inline]
fn text(decoder: &Decoder, data: &mut ColumnData, value: Option<&Text<'_>>, scratch: &mut Vec<u8>) {
    bytes(decoder, data, value.map(|text| text.bytes(scratch)));
}

#[inline]
fn bytes(decoder: &Decoder, data: &mut ColumnData, value: Option<&[u8]>) {
    match (data, value) {
        (ColumnData::Text(data), Some(value)) => data.push(value),
        (data, _) => decoder.push_missing(data),
    }
}

#[inline]
fn long(decoder: &Decoder, data: &mut ColumnData, value: Option<i64>) {
    match (data, value) {
        (ColumnData::Long(data), Some(value)) => data.push(value),
        (data, _) => decoder.push_missing(data),
    }
}

#[inline]
fn double(decoder: &Decoder, data: &mut ColumnData, value: Option<f64>) {
    match (data, value) {
        (ColumnData::Double(data), Some(value)) => data.push(value),
        (data, _) => decoder.push_missing(data),
    }
}

#[inline]
fn list(
    decoder: &Decoder,
    data: &mut ColumnData,
    items: Option<&[Text<'_>]>,
    scratch: &mut Vec<u8>,
) {
    match (data, items) {
        (ColumnData::List(data), Some(items)) => {
            items
                .iter()
                .for_each(|item| data.push_item(item.bytes(scratch)));
            data.finish_row();
        }
        (data, _) => decoder.push_missing(data),
    }
}
