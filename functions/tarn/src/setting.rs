//! The lake and the contracts that a command works with.

use std::path::Path;

use tarn_core::contract::{Contracts, Diagnostic, load_dir, load_texts};
use tarn_core::{Error, ErrorKind, Result};
use tarn_lake::Lake;
use tarn_local::LocalLake;

use crate::cli::Global;

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

/// A lake in a folder, and where it is.
pub struct Setting {
    /// The lake.
    pub lake: Lake,
    /// Its folder.
    pub local: LocalLake,
}

/// The contracts that `--contracts` names, or the shop's.
///
/// # Errors
/// `BadContract` with every fault of every file.
pub fn contracts(global: &Global) -> Result<Contracts> {
    let loaded = match &global.contracts {
        Some(folder) => load_dir(folder),
        None => load_texts(SHOP),
    };
    loaded.map_err(|faults| bad_contracts(&faults))
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

fn setting(local: LocalLake, contracts: Contracts) -> Setting {
    let lake = Lake::new(
        local.objects(),
        local.catalog(),
        local.ledger(),
        contracts,
        &local.scratch(),
    );
    Setting { lake, local }
}

/// Opens the lake, which must exist.
pub fn open(global: &Global) -> Result<Setting> {
    let contracts = contracts(global)?;
    Ok(setting(LocalLake::open(&global.lake)?, contracts))
}

/// Opens the lake, making it where it does not exist.
pub fn create(global: &Global) -> Result<Setting> {
    let contracts = contracts(global)?;
    Ok(setting(LocalLake::create(&global.lake)?, contracts))
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
