//! A report as one HTML page that needs nothing else: no script, no network, one style sheet inside.

use chrono::{DateTime, Utc};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::finding::sentence;
use super::style::STYLE;
use super::{DatasetReport, Finding, Gravity, Report, RuleReport, Scope, chart};
use crate::result::{DRIFT, Sample};
use crate::score::{is_about_rows, is_of_a_number, percent};
use crate::service_level::ServiceLevelState;
use crate::watch::{Anomaly, Status};
use tarn_contract::monitor::Per;
use tarn_core::text::duration;
use tarn_core::text::{count, number, plural};

/// The page.
pub fn html(report: &Report) -> String {
    let title = match report.scope {
        Scope::Day => report.day.format("%-d %B %Y").to_string(),
        Scope::Run => format!("Run {}", report.subject),
    };
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; style-src 'unsafe-inline'; img-src data:";
                meta name="color-scheme" content="light dark";
                title { "Data quality, " (title) }
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#attention" { "To what needs attention" }
                (head(report, &title))
                main {
                    (attention(&report.findings))
                    (overview(report))
                    @if !report.anomalies.is_empty() { (anomalies(report)) }
                    @if !report.service_levels.is_empty() { (service_levels(&report.service_levels)) }
                    @if report.trend.len() > 1 { (trend(report)) }
                    @if !report.failed_runs.is_empty() { (failed_runs(report)) }
                    @if !report.datasets.is_empty() {
                        h2 #by-dataset { "By dataset" }
                        @for dataset in &report.datasets { (dataset_section(dataset)) }
                    }
                }
                (foot(report))
            }
        }
    };
    page.into_string()
}

/// An instant for people: `2026-01-31 10:00 UTC`.
fn instant(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M UTC").to_string()
}

/// Keeps a number and its per cent sign on one line.
fn unbroken(text: &str) -> String {
    text.replace(" %", "\u{a0}%")
}

/// A part of a whole: `0.4 %`; a part that is not 0 is never shown as 0.
fn part(part: u64, all: u64) -> String {
    if all == 0 {
        return "–".to_owned();
    }
    let percent = 100.0 * part as f64 / all as f64;
    if part > 0 && percent < 0.05 {
        "< 0.1 %".to_owned()
    } else {
        format!("{percent:.1} %")
    }
}

fn head(report: &Report, title: &str) -> Markup {
    let totals = &report.totals;
    html! {
        header {
            div {
                p.eyebrow {
                    "Data quality · "
                    @match report.scope { Scope::Day => "day (UTC)", Scope::Run => "run" }
                }
                h1 { (title) }
                p.sub {
                    "As of " time datetime=(report.as_of.to_rfc3339()) { (instant(report.as_of)) }
                    @if report.scope == Scope::Run { " · counted to " (report.day) }
                    @if !report.program_versions.is_empty() {
                        " · Tarn " (report.program_versions.join(", "))
                    }
                }
            }
            p.score {
                @match report.score {
                    Some(score) => {
                        @let text = percent(score);
                        b { (text.trim_end_matches(" %")) small { "%" } }
                        span { "overall score" }
                    }
                    None => { b { "–" } span { "no rule was checked" } }
                }
            }
        }
        main {
            dl.facts {
                div { dt { "Rows received" } dd { (count(totals.received)) } }
                div { dt { "Accepted" } dd { (count(totals.accepted)) } }
                div {
                    dt { "Rejected" }
                    dd { (count(totals.rejected)) " " small { (part(totals.rejected, totals.received)) } }
                }
                div {
                    dt { "Rules broken" }
                    dd { (count(totals.broken_rules)) " " small { "of " (count(totals.rules)) } }
                }
                div {
                    dt { "Runs" }
                    dd {
                        (count(totals.runs))
                        @if totals.failed_runs > 0 { " " small { (count(totals.failed_runs)) " failed" } }
                    }
                }
            }
        }
    }
}

fn gravity(gravity: Gravity) -> Markup {
    let (class, mark, word) = match gravity {
        Gravity::Failure => ("tag failure", "■", "Failure"),
        Gravity::Problem => ("tag problem", "▲", "Problem"),
        Gravity::Warning => ("tag", "●", "Warning"),
    };
    html! { span class=(class) { span aria-hidden="true" { (mark) " " } (word) } }
}

