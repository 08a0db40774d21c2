//! `cargo xtask dist`: what a release consists of, for the platform of this machine.
//!
//! One build makes both programs, the command line and the functions. Archives have fixed times, owners
//! and order, so that the same programs give the same bytes.

use std::path::Path;
use std::process::Command;

use clap::Args;
use flate2::{Compression, GzBuilder};
use sha2::{Digest, Sha256};

use crate::package::{self, Arch};
use crate::{Outcome, process, root, sbom, target};

/// The version of the workspace.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The checksums of a release's files, as `sha256sum --check` reads them.
const SUMS: &str = "SHA256SUMS";

/// The time of everything in an archive: 1980-01-01, the first that a zip file can have.
const TIME: u64 = 315_532_800;

/// Shells, and what each calls the file of its completions.
const SHELLS: &[(&str, &str)] = &[
    ("bash", "tarn.bash"),
    ("fish", "tarn.fish"),
    ("zsh", "_tarn"),
];

/// Options of `cargo xtask dist`.
#[derive(Args)]
pub struct Options {
    /// The tag that is released. It has to be `v` and the version of the workspace, such as v0.1.0
    #[arg(long)]
    tag: Option<String>,
    /// Take the release programs of this machine instead of building them; to try, not to publish
    #[arg(long)]
    quick: bool,
}

/// A file of an archive: name, permissions, content.
type File = (String, u32, Vec<u8>);

pub fn run(options: &Options) -> Outcome {
    if cfg!(not(target_os = "linux")) {
        return Err("a release is built on Linux: completions come from the binary itself".into());
    }
    check_tag(options.tag.as_deref())?;
    let (folder, binary, functions) = if options.quick {
        let release = target()?.join("release");
        let functions = release.join(package::FUNCTIONS);
        (target()?.join("dist"), release.join("tarn"), functions)
    } else {
        let built = package::build(Arch::host(), package::RELEASE)?;
        let functions = package::built(&built, package::FUNCTIONS);
        (
            root().join("dist"),
            package::built(&built, "tarn"),
            functions,
        )
    };
    for program in [&binary, &functions] {
        if !program.is_file() {
            return Err(format!(
                "{}: there is no such program; run cargo build --release {}",
                program.display(),
                package::RELEASE.join(" ")
            ));
        }
    }
    let parts = Parts {
        binary: &binary,
        functions: &functions,
        completions: completions(&binary)?,
        bill: sbom::command_line(Arch::host().target())?,
        package_limit: (!options.quick).then_some(package::SIZE_LIMIT),
    };
    release(&folder, parts)?;
    if options.quick {
        eprintln!("    linked for this machine: to try, not to publish");
    }
    Ok(())
}

/// What a release is made from.
struct Parts<'a> {
    binary: &'a Path,
    functions: &'a Path,
    completions: Vec<File>,
    /// The bill of materials.
    bill: String,
    /// The largest package of the functions that is accepted, in bytes.
    package_limit: Option<u64>,
}

/// Writes the files of a release for this machine's platform into a folder.
fn release(folder: &Path, parts: Parts<'_>) -> Outcome {
    std::fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))?;
    let names = Names::new(Arch::host().target());
    // Sums of an earlier run would not be those of files that are only half written.
    remove(&folder.join(SUMS))?;
    eprintln!("\n==> archive of the command line");
    let mut files = parts.completions;
    files.push(("tarn".to_owned(), 0o755, read(parts.binary)?));
    for name in ["LICENSE", "README.md"] {
        files.push((name.to_owned(), 0o644, read(&root().join(name))?));
    }
    let path = folder.join(&names.archive);
    let archive = archive(&names.stem, &files).map_err(|error| unwritable(&path, &error))?;
    write(&path, &archive)?;
    eprintln!("\n==> package of the functions");
    let unpacked = package::write(&folder.join(&names.package), parts.functions)?;
    if let Some(limit) = parts.package_limit {
        package::check_size(unpacked, limit)?;
    }
    write(&folder.join(&names.bill), parts.bill.as_bytes())?;
    let sums = sums(folder, &[&names.archive, &names.package, &names.bill])?;
    write(&folder.join(SUMS), sums.as_bytes())?;
    print!("{}:\n{sums}", folder.join(SUMS).display());
    Ok(())
}

