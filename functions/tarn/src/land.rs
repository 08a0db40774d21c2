//! Puts local files into the raw zone under keys that contracts claim.

mod names;
mod walk;
mod zone;

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use tarn_contract::{Contract, Format};
use tarn_core::{Error, ErrorKind, Result, layout};
use tarn_rows::source;

use self::names::{Asked, distinct};
pub use self::walk::Refused;
pub use self::zone::{Landed, RawZone};
use crate::session::Session;

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

impl Place {
    /// The key, as far as it is known before the landing.
    pub fn shown(&self) -> String {
        match self {
            Place::Here(key) => key.clone(),
            Place::Folder {
                source,
                dataset,
                name,
            } => format!("{source}/{dataset}/{name}"),
        }
    }
}

/// What to do with the paths of one command.
#[derive(Debug, Default)]
pub struct Plan {
    /// The files, and where each goes.
    pub landings: Vec<Landing>,
    /// Paths that cannot be taken; they do not stop the others.
    pub refused: Vec<Refused>,
}

/// The source and dataset of files that fit no contract.
const UNCLAIMED: (&str, &str) = ("unclaimed", "files");

fn bad(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::BadRequest, text)
}

/// Where the files of some paths go, in the order of the paths and of their names. A path that does not
/// exist, a name that is not UTF-8, a file that fits several contracts, and
/// a file whose key another file of the same command has are refused one by one.
///
/// # Errors
/// `BadRequest` for a `to` that names no source and dataset.
pub fn plan(session: &Session, paths: &[PathBuf], to: Option<&str>) -> Result<Plan> {
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
    let mut plan = Plan::default();
    let mut asked: Vec<(PathBuf, Wanted)> = Vec::new();
    let mut seen: HashSet<PathBuf> = HashSet::new();
    for path in paths {
        // A path that does not exist has no real path either.
        let given = path.canonicalize().unwrap_or_else(|_| path.clone());
        let found = walk::files(&given);
        plan.refused.extend(found.refused);
        for file in found.files {
            if !seen.insert(file.clone()) {
                continue;
            }
            match wanted(session, &given, &file, to.as_ref()) {
                Ok(wanted) => asked.push((file, wanted)),
                Err(error) => plan.refused.push(Refused::new(&file, error)),
            }
        }
    }
    let named: Vec<Asked> = asked
        .iter()
        .filter_map(|(_, wanted)| match wanted {
            Wanted::Here(_) => None,
            Wanted::Named(asked) => Some(asked.clone()),
        })
        .collect();
    let mut names = distinct(&named).into_iter();
    let mut taken: BTreeMap<String, PathBuf> = BTreeMap::new();
    for (path, wanted) in asked {
        let place = match wanted {
            Wanted::Here(key) => Place::Here(key),
            Wanted::Named(Asked {
                folder: (source, dataset),
                name,
                ..
            }) => Place::Folder {
                source,
                dataset,
                name: names.next().unwrap_or(name),
            },
        };
        match taken.get(&place.shown()) {
            Some(other) => {
                let error = bad(format!(
                    "{} and {} would both be {} in the raw zone: ingest them one after the other, or \
                     under other names",
                    other.display(),
                    path.display(),
                    place.shown()
                ));
                plan.refused.push(Refused::new(&path, error));
            }
            None => {
                taken.insert(place.shown(), path.clone());
                plan.landings.push(Landing { path, place });
            }
        }
    }
    Ok(plan)
}

/// Where a file wants to go.
enum Wanted {
    /// It is there.
    Here(String),
    /// Under this name, with its folders in front of it if needed.
    Named(Asked),
}

/// The parts of a path that are UTF-8, from the root's on.
fn parts(path: &Path) -> Result<Vec<&str>> {
    path.iter()
        .filter(|part| *part != "/")
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

fn owned(parts: &[&str]) -> Vec<String> {
    parts.iter().map(|part| (*part).to_owned()).collect()
}

fn wanted(
    session: &Session,
    given: &Path,
    file: &Path,
    to: Option<&(String, String)>,
) -> Result<Wanted> {
    if let Some(local) = session.folder()
        && let Ok(inside) = file.strip_prefix(local.root())
    {
        let key = parts(inside)?.join("/");
        if key.starts_with(layout::RAW) {
            return Ok(Wanted::Here(key));
        }
        return Err(bad(format!(
            "{} is a file of the lake itself, not of its raw zone",
            file.display()
        )));
    }
    let below = parts(file.strip_prefix(given).unwrap_or(Path::new("")))?;
    let all = parts(file)?;
    let Some((name, folders)) = all.split_last() else {
        return Err(bad(format!("{} is not a file", file.display())));
    };
    let named = |folder: (&str, &str), parts: &[&str], above: Vec<String>| {
        Wanted::Named(Asked {
            folder: (folder.0.to_owned(), folder.1.to_owned()),
            name: parts.join("/"),
            above,
        })
    };
    // The folders that are not part of a name of the last `count` parts.
    let above = |count: usize| owned(&all[..all.len() - count]);
    if let Some((source, dataset)) = to {
        let parts: &[&str] = if below.is_empty() { &[name] } else { &below };
        return Ok(named((source, dataset), parts, above(parts.len())));
    }
    // The folders say it, wherever they are: …/web/access_logs/server7/access.log
    let claimed: Vec<(&str, &str)> = session
        .lake
        .contracts
        .iter()
        .filter_map(|contract| contract.key_pattern.folder())
        .collect();
    for at in (1..folders.len()).rev() {
        let pair = (folders[at - 1], folders[at]);
        if claimed.contains(&pair) {
            let is_day = |part: &&str| part.starts_with("ingest_date=");
            let (days, rest): (Vec<&str>, Vec<&str>) =
                all[at + 1..].iter().copied().partition(is_day);
            let above = [owned(&all[..at - 1]), owned(&days)].concat();
            return Ok(named(pair, &rest, above));
        }
    }
    // A tree of folders that no contract knows keeps its folders, so that one can be written for it.
    if let [source, dataset, rest @ ..] = below.as_slice()
        && !rest.is_empty()
    {
        return Ok(named((source, dataset), rest, above(below.len())));
    }
    let (source, dataset) = match format_of(session, file)? {
        Some(format) => folder_of_format(session, file, format)?,
        None => (UNCLAIMED.0.to_owned(), UNCLAIMED.1.to_owned()),
    };
    Ok(named((&source, &dataset), &[name], above(1)))
}

fn format_of(session: &Session, file: &Path) -> Result<Option<Format>> {
    let contracts: Vec<_> = session.lake.contracts.iter().collect();
    source::sniff(file, &contracts)
}

fn folder_of_format(session: &Session, file: &Path, format: Format) -> Result<(String, String)> {
    let contracts = session.lake.contracts.iter();
    let mut contracts: Vec<&Contract> = contracts
        .filter(|contract| contract.format == format)
        .collect();
    let reads: fn(&Path, &Contract) -> Result<bool> = match format {
        Format::AccessLog => source::reads_log,
        Format::Csv => source::reads_csv,
        _ => |_, _| Ok(true),
    };
    let mut readers = Vec::new();
    for &contract in &contracts {
        if reads(file, contract)? {
            readers.push(contract);
        }
    }
    // Lines of a log that no contract reads are rejected one by one; other columns are another table.
    if !readers.is_empty() || format == Format::Csv {
        contracts = readers;
    }
    let mut folders: Vec<(&str, &str)> = contracts
        .iter()
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
