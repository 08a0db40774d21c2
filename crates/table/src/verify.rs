//! Reads every file of a table to its end and compares it with what was written.
//!
//! A file whose name carries a digest is compared with the digest. Any other file is compared with the file
//! that names it, as far as possible: its size, its counts of files and rows. Its digest is remembered, so
//! that the next verification can compare it.

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt, TryStreamExt};
use iceberg::spec::{ManifestFile, ManifestStatus, SnapshotRef};
use tarn_core::digest::Digest;
use tarn_core::ports::check;
use tarn_core::schema::TableName;
use tarn_core::{Error, ErrorKind, Result, ResultExt};

use crate::footer;
use crate::store::Store;
use crate::table::Table;
use crate::tables::{Tables, no_such_table};

/// Data files that are read at once.
const CONCURRENT_READS: usize = 4;

/// What a file is to its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// A metadata file.
    Metadata,
    /// The list of a version's manifests.
    ManifestList,
    /// A list of data files.
    Manifest,
    /// A data file.
    Data,
}

impl Part {
    /// A stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Part::Metadata => "metadata",
            Part::ManifestList => "manifest_list",
            Part::Manifest => "manifest",
            Part::Data => "data",
        }
    }
}

/// A file that is not what was written, or is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Its key.
    pub key: String,
    /// What it is.
    pub part: Part,
    /// What is wrong with it.
    pub what: String,
    /// Whether the current version needs it.
    pub current: bool,
    /// The key of the raw object that all its rows came from, where it is a data file and there is one only.
    pub source: Option<String>,
}

/// What reading a table's files showed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Files that were read, and those that are gone.
    pub files: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// Sound files without a digest: what was written is not known.
    pub unknown: u64,
    /// How many of these are remembered from now on.
    pub remembered: u64,
    /// Files that are not what was written.
    pub faults: Vec<Fault>,
}

/// A file that the table names.
#[derive(Clone, Copy)]
struct Named<'a> {
    key: &'a str,
    part: Part,
    /// Whether the current version needs it.
    current: bool,
    /// The key of the one raw object that all its rows came from.
    source: Option<&'a str>,
}

impl<'a> Named<'a> {
    fn new(key: &'a str, part: Part, current: bool) -> Self {
        Named {
            key,
            part,
            current,
            source: None,
        }
    }
}

/// A data file as a manifest describes it.
struct DataFile {
    bytes: u64,
    rows: u64,
    source: Option<String>,
    current: bool,
}

impl Tables {
    /// Reads every file of every version that is kept to its end, and compares it with what was written.
    /// `each` is called with the results so far.
    ///
    /// # Errors
    /// `NotFound` for a table that does not exist, and where the catalog does not answer. A file that cannot
    /// be read is a fault of the result.
    pub async fn verify(
        &self,
        name: &TableName,
        each: &mut (dyn FnMut(&Verified) + Send),
    ) -> Result<Verified> {
        run(self, name, each)
            .await
            .context(|| format!("verification of {name}"))
    }
}

async fn run(
    tables: &Tables,
    name: &TableName,
    each: &mut (dyn FnMut(&Verified) + Send),
) -> Result<Verified> {
    let pointer = tables.catalog.load(name).await?;
    let pointer = pointer.ok_or_else(|| no_such_table(name))?;
    let mut work = Work {
        store: &tables.store,
        done: Verified::default(),
        each,
    };
    let key = tables.store.key_of(&pointer.metadata_location)?;
    let file = Named::new(&key, Part::Metadata, true);
    let sound = work.look(file, None).await?;
    // What it names cannot be known.
    let Some(sound) = sound else {
        return Ok(work.done);
    };
    let table = match tables.load(name).await {
        Ok(Some(table)) => table,
        Ok(None) => return Ok(work.done),
        Err(error) => {
            work.fault(file, error.to_string());
            return Ok(work.done);
        }
    };
    work.remember(&key, sound).await?;
    work.former_metadata(&table).await?;
    let lists = work.lists(&table).await?;
    let files = work.manifests(&table, &lists).await?;
    work.data(files).await?;
    Ok(work.done)
}

struct Work<'a> {
    store: &'a Store,
    done: Verified,
    each: &'a mut (dyn FnMut(&Verified) + Send),
}

/// What one look at a file showed.
enum Look {
    Sound(u64),
    /// Nothing is known of what was written; the digest of what is there.
    Unknown(u64, Digest),
    Gone,
    Bad(String),
}

/// A file without a fault.
#[derive(Clone, Copy)]
struct Sound {
    /// Its digest, if none was known before.
    unknown: Option<Digest>,
}

