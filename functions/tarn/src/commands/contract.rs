//! `tarn contract lint`, `infer`, `diff` and `docs`

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;
use tarn_contract::{
    Diagnostic, Diff, EXTENSION, Format, Impact, Party, Reader, diff as compare, load_dir, outline,
    pages, parse_file, snake_case,
};
use tarn_core::{Error, ErrorKind, Result};
use tarn_engine::marts;
use tarn_rows::infer::{ROW_LIMIT, drafts};

use crate::cli::{ContractDocsArgs, DiffArgs, Global, InferArgs, LintArgs, PartyArg};
use crate::session::{contracts, shown};
use crate::terminal::{Terminal, plural};

/// Checks contracts and lists every fault.
pub fn lint(global: &Global, args: &LintArgs, terminal: &Terminal) -> Result<ExitCode> {
    let mut paths = args.paths.clone();
    if paths.is_empty() {
        match &global.contracts {
            Some(folder) => paths.push(folder.clone()),
            None if Path::new("contracts").is_dir() => paths.push(PathBuf::from("contracts")),
            // The built-in contracts are checked like any other.
            None => {
                let checked = contracts(global)?.iter().count() as u64;
                return verdict(&[], checked, terminal);
            }
        }
    }
    let (mut faults, mut checked) = (Vec::new(), 0);
    for path in &paths {
        let result = if path.is_dir() {
            load_dir(path).map(|contracts| contracts.iter().count() as u64)
        } else {
            parse_file(path).map(|_| 1)
        };
        match result {
            Ok(sound) => checked += sound,
            Err(found) => faults.extend(found),
        }
    }
    verdict(&faults, checked, terminal)
}

fn verdict(faults: &[Diagnostic], checked: u64, terminal: &Terminal) -> Result<ExitCode> {
    for fault in faults {
        if terminal.is_json() {
            terminal.json(&json!({
                "file": fault.file,
                "line": fault.line,
                "column": fault.column,
                "message": fault.message,
                "help": fault.help,
            }))?;
        } else {
            terminal.line(fault.to_string())?;
        }
    }
    if faults.is_empty() {
        terminal.note(&format!("{} without a fault", plural(checked, "contract")));
        return Ok(ExitCode::SUCCESS);
    }
    terminal.fail(&plural(faults.len() as u64, "fault"));
    Ok(ExitCode::FAILURE)
}

/// Drafts contracts and prints them or writes them to a folder.
pub fn infer(args: &InferArgs, terminal: &Terminal) -> Result<ExitCode> {
    let source = match &args.source {
        Some(source) => source.clone(),
        None => {
            let stem = args
                .file
                .file_stem()
                .map(|stem| stem.to_string_lossy().into_owned());
            snake_case(&stem.unwrap_or_default())
        }
    };
    let mut drafts = drafts(&args.file, &source, ROW_LIMIT)?;
    if let Some(name) = &args.name {
        match drafts.as_mut_slice() {
            [draft] if draft.format != Format::Sqlite => {
                draft.dataset = snake_case(name);
                draft.key_folder = format!("raw/{source}/{}", draft.dataset);
            }
            _ => {
                return Err(Error::new(
                    ErrorKind::BadRequest,
                    "--name is for a file of one dataset; the tables of a database name theirs",
                ));
            }
        }
    }
    let Some(folder) = &args.out else {
        for (index, draft) in drafts.iter().enumerate() {
            if index > 0 {
                terminal.line("---")?;
            }
            terminal.line(draft.to_yaml().trim_end())?;
        }
        return Ok(ExitCode::SUCCESS);
    };
    let unwritable = |path: &Path| {
        let text = format!("{} cannot be written", path.display());
        move |error: std::io::Error| Error::new(ErrorKind::BadRequest, text).with_source(error)
    };
    std::fs::create_dir_all(folder).map_err(unwritable(folder))?;
    let mut kept = 0;
    for draft in &drafts {
        let path = folder.join(format!("{}{EXTENSION}", snake_case(&draft.dataset)));
        // A draft must not replace what somebody has finished.
        let created = if args.force {
            std::fs::File::create(&path)
        } else {
            std::fs::File::create_new(&path)
        };
        let mut file = match created {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                terminal.fail(&format!("{} is there already, and stays", shown(&path)));
                kept += 1;
                continue;
            }
            file => file.map_err(unwritable(&path))?,
        };
        std::io::Write::write_all(&mut file, draft.to_yaml().as_bytes())
            .map_err(unwritable(&path))?;
        terminal.line(shown(&path))?;
    }
    if kept > 0 {
        terminal.note(&format!(
            "{} not written; replace what is there with --force, or name another folder",
            plural(kept, "draft")
        ));
        return Ok(ExitCode::FAILURE);
    }
    terminal.note("Read the drafts, decide what their comments ask, then: tarn contract lint");
    Ok(ExitCode::SUCCESS)
}

