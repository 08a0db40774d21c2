//! Lines whose layout is said: by the contract, by a directive before them, or by a load balancer.
#![allow(clippy::unwrap_used)]

use std::io::Cursor;

use proptest::prelude::*;
use tarn_contract::LogFormat;

use super::tests::{Seen, all_columns, read, read_to_end};
use super::*;

fn input(text: &[u8]) -> Input {
    Input::new(Box::new(Cursor::new(text.to_vec()))).unwrap()
}

fn read_as(notation: &str, text: &[u8]) -> Seen {
    let format = LogFormat::parse(notation).unwrap();
    let (columns, options) = (all_columns(), AccessLogOptions::default());
    let layouts = Layouts::new(Some(&format));
    let reader = AccessLogReader::of_columns(input(text), &columns, layouts, options).unwrap();
    read_to_end(reader, &columns, options).unwrap()
}

/// The columns of the only row, as `name=value` in order of their names, without those that nobody asked for.
fn only(seen: &Seen) -> String {
    assert_eq!(seen.rejected, []);
    let [row] = seen.rows.as_slice() else {
        panic!("{seen:?}");
    };
    let values = row.iter().filter(|(name, _)| *name != "is_bot");
    let values: Vec<String> = values
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    values.join("|")
}

/// 2026-01-31T10:11:12Z.
const MICROS: &str = "event_time=1769854272000000";

const COMBINED: &str = r#"%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i""#;

#[test]
fn lines_are_read_as_the_contract_says() {
    let cases = [
        (
            // A server of its own order, with seconds of the request and a header that nobody knows.
            r#"%{%Y-%m-%d %H:%M:%S%z}t|%a|%u|%m %U%q|%>s|%O|%{ms}T|%{X-Request-Id}i"#
                .replace("%U%q", "%U"),
            "2026-01-31 11:11:12+0100|203.0.113.9|ann|GET /a b|200|512|250|ab-1|2\n",
            format!(
                "bytes_sent=512|client_ip=203.0.113.9|{MICROS}|method=GET|path=/a b|remote_user=ann|\
                 request_time=0.25|status=200|utc_offset_minutes=60"
            ),
        ),
        (
            // nginx behind a proxy.
            r#"$http_x_forwarded_for - $remote_user [$time_local] $host "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" $request_time $upstream_response_time"#.to_owned(),
            "203.0.113.9, 10.0.0.1 - - [31/Jan/2026:10:11:12 +0000] shop.example:8080 \"GET /x?a=1 HTTP/2.0\" 200 5 \"-\" \"A \\x22B\\x22\" 0.012 0.010, 0.002\n",
            format!(
                "bytes=5|client_ip=203.0.113.9|{MICROS}|method=GET|path=/x|protocol=HTTP/2.0|query=a=1|\
                 request_time=0.012|server_port=8080|status=200|user_agent=A \"B\"|utc_offset_minutes=0|\
                 vhost=shop.example"
            ),
        ),
        (
            // JSON, with escapes of JSON.
            r#"{"t":"$time_iso8601","ip":"$remote_addr","uri":"$request_uri","s":$status,"ua":"$http_user_agent","m":"$request_method"}"#.to_owned(),
            "{\"t\":\"2026-01-31T10:11:12+00:00\",\"ip\":\"2001:db8::1\",\"uri\":\"/\\u00e9\\\"?q\",\"s\":404,\"ua\":\"\",\"m\":\"GET\"}\n",
            format!(
                "client_ip=2001:db8::1|{MICROS}|method=GET|path=/é\"|query=q|status=404|utc_offset_minutes=0"
            ),
        ),
        (
            // Epochs have no offset.
            "$msec $remote_addr \"$request\" $status".to_owned(),
            "1769854272.000 203.0.113.9 \"\\x16\\x03\" 400\n",
            format!("client_ip=203.0.113.9|{MICROS}|raw_request=\\x16\\x03|status=400"),
        ),
        (
            "%v:%p %h %l %u %t \"%r\" %s %B %D".to_owned(),
            "shop.example:443 crawler.example - john smith [31/Jan/2026:10:11:12 +0000] \"GET / HTTP/1.1\" 200 0 1500\n",
            String::new(),
        ),
        (
            "$remote_addr - $remote_user [$time_local] \"$request\" $status".to_owned(),
            "203.0.113.9 - john smith [31/Jan/2026:10:11:12 +0000] \"GET / HTTP/1.1\" 200\n",
            format!(
                "client_ip=203.0.113.9|{MICROS}|method=GET|path=/|protocol=HTTP/1.1|remote_user=john smith|\
                 status=200|utc_offset_minutes=0"
            ),
        ),
        (
            // Before redirections and after them, and without quotes.
            "%{usec}t %h %s %>s %r %D".to_owned(),
            "1769854272000000 203.0.113.9 302 200 GET /a HTTP/1.1 1500\n",
            format!(
                "client_ip=203.0.113.9|{MICROS}|method=GET|path=/a|protocol=HTTP/1.1|request_time=0.0015|status=200"
            ),
        ),
    ];
    for (notation, line, expected) in cases {
        let seen = read_as(&notation, line.as_bytes());
        if expected.is_empty() {
            assert_eq!((seen.rows.len(), seen.rejected.len()), (0, 1), "{notation}");
            continue;
        }
        assert_eq!(only(&seen), expected, "{notation}");
    }
}