fn attention(findings: &[Finding]) -> Markup {
    html! {
        section aria-labelledby="attention" {
            h2 #attention { "Needs attention" }
            @if findings.is_empty() {
                p.calm { "✓ Every rule holds, every service level is met, and nothing is unusual." }
            } @else {
                p.lead { (plural(findings.len() as u64, "finding")) ", the gravest first." }
                ol.findings {
                    @for finding in findings {
                        li {
                            (gravity(finding.gravity))
                            a href=(anchor(&finding.dataset)) { (finding.dataset) }
                            span.what { (unbroken(&finding.text)) }
                            span.who { @if let Some(owner) = &finding.owner { (owner) } }
                        }
                    }
                }
            }
        }
    }
}

fn meter(share: f64, class: &str) -> Markup {
    let width = format!("width:{:.1}%", share.clamp(0.0, 1.0) * 100.0);
    html! { span class=(class) aria-hidden="true" { i style=(width) {} } }
}

fn overview(report: &Report) -> Markup {
    let mut dimensions: Vec<&str> = report
        .datasets
        .iter()
        .flat_map(|dataset| &dataset.dimensions)
        .map(|one| one.dimension.as_str())
        .collect();
    dimensions.sort_unstable();
    dimensions.dedup();
    html! {
        section aria-labelledby="datasets" {
            h2 #datasets { "Datasets" }
            @if report.datasets.is_empty() {
                p { "No dataset got anything." }
            } @else {
                p.lead { "Scores in per cent of what was checked; age of the newest rows at the report’s time." }
                div.scroll role="region" tabindex="0" aria-labelledby="datasets" {
                    table {
                        thead {
                            tr {
                                th scope="col" { "Dataset" }
                                th.n scope="col" { "Score" }
                                @for name in &dimensions { th.n scope="col" { (capital(name)) } }
                                th.n scope="col" { "Received" }
                                th.n scope="col" { "Rejected" }
                                th.n scope="col" { "Newest rows" }
                            }
                        }
                        tbody {
                            @for dataset in &report.datasets {
                                tr {
                                    th scope="row" { a href=(anchor(&dataset.dataset)) { (dataset.dataset) } }
                                    (score_cell(dataset.score))
                                    @for name in &dimensions {
                                        (score_cell(dataset.dimensions.iter().find(|one| one.dimension == *name).map(|one| one.score)))
                                    }
                                    td.n { (count(dataset.received)) }
                                    td.n { (count(dataset.rejected)) }
                                    td.n {
                                        @match dataset.age_seconds {
                                            Some(age) => (duration(age)),
                                            None => "never",
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn score_cell(score: Option<f64>) -> Markup {
    match score {
        None => html! { td.n.none { "–" } },
        Some(score) => {
            let text = percent(score);
            // Bold as well as red.
            let class = if score < 0.95 { "n low" } else { "n" };
            html! { td class=(class) { (text.trim_end_matches(" %")) } }
        }
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

fn anomalies(report: &Report) -> Markup {
    html! {
        section aria-labelledby="anomalies" {
            h2 #anomalies { "Anomalies" }
            p.lead {
                "Values that are not expected after their history. "
                (plural(report.values_expected, "other value")) " are as expected"
                @if report.values_without_history > 0 {
                    "; " (count(report.values_without_history)) " cannot be judged yet, because there is not enough history"
                }
                "."
            }
            div.cards { @for anomaly in &report.anomalies { (anomaly_card(anomaly)) } }
            p.key {
                span { i.a {} "expected range" }
                span { i.b {} "the value" }
                span { "line: the values before" }
            }
        }
    }
}

fn anomaly_card(anomaly: &Anomaly) -> Markup {
    let at = match (anomaly.per, &anomaly.run_id) {
        (Per::Run, Some(run)) => format!("run {run}"),
        _ => format!("{} (UTC)", anomaly.day),
    };
    html! {
        article.card {
            h3 {
                span { (anomaly.dataset) }
                @match anomaly.status {
                    Status::Open => span.tag.problem { "▲ Open" },
                    Status::Confirmed => span.tag.broken { "■ Confirmed" },
                    Status::Dismissed => span.tag { "Dismissed" },
                }
            }
            p { (unbroken(&sentence(anomaly))) "." }
            (chart::history(anomaly))
            dl {
                dt { "When" } dd { (at) }
                dt { "Found by" } dd { (anomaly.method) ", from " (plural(anomaly.history_size, "value")) }
                dt { "Name" } dd { code { (anomaly.id) } }
                @if let Some(note) = &anomaly.note { dt { "Note" } dd { (note) } }
            }
        }
    }
}

/// The identifier of a dataset's section, which differs from the page's own identifiers.
fn id(dataset: &str) -> String {
    format!("dataset-{dataset}")
}

fn anchor(dataset: &str) -> String {
    format!("#{}", id(dataset))
}

/// The name of the dataset, as a link if the dataset was measured and so has a section.
fn dataset_link(state: &ServiceLevelState) -> Markup {
    html! {
        @if state.measured.is_some() { a href=(anchor(&state.dataset)) { (state.dataset) } }
        @else { (state.dataset) }
    }
}

fn service_levels(states: &[ServiceLevelState]) -> Markup {
    html! {
        section aria-labelledby="service-levels" {
            h2 #service-levels { "Service levels" }
            div.scroll role="region" tabindex="0" aria-labelledby="service-levels" {
                table {
                    thead {
                        tr {
                            th scope="col" { "Dataset" }
                            th scope="col" { "Asked for" }
                            th scope="col" { "Found" }
                            th scope="col" { "State" }
                        }
                    }
                    tbody {
                        @for state in states {
                            tr {
                                th scope="row" { (dataset_link(state)) }
                                td { (state.text) }
                                td { (state.found()) }
                                td {
                                    @match state.met {
                                        Some(true) => span.tag.kept { "✓ Met" },
                                        Some(false) => span.tag.broken { "■ Missed" },
                                        None => span.tag { "Not measured" },
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn trend(report: &Report) -> Markup {
    html! {
        section aria-labelledby="trend" {
            h2 #trend { "Trend" }
            p.lead { "All datasets, by UTC day; days without rows are left out." }
            div.two {
                figure {
                    (chart::days(&report.trend))
                    p.key { span { i.a {} "rows received" } span { i.b {} "of them rejected" } }
                }
                div.scroll role="region" tabindex="0" aria-label="Trend by day" {
                    table {
                        thead {
                            tr {
                                th scope="col" { "Day" }
                                th.n scope="col" { "Received" }
                                th.n scope="col" { "Rejected" }
                                th.n scope="col" { "Score" }
                            }
                        }
                        tbody {
                            @for day in report.trend.iter().rev().take(7) {
                                tr {
                                    th scope="row" { (day.day) }
                                    td.n { (count(day.received)) }
                                    td.n { (count(day.rejected)) }
                                    (score_cell(day.score))
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn failed_runs(report: &Report) -> Markup {
    html! {
        section aria-labelledby="failed-runs" {
            h2 #failed-runs { "Failed runs" }
            div.scroll role="region" tabindex="0" aria-labelledby="failed-runs" {
                table {
                    thead {
                        tr {
                            th scope="col" { "Dataset" }
                            th scope="col" { "Why" }
                            th scope="col" { "Object" }
                            th scope="col" { "Ended" }
                            th scope="col" { "State" }
                        }
                    }
                    tbody {
                        @for run in &report.failed_runs {
                            tr {
                                th scope="row" { (run.dataset) }
                                td { (run.reason) }
                                td { code { (run.object_key) } }
                                td { (instant(run.ended_at)) }
                                td {
                                    @if run.repaired { span.tag.kept { "✓ Repeated" } }
                                    @else { span.tag.broken { "■ Open" } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn dataset_section(dataset: &DatasetReport) -> Markup {
    html! {
        @let id = id(&dataset.dataset);
        section.dataset aria-labelledby=(id) {
            h3 id=(id) { (dataset.dataset) }
            ul.about {
                @if let Some(score) = dataset.score {
                    li {
                        "score " (percent(score))
                        @if dataset.trend.len() > 1 { " " (chart::scores(&dataset.trend)) }
                    }
                }
                @if let Some(owner) = &dataset.owner { li { "owner " (owner) } }
                @if let Some(version) = &dataset.contract_version { li { "contract " (version) } }
                @if let Some(snapshot) = dataset.snapshot_id { li { "table version " (snapshot) } }
                @if let Some(at) = dataset.last_success { li { "newest rows " (instant(at)) } }
            }
            p {
                (plural(dataset.received, "row")) " received in " (plural(dataset.runs, "run")) ": "
                (count(dataset.accepted)) " accepted, " (count(dataset.rejected)) " rejected ("
                (part(dataset.rejected, dataset.received)) "). "
                (plural(dataset.held, "rule")) @if dataset.held == 1 { " holds" } @else { " hold" }
                @if dataset.broken.is_empty() { "; none is broken." }
                @else { "; " (count(dataset.broken.len() as u64)) " broken." }
            }
            @if !dataset.broken.is_empty() { (broken(dataset)) }
            @if !dataset.missing.is_empty() { (missing(dataset)) }
        }
    }
}

fn broken(dataset: &DatasetReport) -> Markup {
    let label = format!("Broken rules of {}", dataset.dataset);
    html! {
        div.scroll role="region" tabindex="0" aria-label=(label) {
            table {
                caption { "Broken rules, the worst first" }
                thead {
                    tr {
                        th scope="col" { "Rule" }
                        th scope="col" { "Dimension" }
                        th scope="col" { "Severity" }
                        th.n scope="col" { "Broken by" }
                        th.n scope="col" { "Of rows" }
                        th.n scope="col" { "Share" }
                    }
                }
                tbody {
                    @for rule in &dataset.broken { (broken_rule(rule)) }
                }
            }
        }
    }
}

fn broken_rule(rule: &RuleReport) -> Markup {
    html! {
        tr {
            td {
                (rule.text)
                @if let (Some(value), Some(expected), false) =
                    (rule.value, &rule.expected, is_about_rows(rule.kind.as_deref()))
                {
                    " (found " (number(value)) ", expected " (expected) ")"
                } @else if let (None, Some(expected), true) =
                    (rule.value, &rule.expected, is_of_a_number(rule.kind.as_deref()))
                {
                    " (expected " (expected) ")"
                }
                @if rule.name != rule.text { " " code { (rule.name) } }
                @if !rule.samples.is_empty() {
                    details open {
                        summary { "Sample rows" }
                        ul.samples { @for sample in &rule.samples { li { (sample_line(sample)) } } }
                    }
                }
            }
            td { (rule.dimension) }
            td { (rule.severity) }
            @if rule.kind.as_deref() == Some(DRIFT) {
                td.n.none { "–" } td.n { (count(rule.checked)) } td.n.none { "–" }
            } @else {
                td.n { (count(rule.failed)) }
                td.n { (count(rule.checked)) }
                td.n { (part(rule.failed, rule.checked)) }
            }
        }
    }
}

fn sample_line(sample: &Sample) -> Markup {
    let object = sample
        .object_key
        .rsplit('/')
        .next()
        .unwrap_or(&sample.object_key);
    html! {
        @match &sample.reason {
            Some(reason) => (reason),
            None => "the value is personal and not shown",
        }
        " — " (object) ", "
        @match sample.line { Some(line) => { "line " (line) }, None => { "at " (sample.offset) } }
    }
}

fn missing(dataset: &DatasetReport) -> Markup {
    let label = format!("Missing values of {}", dataset.dataset);
    let by_partition = dataset.missing.iter().any(|one| !one.partitions.is_empty());
    html! {
        div.scroll role="region" tabindex="0" aria-label=(label) {
            table {
                caption { "Missing values: null, blank, or a sentinel such as N/A" }
                thead {
                    tr {
                        th scope="col" { "Column" }
                        th.n scope="col" { "Missing" }
                        th.n scope="col" { "Of rows" }
                        th scope="col" { "Share" }
                        @if by_partition { th scope="col" { "Most in" } }
                    }
                }
                tbody {
                    @for one in dataset.missing.iter().take(12) {
                        tr {
                            th scope="row" { (one.column) }
                            td.n { (count(one.missing)) }
                            td.n { (count(one.rows)) }
                            td {
                                (part(one.missing, one.rows))
                                (meter(one.missing as f64 / one.rows.max(1) as f64, "meter gap"))
                            }
                            @if by_partition {
                                td {
                                    @for (index, place) in one.partitions.iter().enumerate() {
                                        @if index > 0 { ", " }
                                        (place.partition) " " small { (unbroken(&part(place.missing, place.rows))) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
        @if dataset.missing.len() > 12 {
            p.lead { "And " (plural(dataset.missing.len() as u64 - 12, "column")) " with fewer." }
        }
    }
}

fn foot(report: &Report) -> Markup {
    html! {
        footer {
            div {
                p {
                    "All times are UTC. A score is the part of what was checked that holds, weighted by rows; the "
                    "overall score is the mean of the datasets’. 100.0 % means that nothing was broken. A value of "
                    "a personal column is never on this page."
                }
                p {
                    "Made from the table " code { "quality.results" } ". The same page again: "
                    code {
                        "tarn quality report "
                        @match report.scope { Scope::Day => "--day ", Scope::Run => "--run " }
                        (report.subject)
                        @if report.scope == Scope::Day { " --as-of " (report.as_of.to_rfc3339_opts(chrono::SecondsFormat::Micros, true)) }
                    }
                }
            }
        }
    }
}
