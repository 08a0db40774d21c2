//! Reads contracts in ODCS v3.1.0. Tarn accepts the keys that it can act on and refuses those that would
//! silently do nothing. Every fault of every file is reported at once.

mod column;
mod context;
mod custom;
mod monitor;
mod protection;
mod quality;
mod references;
mod relationship;
mod rule;
mod service_level;
mod table;
mod types;
mod value;
mod yaml;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::rc::Rc;

use self::column::Property;
use self::context::{Context, Foreign, Known};
use self::custom::Custom;
pub(super) use self::quality::COMPARISONS;
use self::table::{
    Source, Table, deduplication, event_time_faults, newest_by, snapshot_time_faults,
};
pub(super) use self::types::encoding_name;
use self::yaml::{Faults, Map, Place, Spanned};
pub(super) use self::yaml::{Node, Value};
use super::{
    Check, Column, Contract, Contracts, Diagnostic, Format, KeyPattern, RowCheck, Rule,
    SnapshotTime, ValueCheck,
};

/// The ending of contract files.
pub const EXTENSION: &str = ".odcs.yaml";

const API_VERSION: &str = "v3.1.0";

/// The keys that ODCS has at the top of a contract.
const CONTRACT_KEYS: &[&str] = &[
    "version",
    "kind",
    "apiVersion",
    "id",
    "name",
    "tenant",
    "tags",
    "status",
    "servers",
    "dataProduct",
    "description",
    "domain",
    "schema",
    "support",
    "price",
    "team",
    "roles",
    "slaDefaultElement",
    "slaProperties",
    "authoritativeDefinitions",
    "customProperties",
    "contractCreatedTs",
];

/// The keys that ODCS gives a schema object.
const SCHEMA_KEYS: &[&str] = &[
    "id",
    "name",
    "physicalType",
    "description",
    "businessName",
    "authoritativeDefinitions",
    "tags",
    "customProperties",
    "logicalType",
    "physicalName",
    "dataGranularityDescription",
    "properties",
    "relationships",
    "quality",
];

/// Reads every `*.odcs.yaml` of a folder; the error is every fault of every file, and of the files
/// taken together: a dataset given twice, raw keys claimed by two formats.
pub fn load_dir(dir: &Path) -> Result<Contracts, Vec<Diagnostic>> {
    let mut faults = Faults::new(&dir.display().to_string());
    let mut paths = Vec::new();
    match fs::read_dir(dir).and_then(Iterator::collect::<std::io::Result<Vec<_>>>) {
        Ok(entries) => paths.extend(entries.into_iter().map(|entry| entry.path())),
        Err(error) => {
            faults.add_whole(
                format!("the folder cannot be read: {error}"),
                "give a folder with contracts by --contracts",
            );
            return Err(faults.list);
        }
    }
    paths.sort();
    let mut outcomes = Vec::new();
    for path in &paths {
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        if name.ends_with(".odcs.yml") {
            let mut faults = Faults::new(&path.display().to_string());
            faults.add_whole(
                "the file would not be read",
                format!("rename it to <dataset>{EXTENSION}"),
            );
            outcomes.push(Outcome {
                faults: faults.list,
                ..Outcome::default()
            });
        } else if name.ends_with(EXTENSION) && !name.starts_with('.') {
            outcomes.push(read_file(path));
        }
    }
    if outcomes.is_empty() {
        faults.add_whole(
            "the folder holds no contract",
            format!("add a file <dataset>{EXTENSION}, or let `tarn contract infer` draft one"),
        );
        return Err(faults.list);
    }
    into_contracts(outcomes)
}

/// Reads contracts from their texts, each with the name of its file for messages; as [`load_dir`].
pub fn load_texts(texts: &[(&str, &str)]) -> Result<Contracts, Vec<Diagnostic>> {
    into_contracts(texts.iter().map(|(file, text)| read(file, text)).collect())
}

