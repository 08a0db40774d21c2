//! Tests of [`crate::ports::Catalog`].

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::join_all;

use super::{Verdict, done, fails, holds, same, unique};
use crate::error::ErrorKind;
use crate::ports::Catalog;
use crate::schema::{ColumnType, Field, TableName, TableSpec, Zone};

fn spec(zone: Zone, doc: &str) -> TableSpec {
    TableSpec {
        name: TableName::new(zone, unique("suite_")),
        doc: doc.to_owned(),
        fields: vec![
            Field::new("id", ColumnType::Long, true).doc("Identifier"),
            Field::new(
                "price",
                ColumnType::Decimal {
                    precision: 12,
                    scale: 2,
                },
                false,
            ),
            Field::new("tags", ColumnType::StringList, false),
        ],
        partitioning: None,
        identifier: vec!["id".to_owned()],
    }
}

/// A table comes into being once, and moves from version to version.
pub async fn a_swap_needs_the_version_that_is_there(catalog: Arc<dyn Catalog>) -> Verdict {
    let spec = spec(Zone::Curated, "first");
    let none = BTreeMap::new();
    same(
        done(catalog.load(&spec.name).await, "load")?,
        None,
        "pointer of a table that is not there",
    )?;
    same(
        done(catalog.describe(&spec.name).await, "describe")?,
        None,
        "description of it",
    )?;
    fails(
        catalog.swap(&spec, Some("1"), "a", &none).await,
        ErrorKind::Conflict,
        "swap of a missing table",
    )?;
    let first = done(catalog.swap(&spec, None, "loc/1", &none).await, "creation")?;
    same(first.metadata_location.as_str(), "loc/1", "location")?;
    same(
        done(catalog.load(&spec.name).await, "load")?,
        Some(first.clone()),
        "pointer after the creation",
    )?;
    fails(
        catalog.swap(&spec, None, "loc/x", &none).await,
        ErrorKind::Conflict,
        "second creation",
    )?;
    let second = done(
        catalog
            .swap(&spec, Some(&first.version), "loc/2", &none)
            .await,
        "swap",
    )?;
    holds(
        second.version != first.version,
        "a swap changes the version",
    )?;
    let stale = catalog
        .swap(&spec, Some(&first.version), "loc/x", &none)
        .await;
    fails(stale, ErrorKind::Conflict, "swap with a stale version")?;
    let unknown = catalog
        .swap(&spec, Some("no version"), "loc/x", &none)
        .await;
    fails(
        unknown,
        ErrorKind::Conflict,
        "swap with a version that never was",
    )?;
    same(
        done(catalog.load(&spec.name).await, "load")?,
        Some(second),
        "pointer after the refused swaps",
    )
}

/// The description of the last swap is what people see.
pub async fn the_last_description_is_kept(catalog: Arc<dyn Catalog>) -> Verdict {
    let mut spec = spec(Zone::Analytics, "before");
    let parameters = BTreeMap::from([("rows".to_owned(), "1".to_owned())]);
    let first = done(
        catalog.swap(&spec, None, "loc/1", &parameters).await,
        "creation",
    )?;
    same(
        done(catalog.describe(&spec.name).await, "describe")?.as_ref(),
        Some(&spec),
        "description",
    )?;
    spec.doc = "after".to_owned();
    spec.fields
        .push(Field::new("added", ColumnType::Timestamp, false));
    done(
        catalog
            .swap(&spec, Some(&first.version), "loc/2", &parameters)
            .await,
        "swap",
    )?;
    same(
        done(catalog.describe(&spec.name).await, "describe")?.as_ref(),
        Some(&spec),
        "new description",
    )
}

/// The list has every table, ordered by full name.
pub async fn the_list_is_complete_and_in_name_order(catalog: Arc<dyn Catalog>) -> Verdict {
    let mut names = Vec::new();
    for zone in Zone::ALL {
        let spec = spec(zone, "listed");
        done(
            catalog.swap(&spec, None, "loc", &BTreeMap::new()).await,
            "creation",
        )?;
        names.push(spec.name.to_string());
    }
    let listed: Vec<_> = done(catalog.list().await, "list")?
        .iter()
        .map(ToString::to_string)
        .collect();
    holds(listed.is_sorted(), "the list is in the order of full names")?;
    names.sort();
    let ours: Vec<_> = listed
        .into_iter()
        .filter(|name| names.contains(name))
        .collect();
    same(ours, names, "tables of this test in the list")
}

/// Writers that retry on `Conflict` all get through, one at a time.
pub async fn no_swap_is_lost_among_concurrent_writers(catalog: Arc<dyn Catalog>) -> Verdict {
    const WRITERS: usize = 6;
    const SWAPS: usize = 5;
    let spec = spec(Zone::Curated, "raced for");
    done(
        catalog.swap(&spec, None, "", &BTreeMap::new()).await,
        "creation",
    )?;
    let writers = (0..WRITERS).map(|writer| {
        let (catalog, spec) = (catalog.clone(), spec.clone());
        async move {
            for swap in 0..SWAPS {
                loop {
                    let current =
                        done(catalog.load(&spec.name).await, "load")?.ok_or("the table is gone")?;
                    // Like a commit: the new state holds the old one.
                    let location = format!("{} {writer}.{swap}", current.metadata_location);
                    match catalog
                        .swap(&spec, Some(&current.version), &location, &BTreeMap::new())
                        .await
                    {
                        Ok(_) => break,
                        Err(error) => same(
                            error.kind(),
                            ErrorKind::Conflict,
                            "kind of error of a loser",
                        )?,
                    }
                }
            }
            Ok::<(), String>(())
        }
    });
    for result in join_all(writers).await {
        result?;
    }
    let last = done(catalog.load(&spec.name).await, "load")?.ok_or("the table is gone")?;
    let mut found: Vec<_> = last
        .metadata_location
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    found.sort();
    let mut expected: Vec<_> = (0..WRITERS)
        .flat_map(|writer| (0..SWAPS).map(move |swap| format!("{writer}.{swap}")))
        .collect();
    expected.sort();
    same(found, expected, "swaps in the last state")
}
