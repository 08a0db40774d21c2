//! Social posts that are collected again and again: the newest of each is in the table, whatever the order
//! in which their objects come.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use proptest::prelude::*;
use serde_json::{Value, json};
use tarn_contract::{Contracts, parse_str};
use tarn_core::run::{RunKind, RunRecord, RunStatus};
use tarn_ingest::{Options, audit, dry_run, ingest, read_again};
use tarn_lake::Lake;

use crate::doubles::{Gate, gated};
use crate::lake::{Fixture, open, query, rows};

const REPLAY: Options = Options {
    kind: RunKind::Replay,
    confirm_deletions: false,
    replace: false,
};

fn key_of(object: usize) -> String {
    format!("raw/social/posts/ingest_date=2026-01-31/posts-{object}.ndjson")
}

/// A post: which network, which number, how many likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Post {
    network: usize,
    number: u8,
    likes: u16,
}

const NETWORKS: [(&str, Option<&str>); 4] = [
    ("mastodon", Some("one.example")),
    ("mastodon", Some("two.example")),
    ("x", None),
    ("reddit", None),
];

/// Platform, server and identifier.
type Told = (&'static str, Option<&'static str>, String);

impl Post {
    fn told(&self) -> Told {
        let (platform, server) = NETWORKS[self.network];
        let id = match platform {
            "reddit" => format!("t3_{}", self.number),
            _ => self.number.to_string(),
        };
        (platform, server, id)
    }

    /// As its network writes it. Its day follows from its number, and stays.
    fn line(&self) -> String {
        let (id, likes, day) = (self.number.to_string(), self.likes, 1 + self.number % 3);
        let (platform, server) = NETWORKS[self.network];
        let post = match platform {
            "mastodon" => json!({
                "id": id,
                "created_at": format!("2026-01-0{day}T12:00:00Z"),
                "content": "<p>x</p>",
                "uri": format!("https://{}/users/a/statuses/{id}", server.unwrap().to_uppercase()),
                "account": { "id": "1", "acct": "a" },
                "reblogs_count": 0,
                "favourites_count": likes,
            }),
            "x" => json!({
                "id_str": id,
                "created_at": format!("Thu Jan 0{day} 12:00:00 +0000 2026"),
                "full_text": "x",
                "user": { "id_str": "1", "screen_name": "a" },
                "favorite_count": likes,
            }),
            _ => json!({
                "kind": "t3",
                "data": {
                    "id": id,
                    "name": format!("t3_{id}"),
                    "title": "x",
                    "subreddit": "shoes",
                    "created_utc": 1_767_225_600 + (i64::from(day) - 1) * 86_400,
                    "score": likes,
                },
            }),
        };
        format!("{post}\n")
    }
}

fn file(posts: &[Post]) -> String {
    posts.iter().map(Post::line).collect()
}

/// What the table holds: of each post how many likes, and the number of its object.
async fn table(lake: &Lake) -> Vec<(String, String, String, u64, String)> {
    let sql = "SELECT platform, server, post_id, like_count, _source_uri FROM social_posts";
    let text = |value: &Value| value.as_str().unwrap_or("null").to_owned();
    let mut all: Vec<_> = query(lake, sql)
        .await
        .iter()
        .map(|row| {
            let row: Value = serde_json::from_str(row).unwrap();
            let uri = row["_source_uri"].as_str().unwrap();
            let (_, object) = uri.rsplit_once("posts-").unwrap();
            (
                text(&row["platform"]),
                text(&row["server"]),
                text(&row["post_id"]),
                row["like_count"].as_u64().unwrap(),
                object.trim_end_matches(".ndjson").to_owned(),
            )
        })
        .collect();
    all.sort();
    all
}

/// An object as the model has it.
struct Object {
    posts: Vec<Post>,
    put_at: DateTime<Utc>,
    ingested: bool,
}

/// An ingest of an object that was put, as the model remembers it: its number, its content, when it was put.
type Noted = (usize, Vec<Post>, DateTime<Utc>);

/// When an object counts as put: a content that was put before under another name does not become newer.
fn counts_as_put(number: usize, object: &Object, noted: &[Noted]) -> DateTime<Utc> {
    let same = noted.iter().filter(|(_, posts, _)| *posts == object.posts);
    match same.min_by_key(|(_, _, at)| *at) {
        Some((first, _, at)) if *first != number => object.put_at.min(*at),
        _ => object.put_at,
    }
}

