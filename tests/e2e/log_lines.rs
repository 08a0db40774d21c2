//! Lines of access logs as servers, proxies and collectors write them: each is a row with the right values, or
//! rejected for the column that is wrong.

use serde_json::{Value, json};

use crate::lake::{Lake, lines};

const REQUEST: &str = "[14/Nov/2025:12:00:01 +0000] \"GET /a HTTP/1.1\" 200 10 \"-\" \"curl/8\"";

/// The rows of these lines in order, and the columns for which the others were rejected.
fn read(lake: &Lake, columns: &str, text: &str) -> (Vec<Value>, Vec<String>) {
    let log = lake.file("access.log", text);
    lake.ingest(&[&log]);
    let rows = lake.query(&format!(
        "SELECT {columns} FROM web_requests ORDER BY _source_offset"
    ));
    let rejected = lines(&lake.ok(&["quarantine", "--json"]));
    let columns = rejected.iter().map(|row| {
        let column = row["_column"].as_str();
        column.unwrap_or_else(|| panic!("{row}")).to_owned()
    });
    (rows, columns.collect())
}

#[test]
fn heads_of_proxies_and_servers_are_read_and_prefixes_of_collectors_refused() {
    let lake = Lake::new();
    let heads = [
        "203.0.113.21, 10.0.0.5 - -",
        "203.0.113.22:51234 - \"\"",
        "*.shop.example:443 203.0.113.23  - -",
        ":80 unknown - -",
        "203.0.113.24 - ann b",
        "Nov 14 12:00:01 web1 nginx: 203.0.113.21 - -",
        "nginx_1  | 203.0.113.81 - bob",
        "203.0.113.21 - an203.0.113.22 - -",
    ];
    let text: String = heads
        .iter()
        .map(|head| format!("{head} {REQUEST}\n"))
        .collect();
    let columns = "vhost, server_port AS port, client_ip AS client, remote_user IS NULL AS nobody";
    let (rows, rejected) = read(&lake, columns, &text);
    let net = "203.0.113.0/24";
    assert_eq!(
        rows,
        [
            json!({ "vhost": null, "port": null, "client": net, "nobody": true }),
            json!({ "vhost": null, "port": null, "client": net, "nobody": true }),
            json!({ "vhost": "*.shop.example", "port": 443, "client": net, "nobody": true }),
            json!({ "vhost": null, "port": 80, "client": null, "nobody": true }),
            json!({ "vhost": null, "port": null, "client": net, "nobody": false }),
        ]
    );
    assert_eq!(rejected, ["client_ip", "client_ip", "remote_user"]);
}

#[test]
fn an_escaped_user_has_the_pseudonym_of_the_user() {
    let lake = Lake::new();
    let text = format!(
        "203.0.113.1 - jörg {REQUEST}\n203.0.113.1 - j\\xc3\\xb6rg {REQUEST}\n203.0.113.1 -  jörg  {REQUEST}\n"
    );
    let (rows, rejected) = read(&lake, "remote_user", &text);
    assert_eq!((rows.len(), rejected.len()), (3, 0));
    assert!(rows.iter().all(|row| *row == rows[0]), "{rows:?}");
}