fn into_contracts(mut outcomes: Vec<Outcome>) -> Result<Contracts, Vec<Diagnostic>> {
    let mut list: Vec<Diagnostic> = outcomes
        .iter_mut()
        .flat_map(|outcome| std::mem::take(&mut outcome.faults))
        .collect();
    list.extend(conflicts(&outcomes));
    list.extend(references::faults(&outcomes));
    if list.is_empty() {
        return Ok(Contracts::new(
            outcomes.into_iter().filter_map(|outcome| outcome.contract),
        ));
    }
    list.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
    Err(list)
}

/// Reads one contract; the error is every fault of the file.
pub fn parse_file(path: &Path) -> Result<Contract, Vec<Diagnostic>> {
    read_file(path).into_result()
}

/// Reads a contract from its text; `file` is for messages.
pub fn parse_str(file: &str, text: &str) -> Result<Contract, Vec<Diagnostic>> {
    read(file, text).into_result()
}

/// The tree of a contract's text; an error if the text is empty or not YAML.
pub(super) fn document(file: &str, text: &str) -> Result<Rc<Node>, Vec<Diagnostic>> {
    let mut faults = Faults::new(file);
    if let Some(root) = yaml::parse(text, &mut faults) {
        return Ok(root);
    }
    if faults.list.is_empty() {
        empty_file(&mut faults);
    }
    Err(faults.list)
}

fn empty_file(faults: &mut Faults) {
    faults.add(
        Place::START,
        "the file is empty",
        "begin with apiVersion: v3.1.0, or let `tarn contract infer` draft a contract",
    );
}

/// A contract as far as it could be read.
#[derive(Default)]
struct Outcome {
    file: String,
    /// None where there are faults.
    contract: Option<Contract>,
    dataset: Option<Spanned<String>>,
    format: Option<Format>,
    key_pattern: Option<Spanned<KeyPattern>>,
    snapshot_time: Option<Spanned<SnapshotTime>>,
    /// What its rules name of other datasets.
    foreign: Vec<Spanned<Foreign>>,
    faults: Vec<Diagnostic>,
}

impl Outcome {
    fn into_result(self) -> Result<Contract, Vec<Diagnostic>> {
        self.contract.ok_or(self.faults)
    }
}

fn read_file(path: &Path) -> Outcome {
    let file = path.display().to_string();
    let mut faults = Faults::new(&file);
    let fault = match fs::read(path).map(String::from_utf8) {
        Ok(Ok(text)) => return read(&file, &text),
        Ok(Err(error)) => {
            let valid = error
                .as_bytes()
                .get(..error.utf8_error().valid_up_to())
                .unwrap_or_default();
            let line = 1 + valid.iter().filter(|&&byte| byte == b'\n').count();
            faults.add(
                Place { line, column: 1 },
                "this line is not UTF-8",
                "save the file as UTF-8",
            );
            faults
        }
        Err(error) => {
            faults.add_whole(
                format!("the file cannot be read: {error}"),
                "check the path and its permissions",
            );
            faults
        }
    };
    Outcome {
        file,
        faults: fault.list,
        ..Outcome::default()
    }
}

