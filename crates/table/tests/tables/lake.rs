//! A lake for one test.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array,
    RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow_schema::{DataType, Field as ArrowField, Schema, TimeUnit};
use async_trait::async_trait;
use bytes::Bytes;
use chrono::Utc;
use parquet::arrow::ArrowWriter;
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use parquet::file::properties::WriterProperties;
use tarn_core::ports::{Catalog, LocalCopy, ObjectInfo, Objects, Original, PutMode, TablePointer};
use tarn_core::schema::{
    ColumnType, Field, PartitionUnit, PartitionValue, Partitioning, TableField, TableName,
    TableSpec, Zone, system,
};
use tarn_core::{Error, ErrorKind, Result};
use tarn_table::{Base, Change, Committed, NewFile, SourceRef, Table, Tables, VersionRef};
use tempfile::TempDir;

pub const MICROS_PER_DAY: i64 = 86_400_000_000;

/// A folder that counts what is read from it.
pub struct Folder {
    root: PathBuf,
    /// The places that its records name; new ones name the last.
    recorded: Mutex<Vec<PathBuf>>,
    pub gets: AtomicU64,
}

impl Folder {
    fn info(&self, key: &str) -> Result<ObjectInfo> {
        let path = self.root.join(key);
        let metadata = std::fs::metadata(&path)
            .map_err(|error| Error::new(ErrorKind::NotFound, key.to_owned()).with_source(error))?;
        Ok(ObjectInfo {
            key: key.to_owned(),
            size: metadata.len(),
            version: String::new(),
            sequencer: String::new(),
            last_modified: Utc::now(),
        })
    }
}

#[async_trait]
impl Objects for Folder {
    fn uri(&self, key: &str) -> String {
        self.uris(key).remove(0)
    }

    fn uris(&self, key: &str) -> Vec<String> {
        let recorded = self.recorded.lock().unwrap();
        let uri = |root: &PathBuf| format!("file://{}", root.join(key).display());
        recorded.iter().rev().map(uri).collect()
    }

    fn key_of(&self, uri: &str) -> Option<String> {
        let path = Path::new(uri.strip_prefix("file://")?);
        let recorded = self.recorded.lock().unwrap();
        let key = recorded
            .iter()
            .find_map(|root| path.strip_prefix(root).ok());
        Some(key?.to_str()?.to_owned())
    }

    fn is_in_place(&self) -> bool {
        true
    }

    async fn head(&self, key: &str) -> Result<ObjectInfo> {
        self.info(key)
    }

    async fn head_version(&self, key: &str, _version: &str) -> Result<ObjectInfo> {
        self.info(key)
    }
    async fn get(&self, key: &str, _range: Option<Range<u64>>) -> Result<Bytes> {
        self.gets.fetch_add(1, Ordering::Relaxed);
        std::fs::read(self.root.join(key))
            .map(Bytes::from)
            .map_err(|error| Error::new(ErrorKind::NotFound, key.to_owned()).with_source(error))
    }

    async fn put(&self, key: &str, body: Bytes, mode: PutMode) -> Result<ObjectInfo> {
        let path = self.root.join(key);
        if mode == PutMode::IfAbsent && path.exists() {
            return Err(Error::new(ErrorKind::Conflict, key.to_owned()));
        }
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, body).unwrap();
        self.info(key)
    }

    async fn put_file(
        &self,
        key: &str,
        path: &Path,
        mode: PutMode,
        _original: Original,
    ) -> Result<ObjectInfo> {
        self.put(key, std::fs::read(path).unwrap().into(), mode)
            .await
    }

    async fn fetch(&self, key: &str) -> Result<LocalCopy> {
        self.info(key)?;
        Ok(LocalCopy::in_place(self.root.join(key)))
    }

    async fn fetch_version(&self, info: &ObjectInfo) -> Result<LocalCopy> {
        self.fetch(&info.key).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<ObjectInfo>> {
        let mut found = Vec::new();
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    found.push(
                        path.strip_prefix(&self.root)
                            .unwrap()
                            .to_str()
                            .unwrap()
                            .to_owned(),
                    );
                }
            }
        }
        found.sort();
        found
            .into_iter()
            .filter(|key| key.starts_with(prefix))
            .map(|key| self.info(&key))
            .collect()
    }

    async fn delete(&self, key: &str) -> Result<()> {
        std::fs::remove_file(self.root.join(key)).unwrap();
        Ok(())
    }

    async fn presign(&self, _key: &str, _seconds: u64) -> Result<String> {
        Err(Error::new(ErrorKind::Unsupported, "no URLs"))
    }
}

