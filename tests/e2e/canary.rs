//! Fifty recognisable identifiers of every kind in every source, in good rows and bad ones: none of
//! their bytes is outside the raw zone.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::lake::Lake;

const EACH: usize = 50;

fn email(number: usize) -> String {
    format!("canary.mail{number:02}@person.example")
}

fn name(number: usize) -> String {
    format!("Canaryname{number:02} Familyname{number:02}")
}

fn address(number: usize) -> String {
    format!("{} Canarystreet, Hometown", 900 + number)
}

fn ip(number: usize) -> String {
    match number % 2 {
        0 => format!("198.51.100.{}", 101 + number),
        _ => format!("2001:db8:77:{:x}::cafe", 0xa000 + number),
    }
}

fn user(number: usize) -> String {
    format!("canaryuser{number:02}")
}

fn author(number: usize) -> String {
    format!("canaryauthor{number:02}")
}

/// The number by which an advertising platform knows a person.
fn person(number: usize) -> u64 {
    771_234_567_800 + number as u64
}

/// What is looked for.
fn canaries() -> Vec<String> {
    let all = (0..EACH).flat_map(|n| {
        let handle = email(n).split('@').next().unwrap().to_owned();
        let family = name(n).split(' ').next_back().unwrap().to_owned();
        [
            email(n),
            handle,
            name(n),
            family,
            address(n),
            ip(n),
            user(n),
            author(n),
            person(n).to_string(),
        ]
    });
    all.chain(["Canarystreet".to_owned(), "person.example".to_owned()])
        .collect()
}

/// Lines that can be read, lines that break a rule, and lines that cannot be read.
fn access_log(lake: &Lake) -> PathBuf {
    let mut text = String::new();
    for n in 0..EACH {
        let (ip, user, mail) = (ip(n), user(n), email(n));
        let escaped = mail.replace('@', "%40");
        let agent = format!("Mozilla/5.0 (compatible; bot; +{mail}) Chrome/120.0.0.0");
        for status in ["200", "777", "7x7"] {
            writeln!(
                text,
                "{ip} {user} {user} [05/Jan/2026:10:00:{n:02} +0000] \"GET /u/{user}/@{user}?mail={escaped}&ip={ip} HTTP/1.1\" {status} 5 \
                 \"https://shop.example/?from={mail}\" \"{agent}\""
            )
            .unwrap();
        }
        writeln!(
            text,
            "{ip} - - [05/Jan/2026:10:00:00 +0000] \"LOGIN {mail} from {ip}\" 400 5"
        )
        .unwrap();
        writeln!(text, "{} {mail} {ip} {} at {}", name(n), user, address(n)).unwrap();
        writeln!(text, "{ip} - {user} [{}] \"GET / HTTP/1.1\" 200 5", name(n)).unwrap();
    }
    lake.file("canary.log", text)
}

fn posts(lake: &Lake) -> PathBuf {
    let mut text = String::new();
    for n in 0..EACH {
        let (author, mail, ip) = (author(n), email(n), ip(n));
        let post = json!({
            "id": format!("17900000000000{n:05}"), "created_at": "2026-01-05T10:00:01Z",
            "text": format!("Write to {mail}, @{author}, u/{author} or {ip}!"), "lang": "en",
            "user": {"id": author, "screen_name": author, "name": name(n), "followers": 7, "verified": false, "location": address(n)},
            "metrics": {"likes": 1, "shares": 2, "comments": 3, "views": 4}, "hashtags": ["sale"],
            "mentions": [{"id": person(n), "screen_name": user(n)}], "source": "web", "sentiment": 0.5,
            "url": format!("https://social.example/{author}/status/1"), "note": mail,
        });
        let changed = |key: &str, value: Value| {
            let mut post = post.clone();
            post[key] = value;
            post
        };
        let twice = post.to_string();
        let lines = [
            twice.clone(),
            twice.clone(),
            changed("created_at", json!(name(n))).to_string(),
            changed("metrics", json!({"likes": 1, "shares": -2, "views": 1})).to_string(),
            changed("metrics", json!({"likes": mail})).to_string(),
            changed("id", json!({"author": author})).to_string(),
            json!({"hello": mail, "by": author}).to_string(),
            twice[..twice.len() - 20].to_owned(),
            twice.replacen(
                "\"lang\"",
                &format!("\"by\":\"{author}\",\"by\":\"{mail}\",\"lang\""),
                1,
            ),
        ];
        for line in lines {
            text += &line;
            text.push('\n');
        }
    }
    lake.file("canary-posts.ndjson", text)
}