/// What should be in the table: of each post the first in the object that was put last.
fn newest(objects: &[Object], noted: &[Noted]) -> Vec<(String, String, String, u64, String)> {
    let mut order: Vec<usize> = (0..objects.len())
        .filter(|&number| objects[number].ingested)
        .collect();
    order.sort_by_key(|&number| {
        let at = counts_as_put(number, &objects[number], noted);
        (at, key_of(number))
    });
    let mut newest: BTreeMap<Told, (u64, String)> = BTreeMap::new();
    for number in order {
        let mut first: BTreeMap<Told, u64> = BTreeMap::new();
        for post in &objects[number].posts {
            first.entry(post.told()).or_insert(u64::from(post.likes));
        }
        for (told, likes) in first {
            newest.insert(told, (likes, number.to_string()));
        }
    }
    let mut all: Vec<_> = newest
        .into_iter()
        .map(|((platform, server, id), (likes, object))| {
            let server = server.unwrap_or("null").to_owned();
            (platform.to_owned(), server, id, likes, object)
        })
        .collect();
    all.sort();
    all
}

fn assert_counted(record: &RunRecord, posts: &[Post]) {
    assert_eq!(record.status, RunStatus::Succeeded, "{record:?}");
    let outcome = &record.datasets[0];
    assert_eq!(outcome.received, posts.len() as u64);
    assert_eq!(outcome.accepted + outcome.rejected, outcome.received);
    let duplicates = outcome.rejected_by.get("duplicate").copied();
    assert_eq!(outcome.rejected, duplicates.unwrap_or_default());
}

/// What somebody does.
#[derive(Debug, Clone)]
enum Step {
    /// Ingests an object that was put before, perhaps long ago.
    Ingest(usize),
    /// Reads it again.
    Replay(usize),
    /// Puts other posts under the key of an object, and ingests it.
    PutOver(usize, Vec<Post>),
}

fn posts() -> impl Strategy<Value = Vec<Post>> {
    let post = (0..NETWORKS.len(), 0u8..6, 0u16..1000).prop_map(|(network, number, likes)| Post {
        network,
        number,
        likes,
    });
    prop::collection::vec(post, 1..14)
}

fn steps(objects: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..objects).prop_map(Step::Ingest),
        2 => (0..objects).prop_map(Step::Replay),
        1 => (0..objects, posts()).prop_map(|(object, posts)| Step::PutOver(object, posts)),
    ];
    prop::collection::vec(step, 1..10)
}

async fn put(fixture: &Fixture, number: usize, posts: Vec<Post>) -> Object {
    fixture.put(&key_of(number), file(&posts)).await;
    let info = fixture.lake.objects.head(&key_of(number)).await.unwrap();
    Object {
        posts,
        put_at: info.last_modified,
        ingested: false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_newest_of_each_post_is_in_the_table_in_whatever_order_objects_come(
        (contents, steps, order) in (2usize..5).prop_flat_map(|count| (
            prop::collection::vec(posts(), count),
            steps(count),
            Just((0..count).collect::<Vec<usize>>()).prop_shuffle(),
        )),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check(contents, steps, order));
    }
}

