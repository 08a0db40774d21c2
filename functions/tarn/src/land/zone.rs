//! Puts the files of one command into the raw zone.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use chrono::Utc;
use tarn_core::content::AS_NEW;
use tarn_core::ports::{ObjectInfo, Original, PutMode};
use tarn_core::run::ObjectState;
use tarn_core::{Error, ErrorKind, Result, layout};
use tarn_rows::source::sqlite::Database;

use super::names::numbered;
use super::{Landing, Place, bad};
use crate::session::Session;

/// A file that is in the raw zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Landed {
    /// The object.
    pub info: ObjectInfo,
    /// Whether it was put now; a file whose content is there already is not put again.
    pub put: bool,
}

/// The objects of a folder of the raw zone, by the name after `ingest_date=…/`.
type Folder = HashMap<String, Vec<ObjectInfo>>;

/// The raw zone: each of its folders is listed once, however many files go there.
pub struct RawZone<'a> {
    session: &'a Session,
    /// Whether every file is new, whatever is there.
    as_new: bool,
    folders: HashMap<String, Folder>,
}

/// The last number of a name that is tried.
const MOST_NUMBER: u32 = 1000;

impl<'a> RawZone<'a> {
    /// Nothing is listed yet.
    pub fn new(session: &'a Session, as_new: bool) -> Self {
        RawZone {
            session,
            as_new,
            folders: HashMap::new(),
        }
    }

    /// Puts a file into the raw zone. A file whose content is there under the same name already, perhaps
    /// since an earlier day, stays the one object that it is. One of the same name on the same day becomes
    /// its new version, unless that is a log whose lines are not in a table yet: then the new one is
    /// numbered.
    ///
    /// # Errors
    /// `BadSource` where the file is a database that another process is writing, `BadRequest` where it
    /// cannot be read or is to be new and no contract claims it so.
    pub async fn land(&mut self, landing: &Landing) -> Result<Landed> {
        let (session, as_new) = (self.session, self.as_new);
        let objects = &session.lake.objects;
        let there = |info| Landed { info, put: false };
        let (source, dataset, name) = match &landing.place {
            Place::Here(key) if as_new => {
                return Err(bad(format!(
                    "{key} is in the raw zone already; --as-new is for files that are put there"
                )));
            }
            Place::Here(key) => return objects.head(key).await.map(there),
            Place::Folder {
                source,
                dataset,
                name,
            } => (source, dataset, name),
        };
        let size = std::fs::metadata(&landing.path)
            .map_err(|error| unreadable(&landing.path, error))?
            .len();
        let name = if as_new {
            format!("{AS_NEW}/{name}")
        } else {
            name.clone()
        };
        let names = Names {
            source,
            dataset,
            name: &name,
            is_log: is_log(
                session,
                &layout::raw_key(source, dataset, Utc::now(), &name),
            ),
        };
        if as_new && !names.is_log {
            return Err(bad(format!(
                "--as-new is for logs, and no contract of a log claims {}",
                names.key(1)
            )));
        }
        let folder = self.folder(names.prefix()).await?;
        if !as_new && let Some(info) = same(session, &names, folder, &landing.path, size).await? {
            return Ok(there(info));
        }
        // While the database is open for reading, no other process can commit to it, so the copy is complete.
        let lock = Database::open(&landing.path);
        if let Err(error) = &lock
            && error.is_retryable()
        {
            return Err(Error::new(ErrorKind::BadSource, error.to_string()).retryable(true));
        }
        let put = put(session, as_new, &names, &landing.path).await;
        drop(lock);
        let (number, info) = put?;
        // A later file of the command may be the same again.
        let same_name = folder.entry(numbered(&name, number)).or_default();
        same_name.retain(|former| former.key != info.key);
        same_name.push(info.clone());
        Ok(Landed { info, put: true })
    }

    /// A folder of the raw zone.
    async fn folder(&mut self, prefix: String) -> Result<&mut Folder> {
        let unknown = match self.folders.entry(prefix) {
            Entry::Occupied(known) => return Ok(known.into_mut()),
            Entry::Vacant(unknown) => unknown,
        };
        let mut folder = Folder::new();
        for info in self.session.lake.objects.list(unknown.key()).await? {
            let rest = info.key.strip_prefix(unknown.key()).unwrap_or_default();
            if let Some((_, name)) = rest.split_once('/') {
                folder.entry(name.to_owned()).or_default().push(info);
            }
        }
        Ok(unknown.insert(folder))
    }
}