/// Refuses a tag that names another version than the files will.
fn check_tag(tag: Option<&str>) -> Outcome {
    match tag {
        Some(tag) if tag != format!("v{VERSION}") => Err(format!(
            "the tag is {tag}, and the workspace has version {VERSION}: tag v{VERSION}, or change \
             `version` in Cargo.toml"
        )),
        _ => Ok(()),
    }
}

/// The names of a release's files for one target.
struct Names {
    /// The archive's one folder.
    stem: String,
    archive: String,
    package: String,
    bill: String,
}

impl Names {
    fn new(target: &str) -> Self {
        let stem = format!("tarn-{VERSION}-{target}");
        Names {
            archive: format!("{stem}.tar.gz"),
            package: format!("tarn-lambda-{VERSION}-{target}.zip"),
            bill: format!("{stem}.cdx.json"),
            stem,
        }
    }
}

/// The scripts by which shells complete commands, as the binary writes them.
fn completions(binary: &Path) -> Outcome<Vec<File>> {
    SHELLS
        .iter()
        .map(|(shell, name)| {
            let script = process::capture(
                &format!("tarn completions {shell}"),
                Command::new(binary).args(["completions", shell]),
            )?;
            Ok((format!("completions/{name}"), 0o644, script))
        })
        .collect()
}

/// A gzip-compressed tar archive with everything in one folder, in the order of names. Level 9 is
/// the one whose outcome does not depend on the processor's features.
fn archive(folder: &str, files: &[File]) -> std::io::Result<Vec<u8>> {
    let mut files: Vec<&File> = files.iter().collect();
    files.sort();
    let zipped = GzBuilder::new().write(Vec::new(), Compression::new(9));
    let mut writer = tar::Builder::new(zipped);
    for (name, permissions, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(*permissions);
        header.set_mtime(TIME);
        header.set_uid(0);
        header.set_gid(0);
        writer.append_data(&mut header, format!("{folder}/{name}"), content.as_slice())?;
    }
    writer.into_inner()?.finish()
}

/// The SHA-256 sums of files of a folder, in the order of names, as `sha256sum` writes them.
fn sums(folder: &Path, names: &[&str]) -> Outcome<String> {
    let mut names = names.to_vec();
    names.sort_unstable();
    names
        .iter()
        .map(|name| {
            let digest = Sha256::digest(read(&folder.join(name))?);
            Ok(format!("{}  {name}\n", hex::encode(digest)))
        })
        .collect()
}

fn read(path: &Path) -> Outcome<Vec<u8>> {
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn write(path: &Path, content: &[u8]) -> Outcome {
    std::fs::write(path, content).map_err(|error| unwritable(path, &error))
}

fn remove(path: &Path) -> Outcome {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(unwritable(path, &error)),
        _ => Ok(()),
    }
}

