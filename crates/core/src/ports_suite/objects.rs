//! Tests of [`crate::ports::Objects`].

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::join_all;

use super::{Verdict, done, fails, holds, same, unique};
use crate::digest::Digest;
use crate::error::ErrorKind;
use crate::ports::{ObjectInfo, Objects, Original, PutMode};

/// Keys that a store must take as they are.
pub const ODD_NAMES: [&str; 12] = [
    "plain.log",
    "with space.log",
    "plus+and=equals.log",
    "percent%20%2F.log",
    "ünïcödé-日本語-🛍.json",
    ".hidden",
    "..two-dots",
    "question?hash#.log",
    "quote\"'`.log",
    "back\\slash",
    "key=value,other;x:y@z",
    "line\nbreak",
];

fn folder() -> String {
    unique("raw/suite/")
}

/// Puts bytes and reads them whole, in parts and past the end.
pub async fn an_object_reads_back_whole_and_in_ranges(store: Arc<dyn Objects>) -> Verdict {
    let key = format!("{}/a/b.bin", folder());
    let info = done(
        store
            .put(&key, Bytes::from_static(b"0123456789"), PutMode::Overwrite)
            .await,
        "put",
    )?;
    same(info.size, 10, "size in the answer to put")?;
    same(&info.key, &key, "key in the answer to put")?;
    let head = done(store.head(&key).await, "head")?;
    same(&head, &info, "head against the answer to put")?;
    let ranges = [
        (None, "0123456789"),
        (Some(2..5), "234"),
        (Some(8..100), "89"),
        (Some(10..20), ""),
        (Some(50..60), ""),
    ];
    for (range, expected) in ranges {
        let bytes = done(store.get(&key, range.clone()).await, "get")?;
        same(
            bytes.as_ref(),
            expected.as_bytes(),
            &format!("bytes of range {range:?}"),
        )?;
    }
    done(
        store.put(&key, Bytes::new(), PutMode::Overwrite).await,
        "put of nothing",
    )?;
    same(
        done(store.get(&key, None).await, "get of nothing")?.len(),
        0,
        "size of an empty object",
    )?;
    done(store.delete(&key).await, "delete")
}

/// An object that does not exist is `NotFound`; deleting it succeeds.
pub async fn a_missing_object_is_not_found_and_its_deletion_no_error(
    store: Arc<dyn Objects>,
) -> Verdict {
    let key = format!("{}/nothing", folder());
    fails(store.head(&key).await, ErrorKind::NotFound, "head")?;
    fails(store.get(&key, None).await, ErrorKind::NotFound, "get")?;
    fails(
        store.get(&key, Some(0..1)).await,
        ErrorKind::NotFound,
        "get of a range",
    )?;
    fails(store.fetch(&key).await, ErrorKind::NotFound, "fetch")?;
    done(store.delete(&key).await, "delete")?;
    done(
        store
            .put(&key, Bytes::from_static(b"x"), PutMode::IfAbsent)
            .await,
        "put",
    )?;
    done(store.delete(&key).await, "delete of what is there")?;
    fails(
        store.head(&key).await,
        ErrorKind::NotFound,
        "head after the deletion",
    )?;
    same(
        done(store.list(&key).await, "list")?.len(),
        0,
        "objects after the deletion",
    )
}

/// `IfAbsent` never replaces.
pub async fn put_if_absent_keeps_what_is_there(store: Arc<dyn Objects>) -> Verdict {
    let key = format!("{}/once", folder());
    let first = done(
        store
            .put(&key, Bytes::from_static(b"first"), PutMode::IfAbsent)
            .await,
        "first put",
    )?;
    let again = store
        .put(&key, Bytes::from_static(b"second"), PutMode::IfAbsent)
        .await;
    fails(again, ErrorKind::Conflict, "second put")?;
    same(
        done(store.head(&key).await, "head")?,
        first,
        "head after the refused put",
    )?;
    same(
        done(store.get(&key, None).await, "get")?.as_ref(),
        b"first".as_slice(),
        "content",
    )?;
    done(store.delete(&key).await, "delete")?;
    done(
        store
            .put(&key, Bytes::from_static(b"third"), PutMode::IfAbsent)
            .await,
        "put after the deletion",
    )?;
    done(store.delete(&key).await, "delete")
}

