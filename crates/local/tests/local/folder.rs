//! What a folder does beyond what every store does.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use proptest::prelude::*;
use tarn_core::ErrorKind;
use tarn_core::ports::{Original, PutMode};
use tarn_local::LocalLake;

fn lake() -> (tempfile::TempDir, LocalLake) {
    let dir = tempfile::tempdir().unwrap();
    let lake = LocalLake::create(dir.path()).unwrap();
    (dir, lake)
}

fn keys(list: &[tarn_core::ports::ObjectInfo]) -> Vec<&str> {
    list.iter().map(|info| info.key.as_str()).collect()
}

fn make_older(path: &Path, seconds: u64) {
    let time = SystemTime::now() - Duration::from_secs(seconds);
    std::fs::File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_modified(time)
        .unwrap();
}

#[tokio::test]
async fn opening_a_folder_without_a_lake_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let error = LocalLake::open(dir.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(!dir.path().join(".tarn").exists());
    LocalLake::create(&dir.path().join("a/b")).unwrap();
    LocalLake::open(&dir.path().join("a/b")).unwrap();
}

#[tokio::test]
async fn the_same_raw_content_again_changes_nothing() {
    let (_dir, lake) = lake();
    let objects = lake.objects();
    let first = objects
        .put("raw/a", Bytes::from_static(b"one"), PutMode::Overwrite)
        .await
        .unwrap();
    let again = objects
        .put("raw/a", Bytes::from_static(b"one"), PutMode::Overwrite)
        .await
        .unwrap();
    assert_eq!(first, again);
    assert_eq!(first.version.len(), 32);
    let file = lake.staging_dir("run").unwrap().join("x");
    std::fs::write(&file, "one").unwrap();
    let copied = objects
        .put_file("raw/a", &file, PutMode::Overwrite, Original::Final)
        .await
        .unwrap();
    assert_eq!(first, copied);
}

