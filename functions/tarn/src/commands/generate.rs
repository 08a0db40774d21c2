//! `tarn generate`

use std::process::ExitCode;

use serde_json::json;
use tarn_core::Result;

use crate::cli::GenerateArgs;
use crate::session::shown;
use crate::terminal::{Terminal, count};
use tarn_sample::{Plan, generate};

/// Writes the sample data and lists it.
pub fn run(args: &GenerateArgs, terminal: &Terminal) -> Result<ExitCode> {
    let plan = Plan {
        days: args.days,
        scale: args.scale,
        ..Plan::new(args.seed, args.out.clone())
    };
    let progress = terminal.progress();
    let files = generate(&plan, &mut |what, rows| {
        progress.step(format!("{what}: {}", count(rows)))
    })?;
    drop(progress);
    if terminal.is_json() {
        for file in &files {
            terminal.json(&json!({
                "path": file.path,
                "kind": file.kind.as_str(),
                "rows": file.rows,
                "defects": file.defects,
            }))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let rows = files
        .iter()
        .map(|file| {
            vec![
                shown(&file.path),
                file.kind.as_str().to_owned(),
                count(file.rows),
                count(file.defects),
            ]
        })
        .collect();
    terminal.table(
        &["file", "kind", "rows", "defects"],
        &["rows", "defects"],
        rows,
    )?;
    terminal.note(&format!(
        "Ingest it with: tarn ingest {}",
        args.out.display()
    ));
    Ok(ExitCode::SUCCESS)
}
