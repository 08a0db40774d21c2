//! Writes a table's metadata files before the catalog's pointer is moved to them.

use bytes::Bytes;
use iceberg::spec::{ManifestFile, TableMetadata};
use tarn_core::Result;
use tarn_core::schema::TableName;

use crate::store::{Store, metadata_bytes};
use crate::table::Table;
use crate::tables::Tables;

/// Writes the metadata files of one attempt to change a table, and remembers them: an attempt that
/// loses its race deletes them.
pub(crate) struct MetadataWriter<'a> {
    pub tables: &'a Tables,
    pub name: &'a TableName,
    /// URIs of the files, in the order in which they were written.
    pub written: Vec<String>,
}

impl<'a> MetadataWriter<'a> {
    pub fn new(tables: &'a Tables, name: &'a TableName) -> Self {
        MetadataWriter {
            tables,
            name,
            written: Vec::new(),
        }
    }

    pub fn store(&self) -> &'a Store {
        &self.tables.store
    }

    /// Puts a manifest or a manifest list, and returns its URI.
    pub async fn put(&mut self, stem: &str, bytes: Bytes) -> Result<String> {
        let uri = self.tables.metadata_uri(self.name, stem, "avro", &bytes);
        self.written.push(uri.clone());
        self.store().put(&uri, bytes).await?;
        Ok(uri)
    }

    /// Puts a manifest, and returns its description with its path.
    pub async fn put_manifest(
        &mut self,
        stem: &str,
        (bytes, manifest): (Bytes, ManifestFile),
    ) -> Result<ManifestFile> {
        Ok(ManifestFile {
            manifest_path: self.put(stem, bytes).await?,
            ..manifest
        })
    }

    /// Puts the metadata file that follows that of `table`. Returns the table as it would be, and the
    /// URI of the file.
    pub async fn put_metadata(
        &mut self,
        table: &Table,
        metadata: TableMetadata,
    ) -> Result<(Table, String)> {
        let bytes = metadata_bytes(&metadata)?;
        let former = Some(table.pointer.metadata_location.as_str());
        let location = self.tables.next_location(self.name, former, &bytes);
        self.written.push(location.clone());
        self.store().put(&location, bytes).await?;
        let next = Table::new(
            self.name.clone(),
            table.pointer.clone(),
            metadata,
            self.store().clone(),
        )?;
        Ok((next, location))
    }

    /// Deletes what was written. Only for files that no version can name.
    pub async fn discard(&mut self) {
        let written = std::mem::take(&mut self.written);
        self.store().discard(&written).await;
    }
}
