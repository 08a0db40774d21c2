//! Contents that are not what was written, and what is remembered of those that are.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tarn_core::ErrorKind;
use tarn_core::digest::Digest;
use tarn_core::ports::PutMode;
use tarn_local::LocalLake;

const CONTENT: &[u8] = b"rows of a table";

struct Data {
    dir: tempfile::TempDir,
    lake: LocalLake,
}

impl Data {
    fn new() -> Data {
        let dir = tempfile::tempdir().unwrap();
        let lake = LocalLake::create(dir.path()).unwrap();
        Data { dir, lake }
    }

    async fn put(&self, key: &str) -> PathBuf {
        let body = Bytes::from_static(CONTENT);
        let objects = self.lake.objects();
        objects.put(key, body, PutMode::Overwrite).await.unwrap();
        let path = self.dir.path().join(key);
        settle(&path);
        path
    }

    async fn is_sound(&self, key: &str) -> bool {
        match self.lake.objects().fetch_checked(key).await {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Damaged, "{error}");
                false
            }
        }
    }
}

/// Gives a file a time at which nobody changes it any more.
fn settle(path: &Path) {
    let time = SystemTime::now() - Duration::from_secs(60);
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(time).unwrap();
}

fn named() -> String {
    let name = Digest::of(CONTENT).name("x", "parquet");
    format!("curated/t/data/{name}")
}

#[tokio::test]
async fn a_file_that_changed_after_it_was_found_right_is_looked_at_again() {
    let data = Data::new();
    let key = named();
    let path = data.put(&key).await;
    assert!(data.is_sound(&key).await && data.is_sound(&key).await);
    let time = std::fs::metadata(&path).unwrap().modified().unwrap();
    // Of the same size and with the same time.
    std::fs::write(&path, b"rows of a tablE").unwrap();
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(time).unwrap();
    assert!(!data.is_sound(&key).await);
    let examined = data.lake.objects().examine(&key).await.unwrap();
    assert_eq!(examined.written, Some(Digest::of(CONTENT)));
    assert_eq!(examined.found, Digest::of(b"rows of a tablE"));
    std::fs::write(&path, CONTENT).unwrap();
    assert!(data.is_sound(&key).await);
}

#[tokio::test]
async fn a_file_without_a_digest_in_its_name_is_known_once_it_is_remembered() {
    let data = Data::new();
    let key = "curated/t/data/x.parquet";
    let path = data.put(key).await;
    let objects = data.lake.objects();
    std::fs::write(&path, b"other rows").unwrap();
    assert!(data.is_sound(key).await, "nobody knows what was written");
    let examined = objects.examine(key).await.unwrap();
    assert_eq!(examined.written, None);
    assert!(objects.remember(key, examined.found).await.unwrap());
    assert!(data.is_sound(key).await);
    let known = objects.examine(key).await.unwrap();
    assert_eq!(known.written, Some(examined.found));
    std::fs::write(&path, b"otter rows").unwrap();
    assert!(!data.is_sound(key).await);
    let error = objects.get_checked(key).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damaged);
    // Another process knows it too.
    let again = LocalLake::open(data.dir.path()).unwrap();
    assert!(again.objects().fetch_checked(key).await.is_err());
    // What is put in its place is another file.
    data.put(key).await;
    assert!(data.is_sound(key).await);
    assert_eq!(objects.examine(key).await.unwrap().written, None);
    objects.remember(key, Digest::of(b"wrong")).await.unwrap();
    objects.delete(key).await.unwrap();
    data.put(key).await;
    assert!(data.is_sound(key).await);
}

#[tokio::test]
async fn raw_objects_are_held_against_their_versions_and_noted_by_nobody() {
    let data = Data::new();
    let path = data.put("raw/web/x.log").await;
    let objects = data.lake.objects();
    let info = objects.head("raw/web/x.log").await.unwrap();
    let examined = objects.examine("raw/web/x.log").await.unwrap();
    assert_eq!(examined.written, Digest::parse(&info.version));
    std::fs::write(&path, b"rows of a tablE").unwrap();
    for _ in 0..2 {
        let examined = objects.examine("raw/web/x.log").await.unwrap();
        assert_eq!(examined.written, Digest::parse(&info.version));
        assert_ne!(examined.written, Some(examined.found));
        assert_eq!(objects.keys("raw/").await.unwrap(), ["raw/web/x.log"]);
    }
    assert!(
        !objects
            .remember("raw/web/x.log", examined.found)
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn a_file_that_was_written_just_now_is_not_taken_for_settled() {
    let data = Data::new();
    let key = named();
    let path = data.put(&key).await;
    std::fs::write(&path, CONTENT).unwrap();
    let time = std::fs::metadata(&path).unwrap().modified().unwrap();
    assert!(data.is_sound(&key).await);
    std::fs::write(&path, b"rows of a tablE").unwrap();
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(time).unwrap();
    assert!(!data.is_sound(&key).await);
}
