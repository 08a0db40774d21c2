//! Several threads and processes on one lake, and processes that are killed.
//!
//! A test starts this very program again; an environment variable says what to do.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Barrier;
use std::time::Duration;

use bytes::Bytes;
use tarn_core::ErrorKind;
use tarn_core::ports::{Original, PutMode};
use tarn_core::schema::{TableName, TableSpec, Zone};
use tarn_local::{Leftovers, LocalLake};

const ROLE: &str = "TARN_TEST_ROLE";
const LAKE: &str = "TARN_TEST_LAKE";

fn start(role: &str, lake: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "processes::worker",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(ROLE, role)
        .env(LAKE, lake)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
}

fn spec() -> TableSpec {
    TableSpec {
        name: TableName::new(Zone::Curated, "raced"),
        doc: String::new(),
        fields: Vec::new(),
        partitioning: None,
        identifier: Vec::new(),
    }
}

/// What a started process does; an ordinary run of the tests does nothing here.
#[test]
fn worker() {
    let (Ok(role), Ok(root)) = (std::env::var(ROLE), std::env::var(LAKE)) else {
        return;
    };
    let lake = LocalLake::create(Path::new(&root)).unwrap();
    runtime().block_on(async {
        match role.as_str() {
            "swap" => swap_twenty_times(&lake).await,
            "put" => put_without_end(&lake).await,
            "hold" => hold_a_copy(&lake).await,
            "put once" => put_once(&lake).await,
            role => panic!("unknown role {role}"),
        }
    });
}