#[tokio::test]
async fn former_contents_are_kept_as_versions() {
    let (_dir, lake) = lake();
    let objects = lake.objects();
    let mut versions = Vec::new();
    for content in ["one", "two", "one", "three"] {
        versions.push(
            objects
                .put("raw/a b/x", Bytes::from(content), PutMode::Overwrite)
                .await
                .unwrap(),
        );
    }
    assert_eq!(versions[0].version, versions[2].version);
    assert!(versions[0].sequencer < versions[2].sequencer);
    for (info, content) in versions.iter().zip(["one", "two", "one"]) {
        let path = lake.former_version("raw/a b/x", &info.version).unwrap();
        assert_eq!(std::fs::read_to_string(path).unwrap(), content);
    }
    assert_eq!(
        lake.former_version("raw/a b/x", "none").unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(
        lake.former_version("raw/a b/x", "../x").unwrap_err().kind(),
        ErrorKind::BadRequest
    );
    assert_eq!(objects.list("").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_file_dropped_by_hand_has_the_version_that_a_put_gives_it() {
    let (dir, lake) = lake();
    let objects = lake.objects();
    let put = objects
        .put(
            "raw/put",
            Bytes::from_static(b"content"),
            PutMode::Overwrite,
        )
        .await
        .unwrap();
    let path = dir.path().join("raw/by hand");
    std::fs::write(&path, "content").unwrap();
    let dropped = objects.head("raw/by hand").await.unwrap();
    assert_eq!(
        (dropped.version.as_str(), dropped.size),
        (put.version.as_str(), 7)
    );
    assert!(dropped.sequencer > put.sequencer);
    assert_eq!(
        objects.list("raw/by").await.unwrap(),
        std::slice::from_ref(&dropped)
    );

    make_older(&path, 60);
    assert_eq!(
        objects.head("raw/by hand").await.unwrap(),
        dropped,
        "a new time alone does not make a new version"
    );
    assert_eq!(
        objects
            .put(
                "raw/by hand",
                Bytes::from_static(b"content"),
                PutMode::Overwrite
            )
            .await
            .unwrap(),
        dropped
    );

    std::fs::write(&path, "CONTENT").unwrap();
    let changed = objects.head("raw/by hand").await.unwrap();
    assert_ne!(changed.version, dropped.version);
    assert!(changed.sequencer > dropped.sequencer);
}

#[tokio::test]
async fn a_file_changed_right_after_it_was_seen_is_seen_again_even_with_the_same_time() {
    let (dir, lake) = lake();
    let objects = lake.objects();
    let path = dir.path().join("raw/fresh");
    std::fs::create_dir_all(dir.path().join("raw")).unwrap();
    std::fs::write(&path, "aaaa").unwrap();
    let time = std::fs::metadata(&path).unwrap().modified().unwrap();
    let before = objects.head("raw/fresh").await.unwrap();
    std::fs::write(&path, "bbbb").unwrap();
    std::fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(time)
        .unwrap();
    assert_ne!(
        objects.head("raw/fresh").await.unwrap().version,
        before.version
    );
}

#[tokio::test]
async fn objects_outside_raw_are_not_read_to_know_their_version() {
    let (_dir, lake) = lake();
    let objects = lake.objects();
    let first = objects
        .put(
            "curated/t/data/a.parquet",
            Bytes::from_static(b"x"),
            PutMode::IfAbsent,
        )
        .await
        .unwrap();
    let second = objects
        .put(
            "curated/t/data/a.parquet",
            Bytes::from_static(b"x"),
            PutMode::Overwrite,
        )
        .await
        .unwrap();
    assert_ne!(first.version, second.version);
    assert!(first.sequencer < second.sequencer);
    assert_eq!(
        objects.head("curated/t/data/a.parquet").await.unwrap(),
        second
    );
}

#[tokio::test]
async fn unfinished_files_and_the_state_are_no_objects() {
    let (dir, lake) = lake();
    let objects = lake.objects();
    objects
        .put("raw/shop/x", Bytes::from_static(b"x"), PutMode::IfAbsent)
        .await
        .unwrap();
    std::fs::write(dir.path().join("raw/shop/.tarn-tmp-0123"), "half").unwrap();
    let run = lake.staging_dir("run-1").unwrap();
    std::fs::write(run.join("part.parquet"), "half").unwrap();
    assert_eq!(keys(&objects.list("").await.unwrap()), ["raw/shop/x"]);
    for key in [
        ".tarn/lake.sqlite",
        "raw/shop/.tarn-tmp-0123",
        "raw/../.tarn/lake.sqlite",
    ] {
        assert_eq!(
            objects.get(key, None).await.unwrap_err().kind(),
            ErrorKind::BadRequest,
            "{key}"
        );
    }
}

#[tokio::test]
async fn a_refused_put_leaves_nothing_in_staging() {
    let (dir, lake) = lake();
    let objects = lake.objects();
    objects
        .put("raw/a", Bytes::from_static(b"x"), PutMode::IfAbsent)
        .await
        .unwrap();
    assert!(
        objects
            .put("raw/a", Bytes::from_static(b"y"), PutMode::IfAbsent)
            .await
            .is_err()
    );
    assert!(
        objects
            .put("raw/a", Bytes::from_static(b"x"), PutMode::Overwrite)
            .await
            .is_ok()
    );
    assert_eq!(std::fs::read_dir(lake.scratch()).unwrap().count(), 0);
    drop((objects, lake));
    let staging = dir.path().join(".tarn/staging");
    assert_eq!(std::fs::read_dir(staging).unwrap().count(), 0);
}

#[tokio::test]
async fn a_key_under_an_object_and_an_object_over_keys_are_refused() {
    let (_dir, lake) = lake();
    let objects = lake.objects();
    objects
        .put("raw/a", Bytes::from_static(b"x"), PutMode::IfAbsent)
        .await
        .unwrap();
    objects
        .put("raw/d/x", Bytes::from_static(b"x"), PutMode::IfAbsent)
        .await
        .unwrap();
    for (key, mode) in [
        ("raw/a/b", PutMode::Overwrite),
        ("raw/d", PutMode::Overwrite),
        ("raw/d", PutMode::IfAbsent),
    ] {
        let error = objects
            .put(key, Bytes::from_static(b"y"), mode)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadRequest, "{key}: {error}");
    }
    for key in ["raw/a/b", "raw/d"] {
        assert_eq!(
            objects.head(key).await.unwrap_err().kind(),
            ErrorKind::NotFound
        );
        assert_eq!(
            objects.get(key, None).await.unwrap_err().kind(),
            ErrorKind::NotFound
        );
        objects.delete(key).await.unwrap();
    }
    assert_eq!(
        keys(&objects.list("raw").await.unwrap()),
        ["raw/a", "raw/d/x"]
    );
}

#[tokio::test]
async fn links_are_followed_and_circles_are_not() {
    let (dir, lake) = lake();
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::write(elsewhere.path().join("big.log"), "log").unwrap();
    let objects = lake.objects();
    objects
        .put("raw/logs/a", Bytes::from_static(b"x"), PutMode::IfAbsent)
        .await
        .unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), dir.path().join("raw/linked")).unwrap();
    std::os::unix::fs::symlink(dir.path().join("raw"), dir.path().join("raw/logs/circle")).unwrap();
    std::os::unix::fs::symlink("/nowhere at all", dir.path().join("raw/logs/dangling")).unwrap();
    assert_eq!(
        keys(&objects.list("raw/").await.unwrap()),
        ["raw/linked/big.log", "raw/logs/a"]
    );
    assert_eq!(
        objects
            .get("raw/linked/big.log", None)
            .await
            .unwrap()
            .as_ref(),
        b"log"
    );
}

