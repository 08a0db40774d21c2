//! The layout: which crate names which, and that modules import in one direction.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::lake::root;
use crate::layers::{members, sources};

/// Every member with the members that it names outside its tests, from the bottom up: each names only
/// members above it.
const EDGES: [(&str, &str); 21] = [
    ("core", ""),
    ("contract", "core"),
    ("quality", "core contract"),
    ("rows", "core contract"),
    ("engine", "core contract rows"),
    ("table", "core contract"),
    ("query", "core contract rows table"),
    ("aws", "core"),
    ("local", "core"),
    ("lake", "core contract quality engine table query"),
    ("sample", "core"),
    ("api", "core contract table query lake"),
    ("archive", "core contract rows lake"),
    ("ingest", "core contract rows engine table query lake"),
    ("maintain", "core table lake"),
    ("marts", "core contract engine table lake"),
    (
        "quality-function",
        "core contract quality engine table lake",
    ),
    (
        "bootstrap",
        "core contract aws table query lake api archive ingest maintain marts quality-function",
    ),
    (
        "tarn",
        "core contract quality rows engine table query aws local lake sample api archive ingest maintain marts \
         quality-function",
    ),
    ("tests", ""),
    ("xtask", "contract"),
];

/// Heavy dependencies, by the beginning of their names, and the one member that may name each.
const OWNERS: [(&str, &str); 5] = [
    ("datafusion", "query"),
    ("polars", "engine"),
    ("iceberg", "table"),
    ("parquet", "table"),
    ("aws-", "aws"),
];

/// What the members at the bottom must not name.
const BARRED: [(&str, &[&str]); 4] = [
    ("core", &["tokio", "rusqlite"]),
    ("contract", &["tokio", "rusqlite"]),
    ("quality", &["tokio", "rusqlite"]),
    ("rows", &["tokio"]),
];

/// The modules of the crates that hold most of the code, in the order of their imports: each names only
/// modules before it. Folders within them are free of circles as well.
const ORDER: [(&str, &str); 10] = [
    (
        "core",
        "backoff error digest schema calendar layout content privacy profile rule_id run feedback text ports ports_suite",
    ),
    (
        "contract",
        "sql metric check threshold kinds rule detector monitor service_level key_pattern log_format snapshot_time contract \
         demands diagnostic name parse diff propose natural draft quarantine page",
    ),
    (
        "quality",
        "statistics holt_winters anomaly measure result history service_level score watch report summary",
    ),
    (
        "rows",
        "column display reason batch source profile check impute protect infer drift system_columns quarantine planned",
    ),
    (
        "engine",
        "columns scan parquet remove records table_rules ingest upsert marts inspect",
    ),
    (
        "query",
        "types names files memory threads stop pruning footers scan lateral dialect functions exact error value answer format \
         session engine",
    ),
    (
        "table",
        "change version partition data_file store schema table files tables footer columns writer commit maintain relocate verify",
    ),
    (
        "aws",
        "settings failure https catalog keys ledger objects queue stream stream_reader",
    ),
    (
        "local",
        "failure private files frozen key lock staging install db known roots store catalog objects checked keys \
         ledger list lost put tidy",
    ),
    (
        "lake",
        "commit damage files freshness identifiers keys redelivery relation",
    ),
];

fn short(name: &str) -> &str {
    name.strip_prefix("tarn-").unwrap_or(name)
}

/// A package's name without the prefix that all members share.
fn name_of(package: &Value) -> &str {
    short(package["name"].as_str().unwrap())
}

fn member(name: &str) -> &'static Value {
    members().find(|package| name_of(package) == name).unwrap()
}

/// What a package names in its manifest, with or without what only its tests use.
fn dependencies(package: &Value, of_tests: bool) -> BTreeSet<&str> {
    package["dependencies"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|dependency| of_tests || dependency["kind"] != "dev")
        .map(|dependency| dependency["name"].as_str().unwrap())
        .collect()
}

