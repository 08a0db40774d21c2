//! Several threads and processes on one lake, and processes that are killed.
//!
//! A test starts this very program again, told by an environment variable what to do.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Barrier;
use std::time::Duration;

use bytes::Bytes;
use tarn_core::ErrorKind;
use tarn_core::ports::PutMode;
use tarn_core::schema::{TableName, TableSpec, Zone};
use tarn_local::LocalLake;

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
    let lake = LocalLake::open(dir.path()).unwrap();
    lake.sweep_staging(Duration::ZERO).unwrap();
    assert_eq!(
        std::fs::read_dir(dir.path().join(".tarn/staging"))
            .unwrap()
            .count(),
        0
    );
}