async fn look(store: &Store, key: &str, bytes: Option<u64>) -> Result<Look> {
    let examined = match store.examine(key).await {
        Ok(examined) => examined,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Ok(Look::Gone);
        }
        // An object that arrives damaged, a disk that cannot read a block.
        Err(error) => return Ok(Look::Bad(error.to_string())),
    };
    if let Some(written) = examined.written
        && let Err(error) = check(key, written, examined.found)
    {
        return Ok(Look::Bad(error.to_string()));
    }
    if let Some(bytes) = bytes
        && bytes != examined.size
    {
        return Ok(Look::Bad(format!(
            "{key} has {} bytes, and the file that names it says {bytes}",
            examined.size
        )));
    }
    Ok(match examined.written {
        Some(_) => Look::Sound(examined.size),
        None => Look::Unknown(examined.size, examined.found),
    })
}

impl Work<'_> {
    fn fault(&mut self, file: Named<'_>, what: String) {
        self.done.faults.push(Fault {
            key: file.key.to_owned(),
            part: file.part,
            what,
            current: file.current,
            source: file.source.map(str::to_owned),
        });
    }

    /// Looks at a file that should have that many bytes; None where it has a fault.
    async fn look(&mut self, file: Named<'_>, bytes: Option<u64>) -> Result<Option<Sound>> {
        let seen = look(self.store, file.key, bytes).await?;
        Ok(self.count(seen, file))
    }

    fn count(&mut self, seen: Look, file: Named<'_>) -> Option<Sound> {
        self.done.files += 1;
        let sound = match seen {
            Look::Sound(bytes) => {
                self.done.bytes += bytes;
                Some(Sound { unknown: None })
            }
            Look::Unknown(bytes, digest) => {
                self.done.bytes += bytes;
                self.done.unknown += 1;
                let unknown = Some(digest);
                Some(Sound { unknown })
            }
            Look::Gone => {
                self.fault(file, format!("{} is gone", file.key));
                None
            }
            Look::Bad(what) => {
                self.fault(file, what);
                None
            }
        };
        (self.each)(&self.done);
        sound
    }

    /// Remembers the digest of a sound file whose name carries none.
    async fn remember(&mut self, key: &str, sound: Sound) -> Result<()> {
        if let Some(digest) = sound.unknown {
            let remembered = self.store.remember(key, digest).await?;
            self.done.remembered += u64::from(remembered);
        }
        Ok(())
    }

    /// Former metadata files, as far as they are kept.
    async fn former_metadata(&mut self, table: &Table) -> Result<()> {
        for entry in table.metadata.metadata_log() {
            let Ok(key) = self.store.key_of(&entry.metadata_file) else {
                continue;
            };
            match look(self.store, &key, None).await? {
                // Maintenance deletes them in time.
                Look::Gone => {}
                seen => {
                    let file = Named::new(&key, Part::Metadata, false);
                    let Some(sound) = self.count(seen, file) else {
                        continue;
                    };
                    match self.store.metadata(&entry.metadata_file).await {
                        Ok(_) => self.remember(&key, sound).await?,
                        Err(error) => self.fault(file, error.to_string()),
                    }
                }
            }
        }
        Ok(())
    }

    /// The manifests of each version whose list is sound.
    async fn lists(&mut self, table: &Table) -> Result<Vec<(SnapshotRef, Vec<ManifestFile>)>> {
        let mut lists = Vec::new();
        for snapshot in table.metadata.snapshots() {
            let current = table.current_snapshot_id() == Some(snapshot.snapshot_id());
            let key = self.store.key_of(snapshot.manifest_list())?;
            let file = Named::new(&key, Part::ManifestList, current);
            let Some(sound) = self.look(file, None).await? else {
                continue;
            };
            let format = table.metadata.format_version();
            let list = match self.store.manifest_list(snapshot, format).await {
                Ok(list) => list,
                Err(error) => {
                    self.fault(file, error.to_string());
                    continue;
                }
            };
            if let Some(what) = miscounted(snapshot, &list) {
                self.fault(file, format!("{key} {what}"));
                continue;
            }
            self.remember(&key, sound).await?;
            lists.push((snapshot.clone(), list));
        }
        Ok(lists)
    }

    /// The data files of all manifests that are sound.
    async fn manifests(
        &mut self,
        table: &Table,
        lists: &[(SnapshotRef, Vec<ManifestFile>)],
    ) -> Result<BTreeMap<String, DataFile>> {
        let mut manifests: BTreeMap<String, (&ManifestFile, bool)> = BTreeMap::new();
        for (snapshot, list) in lists {
            let current = table.current_snapshot_id() == Some(snapshot.snapshot_id());
            for manifest in list {
                let key = match self.store.key_of(&manifest.manifest_path) {
                    Ok(key) => key,
                    Err(error) => {
                        let list = self.store.key_of(snapshot.manifest_list())?;
                        let file = Named::new(&list, Part::ManifestList, current);
                        self.fault(file, error.to_string());
                        continue;
                    }
                };
                // A manifest without live files only lists removals, and no reader of the version opens it.
                let live = manifest.has_added_files() || manifest.has_existing_files();
                let needed = current && live;
                manifests.entry(key).or_insert((manifest, needed)).1 |= needed;
            }
        }
        let mut files: BTreeMap<String, DataFile> = BTreeMap::new();
        for (key, (manifest, current)) in manifests {
            let bytes = u64::try_from(manifest.manifest_length).ok();
            let file = Named::new(&key, Part::Manifest, current);
            let Some(sound) = self.look(file, bytes).await? else {
                continue;
            };
            match self.data_files(manifest, current).await {
                Ok(named) => {
                    for (key, file) in named {
                        let known = files.entry(key).or_insert(DataFile {
                            current: false,
                            ..file
                        });
                        known.current |= current;
                    }
                    self.remember(&key, sound).await?;
                }
                Err(error) => self.fault(file, error.to_string()),
            }
        }
        Ok(files)
    }

    /// The live files that a manifest names, where it holds what its list says.
    async fn data_files(
        &self,
        manifest: &ManifestFile,
        current: bool,
    ) -> Result<Vec<(String, DataFile)>> {
        let mut read = self
            .store
            .manifests([manifest], |_, content| Ok(content))
            .await?;
        let Some(content) = read.pop() else {
            return Ok(Vec::new());
        };
        let (mut counts, mut rows) = ([0_u64; 3], [0_u64; 3]);
        let mut named = Vec::new();
        for entry in content.entries() {
            let at = match entry.status {
                ManifestStatus::Added => 0,
                ManifestStatus::Existing => 1,
                ManifestStatus::Deleted => 2,
            };
            counts[at] += 1;
            rows[at] += entry.record_count();
            if !entry.is_alive() {
                continue;
            }
            let source =
                crate::data_file::only_source(content.metadata().schema(), entry.data_file());
            named.push((
                self.store.key_of(entry.file_path())?,
                DataFile {
                    bytes: entry.file_size_in_bytes(),
                    rows: entry.record_count(),
                    source: source.and_then(|uri| self.store.key_of(&uri).ok()),
                    current,
                },
            ));
        }
        let said = [
            manifest.added_files_count,
            manifest.existing_files_count,
            manifest.deleted_files_count,
        ];
        let said_rows = [
            manifest.added_rows_count,
            manifest.existing_rows_count,
            manifest.deleted_rows_count,
        ];
        let differs = |said: Option<u64>, found: u64| said.is_some_and(|said| said != found);
        for at in 0..3 {
            if differs(said[at].map(u64::from), counts[at]) || differs(said_rows[at], rows[at]) {
                return Err(Error::new(
                    ErrorKind::Damaged,
                    format!(
                        "{} has other counts of files or rows than its list says",
                        self.store.key_of(&manifest.manifest_path)?
                    ),
                ));
            }
        }
        Ok(named)
    }

    async fn data(&mut self, files: BTreeMap<String, DataFile>) -> Result<()> {
        let store = self.store;
        let reads: Vec<_> = files
            .iter()
            .map(|(key, named)| async move {
                let seen = match look(store, key, Some(named.bytes)).await? {
                    Look::Unknown(bytes, digest) => match rows_of(store, key).await {
                        Ok(rows) if rows == named.rows => Look::Unknown(bytes, digest),
                        Ok(rows) => Look::Bad(format!(
                            "{key} has {rows} rows, and its manifest says {}",
                            named.rows
                        )),
                        Err(error) => Look::Bad(error.to_string()),
                    },
                    seen => seen,
                };
                Ok::<_, Error>((key, named, seen))
            })
            .collect();
        let mut reads = stream::iter(reads).buffered(CONCURRENT_READS);
        while let Some((key, named, seen)) = reads.try_next().await? {
            let file = Named {
                source: named.source.as_deref(),
                ..Named::new(key, Part::Data, named.current)
            };
            if let Some(sound) = self.count(seen, file) {
                self.remember(key, sound).await?;
            }
        }
        Ok(())
    }
}

