//! The columns that formats with a fixed shape provide.

use super::Format;
use super::propose::names::Identifies;
use tarn_core::privacy::Protection;
use tarn_core::schema::ColumnType;

/// A column that a format provides; a contract picks from them by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NaturalColumn {
    /// The column's name, at the source and in the table.
    pub name: &'static str,
    /// Its type.
    pub ty: ColumnType,
    /// Whether every row that can be read has a value.
    pub required: bool,
    /// What it means.
    pub description: &'static str,
}

const fn column(name: &'static str, ty: ColumnType, description: &'static str) -> NaturalColumn {
    NaturalColumn {
        name,
        ty,
        required: false,
        description,
    }
}

const fn always(name: &'static str, ty: ColumnType, description: &'static str) -> NaturalColumn {
    NaturalColumn {
        name,
        ty,
        required: true,
        description,
    }
}

use ColumnType::{Boolean, Double, Int, Long, String as Text, StringList, Timestamp};

/// What a line of an access log says.
pub const ACCESS_LOG: &[NaturalColumn] = &[
    always(
        "event_time",
        Timestamp,
        "When the request was received (UTC)",
    ),
    column(
        "utc_offset_minutes",
        Int,
        "Offset from UTC in which the log wrote the time",
    ),
    column(
        "client_ip",
        Text,
        "Address of the client, IPv4 or IPv6, or its host name if the log has that",
    ),
    column("vhost", Text, "Virtual host that served the request"),
    column("server_port", Int, "Port that served the request"),
    column("ident", Text, "Identity by RFC 1413; rarely known"),
    column("remote_user", Text, "User name of HTTP authentication"),
    column("method", Text, "HTTP method"),
    column("path", Text, "Target of the request without its query"),
    column(
        "query",
        Text,
        "Query of the target without the question mark",
    ),
    column(
        "protocol",
        Text,
        "Protocol and version, for example HTTP/1.1",
    ),
    column(
        "raw_request",
        Text,
        "Request as received; only if it is not METHOD target PROTOCOL",
    ),
    column("status", Int, "HTTP status of the answer"),
    column("bytes", Long, "Size of the answer's body in bytes"),
    column("referer", Text, "Referer header"),
    column("user_agent", Text, "User-Agent header"),
    column("is_bot", Boolean, "Whether the user agent is a known bot"),
    column(
        "forwarded_for",
        Text,
        "Addresses that the request was forwarded for, in quotes after the user agent (nginx's packaged main format)",
    ),
    column(
        "bytes_received",
        Long,
        "Bytes received with headers: the first of two whole numbers after the user agent (Apache's combinedio)",
    ),
    column(
        "bytes_sent",
        Long,
        "Bytes sent with headers: the second of two whole numbers after the user agent (Apache's combinedio)",
    ),
    column(
        "request_time",
        Double,
        "Seconds that the request took: the first number with a decimal point after the user agent",
    ),
];

/// What a social post says, whichever platform's shape it has.
pub const SOCIAL_POSTS: &[NaturalColumn] = &[
    always(
        "post_id",
        Text,
        "Identifier of the post on its platform, and on Mastodon on its server",
    ),
    always("platform", Text, "x, mastodon, reddit or other"),
    column(
        "server",
        Text,
        "Host of the server that a Mastodon post is from, in lower case; null for platforms with one server",
    ),
    always("created_at", Timestamp, "When the post was published (UTC)"),
    column(
        "author_id",
        Text,
        "Identifier of the author on the platform",
    ),
    column(
        "author_handle",
        Text,
        "Name by which the author is mentioned",
    ),
    column("author_name", Text, "Name that the author shows"),
    column(
        "author_followers",
        Long,
        "Followers of the author when the post was collected",
    ),
    column(
        "author_verified",
        Boolean,
        "Whether the platform calls the author verified",
    ),
    column("author_location", Text, "Location as the author wrote it"),
    column("text", Text, "Text of the post"),
    column(
        "language",
        Text,
        "Language according to the platform, an ISO 639 code",
    ),
    column(
        "like_count",
        Long,
        "Likes, favourites or score when the post was collected",
    ),
    column(
        "share_count",
        Long,
        "Shares, retweets or boosts when the post was collected",
    ),
    column("reply_count", Long, "Replies when the post was collected"),
    column("view_count", Long, "Views when the post was collected"),
    column(
        "hashtags",
        StringList,
        "Hashtags without the number sign, in order",
    ),
    column(
        "mentions",
        StringList,
        "Handles that the post mentions, in order",
    ),
    column(
        "mention_ids",
        StringList,
        "Identifiers of the accounts that the post mentions, in order",
    ),
    column(
        "country",
        Text,
        "Country of the place that the post names, as the platform writes it",
    ),
    column("latitude", Double, "Latitude in degrees (WGS 84)"),
    column("longitude", Double, "Longitude in degrees (WGS 84)"),
    column("source_app", Text, "Program the post was written with"),
    column(
        "reply_to_id",
        Text,
        "Identifier of the post that this one answers",
    ),
    column("url", Text, "Address of the post"),
    column(
        "sentiment",
        Double,
        "Sentiment of the text from -1 (negative) to 1 (positive)",
    ),
    column(
        "sentiment_source",
        Text,
        "provided: the source said so; vader: computed by the VADER word list; other_language: not computed, as the text is not, or not surely, in English",
    ),
    column(
        "raw_json",
        Text,
        "Post as received if the columns do not hold all of it; null if they do",
    ),
];

/// The columns that the format provides; None for formats whose columns the contract names freely.
pub fn natural_columns(format: Format) -> Option<&'static [NaturalColumn]> {
    match format {
        Format::AccessLog => Some(ACCESS_LOG),
        Format::SocialPosts => Some(SOCIAL_POSTS),
        Format::JsonLines | Format::Csv | Format::Sqlite => None,
    }
}

/// Whom the values of a column that a format provides point to, and how they are best protected.
pub(super) fn personal(name: &str) -> Option<(Identifies, Protection)> {
    use Identifies::{Directly, Indirectly};
    use Protection::{Drop, Generalise, Pseudonymise, Redact};
    Some(match name {
        "client_ip" => (Directly, Generalise),
        "forwarded_for" => (Directly, Pseudonymise),
        "remote_user" | "author_handle" | "author_name" => (Directly, Pseudonymise),
        "ident" | "author_id" | "author_location" | "mentions" | "mention_ids" | "url" => {
            (Indirectly, Pseudonymise)
        }
        "path" | "query" | "raw_request" | "referer" | "user_agent" | "text" => {
            (Indirectly, Redact)
        }
        // Names of people may be anywhere in it.
        "latitude" | "longitude" | "raw_json" => (Indirectly, Drop),
        _ => return None,
    })
}