/// Faults that only two files together show.
fn conflicts(outcomes: &[Outcome]) -> Vec<Diagnostic> {
    let mut list = Vec::new();
    let mut datasets: BTreeMap<&str, &Outcome> = BTreeMap::new();
    let mut folders: BTreeMap<(&str, &str), Vec<&Outcome>> = BTreeMap::new();
    for outcome in outcomes {
        let mut faults = Faults::new(&outcome.file);
        if let Some(dataset) = &outcome.dataset {
            if let Some(first) = datasets.get(dataset.value.as_str()) {
                faults.add(
                    dataset.at,
                    format!(
                        "dataset '{}' already has a contract in {}",
                        dataset.value, first.file
                    ),
                    "rename one of the two, or remove one file",
                );
            } else {
                datasets.insert(&dataset.value, outcome);
            }
        }
        if let (Some(pattern), Some(format)) = (&outcome.key_pattern, outcome.format)
            && let Some(folder) = pattern.value.folder()
        {
            let claims = folders.entry(folder).or_default();
            // The tables of a database share its file; any other object has one reader.
            if let Some(first) = claims
                .iter()
                .find(|other| other.format != Some(Format::Sqlite) || format != Format::Sqlite)
            {
                faults.add(
                    pattern.at,
                    format!("the keys of raw/{}/{}/ already belong to {}", folder.0, folder.1, first.file),
                    "give each dataset a folder raw/<source>/<dataset>/ of its own; only tables of one database (sourceFormat sqlite) share theirs",
                );
            }
            // A database has one time, whichever of its tables has it.
            if let Some(time) = &outcome.snapshot_time
                && let Some(first) = claims.iter().find(|other| {
                    let other = other.snapshot_time.as_ref();
                    other.is_some_and(|other| !same_time(&other.value, &time.value))
                })
            {
                faults.add(
                    time.at,
                    format!("{} has another snapshotTime for this database", first.file),
                    "set snapshotTime in one of the database's contracts, or the same in all of them; a column only in one",
                );
            }
            claims.push(outcome);
        }
        list.append(&mut faults.list);
    }
    list
}

/// Whether two contracts of a database determine the time of its snapshots in the same way. A column
/// belongs to one of their tables.
fn same_time(a: &SnapshotTime, b: &SnapshotTime) -> bool {
    a == b && !matches!(a, SnapshotTime::Column(_))
}

/// Reads a contract as far as possible, noting every fault.
fn read(file: &str, text: &str) -> Outcome {
    let mut faults = Faults::new(file);
    let mut outcome = Outcome {
        file: file.to_owned(),
        ..Outcome::default()
    };
    if let Some(root) = yaml::parse(text, &mut faults) {
        let contract = contract(&root, &mut outcome, &mut faults);
        if faults.list.is_empty() {
            outcome.contract = contract;
        }
    } else if faults.list.is_empty() {
        empty_file(&mut faults);
    }
    faults.list.sort_by_key(|fault| (fault.line, fault.column));
    outcome.faults = faults.list;
    outcome
}

/// The contract; None only if a fault was noted.
fn dataset_name<'a>(object: &Map<'a>, faults: &mut Faults) -> Option<Spanned<&'a str>> {
    let name = object.needed("name", "name the dataset in lower_snake_case", faults)?;
    column::name_fault(name.value, "dataset", name.at, faults);
    Some(name)
}

fn properties(object: &Map<'_>, format: Option<Format>, faults: &mut Faults) -> Vec<Property> {
    let nodes = object.list("properties", faults);
    if nodes.is_empty() {
        faults.add(
            object.at,
            "the schema object has no properties",
            "list the columns under `properties`",
        );
    }
    nodes
        .iter()
        .filter_map(|node| column::read(node, format, faults))
        .collect()
}

/// Indexes of the columns by which repeated rows are recognised.
fn repeats_by(
    properties: &[Property],
    deduplication: Option<&crate::Deduplication>,
    newest_by: &[usize],
) -> Vec<usize> {
    match deduplication {
        Some(rule) => properties
            .iter()
            .position(|property| property.name.value == rule.column)
            .into_iter()
            .collect(),
        None => newest_by.to_vec(),
    }
}

fn late_after_seconds(
    custom: &Custom<'_>,
    format: Option<Format>,
    faults: &mut Faults,
) -> Option<u64> {
    let late = custom.whole("lateAfterSeconds", 1, 31_536_000, faults)?;
    if format.is_some_and(|format| format != Format::JsonLines) {
        faults.add(
            late.at,
            "lateAfterSeconds is only for events",
            "remove it, or use sourceFormat jsonLines",
        );
    }
    Some(late.value)
}

