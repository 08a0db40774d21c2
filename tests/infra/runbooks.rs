//! The runbooks: the numbers in them are those that Terraform builds.

use std::path::{Path, PathBuf};

use crate::plan::{self, Plan};
use crate::terraform::root;

/// A number that both environments have, in some unit; that of dev first.
type Both = (f64, f64);

/// An argument of the one resource whose address ends so, in both environments.
fn both(end: &str, pointer: &str) -> Both {
    let of = |plan: &Plan| {
        let resources = plan.resources();
        let mut found = resources
            .iter()
            .filter(|resource| resource.address.ends_with(end));
        let resource = found.next().unwrap_or_else(|| panic!("no {end}"));
        assert!(found.next().is_none(), "several resources end in {end}");
        resource
            .number(pointer)
            .or_else(|| resource.text(pointer).parse().ok())
            .unwrap_or_else(|| panic!("{end} has no {pointer}"))
    };
    (of(plan::of("dev")), of(plan::of("prod")))
}

/// A number within a JSON document that is an argument.
fn in_document(end: &str, argument: &str, name: &str) -> Both {
    let of = |plan: &Plan| {
        let resources = plan.resources();
        let resource = resources
            .iter()
            .find(|resource| resource.address.ends_with(end))
            .unwrap();
        let document: serde_json::Value = serde_json::from_str(resource.text(argument)).unwrap();
        document[name].as_f64().unwrap()
    };
    (of(plan::of("dev")), of(plan::of("prod")))
}

fn per((dev, prod): Both, unit: f64) -> Both {
    (dev / unit, prod / unit)
}

/// The number of both environments, which is the same.
fn same((dev, prod): Both) -> f64 {
    assert_eq!(dev, prod, "dev and prod differ");
    dev
}

fn hours_in((dev, prod): Both) -> String {
    format!("{dev} hours in dev, {prod} in prod")
}

fn days_in((dev, prod): Both) -> String {
    format!("{dev} days in dev, {prod} in prod")
}

const STREAM: &str = "stream.aws_kinesis_stream.this";
const STREAM_READER: &str = "stream.aws_lambda_event_source_mapping.this";
const INGEST_QUEUE: &str = "ingest_queue.aws_sqs_queue.this";
const MARTS_QUEUE: &str = "marts_queue.aws_sqs_queue.this";

fn stream_hours() -> Both {
    both(STREAM, "/retention_period")
}

fn record_hours() -> Both {
    per(
        both(STREAM_READER, "/maximum_record_age_in_seconds"),
        3600.0,
    )
}

fn log_days() -> Both {
    let of_ingest = "function[\"ingest\"].aws_cloudwatch_log_group.this";
    both(of_ingest, "/retention_in_days")
}

fn alarm(name: &str, argument: &str) -> f64 {
    same(both(
        &format!("aws_cloudwatch_metric_alarm.{name}"),
        argument,
    ))
}

/// Seconds in which an alarm on a metric is raised.
fn alarm_seconds(name: &str) -> f64 {
    alarm(name, "/period") * alarm(name, "/evaluation_periods")
}

fn minutes_of_visibility(queue: &str) -> f64 {
    let seconds = same(both(queue, "/visibility_timeout_seconds"));
    (seconds / 60.0).ceil()
}

fn attempts(queue: &str) -> f64 {
    same(in_document(queue, "/redrive_policy", "maxReceiveCount"))
}

/// What each runbook says, with the numbers of the plans.
fn sentences() -> Vec<(&'static str, String)> {
    [sentences_on_failures(), sentences_on_alarms()].concat()
}

fn sentences_on_failures() -> Vec<(&'static str, String)> {
    let dead = "ingest_queue.module.dead_letter.aws_sqs_queue.this";
    let dead_days = same(both(dead, "/message_retention_seconds")) / 86_400.0;
    let rule_hours = same(both(
        "aws_cloudwatch_event_target.this",
        "/retry_policy/0/maximum_event_age_in_seconds",
    )) / 3600.0;
    let run_days = same(both(
        "function[\"ingest\"].aws_lambda_function.this",
        "/environment/0/variables/TARN_RUN_DAYS",
    ));
    vec![
        ("iterator-age", hours_in(stream_hours())),
        ("iterator-age", hours_in(record_hours())),
        (
            "iterator-age",
            format!(
                "({} minutes)",
                alarm("iterator_age", "/threshold") / 60_000.0
            ),
        ),
        ("dead-letters", hours_in(stream_hours())),
        ("dead-letters", hours_in(record_hours())),
        (
            "dead-letters",
            format!("messages stay for {dead_days} days"),
        ),
        (
            "dead-letters",
            format!(
                "{} failed ingests, or {rule_hours} hours without a delivery",
                attempts(INGEST_QUEUE)
            ),
        ),
        (
            "dead-letters",
            format!("{} failed runs", attempts(MARTS_QUEUE)),
        ),
        ("dead-letters", format!("(kept for {run_days} days)")),
        ("dead-letters", days_in(log_days())),
        (
            "failed-run",
            format!(
                "delivers the object {} times in all",
                attempts(INGEST_QUEUE)
            ),
        ),
        (
            "failed-run",
            format!("every {} minutes", minutes_of_visibility(INGEST_QUEUE)),
        ),
    ]
}

