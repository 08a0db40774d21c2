//! A store that hands out temporary copies: each must last as long as it is read.

use std::sync::Arc;

use tarn_contract::Contracts;

use crate::doubles::Copying;
use crate::lake::{EVENTS, Fixture, deliver, failed, open_with, query, rows};

fn copying(fixture: &Fixture) -> tarn_lake::Lake {
    let local = &fixture.local;
    open_with(
        local,
        Arc::new(Copying::new(local.objects())),
        local.catalog(),
        local.ledger(),
    )
}

#[tokio::test]
async fn duplicates_of_rows_in_the_table_are_found_in_temporary_copies() {
    let fixture = Fixture::new();
    let lake = copying(&fixture);
    let sample = crate::lake::sample("ads/events.ndjson");
    let other = EVENTS.replace("events.ndjson", "again.ndjson");
    fixture.put(EVENTS, sample.clone()).await;
    fixture.put(&other, sample).await;
    for key in [EVENTS, &other] {
        assert_eq!(failed(&deliver(&lake, &[key]).await), [""; 0]);
    }
    assert_eq!(rows(&lake, "ad_events").await, 4);
    assert_eq!(rows(&lake, "quarantine_ad_events").await, 4);
}

#[tokio::test]
async fn a_database_is_merged_from_temporary_copies() {
    let fixture = Fixture::new();
    let mut lake = copying(&fixture);
    let products = lake.contracts.get("products").unwrap().clone();
    lake.contracts = Arc::new(Contracts::new([products]));
    let key = "raw/shop/database/ingest_date=2026-01-31/shop.sqlite";
    for name in ["Ann", "Anna"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop.sqlite");
        crate::lake::products(&path, name);
        fixture.put(key, std::fs::read(&path).unwrap()).await;
        let batch = deliver(&lake, &[key]).await;
        assert_eq!(failed(&batch), [""; 0], "{:?}", batch.ingested);
    }
    assert_eq!(
        query(&lake, "SELECT name FROM products").await,
        [r#"{"name":"Anna"}"#]
    );
}
