use tarn_table::{Change, VersionRef, NewFile};
use tarn_core::ports::*;
use crate::lake::*;
#[tokio::test]
async fn keep() {
    let lake = Lake::new();
    lake.orders().await;
    let p = std::path::PathBuf::from("/tmp/pyice/polars.parquet");
    let key = "curated/orders/data/p.parquet".to_owned();
    lake.folder.put_file(&key, &p, PutMode::IfAbsent, false).await.unwrap();
    let f = NewFile { key, local: p, partition: Some(1), exact_bounds: vec!["_source_uri".into()] };
    done(lake.commit(Change { add: vec![f], ..change("a") }).await.unwrap());
    for f in lake.current().await.files(&VersionRef::Current, None).await.unwrap() { println!("{f:#?} {:?}", f.only_source()); }
}
