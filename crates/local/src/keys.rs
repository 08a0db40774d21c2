//! The keys of pseudonyms in a file that its owner alone can read.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::Utc;
use tarn_core::ports::Keys;
use tarn_core::privacy::{KeyInfo, KeyRing, PseudonymKey};
use tarn_core::{Error, ErrorKind, Result};

use crate::failure::io_error;
use crate::store::Store;
use crate::{files, lock, private};

/// The folder of keys, in the lake's own.
const FOLDER: &str = "keys";
const FILE: &str = "pseudonym.json";
const NEW_FILE: &str = "pseudonym.json.new";
const LOCK: &str = "keys of pseudonyms";

/// The keys of a lake in a folder.
#[derive(Clone)]
pub(crate) struct FileKeys {
    store: Arc<Store>,
}

impl FileKeys {
    pub(crate) fn new(store: Arc<Store>) -> Self {
        FileKeys { store }
    }

    fn folder(&self) -> PathBuf {
        self.store.state().join(FOLDER)
    }

    /// The stored ring; None where there is none yet.
    fn read(&self) -> Result<Option<KeyRing>> {
        let path = self.folder().join(FILE);
        let failed = |error| io_error(error, format!("cannot read the keys in {}", path.display()));
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let mode = file.metadata().map_err(failed)?.mode();
        if mode & private::OTHERS != 0 {
            return Err(Error::new(
                ErrorKind::Storage,
                format!(
                    "others than their owner have access to the keys in {0} (mode {1:o}); run chmod 600 {0}, \
                     and tarn keys rotate if somebody may have read them",
                    path.display(),
                    mode & 0o777
                ),
            ));
        }
        let mut text = zeroize::Zeroizing::new(String::new());
        file.read_to_string(&mut text).map_err(failed)?;
        KeyRing::from_text(&text).map(Some)
    }

    /// Replaces the stored ring. The caller holds the lock.
    fn write(&self, ring: &KeyRing) -> Result<()> {
        let (folder, text) = (self.folder(), ring.to_text()?);
        let failed = |error| {
            io_error(
                error,
                format!("cannot write the keys in {}", folder.display()),
            )
        };
        files::ensure_dir(&folder, true).map_err(failed)?;
        let new = folder.join(NEW_FILE);
        // A leftover of a stopped process might have another mode.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed(error));
            }
            _ => {}
        }
        let mut file = private::create_file(&new).map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        fs::rename(&new, folder.join(FILE)).map_err(failed)?;
        // The new name survives a power cut: otherwise no one would notice that a key is lost.
        File::open(&folder)
            .and_then(|folder| folder.sync_all())
            .map_err(failed)
    }

    fn changed<T>(
        &self,
        change: impl FnOnce(Option<KeyRing>) -> Result<(Option<KeyRing>, T)>,
    ) -> Result<T> {
        let _lock = lock::acquire(&self.store.state().join("locks"), LOCK)?;
        let (ring, result) = change(self.read()?)?;
        if let Some(ring) = ring {
            self.write(&ring)?;
        }
        Ok(result)
    }
}

fn newest(ring: &KeyRing) -> Result<PseudonymKey> {
    ring.newest()
        .ok_or_else(|| Error::internal("a ring of keys is empty"))
}

#[async_trait]
impl Keys for FileKeys {
    async fn current(&self) -> Result<Option<PseudonymKey>> {
        let keys = self.clone();
        files::blocking(move || keys.read()?.as_ref().map(newest).transpose()).await
    }

    async fn newest(&self) -> Result<PseudonymKey> {
        let keys = self.clone();
        files::blocking(move || {
            if let Some(ring) = keys.read()? {
                return newest(&ring);
            }
            keys.changed(|ring| match ring {
                Some(ring) => Ok((None, newest(&ring)?)),
                None => {
                    let ring = KeyRing::first(Utc::now(), 0)?;
                    let key = newest(&ring)?;
                    Ok((Some(ring), key))
                }
            })
        })
        .await
    }

    async fn list(&self) -> Result<Vec<KeyInfo>> {
        let keys = self.clone();
        files::blocking(move || Ok(keys.read()?.map(|ring| ring.infos()).unwrap_or_default())).await
    }

    async fn rotate(&self, above: u32) -> Result<KeyInfo> {
        let keys = self.clone();
        files::blocking(move || {
            keys.changed(|ring| {
                let (ring, info) = match ring {
                    Some(mut ring) => {
                        let info = ring.rotate(Utc::now(), above)?;
                        (ring, info)
                    }
                    None => {
                        let ring = KeyRing::first(Utc::now(), above)?;
                        let infos = ring.infos();
                        let info = infos.into_iter().next_back();
                        (
                            ring,
                            info.ok_or_else(|| Error::internal("a ring of keys is empty"))?,
                        )
                    }
                };
                Ok((Some(ring), info))
            })
        })
        .await
    }
}