async fn check(contents: Vec<Vec<Post>>, steps: Vec<Step>, order: Vec<usize>) {
    let fixture = Fixture::new();
    let lake = &fixture.lake;
    let mut objects = Vec::new();
    for (number, posts) in contents.into_iter().enumerate() {
        objects.push(put(&fixture, number, posts).await);
    }
    let (mut command, mut put_over) = (Vec::new(), false);
    let mut noted: Vec<Noted> = Vec::new();
    for step in steps {
        let (Step::Ingest(of) | Step::Replay(of) | Step::PutOver(of, _)) = step;
        let records = match step {
            Step::Ingest(number) => {
                let record = ingest(lake, &key_of(number)).await.unwrap();
                match record.status {
                    RunStatus::Skipped => assert!(objects[number].ingested, "{record:?}"),
                    _ => assert_counted(&record, &objects[number].posts),
                }
                objects[number].ingested = true;
                vec![record]
            }
            Step::Replay(number) => {
                let exists = objects.iter().any(|object| object.ingested);
                let before = if exists {
                    rows(lake, "social_posts").await
                } else {
                    0
                };
                let dry = dry_run(lake, &key_of(number), false).await.unwrap();
                let records = read_again(lake, &key_of(number), REPLAY).await.unwrap();
                assert_counted(&records[0], &objects[number].posts);
                let (told, done) = (&dry[0].outcome, &records[0].datasets[0]);
                assert_eq!(
                    (told.accepted, &told.rejected_by, &told.replaced),
                    (done.accepted, &done.rejected_by, &done.replaced)
                );
                let change = rows(lake, "social_posts").await as i64 - before as i64;
                let (was, is) = (dry[0].before.rows, dry[0].after.rows);
                assert_eq!(is as i64 - was as i64, change);
                objects[number].ingested = true;
                records
            }
            Step::PutOver(number, posts) => {
                put_over = true;
                objects[number] = put(&fixture, number, posts).await;
                objects[number].ingested = true;
                let record = ingest(lake, &key_of(number)).await.unwrap();
                if record.status != RunStatus::Skipped {
                    assert_counted(&record, &objects[number].posts);
                }
                vec![record]
            }
        };
        noted.push((of, objects[of].posts.clone(), objects[of].put_at));
        assert_eq!(audit(lake, &records).await.unwrap(), []);
        command.extend(records);
        // What all of them did as one command.
        assert_eq!(audit(lake, &command).await.unwrap(), []);
        let found = table(lake).await;
        if put_over {
            // A post that only the former content had is deleted with it, until an older object that has it is
            // read again: here each is there once at most.
            let mut told: Vec<_> = found.iter().map(|row| (&row.0, &row.1, &row.2)).collect();
            told.dedup();
            assert_eq!(told.len(), found.len());
        } else {
            assert_eq!(found, newest(&objects, &noted));
        }
    }
    // Everything is read again, in any order, twice.
    for _ in 0..2 {
        let mut records = Vec::new();
        for &number in &order {
            records.extend(read_again(lake, &key_of(number), REPLAY).await.unwrap());
            objects[number].ingested = true;
            let Object { posts, put_at, .. } = &objects[number];
            noted.push((number, posts.clone(), *put_at));
        }
        assert_eq!(audit(lake, &records).await.unwrap(), []);
    }
    assert_eq!(table(lake).await, newest(&objects, &noted));
}

const OLD: Post = Post {
    network: 0,
    number: 1,
    likes: 10,
};

const NEW: Post = Post { likes: 20, ..OLD };

