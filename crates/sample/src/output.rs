//! Files that appear under their names when they are complete.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use tarn_core::{Error, ErrorKind, Result};

/// A file that is being written, gzip where its name ends in `.gz`.
pub(super) struct Output {
    path: PathBuf,
    part: PathBuf,
    sink: Sink,
}

enum Sink {
    Plain(BufWriter<File>),
    /// The header has no time and no name, so that equal content is equal bytes.
    Gzip(Box<GzEncoder<BufWriter<File>>>),
}

pub(super) fn write_error(error: io::Error, path: &Path) -> Error {
    Error::new(
        ErrorKind::Storage,
        format!("cannot write {}", path.display()),
    )
    .with_source(error)
}

/// The name under which a file is written until it is complete; its folder is made.
pub(super) fn part_of(path: &Path) -> Result<PathBuf> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| write_error(error, folder))?;
    }
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    Ok(part.into())
}

impl Output {
    pub(super) fn create(path: &Path) -> Result<Output> {
        let part = part_of(path)?;
        let file = BufWriter::new(File::create(&part).map_err(|error| write_error(error, path))?);
        let sink = if path.extension().is_some_and(|extension| extension == "gz") {
            Sink::Gzip(Box::new(GzEncoder::new(file, Compression::default())))
        } else {
            Sink::Plain(file)
        };
        Ok(Output {
            path: path.to_owned(),
            part,
            sink,
        })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.sink {
            Sink::Plain(file) => file.write_all(bytes),
            Sink::Gzip(encoder) => encoder.write_all(bytes),
        }
        .map_err(|error| write_error(error, &self.path))
    }

    /// Writes a line and its end.
    pub(super) fn line(&mut self, line: &str) -> Result<()> {
        self.write(line.as_bytes())?;
        self.write(b"\n")
    }

    pub(super) fn finish(self) -> Result<()> {
        let Output { path, part, sink } = self;
        let mut file = match sink {
            Sink::Plain(file) => file,
            Sink::Gzip(encoder) => encoder
                .finish()
                .map_err(|error| write_error(error, &path))?,
        };
        file.flush().map_err(|error| write_error(error, &path))?;
        std::fs::rename(&part, &path).map_err(|error| write_error(error, &path))
    }
}
