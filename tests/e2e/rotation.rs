//! Random logs of a server over several days: every request counts once.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use crate::dice::Dice;
use crate::lake::Lake;
use crate::logs::{gzip, line, odd};

/// A server, its log and its former logs.
struct Server {
    folder: PathBuf,
    /// The next request.
    next: usize,
    /// The live log, and the end of a line that is not written yet.
    live: String,
    unwritten: String,
    /// Former logs, the newest first.
    former: Vec<Former>,
}

struct Former {
    text: String,
    is_compressed: bool,
}

impl Server {
    fn new(folder: PathBuf, first: usize) -> Self {
        std::fs::create_dir_all(&folder).unwrap();
        Server {
            folder,
            next: first,
            live: String::new(),
            unwritten: String::new(),
            former: Vec::new(),
        }
    }

    /// Writes some requests; the last line may be cut off for a while.
    fn serve(&mut self, random: &mut Dice) {
        self.live += &std::mem::take(&mut self.unwritten);
        for _ in 0..random.below(6) {
            self.live += &line(self.next);
            self.next += 1;
        }
        if random.one_in(3) {
            let text = line(self.next);
            self.next += 1;
            // After the first line: a file that is cut off within it and comes late is not recognised.
            let end = 1 + random.below(text.len() - 1);
            if !self.live.is_empty() {
                self.live += &text[..end];
                self.unwritten = text[end..].to_owned();
            } else {
                self.live += &text;
            }
        }
    }

    /// The log is renamed, or copied and cut off, and older ones are compressed.
    fn rotate(&mut self, random: &mut Dice) {
        self.live += &std::mem::take(&mut self.unwritten);
        for former in &mut self.former {
            former.is_compressed |= random.one_in(2);
        }
        let text = std::mem::take(&mut self.live);
        if !text.is_empty() {
            self.former.insert(
                0,
                Former {
                    text,
                    is_compressed: false,
                },
            );
        }
    }

    /// Writes the files as they are now, and a copy of some of them.
    fn write(&self, random: &mut Dice) {
        std::fs::remove_dir_all(&self.folder).unwrap();
        std::fs::create_dir_all(&self.folder).unwrap();
        let write = |name: String, bytes: Vec<u8>| {
            std::fs::write(self.folder.join(name), bytes).unwrap();
        };
        // An empty file fits no contract.
        if !self.live.is_empty() {
            write("access.log".to_owned(), self.live.clone().into_bytes());
        }
        for (number, former) in (1..).zip(&self.former) {
            let bytes = former.text.clone().into_bytes();
            match former.is_compressed {
                false => write(format!("access.log.{number}"), bytes),
                true if random.one_in(3) => {
                    let members = bytes.chunks(200).flat_map(gzip).collect();
                    write(format!("access.log.{number}.gz"), members);
                }
                true => write(format!("access.log.{number}.gz"), gzip(bytes)),
            }
        }
        if random.one_in(2) {
            let all: Vec<&String> = self.former.iter().map(|former| &former.text).collect();
            let text = if all.is_empty() {
                &self.live
            } else {
                all[random.below(all.len())]
            };
            let first = text.find('\n').map_or(text.len(), |end| end + 1);
            let end = (first + random.below(text.len() + 1 - first)).min(text.len());
            if end > 0 {
                write("copy.log".to_owned(), text.as_bytes()[..end].to_vec());
            }
        }
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.folder).unwrap();
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }
}

/// Ingests some paths, and kills the run after some time if asked to.
fn ingest(lake: &Lake, paths: &[PathBuf], kill_after: Option<u64>) {
    let mut command = lake.command();
    command.arg("ingest").args(paths);
    let Some(milliseconds) = kill_after else {
        let output = command.output().unwrap();
        assert!(
            output.status.success(),
            "{}: {}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        return;
    };
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(milliseconds));
    child.kill().unwrap_or_default();
    child.wait().unwrap();
}

fn days_of_a_server(seed: u64, kills: bool) {
    let mut random = Dice(seed);
    let lake = Lake::new();
    let mut servers = [
        Server::new(lake.scratch().join("in/one"), 0),
        Server::new(lake.scratch().join("in/two"), 100_000),
    ];
    let parent: &Path = &lake.scratch().join("in");
    for day in 0..10 {
        for server in &mut servers {
            server.serve(&mut random);
            if random.one_in(3) {
                server.rotate(&mut random);
                server.serve(&mut random);
            }
            server.write(&mut random);
        }
        let mut paths: Vec<PathBuf> = match random.below(3) {
            0 => vec![parent.to_owned()],
            1 => servers.iter().map(|server| server.folder.clone()).collect(),
            _ => {
                let server = &servers[random.below(2)];
                let mut files = server.files();
                files.retain(|_| !random.one_in(3));
                files
            }
        };
        // In any order.
        for index in (1..paths.len()).rev() {
            paths.swap(index, random.below(index + 1));
        }
        if paths.is_empty() {
            continue;
        }
        let kill_after = (kills && random.one_in(2)).then(|| 5 + random.next() % 250);
        ingest(&lake, &paths, kill_after);
        // A run that was killed at once has not even made the lake.
        let is_made = lake.path().join(".tarn/lake.sqlite").exists();
        if random.one_in(4) && is_made {
            lake.ok(&["replay", "--dataset", "web_requests"]);
        }
        if day == 6 && is_made {
            lake.ok(&["backfill", "--from", "2020-01-01", "--to", "2100-01-01"]);
        }
    }
    // All files, complete.
    for server in &mut servers {
        server.rotate(&mut random);
        server.write(&mut random);
    }
    ingest(&lake, &[parent.to_owned()], None);
    let ids = 0..servers[0].next;
    let others = 100_000..servers[1].next;
    assert_eq!(odd(&lake, ids.chain(others)), [], "seed {seed}");
    let rejected = lake.query("SELECT * FROM quarantine_web_requests");
    assert!(rejected.is_empty(), "seed {seed}: {rejected:?}");
}

/// How many seeds; `TARN_SEEDS` sets another number.
fn seeds(first: u64) -> std::ops::Range<u64> {
    let asked = std::env::var("TARN_SEEDS")
        .ok()
        .and_then(|text| text.parse().ok());
    first..first + asked.unwrap_or(6)
}

#[test]
fn requests_of_several_days_count_once_each() {
    for seed in seeds(0) {
        days_of_a_server(seed, false);
    }
}

#[test]
fn requests_of_several_days_count_once_each_although_runs_are_killed() {
    for seed in seeds(1_000) {
        days_of_a_server(seed, true);
    }
}