#[test]
fn each_crate_names_the_crates_that_the_layout_allows() {
    let listed: BTreeSet<&str> = EDGES.iter().map(|(name, _)| *name).collect();
    let present: BTreeSet<&str> = members().map(name_of).collect();
    assert_eq!(present, listed, "the table lists every member");
    for (place, (name, allowed)) in EDGES.iter().enumerate() {
        let allowed: BTreeSet<&str> = allowed.split_whitespace().collect();
        for edge in &allowed {
            let above = EDGES[..place].iter().any(|(above, _)| above == edge);
            assert!(above, "{name} names {edge}, which is not above it");
        }
        let named: BTreeSet<&str> = dependencies(member(name), false)
            .into_iter()
            .filter_map(|name| name.strip_prefix("tarn-"))
            .collect();
        assert_eq!(
            named, allowed,
            "{name} names other crates than the layout says"
        );
    }
}

#[test]
fn heavy_dependencies_are_named_by_one_crate_each() {
    for package in members() {
        let member = name_of(package);
        for name in dependencies(package, true) {
            for (heavy, owner) in OWNERS {
                assert!(
                    !name.starts_with(heavy) || member == owner,
                    "{member} names {name}, which is {owner}'s"
                );
            }
        }
    }
}

#[test]
fn the_crates_at_the_bottom_know_no_runtime() {
    for (name, barred) in BARRED {
        let names = dependencies(member(name), false);
        for heavy in barred {
            assert!(!names.contains(heavy), "{name} names {heavy}");
        }
    }
}

/// The text of a source file without comments and without tests.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let text = match text.find("#[cfg(test)]\nmod tests {") {
        Some(begin) => &text[..begin],
        None => &text,
    };
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// The names that a `use` path or an expression has after `crate` or `super`: one path per item of
/// braces.
fn paths(code: &str, from: &[String]) -> Vec<Vec<String>> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    for (begin, _) in code
        .match_indices("crate::")
        .chain(code.match_indices("super::"))
    {
        if code[..begin].ends_with(|c: char| is_name(c) || c == ':') {
            continue;
        }
        let mut rest = &code[begin..];
        let mut base: Vec<String> = Vec::new();
        if let Some(tail) = rest.strip_prefix("crate::") {
            rest = tail;
        } else {
            base = from.to_vec();
            while let Some(tail) = rest.strip_prefix("super::") {
                base.pop();
                rest = tail;
            }
        }
        loop {
            let end = rest.find(|c: char| !is_name(c)).unwrap_or(rest.len());
            let Some(tail) = rest[end..].strip_prefix("::").filter(|_| end > 0) else {
                break;
            };
            base.push(rest[..end].to_owned());
            rest = tail;
        }
        let items = match rest.strip_prefix('{') {
            Some(list) => {
                let mut depth = 1;
                let end = list.find(|c| {
                    depth += i32::from(c == '{') - i32::from(c == '}');
                    depth == 0
                });
                let list = &list[..end.unwrap()];
                let mut depth = 0;
                list.split(|c| {
                    depth += i32::from(c == '{') - i32::from(c == '}');
                    c == ',' && depth == 0
                })
                .map(str::trim)
                .collect()
            }
            None => {
                let end = rest.find(|c: char| !is_name(c) && c != ':');
                vec![&rest[..end.unwrap_or(rest.len())]]
            }
        };
        for item in items {
            let names = item.split("::").map(|name| {
                let end = name.find(|c: char| !is_name(c)).unwrap_or(name.len());
                name[..end].to_owned()
            });
            found.push(base.iter().cloned().chain(names).collect());
        }
    }
    found
}

type Module = Vec<String>;

fn names(path: &Path) -> Module {
    path.iter()
        .map(|name| name.to_str().unwrap().to_owned())
        .collect()
}

/// The modules of a crate by their path, each with the modules that it names.
fn imports(krate: &str) -> BTreeMap<Module, BTreeSet<Module>> {
    let source = root().join("crates").join(krate).join("src");
    let mut files = Vec::new();
    let mut of_tests = BTreeSet::new();
    for path in sources(&source) {
        let relative = path.strip_prefix(&source).unwrap().with_extension("");
        let mut module = names(&relative);
        module.pop_if(|name| ["mod", "lib"].contains(&name.as_str()));
        // `#[cfg(test)] mod name;`, or with the path of its file.
        let text = std::fs::read_to_string(&path).unwrap();
        for part in text.split("#[cfg(test)]\n").skip(1) {
            let mut lines = part.lines().map(str::trim);
            let first = lines.next().unwrap_or_default();
            if let Some(file) = first.strip_prefix("#[path = \"") {
                let file = file.strip_suffix(".rs\"]").unwrap();
                let beside = relative.with_file_name(file);
                of_tests.insert(names(&beside));
            } else if let Some(name) = first
                .strip_prefix("mod ")
                .and_then(|rest| rest.strip_suffix(';'))
            {
                let mut below = module.clone();
                below.push(name.to_owned());
                of_tests.insert(below);
            }
        }
        files.push((module, path));
    }
    files.retain(|(module, _)| !(1..=module.len()).any(|end| of_tests.contains(&module[..end])));
    let known: BTreeSet<Module> = files.iter().map(|(module, _)| module.clone()).collect();
    files
        .iter()
        .map(|(module, path)| {
            let named = paths(&code(path), module)
                .into_iter()
                .filter_map(|mut path| {
                    while !path.is_empty() && !known.contains(&path) {
                        path.pop();
                    }
                    (!path.is_empty() && path != *module).then_some(path)
                })
                .collect();
            (module.clone(), named)
        })
        .collect()
}

