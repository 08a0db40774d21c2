//! Statements and bodies that try to read something else, to end the process, or to keep it busy.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::lake::Lake;
use crate::serve::Server;

fn lake() -> Lake {
    let lake = Lake::new();
    let lines: String = (0..500)
        .map(|n| {
            format!(
                "127.0.0.1 - - [01/Jan/2026:00:{:02}:{:02} +0000] \"GET /x/{n} HTTP/1.1\" 200 {n}\n",
                n / 60 % 60,
                n % 60
            )
        })
        .collect();
    let log = lake.file("access.log", lines);
    lake.ingest(&[&log]);
    lake
}

/// Statements that are refused: nothing but a query over tables gets in.
const REFUSED: &[&str] = &[
    "",
    ";",
    "SELECT",
    "DROP TABLE web_requests",
    "DELETE FROM web_requests",
    "TRUNCATE TABLE web_requests",
    "INSERT INTO web_requests VALUES (1)",
    "UPDATE web_requests SET status = 1",
    "MERGE INTO web_requests USING x ON true WHEN MATCHED THEN DELETE",
    "CREATE TABLE x AS SELECT 1",
    "CREATE VIEW x AS SELECT 1",
    "CREATE SCHEMA x",
    "CREATE DATABASE x",
    "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'",
    "CREATE FUNCTION f() RETURNS INT RETURN 1",
    "CREATE INDEX i ON web_requests (status)",
    "ALTER TABLE web_requests ADD COLUMN x INT",
    "COPY web_requests TO '/tmp/x.csv'",
    "COPY (SELECT 1) TO 's3://x/y.parquet' STORED AS PARQUET",
    "SET datafusion.execution.batch_size = 1",
    "RESET ALL",
    "SHOW ALL",
    "SHOW TABLES",
    "SHOW COLUMNS FROM web_requests",
    "DESCRIBE web_requests",
    "EXPLAIN ANALYZE SELECT 1",
    "EXPLAIN VERBOSE SELECT 1",
    "EXPLAIN FORMAT JSON SELECT 1",
    "EXPLAIN COPY (SELECT 1) TO '/tmp/x.csv'",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "DEALLOCATE p",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "GRANT SELECT ON web_requests TO x",
    "USE curated",
    "ATTACH DATABASE 'x' AS y",
    "INSTALL httpfs",
    "LOAD httpfs",
    "PRAGMA database_list",
    "VACUUM",
    "CALL system.x()",
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE web_requests",
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_parquet('/etc/passwd')",
    "SELECT * FROM parquet_metadata('/etc/passwd')",
    "SELECT * FROM metadata_cache()",
    "SELECT * FROM list_files_cache()",
    "SELECT * FROM glob('/*')",
    "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM \"/etc/passwd\"",
    "SELECT * FROM 'file:///etc/passwd'",
    "SELECT * FROM 's3://bucket/key.parquet'",
    "SELECT * FROM \"https://example.com/x.parquet\"",
    "SELECT * FROM web_requests, read_json('x')",
    "SELECT * FROM web_requests WHERE 1 IN (SELECT * FROM read_csv('x'))",
    "WITH x AS (SELECT * FROM read_csv('x')) SELECT * FROM x",
    "WITH x AS (DELETE FROM web_requests RETURNING *) SELECT * FROM x",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM information_schema.df_settings",
    "SELECT * FROM pg_catalog.pg_tables",
    "SELECT * FROM system.tables",
    "SELECT * FROM lake.curated.web_requests",
    "SELECT * FROM a.b.c.d",
    "SELECT * INTO copy FROM web_requests",
    "SELECT * FROM web_requests FOR UPDATE",
    "SELECT * FROM web_requests TABLESAMPLE (1 PERCENT)",
    "SELECT * FROM secrets",
    "TABLE web_requests",
    "VALUES (1), ('x', 2)",
    "SELECT nothing FROM web_requests",
    "SELECT no_function(1)",
    "SELECT current_setting('x')",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT getenv('HOME')",
    "SELECT load_extension('x')",
    "SELECT system('id')",
    "SELECT $1",
    "SELECT ?",
    "SELECT :name",
    "SELECT @@version",
    "SELECT 1 +",
    "SELECT (",
    "SELECT 'a",
    "SELECT \"a",
    "SELECT /* a",
    "SELECT 1 FROM",
    "SELECT * FROM web_requests WHERE",
    "SELECT CAST(1 AS nothing)",
    "SELECT CAST('x' AS INT)",
    "SELECT 9223372036854775807 + 1",
    "SELECT -9223372036854775808 - 1",
    "SELECT 9223372036854775807 * 2",
    "SELECT CAST('99999999999999999999' AS BIGINT)",
    "SELECT repeat('x', 1000000000000)",
    "SELECT DATE '9999-99-99'",
    "SELECT TIMESTAMP 'x'",
    "SELECT INTERVAL 'x'",
    "SELECT now() AT TIME ZONE 'Nowhere/None'",
    "SELECT regexp_replace('x', '(', 'y')",
    "SELECT arrow_cast('x', 'nothing')",
    "SELECT [1, 2][",
    "SELECT NTILE(0) OVER ()",
    "SELECT SUM(status) OVER (ROWS BETWEEN 1 FOLLOWING AND 1 PRECEDING) FROM web_requests",
    "SELECT MAX(MAX(status)) FROM web_requests",
    "SELECT status FROM web_requests GROUP BY path",
    "SELECT * FROM web_requests a JOIN web_requests b ON a.nothing = b.nothing",
    "WITH RECURSIVE r AS (SELECT * FROM r) SELECT * FROM r",
];

