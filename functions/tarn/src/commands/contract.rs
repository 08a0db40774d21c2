//! `tarn contract lint` and `tarn contract infer`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;
use tarn_core::contract::{Diagnostic, EXTENSION, load_dir, parse_file, snake_case};
use tarn_core::{Error, ErrorKind, Result};
use tarn_engine::infer::drafts;

use crate::cli::{Global, InferArgs, LintArgs};
use crate::setting::{contracts, shown};
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
    let drafts = drafts(&args.file, &source)?;
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
    for draft in &drafts {
        let path = folder.join(format!("{}{EXTENSION}", snake_case(&draft.dataset)));
        // A draft must not replace what somebody has finished.
        let mut file = std::fs::File::create_new(&path).map_err(unwritable(&path))?;
        std::io::Write::write_all(&mut file, draft.to_yaml().as_bytes())
            .map_err(unwritable(&path))?;
        terminal.line(shown(&path))?;
    }
    terminal.note("Read the drafts, decide what their comments ask, then: tarn contract lint");
    Ok(ExitCode::SUCCESS)
}