#[tokio::test]
async fn a_final_file_is_shared_on_one_disk_and_copied_from_another_or_behind_a_link() {
    let (_dir, lake) = lake();
    let objects = lake.objects();
    let mut places = vec![lake.staging_dir("run").unwrap()];
    let memory = Path::new("/dev/shm")
        .is_dir()
        .then(|| tempfile::tempdir_in("/dev/shm").unwrap());
    places.extend(memory.as_ref().map(|dir| dir.path().to_owned()));
    for (index, place) in places.iter().enumerate() {
        let file = place.join("file");
        let link = place.join("link");
        std::fs::write(&file, "content").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let cases = [
            (&file, format!("raw/{index}"), false),
            (&file, format!("curated/{index}"), index == 0),
            (&link, format!("curated/link{index}"), false),
        ];
        for (path, key, shared) in &cases {
            let info = objects
                .put_file(key, path, PutMode::IfAbsent, Original::Final)
                .await
                .unwrap();
            assert_eq!(info, objects.head(key).await.unwrap());
            let put = std::fs::symlink_metadata(lake.root().join(key)).unwrap();
            assert!(put.is_file(), "{key}");
            let same = put.ino() == std::fs::metadata(&file).unwrap().ino();
            assert_eq!(same && put.nlink() > 1, *shared, "{key}");
        }
        std::fs::remove_file(&file).unwrap();
        for (_, key, _) in cases {
            assert_eq!(objects.get(&key, None).await.unwrap().as_ref(), b"content");
        }
    }
}

#[tokio::test]
async fn an_object_put_onto_itself_stays() {
    let (dir, lake) = lake();
    let objects = lake.objects();
    let info = objects
        .put("curated/a", Bytes::from_static(b"x"), PutMode::IfAbsent)
        .await
        .unwrap();
    let again = objects
        .put_file(
            "curated/a",
            &dir.path().join("curated/a"),
            PutMode::Overwrite,
            Original::Final,
        )
        .await
        .unwrap();
    assert_eq!(info, again);
    assert_eq!(objects.get("curated/a", None).await.unwrap().as_ref(), b"x");
}

