//! The files of a path. Each is found or refused by itself: one that cannot be taken does not stop the others.

use std::fs::{FileType, Metadata};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use tarn_core::{Error, ErrorKind};

/// A path that cannot be taken, and why.
#[derive(Debug)]
pub struct Refused {
    /// The path.
    pub path: PathBuf,
    /// Why.
    pub error: Error,
}

impl Refused {
    pub(super) fn new(path: &Path, error: Error) -> Self {
        Refused {
            path: path.to_owned(),
            error,
        }
    }
}

/// What is found under one path.
#[derive(Debug, Default)]
pub struct Found {
    /// Regular files in name order. Links are followed.
    pub files: Vec<PathBuf>,
    /// Paths that are not regular files or cannot be read.
    pub refused: Vec<Refused>,
}

/// The files under `path`: itself, or those of its folders. Names that begin with a dot are left out,
/// and a link that leads back to a folder above it ends there. Only regular files are opened:
/// opening a pipe would wait for its writer.
pub fn files(path: &Path) -> Found {
    let mut found = Found::default();
    walk(path, &mut Vec::new(), &mut found);
    found.files.sort();
    found
}

fn walk(path: &Path, above: &mut Vec<(u64, u64)>, found: &mut Found) {
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => {
            let error = absent(path, error);
            return found.refused.push(Refused::new(path, error));
        }
    };
    if metadata.is_file() {
        return match name_fault(path) {
            None => found.files.push(path.to_owned()),
            Some(error) => found.refused.push(Refused::new(path, error)),
        };
    }
    if !metadata.is_dir() {
        let error = no_file(path, metadata.file_type());
        return found.refused.push(Refused::new(path, error));
    }
    let identity = identity(&metadata);
    if above.contains(&identity) {
        tracing::debug!(path = %path.display(), "a link leads back to a folder above it and is not followed");
        return;
    }
    let unreadable = |error: std::io::Error| {
        let message = format!("the folder {} cannot be read", path.display());
        Refused::new(path, bad(message).with_source(error))
    };
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) => return found.refused.push(unreadable(error)),
    };
    above.push(identity);
    for entry in entries {
        match entry {
            Ok(entry) if entry.file_name().as_encoded_bytes().starts_with(b".") => {}
            Ok(entry) => walk(&entry.path(), above, found),
            Err(error) => found.refused.push(unreadable(error)),
        }
    }
    above.pop();
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

fn bad(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::BadRequest, text)
}

fn absent(path: &Path, error: std::io::Error) -> Error {
    let shown = path.display();
    let is_link = std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink());
    let message = if is_link && error.kind() == std::io::ErrorKind::NotFound {
        format!("{shown} is a link to a file that is not there")
    } else {
        format!("{shown} cannot be read")
    };
    bad(message).with_source(error)
}

/// What is neither a file nor a folder.
fn no_file(path: &Path, kind: FileType) -> Error {
    let what = if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    };
    bad(format!(
        "{} is {what}, not a file: save what it gives to a file and ingest that",
        path.display()
    ))
}

fn name_fault(path: &Path) -> Option<Error> {
    let name = path.file_name().unwrap_or_default();
    name.to_str().is_none().then(|| {
        bad(format!(
            "the name {} is not UTF-8; rename the file",
            path.display()
        ))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;
    use std::process::Command;

    use super::*;

    #[test]
    fn every_entry_is_a_file_or_is_refused_by_itself() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(at("a/b")).unwrap();
        for name in ["a/b/deep.log", "z.log", ".hidden.log"] {
            std::fs::write(at(name), "x").unwrap();
        }
        let odd = folder.path().join(OsStr::from_bytes(b"odd-\xff.log"));
        std::fs::write(odd, "x").unwrap();
        symlink("..", at("a/b/up")).unwrap();
        symlink("z.log", at("link.log")).unwrap();
        symlink("nothing", at("dangling.log")).unwrap();
        let made = Command::new("mkfifo").arg(at("pipe")).status().unwrap();
        assert!(made.success());
        let _socket = UnixListener::bind(at("socket")).unwrap();
        let found = files(folder.path());
        let names: Vec<_> = found
            .files
            .iter()
            .map(|path| path.strip_prefix(folder.path()).unwrap().to_owned())
            .collect();
        assert_eq!(
            names,
            ["a/b/deep.log", "link.log", "z.log"].map(PathBuf::from)
        );
        let mut reasons: Vec<String> = found
            .refused
            .iter()
            .map(|refused| refused.error.to_string())
            .collect();
        reasons.sort();
        assert_eq!(reasons.len(), 4, "{reasons:?}");
        for part in [
            "not UTF-8",
            "a link to a file that is not there",
            "a pipe",
            "a socket",
        ] {
            assert_eq!(
                reasons
                    .iter()
                    .filter(|reason| reason.contains(part))
                    .count(),
                1,
                "{part}: {reasons:?}"
            );
        }
        assert!(
            files(Path::new("/dev/null")).refused[0]
                .error
                .to_string()
                .contains("a device")
        );
    }
}