fn unwritable(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn parts(binary: &Path, package_limit: Option<u64>) -> Parts<'_> {
        Parts {
            binary,
            functions: binary,
            completions: vec![("completions/_tarn".to_owned(), 0o644, b"#compdef".to_vec())],
            bill: "{}".to_owned(),
            package_limit,
        }
    }

    /// A release of a small binary in a folder of its own.
    fn released() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        let binary = folder.path().join("binary");
        std::fs::write(&binary, b"binary".repeat(1000)).expect("a file");
        release(&folder.path().join("dist"), parts(&binary, None)).expect("a release");
        folder
    }

    #[test]
    fn a_release_has_four_files_and_their_names_say_version_and_target() {
        let folder = released();
        let mut found: Vec<String> = std::fs::read_dir(folder.path().join("dist"))
            .expect("a folder")
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        found.sort();
        let target = Arch::host().target();
        let expected = [
            "SHA256SUMS".to_owned(),
            format!("tarn-{VERSION}-{target}.cdx.json"),
            format!("tarn-{VERSION}-{target}.tar.gz"),
            format!("tarn-lambda-{VERSION}-{target}.zip"),
        ];
        assert_eq!(found, expected);
    }

    /// Judged by another program.
    #[test]
    fn sha256sum_finds_the_files_of_a_release_whole_and_a_changed_one_not() {
        let folder = released();
        let folder = folder.path().join("dist");
        let check = || {
            let mut program = Command::new("sha256sum");
            program
                .args(["--check", "--strict", SUMS])
                .current_dir(&folder);
            program.output().expect("sha256sum")
        };
        let output = check();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}");
        assert_eq!(text.matches(": OK").count(), 3, "{text}");
        let package = folder.join(Names::new(Arch::host().target()).package);
        let mut bytes = std::fs::read(&package).expect("a file");
        bytes[100] ^= 1;
        std::fs::write(&package, bytes).expect("a file");
        assert!(!check().status.success());
    }

    #[test]
    fn the_same_binary_gives_the_same_files() {
        let first = released();
        let second = released();
        let sums = |folder: &tempfile::TempDir| {
            std::fs::read_to_string(folder.path().join("dist").join(SUMS)).expect("sums")
        };
        assert_eq!(sums(&first), sums(&second));
    }

    #[test]
    fn the_archive_has_one_folder_with_everything_in_order() {
        let folder = released();
        let names = Names::new(Arch::host().target());
        let file = std::fs::File::open(folder.path().join("dist").join(&names.archive));
        let unzipped = flate2::read::GzDecoder::new(file.expect("a file"));
        let mut found = Vec::new();
        for entry in tar::Archive::new(unzipped).entries().expect("entries") {
            let mut entry = entry.expect("an entry");
            let path = entry.path().expect("a path").display().to_string();
            let header = entry.header();
            assert_eq!(header.mtime().ok(), Some(TIME), "{path}");
            assert_eq!(
                (header.uid().ok(), header.gid().ok()),
                (Some(0), Some(0)),
                "{path}"
            );
            let mode = header.mode().expect("permissions");
            let mut content = Vec::new();
            entry.read_to_end(&mut content).expect("content");
            found.push((path, mode, content));
        }
        let own = |name: &str| read(&root().join(name)).expect("a file");
        let expected = [
            ("LICENSE", 0o644, own("LICENSE")),
            ("README.md", 0o644, own("README.md")),
            ("completions/_tarn", 0o644, b"#compdef".to_vec()),
            ("tarn", 0o755, b"binary".repeat(1000)),
        ]
        .map(|(name, mode, content)| (format!("{}/{name}", names.stem), mode, content));
        assert_eq!(found, expected);
    }

    /// No sums vouch for a release that is not whole, not even those of an earlier one.
    #[test]
    fn a_package_that_lambda_does_not_take_ends_the_release_without_sums() {
        let folder = released();
        let dist = folder.path().join("dist");
        let binary = folder.path().join("binary");
        let error = release(&dist, parts(&binary, Some(1000))).expect_err("too large");
        assert!(error.contains("AWS Lambda takes"), "{error}");
        assert!(!dist.join(SUMS).exists());
    }

    #[test]
    fn only_the_tag_of_the_version_is_released() {
        assert_eq!(check_tag(None), Ok(()));
        assert_eq!(check_tag(Some(&format!("v{VERSION}"))), Ok(()));
        for tag in [VERSION, "v", "", "v99.0.0", &format!("v{VERSION}-rc1")] {
            let error = check_tag(Some(tag)).expect_err(tag);
            assert!(error.contains(&format!("tag v{VERSION}")), "{error}");
        }
    }

    /// A tag of an action can be moved to other code; a commit cannot.
    #[test]
    fn the_workflow_builds_with_this_command_and_pins_every_action() {
        let path = root().join(".github/workflows/release.yml");
        let text = std::fs::read_to_string(path).expect("a file");
        assert!(text.contains("run: cargo xtask dist --tag \"$TAG\"\n"));
        let actions: Vec<&str> = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("- uses: "))
            .collect();
        assert_eq!(actions.len(), 3);
        for action in actions {
            let (_, commit) = action.split_once('@').expect("a version");
            let (commit, version) = commit.split_once(" # v").expect("its tag as a comment");
            assert!(
                commit.len() == 40 && hex::decode(commit).is_ok(),
                "{action}"
            );
            assert!(version.starts_with(char::is_numeric), "{action}");
        }
    }
}
