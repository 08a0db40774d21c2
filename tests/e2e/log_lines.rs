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
