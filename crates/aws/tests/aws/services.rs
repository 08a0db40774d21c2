//! What the ports do with the services of an emulator beyond what every implementation must.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_s3::types::{ChecksumMode, ChecksumType};
use aws_sdk_sqs::types::QueueAttributeName;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::StreamExt;
use tarn_aws::StreamEntry;
use tarn_core::ErrorKind;
use tarn_core::ports::{Original, PutMode};
use tarn_core::run::{RunRecord, RunStatus};
use tarn_core::schema::{ColumnType, Field, TableName, TableSpec, Zone};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::emulator::Lake;
use crate::faults::one_of_six_wins;
use crate::server::{Fault, Server, aws};

fn spec(doc: &str) -> TableSpec {
    TableSpec {
        name: TableName::new(Zone::Curated, "orders"),
        doc: doc.to_owned(),
        fields: vec![Field::new("id", ColumnType::Long, true).doc("Identifier")],
        partitioning: None,
        identifier: Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the emulator; run by cargo xtask test"]
async fn a_large_file_goes_up_in_parts_and_comes_down_whole() {
    let lake = Lake::new().await;
    let objects = lake.aws.objects();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("large");
    let content: Vec<u8> = (0..40_u32 << 20).map(|n| (n ^ (n >> 11)) as u8).collect();
    std::fs::write(&path, &content).unwrap();
    for key in ["raw/large/a", "curated/t/data/a"] {
        let info = objects
            .put_file(key, &path, PutMode::IfAbsent, Original::Changes)
            .await
            .unwrap();
        assert_eq!(info.size, content.len() as u64);
        let head = objects.head(key).await.unwrap();
        assert_eq!((&head.version, head.size), (&info.version, info.size));
        let copy = objects.fetch_version(&head).await.unwrap();
        assert!(std::fs::read(copy.path()).unwrap() == content, "{key}");
        // One checksum of the whole content: it is what a whole read is compared with.
        let zone = key.split('/').next().unwrap();
        let kept = lake.s3().head_object().bucket(lake.bucket(zone)).key(key);
        let kept = kept
            .checksum_mode(ChecksumMode::Enabled)
            .send()
            .await
            .unwrap();
        assert_eq!(
            kept.checksum_type(),
            Some(&ChecksumType::FullObject),
            "{key}"
        );
        let middle = (17 << 20)..(17 << 20) + 5;
        let bytes = objects.get(key, Some(middle.clone())).await.unwrap();
        assert_eq!(bytes, content[middle.start as usize..middle.end as usize]);
        let again = objects.put_file(key, &path, PutMode::IfAbsent, Original::Final);
        assert_eq!(again.await.unwrap_err().kind(), ErrorKind::Conflict);
    }
    objects
        .put_file("raw/large/a", &path, PutMode::Overwrite, Original::Final)
        .await
        .unwrap();
    assert!(path.exists(), "the file stays");
    let uploads = lake
        .s3()
        .list_multipart_uploads()
        .bucket(lake.bucket("raw"));
    let uploads = uploads.send().await.unwrap();
    assert!(uploads.uploads().is_empty(), "{uploads:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the emulator; run by cargo xtask test"]
async fn an_upload_that_fails_leaves_no_parts() {
    let lake = Lake::new().await;
    let server = Server::in_front_of(&lake.url).await;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("large");
    std::fs::write(&path, vec![7; 33 << 20]).unwrap();
    // PUT is what carries parts: all three of them fail for good.
    let denied = crate::server::Answer::new(403, "<Error><Code>AccessDenied</Code></Error>");
    server.inject("PUT", vec![Fault::Answer(denied); 3]);
    let objects = aws(&server.url, &lake.prefix).await.objects();
    let put = objects.put_file("raw/large", &path, PutMode::Overwrite, Original::Final);
    let error = put.await.unwrap_err();
    assert!(error.to_string().contains("s3:PutObject"), "{error}");
    assert!(path.exists(), "a file that was not put stays");
    let uploads = lake
        .s3()
        .list_multipart_uploads()
        .bucket(lake.bucket("raw"));
    let uploads = uploads.send().await.unwrap();
    assert!(uploads.uploads().is_empty(), "{uploads:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the emulator; run by cargo xtask test"]
async fn lists_go_over_many_pages_with_former_versions_between() {
    let lake = Lake::new().await;
    let objects = lake.aws.objects();
    for zone in ["raw", "curated"] {
        let puts = (0..1_100).map(|n| {
            let objects = objects.clone();
            async move {
                let key = format!("{zone}/many/{n:04}");
                let body = Bytes::from(n.to_string());
                // Every hundredth has many versions, so that some go over the end of a page.
                for _ in 0..if n % 100 == 99 { 5 } else { 1 } {
                    let put = objects.put(&key, body.clone(), PutMode::Overwrite);
                    put.await.unwrap();
                }
            }
        });
        futures::stream::iter(puts)
            .buffer_unordered(16)
            .collect::<Vec<_>>()
            .await;
        let listed = objects.list(&format!("{zone}/many/")).await.unwrap();
        assert_eq!(listed.len(), 1_100, "{zone}");
        assert!(listed.is_sorted_by(|a, b| a.key < b.key));
        for n in [0, 99, 999, 1_099] {
            let head = objects.head(&format!("{zone}/many/{n:04}")).await.unwrap();
            assert_eq!(listed[n], head);
        }
    }
}

#[tokio::test]
#[ignore = "needs the emulator; run by cargo xtask test"]
async fn a_bucket_without_versions_has_tags_for_them() {
    let lake = Lake::new().await;
    let url = lake.url.clone();
    let prefix = format!("{}u", lake.prefix);
    let bucket = format!("{prefix}-raw");
    lake.s3()
        .create_bucket()
        .bucket(bucket)
        .send()
        .await
        .unwrap();
    let objects = aws(&url, &prefix).await.objects();
    let put = |body: &'static str| objects.put("raw/a", body.into(), PutMode::Overwrite);
    let first = put("first").await.unwrap();
    assert!(first.version.starts_with("etag:"), "{}", first.version);
    assert_eq!(
        objects.list("raw/").await.unwrap(),
        std::slice::from_ref(&first)
    );
    let copy = objects.fetch_version(&first).await.unwrap();
    assert_eq!(std::fs::read_to_string(copy.path()).unwrap(), "first");
    let second = put("second").await.unwrap();
    assert_ne!(first.version, second.version);
    let gone = objects.fetch_version(&first).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
}

#[tokio::test]
#[ignore = "needs the emulator; run by cargo xtask test"]
async fn a_presigned_url_reads_without_credentials() {
    let lake = Lake::new().await;
    let objects = lake.aws.objects();
    let key = "raw/with space+ü.log";
    objects
        .put(key, Bytes::from_static(b"content"), PutMode::IfAbsent)
        .await
        .unwrap();
    let url = objects.presign(key, 60).await.unwrap();
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).await.unwrap();
    let request = format!("GET /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.ends_with("content"), "{answer}");
    for seconds in [0, 8 * 24 * 3600] {
        let error = objects.presign(key, seconds).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadRequest);
    }
}

#[tokio::test]
#[ignore = "needs the emulator; run by cargo xtask test"]
async fn what_is_not_there_is_told_apart_from_what_was_not_made() {
    let lake = Lake::new().await;
    let missing = aws(&lake.url, "no-such-lake").await;
    let error = missing.objects().get("raw/a", None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert!(error.to_string().contains("Terraform"), "{error}");
    let error = missing.ledger().object("raw/a").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert!(error.to_string().contains("no-such-lake-ledger"), "{error}");
    let catalog = missing.catalog();
    assert_eq!(catalog.load(&spec("").name).await.unwrap(), None);
    let error = catalog
        .swap(&spec(""), None, "s3://b/1", &BTreeMap::new())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage);
    assert!(
        error.to_string().contains("no_such_lake_curated"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the emulator; run by cargo xtask test"]
async fn of_six_concurrent_swappers_of_a_glue_table_one_wins_each_round() {
    one_of_six_wins(Lake::new().await.aws.catalog()).await;
}

#[tokio::test]
#[ignore = "needs the emulator; run by cargo xtask test"]
async fn replies_that_are_lost_are_seen_as_success_by_every_port() {
    let lake = Lake::new().await;
    let server = Server::in_front_of(&lake.url).await;
    let through = aws(&server.url, &lake.prefix).await;
    let (catalog, objects) = (through.catalog(), through.objects());
    let none = BTreeMap::new();
    server.inject("CreateTable", [Fault::LoseAnswer]);
    let first = catalog.swap(&spec(""), None, "s3://b/1", &none).await;
    let first = first.unwrap();
    server.inject("UpdateTable", [Fault::LoseAnswer]);
    let second = catalog
        .swap(&spec(""), Some(&first.version), "s3://b/2", &none)
        .await
        .unwrap();
    assert_eq!(catalog.load(&spec("").name).await.unwrap(), Some(second));
    assert_eq!(server.count("UpdateTable"), 2);
    server.inject("PUT", [Fault::LoseAnswer]);
    let body = Bytes::from_static(b"once");
    let put = objects.put("raw/once", body.clone(), PutMode::IfAbsent);
    let info = put.await.unwrap();
    assert_eq!(objects.head("raw/once").await.unwrap(), info);
    assert_eq!(server.count("PUT"), 2);
    let again = objects.put("raw/once", body, PutMode::IfAbsent).await;
    assert_eq!(again.unwrap_err().kind(), ErrorKind::Conflict);
    server.inject("PutItem", [Fault::LoseAnswer]);
    let record = tarn_core::run::ObjectRecord {
        key: "raw/once".to_owned(),
        version: info.version,
        sequencer: info.sequencer,
        state: tarn_core::run::ObjectState::Pending,
        run_id: "r".to_owned(),
        reason: None,
        updated_at: Utc::now(),
        revision: 0,
    };
    let ledger = through.ledger();
    assert_eq!(ledger.put_object(&record, None).await.unwrap(), 1);
    assert_eq!(server.count("PutItem"), 2);
}

#[tokio::test]
#[ignore = "needs the emulator; run by cargo xtask test"]
async fn glue_shows_the_table_and_what_others_set_is_kept() {
    let lake = Lake::new().await;
    let glue = aws_sdk_glue::Client::new(&lake.config);
    let catalog = lake.aws.catalog();
    let entry = || async {
        let get = glue.get_table().database_name(lake.database("curated"));
        get.name("orders").send().await.unwrap().table.unwrap()
    };
    let rows = |n: u32| BTreeMap::from([("tarn.rows".to_owned(), n.to_string())]);
    let location = |n: u32| format!("s3://b/curated/orders/metadata/{n}.metadata.json");
    let first = catalog
        .swap(&spec("Orders"), None, &location(1), &rows(1))
        .await
        .unwrap();
    let shown = entry().await;
    let mut parameters = shown.parameters().unwrap().clone();
    parameters.insert("team".to_owned(), "growth".to_owned());
    let input = aws_sdk_glue::types::TableInput::builder()
        .name("orders")
        .set_parameters(Some(parameters))
        .set_storage_descriptor(shown.storage_descriptor)
        .build()
        .unwrap();
    let update = glue.update_table().database_name(lake.database("curated"));
    update.table_input(input).send().await.unwrap();
    let swap = catalog
        .swap(
            &spec("Orders"),
            Some(&first.version),
            &location(2),
            &rows(2),
        )
        .await;
    assert_eq!(swap.unwrap_err().kind(), ErrorKind::Conflict);
    let current = catalog.load(&spec("").name).await.unwrap().unwrap();
    let mut wider = spec("All orders");
    let doc = "When\nit was made";
    wider
        .fields
        .push(Field::new("at", ColumnType::Timestamp, false).doc(doc));
    catalog
        .swap(&wider, Some(&current.version), &location(2), &rows(2))
        .await
        .unwrap();
    let shown = entry().await;
    assert_eq!(shown.description(), Some("All orders"));
    assert_eq!(shown.table_type(), Some("EXTERNAL_TABLE"));
    let parameters = shown.parameters().unwrap();
    assert_eq!(parameters["team"], "growth");
    assert_eq!(parameters["tarn.rows"], "2");
    assert_eq!(parameters["table_type"], "ICEBERG");
    assert_eq!(parameters["metadata_location"], location(2));
    assert_eq!(parameters["previous_metadata_location"], location(1));
    let storage = shown.storage_descriptor().unwrap();
    assert_eq!(storage.location(), Some("s3://b/curated/orders"));
    let columns: Vec<_> = storage
        .columns()
        .iter()
        .map(|column| (column.name(), column.r#type(), column.comment()))
        .collect();
    assert_eq!(
        columns,
        [
            ("id", Some("bigint"), Some("Identifier")),
            ("at", Some("timestamp"), Some("When it was made")),
        ]
    );
    // A table that is not an Iceberg table is not listed.
    let csv = aws_sdk_glue::types::TableInput::builder()
        .name("csv")
        .build();
    let create = glue.create_table().database_name(lake.database("curated"));
    create.table_input(csv.unwrap()).send().await.unwrap();
    assert_eq!(catalog.list().await.unwrap(), [spec("").name]);
}

fn run(id: &str, started_at: &str) -> RunRecord {
    RunRecord {
        run_id: id.to_owned(),
        key: "raw/a".to_owned(),
        version: "v".to_owned(),
        bytes: 0,
        status: RunStatus::Running,
        reason: None,
        error_kind: None,
        retryable: false,
        started_at: started_at.parse::<DateTime<Utc>>().unwrap(),
        ended_at: None,
        datasets: Vec::new(),
        kind: tarn_core::run::RunKind::Ingest,
        unclaimed_tables: BTreeMap::new(),
        put_at: None,
        seconds: None,
        peak_memory_bytes: None,
        program_version: None,
        skipped: None,
        deletions_confirmed: false,
        warnings: Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the emulator; run by cargo xtask test"]
async fn runs_of_many_months_are_listed_newest_first_and_expire() {
    let lake = Lake::new().await;
    let ledger = lake.aws.ledger();
    assert!(ledger.runs(10).await.unwrap().is_empty());
    let begins = [
        ("b", "2025-12-31T23:59:59.999999Z"),
        ("c", "2026-01-01T00:00:00Z"),
        ("a", "2024-02-29T12:00:00Z"),
        ("d", "2026-01-01T00:00:00.000001Z"),
    ];
    for (id, begin) in begins {
        ledger.put_run(&run(id, begin)).await.unwrap();
    }
    let mut large = run("d", "2026-01-01T00:00:00.000001Z");
    large.reason = Some("a long reason; ".repeat(60_000));
    ledger.put_run(&large).await.unwrap();
    assert_eq!(ledger.run("d").await.unwrap().as_ref(), Some(&large));
    for (limit, ids) in [(10, "dcba"), (3, "dcb"), (2, "dc"), (1, "d"), (0, "")] {
        let listed = ledger.runs(limit).await.unwrap();
        let found: String = listed.iter().map(|run| run.run_id.as_str()).collect();
        assert_eq!(found, ids, "limit {limit}");
    }
    // A few more than one batch, and one month.
    let more = (0..250).map(|n| {
        let ledger = ledger.clone();
        let run = run(
            &format!("n{n:03}"),
            &format!("2026-03-01T00:{:02}:{:02}Z", n / 60, n % 60),
        );
        async move { ledger.put_run(&run).await.unwrap() }
    });
    futures::future::join_all(more).await;
    let listed = ledger.runs(1_000).await.unwrap();
    assert_eq!(listed.len(), 254);
    assert!(listed.is_sorted_by(|a, b| a.started_at > b.started_at));
    ledger.put_state("name", "value").await.unwrap();
    let items = aws_sdk_dynamodb::Client::new(&lake.config)
        .scan()
        .table_name(format!("{}-ledger", lake.prefix))
        .into_paginator()
        .items()
        .send()
        .collect::<Result<Vec<_>, _>>()
        .await
        .unwrap();
    for item in items {
        let pk = item["pk"].as_s().unwrap();
        let expires = item.get("expires_at").map(|at| at.as_n().unwrap().clone());
        assert_eq!(expires.is_some(), pk.starts_with("run"), "{item:?}");
        if pk == "run#c" {
            // 400 days later, in seconds.
            assert_eq!(expires.unwrap(), (1_767_225_600 + 400 * 86_400).to_string());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the emulator; run by cargo xtask test"]
async fn records_reach_a_stream() {
    let lake = Lake::new().await;
    let kinesis = aws_sdk_kinesis::Client::new(&lake.config);
    let name = format!("{}-events", lake.prefix);
    let create = kinesis.create_stream().stream_name(&name).shard_count(2);
    create.send().await.unwrap();
    loop {
        let stream = kinesis.describe_stream_summary().stream_name(&name);
        let summary = stream.send().await.unwrap().stream_description_summary;
        if summary.unwrap().stream_status().as_str() == "ACTIVE" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let entries = (0..1_234).map(|n| StreamEntry {
        partition_key: format!("visitor-{n}"),
        data: format!("{{\"n\": {n}}}").into_bytes(),
    });
    let stream = lake.aws.stream(&name);
    assert_eq!(stream.put(entries.collect()).await.unwrap(), 1_234);
    let mut arrived = std::collections::BTreeSet::new();
    let shards = kinesis
        .list_shards()
        .stream_name(&name)
        .send()
        .await
        .unwrap();
    for shard in shards.shards() {
        let iterator = kinesis
            .get_shard_iterator()
            .stream_name(&name)
            .shard_id(shard.shard_id())
            .shard_iterator_type("TRIM_HORIZON".into());
        let mut next = iterator.send().await.unwrap().shard_iterator;
        while let Some(iterator) = next {
            let read = kinesis.get_records().shard_iterator(iterator);
            let read = read.send().await.unwrap();
            let datas = read.records().iter().map(|record| record.data());
            arrived.extend(datas.map(|data| data.as_ref().to_vec()));
            next = if read.records().is_empty() {
                None
            } else {
                read.next_shard_iterator
            };
        }
    }
    assert_eq!(arrived.len(), 1_234);
    let missing = lake.aws.stream("no-such-stream");
    let entry = StreamEntry {
        partition_key: "k".to_owned(),
        data: Vec::new(),
    };
    let error = missing.put(vec![entry]).await.unwrap_err();
    assert!(error.to_string().contains("Terraform"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the emulator; run by cargo xtask test"]
async fn folders_made_in_a_console_are_not_listed() {
    let lake = Lake::new().await;
    let objects = lake.aws.objects();
    for (zone, prefix) in [("raw", "raw/web/"), ("curated", "curated/t/")] {
        for key in [format!("{prefix}folder/"), prefix.to_owned()] {
            let put = lake.s3().put_object().bucket(lake.bucket(zone)).key(key);
            put.send().await.unwrap();
        }
        let key = format!("{prefix}folder/file");
        objects
            .put(&key, Bytes::from_static(b"1"), PutMode::Overwrite)
            .await
            .unwrap();
        let listed = objects.list(prefix).await.unwrap();
        let keys: Vec<&str> = listed.iter().map(|info| info.key.as_str()).collect();
        assert_eq!(keys, [key]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the emulator; run by cargo xtask test"]
async fn a_message_is_delivered_again_when_it_was_asked_for() {
    let lake = Lake::new().await;
    let sqs = aws_sdk_sqs::Client::new(&lake.config);
    let url = sqs
        .create_queue()
        .queue_name(format!("{}-soon", lake.prefix))
        .attributes(QueueAttributeName::VisibilityTimeout, "1800")
        .send()
        .await
        .unwrap()
        .queue_url
        .unwrap();
    let queue = lake.aws.queue(&url);
    queue.send("one").await.unwrap();
    let receive = || async {
        let receive = sqs.receive_message().queue_url(&url).wait_time_seconds(0);
        let received = receive.send().await.unwrap().messages.unwrap_or_default();
        received
            .into_iter()
            .map(|message| message.receipt_handle.unwrap())
            .next()
    };
    let receipt = receive().await.unwrap();
    assert_eq!(receive().await, None, "it is hidden for half an hour");
    queue.deliver_in(&receipt, 1).await.unwrap();
    assert_eq!(receive().await, None, "it is hidden for a second");
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(receive().await.is_some());
    let error = queue.deliver_in("no receipt", 1).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Storage);
    let text = error.to_string();
    assert!(text.contains("sqs:ChangeMessageVisibility"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs the emulator; run by cargo xtask test"]
async fn messages_of_a_dead_letter_queue_are_moved_back_and_none_is_lost() {
    let lake = Lake::new().await;
    let sqs = aws_sdk_sqs::Client::new(&lake.config);
    let make = |name: &str| {
        let name = format!("{}-{name}", lake.prefix);
        let create = sqs.create_queue().queue_name(name);
        async { create.send().await.unwrap().queue_url.unwrap() }
    };
    let dead = lake.aws.queue(&make("dead").await);
    let live = lake.aws.queue(&make("live").await);
    for n in 0..25 {
        dead.send(&format!("{{\"n\": {n}, \"ü\": \"<&>\"}}"))
            .await
            .unwrap();
    }
    assert_eq!(
        (dead.depth().await.unwrap(), live.depth().await.unwrap()),
        (25, 0)
    );
    assert_eq!(dead.redrive_to(&live, 12).await.unwrap(), 12);
    assert_eq!(
        (dead.depth().await.unwrap(), live.depth().await.unwrap()),
        (13, 12)
    );
    let gone = lake.aws.queue(&format!("{}-gone", live.url()));
    assert!(dead.redrive_to(&gone, 1).await.is_err());
    // The messages of the failed attempt can be received at once.
    assert_eq!(dead.redrive_to(&live, 100).await.unwrap(), 13);
    assert_eq!(
        (dead.depth().await.unwrap(), live.depth().await.unwrap()),
        (0, 25)
    );
}