fn contract(root: &Node, outcome: &mut Outcome, faults: &mut Faults) -> Option<Contract> {
    let map = Map::of(root, "the contract", faults)?;
    map.only(CONTRACT_KEYS, faults);
    header(&map, faults);
    let version = map.needed("version", "add version: 1.0.0", faults);
    let owner = map.get("team").and_then(|team| owner(team, faults));
    let object = schema_object(&map, faults);
    let purpose = description(&map, object.as_ref(), faults);

    let custom = Custom::read(&map, custom::CONTRACT, faults);
    let source = Source::read(&map, &custom, faults);
    outcome.format = source.format;
    outcome.key_pattern = source.key_pattern.clone();
    outcome.snapshot_time = source.snapshot_time.clone();

    let object = object?;
    Custom::read(&object, custom::NONE, faults);
    let dataset = dataset_name(&object, faults);
    outcome.dataset = dataset.clone().map(|name| Spanned {
        value: name.value.to_owned(),
        at: name.at,
    });
    let physical_name = object.text("physicalName", faults);

    let properties = properties(&object, source.format, faults);
    let table = Table::read(&properties, source.format, object.at, faults);
    let deduplication = deduplication(&custom, &properties, source.format, faults);
    let newest_by = newest_by(&custom, &properties, source.format, faults);
    let late_after_seconds = late_after_seconds(&custom, source.format, faults);
    event_time_faults(&custom, &properties, faults);
    snapshot_time_faults(&source, &properties, faults);
    let context = Context {
        dataset: dataset.as_ref().map_or("", |dataset| dataset.value),
        format: source.format,
        columns: properties.iter().map(Known::of).collect(),
        primary_key: &table.primary_key,
        repeats_by: repeats_by(&properties, deduplication.as_ref(), &newest_by),
        owner: owner.as_deref(),
    };
    let read = rule::read(&object, &properties, context, faults);
    let (rules, monitors) = (read.list, read.monitors);
    outcome.foreign = read.foreign;

    let service_levels = service_level::of_contract(&map, &custom, faults);
    let relationships = relationship::of_contract(&object, &properties);
    let text = |map: &Map<'_>, key: &str| {
        let text = map.get(key)?.string()?.trim();
        (!text.is_empty()).then(|| text.to_owned())
    };

    let dataset = dataset?.value.to_owned();
    Some(Contract {
        file: outcome.file.clone(),
        version: version?.value.to_owned(),
        description: purpose?,
        name: text(&map, "name").unwrap_or_else(|| dataset.clone()),
        usage: usage(&map, faults),
        grain: text(&object, "dataGranularityDescription"),
        format: source.format?,
        key_pattern: source.key_pattern?.value,
        source_table: (source.format == Some(Format::Sqlite))
            .then(|| physical_name.map_or(dataset.clone(), |name| name.value.to_owned())),
        dataset,
        deleted_rows: source.deleted_rows,
        maximum_deleted_share: source.maximum_deleted_share,
        snapshot_time: source.snapshot_time.map(|time| time.value),
        log_format: source.log_format,
        csv: source.csv,
        schema_drift: source.schema_drift,
        deduplication,
        newest_by,
        late_after_seconds,
        columns: columns(properties, &rules)?,
        evolved: 0,
        primary_key: table.primary_key,
        partitioning: table.partitioning,
        rules,
        service_levels,
        monitors,
        relationships,
        owner,
    })
}

/// The columns, each with a note whether rules bound its values.
fn columns(properties: Vec<Property>, rules: &[Rule]) -> Option<Vec<Column>> {
    let columns = properties.into_iter().map(|property| property.column);
    let mut columns = columns.collect::<Option<Vec<_>>>()?;
    for rule in rules {
        let column = rule.column.and_then(|index| columns.get_mut(index));
        if let (Some(column), Check::Rows(RowCheck::Value(check))) = (column, &rule.check) {
            let is_minimum = matches!(
                check,
                ValueCheck::Minimum(_) | ValueCheck::ExclusiveMinimum(_)
            );
            let is_maximum = matches!(
                check,
                ValueCheck::Maximum(_) | ValueCheck::ExclusiveMaximum(_)
            );
            column.bounded.below |= is_minimum;
            column.bounded.above |= is_maximum;
        }
    }
    Some(columns)
}