/// Writes the pages of the datasets.
pub fn docs(global: &Global, args: &ContractDocsArgs, terminal: &Terminal) -> Result<ExitCode> {
    let readers: Vec<Reader> = marts::ALL
        .iter()
        .map(|mart| Reader {
            table: mart.table_spec().name,
            doc: mart.doc.to_owned(),
            reads: mart
                .inputs
                .iter()
                .map(|input| input.table.to_owned())
                .collect(),
        })
        .collect();
    let pages = pages(&contracts(global)?, &readers);
    let unwritable = |path: &Path, error: std::io::Error| {
        let message = format!("{} cannot be written", path.display());
        Error::new(ErrorKind::BadRequest, message).with_source(error)
    };
    std::fs::create_dir_all(&args.dir).map_err(|error| unwritable(&args.dir, error))?;
    for (name, text) in &pages {
        let path = args.dir.join(name);
        std::fs::write(&path, text).map_err(|error| unwritable(&path, error))?;
    }
    terminal.note(&format!(
        "{} in {}",
        plural(pages.len() as u64, "page"),
        shown(&args.dir)
    ));
    Ok(ExitCode::SUCCESS)
}

/// Lists what changed between contracts; fails where a breaking change lacks a new major version.
pub fn diff(args: &DiffArgs, terminal: &Terminal) -> Result<ExitCode> {
    let party = match args.party {
        PartyArg::Consumers => Party::Consumers,
        PartyArg::Producers => Party::Producers,
    };
    let (mut faults, mut pairs) = (Vec::new(), Pairs::new());
    for (path, is_new) in [(&args.old, false), (&args.new, true)] {
        for file in files(path)? {
            let name = file.display().to_string();
            let text = read(&file)?;
            match outline(&name, &text) {
                Err(found) => faults.extend(found),
                Ok((dataset, _)) => {
                    let pair = pairs.entry(dataset).or_default();
                    *(if is_new { &mut pair.1 } else { &mut pair.0 }) = Some((name, text));
                }
            }
        }
    }
    if args.old.is_file() && args.new.is_file() && pairs.len() == 2 {
        // Two files are two versions of one contract, also where its dataset was renamed.
        let mut ends = (None, None);
        for (old, new) in std::mem::take(&mut pairs).into_values() {
            ends = (ends.0.or(old), ends.1.or(new));
        }
        pairs.insert(String::new(), ends);
    }
    let mut lacking = 0;
    for (dataset, pair) in &pairs {
        match pair {
            (Some(old), Some(new)) => match compare((&old.0, &old.1), (&new.0, &new.1)) {
                Ok(found) => {
                    print_diff(&found, party, terminal)?;
                    lacking += u64::from(found.lacks_major(party));
                }
                Err(found) => faults.extend(found),
            },
            (Some(_), None) => {
                print_whole(dataset, "removed", Impact::Breaking, terminal)?;
                lacking += 1;
            }
            _ => print_whole(dataset, "added", Impact::Compatible, terminal)?,
        }
    }
    if !faults.is_empty() {
        return verdict(&faults, 0, terminal);
    }
    if lacking > 0 {
        terminal.fail(&format!(
            "{} breaking without a new major version",
            plural(lacking, "contract")
        ));
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// Per dataset the old and the new contract: the name of the file and its text.
type Pairs = BTreeMap<String, (Option<(String, String)>, Option<(String, String)>)>;

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|error| {
        let message = format!("{} cannot be read", path.display());
        Error::new(ErrorKind::BadRequest, message).with_source(error)
    })
}

/// The contract, or those of a folder.
fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let unreadable = |error| {
        let message = format!("{} cannot be read", path.display());
        Error::new(ErrorKind::BadRequest, message).with_source(error)
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        if file.to_string_lossy().ends_with(EXTENSION) {
            found.push(file);
        }
    }
    found.sort();
    Ok(found)
}

fn print_whole(dataset: &str, what: &str, impact: Impact, terminal: &Terminal) -> Result<()> {
    if terminal.is_json() {
        return terminal.json(&json!({ "dataset": dataset, "contract": what, "impact": impact }));
    }
    terminal.line(format!(
        "{dataset}\n  {:10}  the contract is {what}",
        impact.as_str()
    ))
}

fn print_diff(found: &Diff, party: Party, terminal: &Terminal) -> Result<()> {
    if terminal.is_json() {
        let changes: Vec<_> = found
            .changes
            .iter()
            .map(|change| {
                json!({
                    "path": change.path,
                    "old": change.old,
                    "new": change.new,
                    "direction": change.direction,
                    "impact": change.impact(party),
                })
            })
            .collect();
        return terminal.json(&json!({
            "dataset": found.dataset,
            "old_version": found.old_version,
            "new_version": found.new_version,
            "impact": found.impact(party),
            "lacks_major_version": found.lacks_major(party),
            "changes": changes,
        }));
    }
    if found.changes.is_empty() {
        return Ok(());
    }
    let versions = if found.old_version == found.new_version {
        found.new_version.clone()
    } else {
        format!("{} -> {}", found.old_version, found.new_version)
    };
    terminal.line(format!("{} {versions}", found.dataset))?;
    for change in &found.changes {
        let impact = change.impact(party).as_str();
        terminal.line(format!("  {impact:10}  {change}"))?;
    }
    if found.lacks_major(party) {
        terminal.line(format!(
            "  help: write version: {}, or take the breaking changes back",
            found.next_major()
        ))?;
    }
    Ok(())
}
