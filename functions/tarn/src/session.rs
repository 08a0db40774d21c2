//! The lake and the contracts that a command works with.

use std::path::Path;

use tarn_contract::{Contracts, Diagnostic, load_dir, load_texts};
use tarn_core::{Error, ErrorKind, Result, layout};
use tarn_lake::Lake;
use tarn_local::LocalLake;
use tempfile::TempDir;

use crate::cli::Global;
use crate::cloud::Remote;

macro_rules! built_in {
    ($($dataset:literal),* $(,)?) => {
        &[$((
            concat!("contracts/", $dataset, ".odcs.yaml"),
            include_str!(concat!("../../../contracts/", $dataset, ".odcs.yaml")),
        )),*]
    };
}

/// The shop's contracts, as they are in the folder `contracts`.
const SHOP: &[(&str, &str)] = built_in![
    "ad_events",
    "customers",
    "order_items",
    "orders",
    "payments",
    "products",
    "refunds",
    "social_posts",
    "web_requests",
];

/// A lake, and where it is.
pub struct Session {
    /// The lake.
    pub lake: Lake,
    place: Place,
}

/// Where a lake is.
pub enum Place {
    /// In a folder.
    Folder(LocalLake),
    /// On AWS.
    Aws(Box<Remote>),
}

impl Session {
    /// The folder of the lake; None where it is on AWS.
    pub fn folder(&self) -> Option<&LocalLake> {
        match &self.place {
            Place::Folder(local) => Some(local),
            Place::Aws(_) => None,
        }
    }

    /// The lake on AWS; None where it is in a folder.
    pub fn remote(&self) -> Option<&Remote> {
        match &self.place {
            Place::Folder(_) => None,
            Place::Aws(remote) => Some(remote.as_ref()),
        }
    }

    /// Where it is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Where the lake is, for people.
    pub fn name(&self) -> String {
        match &self.place {
            Place::Folder(local) => local.root().display().to_string(),
            Place::Aws(_) => self.lake.objects.uri(layout::RAW),
        }
    }
}

/// The contracts that `--contracts` names, or the shop's.
///
/// # Errors
/// `BadContract` with every fault of every file.
pub fn contracts(global: &Global) -> Result<Contracts> {
    match &global.contracts {
        Some(folder) => load_dir(folder).map_err(|faults| bad_contracts(&faults)),
        None => built_in_contracts(),
    }
}

/// The shop's contracts.
pub fn built_in_contracts() -> Result<Contracts> {
    load_texts(SHOP).map_err(|faults| bad_contracts(&faults))
}

fn bad_contracts(faults: &[Diagnostic]) -> Error {
    let list: Vec<String> = faults.iter().map(ToString::to_string).collect();
    Error::new(
        ErrorKind::BadContract,
        format!(
            "the contracts have mistakes, so nothing was done\n{}",
            list.join("\n")
        ),
    )
}

fn in_folder(local: LocalLake, contracts: Contracts) -> Session {
    let lake = Lake::new(
        local.objects(),
        local.catalog(),
        local.ledger(),
        contracts,
        &local.scratch(),
    )
    .with_keys(local.keys());
    Session {
        lake,
        place: Place::Folder(local),
    }
}

async fn on_aws(global: &Global) -> Result<Session> {
    let remote = Remote::open(global.env.as_deref(), contracts(global)?).await?;
    Ok(Session {
        lake: remote.lake().clone(),
        place: Place::Aws(Box::new(remote)),
    })
}

/// Opens the lake, which must exist.
pub async fn open(global: &Global) -> Result<Session> {
    if global.is_on_aws() {
        return on_aws(global).await;
    }
    let contracts = contracts(global)?;
    Ok(in_folder(LocalLake::open(&global.lake())?, contracts))
}

/// Opens the lake; one in a folder is made where it does not exist.
pub async fn create(global: &Global) -> Result<Session> {
    if global.is_on_aws() {
        return on_aws(global).await;
    }
    let contracts = contracts(global)?;
    Ok(in_folder(LocalLake::create(&global.lake())?, contracts))
}

/// An empty lake in a temporary folder, which is there as long as the folder is held.
pub fn scratch(global: &Global) -> Result<(Session, TempDir)> {
    let folder = tempfile::tempdir().map_err(|error| {
        Error::new(ErrorKind::Storage, "a temporary folder cannot be made").with_source(error)
    })?;
    let local = LocalLake::create(folder.path())?;
    Ok((in_folder(local, contracts(global)?), folder))
}

/// The lake in a folder, made where it does not exist.
///
/// # Errors
/// `BadRequest` where the lake on AWS is asked for.
pub fn create_folder(global: &Global, command: &str) -> Result<(Session, LocalLake)> {
    if global.is_on_aws() {
        return Err(Error::new(
            ErrorKind::BadRequest,
            format!("tarn {command} works on a lake in a folder only; leave --aws and --env out"),
        ));
    }
    let contracts = contracts(global)?;
    let local = LocalLake::create(&global.lake())?;
    Ok((in_folder(local.clone(), contracts), local))
}

/// The lake in a folder, made where it does not exist, with contracts that the program brings.
///
/// # Errors
/// `BadContract` with every fault of the contracts; `Storage` where the folder cannot be made.
pub fn create_with(folder: &Path, texts: &[(&str, &str)]) -> Result<(Session, LocalLake)> {
    let contracts = load_texts(texts).map_err(|faults| bad_contracts(&faults))?;
    let local = LocalLake::create(folder)?;
    Ok((in_folder(local.clone(), contracts), local))
}

/// A path for people: relative to the working folder where it is below it.
pub fn shown(path: &Path) -> String {
    std::env::current_dir()
        .ok()
        .and_then(|folder| {
            path.strip_prefix(folder)
                .ok()
                .map(|rest| format!("./{}", rest.display()))
        })
        .unwrap_or_else(|| path.display().to_string())
}