/// Parts that make trees deep when they are repeated: (before, part, after).
const REPEATED: &[(&str, &str, &str)] = &[
    ("SELECT 1", "+1", ""),
    ("SELECT 'a'", "||'a'", ""),
    ("SELECT 1", "::bigint", ""),
    ("SELECT 1", " IS NULL", ""),
    ("SELECT true", " AND true", ""),
    ("SELECT true", " OR false", ""),
    ("SELECT 1", " UNION ALL SELECT 1", ""),
    ("SELECT 1", " UNION SELECT 2", ""),
    ("SELECT 1", " EXCEPT SELECT 1", ""),
    ("SELECT ", "NOT ", "true"),
    ("SELECT ", "-", "1"),
    ("SELECT ", "(", "1"),
    ("SELECT ", "abs(", "1"),
    ("SELECT ", "CASE WHEN true THEN ", "1"),
    ("SELECT ", "CAST(", "1"),
    ("SELECT ", "INTERVAL ", "'1 day'"),
    ("SELECT ", "ARRAY[", "1"),
    ("SELECT CAST(NULL AS ", "ARRAY<", "INT"),
    ("SELECT * FROM ", "(", "web_requests"),
    ("SELECT * FROM ", "(SELECT * FROM ", "web_requests"),
    ("SELECT 1 WHERE 1 IN (1", ",1", ")"),
    ("SELECT 1", ",1", ""),
    ("SELECT 1 FROM web_requests", ", web_requests", " LIMIT 1"),
    (
        "WITH a AS (SELECT 1 AS x)",
        ", a AS (SELECT 1 AS x)",
        " SELECT * FROM a",
    ),
    ("SELECT 1 WHERE true", " AND EXISTS (SELECT 1", ""),
];

/// Closes what a repeated part has opened.
fn repeated((before, part, after): (&str, &str, &str), times: usize) -> String {
    let closed = match part {
        "(" | "abs(" | "(SELECT * FROM " | " AND EXISTS (SELECT 1" => ")",
        "CASE WHEN true THEN " => " END",
        "CAST(" => " AS BIGINT)",
        "ARRAY[" => "]",
        "ARRAY<" => ">",
        _ => "",
    };
    let end = if part == "ARRAY<" { ")" } else { "" };
    format!(
        "{before}{}{after}{}{end}",
        part.repeat(times),
        closed.repeat(times)
    )
}

