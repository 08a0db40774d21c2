#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn measure(content: &[u8], lengths: &[u64]) -> Measure {
    let regular = marks().take_while(|mark| *mark <= content.len() as u64);
    let wanted = lengths
        .iter()
        .copied()
        .filter(|&length| length < content.len() as u64);
    Measure {
        bytes: content.len() as u64,
        whole: content
            .iter()
            .rposition(|&byte| byte == b'\n')
            .map_or(0, |at| at as u64 + 1),
        digest: Digest::of(content),
        marks: regular
            .chain(wanted)
            .map(|length| (length, Digest::of(&content[..length as usize])))
            .collect(),
    }
}

fn against(taken: &[u8], content: &[u8]) -> Comparison {
    let taken = measure(taken, &[]);
    let lengths: Vec<u64> = taken.lengths().collect();
    compare(&taken, &measure(content, &lengths))
}

fn lines(count: usize) -> Vec<u8> {
    (0..count)
        .flat_map(|line| format!("line {line:06}\n").into_bytes())
        .collect()
}

#[test]
fn a_content_is_within_what_was_taken_or_goes_on_from_it_or_differs() {
    let text = lines(20_000);
    let other = [&lines(10)[..], b"else\n", &lines(20_000)].concat();
    let late = [&text[..200_000], b"else\n"].concat();
    let cases: [(&[u8], &[u8], Comparison); 9] = [
        (&text[..100], &text[..100], Comparison::Within),
        (&text[..100], &text[..120], Comparison::Extends),
        (&text[..5_000], &text, Comparison::Extends),
        // No digest is known for its length, so the bytes after the last digested length are undecided.
        (&text, &text[..5_000], Comparison::Open(4 << 10)),
        (&text, &text[..4 << 10], Comparison::Within),
        (&text, &text[..100], Comparison::Open(0)),
        (&text, &other[..5_000], Comparison::Differs),
        (&text[..150], &other, Comparison::Differs),
        (&text, &late, Comparison::Open(64 << 10)),
    ];
    for (taken, content, expected) in cases {
        let found = against(taken, content);
        assert_eq!(found, expected, "{} and {}", taken.len(), content.len());
    }
}

#[test]
fn what_was_taken_before_more_was_added_is_remembered() {
    let text = lines(1_000);
    let taken = |end: usize, key: &str| Taken {
        key: format!("raw/web/access_logs/{key}"),
        version: format!("v{end}"),
        run_id: "run".to_owned(),
        stage: Stage::Taken,
        measure: Some(measure(&text[..end], &[])),
    };
    let mut entry = Entry::default();
    entry.put(taken(1_200, "a/x.log"), |_| false);
    entry.put(taken(2_400, "a/x.log"), |_| true);
    // Nothing says that what is of server b is of server a.
    entry.put(taken(3_600, "b/x.log"), |_| true);
    let versions: Vec<&str> = entry
        .contents
        .iter()
        .map(|one| one.version.as_str())
        .collect();
    assert_eq!(versions, ["v2400", "v3600"]);
    entry.put(taken(6_000, "x.log"), |_| true);
    assert_eq!(entry.contents.len(), 1);
    // A replay puts it again.
    entry.put(taken(6_000, "x.log"), |_| false);
    assert_eq!(entry.contents.len(), 1);
    let all = entry.contents[0].measure.clone().unwrap();
    for end in [1_200, 2_400, 3_600] {
        assert_eq!(
            compare(&all, &measure(&text[..end], &[])),
            Comparison::Within,
            "{end}"
        );
    }
}

#[test]
fn an_entry_keeps_the_newest() {
    let mut entry = Entry::default();
    for number in 0..200 {
        entry.put(
            Taken {
                key: format!("raw/web/access_logs/{number}.log"),
                version: "v".to_owned(),
                run_id: "run".to_owned(),
                stage: Stage::Taken,
                measure: Some(measure(&lines(number + 1), &[])),
            },
            |_| false,
        );
    }
    assert_eq!(entry.contents.len(), MOST_CONTENTS);
    assert_eq!(entry.contents[0].key, "raw/web/access_logs/136.log");
    let text = serde_json::to_string(&entry).unwrap();
    assert!(text.len() < 390_000, "{}", text.len());
    assert_eq!(serde_json::from_str::<Entry>(&text).unwrap(), entry);
}

#[test]
fn folders_distinguish_servers_and_dates_do_not() {
    let origin = |rest: &str| Origin::of_key(&format!("raw/web/access_logs/{rest}"));
    for same in [
        ("ingest_date=2026-01-31/x.log", "y.log.1"),
        ("ingest_date=2026-01-31/a/x.log", "a/2026/01/31/x.log"),
        ("a/x.log", "x.log"),
        ("eu/a/x.log", "a/x.log"),
        ("a/20260131/x.log", "year=2026/month=1/a/x.log"),
        ("as-new/a/x.log", "a/2026-01/x.log"),
    ] {
        assert!(origin(same.0).may_be(&origin(same.1)), "{same:?}");
        assert!(origin(same.1).may_be(&origin(same.0)), "{same:?}");
    }
    for other in [
        ("a/x.log", "b/x.log"),
        ("a/eu/x.log", "a/us/x.log"),
        ("1/x.log", "2/x.log"),
    ] {
        assert!(!origin(other.0).may_be(&origin(other.1)), "{other:?}");
    }
    assert!(is_as_new(
        "raw/web/access_logs/ingest_date=2026-01-31/as-new/x.log"
    ));
    assert!(!is_as_new("raw/web/access_logs/as-new"));
    assert!(!is_as_new("raw/as-new/access_logs/x.log"));
}

proptest! {
    #[test]
    fn a_comparison_never_says_more_than_is_so(
        common in 0_usize..30_000,
        mine in 0_usize..30_000,
        theirs in 0_usize..30_000,
    ) {
        let text = lines(6_000);
        let content = [&text[..common], &text[30_000..30_000 + mine]].concat();
        let taken = [&text[..common], &text[1..][..theirs]].concat();
        match against(&taken, &content) {
            Comparison::Within => prop_assert!(taken.starts_with(&content)),
            Comparison::Extends => {
                prop_assert!(content.starts_with(&taken) && content.len() > taken.len());
            }
            Comparison::Open(equal) => {
                let equal = equal as usize;
                prop_assert!(content.len() >= equal && taken.starts_with(&content[..equal]));
            }
            Comparison::Differs => {
                prop_assert!(!content.starts_with(&taken) && !taken.starts_with(&content));
            }
        }
    }
}
