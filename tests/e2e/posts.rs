//! Posts that are collected again and again: the table has the newest of each, once.

use serde_json::{Value, json};

use crate::lake::{Lake, lines, replaced};

/// A status of a Mastodon server, and a tweet: each server has one with this number.
fn status(server: &str, id: u32, likes: u32) -> String {
    let status = json!({
        "id": id.to_string(), "created_at": format!("2026-01-{:02}T23:59:59Z", 1 + id % 20), "content": "<p>-</p>",
        "uri": format!("https://{server}/users/a/statuses/{id}"), "account": {"id": "1", "acct": "a"},
        "reblogs_count": 0, "favourites_count": likes,
    });
    format!("{status}\n")
}

fn tweet(id: u32, likes: u32) -> String {
    let day = 1 + id % 20;
    let tweet = json!({
        "id_str": id.to_string(), "created_at": format!("Thu Jan {day:02} 00:00:00 +0000 2026"), "full_text": "-",
        "user": {"id_str": "1", "screen_name": "a"}, "favorite_count": likes,
    });
    format!("{tweet}\n")
}

/// Posts with these numbers of two servers and of X.
fn file(ids: std::ops::Range<u32>, likes: u32) -> String {
    ids.map(|id| {
        status("one.example", id, likes) + &status("TWO.example", id, likes) + &tweet(id, likes)
    })
    .collect()
}

/// Ingests files in one command; the tables must have what its runs accepted.
fn ingest(lake: &Lake, files: &[&std::path::Path]) -> Vec<Value> {
    let mut command = lake.command();
    let command = command.args(["--json", "ingest", "--to", "social/posts"]);
    let output = command.args(files).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    let records = lines(&String::from_utf8(output.stdout).unwrap());
    for record in &records {
        assert_eq!(record["status"], "succeeded", "{record}");
        crate::lake::assert_accounted(record);
    }
    records
}

/// How many posts there are, how many different ones, and the sum of their likes.
fn posts(lake: &Lake) -> [u64; 3] {
    let sql = "SELECT COUNT(*) AS n, SUM(like_count) AS likes FROM social_posts";
    let all = &lake.query(sql)[0];
    let told =
        "SELECT COUNT(*) AS n FROM (SELECT DISTINCT platform, server, post_id FROM social_posts)";
    [
        all["n"].as_u64().unwrap(),
        lake.value(told).as_u64().unwrap(),
        all["likes"].as_u64().unwrap(),
    ]
}

fn rejected(record: &Value) -> u64 {
    record["datasets"][0]["rejected"].as_u64().unwrap()
}

#[test]
fn a_post_that_comes_again_is_in_the_table_once_and_as_it_was_last() {
    let lake = Lake::new();
    let first = lake.file("monday.ndjson", file(0..100, 1));
    let second = lake.file("tuesday.ndjson", file(50..150, 2));
    // In one command.
    let records = ingest(&lake, &[&first, &second]);
    assert_eq!(records.iter().map(rejected).sum::<u64>(), 0);
    let replaced = records
        .iter()
        .map(|record| replaced(&record["datasets"][0]))
        .sum::<u64>();
    assert_eq!(replaced, 150);
    assert_eq!(posts(&lake), [450, 450, 150 + 600]);
    let servers = lake.query(
        "SELECT platform, server, COUNT(*) AS n FROM social_posts GROUP BY platform, server \
         ORDER BY platform, server",
    );
    assert_eq!(
        servers,
        [
            json!({"platform": "mastodon", "server": "one.example", "n": 150}),
            json!({"platform": "mastodon", "server": "two.example", "n": 150}),
            json!({"platform": "x", "server": null, "n": 150}),
        ]
    );
    // In another command.
    let third = lake.file("wednesday.ndjson", file(100..200, 4));
    let record = &ingest(&lake, &[&third])[0];
    assert_eq!(record["datasets"][0]["accepted"], 300, "{record}");
    assert_eq!(
        record["datasets"][0]["replaced"][0]["rows"], 150,
        "{record}"
    );
    assert_eq!(posts(&lake), [600, 600, 150 + 300 + 1200]);
    // The first file again under another name is not newer: for equal contents the greater name counts.
    let copy = lake.file("copy.ndjson", file(0..100, 1));
    let record = &ingest(&lake, &[&copy])[0];
    assert_eq!(rejected(record), 300, "{record}");
    assert_eq!(posts(&lake), [600, 600, 150 + 300 + 1200]);
    // So is a replay of everything, in the order of its objects and from the last to the first.
    let keys: Vec<String> = lines(&lake.ok(&["--json", "runs", "--limit", "100"]))
        .iter()
        .map(|run| run["key"].as_str().unwrap().to_owned())
        .collect();
    for key in keys.iter().rev().chain(&keys) {
        lake.ok(&["replay", key]);
        assert_eq!(posts(&lake), [600, 600, 150 + 300 + 1200], "{key}");
    }
    // Posts of an API's answer: only new ones are added.
    let fourth = lake.file("thursday.ndjson", file(199..201, 8));
    ingest(&lake, &[&fourth]);
    assert_eq!(posts(&lake), [603, 603, 150 + 300 + 1188 + 48]);
}