/// The modules directly below a folder, each with the siblings that it names.
fn siblings(
    imports: &BTreeMap<Module, BTreeSet<Module>>,
    folder: &[String],
) -> BTreeMap<String, BTreeSet<String>> {
    let child = |module: &Module| {
        module
            .strip_prefix(folder)
            .and_then(|rest| rest.first().cloned())
    };
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (module, named) in imports {
        let Some(own) = child(module) else { continue };
        let others = named.iter().filter_map(child).filter(|other| *other != own);
        edges.entry(own.clone()).or_default().extend(others);
    }
    edges
}

#[test]
fn modules_import_in_the_order_of_the_layout() {
    for (krate, order) in ORDER {
        let order: Vec<&str> = order.split_whitespace().collect();
        let edges = siblings(&imports(krate), &[]);
        let present: BTreeSet<&str> = edges.keys().map(String::as_str).collect();
        let listed: BTreeSet<&str> = order.iter().copied().collect();
        assert_eq!(present, listed, "the order of {krate} lists every module");
        for (module, named) in &edges {
            let place = |name: &str| order.iter().position(|other| *other == name);
            for other in named {
                assert!(
                    place(other) < place(module),
                    "{krate}: {module} names {other}, which comes after it"
                );
            }
        }
    }
}

#[test]
fn no_folder_has_modules_that_name_one_another_in_a_circle() {
    for (krate, _) in ORDER {
        let imports = imports(krate);
        assert!(imports.len() > 5, "{krate}: {}", imports.len());
        let folders: BTreeSet<&[String]> = imports
            .keys()
            .filter_map(|module| Some(module.split_last()?.1))
            .collect();
        for folder in folders {
            let mut edges = siblings(&imports, folder);
            // A module that names none of the remaining ones is removed; what remains at the end is a
            // circle.
            while let Some(free) = edges
                .iter()
                .find(|(_, named)| named.iter().all(|other| !edges.contains_key(other)))
                .map(|(module, _)| module.clone())
            {
                edges.remove(&free);
            }
            assert!(edges.is_empty(), "{krate}/{}: {edges:?}", folder.join("/"));
        }
    }
}

#[test]
fn imports_are_found_in_every_form() {
    let from: Module = ["a", "b"].map(str::to_owned).into();
    let code =
        "use crate::{c::{d, E}, f};\nuse super::super::g;\nlet x = crate::h::i(super::j::K);";
    let found: Vec<String> = paths(code, &from)
        .iter()
        .map(|path| path.join("/"))
        .collect();
    assert_eq!(found, ["c/", "f", "h/i", "g", "a/j/K"]);
}

#[test]
fn the_map_of_the_code_names_every_module() {
    let map = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for krate in [
        "core", "contract", "quality", "rows", "engine", "table", "query", "local", "aws",
    ] {
        let (_, section) = map.split_once(&format!("\n### {krate}\n")).unwrap();
        let section = section.split("\n### ").next().unwrap();
        let rows = section.lines().filter(|line| line.starts_with("| `"));
        let named: BTreeSet<&str> = rows
            .filter_map(|row| row.split(" | ").next())
            .flat_map(|cell| cell.split('`').skip(1).step_by(2))
            .collect();
        let imports = imports(krate);
        let present: BTreeSet<&str> = imports
            .keys()
            .filter_map(|module| Some(module.first()?.as_str()))
            .collect();
        assert_eq!(named, present, "{krate}");
    }
    assert!(map.lines().count() < 250, "a map is short");
}
