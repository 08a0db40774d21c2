//! `cargo xtask package`: the zip file that AWS Lambda runs.
//!
//! The same sources give the same bytes: no path of this machine is compiled in, and the archive has
//! fixed times, permissions and order.

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::{Args, ValueEnum};
use sha2::{Digest, Sha256};
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

use crate::{Outcome, elf, process, python, root, steps, target};

/// cargo-lambda and the compiler that it links with, so that a package does not depend on what this
/// machine has.
const BUILDER: &[&str] = &["cargo-lambda==1.9.2", "ziglang==0.17.1"];

/// The arguments that say what Cargo builds for a release, and with which features: the command line with
/// AWS, and the functions. The bill of materials is made with the same ones.
pub const RELEASE: &[&str] = &[
    "--package",
    "tarn",
    "--package",
    "tarn-bootstrap",
    "--features",
    "tarn/aws",
];

/// The program that AWS Lambda runs.
pub const FUNCTIONS: &str = "bootstrap";

/// AWS Lambda runs packages of up to 250 MB unpacked, where it counts a MB as 1,048,576 bytes. A zip file of
/// more than 50 MB goes through a bucket, as Terraform puts every one.
pub const SIZE_LIMIT: u64 = 250 << 20;

/// The C library of Amazon Linux 2023, on which `provided.al2023` runs.
const GLIBC_LIMIT: (u32, u32) = (2, 34);

/// The C library that is linked against. Older than the limit, so that the check can fail.
const GLIBC_TARGET: &str = "2.28";

/// Options of `cargo xtask package`.
#[derive(Args)]
pub struct Options {
    /// Instruction set of the functions
    #[arg(long, value_enum, default_value_t = Arch::X86_64)]
    arch: Arch,
    /// Package the development build of this machine, for the emulator here; not for AWS
    #[arg(long)]
    quick: bool,
}

/// Instruction sets of AWS Lambda, by its own names.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Arch {
    #[value(name = "x86_64")]
    X86_64,
    #[value(name = "arm64")]
    Arm64,
}

impl Arch {
    /// That of this machine.
    pub fn host() -> Self {
        if cfg!(target_arch = "aarch64") {
            Arch::Arm64
        } else {
            Arch::X86_64
        }
    }

    /// Rust's name of the target.
    pub fn target(self) -> &'static str {
        match self {
            Arch::X86_64 => "x86_64-unknown-linux-gnu",
            Arch::Arm64 => "aarch64-unknown-linux-gnu",
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Arch::X86_64 => "x86_64",
            Arch::Arm64 => "arm64",
        })
    }
}

/// Where the package is written.
pub fn path(arch: Arch, quick: bool) -> Outcome<PathBuf> {
    let folder = if quick {
        target()?.join("dist")
    } else {
        root().join("dist")
    };
    Ok(folder.join(format!(
        "tarn-{arch}{}.zip",
        if quick { "-quick" } else { "" }
    )))
}

pub fn run(options: &Options) -> Outcome {
    if !options.quick {
        let folder = build(options.arch, &["--package", "tarn-bootstrap"])?;
        let unpacked = write(&path(options.arch, false)?, &built(&folder, FUNCTIONS))?;
        return check_size(unpacked, SIZE_LIMIT);
    }
    if options.arch != Arch::host() {
        return Err(format!(
            "--quick packages the binary of this machine, which is {}; leave one of the options out",
            Arch::host()
        ));
    }
    quick().map(|_| ())
}

/// Builds the binary that tests run, and packages it for the emulator on this machine.
pub fn quick() -> Outcome<PathBuf> {
    steps::build()?;
    write_quick()
}

/// Packages the binary that is there.
pub fn write_quick() -> Outcome<PathBuf> {
    let path = path(Arch::host(), true)?;
    write(&path, &stripped(&target()?.join("debug").join(FUNCTIONS))?)?;
    eprintln!("    for the emulator on this machine, not for AWS");
    Ok(path)
}