#[test]
fn fields_after_the_agent_fill_the_columns_that_a_contract_names() {
    let lake = Lake::new();
    let contracts = lake.scratch().join("contracts");
    std::fs::create_dir_all(&contracts).unwrap();
    let contract = r#"apiVersion: v3.1.0
kind: DataContract
id: requests
version: 1.0.0
status: active
description: { purpose: Requests with their times. }
customProperties:
  - { property: sourceFormat, value: accessLog }
  - { property: keyPattern, value: "raw/web/access_logs/**" }
schema:
  - name: requests
    properties:
      - { name: path, logicalType: string, physicalType: string }
      - { name: status, logicalType: integer, physicalType: int }
      - { name: bytes_received, logicalType: integer, physicalType: bigint }
      - { name: bytes_sent, logicalType: integer, physicalType: bigint }
      - { name: request_time, logicalType: number, physicalType: double }
"#;
    std::fs::write(contracts.join("requests.odcs.yaml"), contract).unwrap();
    let after = [
        "",
        " \"-\"",
        " \"198.51.100.4, 10.0.0.5\" 0.005",
        " 512 1024",
    ];
    let mut text: String = after
        .iter()
        .map(|after| format!("203.0.113.1 - - {REQUEST}{after}\n"))
        .collect();
    text += &REQUEST
        .replace("200", "000")
        .replacen('[', "203.0.113.1 - - [", 1);
    // A line that may be cut.
    text += "\n203.0.113.1 - - [14/Nov/2025:12:00:01.5 +0000] \"GET /a HTTP/1.1\" 200 15";
    let log = lake.file("access.log", text);
    let place = contracts.to_str().unwrap();
    lake.ok(&["ingest", "--contracts", place, log.to_str().unwrap()]);
    let rows = lake.query(
        "SELECT status, bytes_received AS i, bytes_sent AS o, request_time AS t FROM requests ORDER BY _source_offset",
    );
    assert_eq!(
        rows,
        [
            json!({ "status": 200, "i": null, "o": null, "t": null }),
            json!({ "status": 200, "i": null, "o": null, "t": null }),
            json!({ "status": 200, "i": null, "o": null, "t": 0.005 }),
            json!({ "status": 200, "i": 512, "o": 1024, "t": null }),
            json!({ "status": 0, "i": null, "o": null, "t": null }),
        ]
    );
    let rejected = lake.ok(&["quarantine", "--contracts", place]);
    assert!(rejected.contains("a line end, without which"), "{rejected}");
}

/// A contract of requests whose lines are laid out like that, in a folder with others of its kind.
fn write_contract(folder: &std::path::Path, name: &str, log_format: &str) {
    let log_format = match log_format {
        "" => String::new(),
        notation => format!("  - {{ property: logFormat, value: '{notation}' }}\n"),
    };
    let text = format!(
        r#"apiVersion: v3.1.0
kind: DataContract
id: {name}
version: 1.0.0
status: active
description: {{ purpose: Requests. }}
customProperties:
  - {{ property: sourceFormat, value: accessLog }}
  - {{ property: keyPattern, value: "raw/web/{name}/**" }}
{log_format}schema:
  - name: {name}
    properties:
      - {{ name: event_time, logicalType: timestamp, physicalType: timestamptz, required: true }}
      - {{ name: client_ip, logicalType: string, physicalType: string, tags: ["pii:direct"], customProperties: [{{ property: protection, value: generalise }}] }}
      - {{ name: path, logicalType: string, physicalType: string }}
      - {{ name: status, logicalType: integer, physicalType: int }}
      - {{ name: request_time, logicalType: number, physicalType: double }}
"#
    );
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join(format!("{name}.odcs.yaml")), text).unwrap();
}