#[test]
fn posts_are_whole_and_placeholders_are_no_people() {
    let lake = Lake::new();
    let listing =
        |children: &str| format!("{{\"kind\":\"Listing\",\"data\":{{\"children\":[{children}]}}}}");
    let comment = |id: u32, author: &str, replies: &str| {
        format!(
            "{{\"kind\":\"t1\",\"data\":{{\"id\":\"k{id}\",\"author\":\"{author}\",\"body\":\"R&amp;D {id}\",\
             \"created_utc\":\"1420070400\",\"score\":-2,\"replies\":{replies}}}}}"
        )
    };
    let more = "{\"kind\":\"more\",\"data\":{\"children\":[\"k9\"]}}";
    let inner = listing(&format!("{},{more}", comment(2, "[deleted]", "\"\"")));
    let thread = listing(&comment(1, "ann", &inner));
    let retweet = "{\"created_at\":\"Fri Nov 14 10:00:00 +0000 2025\",\"id\":7,\"full_text\":\"RT @shop: Sale st…\",\
                   \"favorite_count\":\"12\",\"user\":{\"screen_name\":\"bob\"},\"retweeted_status\":{\"id\":6,\
                   \"full_text\":\"Sale starts &lt;now&gt; \\ud83d\",\"entities\":{\"hashtags\":[{\"text\":\"sale\"}]}}}";
    let control = "{\"delete\":{\"status\":{\"id\":1}}}";
    // One after another, with commas, one of them no JSON.
    let text = format!("[{thread},\n{{\"likes\":NaN}},\n{retweet},\n{control}]");
    let file = lake.file("posts.json", text);
    let record = &ingest(&lake, &[&file])[0];
    let outcome = &record["datasets"][0];
    assert_eq!(
        [
            &outcome["received"],
            &outcome["accepted"],
            &outcome["rejected"],
            &outcome["blank"]
        ],
        [4, 3, 1, 2].map(|number| json!(number)).each_ref()
    );
    let rows = lake.query(
        "SELECT post_id, text, like_count AS likes, author_handle IS NULL AS nobody, hashtags FROM social_posts \
         ORDER BY post_id",
    );
    let row = |id: &str, text: &str, likes: i64, nobody: bool, tags: Value| json!({ "post_id": id, "text": text, "likes": likes, "nobody": nobody, "hashtags": tags });
    let none = json!([]);
    assert_eq!(
        rows,
        [
            row(
                "7",
                "RT [handle]: Sale starts <now> \u{fffd}",
                12,
                false,
                json!(["sale"])
            ),
            row("t1_k1", "R&D 1", -2, false, none.clone()),
            row("t1_k2", "R&D 2", -2, true, none),
        ]
    );
}