/// If many writers put one key at once with `IfAbsent`, one succeeds and its content stays.
pub async fn of_many_puts_if_absent_at_once_one_wins(store: Arc<dyn Objects>) -> Verdict {
    let key = format!("{}/race", folder());
    let puts = (0..8).map(|writer: u32| {
        let (store, key) = (store.clone(), key.clone());
        async move {
            store
                .put(
                    &key,
                    Bytes::from(format!("writer {writer}")),
                    PutMode::IfAbsent,
                )
                .await
        }
    });
    let results = join_all(puts).await;
    let mut winners = Vec::new();
    for (writer, result) in results.into_iter().enumerate() {
        match result {
            Ok(_) => winners.push(format!("writer {writer}")),
            Err(error) => same(
                error.kind(),
                ErrorKind::Conflict,
                "kind of error of a loser",
            )?,
        }
    }
    let content = done(store.get(&key, None).await, "get")?;
    same(
        winners,
        vec![String::from_utf8_lossy(&content).into_owned()],
        "winners",
    )?;
    done(store.delete(&key).await, "delete")
}

/// Another content under the same key is another version with a greater sequencer.
pub async fn a_new_content_has_a_new_version_and_a_greater_sequencer(
    store: Arc<dyn Objects>,
) -> Verdict {
    let key = format!("{}/versions", folder());
    let mut former = done(
        store
            .put(&key, Bytes::from_static(b"zero"), PutMode::Overwrite)
            .await,
        "put",
    )?;
    for content in ["one", "two", "three", "four"] {
        let next = done(
            store
                .put(&key, Bytes::from(content), PutMode::Overwrite)
                .await,
            "put",
        )?;
        holds(
            next.version != former.version,
            "another content has another version",
        )?;
        holds(
            next.sequencer > former.sequencer,
            "a later put has a greater sequencer",
        )?;
        holds(
            next.last_modified >= former.last_modified,
            "time does not run backwards",
        )?;
        same(
            &done(store.head(&key).await, "head")?,
            &next,
            "head against the answer to put",
        )?;
        former = next;
    }
    done(store.delete(&key).await, "delete")?;
    let reborn = done(
        store
            .put(&key, Bytes::from_static(b"five"), PutMode::Overwrite)
            .await,
        "put",
    )?;
    holds(
        reborn.sequencer > former.sequencer,
        "a put after a deletion has a greater sequencer",
    )?;
    done(store.delete(&key).await, "delete")
}

/// A list has every key under its prefix, in byte order, with the head of each.
pub async fn a_list_is_complete_and_in_key_order(store: Arc<dyn Objects>) -> Verdict {
    let folder = folder();
    // The order of keys is not the order of a walk through folders: `-` and `.` come before `/`.
    let names = [
        "b/x", "a/2", "a/1", "a-1", "a.log", "a0", "ä", "c/d/e/f", "Z",
    ];
    let mut expected = Vec::new();
    for name in names {
        let key = format!("{folder}/{name}");
        expected.push(done(
            store.put(&key, Bytes::from(name), PutMode::IfAbsent).await,
            "put",
        )?);
    }
    expected.sort_by(|a, b| a.key.cmp(&b.key));
    same(
        &done(store.list(&format!("{folder}/")).await, "list")?,
        &expected,
        "whole list",
    )?;
    same(
        &done(store.list(&folder).await, "list")?,
        &expected,
        "list by a prefix without its slash",
    )?;
    for prefix in ["a", "a/", "c/d", "b/x", "nothing", "a/1/"] {
        let prefix = format!("{folder}/{prefix}");
        let found = done(store.list(&prefix).await, "list")?;
        let expected: Vec<_> = expected
            .iter()
            .filter(|info| info.key.starts_with(&prefix))
            .cloned()
            .collect();
        same(found, expected, &format!("list of {prefix}"))?;
    }
    for name in names {
        done(store.delete(&format!("{folder}/{name}")).await, "delete")?;
    }
    same(
        done(store.list(&folder).await, "list")?.len(),
        0,
        "objects left",
    )
}

