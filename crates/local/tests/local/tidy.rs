//! What older versions, stopped processes and erased objects left, and who may read it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use bytes::Bytes;
use tarn_core::ErrorKind;
use tarn_core::ports::PutMode;
use tarn_local::{Leftovers, LocalLake, Tidied};

fn write(path: &Path, content: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn loosen(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

async fn put(lake: &LocalLake, key: &str, content: &'static str) {
    let body = Bytes::from_static(content.as_bytes());
    let objects = lake.objects();
    objects.put(key, body, PutMode::Overwrite).await.unwrap();
}

fn left(entries: u64, bytes: u64) -> Leftovers {
    Leftovers { entries, bytes }
}

#[tokio::test]
async fn what_an_older_version_left_is_removed_when_the_lake_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    drop(LocalLake::create(dir.path()).unwrap());
    let staging = dir.path().join(".tarn/staging");
    write(&staging.join("put-0123"), "a raw object");
    write(
        &staging.join("01a22a12-52cf-71d2-b108-2cfdc6880529/part"),
        "half",
    );
    drop(LocalLake::open(dir.path()).unwrap());
    assert_eq!(std::fs::read_dir(&staging).unwrap().count(), 0);
}

#[tokio::test]
async fn only_raw_objects_have_former_contents() {
    let dir = tempfile::tempdir().unwrap();
    let lake = LocalLake::create(dir.path()).unwrap();
    for content in ["one", "two"] {
        put(&lake, "raw/a", content).await;
        put(&lake, "quality/summary.json", content).await;
        put(&lake, "results/reports/x.html", content).await;
    }
    let versions = dir.path().join(".tarn/versions");
    let kept: Vec<_> = std::fs::read_dir(&versions)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(kept, ["raw"]);
    // What an older version kept of them.
    write(&versions.join("results/reports/x.html/17-18ec"), "a report");
    write(&versions.join("quality/summary.json/12-18ec"), "{}");
    let found = lake.tidy(true).unwrap();
    assert_eq!(found.former_reports, left(2, 10));
    assert!(versions.join("quality").exists());
    assert_eq!(lake.tidy(false).unwrap().former_reports, left(2, 10));
    assert!(!versions.join("results").exists() && versions.join("raw/a").exists());
    assert_eq!(lake.tidy(false).unwrap(), Tidied::default());
}

#[tokio::test]
async fn an_erased_object_takes_its_former_contents_along() {
    let dir = tempfile::tempdir().unwrap();
    let lake = LocalLake::create(dir.path()).unwrap();
    for content in ["one", "two", "three"] {
        for key in ["raw/web/a", "raw/web/b", "raw/web/c"] {
            put(&lake, key, content).await;
        }
    }
    let versions = dir.path().join(".tarn/versions/raw/web");
    lake.objects().delete("raw/web/a").await.unwrap();
    assert!(!versions.join("a").exists());
    assert!(versions.join("b").exists());
    // Erased by hand: maintenance finds it.
    std::fs::remove_file(dir.path().join("raw/web/b")).unwrap();
    assert_eq!(lake.tidy(true).unwrap().erased, left(2, 6));
    assert_eq!(lake.tidy(false).unwrap().erased, left(2, 6));
    assert!(!versions.join("b").exists() && versions.join("c").exists());
    // A raw zone that is not mounted is not one whose objects were erased.
    std::fs::rename(dir.path().join("raw"), dir.path().join("away")).unwrap();
    std::fs::create_dir(dir.path().join("raw")).unwrap();
    assert_eq!(lake.tidy(false).unwrap().erased, Leftovers::default());
    assert!(versions.join("c").exists());
}

#[tokio::test]
async fn former_contents_of_keys_below_an_erased_one_stay() {
    let dir = tempfile::tempdir().unwrap();
    let lake = LocalLake::create(dir.path()).unwrap();
    put(&lake, "raw/a", "one").await;
    put(&lake, "raw/a", "two").await;
    lake.objects().delete("raw/a").await.unwrap();
    put(&lake, "raw/a/b", "one").await;
    put(&lake, "raw/a/b", "two").await;
    let info = lake.objects().head("raw/a/b").await.unwrap();
    assert_eq!(lake.tidy(false).unwrap(), Tidied::default());
    lake.objects().delete("raw/a").await.unwrap();
    let former = std::fs::read_dir(dir.path().join(".tarn/versions/raw/a/b")).unwrap();
    assert_eq!(former.count(), 1);
    assert_eq!(lake.objects().head("raw/a/b").await.unwrap(), info);
}

#[tokio::test]
async fn copies_that_a_stopped_process_left_beside_their_target_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    let lake = LocalLake::create(dir.path()).unwrap();
    put(&lake, "raw/web/x", "x").await;
    let living = lake.scratch();
    let living = living.file_name().unwrap().to_str().unwrap();
    let names = [
        "raw/web/.tarn-tmp-0123".to_owned(),
        "curated/t/data/.tarn-tmp-5997558b4092434ab8269ca8f35d713f-12".to_owned(),
        ".tarn/versions/raw/web/x/.tarn-tmp-5997558b4092434ab8269ca8f35d713f-13".to_owned(),
        format!("raw/web/.tarn-tmp-{living}-14"),
    ];
    for name in &names {
        write(&dir.path().join(name), "half");
    }
    assert_eq!(lake.tidy(false).unwrap().staging, left(3, 12));
    let there: Vec<bool> = names
        .iter()
        .map(|name| dir.path().join(name).exists())
        .collect();
    assert_eq!(there, [false, false, false, true]);
    assert_eq!(lake.objects().list("").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_lake_that_others_could_read_is_tightened() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("lake");
    let lake = LocalLake::create(&root).unwrap();
    put(&lake, "raw/web/x", "x").await;
    put(&lake, "raw/web/x", "y").await;
    put(&lake, "curated/x", "x").await;
    drop(lake);
    // As the umask 022 of an older version had it.
    let files = [
        "raw/web/x",
        ".tarn/lake.sqlite",
        ".tarn/versions/raw/web/x",
        "curated/x",
    ];
    for file in files {
        loosen(
            &root.join(file),
            if file.ends_with("raw/web/x") && file.starts_with('.') {
                0o755
            } else {
                0o644
            },
        );
    }
    for folder in ["raw", "raw/web", ".tarn", ".tarn/staging", ".tarn/versions"] {
        loosen(&root.join(folder), 0o755);
    }
    let lake = LocalLake::open(&root).unwrap();
    // What bars the way to all the rest, at once.
    for (path, expected) in [
        ("raw", 0o700),
        (".tarn", 0o700),
        (".tarn/lake.sqlite", 0o600),
        ("raw/web/x", 0o644),
        ("curated/x", 0o644),
    ] {
        assert_eq!(mode(&root.join(path)), expected, "{path}");
    }
    assert_eq!(lake.tidy(true).unwrap().tightened, 5);
    assert_eq!(mode(&root.join("raw/web")), 0o755);
    assert_eq!(lake.tidy(false).unwrap().tightened, 5);
    for (path, expected) in [
        ("raw/web", 0o700),
        ("raw/web/x", 0o600),
        (".tarn/staging", 0o700),
        (".tarn/versions/raw/web/x", 0o700),
        ("curated/x", 0o644),
    ] {
        assert_eq!(mode(&root.join(path)), expected, "{path}");
    }
    assert_eq!(lake.tidy(false).unwrap(), Tidied::default());
}

#[tokio::test]
async fn a_link_out_of_the_raw_zone_is_not_tightened() {
    let dir = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let shared = elsewhere.path().join("x.log");
    write(&shared, "x");
    loosen(&shared, 0o644);
    let lake = LocalLake::create(dir.path()).unwrap();
    put(&lake, "raw/a", "x").await;
    std::os::unix::fs::symlink(&shared, dir.path().join("raw/x.log")).unwrap();
    assert_eq!(lake.tidy(false).unwrap(), Tidied::default());
    assert_eq!(mode(&shared), 0o644);
    let refused = lake.former_version("raw/a", "none").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
}
