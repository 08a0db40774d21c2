//! Files of a table that are not what was written.

use std::path::PathBuf;

use tarn_core::ErrorKind;
use tarn_core::ports::Objects;
use tarn_table::{Change, Part, Verified, VersionRef};

use crate::lake::{Lake, change, orders};

const DAY: i32 = 20_000;

/// Three versions; the last replaced the file of the first.
async fn lake() -> Lake {
    let lake = Lake::new();
    lake.orders().await;
    lake.append("a", 0..10, DAY).await;
    lake.append("b", 10..20, DAY).await;
    let first = lake.live().await[0].clone();
    let file = lake.file("a", 0..12, Some(DAY)).await;
    lake.commit(Change {
        add: vec![file],
        remove: vec![lake.folder.uri(&first)],
        ..change("a")
    })
    .await
    .unwrap();
    lake
}

async fn verify(lake: &Lake) -> Verified {
    lake.tables
        .verify(&orders().name, &mut |_| {})
        .await
        .unwrap()
}

/// Turns a bit over in the middle of a file, and back when dropped.
struct Flipped(PathBuf);

impl Flipped {
    fn new(lake: &Lake, key: &str) -> Flipped {
        let flipped = Flipped(lake.folder_path(key));
        flipped.flip();
        flipped
    }

    fn flip(&self) {
        let mut content = std::fs::read(&self.0).unwrap();
        let middle = content.len() / 2;
        content[middle] ^= 4;
        std::fs::write(&self.0, content).unwrap();
    }
}

impl Drop for Flipped {
    fn drop(&mut self) {
        self.flip();
    }
}

#[tokio::test]
async fn each_metadata_file_with_a_bit_turned_over_is_found_and_not_read() {
    let lake = lake().await;
    let sound = verify(&lake).await;
    assert_eq!(sound.faults, []);
    // Data files of this test have no digest in their names.
    assert_eq!((sound.unknown, sound.remembered), (3, 0));
    let current = lake.current().await;
    let mut metadata = lake.folder.list("curated/orders/metadata/").await.unwrap();
    assert!(metadata.len() > 8);
    metadata.retain(|info| info.key.contains(".b3_"));
    assert_eq!(metadata.len() as u64, sound.files - 3);
    for info in metadata {
        let _flipped = Flipped::new(&lake, &info.key);
        let found = verify(&lake).await;
        assert_eq!(found.faults.len(), 1, "{:?}", found.faults);
        let fault = &found.faults[0];
        assert_eq!(fault.key, info.key);
        assert!(fault.what.contains("digest"), "{}", fault.what);
        let part = match info.key.as_str() {
            key if key.ends_with(".metadata.json") => Part::Metadata,
            key if key.contains("/snap-") => Part::ManifestList,
            _ => Part::Manifest,
        };
        assert_eq!(fault.part, part);
        // Whoever needs it is refused.
        if fault.current {
            let read = match lake.tables.load(&orders().name).await {
                Ok(table) => table.unwrap().files(&VersionRef::Current, None).await.err(),
                Err(error) => Some(error),
            };
            let refused = read.map(|error| error.kind());
            assert_eq!(refused, Some(ErrorKind::Damaged), "{}", info.key);
        } else {
            assert!(current.files(&VersionRef::Current, None).await.is_ok());
        }
    }
    assert_eq!(verify(&lake).await.faults, []);
}

#[tokio::test]
async fn a_data_file_without_a_digest_is_held_against_its_manifest() {
    let lake = lake().await;
    let keys = lake.live().await;
    let path = lake.folder_path(&keys[1]);
    let content = std::fs::read(&path).unwrap();
    let other = std::fs::read(lake.folder_path("curated/orders/data/0.parquet")).unwrap();
    let mut no_footer = content.clone();
    let end = no_footer.len() - 2;
    no_footer[end] ^= 1;
    for (damaged, what) in [
        (&content[..content.len() - 1], "bytes"),
        (&other[..], "bytes"),
        (&no_footer[..], "footer"),
        (&[][..], "bytes"),
    ] {
        std::fs::write(&path, damaged).unwrap();
        let found = verify(&lake).await;
        assert_eq!(found.faults.len(), 1, "{what}: {:?}", found.faults);
        let fault = &found.faults[0];
        assert!(fault.what.contains(what), "{what}: {}", fault.what);
        assert_eq!((fault.part, fault.current), (Part::Data, true));
        assert_eq!(fault.key, keys[1]);
    }
    std::fs::remove_file(&path).unwrap();
    let found = verify(&lake).await;
    assert!(
        found.faults[0].what.contains("is gone"),
        "{:?}",
        found.faults
    );
    std::fs::write(&path, content).unwrap();
    // That of the first version is needed by former versions alone.
    std::fs::remove_file(lake.folder_path("curated/orders/data/0.parquet")).unwrap();
    let found = verify(&lake).await;
    assert_eq!(found.faults.len(), 1);
    assert!(!found.faults[0].current);
}