/// Copies a binary without its symbols, which are half of a development build: the emulator unpacks the
/// package for each process of a function. Returns the binary itself if there is no `strip`.
fn stripped(binary: &Path) -> Outcome<PathBuf> {
    if process::find("strip").is_none() {
        return Ok(binary.to_owned());
    }
    let folder = target()?.join("dist");
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let copy = folder.join("bootstrap");
    process::run(
        "strip",
        Command::new("strip").arg("-o").arg(&copy).arg(binary),
    )?;
    Ok(copy)
}

/// Where a program is in the folder that [`build`] returns. cargo-lambda calls every program `bootstrap`.
pub fn built(folder: &Path, program: &str) -> PathBuf {
    folder.join(program).join("bootstrap")
}

/// Builds programs as AWS Lambda needs them, checks that they run there, and returns their folder. As they
/// need no newer C library than GLIBC_TARGET, they run on nearly any Linux too.
pub fn build(arch: Arch, selection: &[&str]) -> Outcome<PathBuf> {
    let installed = process::capture(
        "rustc",
        Command::new("rustc").args(["--print", "target-libdir", "--target", arch.target()]),
    )?;
    if !Path::new(String::from_utf8_lossy(&installed).trim()).is_dir() {
        return Err(format!(
            "Rust's standard library for {0} is missing: rustup target add {0}",
            arch.target()
        ));
    }
    let builder = python::environment("lambda", BUILDER)?;
    let output = target()?.join("lambda");
    let mut command = Command::new(builder.join("bin/cargo-lambda"));
    // Its own optimizations would abort on a panic, which the functions survive, and link for long.
    command
        .args([
            "lambda",
            "build",
            "--disable-optimizations",
            "--profile",
            "lambda",
            "--locked",
        ])
        .args(selection)
        .arg("--target")
        .arg(format!("{}.{GLIBC_TARGET}", arch.target()))
        .arg("--lambda-dir")
        .arg(&output)
        .env("PATH", process::path_with(&builder.join("bin"))?)
        .env("CARGO_ENCODED_RUSTFLAGS", rust_flags()?)
        .env("CFLAGS", c_flags()?)
        .env("SOURCE_DATE_EPOCH", "315532800");
    process::without_own_package(&mut command);
    process::step(&format!("cargo lambda build for {arch}"), &mut command)?;
    for program in ["tarn", FUNCTIONS] {
        let binary = built(&output, program);
        if program == FUNCTIONS || selection.contains(&program) {
            let found = elf::newest_glibc(&read(&binary)?)
                .map_err(|error| format!("{}: {error}", binary.display()))?;
            check_glibc(found)?;
        }
    }
    Ok(output)
}

fn check_glibc(found: Option<(u32, u32)>) -> Outcome {
    match found {
        None => Err("the binary names no version of glibc: it was not linked as expected".into()),
        Some(newest) if newest > GLIBC_LIMIT => Err(format!(
            "the binary needs glibc {}.{}, and Amazon Linux 2023 has {}.{}",
            newest.0, newest.1, GLIBC_LIMIT.0, GLIBC_LIMIT.1
        )),
        Some((major, minor)) => {
            eprintln!("    needs glibc {major}.{minor}");
            Ok(())
        }
    }
}