/// How the counts of a manifest list differ from those of its snapshot; None where they agree.
fn miscounted(snapshot: &SnapshotRef, list: &[ManifestFile]) -> Option<String> {
    use iceberg::spec::ManifestContentType;
    let said = |name: &str| -> Option<u64> {
        let summary = &snapshot.summary().additional_properties;
        summary.get(name)?.parse().ok()
    };
    let data = list
        .iter()
        .filter(|manifest| manifest.content == ManifestContentType::Data);
    let (mut files, mut rows) = (0, 0);
    for manifest in data {
        files += u64::from(manifest.added_files_count?) + u64::from(manifest.existing_files_count?);
        rows += manifest.added_rows_count? + manifest.existing_rows_count?;
    }
    let differs = |said: Option<u64>, found: u64| said.is_some_and(|said| said != found);
    (differs(said("total-data-files"), files) || differs(said("total-records"), rows))
        .then(|| format!("counts {files} files and {rows} rows, and its snapshot other numbers"))
}

async fn rows_of(store: &Store, key: &str) -> Result<u64> {
    let copy = store.fetch(key).await?;
    let rows = tokio::task::spawn_blocking(move || footer::rows(copy.path()));
    rows.await
        .map_err(|error| Error::internal("reading a Parquet footer failed").with_source(error))?
}
