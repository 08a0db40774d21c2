//! Posts about the shop, in the shapes that four interfaces give: X v1.1 and v2, Mastodon, Reddit.

use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use tarn_core::{Error, Result};

use super::dice::{Dice, Purpose, split};
use super::output::Output;
use super::shop::Shop;
use super::social_text::{Text, text};
use super::{Generated, Kind, Plan, Progress, moment};

/// A shape, and with it a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Shape {
    XV1,
    XV2,
    Mastodon,
    Reddit,
}

use Shape::{Mastodon, Reddit, XV1, XV2};

/// The shapes of consecutive posts: each has its share in every 20.
const SHAPES: [Shape; 20] = [
    XV2, Mastodon, Reddit, XV1, XV2, XV2, Mastodon, Reddit, XV2, XV1, XV2, Mastodon, Reddit, XV2,
    Mastodon, Reddit, XV1, XV2, Mastodon, Reddit,
];

/// Days whose posts of one shape are in one file.
const DAYS_PER_FILE: u32 = 7;

/// Milliseconds since 1970 at which X and Mastodon begin to count in their identifiers.
const X_EPOCH: i64 = 1_288_834_974_657;

/// Who writes.
struct Author {
    id: i64,
    handle: String,
    name: String,
    followers: i64,
    verified: bool,
    location: Option<&'static str>,
}

/// A post before it has a shape.
struct Post {
    number: i64,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    ts: i64,
    /// Differs among posts of one millisecond.
    salt: i64,
    author: Author,
    text: Text,
    likes: i64,
    shares: i64,
    replies: i64,
    views: i64,
}

const FIRST: [&str; 12] = [
    "Alex", "Yuki", "Zoë", "Jürgen", "Priya", "Mateo", "Anaïs", "Olu", "Kim", "Łucja", "Sam",
    "Noor",
];
const LOCATIONS: [Option<&str>; 7] = [
    None,
    None,
    Some("Berlin"),
    Some("Paris, France"),
    Some("NYC 🗽"),
    Some("somewhere else"),
    Some("東京"),
];

fn author(dice: &mut Dice) -> Author {
    let number = dice.skewed_index(400);
    let first = FIRST[number % FIRST.len()];
    Author {
        id: 20_000_000 + number as i64 * 7_919,
        handle: format!("{}_{number}", ["style", "mood", "daily", "the"][number % 4]),
        name: format!("{first} {}", ["✨", "K.", "", "Müller"][number % 4])
            .trim_end()
            .to_owned(),
        followers: (number as i64 * 7_901) % 48_000,
        verified: number % 17 == 3,
        location: LOCATIONS[number % LOCATIONS.len()],
    }
}

/// Writes `social/posts/<shape>-<first date>.…`, one file per shape and week.
pub(super) fn write(plan: &Plan, shop: &Shop, progress: Progress<'_>) -> Result<Vec<Generated>> {
    let mut dice = Dice::new(plan.seed, Purpose::Social);
    let mut weeks: BTreeMap<(u32, Shape), Vec<Post>> = BTreeMap::new();
    let mut number = 0;
    for (day, count) in (0..plan.days).zip(split(plan.count(600), &plan.day_weights())) {
        let midnight = plan.midnight(day);
        let mut times: Vec<i64> = (0..count)
            .map(|_| moment(&mut dice, midnight) * 1_000 + dice.between(0, 999))
            .collect();
        times.sort_unstable();
        for ts in times {
            let shape = SHAPES[number as usize % SHAPES.len()];
            number += 1;
            let likes = dice.skewed_index(900) as i64;
            let post = Post {
                number,
                ts,
                salt: dice.between(0, 0xffff),
                author: author(&mut dice),
                text: text(&mut dice, shop),
                likes,
                shares: likes * dice.between(0, 40) / 100,
                replies: likes * dice.between(0, 25) / 100,
                views: likes * dice.between(20, 90) + dice.between(3, 400),
            };
            weeks
                .entry((day / DAYS_PER_FILE, shape))
                .or_default()
                .push(post);
        }
    }
    let mut files = Vec::new();
    let mut total = 0;
    for ((week, shape), posts) in weeks {
        let file = write_week(plan, week, shape, &posts)?;
        total += file.rows;
        progress(Kind::SocialPosts.as_str(), total);
        files.push(file);
    }
    Ok(files)
}

