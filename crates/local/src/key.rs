//! Which keys a folder can hold. A key is a path under the lake's root, stored as it is written.

use tarn_core::{Error, ErrorKind, Result};

/// The folder of the lake's own state.
pub(crate) const STATE: &str = ".tarn";

/// Begins the name of a file that is not yet an object.
pub(crate) const TEMPORARY: &str = ".tarn-tmp-";

/// S3's limit, so that a key of a folder is a key of a bucket too.
const KEY_BYTES: usize = 1024;
/// The limit of the usual file systems for one name.
const SEGMENT_BYTES: usize = 255;
/// Linux's limit for a path, its closing NUL not counted.
const PATH_BYTES: usize = 4095;
/// The bytes that the path of a former version has in addition to the object's: `.tarn/versions/`, `/` and the version.
const VERSION_BYTES: usize = 96;

/// Checks that `key` can name an object of a lake whose root's path has `root_bytes` bytes.
pub(crate) fn check(key: &str, root_bytes: usize) -> Result<()> {
    if key.is_empty() {
        return Err(refused(key, "it is empty"));
    }
    if key.len() > KEY_BYTES || root_bytes + 1 + key.len() + VERSION_BYTES > PATH_BYTES {
        return Err(refused(
            key,
            "it is too long; a key has at most 1024 bytes, and less in a deep folder",
        ));
    }
    for (index, segment) in key.split('/').enumerate() {
        check_segment(segment).map_err(|fault| refused(key, fault))?;
        if index == 0 && segment.eq_ignore_ascii_case(STATE) {
            return Err(refused(key, "`.tarn` is the lake's own folder"));
        }
    }
    Ok(())
}

/// Checks one part of a key; the error says what is wrong with it.
pub(crate) fn check_segment(segment: &str) -> Result<(), &'static str> {
    if segment.is_empty() {
        return Err("it begins or ends with `/`, or has two in a row");
    }
    if segment == "." || segment == ".." {
        return Err("it has a part `.` or `..`");
    }
    if segment.contains('\0') {
        return Err("it has a NUL character");
    }
    if segment.len() > SEGMENT_BYTES {
        return Err("a part between two `/` has more than 255 bytes");
    }
    if segment.starts_with(TEMPORARY) {
        return Err("a part begins with `.tarn-tmp-`, which marks unfinished files");
    }
    Ok(())
}

fn refused(key: &str, fault: &str) -> Error {
    let shown: String = key.chars().take(200).collect();
    Error::new(
        ErrorKind::BadRequest,
        format!("the key {shown:?} cannot name an object: {fault}"),
    )
}

/// The first text, in byte order, after every text that begins with `prefix`; None where there is none.
pub(crate) fn prefix_end(prefix: &str) -> Option<String> {
    let mut end = prefix.to_owned();
    while let Some(last) = end.pop() {
        // Skips the surrogates, which are not characters.
        let next = (u32::from(last) + 1..=u32::from(char::MAX)).find_map(char::from_u32);
        if let Some(next) = next {
            end.push(next);
            return Some(end);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_but_harmless_keys_are_accepted() {
        for key in [
            "a",
            "raw/a b/+x.log",
            "raw/ünï/日本.json",
            "raw/.hidden/..x",
            "raw/a\nb",
            "raw/%2e%2e/x",
            "x/.tarn",
        ] {
            assert!(check(key, 20).is_ok(), "{key:?}");
        }
    }

    #[test]
    fn keys_that_leave_the_folder_or_cannot_be_a_path_are_refused() {
        let long = "x".repeat(256);
        let deep = "d/".repeat(600) + "x";
        for key in [
            "",
            "/a",
            "a/",
            "a//b",
            "..",
            "a/../b",
            "./a",
            "a\0b",
            ".tarn/lake.sqlite",
            ".TARN/x",
            "a/.tarn-tmp-1",
            &long,
            &deep,
        ] {
            let error = check(key, 20).err().map(|error| error.kind());
            assert_eq!(error, Some(ErrorKind::BadRequest), "{key:?}");
        }
        assert!(check("abc", 4090).is_err());
    }

    #[test]
    fn the_end_of_a_prefix_is_behind_all_that_begin_with_it() {
        assert_eq!(prefix_end("raw/").as_deref(), Some("raw0"));
        assert_eq!(prefix_end("a\u{d7ff}").as_deref(), Some("a\u{e000}"));
        assert_eq!(prefix_end("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(prefix_end(""), None);
    }
}
