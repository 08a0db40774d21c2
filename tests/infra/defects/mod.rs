//! Seeded defects: each is one possible mistake, and a check has to find it. A check that never finds a
//! mistake would be worthless.

mod access;
mod data;
mod documents;
mod edges;
mod limits;
mod watch;

use serde_json::{Value, json};

use crate::checks;
use crate::plan::{self, Plan};
use crate::terraform::Copy;

/// What is wrong, the check that has to say so, and the change of the plan of prod.
pub type Defect = (&'static str, &'static str, Edit);

/// Changes one thing in a plan; resources are named by their address.
pub enum Edit {
    /// Sets an argument of a resource.
    Set(String, &'static str, Value),
    /// Takes a resource out.
    Remove(String),
    /// Changes a policy's text.
    Policy(String, &'static str, &'static str),
    /// Adds a resource of a kind.
    Add(&'static str, &'static str, Value),
}

fn set(address: impl Into<String>, pointer: &'static str, new: Value) -> Edit {
    Edit::Set(address.into(), pointer, new)
}

fn remove(address: impl Into<String>) -> Edit {
    Edit::Remove(address.into())
}

fn policy(address: impl Into<String>, old: &'static str, new: &'static str) -> Edit {
    Edit::Policy(address.into(), old, new)
}

fn add(kind: &'static str, address: &'static str, values: Value) -> Edit {
    Edit::Add(kind, address, values)
}

/// The raw bucket's resource of a kind.
fn bucket(kind: &str) -> String {
    format!("module.lake.module.storage.aws_s3_bucket_{kind}.this[\"raw\"]")
}

/// The policy of a function's role.
fn role(name: &str) -> String {
    format!("module.lake.module.function[\"{name}\"].aws_iam_role_policy.this")
}

fn function(name: &str) -> String {
    format!("module.lake.module.function[\"{name}\"].aws_lambda_function.this")
}

fn defects() -> Vec<Defect> {
    [
        access::all(),
        data::all(),
        documents::all(),
        edges::all(),
        limits::all(),
        watch::all(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn change<'a>(json: &'a mut Value, address: &str) -> &'a mut Value {
    json["resource_changes"]
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .find(|change| change["address"] == address)
        .unwrap_or_else(|| panic!("the plan has no {address}"))
}

fn replace(values: &mut Value, pointer: &str, new: Value) {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = values
        .pointer_mut(parent)
        .unwrap_or_else(|| panic!("no {parent}"));
    assert_ne!(
        parent.get(name),
        Some(&new),
        "{pointer} is like that already"
    );
    match parent {
        Value::Object(map) => {
            map.insert(name.to_owned(), new);
        }
        Value::Array(list) => list[name.parse::<usize>().unwrap()] = new,
        _ => panic!("{pointer} is in nothing"),
    }
}

fn apply(json: &mut Value, edit: &Edit) {
    match edit {
        Edit::Set(address, pointer, new) => {
            replace(
                &mut change(json, address)["change"]["after"],
                pointer,
                new.clone(),
            );
        }
        Edit::Remove(address) => {
            let changes = json["resource_changes"].as_array_mut().unwrap();
            let before = changes.len();
            changes.retain(|change| change["address"] != *address);
            assert_eq!(changes.len() + 1, before, "the plan has no {address}");
        }
        Edit::Policy(address, old, new) => {
            let after = &mut change(json, address)["change"]["after"];
            let name = if after["assume_role_policy"].is_string() {
                "assume_role_policy"
            } else {
                "policy"
            };
            let text = after[name].as_str().unwrap().to_owned();
            assert!(text.contains(old), "{address} has no {old} in {text}");
            after[name] = Value::String(text.replace(old, new));
        }
        Edit::Add(kind, address, after) => {
            json["resource_changes"]
                .as_array_mut()
                .unwrap()
                .push(json!({
                    "address": address, "mode": "managed", "type": kind,
                    "change": {"after": after, "after_unknown": {}}
                }));
        }
    }
}

#[test]
#[ignore = "needs terraform; run by cargo xtask test"]
fn each_seeded_defect_is_found_by_its_check() {
    let sound = plan::of("prod");
    let mut missed = Vec::new();
    for (what, check, edit) in defects() {
        let mut plan = Plan {
            environment: sound.environment,
            account: sound.account,
            json: sound.json.clone(),
        };
        apply(&mut plan.json, &edit);
        let (_, run) = checks::ALL.iter().find(|(name, _)| *name == check).unwrap();
        let before = run(sound);
        let found = run(&plan);
        if found.iter().all(|finding| before.contains(finding)) {
            missed.push(format!("{what}: not found by \"{check}\" ({found:?})"));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn every_check_has_a_defect_that_it_finds() {
    let defects = defects();
    assert!(defects.len() >= 30);
    for (name, _) in checks::ALL {
        assert!(
            defects.iter().any(|(_, check, _)| check == name),
            "no defect is seeded for \"{name}\""
        );
    }
    for (what, check, _) in &defects {
        assert!(
            checks::ALL.iter().any(|(name, _)| name == check),
            "{what}: there is no check \"{check}\""
        );
    }
}

/// Mistakes in the modules themselves, from the file to the finding.
#[test]
#[ignore = "needs terraform; run by cargo xtask test"]
fn a_defect_in_a_module_reaches_the_plan_and_its_check() {
    let copy = Copy::new();
    let edits = [
        (
            "terraform/modules/dead-letter-queue/main.tf",
            "jsonencode({ redrivePermission = \"denyAll\" })",
            "jsonencode({ redrivePermission = \"denyAll\", sourceQueueArns = null })",
            "no document has a null",
        ),
        (
            "terraform/modules/stream/main.tf",
            "  bisect_batch_on_function_error     = true\n",
            "",
            "records of the stream are tried until they are old, and then reported",
        ),
        (
            "terraform/modules/storage/main.tf",
            "    bucket_key_enabled = true\n",
            "    bucket_key_enabled = false\n",
            "buckets are encrypted with the data key",
        ),
        (
            "terraform/modules/lake/permissions.tf",
            "  read_objects  = [\"s3:GetObject\"]",
            "  read_objects  = [\"s3:GetObject\", \"s3:PutObject\"]",
            "functions write only their own zones",
        ),
        (
            "terraform/modules/lake/main.tf",
            "  key_arn             = module.data_key.arn\n  deletion_protection",
            "  key_arn             = module.operations_key.arn\n  deletion_protection",
            "the ledger is encrypted and restorable",
        ),
        (
            "terraform/modules/api/main.tf",
            "local.jwt ? \"JWT\" : \"AWS_IAM\"",
            "local.jwt ? \"JWT\" : \"NONE\"",
            "no route is open but health",
        ),
        (
            "terraform/modules/lake/operations.tf",
            "      archive = module.stream.dead_letter_name\n",
            "",
            "dead-letter queues have an alarm",
        ),
    ];
    for (file, old, new, _) in &edits {
        copy.edit(file, old, new);
    }
    let plan = Plan {
        environment: "prod",
        account: crate::terraform::ACCOUNT,
        json: copy.plan("prod", true),
    };
    let found = checks::findings(&plan);
    for (file, _, _, check) in edits {
        assert!(
            found.iter().any(|(name, _)| *name == check),
            "{file}: not found by \"{check}\""
        );
    }
}