/// The header that every ODCS document has.
fn header(map: &Map<'_>, faults: &mut Faults) {
    let version = map.needed("apiVersion", "add apiVersion: v3.1.0", faults);
    if let Some(version) = version.filter(|version| version.value != API_VERSION) {
        faults.add(
            version.at,
            format!("unknown apiVersion '{}'", version.value),
            format!("write apiVersion: {API_VERSION}"),
        );
    }
    let kind = map.needed("kind", "add kind: DataContract", faults);
    if let Some(kind) = kind.filter(|kind| kind.value != "DataContract") {
        faults.add(
            kind.at,
            format!("kind '{}' is not a contract", kind.value),
            "write kind: DataContract",
        );
    }
    map.needed("id", "add an id that no other contract has", faults);
    map.needed("status", "add status: active (or draft)", faults);
}

/// The one schema object.
fn schema_object<'a>(map: &Map<'a>, faults: &mut Faults) -> Option<Map<'a>> {
    if map.get("schema").is_none() {
        faults.add(
            map.at,
            "the contract lacks 'schema'",
            "add `schema:` with one object and its properties",
        );
        return None;
    }
    let objects = map.list("schema", faults);
    if let Some(second) = objects.get(1) {
        faults.add(
            second.at,
            "the contract has more than one schema object",
            "write one contract file per dataset",
        );
    }
    let Some(first) = objects.first() else {
        if let Some(Value::List(_)) = map.get("schema").map(|node| &node.value) {
            faults.add(
                map.at,
                "'schema' is empty",
                "add one object with its properties",
            );
        }
        return None;
    };
    let object = Map::of(first, "the schema object", faults)?;
    object.only(SCHEMA_KEYS, faults);
    Some(object)
}

/// `description.purpose`, or the description of the schema object.
fn description(map: &Map<'_>, object: Option<&Map<'_>>, faults: &mut Faults) -> Option<String> {
    let purpose = match map.get("description") {
        Some(node) => Map::of(node, "description", faults)?.text("purpose", faults),
        None => None,
    };
    let text = purpose.or_else(|| object.and_then(|object| object.text("description", faults)));
    let text = text
        .map(|text| text.value.trim().to_owned())
        .filter(|text| !text.is_empty());
    if text.is_none() {
        let at = map.get("description").map_or(map.at, |node| node.at);
        faults.add(
            at,
            "the contract does not say what the table holds",
            "add description.purpose",
        );
    }
    text
}

/// `description.usage`.
fn usage(map: &Map<'_>, faults: &mut Faults) -> Option<String> {
    let description = Map::of(map.get("description")?, "description", faults)?;
    let usage = description.text("usage", faults)?.value.trim();
    (!usage.is_empty()).then(|| usage.to_owned())
}

/// The team's name, or its member whose role names an owner. Both forms of ODCS are read.
fn owner(team: &Node, faults: &mut Faults) -> Option<String> {
    let members = match &team.value {
        Value::List(members) => members,
        _ => {
            let map = Map::of(team, "team", faults)?;
            if let Some(name) = map.text("name", faults) {
                return Some(name.value.to_owned());
            }
            map.list("members", faults)
        }
    };
    members
        .iter()
        .find_map(|member| {
            let member = Map::of(member, "the team member", faults)?;
            let role = member.text("role", faults)?;
            role.value
                .to_lowercase()
                .contains("owner")
                .then(|| member.text("username", faults))?
        })
        .map(|name| name.value.to_owned())
}
