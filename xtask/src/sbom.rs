//! The bill of materials (SBOM) of the command line, as CycloneDX 1.6 JSON
//! (<https://cyclonedx.org/docs/1.6/json/>).
//!
//! Three sources: `cargo tree` knows which crates are compiled into the binary, `cargo metadata` their
//! licences and where they are from, Cargo.lock their checksums. `cargo metadata` alone would list too
//! much: it resolves one set of features for the whole workspace, and names crates that only tests or
//! build scripts enable. Build scripts, procedural macros, and crates that only these use are not in
//! the binary and are not listed.
//!
//! The same commit gives the same bytes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::package::RELEASE;
use crate::process::{self, cargo};
use crate::{Outcome, root};

/// Where Cargo.lock says that a crate of crates.io is from.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// What a bill is made from.
struct Sources<'a> {
    /// `cargo metadata`: licences and where crates are from.
    metadata: &'a Value,
    /// `cargo tree --prefix depth --format ' {p}'`: what is compiled in, and what uses what.
    tree: &'a str,
    /// Cargo.lock: checksums.
    lock: &'a str,
    /// Rust's name of the target.
    target: &'a str,
    /// Time of the commit in UTC, where there is one.
    built: Option<&'a str>,
}

/// A crate by name and version, which together name it in Cargo.lock.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Crate {
    name: String,
    version: String,
}

/// What `cargo tree` shows: the crate at the root, and what each crate uses itself.
struct Tree {
    root: Crate,
    uses: BTreeMap<Crate, BTreeSet<Crate>>,
}

/// What is known of a crate that is compiled in.
struct Facts {
    /// Its name within the bill: the package URL where it has one.
    reference: String,
    licence: String,
    /// SHA-256 of the archive at crates.io; None for the workspace's own crates.
    checksum: Option<String>,
}

/// The bill of the command line for a target, as text.
pub fn command_line(target: &str) -> Outcome<String> {
    let metadata = process::capture(
        "cargo metadata",
        &mut cargo(&[
            "metadata",
            "--format-version=1",
            "--locked",
            "--all-features",
            "--filter-platform",
            target,
        ]),
    )?;
    let metadata: Value =
        serde_json::from_slice(&metadata).map_err(|error| format!("cargo metadata: {error}"))?;
    let tree = process::capture(
        "cargo tree",
        cargo(&["tree", "--locked", "--edges=normal,no-proc-macro"])
            .args(["--prefix=depth", "--format= {p}", "--target", target])
            .args(RELEASE),
    )?;
    let lock = root().join("Cargo.lock");
    let bill = bill(&Sources {
        metadata: &metadata,
        tree: &String::from_utf8_lossy(&tree),
        lock: &std::fs::read_to_string(&lock)
            .map_err(|error| format!("{}: {error}", lock.display()))?,
        target,
        built: commit_time().as_deref(),
    })?;
    Ok(format!("{bill:#}\n"))
}

/// When the commit was made that is checked out, in UTC; None outside a clone.
fn commit_time() -> Option<String> {
    let mut git = std::process::Command::new("git");
    git.arg("-C")
        .arg(root())
        .args(["show", "--no-patch", "--format=%cd"])
        .arg("--date=format-local:%Y-%m-%dT%H:%M:%SZ")
        .env("TZ", "UTC");
    let text = process::capture("git", &mut git).ok()?;
    Some(String::from_utf8_lossy(&text).trim().to_owned())
}

fn bill(sources: &Sources<'_>) -> Outcome<Value> {
    let tree = tree(sources.tree)?;
    let checksums = checksums(sources.lock)?;
    let mut facts = BTreeMap::new();
    for part in tree.uses.keys() {
        facts.insert(part, facts_of(part, sources.metadata, &checksums)?);
    }
    let components: Vec<Value> = facts
        .iter()
        .filter(|(part, _)| ***part != tree.root)
        .map(|(part, facts)| component("library", part, facts))
        .collect();
    let dependencies: Vec<Value> = tree
        .uses
        .iter()
        .map(|(part, used)| {
            let used: Vec<&str> = used.iter().map(|used| &*facts[used].reference).collect();
            json!({ "ref": facts[part].reference, "dependsOn": used })
        })
        .collect();
    let mut metadata = json!({
        "lifecycles": [{ "phase": "build" }],
        "tools": { "components": [{
            "type": "application", "name": "cargo xtask dist", "version": env!("CARGO_PKG_VERSION"),
        }] },
        "component": component("application", &tree.root, &facts[&tree.root]),
        "properties": [{ "name": "tarn:target", "value": sources.target }],
    });
    if let Some(built) = sources.built {
        metadata["timestamp"] = built.into();
    }
    Ok(json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": metadata,
        "components": components,
        "dependencies": dependencies,
    }))
}