fn sentences_on_alarms() -> Vec<(&'static str, String)> {
    vec![
        (
            "queue-age",
            format!(
                "({} hour for objects, {} for marts)",
                alarm("queue_age[\"ingest\"]", "/threshold") / 3600.0,
                alarm("queue_age[\"marts\"]", "/threshold") / 3600.0
            ),
        ),
        (
            "queue-age",
            format!(
                "({} minutes for `ingest`, {} for `marts`)",
                minutes_of_visibility(INGEST_QUEUE),
                minutes_of_visibility(MARTS_QUEUE)
            ),
        ),
        (
            "queue-age",
            format!("{} attempts of one bad object", attempts(INGEST_QUEUE)),
        ),
        (
            "function-errors",
            format!(
                "{} or more calls failed in {} minutes",
                alarm("errors[\"ingest\"]", "/threshold"),
                alarm_seconds("errors[\"ingest\"]") / 60.0
            ),
        ),
        ("function-errors", days_in(log_days())),
        (
            "function-throttles",
            format!(
                "for {} minutes",
                alarm_seconds("throttles[\"ingest\"]") / 60.0
            ),
        ),
        (
            "api-errors",
            format!(
                "{} or more answers 5xx in {} minutes",
                alarm("api_errors", "/threshold"),
                alarm_seconds("api_errors") / 60.0
            ),
        ),
        ("api-errors", days_in(log_days())),
        (
            "quality-silent",
            format!("for {} hours", alarm_seconds("quality_silent") / 3600.0),
        ),
    ]
}

#[test]
#[ignore = "needs terraform; run by cargo xtask test"]
fn runbooks_name_what_is_built() {
    let missing: Vec<String> = sentences()
        .into_iter()
        .filter(|(name, sentence)| {
            let path = root().join(format!("docs/runbooks/{name}.md"));
            !std::fs::read_to_string(path).unwrap().contains(sentence)
        })
        .map(|(name, sentence)| format!("{name}.md does not say: {sentence}"))
        .collect();
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

fn pages(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            pages(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// Every `<number> <unit> in dev, <number> in prod` of a text.
fn comparisons(text: &str) -> Vec<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    words
        .windows(7)
        .filter(|seven| {
            seven[2] == "in" && seven[3].trim_matches([',', '`']) == "dev" && seven[5] == "in"
        })
        .map(|seven| {
            let clean = |word: &str| {
                word.trim_matches(['(', ')', ',', '.', ';', ':', '`'])
                    .to_owned()
            };
            format!(
                "{} {} in dev, {} in {}",
                clean(seven[0]),
                clean(seven[1]),
                clean(seven[4]),
                clean(seven[6])
            )
        })
        .collect()
}

#[test]
fn what_a_text_says_of_dev_and_prod_is_found() {
    let text =
        "it is over (72 hours in dev, 168 in prod). Kept for 30 days in `dev`, 365 in `prod`;";
    assert_eq!(
        comparisons(text),
        [
            "72 hours in dev, 168 in prod",
            "30 days in dev, 365 in prod"
        ]
    );
}

/// Wherever documentation compares dev and prod, it is with numbers that are built.
#[test]
#[ignore = "needs terraform; run by cargo xtask test"]
fn no_page_names_other_numbers() {
    let built = [
        hours_in(stream_hours()),
        hours_in(record_hours()),
        days_in(log_days()),
    ];
    let mut all = vec![root().join("README.md"), root().join("ARCHITECTURE.md")];
    for folder in ["docs", "terraform", "infra", "functions"] {
        pages(&root().join(folder), &mut all);
    }
    let mut wrong = Vec::new();
    let mut seen = 0;
    for page in all {
        for found in comparisons(&std::fs::read_to_string(&page).unwrap()) {
            seen += 1;
            if !built.contains(&found) {
                wrong.push(format!("{}: {found}", page.display()));
            }
        }
    }
    assert!(seen >= 7, "only {seen} comparisons were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