/// Keys are stored as they are written, and a URI leads back to its key.
pub async fn odd_keys_are_kept_literally_and_uris_lead_back(store: Arc<dyn Objects>) -> Verdict {
    let folder = folder();
    let mut keys = Vec::new();
    for name in ODD_NAMES {
        let key = format!("{folder}/{name}");
        done(
            store.put(&key, Bytes::from(name), PutMode::IfAbsent).await,
            &format!("put of {key:?}"),
        )?;
        same(
            done(store.get(&key, None).await, "get")?.as_ref(),
            name.as_bytes(),
            "content",
        )?;
        same(
            store.key_of(&store.uri(&key)),
            Some(key.clone()),
            "key of the URI",
        )?;
        keys.push(key);
    }
    keys.sort();
    let listed: Vec<_> = done(store.list(&folder).await, "list")?
        .into_iter()
        .map(|info| info.key)
        .collect();
    same(&listed, &keys, "listed keys")?;
    for key in keys {
        done(store.delete(&key).await, "delete")?;
    }
    same(
        store.key_of("gopher://elsewhere/a/b"),
        None,
        "key of the URI of another store",
    )
}

async fn fetched_file_has(store: &dyn Objects, key: &str, expected: &[u8]) -> Verdict {
    let copy = done(store.fetch(key).await, "fetch")?;
    let content =
        std::fs::read(copy.path()).map_err(|error| format!("read of the fetched file: {error}"))?;
    same(content.as_slice(), expected, "content of the fetched file")
}

/// A file is put like bytes, stays with its owner, and is fetched as a file.
pub async fn files_go_in_and_come_out(store: Arc<dyn Objects>) -> Verdict {
    let folder = folder();
    let local = TempFile::new(b"content of a file")?;
    let info = done(
        store
            .put_file(
                &format!("{folder}/copy"),
                &local.path,
                PutMode::IfAbsent,
                Original::Changes,
            )
            .await,
        "put_file",
    )?;
    same(info.size, 17, "size")?;
    holds(local.path.exists(), "the file stays")?;
    let conflict = store
        .put_file(
            &format!("{folder}/copy"),
            &local.path,
            PutMode::IfAbsent,
            Original::Final,
        )
        .await;
    fails(
        conflict,
        ErrorKind::Conflict,
        "put_file of a key that exists",
    )?;
    holds(local.path.exists(), "a refused file stays")?;
    let bytes = done(
        store
            .put(
                &format!("{folder}/bytes"),
                Bytes::from_static(b"content of a file"),
                PutMode::IfAbsent,
            )
            .await,
        "put",
    )?;
    same(
        &bytes.version,
        &info.version,
        "version of equal bytes under raw/",
    )
    .or_else(|_| holds(bytes.size == info.size, "equal sizes"))?;
    done(
        store
            .put_file(
                &format!("{folder}/shared"),
                &local.path,
                PutMode::IfAbsent,
                Original::Final,
            )
            .await,
        "put_file of a final file",
    )?;
    std::fs::remove_file(&local.path).map_err(|error| format!("removal of the file: {error}"))?;
    for name in ["copy", "shared"] {
        let key = format!("{folder}/{name}");
        fetched_file_has(store.as_ref(), &key, b"content of a file").await?;
        done(store.delete(&key).await, "delete")?;
    }
    let missing = store
        .put_file(
            &format!("{folder}/none"),
            &local.path.with_extension("none"),
            PutMode::Overwrite,
            Original::Changes,
        )
        .await;
    holds(missing.is_err(), "a file that does not exist cannot be put")?;
    done(store.delete(&format!("{folder}/bytes")).await, "delete")
}

