//! Some of the rows that a run rejected, per rule: what the quarantine says about them, without the rows
//! themselves.

use std::collections::BTreeMap;

use tarn_contract::quarantine;
use tarn_core::run::RunRecord;
use tarn_core::schema::system;
use tarn_core::{Error, Result};
use tarn_engine::records::{self, Row};
use tarn_engine::scan::Relation;
use tarn_lake::{Lake, blocking};
use tarn_quality::result::Sample;
use tarn_table::{FileFilter, VersionRef};

/// Samples of a rule in a run.
const SAMPLES: usize = 3;

/// Samples as JSON by dataset and rule; the first by their place in the object.
pub(crate) async fn of_run(
    lake: &Lake,
    run: &RunRecord,
) -> Result<BTreeMap<(String, String), String>> {
    let mut by_rule: BTreeMap<(String, String), Vec<(i64, Sample)>> = BTreeMap::new();
    for outcome in run.datasets.iter().filter(|outcome| outcome.rejected > 0) {
        for row in &rejected(lake, run, &outcome.dataset).await? {
            if text(row, system::RUN_ID) != Some(&run.run_id) {
                continue;
            }
            let Some(rule) = text(row, quarantine::RULE) else {
                continue;
            };
            let number = |name: &str| row.get(name).and_then(serde_json::Value::as_i64);
            let offset = number(system::SOURCE_OFFSET).unwrap_or_default();
            let sample = Sample {
                reason: text(row, quarantine::REASON).map(str::to_owned),
                line: number(quarantine::LINE),
                offset,
                object_key: run.key.clone(),
            };
            by_rule
                .entry((outcome.dataset.clone(), rule.to_owned()))
                .or_default()
                .push((offset, sample));
        }
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

/// The rejected rows of the run's object.
async fn rejected(lake: &Lake, run: &RunRecord, dataset: &str) -> Result<Vec<Row>> {
    let name = quarantine::table(dataset);
    let Some(table) = lake.tables.load(&name).await? else {
        return Ok(Vec::new());
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
    let found = blocking(move || records::read(&relation)).await?;
    drop(files);
    Ok(found)
}