/// What a swap does instead of what it should.
pub enum Fault {
    /// Refuses, as if somebody else had been faster.
    Refuse,
    /// Swaps and answers with this error.
    Lose(Error),
    /// Does not swap and answers with this error.
    Fail(Error),
}

/// Compare-and-swap pointers, with faults on request.
#[derive(Default)]
pub struct Pointers {
    tables: Mutex<BTreeMap<TableName, (TableSpec, TablePointer)>>,
    faults: Mutex<VecDeque<Fault>>,
    pub swaps: AtomicU64,
}

impl Pointers {
    pub fn inject(&self, faults: impl IntoIterator<Item = Fault>) {
        self.faults.lock().unwrap().extend(faults);
    }
}

#[async_trait]
impl Catalog for Pointers {
    async fn load(&self, table: &TableName) -> Result<Option<TablePointer>> {
        Ok(self
            .tables
            .lock()
            .unwrap()
            .get(table)
            .map(|(_, pointer)| pointer.clone()))
    }

    async fn swap(
        &self,
        spec: &TableSpec,
        expected: Option<&str>,
        new_location: &str,
        _parameters: &BTreeMap<String, String>,
    ) -> Result<TablePointer> {
        self.swaps.fetch_add(1, Ordering::Relaxed);
        let fault = self.faults.lock().unwrap().pop_front();
        let conflict = || Error::new(ErrorKind::Conflict, "somebody else was faster");
        let lost = match fault {
            Some(Fault::Refuse) => return Err(conflict()),
            Some(Fault::Fail(error)) => return Err(error),
            Some(Fault::Lose(error)) => Some(error),
            None => None,
        };
        let mut tables = self.tables.lock().unwrap();
        let current = tables
            .get(&spec.name)
            .map(|(_, pointer)| pointer.version.clone());
        if current.as_deref() != expected {
            return Err(conflict());
        }
        let version = current
            .map_or(1, |version| version.parse::<u64>().unwrap() + 1)
            .to_string();
        let pointer = TablePointer {
            metadata_location: new_location.to_owned(),
            version,
        };
        tables.insert(spec.name.clone(), (spec.clone(), pointer.clone()));
        match lost {
            Some(error) => Err(error),
            None => Ok(pointer),
        }
    }

    async fn list(&self) -> Result<Vec<TableName>> {
        Ok(self.tables.lock().unwrap().keys().cloned().collect())
    }

    async fn describe(&self, table: &TableName) -> Result<Option<TableSpec>> {
        Ok(self
            .tables
            .lock()
            .unwrap()
            .get(table)
            .map(|(spec, _)| spec.clone()))
    }
}

pub struct Lake {
    pub tables: Tables,
    pub folder: Arc<Folder>,
    pub catalog: Arc<Pointers>,
    dir: TempDir,
    written: AtomicU64,
}

