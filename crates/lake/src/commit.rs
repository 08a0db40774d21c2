//! From staged files to a commit.

use tarn_core::digest::Digest;
use tarn_core::layout;
use tarn_core::ports::{ObjectInfo, Original, PutMode};
use tarn_core::schema::{TableName, system};
use tarn_core::{Error, ErrorKind, Result};
use tarn_engine::parquet::ParquetFile;
use tarn_table::NewFile;
use uuid::Uuid;

use crate::{Lake, blocking};

/// The version of a source object as rows and snapshots name it. Each put has its own text, so that content
/// that comes back after a change is distinguished from its first appearance.
pub fn source_version(info: &ObjectInfo) -> String {
    version_text(&info.version, &info.sequencer)
}

/// The same for a version and its sequencer.
pub fn version_text(version: &str, sequencer: &str) -> String {
    format!("{version}@{sequencer}")
}

/// The version and the sequencer that [`source_version`] was made of.
pub fn version_parts(source_version: &str) -> (&str, &str) {
    source_version
        .rsplit_once('@')
        .unwrap_or((source_version, ""))
}

/// Uploads staged files to a table's data folder. They are not part of it until a commit names them.
pub async fn staged_files(
    lake: &Lake,
    table: &TableName,
    run_id: &str,
    files: &[ParquetFile],
) -> Result<Vec<NewFile>> {
    let mut uploaded = Vec::with_capacity(files.len());
    // A run that loses a race stages and uploads again: every attempt has names of its own.
    let attempt = Uuid::new_v4().simple().to_string();
    for (number, file) in files.iter().enumerate() {
        let stem = file
            .path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .ok_or_else(|| Error::internal(format!("{} has no name", file.path.display())))?;
        let name = format!("{run_id}-{attempt}-{stem}-{number:05}");
        // The name carries the digest, so a reader can check that the content is what was written.
        let path = file.path.clone();
        let digest = blocking(move || {
            Digest::of_file(&path).map_err(|error| {
                Error::new(
                    ErrorKind::Storage,
                    format!("{} cannot be read", path.display()),
                )
                .with_source(error)
            })
        });
        let (digest, _) = digest.await?;
        let key = format!(
            "{}{}",
            layout::data_prefix(table),
            digest.name(&name, "parquet")
        );
        lake.objects
            .put_file(&key, &file.path, PutMode::IfAbsent, Original::Final)
            .await?;
        uploaded.push(NewFile {
            key,
            local: file.path.clone(),
            partition: file.partition,
            exact_bounds: [system::SOURCE_URI, system::SOURCE_VERSION]
                .map(str::to_owned)
                .into(),
        });
    }
    Ok(uploaded)
}