#[tokio::test]
async fn a_row_that_a_newer_one_took_the_place_of_is_told_in_the_record() {
    let fixture = Fixture::new();
    let lake = &fixture.lake;
    let other = Post { number: 2, ..OLD };
    put(&fixture, 0, vec![OLD, other, OLD]).await;
    put(&fixture, 1, vec![NEW]).await;
    let first = ingest(lake, &key_of(0)).await.unwrap();
    let second = ingest(lake, &key_of(1)).await.unwrap();
    assert_eq!((first.accepted(), first.rejected()), (2, 1));
    assert_eq!((second.accepted(), second.rejected()), (1, 0));
    let replaced = &second.datasets[0].replaced;
    assert_eq!(replaced.len(), 1);
    assert_eq!(
        (replaced[0].key.as_str(), replaced[0].rows),
        (key_of(0).as_str(), 1)
    );
    assert_eq!(replaced[0].version, first.version);
    // The older file again, under its own name and under another.
    let again = read_again(lake, &key_of(0), REPLAY).await.unwrap();
    assert_eq!((again[0].accepted(), again[0].rejected()), (1, 2));
    let sql = "SELECT _reason FROM quarantine_social_posts WHERE _reason LIKE '%put later%'";
    let reasons = query(lake, sql).await;
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert!(
        reasons[0].contains("mastodon, one.example, 1"),
        "{reasons:?}"
    );
    assert!(reasons[0].contains(&key_of(1)), "{reasons:?}");
    assert_eq!(rows(lake, "social_posts").await, 2);
    put(&fixture, 2, vec![OLD, other, OLD]).await;
    let copy = ingest(lake, &key_of(2)).await.unwrap();
    assert_eq!((copy.accepted(), copy.rejected()), (1, 2));
    let likes = query(lake, "SELECT like_count FROM social_posts ORDER BY post_id").await;
    assert_eq!(likes, [r#"{"like_count":20}"#, r#"{"like_count":10}"#]);
    // Another content is newer, whatever it says.
    put(&fixture, 3, vec![OLD]).await;
    ingest(lake, &key_of(3)).await.unwrap();
    let likes = query(lake, "SELECT like_count FROM social_posts ORDER BY post_id").await;
    assert_eq!(likes, [r#"{"like_count":10}"#, r#"{"like_count":10}"#]);
    assert_eq!(rows(lake, "social_posts").await, 2);
}

/// The shop's contract of posts with some of its text exchanged.
fn changed(replacements: &[(&str, &str)]) -> Contracts {
    let mut text = std::fs::read_to_string("../../contracts/social_posts.odcs.yaml").unwrap();
    for (from, to) in replacements {
        assert!(text.contains(from), "{from}");
        text = text.replacen(from, to, 1);
    }
    Contracts::new([parse_str("social_posts.odcs.yaml", &text).unwrap()])
}

#[tokio::test]
async fn posts_of_an_older_lake_are_told_apart_once_their_objects_are_read_again() {
    let fixture = Fixture::new();
    let server = "      - name: server\n        description: Host of the server that a Mastodon post is from, in lower \
                  case; null for platforms with one server.\n        logicalType: string\n        \
                  physicalType: string\n        classification: internal\n";
    let key = |position: usize| {
        format!(
            "required: true\n        primaryKey: true\n        primaryKeyPosition: {position}\n"
        )
    };
    let (first, second) = (
        format!(
            "- name: platform\n        description: x, mastodon, reddit or other.\n        logicalType: string\n        physicalType: string\n        {}",
            key(1)
        ),
        format!(
            "its server.\n        logicalType: string\n        physicalType: string\n        {}",
            key(2)
        ),
    );
    let older = fixture.lake.clone().with_contracts(changed(&[
        (server, ""),
        (
            "  - { property: newestBy, value: [platform, server, post_id] }\n",
            "",
        ),
        (
            "properties: [platform, server, post_id]",
            "properties: [platform, post_id]",
        ),
        ("version: 4.0.0", "version: 2.0.0"),
        (&first.replace(&key(1), "required: true\n"), &first),
        (&second.replace(&key(2), "required: true\n"), &second),
    ]));
    let tweet = |likes| Post {
        network: 2,
        number: 1,
        likes,
    };
    let mut objects = vec![
        put(&fixture, 0, vec![OLD, tweet(10)]).await,
        put(&fixture, 1, vec![NEW, tweet(20)]).await,
    ];
    for number in [1, 0] {
        ingest(&older, &key_of(number)).await.unwrap();
    }
    assert_eq!(rows(&older, "social_posts").await, 4);
    // The tweets meet the newer one; the statuses have no server yet.
    let lake = &fixture.lake;
    objects.push(put(&fixture, 2, vec![Post { likes: 30, ..OLD }, tweet(30)]).await);
    let record = ingest(lake, &key_of(2)).await.unwrap();
    assert_eq!(record.datasets[0].replaced.len(), 2, "{record:?}");
    assert_eq!(rows(lake, "social_posts").await, 4);
    let backfill = Options {
        kind: RunKind::Backfill,
        ..REPLAY
    };
    let mut records = Vec::new();
    for (number, object) in objects.iter_mut().enumerate() {
        records.extend(read_again(lake, &key_of(number), backfill).await.unwrap());
        object.ingested = true;
    }
    assert_eq!(audit(lake, &records).await.unwrap(), []);
    assert_eq!(table(lake).await, newest(&objects, &[]));
}

#[tokio::test]
async fn rules_over_the_table_see_it_without_the_rows_that_are_about_to_leave_it() {
    let fixture = Fixture::new();
    let rule = "    quality:\n      - name: each once\n        type: sql\n        query: \"SELECT COUNT(*) - \
                COUNT(DISTINCT post_id) FROM ${object}\"\n        mustBe: 0\n        severity: abort\n";
    let lake = fixture
        .lake
        .clone()
        .with_contracts(changed(&[("    quality:\n", rule)]));
    let other = Post { number: 4, ..OLD };
    for (number, posts) in [vec![OLD, other], vec![NEW], vec![NEW, other]]
        .into_iter()
        .enumerate()
    {
        put(&fixture, number, posts.clone()).await;
        let record = ingest(&lake, &key_of(number)).await.unwrap();
        assert_counted(&record, &posts);
    }
    assert_eq!(rows(&lake, "social_posts").await, 2);
    // Of another server a post is another one, which this rule forbids.
    put(&fixture, 3, vec![Post { network: 1, ..OLD }]).await;
    let record = ingest(&lake, &key_of(3)).await.unwrap();
    assert_eq!(record.error_kind.as_deref(), Some("quality"), "{record:?}");
}

#[tokio::test]
async fn a_rule_whose_query_fails_or_gives_no_number_fails_the_run_and_is_named() {
    for query in [
        "SELECT MAX(post_id) FROM ${object}",
        "SELECT COUNT(nothing) FROM ${object}",
    ] {
        let fixture = Fixture::new();
        let rule = format!(
            "    quality:\n      - {{ name: each once, type: sql, query: \"{query}\", mustBe: 0 }}\n"
        );
        let lake = fixture
            .lake
            .clone()
            .with_contracts(changed(&[("    quality:\n", &rule)]));
        put(&fixture, 0, vec![OLD]).await;
        let record = ingest(&lake, &key_of(0)).await.unwrap();
        assert_eq!(record.status, RunStatus::Failed, "{record:?}");
        assert_eq!(
            record.error_kind.as_deref(),
            Some("bad_contract"),
            "{record:?}"
        );
        let error = record.reason.clone().unwrap_or_default();
        assert!(error.contains("rule sql: the query"), "{record:?}");
        assert_eq!(rows(&lake, "social_posts").await, 0, "{record:?}");
    }
}

#[tokio::test]
async fn a_run_killed_at_any_write_leaves_each_post_once() {
    let mut moment = 0;
    loop {
        let fixture = Fixture::new();
        let mut objects = vec![
            put(&fixture, 0, vec![OLD, Post { number: 2, ..OLD }]).await,
            put(&fixture, 1, vec![NEW, NEW]).await,
        ];
        // The older one comes second at every other moment.
        let (first, second) = (moment as usize % 2, 1 - moment as usize % 2);
        ingest(&fixture.lake, &key_of(first)).await.unwrap();
        let gate = Gate::stop_at(moment);
        let finished = {
            let lake = gated(&fixture.local, &gate);
            let key = key_of(second);
            tokio::select! {
                run = ingest(&lake, &key) => { run.unwrap(); true }
                () = gate.reached() => false,
            }
        };
        let lake = open(&fixture.local);
        let records = vec![
            ingest(&lake, &key_of(second)).await.unwrap(),
            ingest(&lake, &key_of(first)).await.unwrap(),
        ];
        assert_eq!(audit(&lake, &records).await.unwrap(), []);
        objects[0].ingested = true;
        objects[1].ingested = true;
        assert_eq!(
            table(&lake).await,
            newest(&objects, &[]),
            "killed at {moment}"
        );
        if finished {
            break;
        }
        moment += 1;
    }
    assert!(moment > 10, "only {moment} moments were met");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn objects_that_are_ingested_at_the_same_moment_leave_the_newest_of_each_post() {
    let fixture = Fixture::new();
    let mut objects = Vec::new();
    for number in 0..4 {
        let posts = (0..4).map(|network| Post {
            network,
            number: 1,
            likes: number as u16,
        });
        objects.push(put(&fixture, number, posts.collect()).await);
        objects[number].ingested = true;
    }
    let runs: Vec<_> = (0..4)
        .map(|number| {
            let lake = open(&fixture.local);
            tokio::spawn(async move { ingest(&lake, &key_of(number)).await.unwrap() })
        })
        .collect();
    let mut records = Vec::new();
    for run in runs {
        records.push(run.await.unwrap());
    }
    for record in &records {
        assert_eq!(record.status, RunStatus::Succeeded, "{record:?}");
    }
    assert_eq!(audit(&fixture.lake, &records).await.unwrap(), []);
    assert_eq!(table(&fixture.lake).await, newest(&objects, &[]));
}