/// Customers by name and email address; keys are not unique, so that rows can repeat.
fn database(lake: &Lake) -> PathBuf {
    let path = lake.file("canary.sqlite", "");
    std::fs::remove_file(&path).unwrap();
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE customers(customer_id INTEGER, email TEXT, name TEXT, country TEXT, created_at TEXT, segment TEXT, marketing_consent INTEGER);
             CREATE TABLE products(product_id INTEGER PRIMARY KEY, sku TEXT, name TEXT, category TEXT, price_cents INTEGER, cost_cents INTEGER, currency TEXT, active INTEGER);
             CREATE TABLE orders(order_id INTEGER PRIMARY KEY, customer_id INTEGER, order_ts TEXT, status TEXT, channel TEXT, country TEXT, currency TEXT, total_cents INTEGER, discount_cents INTEGER, shipping_cents INTEGER, coupon TEXT, campaign_id INTEGER);
             CREATE TABLE order_items(item_id INTEGER PRIMARY KEY, order_id INTEGER, product_id INTEGER, quantity INTEGER, unit_price_cents INTEGER, currency TEXT);
             CREATE TABLE payments(payment_id INTEGER PRIMARY KEY, order_id INTEGER, paid_at TEXT, method TEXT, status TEXT, amount TEXT, currency TEXT);
             CREATE TABLE refunds(refund_id INTEGER PRIMARY KEY, order_id INTEGER, refunded_at TEXT, amount REAL, currency TEXT, reason TEXT);
             BEGIN;",
        )
        .unwrap();
    let add = |id: usize, n: usize, created: &str, country: &str| {
        connection
            .execute(
                "INSERT INTO customers VALUES (?1, ?2, ?3, ?4, ?5, NULL, 1)",
                (id as i64, email(n), name(n), country, created),
            )
            .unwrap();
    };
    for n in 0..EACH {
        add(n + 1, n, "2025-12-01 10:00:00", "DE");
        add(n + 1, n, "2025-12-01 10:00:00", "DE");
        add(n + 1001, n, "2025-12-01 10:00:00", "nowhere");
        add(n + 2001, n, &email(n), "DE");
        connection
            .execute(
                "INSERT INTO refunds VALUES (?1, 1, ?2, 4.5, 'EUR', ?3)",
                (
                    n as i64 + 1,
                    ["2026-01-09 08:00:00", "never"][n % 2],
                    format!("asked by {} from {}", email(n), ip(n)),
                ),
            )
            .unwrap();
    }
    connection.execute_batch("COMMIT;").unwrap();
    path
}

fn events(lake: &Lake) -> PathBuf {
    let mut text = String::new();
    for n in 0..EACH {
        let event = json!({
            "event_id": format!("event-{n}"), "event_ts": 1_767_225_600_000_u64, "event_type": "click",
            "platform": "google", "campaign_id": 1, "user_id": person(n), "session_id": user(n),
        });
        let changed = |key: &str, value: Value| {
            let mut event = event.clone();
            event["event_id"] = json!(format!("changed-{n}-{key}"));
            event[key] = value;
            event.to_string()
        };
        let sound = event.to_string();
        let lines = [
            sound.clone(),
            sound.clone(),
            changed("event_type", json!("shrug")),
            changed("user_id", json!(email(n))),
            changed("cost_micros", json!(email(n))),
            changed("campaign_id", json!({"by": name(n)})),
            changed("note", json!(email(n))),
            format!("{{\"by\": \"{}\", \"by\": \"{}\"}}", user(n), name(n)),
            sound[..sound.len() - 2].to_owned(),
            format!("{} lives at {}", name(n), address(n)),
        ];
        for line in lines {
            text += &line;
            text.push('\n');
        }
    }
    lake.file("canary-events.ndjson", text)
}

/// Files of the lake that hold no raw objects: the former contents of those are in `.tarn/versions`.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.ends_with("lake/raw") || path.ends_with(".tarn/versions") {
            continue;
        }
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

fn search(place: &str, bytes: &[u8], canaries: &[String]) {
    let text = String::from_utf8_lossy(bytes).to_lowercase();
    for canary in canaries {
        assert!(
            !text.contains(&canary.to_lowercase()),
            "{canary} is in {place}: {}",
            around(&text, &canary.to_lowercase())
        );
    }
}

fn around(text: &str, canary: &str) -> String {
    let at = text.find(canary).unwrap_or_default();
    let from = text[..at]
        .char_indices()
        .rev()
        .nth(120)
        .map_or(0, |(index, _)| index);
    text[from..].chars().take(300).collect()
}