/// The column and the text of the reason of the only rejected line.
fn reason(seen: &Seen) -> String {
    let [rejected] = seen.rejected.as_slice() else {
        panic!("{seen:?}");
    };
    rejected.reason.to_string()
}

#[test]
fn a_line_of_another_layout_is_rejected_with_the_column_that_is_wrong() {
    let line = |text: &str| reason(&read_as(COMBINED, format!("{text}\n").as_bytes()));
    let rest = "\"GET / HTTP/1.1\" 200 5 \"-\" \"A\"";
    let time = "[31/Jan/2026:10:11:12 +0000]";
    for (text, column) in [
        (format!("203.0.113.9 - - {time} {rest} more"), "user_agent"),
        (
            format!("web1 nginx: 203.0.113.9 - - {time} {rest}"),
            "event_time",
        ),
        (format!("203.0.113.9,x - - {time} {rest}"), "client_ip"),
        (
            format!("203.0.113.9 - - [31/Foo/2026:10:11:12 +0000] {rest}"),
            "event_time",
        ),
        (
            format!("203.0.113.9 - - {time} \"GET / HTTP/1.1\" 2000 5 \"-\" \"A\""),
            "status",
        ),
        (
            format!("203.0.113.9 - - {time} \"GET / HTTP/1.1\" 200 5x \"-\" \"A\""),
            "bytes",
        ),
        (
            format!("203.0.113.9 - - {time} \"GET / HTTP/1.1 200 5 - A"),
            "raw_request",
        ),
        (format!("203.0.113.9 - - {time}"), "event_time"),
    ] {
        let reason = line(&text);
        assert!(reason.starts_with(column), "{text}: {reason}");
    }
    // A last line without its end: the notation ends in a quote, or in a number that may be cut.
    let whole = format!("203.0.113.9 - - {time} {rest}");
    assert_eq!(read_as(COMBINED, whole.as_bytes()).rows.len(), 1);
    let cut = read_as("%h %t %b", b"203.0.113.9 [31/Jan/2026:10:11:12 +0000] 51");
    assert!(reason(&cut).starts_with("bytes"), "{cut:?}");
}

#[test]
fn a_notation_of_combined_reads_as_combined_is_recognised() {
    let lines = b"203.0.113.9 - ann [31/Jan/2026:10:11:12 +0000] \"GET /a?b=c HTTP/1.1\" 200 5 \"http://r.example/\" \"A\\\"B\"\n\
        crawler.example id - [31/Jan/2026:10:11:13 -0330] \"-\" 408 - \"-\" \"-\"\n\
        2001:db8::1 - \"\" [31/Jan/2026:10:11:13.5 +0000] \"GET /\\xc3\\xa9 HTTP/1.0\" 000 0 \"-\" \"caf\xe9\"\n";
    assert_eq!(read_as(COMBINED, lines), read(lines));
    assert_eq!(read(lines).rows.len(), 3);
}