impl Lake {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let folder = Arc::new(Folder {
            root: dir.path().to_owned(),
            recorded: Mutex::new(vec![dir.path().to_owned()]),
            gets: AtomicU64::new(0),
        });
        let catalog = Arc::new(Pointers::default());
        let tables = Tables::new(folder.clone(), catalog.clone());
        Lake {
            tables,
            folder,
            catalog,
            dir,
            written: AtomicU64::new(0),
        }
    }

    pub async fn orders(&self) -> Table {
        self.tables.ensure(&orders()).await.unwrap()
    }

    pub async fn current(&self) -> Table {
        self.tables.load(&orders().name).await.unwrap().unwrap()
    }

    /// Rows with these ids of one source object on one day, uploaded.
    pub async fn file(&self, source: &str, ids: Range<i64>, day: PartitionValue) -> NewFile {
        let table = self.current().await;
        self.upload(&table, &columns(&table.fields(), source, ids, day), day)
            .await
    }

    pub async fn upload(
        &self,
        table: &Table,
        columns: &[(TableField, ArrayRef)],
        partition: PartitionValue,
    ) -> NewFile {
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let local = self.dir.path().join(format!("staged-{number}.parquet"));
        write(&local, columns);
        let key = format!(
            "{}/{}/data/{number}.parquet",
            table.name().zone.as_str(),
            table.name().name
        );
        self.folder
            .put_file(&key, &local, PutMode::IfAbsent, Original::Changes)
            .await
            .unwrap();
        NewFile {
            key,
            local,
            partition,
            exact_bounds: vec![system::SOURCE_URI.to_owned()],
        }
    }

    pub async fn commit(&self, change: Change) -> Result<Committed> {
        self.tables.commit(&orders().name, change).await
    }

    pub async fn append(&self, source: &str, ids: Range<i64>, day: i32) -> i64 {
        let file = self.file(source, ids, Some(day)).await;
        done(
            self.commit(Change {
                add: vec![file],
                ..change(source)
            })
            .await
            .unwrap(),
        )
    }

    /// Lets new records name that place.
    pub fn record(&self, place: &Path) {
        let mut recorded = self.folder.recorded.lock().unwrap();
        recorded.retain(|known| known != place);
        recorded.push(place.to_owned());
    }

    pub fn folder_path(&self, key: &str) -> PathBuf {
        self.dir.path().join(key)
    }

    /// The keys of live data files, in order.
    pub async fn live(&self) -> Vec<String> {
        let files = self
            .current()
            .await
            .files(&VersionRef::Current, None)
            .await
            .unwrap();
        files.iter().map(|file| file.key.clone()).collect()
    }

    /// Iceberg's own files.
    pub async fn metadata_files(&self) -> usize {
        self.folder
            .list("curated/orders/metadata/")
            .await
            .unwrap()
            .len()
    }
}

pub fn done(committed: Committed) -> i64 {
    match committed {
        Committed::Done { snapshot_id, .. } => snapshot_id,
        other => panic!("{other:?}"),
    }
}

/// An empty change that names a source.
pub fn change(source: &str) -> Change {
    Change {
        add: Vec::new(),
        remove: Vec::new(),
        base: Base::Any,
        sources: vec![SourceRef {
            uri: source.to_owned(),
            version: "1".to_owned(),
        }],
        kind: "ingest".to_owned(),
        unless_committed: false,
        snapshot: None,
        summary: BTreeMap::new(),
    }
}

pub fn orders() -> TableSpec {
    TableSpec {
        name: TableName::new(Zone::Curated, "orders"),
        doc: "Orders of the shop".to_owned(),
        fields: vec![
            Field::new("order_id", ColumnType::Long, true).doc("Number of the order"),
            Field::new("ordered_at", ColumnType::Timestamp, false),
            Field::new("shipped_on", ColumnType::Date, false),
            Field::new(
                "amount",
                ColumnType::Decimal {
                    precision: 12,
                    scale: 2,
                },
                false,
            ),
            Field::new(
                "discount",
                ColumnType::Decimal {
                    precision: 5,
                    scale: 4,
                },
                false,
            ),
            Field::new("note", ColumnType::String, false),
            Field::new("score", ColumnType::Double, false),
            Field::new("paid", ColumnType::Boolean, false),
            Field::new("quantity", ColumnType::Int, false),
            Field::new("tags", ColumnType::StringList, false),
            Field::new(system::SOURCE_URI, ColumnType::String, true),
        ],
        partitioning: Some(Partitioning {
            column: "ordered_at".to_owned(),
            unit: PartitionUnit::Day,
        }),
        identifier: vec!["order_id".to_owned()],
    }
}

