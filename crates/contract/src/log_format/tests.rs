#![allow(clippy::unwrap_used)]

use super::LogTime::{Common, Epoch, Iso};
use super::LogUnit::{Microseconds, Milliseconds, Seconds};
use super::LogValue::{
    Agent, Bytes, BytesReceived, BytesSent, Client, Duration, ForwardedFor, Ident, Method, Other,
    Path, Port, Protocol, Query, Referer, Request, Server, Status, Target, Time, User,
};
use super::{LogFormat, LogValue};

/// The fields of a notation, and the texts around them.
fn read(notation: &str) -> (Vec<LogValue>, Vec<String>) {
    let format = LogFormat::parse(notation).unwrap();
    assert_eq!(format.to_string(), notation);
    let mut texts = vec![format.start];
    let mut values = Vec::new();
    for field in format.fields {
        values.push(field.value);
        texts.push(field.after);
    }
    (values, texts)
}

const BRACKETED: LogValue = Time(Common { brackets: true });

#[test]
fn apaches_notation_becomes_fields() {
    let combined = r#"%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i""#;
    let fields = vec![
        Client, Ident, User, BRACKETED, Request, Status, Bytes, Referer, Agent,
    ];
    let texts = ["", " ", " ", " ", " \"", "\" ", " ", " \"", "\" \"", "\""];
    assert_eq!(read(combined), (fields, texts.map(str::to_owned).to_vec()));
    // As in a configuration file.
    let (_, escaped) = read(r#"%t \"%r\"\t%>s"#);
    assert_eq!(escaped, ["", " \"", "\"\t", ""]);
    let others = "%v:%p %{X-Forwarded-For}i %a %m %U %q %H %I %O %D %{msec}t %{Cookie}i %100%X";
    assert_eq!(
        read(others).0,
        [
            Server,
            Port,
            ForwardedFor,
            Client,
            Method,
            Path,
            Query,
            Protocol,
            BytesReceived,
            BytesSent,
            Duration(Microseconds),
            Time(Epoch(Milliseconds)),
            Other,
        ]
    );
    assert_eq!(read("%t %T %{ms}T").0[1], Duration(Seconds));
    assert_eq!(read("%t %{us}T").0[1], Duration(Microseconds));
    assert_eq!(read("%t %!200,304{Referer}i").0[1], Referer);
}

#[test]
fn of_several_statuses_that_of_the_last_request_counts() {
    assert_eq!(read("%t %s %>s").0, [BRACKETED, Other, Status]);
    assert_eq!(read("%t %>s %s").0, [BRACKETED, Status, Other]);
    assert_eq!(read("%t %s").0, [BRACKETED, Status]);
    assert_eq!(read("%t %<s %a %h").0, [BRACKETED, Status, Client, Other]);
}

#[test]
fn the_forwarded_address_is_the_client_where_there_is_no_other() {
    assert_eq!(read("%{X-Forwarded-For}i %t").0[0], Client);
    assert_eq!(read("$http_x_forwarded_for $msec").0[0], Client);
}

#[test]
fn nginxs_notation_becomes_fields() {
    let notation = "${remote_addr} - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \
                    rt=$request_time $upstream_addr|$host:$server_port $5 %";
    let (fields, texts) = read(notation);
    assert_eq!(
        fields,
        [
            Client,
            User,
            Time(Common { brackets: false }),
            Request,
            Status,
            Bytes,
            Duration(Seconds),
            Other,
            Server,
            Port,
            Other,
        ]
    );
    assert_eq!(texts.last().unwrap(), " %");
    let json = r#"{"time":"$time_iso8601","uri":"$request_uri","ua":"$http_user_agent"}"#;
    assert_eq!(read(json).0, [Time(Iso), Target, Agent]);
    assert!(LogFormat::parse(json).unwrap().is_json);
}

#[test]
fn times_by_strftime_are_read() {
    for (notation, text, expected) in [
        (
            "%{%Y-%m-%dT%H:%M:%S%z}t %h",
            "2026-01-31T10:11:12+0100",
            "2026-01-31T10:11:12+01:00",
        ),
        (
            "[%{%Y-%m-%d %H:%M:%S}t.%{msec_frac}t %{%z}t] %h",
            "2026-01-31 10:11:12.250 -0330",
            "2026-01-31T10:11:12.250-03:30",
        ),
        (
            "%{%Y-%m-%dT%H:%M:%SZ}t %h",
            "2026-01-31T10:11:12Z",
            "2026-01-31T10:11:12+00:00",
        ),
        (
            "%{begin:%d/%b/%Y:%T}t.%{begin:usec_frac}t %{begin:%z}t %h",
            "31/Jan/2026:10:11:12.000001 +0000",
            "2026-01-31T10:11:12.000001+00:00",
        ),
    ] {
        let (fields, _) = read(notation);
        let Time(super::LogTime::Pattern(pattern)) = &fields[0] else {
            panic!("{notation}: {fields:?}");
        };
        let time = pattern.parse(text).unwrap_or_else(|| panic!("{notation}"));
        assert_eq!(time.to_rfc3339(), expected, "{notation}");
        assert_eq!(fields[1], Client, "{notation}");
        assert_eq!(pattern.count_of(b' '), text.matches(' ').count());
    }
}

#[test]
fn what_cannot_be_read_is_a_fault() {
    for (notation, fault) in [
        ("", "no field"),
        ("no field", "no field"),
        ("%h %u", "no time"),
        ("$remote_addr $status", "no time"),
        ("%h%u %t", "two fields"),
        ("$remote_addr$time_local", "two fields"),
        ("%h %t %Y", "unknown directive '%Y'"),
        ("%h %t %", "unknown directive '%'"),
        ("%h %t %{Referer", "not closed"),
        ("%{}t", "without a format"),
        ("%{%Y-%m-%d %H:%M:%S}t", "without an offset"),
        ("%{%H:%M:%S%z}t", "does not say when"),
        ("%{%c%z}t", "cannot be read"),
        ("%{%Q}t", "cannot be read"),
    ] {
        let (what, help) = LogFormat::parse(notation).unwrap_err();
        assert!(what.contains(fault), "{notation}: {what}");
        assert!(!help.is_empty());
    }
}