fn component(kind: &str, part: &Crate, facts: &Facts) -> Value {
    let mut component = json!({
        "type": kind,
        "bom-ref": facts.reference,
        "name": part.name,
        "version": part.version,
        "licenses": [{ "expression": facts.licence }],
    });
    if let Some(checksum) = &facts.checksum {
        component["purl"] = facts.reference.as_str().into();
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    component
}

/// Reads lines such as `2 serde v1.0.229 (*)`: depth, name, version. The rest of a line does not matter
/// here.
fn tree(text: &str) -> Outcome<Tree> {
    let mut path: Vec<Crate> = Vec::new();
    let mut root: Option<Crate> = None;
    let mut uses: BTreeMap<Crate, BTreeSet<Crate>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let unreadable = || format!("cargo tree: cannot read the line {line:?}");
        let mut words = line.split_whitespace();
        let depth: usize = words
            .next()
            .and_then(|word| word.parse().ok())
            .filter(|depth| *depth <= path.len())
            .ok_or_else(unreadable)?;
        let name = words.next().ok_or_else(unreadable)?.to_owned();
        let version = words
            .next()
            .and_then(|word| word.strip_prefix('v'))
            .ok_or_else(unreadable)?
            .to_owned();
        let part = Crate { name, version };
        path.truncate(depth);
        match path.last() {
            Some(user) => {
                uses.entry(user.clone()).or_default().insert(part.clone());
            }
            // The functions are released with the command line, as if it used them.
            None => match &root {
                Some(root) => {
                    uses.entry(Crate::clone(root))
                        .or_default()
                        .insert(part.clone());
                }
                None => root = Some(part.clone()),
            },
        }
        uses.entry(part.clone()).or_default();
        path.push(part);
    }
    let root = root.ok_or("cargo tree: it named no crate")?;
    Ok(Tree { root, uses })
}

/// The checksums of Cargo.lock.
fn checksums(lock: &str) -> Outcome<BTreeMap<Crate, String>> {
    let lock = toml_edit::Document::parse(lock).map_err(|error| format!("Cargo.lock: {error}"))?;
    let packages = lock
        .get("package")
        .and_then(|packages| packages.as_array_of_tables())
        .ok_or("Cargo.lock: it has no packages")?;
    let text =
        |package: &toml_edit::Table, name: &str| Some(package.get(name)?.as_str()?.to_owned());
    Ok(packages
        .iter()
        .filter_map(|package| {
            let part = Crate {
                name: text(package, "name")?,
                version: text(package, "version")?,
            };
            Some((part, text(package, "checksum")?))
        })
        .collect())
}

fn facts_of(part: &Crate, metadata: &Value, checksums: &BTreeMap<Crate, String>) -> Outcome<Facts> {
    let Crate { name, version } = part;
    let found: Vec<&Value> = metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|package| package["name"] == **name && package["version"] == **version)
        .collect();
    let [package] = found[..] else {
        return Err(format!(
            "{name} {version}: cargo metadata has {} packages of this name and version, not one",
            found.len()
        ));
    };
    let licence = package["license"].as_str().unwrap_or_default();
    if licence.trim().is_empty() {
        return Err(format!(
            "{name} {version} names no licence: find it out before it is shipped"
        ));
    }
    let licence = expression(licence);
    match package["source"].as_str() {
        None => Ok(Facts {
            reference: format!("{name}@{version}"),
            licence,
            checksum: None,
        }),
        Some(CRATES_IO) => Ok(Facts {
            // In a package URL the plus sign of a version is escaped.
            reference: format!("pkg:cargo/{name}@{}", version.replace('+', "%2B")),
            licence,
            checksum: Some(checksums.get(part).cloned().ok_or_else(|| {
                format!("{name} {version} has no checksum in Cargo.lock: run cargo fetch")
            })?),
        }),
        Some(other) => Err(format!(
            "{name} {version} is from {other}: only crates of crates.io and of the workspace can be \
             named by the bill of materials"
        )),
    }
}

