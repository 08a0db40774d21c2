//! Objects that are not posts, not JSON or too much of it.

use super::*;

#[test]
fn what_is_no_post_is_rejected_with_its_reason() {
    let seen = read_file("rejected.ndjson").unwrap();
    assert_eq!(seen.counts(), (3, 13, 0));
    assert_eq!(seen.value(1, "like_count"), "12");
    assert!(seen.value(2, "text").starts_with("post \u{fffd} 😀"));
    let texts: Vec<String> = seen
        .rejected
        .iter()
        .map(|row| row.reason.to_string())
        .collect();
    let reasons: Vec<_> = seen
        .rejected
        .iter()
        .zip(&texts)
        .map(|(row, reason)| (row.line.unwrap(), row.rule.as_str(), reason.as_str()))
        .collect();
    let expected = [
        (2, "parse", "the post has no id"),
        (3, "parse", "the post has no time of creation"),
        (
            4,
            "created_at.type",
            "expected a day and time of the calendar, found 2026-02-31T10:00:00Z",
        ),
        (
            6,
            "like_count.type",
            "expected a whole number of at most 64 bits, found 9223372036854775808",
        ),
        (
            7,
            "latitude.type",
            "expected a 64-bit floating point number, found 1e999",
        ),
        (8, "parse", "expected each key once, found \"text\" again"),
        (9, "parse", "expected each key once, found \"text\" again"),
        (
            10,
            "created_at.type",
            "expected a day and time of the calendar, found the text \"Fri Feb 31 16:35:24 +0000 2012\"",
        ),
        (
            11,
            "parse",
            "expected a post of X, Mastodon, Reddit or the plain shape, found the keys hello",
        ),
        (12, "parse", "not a post: expected an object"),
        (
            13,
            "parse",
            "not JSON: the text ends unexpectedly at byte 13",
        ),
        (
            15,
            "created_at.type",
            "expected a time such as 2026-01-31T10:00:00Z, found 1767225600",
        ),
        (
            16,
            "parse",
            "expected a post or comment of Reddit, found a thing of kind t5",
        ),
    ];
    assert_eq!(reasons, expected);
}

#[test]
fn lines_that_are_no_utf8_are_rejected_alone() {
    let seen = read_file("invalid_utf8.ndjson").unwrap();
    assert_eq!(seen.counts(), (1, 3, 0));
    assert!(
        seen.rejected[0]
            .reason
            .to_string()
            .starts_with("not UTF-8 at byte")
    );
}

#[test]
fn what_is_no_json_in_an_array_is_rejected_alone() {
    let seen = read_file("broken_array.json").unwrap();
    assert_eq!(seen.rejected.len(), 1);
    assert!(!seen.rows.is_empty());
    let reason = seen.rejected[0].reason.to_string();
    assert!(reason.starts_with("not JSON: expected a key"), "{reason}");
    let post = |id: u8| format!("{{\"id\":{id},\"created_at\":\"2026-01-01\"}}");
    let (first, second) = (post(1), post(2));
    for (text, counts) in [
        (format!("[{first},{second},]"), (2, 0, 0)),
        (format!("[{first} {second}]"), (2, 0, 0)),
        (format!("[{first},,{second}]"), (2, 0, 0)),
        (format!("[{first},{{\"n\":NaN}},{second}]"), (2, 1, 0)),
        (format!("[{first},NaN,{second}]"), (2, 1, 0)),
        (format!("[{first},{{\"a\":[1,}}]}},{second}]"), (2, 2, 0)),
        (format!("[{first},nonsense]{second}"), (2, 1, 0)),
        (format!("[{first}]x\n{second}"), (2, 1, 0)),
        (format!("{{\n\"a\":\n1,\n}}\n{first}"), (1, 1, 0)),
        // One after another.
        (format!("[{first}][{second}]"), (2, 0, 0)),
        (format!("[{first}],\n[{second}],\n"), (2, 0, 0)),
        (format!("[{first}]\n{second}\n"), (2, 0, 0)),
        (
            format!("window.YTD.tweets.part0 = [ {{\"tweet\":{first}}}, {second} ]"),
            (2, 0, 0),
        ),
        (format!("{first},\n{second},\n"), (2, 0, 0)),
        (format!("{first}\n[{second},{first}]\n"), (3, 0, 0)),
    ] {
        for chunk_bytes in [4, CHUNK_BYTES] {
            let seen = read_bytes(text.as_bytes(), chunk_bytes).unwrap();
            assert_eq!(seen.counts(), counts, "{text}");
        }
    }
}

