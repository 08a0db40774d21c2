//! Names of files in the raw zone: files of one name are distinguished by their folders, and a name whose
//! object has another content already is numbered.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use tarn_core::content::AS_NEW;

/// The day of a raw key; in a name it would be taken for one.
const DAY: &str = "ingest_date=";

/// A name that a file asks for, and the folders that it is in, outermost first, as far as the name
/// does not hold them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    /// Source and dataset.
    pub folder: (String, String),
    /// The name.
    pub name: String,
    /// The folders.
    pub above: Vec<String>,
}

/// The name of each file in the raw zone. Files of one name get as many of their folders in front of it as
/// distinguish them. The names depend only on the paths: the same files have the same names on every day.
pub(super) fn distinct(asked: &[Asked]) -> Vec<String> {
    let mut groups: BTreeMap<(&(String, String), &str), Vec<usize>> = BTreeMap::new();
    for (index, one) in asked.iter().enumerate() {
        let key = (&one.folder, one.name.as_str());
        groups.entry(key).or_default().push(index);
    }
    let mut names: Vec<String> = asked.iter().map(|one| one.name.clone()).collect();
    for group in groups.values().filter(|group| group.len() > 1) {
        let deepest = group.iter().map(|&index| asked[index].above.len()).max();
        let depth = (1..=deepest.unwrap_or(0))
            .find(|&depth| {
                let folders = group.iter().map(|&index| last(&asked[index].above, depth));
                folders.collect::<BTreeSet<_>>().len() == group.len()
            })
            .unwrap_or(0);
        for &index in group {
            let one = &asked[index];
            let folders = last(&one.above, depth).iter().map(|folder| part(folder));
            let parts: Vec<Cow<'_, str>> = folders.chain([Cow::from(&one.name)]).collect();
            names[index] = parts.join("/");
        }
    }
    names
}

fn last(folders: &[String], depth: usize) -> &[String] {
    &folders[folders.len().saturating_sub(depth)..]
}

/// A folder as a part of a key. A folder's name must not look like a part that means something to the lake.
fn part(folder: &str) -> Cow<'_, str> {
    let name = folder.strip_prefix(DAY).unwrap_or(folder);
    if name == AS_NEW || name.is_empty() || name.starts_with('.') {
        return format!("_{name}").into();
    }
    if name.contains(char::is_control) {
        return name.replace(char::is_control, "_").into();
    }
    name.into()
}

/// The `number`th name (from 1) of a file whose name is taken: `access.log.gz`, `access-2.log.gz`, ….
pub(super) fn numbered(name: &str, number: u32) -> String {
    if number < 2 {
        return name.to_owned();
    }
    let begin = name.rfind('/').map_or(0, |slash| slash + 1);
    // A dot in front begins no ending.
    let dot = name[begin..]
        .char_indices()
        .skip(1)
        .find(|&(_, character)| character == '.');
    let at = dot.map_or(name.len(), |(at, _)| begin + at);
    format!("{}-{number}{}", &name[..at], &name[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(paths: &[&str]) -> Vec<String> {
        let asked: Vec<Asked> = paths
            .iter()
            .map(|path| {
                let mut above: Vec<String> = path.split('/').map(str::to_owned).collect();
                Asked {
                    folder: ("web".to_owned(), "access_logs".to_owned()),
                    name: above.pop().unwrap_or_default(),
                    above,
                }
            })
            .collect();
        distinct(&asked)
    }

    #[test]
    fn files_of_one_name_have_as_many_of_their_folders_as_tell_them_apart() {
        let cases: [(&[&str], &[&str]); 7] = [
            (&["srv/a/x.log"], &["x.log"]),
            (&["srv/a/x.log", "srv/b/y.log"], &["x.log", "y.log"]),
            (&["srv/a/x.log", "srv/b/x.log"], &["a/x.log", "b/x.log"]),
            (
                &["srv/a/log/x.log", "srv/b/log/x.log", "srv/a/x.log"],
                &["a/log/x.log", "b/log/x.log", "srv/a/x.log"],
            ),
            (&["a/x.log", "a/b/x.log"], &["a/x.log", "b/x.log"]),
            (
                &[
                    "r/ingest_date=2026-01-01/x.log",
                    "r/ingest_date=2026-01-02/x.log",
                ],
                &["2026-01-01/x.log", "2026-01-02/x.log"],
            ),
            (
                &["as-new/x.log", ".b/x.log"],
                &["_as-new/x.log", "_.b/x.log"],
            ),
        ];
        for (paths, expected) in cases {
            assert_eq!(names(paths), expected, "{paths:?}");
        }
    }

    #[test]
    fn two_that_nothing_tells_apart_keep_one_name() {
        assert_eq!(names(&["a/x.log", "a/x.log"]), ["x.log", "x.log"]);
    }

    #[test]
    fn a_number_stands_in_front_of_the_ending() {
        for (name, second) in [
            ("access.log.gz", "access-2.log.gz"),
            ("a/b.c/access_log", "a/b.c/access_log-2"),
            ("a/.htaccess", "a/.htaccess-2"),
            ("ü.log", "ü-2.log"),
        ] {
            assert_eq!(numbered(name, 1), name);
            assert_eq!(numbered(name, 2), second);
        }
    }
}
