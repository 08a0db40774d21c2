//! What to do about a file that is damaged.

use tarn_contract::Format;
use tarn_contract::quarantine;
use tarn_core::schema::{TableName, Zone};
use tarn_core::{Error, ErrorKind, layout};
use tarn_table::DataFileInfo;

use crate::Lake;

/// What restores the rows of a damaged file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// Reading this raw object again.
    Replay(String),
    /// Computing the mart again.
    Marts,
    /// A copy of the file, or making the lake again from its raw zone.
    Restore,
}

impl Remedy {
    /// What to do, as a half sentence.
    pub fn text(&self) -> String {
        match self {
            Remedy::Replay(key) => {
                format!(
                    "all its rows came from {key}: read that object again with tarn replay {key}"
                )
            }
            Remedy::Marts => "compute it again with tarn marts --rebuild".to_owned(),
            Remedy::Restore => {
                "restore it from a copy of the lake, or make the lake again from its raw zone \
                                (docs/runbooks/damaged-file.md)"
                    .to_owned()
            }
        }
    }
}

impl Lake {
    /// What restores the rows of a table's data file. `source` is the raw object that all of them came
    /// from, if there is only one.
    pub fn remedy(&self, table: &TableName, source: Option<&str>) -> Remedy {
        let dataset = match table.zone {
            Zone::Analytics => return Remedy::Marts,
            Zone::Curated => Some(table.name.as_str()),
            Zone::Quality => quarantine::dataset_of(table),
        };
        let contract = dataset.and_then(|dataset| self.contracts.get(dataset));
        // The rows of a database come from several snapshots: one alone does not restore them.
        let is_added = contract.is_some_and(|contract| contract.format != Format::Sqlite);
        match source {
            Some(key) if is_added => Remedy::Replay(key.to_owned()),
            _ => Remedy::Restore,
        }
    }

    /// The error of a reader of a data file, with the table, and what to do if the file is damaged or gone.
    pub(crate) fn explained(&self, file: &DataFileInfo, error: Error) -> Error {
        let Some(table) = layout::table_of(&file.key) else {
            return error;
        };
        let what = match error.kind() {
            ErrorKind::Damaged => error.to_string(),
            // Maintenance may delete the files of an old version while it is read.
            ErrorKind::NotFound => format!("{} is gone (if not, ask again)", file.key),
            _ => return error.context(format!("table {table}")),
        };
        let source = file.only_source().and_then(|uri| self.objects.key_of(uri));
        let remedy = self.remedy(&table, source.as_deref());
        Error::new(ErrorKind::Damaged, format!("{what}; {}", remedy.text()))
            .context(format!("table {table}"))
    }
}