async fn swap_twenty_times(lake: &LocalLake) {
    let (catalog, spec) = (lake.catalog(), spec());
    let me = std::process::id();
    for swap in 0..20 {
        loop {
            let current = catalog.load(&spec.name).await.unwrap();
            let expected = current.as_ref().map(|pointer| pointer.version.as_str());
            let former = current
                .as_ref()
                .map_or("", |pointer| pointer.metadata_location.as_str());
            match catalog
                .swap(
                    &spec,
                    expected,
                    &format!("{former} {me}.{swap}"),
                    &BTreeMap::new(),
                )
                .await
            {
                Ok(_) => break,
                Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
            }
        }
        let key = format!("raw/race/{swap}");
        match lake
            .objects()
            .put(&key, Bytes::from(format!("{me}")), PutMode::IfAbsent)
            .await
        {
            Ok(_) => println!("\nwon {key} {me}"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
        }
    }
}

async fn put_without_end(lake: &LocalLake) {
    let objects = lake.objects();
    println!("\nready");
    for round in 0_u32.. {
        let byte = b'a' + u8::try_from(round % 26).unwrap();
        let body = Bytes::from(vec![byte; 300_000]);
        objects
            .put("raw/killed/x", body.clone(), PutMode::Overwrite)
            .await
            .unwrap();
        objects
            .put(&format!("curated/killed/{round}"), body, PutMode::IfAbsent)
            .await
            .ok();
    }
}

/// Holds a copy of a raw object and files of a run until it is killed.
async fn hold_a_copy(lake: &LocalLake) {
    let objects = lake.objects();
    let info = objects.head("raw/a").await.unwrap();
    let copy = objects.fetch_version(&info).await.unwrap();
    std::fs::write(lake.staging_dir("run").unwrap().join("part"), "half").unwrap();
    println!("\nholds {}", copy.path().display());
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

/// Puts twice under every zone, takes a lock, and ends.
async fn put_once(lake: &LocalLake) {
    let objects = lake.objects();
    for content in ["first", "second"] {
        for key in [
            "raw/web/a/x.log",
            "curated/t/data/x.parquet",
            "results/x.html",
        ] {
            let body = Bytes::from(content);
            objects.put(key, body, PutMode::Overwrite).await.unwrap();
        }
    }
    let file = lake.staging_dir("run").unwrap().join("x.parquet");
    std::fs::write(&file, "rows").unwrap();
    for (key, original) in [
        ("raw/web/a/y", Original::Changes),
        ("curated/t/data/y", Original::Final),
    ] {
        objects
            .put_file(key, &file, PutMode::IfAbsent, original)
            .await
            .unwrap();
    }
    std::fs::remove_dir_all(file.parent().unwrap()).unwrap();
    drop(lake.ingest_lock("raw/web/a/x.log").await.unwrap());
    lake.keys().newest().await.unwrap();
}

/// Starts a process and waits for a line that begins so; the rest of that line.
fn started(role: &str, lake: &Path, line: &str) -> (Child, String) {
    let mut worker = start(role, lake);
    let lines = BufReader::new(worker.stdout.take().unwrap()).lines();
    let rest = lines
        .map_while(Result::ok)
        .find_map(|found| Some(found.strip_prefix(line)?.trim().to_owned()));
    (worker, rest.unwrap())
}

#[test]
fn what_a_killed_process_left_is_removed_and_what_a_living_one_holds_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let objects = LocalLake::create(dir.path()).unwrap().objects();
    let body = Bytes::from(vec![7; 100_000]);
    runtime()
        .block_on(objects.put("raw/a", body, PutMode::IfAbsent))
        .unwrap();
    drop(objects);
    let (mut killed, leftover) = started("hold", dir.path(), "holds ");
    let (mut living, held) = started("hold", dir.path(), "holds ");
    killed.kill().unwrap();
    killed.wait().unwrap();
    let is_there = |path: &str| Path::new(path).exists();
    assert!(is_there(&leftover) && is_there(&held));
    let lake = LocalLake::open(dir.path()).unwrap();
    assert!(!is_there(&leftover) && is_there(&held));
    for dry_run in [true, false] {
        assert_eq!(lake.tidy(dry_run).unwrap().staging, Leftovers::default());
    }
    living.kill().unwrap();
    living.wait().unwrap();
    let left = Leftovers {
        entries: 1,
        bytes: 100_004,
    };
    assert_eq!(lake.tidy(true).unwrap().staging, left);
    assert!(is_there(&held));
    assert_eq!(lake.tidy(false).unwrap().staging, left);
    assert!(!is_there(&held));
    let size = std::fs::metadata(dir.path().join("raw/a")).unwrap().len();
    assert_eq!(size, 100_000, "the object itself stays");
}

#[test]
fn many_processes_that_start_and_end_at_once_take_nothing_from_one_another() {
    let dir = tempfile::tempdir().unwrap();
    drop(LocalLake::create(dir.path()).unwrap());
    let workers: Vec<_> = (0..8).map(|_| start("swap", dir.path())).collect();
    for _ in 0..100 {
        drop(LocalLake::open(dir.path()).unwrap());
    }
    for worker in workers {
        let ended = worker.wait_with_output().unwrap();
        assert!(ended.status.success(), "{ended:?}");
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            below(&path, found);
        }
        found.push(path);
    }
}

#[test]
fn the_raw_zone_and_the_state_are_their_owners_alone_whatever_the_umask() {
    for (umask, table) in [
        ("000", 0o666),
        ("022", 0o644),
        ("077", 0o600),
        ("277", 0o400),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("lake");
        std::fs::create_dir(&root).unwrap();
        let program = std::env::current_exe().unwrap();
        let done = Command::new("sh")
            .args(["-c", &format!("umask {umask}; exec \"$@\""), "sh"])
            .arg(program)
            .args(["--exact", "processes::worker", "--test-threads=1"])
            .env(ROLE, "put once")
            .env(LAKE, &root)
            .output()
            .unwrap();
        assert!(done.status.success(), "{umask}: {done:?}");
        let mut private = vec![root.join("raw"), root.join(".tarn")];
        below(&root.join("raw"), &mut private);
        below(&root.join(".tarn"), &mut private);
        assert!(private.len() > 12, "{private:?}");
        for path in private {
            let expected = if path.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(mode(&path), expected, "{umask} {}", path.display());
        }
        for open in [
            "curated/t/data/x.parquet",
            "curated/t/data/y",
            "results/x.html",
        ] {
            assert_eq!(mode(&root.join(open)), table, "{umask} {open}");
        }
    }
}

