//! Puts local files into the raw zone under keys that contracts claim.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use chrono::Utc;
use tarn_core::contract::Format;
use tarn_core::ports::{ObjectInfo, Original, PutMode};
use tarn_core::{Error, ErrorKind, Result, layout};
use tarn_engine::source::{self, sqlite::Database};

use crate::setting::Setting;

/// A local file and the place in the raw zone that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Landing {
    /// The file.
    pub path: PathBuf,
    /// Where it goes.
    pub place: Place,
}

/// Where a file goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// It is in the raw zone already.
    Here(String),
    /// `raw/<source>/<dataset>/ingest_date=…/<name>`
    Folder {
        /// The source.
        source: String,
        /// The dataset.
        dataset: String,
        /// The rest of the key.
        name: String,
    },
}

/// The source and dataset of files that fit no contract.
const UNCLAIMED: (&str, &str) = ("unclaimed", "files");

fn bad(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::BadRequest, text)
}

/// The files of a path in name order, and where each goes.
///
/// # Errors
/// `BadRequest` where the path does not exist, a name is not UTF-8, or it is not clear which
/// contract of several a file is for.
pub fn plan(setting: &Setting, path: &Path, to: Option<&str>) -> Result<Vec<Landing>> {
    let to = to
        .map(|to| match to.trim_matches('/').split_once('/') {
            Some((source, dataset))
                if !dataset.contains('/') && !source.is_empty() && !dataset.is_empty() =>
            {
                Ok((source.to_owned(), dataset.to_owned()))
            }
            _ => Err(bad(format!(
                "--to takes source/dataset, for example web/access_logs, not {to}"
            ))),
        })
        .transpose()?;
    let real = path
        .canonicalize()
        .map_err(|error| bad(format!("{} cannot be read", path.display())).with_source(error))?;
    let mut files = Vec::new();
    collect(&real, &mut files)?;
    files.sort();
    files
        .into_iter()
        .map(|file| {
            let place = place(setting, &real, &file, to.as_ref())?;
            Ok(Landing { path: file, place })
        })
        .collect()
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let unreadable = |error| bad(format!("{} cannot be read", path.display())).with_source(error);
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let hidden = path
            .file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.starts_with('.'));
        if !hidden {
            collect(&path, files)?;
        }
    }
    Ok(())
}

fn parts(path: &Path) -> Result<Vec<&str>> {
    path.iter()
        .map(|part| {
            part.to_str().ok_or_else(|| {
                bad(format!(
                    "the name {} is not UTF-8; rename the file",
                    path.display()
                ))
            })
        })
        .collect()
}

fn place(
    setting: &Setting,
    given: &Path,
    file: &Path,
    to: Option<&(String, String)>,
) -> Result<Place> {
    if let Some(local) = setting.folder()
        && let Ok(inside) = file.strip_prefix(local.root())
    {
        let key = parts(inside)?.join("/");
        if key.starts_with(layout::RAW) {
            return Ok(Place::Here(key));
        }
        return Err(bad(format!(
            "{} is a file of the lake itself, not of its raw zone",
            file.display()
        )));
    }
    let folder = |source: &str, dataset: &str, name: String| Place::Folder {
        source: source.to_owned(),
        dataset: dataset.to_owned(),
        name,
    };
    let below = parts(file.strip_prefix(given).unwrap_or(Path::new("")))?;
    let all = parts(file)?;
    let Some((name, folders)) = all.split_last() else {
        return Err(bad(format!("{} is no file", file.display())));
    };
    if let Some((source, dataset)) = to {
        let name = if below.is_empty() {
            (*name).to_owned()
        } else {
            below.join("/")
        };
        return Ok(folder(source, dataset, name));
    }
    // The folders say it, wherever they are: …/web/access_logs/server7/access.log
    let claimed: Vec<(&str, &str)> = setting
        .lake
        .contracts
        .iter()
        .filter_map(|contract| contract.key_pattern.folder())
        .collect();
    for at in (1..folders.len()).rev() {
        let pair = (folders[at - 1], folders[at]);
        if claimed.contains(&pair) {
            let rest: Vec<&str> = all[at + 1..]
                .iter()
                .copied()
                .filter(|part| !part.starts_with("ingest_date="))
                .collect();
            return Ok(folder(pair.0, pair.1, rest.join("/")));
        }
    }
    // A tree of folders that no contract knows keeps its folders, so that one can be written for it.
    if let [source, dataset, rest @ ..] = below.as_slice()
        && !rest.is_empty()
    {
        return Ok(folder(source, dataset, rest.join("/")));
    }
    let (source, dataset) = match format_of(setting, file)? {
        Some(format) => folder_of_format(setting, file, format)?,
        None => (UNCLAIMED.0.to_owned(), UNCLAIMED.1.to_owned()),
    };
    Ok(folder(&source, &dataset, (*name).to_owned()))
}