/// Values for every column of [`orders`] and for columns that were added to it.
pub fn columns(
    fields: &[TableField],
    source: &str,
    ids: Range<i64>,
    day: PartitionValue,
) -> Vec<(TableField, ArrayRef)> {
    let count = usize::try_from(ids.end - ids.start).unwrap();
    let ids: Vec<i64> = ids.collect();
    let array = |field: &TableField| -> ArrayRef {
        match (field.field.name.as_str(), &field.field.ty) {
            ("order_id", _) => Arc::new(Int64Array::from(ids.clone())),
            (system::SOURCE_URI, _) => Arc::new(StringArray::from(vec![source; count])),
            (_, ColumnType::Timestamp) => {
                let values = ids
                    .iter()
                    .map(|id| day.map(|day| i64::from(day) * MICROS_PER_DAY + id));
                Arc::new(TimestampMicrosecondArray::from_iter(values).with_timezone("UTC"))
            }
            (_, ColumnType::Date) => Arc::new(Date32Array::from_iter(ids.iter().map(|_| day))),
            (_, ColumnType::Decimal { precision, scale }) => {
                let values =
                    Decimal128Array::from_iter_values(ids.iter().map(|id| i128::from(*id) - 5));
                Arc::new(
                    values
                        .with_precision_and_scale(*precision, i8::try_from(*scale).unwrap())
                        .unwrap(),
                )
            }
            (_, ColumnType::String) => Arc::new(StringArray::from_iter_values(
                ids.iter()
                    .map(|id| format!("a note longer than a bound: {id}")),
            )),
            (_, ColumnType::Double) => Arc::new(Float64Array::from_iter(ids.iter().map(|id| {
                Some(if *id == 13 {
                    f64::NAN
                } else {
                    *id as f64 / 4.0
                })
            }))),
            (_, ColumnType::Boolean) => Arc::new(BooleanArray::from_iter(
                ids.iter().map(|id| Some(id % 2 == 0)),
            )),
            (_, ColumnType::Int) => Arc::new(Int32Array::from_iter(
                ids.iter().map(|id| (id % 3 != 0).then_some(7)),
            )),
            (_, ColumnType::Long) => {
                Arc::new(Int64Array::from_iter(ids.iter().map(|id| Some(id << 33))))
            }
            (_, ColumnType::StringList) => {
                let element = arrow(&TableField {
                    id: field.element_id.unwrap(),
                    element_id: None,
                    field: Field::new("element", ColumnType::String, true),
                });
                let mut lists = ListBuilder::new(StringBuilder::new()).with_field(element);
                for id in &ids {
                    for tag in 0..(id % 3) {
                        lists.values().append_value(format!("tag-{tag}"));
                    }
                    lists.append(true);
                }
                Arc::new(lists.finish())
            }
        }
    };
    fields
        .iter()
        .map(|field| (field.clone(), array(field)))
        .collect()
}

fn arrow(field: &TableField) -> ArrowField {
    let ty = match &field.field.ty {
        ColumnType::String => DataType::Utf8,
        ColumnType::Int => DataType::Int32,
        ColumnType::Long => DataType::Int64,
        ColumnType::Double => DataType::Float64,
        ColumnType::Boolean => DataType::Boolean,
        ColumnType::Date => DataType::Date32,
        ColumnType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        ColumnType::Decimal { precision, scale } => {
            DataType::Decimal128(*precision, i8::try_from(*scale).unwrap())
        }
        ColumnType::StringList => DataType::List(Arc::new(arrow(&TableField {
            id: field.element_id.unwrap(),
            element_id: None,
            field: Field::new("element", ColumnType::String, true),
        }))),
    };
    let ids = [(PARQUET_FIELD_ID_META_KEY.to_owned(), field.id.to_string())];
    ArrowField::new(&field.field.name, ty, !field.field.required).with_metadata(ids.into())
}

fn write(path: &Path, columns: &[(TableField, ArrayRef)]) {
    let fields: Vec<ArrowField> = columns.iter().map(|(field, _)| arrow(field)).collect();
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(
        schema.clone(),
        columns.iter().map(|(_, array)| array.clone()).collect(),
    )
    .unwrap();
    // Small row groups, so that statistics of several are joined; bounds as long as the values.
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(4))
        .set_statistics_truncate_length(None)
        .build();
    let mut writer = ArrowWriter::try_new(
        std::fs::File::create(path).unwrap(),
        schema,
        Some(properties),
    )
    .unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}