#[test]
fn fields_of_a_w3c_log_are_named_by_its_directive() {
    let iis = "#Software: Microsoft Internet Information Services 10.0\r\n\
        #Version: 1.0\r\n#Date: 2026-01-31 10:00:00\r\n\
        #Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) sc-status sc-substatus sc-win32-status time-taken\r\n\
        2026-01-31 10:11:12 10.0.0.1 GET /a+b.aspx x=1+2 443 SHOP\\ann 203.0.113.9 Mozilla/5.0+(X11) - 200 0 0 1250\r\n";
    let seen = read(iis.as_bytes());
    assert_eq!(seen.blank, 4);
    assert_eq!(
        only(&seen),
        format!(
            "client_ip=203.0.113.9|{MICROS}|method=GET|path=/a+b.aspx|query=x=1+2|remote_user=SHOP\\ann|\
             request_time=1.25|server_port=443|status=200|user_agent=Mozilla/5.0 (X11)|utc_offset_minutes=0"
        )
    );
    let cloudfront = "#Version: 1.0\n\
        #Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) cs(User-Agent) cs-uri-query cs(Cookie) x-host-header cs-protocol cs-bytes time-taken x-forwarded-for cs-protocol-version\n\
        2026-01-31\t10:11:12\tFRA2\t2390\t203.0.113.9\tGET\td111.cloudfront.net\t/a%20b.jpg\t200\thttps://r.example/%2520\tMozilla/5.0%20(X11)%20+x\tk=v\t-\twww.shop.example\thttps\t23\t0.002\t-\tHTTP/2.0\n";
    assert_eq!(
        only(&read(cloudfront.as_bytes())),
        format!(
            "bytes_received=23|bytes_sent=2390|client_ip=203.0.113.9|{MICROS}|method=GET|path=/a%20b.jpg|\
             protocol=HTTP/2.0|query=k=v|referer=https://r.example/%20|request_time=0.002|status=200|\
             user_agent=Mozilla/5.0 (X11) +x|utc_offset_minutes=0|vhost=www.shop.example"
        )
    );
}

