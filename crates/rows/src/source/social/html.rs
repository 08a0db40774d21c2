//! HTML as Mastodon writes posts in it, and the character references of X and Reddit, as plain text.

/// The text of an HTML fragment: tags are left out, paragraphs and breaks become line breaks, and
/// character references become their characters. Anything that is neither a tag nor a known reference stays.
pub(crate) fn to_text(html: &str) -> String {
    let mut text = replaced(html, &['<', '&']);
    text.truncate(text.trim_end().len());
    text
}

/// A text with its character references decoded, and nothing else changed: X and Reddit write `&`, `<` and `>` as
/// references. None where it has none.
pub(crate) fn decoded(text: &str) -> Option<String> {
    if !text.contains('&') {
        return None;
    }
    Some(replaced(text, &['&'])).filter(|decoded| decoded != text)
}

/// A text in which those of these that begin a tag or a reference are replaced by what these stand for.
fn replaced(html: &str, special: &[char]) -> String {
    let mut text = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(at) = rest.find(special) {
        let (plain, special) = rest.split_at(at);
        text.push_str(plain);
        let used = if special.starts_with('<') {
            tag(special, &mut text)
        } else {
            reference(special).map(|(character, used)| {
                text.push(character);
                used
            })
        };
        let used = used.unwrap_or_else(|| {
            text.push_str(special.get(..1).unwrap_or_default());
            1
        });
        rest = special.get(used..).unwrap_or_default();
    }
    text.push_str(rest);
    text
}

/// Takes a tag, and says how long it is; None where a `<` begins no tag.
fn tag(html: &str, text: &mut String) -> Option<usize> {
    let name_at = if html.starts_with("</") { 2 } else { 1 };
    let first = html.as_bytes().get(name_at)?;
    if !first.is_ascii_alphabetic() && *first != b'!' {
        return None;
    }
    let end = html.find('>')?;
    let name = html
        .get(name_at..end)?
        .split(|c: char| !c.is_ascii_alphanumeric())
        .next()?;
    let breaks = match name_at {
        1 => name.eq_ignore_ascii_case("br"),
        _ => ["p", "div", "li", "blockquote", "pre"]
            .iter()
            .any(|block| name.eq_ignore_ascii_case(block)),
    };
    if breaks {
        text.push('\n');
    }
    Some(end + 1)
}

/// The longest reference that is looked for, `&thetasym;` and its like being none of Mastodon's.
const REFERENCE_BYTES: usize = 10;

fn reference(html: &str) -> Option<(char, usize)> {
    let end = html
        .bytes()
        .take(REFERENCE_BYTES)
        .position(|byte| byte == b';')?;
    let name = html.get(1..end)?;
    let character = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => '\u{a0}',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?).filter(|character| *character != '\0')?
        }
    };
    Some((character, end + 1))
}

/// The text between the first tag and the next, as X writes the program a post was written with.
pub(crate) fn link_text(html: &str) -> &str {
    let inner = match html.split_once('>') {
        Some((open, inner)) if open.starts_with('<') => inner,
        _ => return html,
    };
    inner.split('<').next().unwrap_or(inner)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn references_are_decoded_once_and_tags_stay() {
        for (text, expected) in [
            (
                "Q&amp;A: price &lt; 50 &amp; all",
                Some("Q&A: price < 50 & all"),
            ),
            ("&gt; quoted &amp;amp; <b>", Some("> quoted &amp; <b>")),
            ("a && b &nothing; c&", None),
            ("plain", None),
            ("&#39;é&#x27;", Some("'é'")),
        ] {
            assert_eq!(decoded(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn markup_becomes_text() {
        for (html, text) in [
            (
                "<p>Hello <a href=\"https://a.example/@b\" class=\"u-url\">@<span>b</span></a>!</p>",
                "Hello @b!",
            ),
            (
                "<p>One<br>two<br />three</p><p>four</p>",
                "One\ntwo\nthree\nfour",
            ),
            (
                "Tom &amp; Jerry &lt;3 &#39;x&#x27; &quot;y&quot; &hellip; &",
                "Tom & Jerry <3 'x' \"y\" &hellip; &",
            ),
            ("a < b > c <3", "a < b > c <3"),
            ("<!-- note -->x<unclosed", "x<unclosed"),
            ("&#0;&#1114112;&#xD800;", "&#0;&#1114112;&#xD800;"),
            ("", ""),
        ] {
            assert_eq!(to_text(html), text, "{html}");
        }
        assert_eq!(
            link_text("<a href=\"http://x.example\" rel=\"nofollow\">Twitter for iPhone</a>"),
            "Twitter for iPhone"
        );
        assert_eq!(link_text("web"), "web");
    }

    proptest! {
        #[test]
        fn any_text_is_taken_without_a_panic(html in any::<String>(), near in "[<>/&;#xp a-f0-9é]{0,40}") {
            for html in [html, near] {
                prop_assert!(to_text(&html).len() <= html.len());
                prop_assert!(link_text(&html).len() <= html.len());
            }
        }
    }
}