/// The licence as an SPDX expression: older crates write `MIT/Apache-2.0` where either may be chosen.
fn expression(licence: &str) -> String {
    licence
        .split('/')
        .map(str::trim)
        .collect::<Vec<_>>()
        .join(" OR ")
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use super::*;

    const SHA: &str = "da7c62ceae207dd37ea5b845da6a0696c799f85e97da1ab5b7910be3c1c80223";

    fn metadata() -> Value {
        let package = |name: &str, version: &str, licence: Value, source: Value| json!({ "name": name, "version": version, "license": licence, "source": source });
        json!({ "packages": [
            package("shop", "0.1.0", "Apache-2.0".into(), Value::Null),
            package("shop-core", "0.1.0", "Apache-2.0".into(), Value::Null),
            package("toml", "1.2.3+spec-1.1.0", "MIT/Apache-2.0".into(), CRATES_IO.into()),
            package("proptest", "1.12.0", "MIT".into(), CRATES_IO.into()),
        ] })
    }

    const TREE: &str = "0 shop v0.1.0 (/src/shop)\n\
                        1 shop-core v0.1.0 (/src/core)\n\
                        2 toml v1.2.3+spec-1.1.0\n\
                        1 toml v1.2.3+spec-1.1.0 (*)\n";

    fn lock() -> String {
        format!(
            "version = 4\n\n[[package]]\nname = \"shop\"\nversion = \"0.1.0\"\n\n\
             [[package]]\nname = \"toml\"\nversion = \"1.2.3+spec-1.1.0\"\n\
             source = \"{CRATES_IO}\"\nchecksum = \"{SHA}\"\n"
        )
    }

    fn made(metadata: &Value, tree: &str, lock: &str) -> Outcome<Value> {
        bill(&Sources {
            metadata,
            tree,
            lock,
            target: "x86_64-unknown-linux-gnu",
            built: Some("2026-11-30T10:00:00Z"),
        })
    }

    #[test]
    fn a_bill_names_what_is_compiled_in_and_what_uses_it() {
        let bill = made(&metadata(), TREE, &lock()).expect("a bill");
        let toml = "pkg:cargo/toml@1.2.3%2Bspec-1.1.0";
        assert_eq!(
            bill,
            json!({
                "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
                "bomFormat": "CycloneDX",
                "specVersion": "1.6",
                "version": 1,
                "metadata": {
                    "timestamp": "2026-11-30T10:00:00Z",
                    "lifecycles": [{ "phase": "build" }],
                    "tools": { "components": [{
                        "type": "application",
                        "name": "cargo xtask dist",
                        "version": env!("CARGO_PKG_VERSION"),
                    }] },
                    "component": {
                        "type": "application",
                        "bom-ref": "shop@0.1.0",
                        "name": "shop",
                        "version": "0.1.0",
                        "licenses": [{ "expression": "Apache-2.0" }],
                    },
                    "properties": [{ "name": "tarn:target", "value": "x86_64-unknown-linux-gnu" }],
                },
                "components": [
                    {
                        "type": "library",
                        "bom-ref": "shop-core@0.1.0",
                        "name": "shop-core",
                        "version": "0.1.0",
                        "licenses": [{ "expression": "Apache-2.0" }],
                    },
                    {
                        "type": "library",
                        "bom-ref": toml,
                        "name": "toml",
                        "version": "1.2.3+spec-1.1.0",
                        "licenses": [{ "expression": "MIT OR Apache-2.0" }],
                        "purl": toml,
                        "hashes": [{ "alg": "SHA-256", "content": SHA }],
                    },
                ],
                "dependencies": [
                    { "ref": "shop@0.1.0", "dependsOn": ["shop-core@0.1.0", toml] },
                    { "ref": "shop-core@0.1.0", "dependsOn": [toml] },
                    { "ref": toml, "dependsOn": [] },
                ],
            })
        );
    }

    #[test]
    fn what_cannot_be_named_rightly_is_refused() {
        let mut without_licence = metadata();
        without_licence["packages"][2]["license"] = Value::Null;
        let mut blank = metadata();
        blank["packages"][2]["license"] = " ".into();
        let mut from_git = metadata();
        from_git["packages"][2]["source"] = "git+https://example.com/toml".into();
        let mut twice = metadata();
        let again = twice["packages"][2].clone();
        twice["packages"]
            .as_array_mut()
            .expect("a list")
            .push(again);
        let unknown = TREE.replace("shop-core", "shop-other");
        let cases = [
            (without_licence, TREE, lock(), "names no licence"),
            (blank, TREE, lock(), "names no licence"),
            (
                from_git,
                TREE,
                lock(),
                "is from git+https://example.com/toml",
            ),
            (twice, TREE, lock(), "has 2 packages"),
            (metadata(), &*unknown, lock(), "has 0 packages"),
            (
                metadata(),
                TREE,
                lock().replace("checksum", "sum"),
                "no checksum",
            ),
            (metadata(), TREE, "package = 1".into(), "has no packages"),
            (metadata(), "", lock(), "named no crate"),
            (metadata(), "0 shop", lock(), "cannot read the line"),
            (metadata(), "1 shop v0.1.0", lock(), "cannot read the line"),
        ];
        for (metadata, tree, lock, expected) in cases {
            let error = made(&metadata, tree, &lock).expect_err(expected);
            assert!(error.contains(expected), "{error}");
        }
    }

    fn texts<'a>(values: &'a Value, field: &str) -> Vec<&'a str> {
        let values = values.as_array().expect("a list");
        let text = |value: &'a Value| value[field].as_str().expect("a text");
        values.iter().map(text).collect()
    }

    /// The bill of this repository, made once.
    fn real() -> &'static Value {
        static REAL: OnceLock<Value> = OnceLock::new();
        REAL.get_or_init(|| {
            let bill = command_line(crate::package::Arch::host().target()).expect("a bill");
            serde_json::from_str(&bill).expect("JSON")
        })
    }

    /// Judged by the text of Cargo.lock, not by what read it above.
    #[test]
    fn every_crate_of_the_real_bill_is_in_the_lock_file_and_has_a_licence() {
        let bill = real();
        let lock = std::fs::read_to_string(root().join("Cargo.lock")).expect("Cargo.lock");
        let components = bill["components"].as_array().expect("components");
        assert!(components.len() > 100, "{}", components.len());
        for component in components {
            let text = |field: &str| component[field].as_str().unwrap_or_default();
            let entry = format!(
                "name = \"{}\"\nversion = \"{}\"\n",
                text("name"),
                text("version")
            );
            assert!(lock.contains(&entry), "{entry}");
            let hash = component["hashes"][0]["content"].as_str();
            if text("name").starts_with("tarn-") {
                assert_eq!((hash, text("purl")), (None, ""), "{entry}");
            } else {
                let hash = hash.expect("a hash");
                let locked = format!("{entry}source = \"{CRATES_IO}\"\nchecksum = \"{hash}\"\n");
                assert!(lock.contains(&locked), "{locked}");
                assert!(text("purl").starts_with("pkg:cargo/"), "{entry}");
            }
            let licence = component["licenses"][0]["expression"]
                .as_str()
                .expect("a licence");
            assert!(
                !licence.is_empty() && !licence.contains('/'),
                "{entry}: {licence}"
            );
        }
    }

    #[test]
    fn the_real_bill_has_what_is_compiled_in_and_nothing_of_tests_and_builds() {
        let bill = real();
        let names = texts(&bill["components"], "name");
        // The command line of a release is the one that also works on AWS.
        for present in [
            "aws-sdk-s3",
            "iceberg",
            "libsqlite3-sys",
            "polars",
            "serde",
            "tarn-aws",
            "tarn-core",
            "tokio",
        ] {
            assert!(names.contains(&present), "{present}");
        }
        for absent in [
            "cc",
            "proptest",
            "serde_derive",
            "syn",
            "tarn",
            "tarn-tests",
            "xtask",
        ] {
            assert!(!names.contains(&absent), "{absent}");
        }
    }

    /// What the schema of CycloneDX demands of the fields that are there.
    #[test]
    fn the_real_bill_keeps_the_rules_of_its_format() {
        let bill = real();
        assert_eq!(bill["bomFormat"], "CycloneDX");
        assert_eq!(bill["specVersion"], "1.6");
        assert!(bill["version"].as_u64() >= Some(1));
        let mut references = texts(&bill["components"], "bom-ref");
        let root = bill["metadata"]["component"]["bom-ref"].as_str();
        references.extend(root);
        let known: BTreeSet<&str> = references.iter().copied().collect();
        assert_eq!(known.len(), references.len(), "a reference is there twice");
        for component in bill["components"].as_array().expect("components") {
            assert_eq!(component["type"], "library");
            for field in ["name", "version", "bom-ref"] {
                assert!(
                    component[field]
                        .as_str()
                        .is_some_and(|text| !text.is_empty())
                );
            }
        }
        // Each has its line among the dependencies, and is reached from the root.
        let mut uses = BTreeMap::new();
        for entry in bill["dependencies"].as_array().expect("dependencies") {
            let used: Vec<&str> = entry["dependsOn"]
                .as_array()
                .expect("a list")
                .iter()
                .map(|used| used.as_str().expect("a reference"))
                .collect();
            assert!(
                uses.insert(entry["ref"].as_str().expect("a reference"), used)
                    .is_none()
            );
        }
        assert_eq!(uses.keys().copied().collect::<BTreeSet<_>>(), known);
        let mut reached = BTreeSet::new();
        let mut open: Vec<&str> = root.into_iter().collect();
        while let Some(next) = open.pop() {
            if reached.insert(next) {
                open.extend(&uses[next]);
            }
        }
        assert_eq!(reached, known);
    }

    #[test]
    fn the_same_commit_gives_the_same_bill_and_names_the_version_that_is_released() {
        let target = crate::package::Arch::host().target();
        assert_eq!(
            command_line(target).expect("a bill"),
            format!(
                "{:#}
",
                real()
            )
        );
        assert_eq!(real()["metadata"]["component"]["name"], "tarn");
        assert_eq!(
            real()["metadata"]["component"]["version"],
            env!("CARGO_PKG_VERSION")
        );
    }
}
