//! Commits, alone and against others.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tarn_contract::SnapshotOrder;
use tarn_core::{Error, ErrorKind};
use tarn_table::{Base, Change, Committed, NewFile, SourceRef, Takeover, VersionRef};

use crate::lake::{Fault, Lake, change, done, orders};

#[tokio::test]
async fn files_are_added_replaced_and_removed_one_version_at_a_time() {
    let lake = Lake::new();
    lake.orders().await;
    assert_eq!(lake.live().await, Vec::<String>::new());
    let first = lake.append("s3://raw/a", 0..10, 3).await;
    lake.append("s3://raw/b", 10..15, 4).await;
    let table = lake.current().await;
    let files = table.files(&VersionRef::Current, None).await.unwrap();
    let replacement = lake.file("s3://raw/a", 0..8, Some(3)).await;
    let replace = Change {
        add: vec![replacement.clone()],
        remove: vec![files[0].uri.clone()],
        ..change("s3://raw/a")
    };
    done(lake.commit(replace).await.unwrap());
    let remove = Change {
        remove: vec![files[1].uri.clone()],
        ..change("s3://raw/b")
    };
    done(lake.commit(remove).await.unwrap());

    let table = lake.current().await;
    assert_eq!(lake.live().await, [replacement.key.as_str()]);
    let versions = table.versions();
    let seen: Vec<_> = versions
        .iter()
        .map(|v| {
            (
                v.number,
                v.operation.as_str(),
                v.rows,
                v.files,
                v.added_rows,
                v.deleted_rows,
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            (1, "append", 10, 1, 10, 0),
            (2, "append", 15, 2, 5, 0),
            (3, "overwrite", 13, 2, 8, 10),
            (4, "delete", 8, 1, 0, 5)
        ]
    );
    assert_eq!(versions[0].snapshot_id, first);
    assert!(versions.is_sorted_by_key(|version| version.committed_at));
    let sizes: Vec<u64> = versions
        .iter()
        .map(|v| v.summary["total-files-size"].parse().unwrap())
        .collect();
    assert_eq!(
        sizes[3],
        std::fs::metadata(&replacement.local).unwrap().len()
    );
    assert_eq!(versions[2].summary["changed-partition-count"], "1");
    // Older versions still list what they held.
    let old = table.files(&VersionRef::Number(2), None).await.unwrap();
    assert_eq!(
        old.iter().map(|file| file.rows).collect::<Vec<_>>(),
        [10, 5]
    );
}

#[tokio::test]
async fn a_change_without_files_makes_no_version() {
    let lake = Lake::new();
    lake.orders().await;
    assert_eq!(
        lake.commit(change("s3://raw/a")).await.unwrap(),
        Committed::NothingToDo
    );
    assert!(lake.current().await.versions().is_empty());
}

#[tokio::test]
async fn a_table_that_does_not_exist_is_not_found() {
    let lake = Lake::new();
    assert!(lake.tables.load(&orders().name).await.unwrap().is_none());
    let remove = Change {
        remove: vec!["file:///x".to_owned()],
        ..change("a")
    };
    assert_eq!(
        lake.commit(remove).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[tokio::test]
async fn of_a_run_and_who_takes_it_over_one_commits() {
    for slow_is_first in [true, false] {
        let lake = Lake::new();
        lake.orders().await;
        let commit = async |run: &str, over: &[&str]| {
            let change = Change {
                add: vec![lake.file("s3://raw/a", 0..3, Some(1)).await],
                summary: [("tarn.run-id".to_owned(), run.to_owned())].into(),
                ..change("s3://raw/a")
            };
            let takeover = Takeover {
                run_id: run.to_owned(),
                runs: over.iter().map(|run| (*run).to_owned()).collect(),
                unless_committed: true,
            };
            let table = orders().name;
            let committed = lake.tables.commit_as(&table, change, takeover);
            committed.await.map_err(|error| error.kind())
        };
        let (slow, other) = if slow_is_first {
            let slow = commit("slow", &[]).await;
            (slow, commit("other", &["slow"]).await)
        } else {
            let other = commit("other", &["slow"]).await;
            (commit("slow", &[]).await, other)
        };
        let refused = Err(ErrorKind::Conflict);
        assert_eq!(slow.is_ok(), slow_is_first);
        assert_eq!(other.is_ok(), !slow_is_first);
        assert!([slow, other].contains(&refused));
        let table = lake.current().await;
        assert_eq!(table.versions().len(), 1);
        assert_eq!(table.was_taken_over("slow"), !slow_is_first);
        assert_eq!(table.has_run("slow"), slow_is_first);
        // A run that has nothing to do with either commits as always.
        commit("third", &[]).await.unwrap();
        lake.append("s3://raw/b", 3..6, 1).await;
    }
}

#[tokio::test]
async fn the_same_source_version_is_committed_once() {
    let lake = Lake::new();
    lake.orders().await;
    let once = |file| Change {
        add: vec![file],
        unless_committed: true,
        ..change("s3://raw/a")
    };
    let first = done(
        lake.commit(once(lake.file("s3://raw/a", 0..3, Some(1)).await))
            .await
            .unwrap(),
    );
    lake.append("s3://raw/b", 3..6, 1).await;
    let written = lake.metadata_files().await;

    let again = once(lake.file("s3://raw/a", 0..3, Some(1)).await);
    assert_eq!(
        lake.commit(again.clone()).await.unwrap(),
        Committed::AlreadyThere {
            snapshot_id: first,
            version: 1
        }
    );
    assert_eq!(
        lake.metadata_files().await,
        written,
        "nothing is left behind"
    );
    let source = again.sources[0].clone();
    let table = lake.current().await;
    assert_eq!(table.committed(&source, "ingest"), Some(first));
    assert_eq!(table.committed(&source, "upsert"), None);

    // Another version of it, another kind of work, or one source more are not the same.
    let newer = Change {
        sources: vec![SourceRef {
            version: "2".to_owned(),
            ..source.clone()
        }],
        ..again.clone()
    };
    done(lake.commit(newer).await.unwrap());
    let other = once(lake.file("s3://raw/a", 0..3, Some(1)).await);
    let both = SourceRef {
        uri: "s3://raw/b".to_owned(),
        version: "1".to_owned(),
    };
    done(
        lake.commit(Change {
            sources: vec![source, both],
            ..other
        })
        .await
        .unwrap(),
    );
    assert_eq!(lake.current().await.versions().len(), 4);
}

#[tokio::test]
async fn a_lost_race_is_run_again_and_leaves_nothing_behind() {
    let lake = Lake::new();
    lake.orders().await;
    lake.append("s3://raw/a", 0..3, 1).await;
    let before = lake.metadata_files().await;
    lake.catalog.inject((0..4).map(|_| Fault::Refuse));
    lake.append("s3://raw/b", 3..6, 1).await;
    assert_eq!(lake.live().await.len(), 2);
    assert_eq!(
        lake.metadata_files().await,
        before + 3,
        "a manifest, a manifest list and a metadata file"
    );
}

#[tokio::test]
async fn a_writer_that_always_loses_says_so_and_leaves_nothing_behind() {
    let lake = Lake::new();
    lake.orders().await;
    let before = lake.metadata_files().await;
    lake.catalog.inject((0..100).map(|_| Fault::Refuse));
    let file = lake.file("s3://raw/a", 0..3, Some(1)).await;
    let error = lake
        .commit(Change {
            add: vec![file],
            ..change("a")
        })
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.is_retryable());
    assert_eq!(lake.metadata_files().await, before);
}

#[tokio::test]
async fn a_swap_whose_reply_is_lost_is_committed_once() {
    for lost in [
        Error::new(
            ErrorKind::Conflict,
            "an unseen repetition of the call came too late",
        ),
        Error::new(ErrorKind::Storage, "timeout").retryable(true),
        Error::new(ErrorKind::Storage, "connection reset"),
    ] {
        let lake = Lake::new();
        lake.orders().await;
        let file = lake.file("s3://raw/a", 0..3, Some(1)).await;
        lake.catalog.inject([Fault::Lose(lost)]);
        done(
            lake.commit(Change {
                add: vec![file],
                ..change("a")
            })
            .await
            .unwrap(),
        );
        let table = lake.current().await;
        assert_eq!(table.versions().len(), 1);
        assert_eq!(
            table.files(&VersionRef::Current, None).await.unwrap()[0].rows,
            3
        );
    }
}

#[tokio::test]
async fn a_swap_that_fails_for_good_is_an_error_and_its_files_stay_in_case_it_comes_to_pass() {
    let lake = Lake::new();
    lake.orders().await;
    let before = lake.metadata_files().await;
    let file = lake.file("s3://raw/a", 0..3, Some(1)).await;
    lake.catalog
        .inject([Fault::Fail(Error::new(ErrorKind::Storage, "no permission"))]);
    let error = lake
        .commit(Change {
            add: vec![file],
            ..change("a")
        })
        .await
        .unwrap_err();
    assert!(error.to_string().contains("no permission"), "{error}");
    assert!(lake.current().await.versions().is_empty());
    assert_eq!(lake.metadata_files().await, before + 3);
}

#[tokio::test]
async fn a_change_of_an_exact_base_is_refused_on_another_one() {
    let lake = Lake::new();
    lake.orders().await;
    let first = lake.append("s3://raw/a", 0..3, 1).await;
    let second = lake.append("s3://raw/b", 3..6, 1).await;
    for stale in [Some(first), None] {
        let file = lake.file("s3://raw/c", 6..9, Some(1)).await;
        let swaps = lake.catalog.swaps.load(Ordering::Relaxed);
        let stale = Change {
            add: vec![file],
            base: Base::Exactly(stale),
            ..change("c")
        };
        assert_eq!(
            lake.commit(stale).await.unwrap_err().kind(),
            ErrorKind::Conflict
        );
        assert_eq!(
            lake.catalog.swaps.load(Ordering::Relaxed),
            swaps,
            "no swap is tried"
        );
    }
    // A refusal alone does not change the base.
    lake.catalog.inject([Fault::Refuse]);
    let file = lake.file("s3://raw/c", 6..9, Some(1)).await;
    done(
        lake.commit(Change {
            add: vec![file],
            base: Base::Exactly(Some(second)),
            ..change("c")
        })
        .await
        .unwrap(),
    );
}

#[tokio::test]
async fn a_file_that_is_gone_cannot_be_removed_again() {
    let lake = Lake::new();
    lake.orders().await;
    lake.append("s3://raw/a", 0..3, 1).await;
    let uri = lake
        .current()
        .await
        .files(&VersionRef::Current, None)
        .await
        .unwrap()[0]
        .uri
        .clone();
    let remove = Change {
        remove: vec![uri.clone()],
        ..change("a")
    };
    done(lake.commit(remove.clone()).await.unwrap());
    let error = lake.commit(remove).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains(&uri), "{error}");
    assert_eq!(lake.current().await.versions().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 6)]
async fn six_writers_at_once_lose_nothing() {
    const COMMITS: i64 = 5;
    let lake = Arc::new(Lake::new());
    lake.orders().await;
    let writers: Vec<_> = (0..6_i64)
        .map(|writer| {
            let lake = Arc::clone(&lake);
            tokio::spawn(async move {
                let mut keys = Vec::new();
                for commit in 0..COMMITS {
                    let source = format!("s3://raw/{writer}/{commit}");
                    let file = lake
                        .file(&source, commit * 10..commit * 10 + 10, Some(1))
                        .await;
                    keys.push(file.key.clone());
                    done(
                        lake.commit(Change {
                            add: vec![file],
                            ..change(&source)
                        })
                        .await
                        .unwrap(),
                    );
                }
                keys
            })
        })
        .collect();
    let mut expected = BTreeSet::new();
    for writer in writers {
        expected.extend(writer.await.unwrap());
    }
    let live = lake.live().await;
    assert_eq!(live.len(), expected.len());
    assert_eq!(live.into_iter().collect::<BTreeSet<_>>(), expected);
    let versions = lake.current().await.versions();
    assert_eq!(
        versions
            .iter()
            .map(|version| version.number)
            .collect::<Vec<_>>(),
        (1..=30).collect::<Vec<_>>()
    );
    assert_eq!(versions.last().unwrap().rows, 300);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_two_replacements_of_one_file_one_is_refused() {
    let lake = Arc::new(Lake::new());
    lake.orders().await;
    lake.append("s3://raw/a", 0..3, 1).await;
    let uri = lake
        .current()
        .await
        .files(&VersionRef::Current, None)
        .await
        .unwrap()[0]
        .uri
        .clone();
    let mut replacements = Vec::new();
    for _ in 0..4 {
        let file = lake.file("s3://raw/a", 0..3, Some(1)).await;
        let replace = Change {
            add: vec![file],
            remove: vec![uri.clone()],
            ..change("a")
        };
        let lake = Arc::clone(&lake);
        replacements.push(tokio::spawn(async move { lake.commit(replace).await }));
    }
    let mut won = 0;
    for replacement in replacements {
        match replacement.await.unwrap() {
            Ok(_) => won += 1,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict),
        }
    }
    assert_eq!((won, lake.live().await.len()), (1, 1));
}

#[tokio::test]
async fn hundreds_of_commits_leave_few_manifests_and_every_row() {
    const COMMITS: i64 = 130;
    let lake = Lake::new();
    lake.orders().await;
    let mut most = 0;
    let mut removed = None;
    for commit in 0..COMMITS {
        let gets = lake.folder.gets.load(Ordering::Relaxed);
        let day = i32::try_from(commit % 40).unwrap();
        let file = lake
            .file(
                &format!("s3://raw/{commit}"),
                commit * 2..commit * 2 + 2,
                Some(day),
            )
            .await;
        let mut add = Change {
            add: vec![file],
            ..change(&format!("s3://raw/{commit}"))
        };
        if commit == 100 {
            // A file that has been merged by then.
            removed = Some(
                lake.current()
                    .await
                    .files(&VersionRef::Current, None)
                    .await
                    .unwrap()[20]
                    .clone(),
            );
            add.remove
                .extend(removed.iter().map(|file| file.uri.clone()));
        }
        done(lake.commit(add).await.unwrap());
        most = most.max(lake.folder.gets.load(Ordering::Relaxed) - gets);
    }
    let table = lake.current().await;
    let gets = lake.folder.gets.load(Ordering::Relaxed);
    let files = table.files(&VersionRef::Current, None).await.unwrap();
    assert!(
        lake.folder.gets.load(Ordering::Relaxed) - gets <= 52,
        "manifests are merged"
    );
    assert!(most <= 160, "one commit reads {most} files");
    assert_eq!(files.len(), usize::try_from(COMMITS).unwrap() - 1);
    assert!(
        !files
            .iter()
            .any(|file| Some(&file.uri) == removed.as_ref().map(|file| &file.uri))
    );
    let last = table.versions().pop().unwrap();
    assert_eq!(
        (last.rows, last.files),
        (2 * (COMMITS as u64 - 1), COMMITS as u64 - 1)
    );
    // Old versions are as they were.
    for number in [1, 49, 51, 100, 101] {
        let files = table
            .files(&VersionRef::Number(number), None)
            .await
            .unwrap();
        let expected = if number > 100 { number - 1 } else { number };
        assert_eq!(
            files.len(),
            usize::try_from(expected).unwrap(),
            "version {number}"
        );
    }
    // Files keep the order and bounds that they were committed with.
    assert!(files.iter().all(|file| file.only_source().is_some()));
    assert_eq!(files[0].only_source(), Some("s3://raw/0"));
}

#[tokio::test]
async fn a_table_is_never_brought_to_an_older_snapshot_of_its_source() {
    let snapshot = |day: u32| {
        let put_at = "2026-02-01T00:00:00Z".parse().unwrap();
        let time = format!("2026-01-{day:02}T00:00:00Z").parse().unwrap();
        Some(SnapshotOrder {
            time: Some(time),
            put_at,
            key: format!("raw/shop/{day}.sqlite"),
        })
    };
    let brings = |day: u32, add: Vec<NewFile>| Change {
        add,
        snapshot: snapshot(day),
        ..change("s3://raw/shop")
    };
    let lake = Lake::new();
    lake.orders().await;
    assert_eq!(lake.current().await.newest_snapshot().unwrap(), None);
    let first = lake.file("s3://raw/shop", 0..3, Some(1)).await;
    done(lake.commit(brings(5, vec![first])).await.unwrap());
    assert_eq!(lake.current().await.newest_snapshot().unwrap(), snapshot(5));

    // A newer one that changes nothing is remembered, and makes no version; also where the reply is lost.
    let lost = Fault::Lose(Error::new(ErrorKind::Storage, "no answer").retryable(true));
    for (day, fault) in [(7, None), (8, Some(lost))] {
        lake.catalog.inject(fault);
        let before = lake.current().await.metadata_location().to_owned();
        let committed = lake.commit(brings(day, Vec::new())).await.unwrap();
        assert_eq!(committed, Committed::NothingToDo);
        let table = lake.current().await;
        assert_eq!(table.newest_snapshot().unwrap(), snapshot(day));
        assert_eq!(table.versions().len(), 1);
        assert_ne!(before, table.metadata_location());
        // The same again writes nothing.
        let written = lake.metadata_files().await;
        lake.commit(brings(day, Vec::new())).await.unwrap();
        assert_eq!(lake.metadata_files().await, written);
    }
    let written = lake.metadata_files().await;

    for add in [
        vec![lake.file("s3://raw/shop", 3..6, Some(1)).await],
        Vec::new(),
    ] {
        let error = lake.commit(brings(6, add)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.to_string().contains("raw/shop/8.sqlite"), "{error}");
    }
    let table = lake.current().await;
    assert_eq!(table.newest_snapshot().unwrap(), snapshot(8));
    assert_eq!(table.versions().len(), 1);
    assert_eq!(lake.metadata_files().await, written);
    // The same snapshot again is not older, and neither is a change of another kind.
    let same = lake.file("s3://raw/shop", 3..6, Some(1)).await;
    done(lake.commit(brings(8, vec![same])).await.unwrap());
    lake.append("s3://raw/b", 6..9, 1).await;
    assert_eq!(lake.current().await.newest_snapshot().unwrap(), snapshot(8));
}