/// The names that a file may have in the raw zone.
struct Names<'n> {
    source: &'n str,
    dataset: &'n str,
    name: &'n str,
    is_log: bool,
}

impl Names<'_> {
    fn prefix(&self) -> String {
        format!("{}{}/{}/", layout::RAW, self.source, self.dataset)
    }

    /// The key of today.
    fn key(&self, number: u32) -> String {
        let name = numbered(self.name, number);
        layout::raw_key(self.source, self.dataset, Utc::now(), &name)
    }
}

fn is_log(session: &Session, key: &str) -> bool {
    let claiming = session.lake.contracts.claiming(key);
    !claiming.is_empty() && claiming.iter().all(|contract| contract.is_log())
}

/// Puts a file under the first of its names that is free or may be overwritten. Returns the number of the name.
async fn put(
    session: &Session,
    as_new: bool,
    names: &Names<'_>,
    path: &Path,
) -> Result<(u32, ObjectInfo)> {
    let objects = &session.lake.objects;
    let mut number = 1;
    loop {
        let key = names.key(number);
        let mode = if names.is_log {
            match objects.head(&key).await {
                Err(error) if error.kind() == ErrorKind::NotFound => PutMode::IfAbsent,
                Err(error) => return Err(error),
                Ok(there) if !as_new && is_done(session, &there).await? => PutMode::Overwrite,
                Ok(_) if number < MOST_NUMBER => {
                    number += 1;
                    continue;
                }
                Ok(_) => {
                    return Err(bad(format!(
                        "{key} and all names like it are taken; ingest what is there first"
                    )));
                }
            }
        } else {
            PutMode::Overwrite
        };
        let put = objects.put_file(&key, path, mode, Original::Changes);
        match put.await {
            // Another process was faster.
            Err(error) if error.kind() == ErrorKind::Conflict && mode == PutMode::IfAbsent => {}
            put => return Ok((number, put?)),
        }
    }
}

/// The object that has the content of a file under one of its names, of any day.
async fn same(
    session: &Session,
    names: &Names<'_>,
    folder: &Folder,
    path: &Path,
    size: u64,
) -> Result<Option<ObjectInfo>> {
    let mut number = 1;
    while let Some(known) = folder.get(&numbered(names.name, number)) {
        for info in known.iter().filter(|info| info.size == size) {
            let copy = match session.lake.objects.fetch_version(info).await {
                // It was deleted since the folder was listed.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                copy => copy?,
            };
            if same_content(path, copy.path())? {
                return Ok(Some(info.clone()));
            }
        }
        if !names.is_log {
            break;
        }
        number += 1;
    }
    Ok(None)
}

/// Whether an object can be overwritten without loss: its lines are in a table, or its content is faulty.
async fn is_done(session: &Session, info: &ObjectInfo) -> Result<bool> {
    let ledger = &session.lake.ledger;
    let record = ledger.object(&info.key).await?;
    let Some(record) = record.filter(|record| record.version == info.version) else {
        return Ok(false);
    };
    Ok(match record.state {
        ObjectState::Committed | ObjectState::Superseded | ObjectState::Unclaimed => true,
        ObjectState::Pending => false,
        ObjectState::Failed => {
            let run = ledger.run(&record.run_id).await?;
            let kind = run.and_then(|run| run.error_kind);
            let of_content = [ErrorKind::BadSource, ErrorKind::Quality].map(ErrorKind::as_str);
            kind.is_some_and(|kind| of_content.contains(&kind.as_str()))
        }
    })
}

fn unreadable(path: &Path, error: std::io::Error) -> Error {
    bad(format!("{} cannot be read", path.display())).with_source(error)
}

fn same_content(a: &Path, b: &Path) -> Result<bool> {
    let open = |path: &Path| {
        File::open(path)
            .map(BufReader::new)
            .map_err(|error| unreadable(path, error))
    };
    let (mut a, mut b) = (open(a)?, open(b)?);
    loop {
        let unreadable = |error| bad("a file cannot be compared").with_source(error);
        let left = a.fill_buf().map_err(unreadable)?;
        let right = b.fill_buf().map_err(unreadable)?;
        let length = left.len().min(right.len());
        if length == 0 {
            return Ok(left.is_empty() && right.is_empty());
        }
        if left[..length] != right[..length] {
            return Ok(false);
        }
        a.consume(length);
        b.consume(length);
    }
}