fn write_week(plan: &Plan, week: u32, shape: Shape, posts: &[Post]) -> Result<Generated> {
    let date = plan.date(week * DAYS_PER_FILE).format("%Y-%m-%d");
    let name = match shape {
        XV1 => format!("x-v1-{date}.json"),
        XV2 => format!("x-v2-{date}.ndjson"),
        Mastodon => format!("mastodon-{date}.json"),
        Reddit => format!("reddit-{date}.json.gz"),
    };
    let path = plan.out.join("social/posts").join(name);
    let mut output = Output::create(&path)?;
    let mut defects = 0;
    match shape {
        XV1 => write_array(&mut output, posts.iter().map(x_v1))?,
        XV2 => {
            let middle = posts.len() / 2;
            for (index, post) in posts.iter().enumerate() {
                let mut line = as_text(&x_v2(post))?;
                // One that was cut off on its way, where there are enough others.
                if index == middle && posts.len() > 10 {
                    line = line.chars().take(line.chars().count() / 2).collect();
                    defects += 1;
                }
                output.line(&line)?;
            }
        }
        Mastodon => {
            let last = posts.len() - 1;
            let values = posts.iter().enumerate().map(|(index, post)| {
                let mut value = mastodon(post);
                // A post whose time is not a time.
                if index == last && posts.len() > 10 {
                    value["created_at"] = Value::from("yesterday");
                    defects += 1;
                }
                value
            });
            write_array(&mut output, values)?;
        }
        Reddit => {
            let children: Vec<Value> = posts.iter().map(reddit).collect();
            let listing = json!({"kind": "Listing", "data": {"after": null, "dist": children.len(), "modhash": "", "geo_filter": "", "children": children, "before": null}});
            output.line(&as_text(&listing)?)?;
        }
    }
    output.finish()?;
    Ok(Generated {
        path,
        kind: Kind::SocialPosts,
        rows: posts.len() as u64,
        defects,
        duplicates: 0,
    })
}

fn as_text(value: &Value) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|error| Error::internal("a post cannot be written as JSON").with_source(error))
}

/// An array with one element per line.
fn write_array(output: &mut Output, values: impl Iterator<Item = Value>) -> Result<()> {
    for (index, value) in values.enumerate() {
        output.write(if index == 0 { b"[\n" } else { b",\n" })?;
        output.write(as_text(&value)?.as_bytes())?;
    }
    output.line("\n]")
}

impl Post {
    fn time(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.ts).unwrap_or_default()
    }

    fn rfc3339(&self) -> String {
        self.time().to_rfc3339_opts(SecondsFormat::Millis, true)
    }

    /// An X identifier: milliseconds in front, so that a later post has a greater one.
    fn x_id(&self) -> i64 {
        ((self.ts - X_EPOCH).max(0) << 22) | (self.salt << 6) | (self.number & 0x3f)
    }

    /// Where `mark` and `word` are in the text, in characters.
    fn span(&self, mark: char, word: &str) -> (usize, usize) {
        let found = self
            .text
            .text
            .find(&format!("{mark}{word}"))
            .unwrap_or_default();
        let begin = self
            .text
            .text
            .get(..found)
            .unwrap_or_default()
            .chars()
            .count();
        (begin, begin + 1 + word.chars().count())
    }
}

/// An identifier for an account that somebody mentions.
fn mentioned_id(handle: &str) -> i64 {
    30_000_000
        + handle
            .bytes()
            .fold(0, |sum, byte| (sum * 31 + i64::from(byte)) % 9_000_011)
}