#[test]
fn no_identifier_of_a_person_is_outside_the_raw_zone() {
    let lake = Lake::new();
    let canaries = canaries();
    let mut shown = Vec::new();
    let mut run = |args: &[&str]| {
        let output = lake
            .command()
            .env("TARN_LOG", "debug")
            .args(args)
            .output()
            .unwrap();
        let what = args.join(" ");
        search(&format!("the output of {what}"), &output.stdout, &canaries);
        search(&format!("the log of {what}"), &output.stderr, &canaries);
        shown.push(what);
        String::from_utf8(output.stdout).unwrap()
    };
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let mut records = Vec::new();
    for (file, to) in [
        (access_log(&lake), "web/access_logs"),
        (posts(&lake), "social/posts"),
        (database(&lake), "shop/database"),
    ] {
        let text = run(&["--json", "ingest", "--to", to, &path(&file)]);
        records.extend(crate::lake::lines(&text));
    }
    let sent = events(&lake);
    records.extend(crate::lake::lines(&run(&[
        "--json",
        "stream",
        &path(&sent),
    ])));
    for record in &records {
        assert_eq!(record["status"], "succeeded", "{record}");
        crate::lake::assert_accounted(record);
    }
    rejections_are_those_of_the_canaries(&records);

    run(&["marts"]);
    run(&["quality"]);
    run(&["runs"]);
    run(&["--json", "runs"]);
    run(&["quarantine", "--limit", "5000"]);
    let list = run(&["--json", "quarantine", "--limit", "5000"]);
    assert_eq!(list.lines().count(), 23 * EACH + EACH / 2);
    for number in [1, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1000, 1100] {
        run(&["quarantine", &number.to_string()]);
    }
    for table in crate::lake::lines(&run(&["--json", "tables"])) {
        let name = table["table"].as_str().unwrap();
        run(&[
            "query",
            "--format",
            "ndjson",
            &format!("SELECT * FROM {name}"),
        ]);
    }

    let mut outside = Vec::new();
    files(&lake.path(), &mut outside);
    assert!(
        outside
            .iter()
            .any(|file| file.ends_with(".tarn/lake.sqlite"))
    );
    assert!(
        outside
            .iter()
            .any(|file| file.extension().is_some_and(|ending| ending == "parquet"))
    );
    for file in &outside {
        search(&path(file), &std::fs::read(file).unwrap(), &canaries);
    }

    protected_values_can_be_counted_and_joined(&lake);
}

fn rejections_are_those_of_the_canaries(records: &[Value]) {
    let rejected = |dataset: &str| -> u64 {
        let outcomes = records
            .iter()
            .flat_map(|record| record["datasets"].as_array().unwrap());
        let outcomes = outcomes.filter(|outcome| outcome["dataset"] == dataset);
        outcomes
            .map(|outcome| outcome["rejected"].as_u64().unwrap())
            .sum()
    };
    for (dataset, each) in [
        ("web_requests", 4),
        ("social_posts", 8),
        ("customers", 3),
        ("ad_events", 8),
    ] {
        assert_eq!(rejected(dataset), each * EACH as u64, "{dataset}");
    }
    assert_eq!(rejected("refunds"), EACH as u64 / 2);
}

fn protected_values_can_be_counted_and_joined(lake: &Lake) {
    let persons = "SELECT COUNT(DISTINCT email) AS n FROM customers WHERE LENGTH(email) = 32";
    assert_eq!(lake.value(persons), EACH);
    let joined = "SELECT COUNT(*) AS n FROM (SELECT DISTINCT remote_user AS who FROM web_requests) a \
                  JOIN (SELECT DISTINCT session_id AS who FROM ad_events) b ON a.who = b.who";
    assert_eq!(lake.value(joined), EACH);
    let log = lake.query("SELECT DISTINCT client_ip FROM web_requests ORDER BY client_ip");
    assert_eq!(
        log,
        [
            json!({"client_ip": "198.51.100.0/24"}),
            json!({"client_ip": "2001:db8:77::/48"})
        ]
    );
    let agents = lake.query("SELECT DISTINCT user_agent, query, _key_version FROM web_requests WHERE user_agent IS NOT NULL AND client_ip = '198.51.100.0/24'");
    assert_eq!(
        agents,
        [json!({
            "user_agent": "Mozilla/5.0 (compatible; bot; [email]) Chrome/120.0.0.0",
            "query": "mail=[email]&ip=[ip]",
            "_key_version": 1,
        })]
    );
}
