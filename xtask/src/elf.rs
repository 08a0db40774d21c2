//! What a Linux binary needs of the C library.

use object::Endianness;
use object::elf::FileHeader64;
use object::read::elf::FileHeader as _;

use crate::Outcome;

/// The newest version of glibc whose symbols the binary names, such as (2, 34); None where it names
/// none.
pub fn newest_glibc(binary: &[u8]) -> Outcome<Option<(u32, u32)>> {
    versions(binary)
        .map(|names| names.iter().filter_map(|name| glibc(name)).max())
        .map_err(|error| format!("not a 64-bit ELF file: {error}"))
}

/// The names of all symbol versions that the binary needs.
fn versions(binary: &[u8]) -> object::Result<Vec<String>> {
    let header = FileHeader64::<Endianness>::parse(binary)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, binary)?;
    let mut names = Vec::new();
    if let Some((mut libraries, strings)) = sections.gnu_verneed(endian, binary)? {
        let strings = sections.strings(endian, binary, strings)?;
        while let Some((_, mut needed)) = libraries.next()? {
            while let Some(version) = needed.next()? {
                let name = version.name(endian, strings)?;
                names.push(String::from_utf8_lossy(name).into_owned());
            }
        }
    }
    Ok(names)
}

/// `GLIBC_2.3.4` as (2, 3).
fn glibc(name: &str) -> Option<(u32, u32)> {
    let mut parts = name.strip_prefix("GLIBC_")?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(glibc("GLIBC_2.3.4"), Some((2, 3)));
        assert!(glibc("GLIBC_2.4") < glibc("GLIBC_2.34"));
        assert_eq!(glibc("GLIBC_PRIVATE"), None);
        assert_eq!(glibc("GCC_3.0"), None);
    }

    #[test]
    fn this_very_program_needs_some_glibc() {
        let program = std::env::current_exe().expect("a path");
        let bytes = std::fs::read(program).expect("a file");
        let found = newest_glibc(&bytes).expect("an ELF file");
        assert!(found >= Some((2, 2)), "{found:?}");
    }

    #[test]
    fn what_is_no_elf_file_is_an_error() {
        assert!(newest_glibc(b"#!/bin/sh").is_err());
    }
}