/// The places of this machine that would otherwise be compiled in, and what stands there instead.
fn places() -> Outcome<Vec<(PathBuf, &'static str)>> {
    let cargo_home = process::variable("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(std::env::home_dir()?.join(".cargo")))
        .ok_or("neither CARGO_HOME nor HOME is set")?;
    Ok(vec![
        (cargo_home, "/cargo"),
        (target()?, "/target"),
        (root(), "/tarn"),
    ])
}

fn rust_flags() -> Outcome<String> {
    let flags: Vec<String> = places()?
        .iter()
        .map(|(place, name)| format!("--remap-path-prefix={}={name}", place.display()))
        .collect();
    // Cargo separates the flags by this character.
    Ok(flags.join("\u{1f}"))
}

fn c_flags() -> Outcome<String> {
    let flags: Vec<String> = places()?
        .iter()
        .map(|(place, name)| format!("-ffile-prefix-map={}={name}", place.display()))
        .collect();
    Ok(flags.join(" "))
}

fn read(path: &Path) -> Outcome<Vec<u8>> {
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// Writes the package, prints its sizes, and gives back how many bytes it has unpacked.
pub fn write(path: &Path, binary: &Path) -> Outcome<u64> {
    let mut files = vec![("bootstrap".to_owned(), 0o755, read(binary)?)];
    for contract in python::contracts()? {
        let name = contract
            .file_name()
            .and_then(|name| name.to_str())
            .ok_or_else(|| format!("{}: the name is not UTF-8", contract.display()))?;
        files.push((format!("contracts/{name}"), 0o644, read(&contract)?));
    }
    let unpacked: u64 = files
        .iter()
        .map(|(_, _, content)| content.len() as u64)
        .sum();
    let archive = archive(&files).map_err(|error| format!("{}: {error}", path.display()))?;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    std::fs::write(path, &archive).map_err(|error| format!("{}: {error}", path.display()))?;
    println!(
        "{}: {:.1} MB, {:.1} MB unpacked, sha256 {}",
        path.display(),
        archive.len() as f64 / 1e6,
        unpacked as f64 / 1e6,
        hex::encode(Sha256::digest(&archive))
    );
    Ok(unpacked)
}

/// AWS Lambda takes packages up to a size.
pub fn check_size(bytes: u64, limit: u64) -> Outcome {
    if bytes <= limit {
        return Ok(());
    }
    Err(format!(
        "the package has {:.1} MB unpacked; AWS Lambda takes {} MB",
        bytes as f64 / (1 << 20) as f64,
        limit >> 20
    ))
}

/// A zip archive of (name, permissions, content). The time is zip's first, 1980-01-01. Level 9 is
/// also the one whose outcome does not depend on the processor's features.
fn archive(files: &[(String, u32, Vec<u8>)]) -> zip::result::ZipResult<Vec<u8>> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, permissions, content) in files {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .compression_level(Some(9))
            .last_modified_time(zip::DateTime::default())
            .unix_permissions(*permissions);
        writer.start_file(name.as_str(), options)?;
        writer.write_all(content)?;
    }
    Ok(writer.finish()?.into_inner())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn sample() -> Vec<(String, u32, Vec<u8>)> {
        vec![
            ("bootstrap".into(), 0o755, b"binary".repeat(1000)),
            (
                "contracts/orders.odcs.yaml".into(),
                0o644,
                b"id: orders".to_vec(),
            ),
        ]
    }

    #[test]
    fn an_archive_holds_names_permissions_and_content() {
        let bytes = archive(&sample()).expect("an archive");
        let mut reader = zip::ZipArchive::new(std::io::Cursor::new(bytes)).expect("a zip");
        for (index, (name, permissions, content)) in sample().into_iter().enumerate() {
            let mut file = reader.by_index(index).expect("a file");
            assert_eq!(file.name(), name);
            assert_eq!(file.unix_mode().map(|mode| mode & 0o777), Some(permissions));
            let mut found = Vec::new();
            file.read_to_end(&mut found).expect("content");
            assert_eq!(found, content);
        }
    }

    #[test]
    fn the_same_files_give_the_same_bytes_at_any_time() {
        let first = archive(&sample()).expect("an archive");
        // Zip's times have a resolution of two seconds.
        std::thread::sleep(std::time::Duration::from_millis(2100));
        assert_eq!(first, archive(&sample()).expect("an archive"));
    }

    #[test]
    fn a_package_that_lambda_does_not_take_is_refused() {
        assert!(check_size(262_144_000, SIZE_LIMIT).is_ok());
        assert!(check_size(262_144_001, SIZE_LIMIT).is_err());
    }

    #[test]
    fn a_binary_that_needs_a_newer_glibc_is_refused() {
        let cases = [
            (Some((2, 34)), true),
            (Some((2, 17)), true),
            (Some((2, 35)), false),
            (Some((3, 0)), false),
            (None, false),
        ];
        for (found, accepted) in cases {
            assert_eq!(check_glibc(found).is_ok(), accepted, "{found:?}");
        }
    }

    #[test]
    fn no_place_of_this_machine_is_left_in_the_flags_without_a_replacement() {
        let flags = rust_flags().expect("flags");
        assert_eq!(flags.matches("--remap-path-prefix=").count(), 3);
        for name in ["=/cargo", "=/target", "=/tarn"] {
            assert!(flags.contains(name), "{flags}");
        }
    }
}