#[test]
fn six_processes_make_one_lake_and_lose_no_swap_and_share_no_put() {
    let dir = tempfile::tempdir().unwrap();
    let mut workers: Vec<_> = (0..6)
        .map(|_| start("swap", &dir.path().join("new")))
        .collect();
    let mut won = BTreeMap::new();
    for worker in &mut workers {
        for line in BufReader::new(worker.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            if let Some((key, winner)) = line
                .strip_prefix("won ")
                .and_then(|won| won.split_once(' '))
            {
                assert_eq!(
                    won.insert(key.to_owned(), winner.to_owned()),
                    None,
                    "{key} was won twice"
                );
            }
        }
        assert!(worker.wait().unwrap().success());
    }
    let lake = LocalLake::open(&dir.path().join("new")).unwrap();
    runtime().block_on(async {
        let pointer = lake.catalog().load(&spec().name).await.unwrap().unwrap();
        let mut swaps: Vec<_> = pointer.metadata_location.split_whitespace().collect();
        assert_eq!((pointer.version.as_str(), swaps.len()), ("120", 120));
        swaps.sort_unstable();
        swaps.dedup();
        assert_eq!(swaps.len(), 120);
        assert_eq!(won.len(), 20);
        for (key, winner) in won {
            assert_eq!(
                lake.objects().get(&key, None).await.unwrap().as_ref(),
                winner.as_bytes()
            );
        }
    });
}

#[test]
fn eight_threads_put_one_absent_key_and_one_wins() {
    let dir = tempfile::tempdir().unwrap();
    let barrier = Barrier::new(8);
    let winners: Vec<usize> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|writer| {
                let (barrier, root) = (&barrier, dir.path());
                scope.spawn(move || {
                    barrier.wait();
                    // Each with connections of its own, and all making the lake at once.
                    let lake = LocalLake::create(root).unwrap();
                    let body = Bytes::from(writer.to_string());
                    let put = runtime().block_on(lake.objects().put(
                        "curated/metadata.json",
                        body,
                        PutMode::IfAbsent,
                    ));
                    match put {
                        Ok(_) => Some(writer),
                        Err(error) => {
                            assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
                            None
                        }
                    }
                })
            })
            .collect();
        threads
            .into_iter()
            .filter_map(|thread| thread.join().unwrap())
            .collect()
    });
    let content = std::fs::read_to_string(dir.path().join("curated/metadata.json")).unwrap();
    assert_eq!(
        winners.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [content]
    );
}

#[test]
fn a_process_killed_while_it_puts_leaves_whole_objects_and_their_versions() {
    let dir = tempfile::tempdir().unwrap();
    for kill in 0..10 {
        let mut worker = start("put", dir.path());
        let mut lines = BufReader::new(worker.stdout.take().unwrap()).lines();
        while lines.next().unwrap().unwrap() != "ready" {}
        std::thread::sleep(Duration::from_millis(7 * kill));
        worker.kill().unwrap();
        worker.wait().unwrap();

        let lake = LocalLake::open(dir.path()).unwrap();
        let objects = lake.objects();
        runtime().block_on(async {
            for info in objects.list("").await.unwrap() {
                let content = objects.get(&info.key, None).await.unwrap();
                assert_eq!(
                    (info.size, content.len()),
                    (300_000, 300_000),
                    "{}",
                    info.key
                );
                assert!(
                    content.iter().all(|byte| *byte == content[0]),
                    "{} is mixed",
                    info.key
                );
                if info.key.starts_with("raw/") {
                    let twin = objects
                        .put("raw/twin", content, PutMode::Overwrite)
                        .await
                        .unwrap();
                    assert_eq!(twin.version, info.version, "{}", info.key);
                }
            }
            objects.delete("raw/twin").await.unwrap();
        });
    }
    drop(LocalLake::open(dir.path()).unwrap());
    assert_eq!(
        std::fs::read_dir(dir.path().join(".tarn/staging"))
            .unwrap()
            .count(),
        0
    );
}