#[test]
fn a_w3c_log_may_name_other_fields_on_the_way_and_be_read_from_there() {
    let text = "#Fields: date time c-ip\n2026-01-31 10:11:12 203.0.113.1\n\
        #Fields: c-ip date time sc-status\n203.0.113.2 2026-01-31 10:11:12 200\n203.0.113.3 2026-01-31 10:11:12 200\n";
    let seen = read(text.as_bytes());
    let clients: Vec<&str> = seen
        .rows
        .iter()
        .map(|row| row["client_ip"].as_str())
        .collect();
    assert_eq!(clients, ["203.0.113.1", "203.0.113.2", "203.0.113.3"]);
    // A part of the log that begins with each of its lines.
    let begins = text.match_indices('\n').map(|(at, _)| at + 1);
    for place in begins {
        let directives = w3c::directives_before(input(text.as_bytes()), place as u64).unwrap();
        let mut layouts = Layouts::new(None);
        directives.iter().for_each(|line| layouts.note(line));
        let (columns, options) = (all_columns(), AccessLogOptions::default());
        let part = input(&text.as_bytes()[place..]);
        let reader = AccessLogReader::of_columns(part, &columns, layouts, options).unwrap();
        let part = read_to_end(reader, &columns, options).unwrap();
        assert_eq!(part.rejected, [], "{place}");
        let rows = seen
            .places
            .iter()
            .filter(|(_, offset, _)| *offset >= place as i64);
        assert_eq!(part.rows.len(), rows.count(), "{place}");
    }
    assert!(
        w3c::directives_before(input(b"a\n#Fields: b\nc\n"), 14)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn what_a_w3c_log_cannot_be_is_rejected() {
    let of = |line: &str| {
        let text = format!("#Fields: date time c-ip sc-status cs-username time-taken\n{line}");
        reason(&read(text.as_bytes()))
    };
    for (line, column) in [
        ("2026-01-31 10:11:12 203.0.113.1 200 -\n", "raw_request"),
        (
            "2026-01-31 10:11:12 203.0.113.1 200 - 12 more\n",
            "raw_request",
        ),
        ("2026-01-31 10:11:12 203.0.113.1 200 - 12", "raw_request"),
        ("2026-01-32 10:11:12 203.0.113.1 200 - 12\n", "event_time"),
        ("- - 203.0.113.1 200 - 12\n", "event_time"),
        ("2026-01-31 10:11:12 nobody! 200 - 12\n", "client_ip"),
        ("2026-01-31 10:11:12 203.0.113.1 20 - 12\n", "status"),
    ] {
        let reason = of(line);
        assert!(reason.starts_with(column), "{line}: {reason}");
    }
    // Whose unit nobody knows.
    let text = "#Fields: date time time-taken\n2026-01-31 10:11:12 12\n";
    assert_eq!(
        only(&read(text.as_bytes())),
        format!("{MICROS}|utc_offset_minutes=0")
    );
    // A comment, not a directive.
    assert!(reason(&read(b"# a note\n")).starts_with("client_ip"));
}

#[test]
fn lines_of_a_load_balancer_are_recognised() {
    let line = "https 2026-01-31T10:11:13.186641Z app/shop/50dc6c495c0c9188 203.0.113.9:2817 10.0.0.1:80 \
        0.086 0.048 0.037 200 200 34 57 \"GET https://www.shop.example:443/a?b=\\x22c HTTP/1.1\" \"curl/7.46.0\" \
        ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/t/73e2d6bc24d8a067 \
        \"Root=1-58337281-1d84f3d73c47ec4e58577259\" \"shop.example\" \"-\" 1 2026-01-31T10:11:12.000000Z \"forward\" \"-\" \"-\" \
        \"10.0.0.1:80\" \"200\" \"-\" \"-\" TID_1234abcd5678ef90\n";
    assert_eq!(
        only(&read(line.as_bytes())),
        format!(
            "bytes_received=34|bytes_sent=57|client_ip=203.0.113.9|{MICROS}|method=GET|path=/a|protocol=HTTP/1.1|\
             query=b=\"c|request_time=0.171|server_port=443|status=200|user_agent=curl/7.46.0|utc_offset_minutes=0|\
             vhost=shop.example"
        )
    );
    // An older line, without an answer, and a request that is none.
    let line = "http 2026-01-31T10:11:12.000000Z app/shop/50dc 203.0.113.9:2817 - -1 -1 -1 460 - 0 0 \"- http://www.shop.example:80- \" \"-\" - -\n";
    assert_eq!(
        only(&read(line.as_bytes())),
        format!(
            "bytes_received=0|bytes_sent=0|client_ip=203.0.113.9|{MICROS}|\
             raw_request=- http://www.shop.example:80- |status=460|utc_offset_minutes=0"
        )
    );
    for (line, column) in [
        (
            "http 2026-01-31T10:11:12Z app/x 203.0.113.9:1 - 0 0 0 200 200 0 0 \"GET / HTTP/1.1\"\n",
            "raw_request",
        ),
        (
            "http 2026-01-31T10:11:12Z app/x 203.0.113.9:1 - 0 x 0 200 200 0 0 \"GET / HTTP/1.1\" \"-\"\n",
            "request_time",
        ),
        (
            "http 2026-01-31T10:11:12Z app/x 203.0.113.9:1 - 0 0 0 200 200 0 0 \"GET / HTTP/1.1\" \"-\n",
            "raw_request",
        ),
        (
            "http 2026-13-31T10:11:12Z app/x 203.0.113.9:1 - 0 0 0 200 200 0 0 \"GET / HTTP/1.1\" \"-\"\n",
            "event_time",
        ),
    ] {
        let reason = reason(&read(line.as_bytes()));
        assert!(reason.starts_with(column), "{line}: {reason}");
    }
}

proptest! {
    #[test]
    fn any_line_is_a_row_or_rejected(
        line in prop_oneof![
            prop::collection::vec(any::<u8>().prop_filter("one line", |byte| !b"\n\r".contains(byte)), 1..80),
            "(#Fields: |http 2026-01-31T1|203.0.113.1 )?[ \\t\"\\\\a-c0-2:,/\\[\\]{}#-]{0,60}".prop_map(String::into_bytes),
        ],
        notation in prop::sample::select(vec![
            COMBINED, "$msec|$request|$remote_user|$status", r#"{"a":"$time_iso8601","b":"$request","c":"$args"}"#,
        ]),
    ) {
        let blank = line.trim_ascii().is_empty();
        let mut text = b"#Fields: date time cs-username cs(User-Agent)\n".to_vec();
        text.extend(&line);
        for seen in [read_as(notation, &line), read(&line), read(&text)] {
            let directives = seen.blank as usize;
            prop_assert!(blank || directives + seen.rows.len() + seen.rejected.len() >= 1);
            prop_assert!(seen.rows.len() + seen.rejected.len() <= 1);
        }
    }

    #[test]
    fn what_a_server_writes_by_a_notation_is_read_back(
        user in "[a-z]{1,8}",
        path in "/[a-z0-9/._-]{0,20}",
        agent in "[ -~]{1,30}",
        status in 100..600,
        bytes in 0..i64::MAX,
    ) {
        let agent = agent.replace('"', "'").replace('\\', "/");
        let text = format!("{status};{user};203.0.113.9;{bytes};\"{agent}\";1769854272;GET {path}\n");
        let seen = read_as("%>s;%u;%a;%B;\"%{User-agent}i\";%{sec}t;%m %U", text.as_bytes());
        let row = &seen.rows[0];
        prop_assert_eq!(&row["remote_user"], &user);
        prop_assert_eq!(&row["path"], &path);
        prop_assert_eq!(row["bytes"].parse::<i64>().unwrap(), bytes);
        prop_assert_eq!(row["status"].parse::<i32>().unwrap(), status);
        let expected = (agent != "-").then_some(&agent);
        prop_assert_eq!(row.get("user_agent"), expected);
    }
}
