//! The sentiment of posts against the reference of VADER.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::files::python;
use crate::lake::{Lake, lines, root};

/// Sentences for the rules: negations, boosters, capitals, idioms, contrasts, marks, emoji.
fn sentences() -> Vec<String> {
    let beginnings = [
        "The boots are",
        "The boots are not",
        "THE BOOTS ARE",
        "Nobody said they aren't",
        "Without doubt they are",
        "They were never so",
        "No, really, they are the least",
        "I kind of think they are",
    ];
    let boosters = ["", "very", "VERY", "barely", "sort of", "extremely un-"];
    let words = ["good", "TERRIBLE", "lovely", "the bomb", "blue", "no worse"];
    let endings = [
        ".",
        "!!!",
        "??",
        ", but the sole is bad",
        " 😀 :) ",
        ", but I hate the price!",
    ];
    let mut all = Vec::new();
    for (number, beginning) in beginnings.iter().enumerate() {
        for (other, booster) in boosters.iter().enumerate() {
            for (third, word) in words.iter().enumerate() {
                let ending = endings[(number + other + third) % endings.len()];
                all.push(format!("{beginning} {booster} {word}{ending}"));
            }
        }
    }
    all
}

#[test]
#[ignore = "needs the Python environment; run cargo xtask test"]
fn sentiment_is_that_of_the_reference_and_of_english_alone() {
    let labelled = root().join("crates/core/tests/privacy/texts.jsonl");
    let labelled = lines(&std::fs::read_to_string(labelled).unwrap());
    let mut texts: Vec<String> = labelled
        .iter()
        .map(|line| line["text"].as_str().unwrap().to_owned())
        .collect();
    texts.extend(sentences());
    let posts: String = texts
        .iter()
        .enumerate()
        .map(|(id, text)| {
            let post = json!({ "id": id, "created_at": "2026-01-05T10:00:00Z", "text": text, "lang": "en" });
            format!("{post}\n")
        })
        .collect();
    let french = json!({ "id": "fr", "created_at": "2026-01-05T10:00:00Z", "text": "Super chaussures!", "lang": "fr" });
    let lake = Lake::new();
    let file = lake.file("posts.ndjson", format!("{posts}{french}\n"));
    lake.ok(&["ingest", "--to", "social/posts", file.to_str().unwrap()]);
    let rows =
        lake.query("SELECT post_id, sentiment, sentiment_source AS source FROM social_posts");
    let mut found: BTreeMap<String, Value> = rows
        .into_iter()
        .map(|row| (row["post_id"].as_str().unwrap().to_owned(), row))
        .collect();
    let french = found.remove("fr").unwrap();
    assert_eq!(
        (&french["sentiment"], &french["source"]),
        (&Value::Null, &json!("other_language"))
    );
    assert_eq!(found.len(), texts.len());

    let asked = lake.file("texts.json", json!(texts).to_string());
    let expected = python("vader.py", &[asked.to_str().unwrap()]);
    let expected: Vec<f64> = serde_json::from_str(&expected).unwrap();
    let mut scored = 0;
    for ((id, text), expected) in texts.iter().enumerate().zip(&expected) {
        let score = found[&id.to_string()]["sentiment"].as_f64().unwrap();
        assert!(
            (score - expected).abs() < 0.01,
            "{text}: {score}, not {expected}"
        );
        scored += usize::from(*expected != 0.0);
    }
    assert!(scored > 300, "{scored}");
}