#[test]
fn an_object_that_ends_within_an_array_or_a_document_fails() {
    for text in ["[", "[1", "[{}", "[{\"a\":\"", "[[1]", "{\n\"a\": [\n1"] {
        let error = read_bytes(text.as_bytes(), CHUNK_BYTES).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadSource, "{text}");
        assert!(
            error.to_string().contains("the text ends unexpectedly"),
            "{text}: {error}"
        );
    }
    assert!(read_file("cut_array.json").is_err());
}

#[test]
fn an_element_that_is_no_post_is_rejected_alone() {
    let seen = read_file("array_of_all_sorts.json").unwrap();
    assert_eq!(seen.counts(), (4, 3, 0));
    let platforms: Vec<_> = (0..4).map(|row| seen.value(row, "platform")).collect();
    assert_eq!(platforms, ["other", "x", "other", "mastodon"]);
}

#[test]
fn what_is_no_json_is_rejected_line_by_line_and_a_cut_gzip_fails() {
    assert_eq!(read_file("not_json.txt").unwrap().counts(), (0, 2, 0));
    assert_eq!(
        read_file("truncated.ndjson.gz").unwrap_err().kind(),
        ErrorKind::BadSource
    );
    // The first line was cut, the others are whole.
    let post = "{\"id\":1,\"created_at\":\"2026-01-01\"}";
    let cut = format!("{}\n{post}\n{post}\n", &post[..20]);
    assert_eq!(
        read_bytes(cut.as_bytes(), CHUNK_BYTES).unwrap().counts(),
        (2, 1, 0)
    );
    let cut = format!("{}\n{post}\n", &post[..8]);
    assert_eq!(
        read_bytes(cut.as_bytes(), CHUNK_BYTES).unwrap().counts(),
        (1, 1, 0)
    );
}

#[test]
fn nesting_of_ten_thousand_levels_is_rejected_or_fails_the_array() {
    let deep = format!(
        "{{\"id\":1,\"x\":{}1{}}}\n{{\"id\":1,\"created_at\":\"2026-01-01\"}}\n",
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    let seen = read_bytes(deep.as_bytes(), CHUNK_BYTES).unwrap();
    assert_eq!(seen.counts(), (1, 1, 0));
    assert!(seen.rejected[0].reason.to_string().contains("128 levels"));
    assert_eq!(
        read_bytes("[".repeat(10_000).as_bytes(), CHUNK_BYTES)
            .unwrap_err()
            .kind(),
        ErrorKind::BadSource
    );
}

#[test]
fn documents_and_elements_beyond_the_limit_fail_with_their_cause() {
    let long = "a".repeat(ELEMENT_LIMIT);
    for text in [
        format!("{{\"statuses\":[\"{long}\"]}}"),
        format!("[{{\"text\":\"{long}\"}},{{\"text\":\"{long}\"}}]"),
    ] {
        let error = read_bytes(text.as_bytes(), CHUNK_BYTES).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadSource);
        assert!(error.to_string().contains("longer than"), "{error}");
    }
    let long = format!(
        "[{{\"id\":1,\"created_at\":\"2026-01-01\",\"text\":\"{}\"}}]",
        "a".repeat(9 << 20)
    );
    assert_eq!(
        read_bytes(long.as_bytes(), CHUNK_BYTES).unwrap().counts(),
        (1, 0, 0)
    );
}