#[tokio::test]
async fn uris_are_plain_paths_and_foreign_ones_have_no_key() {
    let dir = tempfile::tempdir().unwrap();
    let lake = LocalLake::create(&dir.path().join("a lake")).unwrap();
    let objects = lake.objects();
    let root = lake.root().to_str().unwrap().to_owned();
    assert_eq!(
        objects.uri("raw/a b+c%20.log"),
        format!("file://{root}/raw/a b+c%20.log")
    );
    for uri in [
        "s3://bucket/raw/a",
        "file:///etc/passwd",
        &format!("file://{root}"),
        &format!("file://{root}/../x"),
        &format!("file://{root}x/y"),
    ] {
        assert_eq!(objects.key_of(uri), None, "{uri}");
    }
    let refused = objects.presign("raw/a", 60).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
}

#[test]
fn the_ports_work_without_a_runtime() {
    let (_dir, lake) = lake();
    let objects = lake.objects();
    let future = async {
        objects
            .put("raw/a", Bytes::from_static(b"x"), PutMode::IfAbsent)
            .await
            .unwrap();
        objects.get("raw/a", None).await.unwrap()
    };
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(bytes) => assert_eq!(bytes.as_ref(), b"x"),
        std::task::Poll::Pending => panic!("outside a runtime the work is done in place"),
    }
}

#[tokio::test]
async fn one_ingest_of_a_key_excludes_another() {
    let (dir, lake) = lake();
    let held = lake.ingest_lock("raw/a b/x").await.unwrap();
    assert!(lake.try_ingest_lock("raw/a b/x").unwrap().is_none());
    assert!(lake.try_ingest_lock("raw/other").unwrap().is_some());
    let waiting = tokio::spawn({
        let lake = lake.clone();
        async move { lake.ingest_lock("raw/a b/x").await.unwrap() }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!waiting.is_finished());
    drop(held);
    drop(waiting.await.unwrap());
    assert!(lake.try_ingest_lock("raw/a b/x").unwrap().is_some());
    assert_eq!(
        std::fs::read_dir(dir.path().join(".tarn/locks"))
            .unwrap()
            .count(),
        0
    );
}

fn odd_segment() -> impl Strategy<Value = String> {
    let odd = prop_oneof![
        Just('.'),
        Just(' '),
        Just('+'),
        Just('%'),
        Just('\\'),
        Just('ü'),
        Just('🛍'),
        Just('\n')
    ];
    proptest::collection::vec(
        prop_oneof![3 => any::<char>(), 2 => odd, 2 => proptest::char::range('a', 'z')],
        1..12,
    )
    .prop_map(|chars| chars.into_iter().filter(|c| *c != '/').collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_key_is_either_refused_or_kept_literally(segments in proptest::collection::vec(odd_segment(), 1..4)) {
        let key = format!("raw/{}", segments.join("/"));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (_dir, lake) = lake();
            let objects = lake.objects();
            match objects.put(&key, Bytes::from(key.clone()), PutMode::IfAbsent).await {
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::BadRequest, "{error}");
                    let harmful = |part: &str| part.is_empty() || part == "." || part == ".." || part.contains('\0');
                    assert!(key.split('/').any(harmful), "{key:?} was refused: {error}");
                    assert_eq!(objects.list("").await.unwrap().len(), 0);
                }
                Ok(info) => {
                    assert_eq!(&info.key, &key);
                    assert_eq!(objects.get(&key, None).await.unwrap().as_ref(), key.as_bytes());
                    assert_eq!(objects.list(&key).await.unwrap(), std::slice::from_ref(&info));
                    assert_eq!(objects.list("raw/").await.unwrap(), [info]);
                    assert_eq!(objects.key_of(&objects.uri(&key)), Some(key.clone()));
                }
            }
        });
    }
}
