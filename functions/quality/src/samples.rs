//! Some of the rows that a run rejected, per rule: what the quarantine says of them, without the rows
//! themselves.

use std::collections::BTreeMap;

use tarn_core::quality::result::Sample;
use tarn_core::run::RunRecord;
use tarn_core::schema::system;
use tarn_core::{Error, Result, quarantine};
use tarn_engine::rows::{self, Row};
use tarn_engine::sql::Relation;
use tarn_lake::{Lake, blocking};
use tarn_table::{FileFilter, VersionRef};

/// Samples of a rule in a run.
const SAMPLES: usize = 3;

/// Samples as JSON by dataset and rule; the first by their place in the object.
pub(crate) async fn of_run(
    lake: &Lake,
    run: &RunRecord,
) -> Result<BTreeMap<(String, String), String>> {
    let name = quarantine::table_spec().name;
    let Some(table) = lake.tables.load(&name).await? else {
        return Ok(BTreeMap::new());
    };
    let filter = FileFilter::source_uri(&lake.objects.uri(&run.key));
    let files = lake
        .fetch_table(&table, &VersionRef::Current, Some(&filter))
        .await?;
    let relation = Relation {
        name,
        fields: table.fields(),
        files: files.iter().map(|(_, path)| path.to_owned()).collect(),
    };
    let found = blocking(move || rows::read(&relation)).await?;
    drop(files);
    let mut by_rule: BTreeMap<(String, String), Vec<(i64, Sample)>> = BTreeMap::new();
    for row in &found {
        if text(row, system::RUN_ID) != Some(&run.run_id) {
            continue;
        }
        let (Some(dataset), Some(rule)) =
            (text(row, quarantine::DATASET), text(row, quarantine::RULE))
        else {
            continue;
        };
        let number = |name: &str| row.get(name).and_then(serde_json::Value::as_i64);
        let offset = number(system::SOURCE_OFFSET).unwrap_or_default();
        let shown = is_shown(lake, dataset, text(row, quarantine::COLUMN));
        let sample = Sample {
            reason: text(row, quarantine::REASON)
                .filter(|_| shown)
                .map(str::to_owned),
            line: number(quarantine::LINE),
            offset,
            object_key: run.key.clone(),
        };
        by_rule
            .entry((dataset.to_owned(), rule.to_owned()))
            .or_default()
            .push((offset, sample));
    }
    by_rule
        .into_iter()
        .map(|(rule, mut samples)| {
            samples.sort_by_key(|(offset, _)| *offset);
            samples.truncate(SAMPLES);
            let samples: Vec<Sample> = samples.into_iter().map(|(_, sample)| sample).collect();
            let text = serde_json::to_string(&samples)
                .map_err(|error| Error::internal("samples cannot be written").with_source(error))?;
            Ok((rule, text))
        })
        .collect()
}

fn text<'a>(row: &'a Row, name: &str) -> Option<&'a str> {
    row.get(name).and_then(serde_json::Value::as_str)
}

/// Whether the reason may be shown: it quotes what was found. That of a column that the contract does
/// not call public or internal may not, nor that of a column it does not have.
fn is_shown(lake: &Lake, dataset: &str, column: Option<&str>) -> bool {
    let Some(column) = column else {
        return true;
    };
    let column = lake
        .contracts
        .get(dataset)
        .and_then(|contract| contract.column(column));
    column.is_some_and(|column| {
        matches!(
            column.classification.as_deref(),
            Some("public" | "internal")
        )
    })
}