fn format_of(setting: &Setting, file: &Path) -> Result<Option<Format>> {
    let contracts: Vec<_> = setting.lake.contracts.iter().collect();
    source::sniff(file, &contracts)
}

fn folder_of_format(setting: &Setting, file: &Path, format: Format) -> Result<(String, String)> {
    let mut folders: Vec<(&str, &str)> = setting
        .lake
        .contracts
        .iter()
        .filter(|contract| contract.format == format)
        .filter_map(|contract| contract.key_pattern.folder())
        .collect();
    folders.dedup();
    match folders.as_slice() {
        [] => Ok((UNCLAIMED.0.to_owned(), UNCLAIMED.1.to_owned())),
        [(source, dataset)] => Ok(((*source).to_owned(), (*dataset).to_owned())),
        several => Err(bad(format!(
            "{} could belong to {}; say which with --to",
            file.display(),
            several
                .iter()
                .map(|(source, dataset)| format!("{source}/{dataset}"))
                .collect::<Vec<_>>()
                .join(" or ")
        ))),
    }
}

/// A file that is in the raw zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Landed {
    /// The object.
    pub info: ObjectInfo,
    /// Whether it was put now; a file whose content is there already is not put again.
    pub put: bool,
}

/// The raw zone as the files of one command come into it: each of its folders is listed once, however
/// many files go there.
pub struct RawZone<'a> {
    setting: &'a Setting,
    /// What is there, by folder and then by the name behind `ingest_date=…/`.
    folders: HashMap<String, HashMap<String, Vec<ObjectInfo>>>,
}

impl<'a> RawZone<'a> {
    /// Nothing is listed yet.
    pub fn new(setting: &'a Setting) -> Self {
        RawZone {
            setting,
            folders: HashMap::new(),
        }
    }

    /// Puts a file into the raw zone. A file whose content is there under the same name already, perhaps
    /// since an earlier day, stays the one object that it is.
    ///
    /// # Errors
    /// `BadSource` where the file is a database that another process is writing.
    pub async fn land(&mut self, landing: &Landing) -> Result<Landed> {
        let objects = &self.setting.lake.objects;
        let there = |info| Landed { info, put: false };
        let (source, dataset, name) = match &landing.place {
            Place::Here(key) => return objects.head(key).await.map(there),
            Place::Folder {
                source,
                dataset,
                name,
            } => (source, dataset, name),
        };
        let size = std::fs::metadata(&landing.path)
            .map_err(|error| {
                bad(format!("{} cannot be read", landing.path.display())).with_source(error)
            })?
            .len();
        let prefix = format!("{}{source}/{dataset}/", layout::RAW);
        let known = match self.folders.entry(prefix) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => {
                let mut known: HashMap<String, Vec<ObjectInfo>> = HashMap::new();
                for info in objects.list(unknown.key()).await? {
                    let rest = info.key.strip_prefix(unknown.key()).unwrap_or_default();
                    if let Some((_, name)) = rest.split_once('/') {
                        known.entry(name.to_owned()).or_default().push(info);
                    }
                }
                unknown.insert(known)
            }
        };
        let same_name = known.entry(name.clone()).or_default();
        for info in same_name.iter().filter(|info| info.size == size) {
            let copy = match objects.fetch_version(info).await {
                // Somebody has deleted it since the folder was listed.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                copy => copy?,
            };
            if same_content(&landing.path, copy.path())? {
                return Ok(there(info.clone()));
            }
        }
        let key = layout::raw_key(source, dataset, Utc::now(), name);
        // While the database is open for reading nobody can commit to it, so that the copy is whole.
        let lock = Database::open(&landing.path);
        if let Err(error) = &lock
            && error.is_retryable()
        {
            return Err(Error::new(ErrorKind::BadSource, error.to_string()).retryable(true));
        }
        let info = objects
            .put_file(&key, &landing.path, PutMode::Overwrite, Original::Changes)
            .await?;
        drop(lock);
        // A later file of the command may be the same again.
        same_name.retain(|former| former.key != info.key);
        same_name.push(info.clone());
        Ok(Landed { info, put: true })
    }
}

fn same_content(a: &Path, b: &Path) -> Result<bool> {
    let open = |path: &Path| {
        File::open(path)
            .map(BufReader::new)
            .map_err(|error| bad(format!("{} cannot be read", path.display())).with_source(error))
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
