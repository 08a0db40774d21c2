//! Files and folders that their owner alone may read, whatever the process's umask.
//!
//! The raw zone and its former contents hold personal data as they were received, the state names every
//! object, and staging holds copies of both on their way. Tables and reports hold what was protected, and
//! are read by other programs of other users: they get the rights that the umask gives.

use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use crate::failure::is_absent;

/// What others may do with a file.
pub(crate) const OTHERS: u32 = 0o077;

/// Makes a folder.
pub(crate) fn create_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)?;
    // The umask may have taken rights from the owner too.
    std::fs::set_permissions(path, Permissions::from_mode(0o700))
}

/// Makes a file that is not there.
pub(crate) fn create_file(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}

/// Whether others than its owner may do anything with a file.
pub(crate) fn is_loose(metadata: &Metadata) -> bool {
    metadata.permissions().mode() & OTHERS != 0
}

/// The rights of other users after they were to be taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rights {
    /// They have none.
    None,
    /// They had some, which are taken away.
    Taken,
    /// They have some, which this user may not take away, or which the file system keeps.
    Kept,
}

/// Takes the rights of others away; of nothing where there is no such file. A link is followed.
///
/// # Errors
/// Where the file cannot be looked at.
pub(crate) fn tighten(path: &Path) -> io::Result<Rights> {
    let look = |path| match std::fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(error),
    };
    let Some(found) = look(path)?.filter(is_loose) else {
        return Ok(Rights::None);
    };
    let wanted = found.permissions().mode() & 0o7777 & !OTHERS;
    if std::fs::set_permissions(path, Permissions::from_mode(wanted)).is_err() {
        return Ok(Rights::Kept);
    }
    // Some file systems have one mode for all, and say that it was changed.
    Ok(match look(path)? {
        Some(now) if is_loose(&now) => Rights::Kept,
        _ => Rights::Taken,
    })
}