fn x_v1(post: &Post) -> Value {
    let Post { author, text, .. } = post;
    let hashtags: Vec<Value> = text
        .hashtags
        .iter()
        .map(|tag| {
            let (begin, end) = post.span('#', tag);
            json!({"text": tag, "indices": [begin, end]})
        })
        .collect();
    let mentions: Vec<Value> = text
        .mentions
        .iter()
        .map(|handle| {
            let (begin, end) = post.span('@', handle);
            let id = mentioned_id(handle);
            json!({"screen_name": handle, "name": handle, "id": id, "id_str": id.to_string(), "indices": [begin, end]})
        })
        .collect();
    let place = (post.number % 5 == 0).then(|| json!({"id": "3078869807f9dd36", "place_type": "city", "name": "Berlin", "full_name": "Berlin, Germany", "country_code": "DE", "country": "Germany"}));
    let coordinates =
        (post.number % 5 == 0).then(|| json!({"type": "Point", "coordinates": [13.405, 52.52]}));
    json!({
        "created_at": post.time().format("%a %b %d %H:%M:%S +0000 %Y").to_string(),
        "id": post.x_id(),
        "id_str": post.x_id().to_string(),
        "full_text": text.text,
        "truncated": false,
        "entities": {"hashtags": hashtags, "symbols": [], "user_mentions": mentions, "urls": []},
        "source": "<a href=\"https://mobile.twitter.com\" rel=\"nofollow\">Twitter Web App</a>",
        "in_reply_to_status_id": null,
        "in_reply_to_status_id_str": null,
        "user": {
            "id": author.id,
            "id_str": author.id.to_string(),
            "name": author.name,
            "screen_name": author.handle,
            "location": author.location.unwrap_or_default(),
            "followers_count": author.followers,
            "friends_count": author.followers / 3,
            "verified": author.verified
        },
        "coordinates": coordinates,
        "place": place,
        "is_quote_status": false,
        "retweet_count": post.shares,
        "favorite_count": post.likes,
        "favorited": false,
        "retweeted": false,
        "lang": text.language
    })
}

fn x_v2(post: &Post) -> Value {
    let Post { author, text, .. } = post;
    let hashtags: Vec<Value> = text
        .hashtags
        .iter()
        .map(|tag| {
            let (start, end) = post.span('#', tag);
            json!({"start": start, "end": end, "tag": tag})
        })
        .collect();
    let mentions: Vec<Value> = text
        .mentions
        .iter()
        .map(|handle| {
            let (start, end) = post.span('@', handle);
            json!({"start": start, "end": end, "username": handle, "id": mentioned_id(handle).to_string()})
        })
        .collect();
    let id = post.x_id().to_string();
    let mut user = json!({
        "id": author.id.to_string(),
        "name": author.name,
        "username": author.handle,
        "verified": author.verified,
        "public_metrics": {"followers_count": author.followers, "following_count": author.followers / 3, "tweet_count": 512, "listed_count": 2}
    });
    if let Some(location) = author.location {
        user["location"] = Value::from(location);
    }
    json!({
        "data": {
            "author_id": author.id.to_string(),
            "conversation_id": id,
            "created_at": post.rfc3339(),
            "edit_history_tweet_ids": [id],
            "entities": {"hashtags": hashtags, "mentions": mentions},
            "id": id,
            "lang": text.language,
            "possibly_sensitive": false,
            "public_metrics": {
                "retweet_count": post.shares,
                "reply_count": post.replies,
                "like_count": post.likes,
                "quote_count": post.shares / 5,
                "bookmark_count": post.likes / 9,
                "impression_count": post.views
            },
            "text": text.text
        },
        "includes": {"users": [user]},
        "matching_rules": [{"id": "1872400000000000001", "tag": "tarnshop"}]
    })
}

fn escape_html(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\n', "<br />")
}