/// A version is fetched as it was put, also after another has replaced it.
pub async fn a_version_is_fetched_after_another_took_its_place(store: Arc<dyn Objects>) -> Verdict {
    let key = format!("{}/fetched", folder());
    let mut versions = Vec::new();
    for content in ["first", "", "the third"] {
        let body = Bytes::from(content);
        let info = done(store.put(&key, body, PutMode::Overwrite).await, "put")?;
        versions.push((info, content));
    }
    for (info, content) in &versions {
        let copy = done(store.fetch_version(info).await, "fetch_version")?;
        let found = std::fs::read_to_string(copy.path())
            .map_err(|error| format!("read of the fetched version: {error}"))?;
        same(found.as_str(), *content, "content of the fetched version")?;
        let head = done(
            store.head_version(&key, &info.version).await,
            "head_version",
        )?;
        same(head.version.as_str(), &info.version, "version of its head")?;
        same(head.size, info.size, "size of its head")?;
        holds(
            head.sequencer.is_empty() || head.sequencer == info.sequencer,
            "a former sequencer is the one of the put, or unknown",
        )?;
    }
    let Some((last, _)) = versions.last() else {
        return Ok(());
    };
    let held = done(store.fetch_version(last).await, "fetch_version")?;
    let next = Bytes::from_static(b"fourth");
    done(store.put(&key, next, PutMode::Overwrite).await, "put")?;
    same(
        std::fs::read_to_string(held.path()).ok().as_deref(),
        Some("the third"),
        "content of a version that is held while another replaces it",
    )?;
    let missing = ObjectInfo {
        key: format!("{key}-missing"),
        ..last.clone()
    };
    fails(
        store.fetch_version(&missing).await,
        ErrorKind::NotFound,
        "fetch_version of a key that is not there",
    )?;
    fails(
        store.head_version(&missing.key, &missing.version).await,
        ErrorKind::NotFound,
        "head_version of a key that is not there",
    )?;
    done(store.delete(&key).await, "delete")
}

/// A file whose name carries a digest is read if its content has that one, and is damaged otherwise.
pub async fn a_file_is_damaged_whose_content_has_another_digest_than_its_name(
    store: Arc<dyn Objects>,
) -> Verdict {
    let folder = unique("curated/suite_");
    let content = Bytes::from_static(b"what was written");
    let digest = Digest::of(&content);
    let sound = format!("{folder}/data/{}", digest.name("sound", "parquet"));
    let damaged = format!(
        "{folder}/data/{}",
        Digest::of(b"something else").name("damaged", "avro")
    );
    let nameless = format!("{folder}/data/nameless.parquet");
    for key in [&sound, &damaged, &nameless] {
        let put = store.put(key, content.clone(), PutMode::IfAbsent).await;
        done(put, "put")?;
    }
    for key in [&sound, &nameless] {
        let bytes = done(store.get_checked(key).await, "get_checked")?;
        same(&bytes, &content, "content")?;
        let copy = done(store.fetch_checked(key).await, "fetch_checked")?;
        let found = std::fs::read(copy.path()).ok();
        same(
            found.as_deref(),
            Some(content.as_ref()),
            "content of the fetched file",
        )?;
    }
    let kind = ErrorKind::Damaged;
    for _ in 0..2 {
        fails(store.get_checked(&damaged).await, kind, "get_checked")?;
        fails(store.fetch_checked(&damaged).await, kind, "fetch_checked")?;
    }
    for (key, written) in [
        (&sound, Some(digest)),
        (&damaged, Digest::in_name(&damaged)),
        (&nameless, None),
    ] {
        let examined = done(store.examine(key).await, "examine")?;
        same(
            (examined.size, examined.found),
            (16, digest),
            "what was examined",
        )?;
        same(examined.written, written, "what was written")?;
    }
    let missing = format!("{folder}/data/{}", digest.name("missing", "parquet"));
    let kind = ErrorKind::NotFound;
    fails(store.get_checked(&missing).await, kind, "get_checked")?;
    fails(store.fetch_checked(&missing).await, kind, "fetch_checked")?;
    fails(store.examine(&missing).await, kind, "examine")?;
    let mut keys = vec![sound, damaged, nameless];
    keys.sort();
    same(
        &done(store.keys(&format!("{folder}/")).await, "keys")?,
        &keys,
        "keys",
    )?;
    for key in keys {
        done(store.delete(&key).await, "delete")?;
    }
    Ok(())
}

/// A file for a test, removed at its end.
struct TempFile {
    path: PathBuf,
}

impl TempFile {
    fn new(content: &[u8]) -> Result<TempFile, String> {
        let path = std::env::temp_dir().join(unique("tarn-suite-"));
        std::fs::write(&path, content)
            .map_err(|error| format!("write of a temporary file: {error}"))?;
        Ok(TempFile { path })
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        // The test may have removed it.
        std::fs::remove_file(&self.path).unwrap_or_default();
    }
}