/// Bodies that are not what the route takes.
fn bodies() -> Vec<String> {
    let deep = "[".repeat(50_000);
    let mut bodies: Vec<String> = [
        "",
        "x",
        "{",
        "null",
        "[]",
        "1",
        "\"SELECT 1\"",
        "{}",
        "{\"sql\": null}",
        "{\"sql\": 1}",
        "{\"sql\": []}",
        "{\"sql\": {}}",
        "{\"sql\": \"SELECT 1\", \"more\": 1}",
        "{\"sql\": \"SELECT 1\", \"format\": \"exe\"}",
        "{\"sql\": \"SELECT 1\", \"limit\": -1}",
        "{\"sql\": \"SELECT 1\", \"limit\": 1.5}",
        "{\"sql\": \"SELECT 1\", \"limit\": \"1\"}",
        "{\"sql\": \"SELECT 1\", \"limit\": 99999999999999999999999}",
        "{\"sql\": \"SELECT 1\", \"as_of\": {}}",
        "{\"sql\": \"SELECT 1\", \"as_of\": true}",
        "{\"sql\": \"SELECT * FROM web_requests\", \"as_of\": \"yesterday\"}",
        "{\"sql\": \"SELECT * FROM web_requests\", \"as_of\": 99}",
        "{\"sql\": \"SELECT \\u0000\"}",
        "{\"sql\": \"\\ud800\"}",
        "{\"sql\": \"SELECT 1\"} {}",
    ]
    .map(str::to_owned)
    .into();
    bodies.push(format!("{{\"sql\": {deep}"));
    bodies.push(json!({ "sql": "x".repeat(60_000) }).to_string());
    bodies.push(json!({ "sql": format!("SELECT '{}'", "x".repeat(70_000)) }).to_string());
    bodies
}

/// Ticks of processor time and bytes of memory that the process has used, from Linux.
fn used(process: u32) -> (u64, u64) {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    let ticks = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    (ticks, fields[21].parse::<u64>().unwrap() * 4096)
}

/// Whether the server rests: less than a tenth of a second of processor time in half a second.
fn rests(process: u32) -> bool {
    let before = used(process).0;
    std::thread::sleep(Duration::from_millis(500));
    used(process).0 - before < 10
}

fn sql(server: &Server, sql: &str) -> (u16, String) {
    server.request("POST", "/query", Some(&json!({ "sql": sql }).to_string()))
}

/// The next request is answered in time.
fn assert_alive(server: &Server, after: &str) {
    let begun = Instant::now();
    let (status, body) = sql(server, "SELECT COUNT(*) AS n FROM web_requests");
    assert_eq!(status, 200, "after {after:.80}: {body}");
    assert!(body.contains("500"), "after {after:.80}: {body}");
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "after {after:.80}"
    );
}

#[test]
fn no_statement_and_no_body_gets_in_or_ends_the_process() {
    let lake = lake();
    let server = Server::start(&lake);
    assert_alive(&server, "the start");
    let before = used(server.process()).1;
    let mut tried = 0;
    for statement in REFUSED {
        let (status, body) = sql(&server, statement);
        assert!((400..500).contains(&status), "{statement}: {status} {body}");
        for inner in [
            "/rustc",
            "datafusion",
            "DataFusion",
            "panicked",
            ".rs:",
            "backtrace",
        ] {
            assert!(!body.contains(inner), "{statement}: {body}");
        }
        tried += 1;
    }
    for part in REPEATED {
        for times in [90, 190, 1_230, 5_000] {
            let statement = repeated(*part, times);
            let (status, body) = sql(&server, &statement);
            // Answered, refused, or larger than a body may be.
            assert!(
                matches!(status, 200 | 400 | 413 | 422),
                "{statement:.60}: {status} {body:.200}"
            );
            tried += 1;
        }
        assert_alive(&server, part.1);
    }
    for body in bodies() {
        let (status, answer) = server.request("POST", "/query", Some(&body));
        assert!(
            (400..500).contains(&status),
            "{body:.60}: {status} {answer}"
        );
        tried += 1;
    }
    assert!(tried >= 200, "{tried}");
    assert_alive(&server, "all of them");
    let after = used(server.process()).1;
    assert!(
        after < before + 300 * 1024 * 1024,
        "{before} bytes became {after}"
    );
}