fn mastodon(post: &Post) -> Value {
    const SITE: &str = "https://mastodon.example";
    let Post { author, text, .. } = post;
    let id = ((post.ts << 16) | post.salt).to_string();
    let mut content = escape_html(&text.text);
    for tag in &text.hashtags {
        let link = format!(
            "<a href=\"{SITE}/tags/{tag}\" class=\"mention hashtag\" rel=\"tag\">#<span>{tag}</span></a>"
        );
        content = content.replace(&format!("#{tag}"), &link);
    }
    let tags: Vec<Value> = text
        .hashtags
        .iter()
        .map(|tag| json!({"name": tag.to_lowercase(), "url": format!("{SITE}/tags/{tag}")}))
        .collect();
    let mentions: Vec<Value> = text
        .mentions
        .iter()
        .map(|handle| json!({"id": mentioned_id(handle).to_string(), "username": handle, "url": format!("{SITE}/@{handle}"), "acct": handle}))
        .collect();
    let url = format!("{SITE}/@{}/{id}", author.handle);
    json!({
        "id": id,
        "created_at": post.rfc3339(),
        "in_reply_to_id": null,
        "in_reply_to_account_id": null,
        "sensitive": false,
        "spoiler_text": "",
        "visibility": "public",
        "language": text.language,
        "uri": format!("{SITE}/users/{}/statuses/{id}", author.handle),
        "url": url,
        "replies_count": post.replies,
        "reblogs_count": post.shares,
        "favourites_count": post.likes,
        "edited_at": null,
        "content": format!("<p>{content}</p>"),
        "reblog": null,
        "application": {"name": "Web", "website": null},
        "account": {
            "id": author.id.to_string(),
            "username": author.handle,
            "acct": author.handle,
            "display_name": author.name,
            "locked": false,
            "bot": false,
            "url": format!("{SITE}/@{}", author.handle),
            "followers_count": author.followers,
            "following_count": author.followers / 3,
            "statuses_count": 512
        },
        "media_attachments": [],
        "mentions": mentions,
        "tags": tags,
        "emojis": [],
        "card": null,
        "poll": null
    })
}

/// A number in base 36, as Reddit writes identifiers.
fn base36(mut number: i64) -> String {
    let mut digits = Vec::new();
    while number > 0 {
        digits.push(char::from_digit((number % 36) as u32, 36).unwrap_or('0'));
        number /= 36;
    }
    digits.iter().rev().collect()
}

fn reddit(post: &Post) -> Value {
    let Post { author, text, .. } = post;
    // One in three is a comment.
    let comment = post.number % 3 == 0;
    let id = base36(3_000_000_000 + post.number * 37);
    let subreddit = [
        "malefashionadvice",
        "BuyItForLife",
        "femalefashionadvice",
        "onlineshopping",
    ][(post.number % 4) as usize];
    let created = post.ts / 1_000;
    let mut data = json!({
        "id": id,
        "name": format!("{}_{id}", if comment { "t1" } else { "t3" }),
        "subreddit": subreddit,
        "subreddit_name_prefixed": format!("r/{subreddit}"),
        "author": author.handle,
        "author_fullname": format!("t2_{}", base36(author.id)),
        "created": created as f64,
        "created_utc": created as f64,
        "score": post.likes - post.replies,
        "ups": post.likes,
        "edited": false
    });
    if comment {
        let parent = base36(2_999_000_000 + post.number);
        data["body"] = Value::from(text.text.as_str());
        data["parent_id"] = Value::from(format!("t3_{parent}"));
        data["link_id"] = Value::from(format!("t3_{parent}"));
        data["permalink"] = Value::from(format!("/r/{subreddit}/comments/{parent}/_/{id}/"));
        data["replies"] = Value::from("");
    } else {
        data["title"] = Value::from(text.text.lines().next().unwrap_or_default());
        data["selftext"] = Value::from(text.text.as_str());
        data["is_self"] = Value::from(true);
        data["num_comments"] = Value::from(post.replies);
        data["upvote_ratio"] = Value::from(0.5 + (post.likes % 50) as f64 / 100.0);
        data["permalink"] = Value::from(format!("/r/{subreddit}/comments/{id}/_/"));
        data["url"] = Value::from(format!(
            "https://www.reddit.com/r/{subreddit}/comments/{id}/_/"
        ));
    }
    json!({"kind": if comment { "t1" } else { "t3" }, "data": data})
}