#[test]
fn a_log_is_found_by_the_layout_that_a_contract_says() {
    let lake = Lake::new();
    let folder = lake.scratch().join("contracts");
    write_contract(&folder, "web", "");
    write_contract(
        &folder,
        "apache",
        r#"%{%Y-%m-%dT%H:%M:%S%z}t %a %>s %D "%r""#,
    );
    let json = r#"{"at":"$time_iso8601","from":"$remote_addr","to":"$request_uri","code":$status,"took":$request_time}"#;
    write_contract(&folder, "nginx", json);
    let contracts = folder.to_str().unwrap();
    let web = format!("203.0.113.1 - - {REQUEST}\n");
    let apache = "2026-01-31T11:11:12+0100 203.0.113.9 404 1500 \"GET /b HTTP/1.1\"\n\
                  2026-01-31T11:11:12+0100 203.0.113.9 4x4 1500 \"GET /b HTTP/1.1\"\n";
    let nginx = "{\"at\":\"2026-01-31T10:11:12+00:00\",\"from\":\"203.0.113.9\",\"to\":\"/c?d\",\"code\":200,\"took\":0.25}\n";
    let files = [("a.log", web.as_str()), ("b.log", apache), ("c.log", nginx)]
        .map(|(name, text)| lake.file(name, text));
    let files = files.each_ref().map(|file| file.to_str().unwrap());
    lake.ok(&[&["ingest", "--contracts", contracts][..], &files].concat());
    let of = |table: &str| {
        lake.query(&format!(
            "SELECT path, status, request_time AS t, client_ip AS c, CAST(event_time AS VARCHAR) AS at FROM {table}"
        ))
    };
    let row = |path: &str, status: u16, t: Option<f64>, at: &str| json!({ "path": path, "status": status, "t": t, "c": "203.0.113.0/24", "at": at });
    let at = of("nginx")[0]["at"].as_str().unwrap().to_owned();
    assert!(
        at.starts_with("2026-01-31") && at.contains("10:11:12"),
        "{at}"
    );
    assert_eq!(of("nginx"), [row("/c", 200, Some(0.25), &at)]);
    assert_eq!(of("apache"), [row("/b", 404, Some(0.0015), &at)]);
    let [web] = of("web").try_into().unwrap();
    assert_eq!((&web["path"], &web["status"]), (&json!("/a"), &json!(200)));
    let rejected = lake.ok(&["quarantine", "--contracts", contracts]);
    assert!(rejected.contains("three digits"), "{rejected}");
    // A notation that cannot be read is a fault of the contract.
    write_contract(&folder, "apache", "%h %u");
    let output = lake.run(&["contract", "lint", contracts]);
    let text = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert!(
        !output.status.success() && text.contains("logFormat has no time"),
        "{text}"
    );
}

#[test]
fn a_w3c_log_that_grows_is_read_by_the_fields_at_its_beginning() {
    let lake = Lake::new();
    let head = "#Software: Microsoft Internet Information Services 10.0\r\n\
        #Fields: date time c-ip cs-method cs-uri-stem sc-status time-taken cs(User-Agent)\r\n";
    let line = |second: usize| {
        format!(
            "2025-11-14 12:00:{second:02} 203.0.113.9 GET /{second} 200 15 Mozilla/5.0+(X11)\r\n"
        )
    };
    let first: String = (0..3).map(line).collect();
    let all: String = (0..5).map(line).collect();
    for (text, taken) in [(&first, 3), (&all, 2)] {
        let log = lake.file("u_ex251114.log", format!("{head}{text}"));
        let records = lake.ingest(&[&log]);
        assert_eq!(
            records[0]["datasets"][0]["accepted"], taken,
            "{}",
            records[0]
        );
        assert_eq!(records[0]["datasets"][0]["rejected"], 0, "{}", records[0]);
    }
    let rows = lake.query("SELECT path, user_agent AS agent FROM web_requests ORDER BY path");
    let row = |path: &str| json!({ "path": path, "agent": "Mozilla/5.0 (X11)" });
    assert_eq!(rows, ["/0", "/1", "/2", "/3", "/4"].map(row));
    // A load balancer's log, as it comes.
    let alb = "https 2025-11-14T12:00:09.000000Z app/shop/50dc 203.0.113.7:2817 10.0.0.1:80 0.1 0.2 0.3 200 200 34 57 \
        \"GET https://www.shop.example:443/alb HTTP/1.1\" \"curl/8\" - - arn \"-\" \"www.shop.example\" \"-\" 1 \
        2025-11-14T12:00:08.000000Z \"forward\" \"-\" \"-\"\n";
    let log = lake.file("alb.log.gz", crate::logs::gzip(alb));
    lake.ingest(&[&log]);
    assert_eq!(
        lake.value("SELECT vhost FROM web_requests WHERE path = '/alb'"),
        "www.shop.example"
    );
}
