//! The modules as files: complete, described, and tested by `terraform test`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::terraform::{Copy, root};

fn modules() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(root().join("terraform/modules"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    found.sort();
    assert!(found.len() > 10);
    found
}

fn environments() -> Vec<PathBuf> {
    ["dev", "local", "prod"]
        .iter()
        .map(|name| root().join("infra").join(name))
        .collect()
}

/// The blocks `kind "name" { … }` of a file that `terraform fmt` has formatted.
fn blocks(file: &Path, kind: &str) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(file).unwrap();
    let mut found = BTreeMap::new();
    let start = format!("{kind} \"");
    for part in text.split("\n}\n") {
        if let Some(at) = part
            .find(&start)
            .filter(|at| *at == 0 || part[..*at].ends_with('\n'))
        {
            let rest = &part[at + start.len()..];
            let name = rest.split('"').next().unwrap().to_owned();
            found.insert(name, rest.to_owned());
        }
    }
    found
}

#[test]
fn every_module_has_its_files() {
    for module in modules() {
        for file in [
            "main.tf",
            "variables.tf",
            "outputs.tf",
            "versions.tf",
            "README.md",
        ] {
            assert!(module.join(file).is_file(), "{}/{file}", module.display());
        }
        let tests = std::fs::read_dir(module.join("tests"))
            .map(|entries| entries.count())
            .unwrap_or(0);
        assert!(tests > 0, "{} has no tests", module.display());
        let text = std::fs::read_to_string(module.join("README.md")).unwrap();
        let name = module.file_name().unwrap().to_string_lossy();
        assert!(text.starts_with(&format!("# {name}\n")), "{name}/README.md");
    }
}

#[test]
fn every_variable_is_typed_and_described_and_every_output_described() {
    let mut seen = 0;
    for folder in modules().into_iter().chain(environments()) {
        for (name, block) in blocks(&folder.join("variables.tf"), "variable") {
            seen += 1;
            for argument in ["type ", "description = "] {
                assert!(
                    block
                        .lines()
                        .any(|line| line.trim_start().starts_with(argument)),
                    "{} {name} has no {argument}",
                    folder.display()
                );
            }
        }
        for (name, block) in blocks(&folder.join("outputs.tf"), "output") {
            seen += 1;
            assert!(
                block.contains("\n  description = "),
                "{} {name}",
                folder.display()
            );
        }
    }
    assert!(seen > 150, "{seen} variables and outputs");
}

/// Modules are never applied by themselves: providers and backends belong to the roots.
#[test]
fn modules_have_no_provider_and_roots_have_no_resource() {
    for module in modules() {
        for entry in std::fs::read_dir(&module).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "tf") {
                assert!(blocks(&path, "provider").is_empty(), "{}", path.display());
            }
        }
    }
    for environment in environments() {
        let main = environment.join("main.tf");
        assert!(blocks(&main, "resource").is_empty(), "{}", main.display());
        assert_eq!(blocks(&main, "module").len(), 1, "{}", main.display());
    }
}

#[test]
fn all_roots_have_the_same_outputs() {
    let outputs = |environment: &str| {
        blocks(
            &root().join("infra").join(environment).join("outputs.tf"),
            "output",
        )
        .into_keys()
        .collect::<Vec<_>>()
    };
    let lake: Vec<String> = blocks(&root().join("terraform/modules/lake/outputs.tf"), "output")
        .into_keys()
        .collect();
    for environment in ["dev", "prod"] {
        assert_eq!(outputs(environment), lake, "{environment}");
    }
    // Only the emulator's address is added.
    let local: Vec<String> = outputs("local")
        .into_iter()
        .filter(|name| name != "endpoint")
        .collect();
    assert_eq!(local, lake);
}

/// Terraform silently drops attributes that a type does not name, so a missing one would be ignored.
#[test]
fn a_package_is_named_alike_in_roots_and_modules() {
    let package = |folder: PathBuf| {
        let mut variables = blocks(&folder.join("variables.tf"), "variable");
        let block = variables.remove("package").expect("a package");
        let kind = block.find("\n  type = object(").expect("its type");
        let end = kind + block[kind..].find("\n  })").expect("its end");
        let rules = block.find("\n  validation").map_or("", |at| &block[at..]);
        (block[kind..end].to_owned(), rules.to_owned())
    };
    let (kind, rules) = package(root().join("terraform/modules/function"));
    assert_eq!(kind.matches("optional(string)").count(), 5);
    let lake = package(root().join("terraform/modules/lake"));
    assert_eq!(lake, (kind.clone(), rules));
    for environment in environments() {
        assert_eq!(
            package(environment.clone()).0,
            kind,
            "{}",
            environment.display()
        );
    }
}

fn test(module: &str) {
    let copy = Copy::new();
    let folder = format!("terraform/modules/{module}");
    // The provider that the roots lock.
    std::fs::copy(
        copy.path("infra/dev/.terraform.lock.hcl"),
        copy.path(&folder).join(".terraform.lock.hcl"),
    )
    .unwrap();
    copy.succeed(&folder, &["init", "-input=false", "-no-color"]);
    // This fails for everything that `terraform validate` refuses, and starts the provider only once.
    let output = copy.succeed(&folder, &["test", "-no-color"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("Success!"), "{module}: {text}");
    assert!(text.contains(", 0 failed"), "{module}: {text}");
}

macro_rules! tested_modules {
    ($($test:ident $module:literal;)*) => {
        $(
            #[test]
            #[ignore = "needs terraform; run by cargo xtask test"]
            fn $test() {
                test($module);
            }
        )*

        #[test]
        fn every_module_is_tested() {
            let tested = vec![$($module),*];
            for module in modules() {
                let name = module.file_name().unwrap().to_string_lossy().into_owned();
                assert!(tested.contains(&name.as_str()), "{name}");
            }
        }
    };
}

tested_modules! {
    the_module_access_passes_its_tests "access";
    the_module_api_passes_its_tests "api";
    the_module_athena_passes_its_tests "athena";
    the_module_budget_passes_its_tests "budget";
    the_module_catalog_passes_its_tests "catalog";
    the_module_dead_letter_queue_passes_its_tests "dead-letter-queue";
    the_module_function_passes_its_tests "function";
    the_module_key_passes_its_tests "key";
    the_module_lake_passes_its_tests "lake";
    the_module_ledger_passes_its_tests "ledger";
    the_module_monitoring_passes_its_tests "monitoring";
    the_module_object_events_passes_its_tests "object-events";
    the_module_queue_passes_its_tests "queue";
    the_module_schedule_passes_its_tests "schedule";
    the_module_secret_passes_its_tests "secret";
    the_module_storage_passes_its_tests "storage";
    the_module_stream_passes_its_tests "stream";
}