/// Four times 500 rows joined without a condition: 62 billion rows.
const LONG: &str = "SELECT COUNT(*) FROM web_requests a, web_requests b, web_requests c, web_requests d \
                    WHERE a.path || b.path < c.path || d.path";

#[test]
fn a_query_that_takes_too_long_ends_and_the_next_is_answered() {
    let lake = lake();
    let server = Server::with(&lake, &["--timeout", "2"]);
    assert_alive(&server, "the start");
    let before = used(server.process()).1;
    for _ in 0..2 {
        let begun = Instant::now();
        let (status, body) = sql(&server, LONG);
        assert_eq!(status, 503, "{body}");
        assert!(begun.elapsed() < Duration::from_secs(4));
        std::thread::sleep(Duration::from_secs(1));
        assert!(rests(server.process()));
    }
    let after = used(server.process()).1;
    assert!(
        after < before + 200 * 1024 * 1024,
        "{before} became {after}"
    );
    assert_alive(&server, "a long query");
}

#[test]
fn a_client_that_leaves_ends_its_query_and_frees_its_place() {
    let lake = lake();
    let server = Server::with(&lake, &["--timeout", "60"]);
    assert_alive(&server, "the start");
    // More than may run at once.
    let clients: Vec<TcpStream> = (0..6)
        .map(|_| {
            let body = json!({ "sql": LONG }).to_string();
            let mut stream = TcpStream::connect(&server.address).unwrap();
            write!(
                stream,
                "POST /query HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
            .unwrap();
            stream
        })
        .collect();
    std::thread::sleep(Duration::from_secs(1));
    assert!(!rests(server.process()), "the queries run");
    drop(clients);
    std::thread::sleep(Duration::from_secs(1));
    assert!(rests(server.process()));
    assert_alive(&server, "clients that left");
}

#[test]
fn memory_has_a_bound_and_what_can_goes_to_disk() {
    let lake = lake();
    let server = Server::with(&lake, &["--memory", "64"]);
    assert_alive(&server, "the start");
    let before = used(server.process()).1;
    // 6 million rows are sorted and grouped with 32 MiB.
    for statement in [
        "SELECT MAX(place) AS n FROM (SELECT ROW_NUMBER() OVER (ORDER BY (value * 7919) % 6000011) AS place FROM generate_series(1, 6000000) AS t(value))",
        "SELECT COUNT(*) AS n FROM (SELECT value % 3000000 AS k, COUNT(*) AS n FROM generate_series(1, 6000000) AS t(value) GROUP BY 1)",
    ] {
        let (status, body) = sql(&server, statement);
        assert_eq!(status, 200, "{statement}: {body}");
    }
    // A join of all with all that holds one side cannot be done in parts.
    let (status, body) = sql(
        &server,
        "SELECT COUNT(*) FROM generate_series(1, 9000000) AS a(x) JOIN generate_series(1, 9000000) AS b(y) ON a.x < b.y - 8999999",
    );
    assert_eq!(status, 400, "{body}");
    assert!(body.contains("MiB of memory"), "{body}");
    let after = used(server.process()).1;
    assert!(
        after < before + 400 * 1024 * 1024,
        "{before} became {after}"
    );
    assert_alive(&server, "queries that needed much");
}
