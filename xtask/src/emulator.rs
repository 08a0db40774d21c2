//! The emulator of AWS on this machine: MiniStack in a Python environment of its own, started by
//! `localstack/ministack_start.py`.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::{Outcome, process, python, root};

/// How long it may take until the emulator answers. It takes about two seconds.
const START: Duration = Duration::from_secs(60);

/// An emulator on a port of the loopback interface; all that it writes is in one folder.
pub struct Emulator {
    pub port: u16,
    folder: PathBuf,
}

impl Emulator {
    /// The emulator on this port whose files are in `folder`.
    pub fn new(port: u16, folder: &Path) -> Self {
        Emulator {
            port,
            folder: folder.to_path_buf(),
        }
    }

    /// Where it answers.
    pub fn endpoint(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    /// The file that its output goes to.
    pub fn log(&self) -> PathBuf {
        self.folder.join("emulator.log")
    }

    fn pid_file(&self) -> PathBuf {
        self.folder.join("emulator.pid")
    }

    /// The process, if the one that was started last is still running. The identifier may have been
    /// given to another process since, so the command is looked at, too.
    pub fn running(&self) -> Option<u32> {
        let pid: u32 = std::fs::read_to_string(self.pid_file())
            .ok()?
            .trim()
            .parse()
            .ok()?;
        let output = Command::new("ps")
            .args(["-o", "args=", "-p", &pid.to_string()])
            .output()
            .ok()?;
        String::from_utf8_lossy(&output.stdout)
            .contains("ministack_start.py")
            .then_some(pid)
    }

    /// Whether it answers that it is ready.
    pub fn ready(&self) -> bool {
        get(self.port, "/_ministack/ready").is_some_and(|status| status == 200)
    }

    /// Starts it and waits until it answers.
    pub fn start(&self) -> Outcome {
        if answers(self.port) {
            return Err(format!(
                "port {0} is taken by another program: stop that, or choose another port: \
                 cargo xtask local up --port {1}",
                self.port,
                self.port.saturating_add(1)
            ));
        }
        let environment =
            python::environment_of("emulator", &root().join("localstack/requirements.txt"))?;
        let in_folder = |error: std::io::Error| format!("{}: {error}", self.folder.display());
        // What an earlier one wrote is of no use any more.
        let state = self.folder.join("state");
        if state.exists() {
            std::fs::remove_dir_all(&state).map_err(in_folder)?;
        }
        std::fs::create_dir_all(&state).map_err(in_folder)?;
        let log = File::create(self.log()).map_err(in_folder)?;
        let mut command = Command::new(environment.join("bin/python"));
        command
            .arg(root().join("localstack/ministack_start.py"))
            .args(["--port", &self.port.to_string()])
            .arg("--state-dir")
            .arg(state)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(in_folder)?)
            .stderr(log);
        // A group of its own: it outlives this program, and is stopped together with its functions.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command
            .spawn()
            .map_err(|error| format!("the emulator cannot be started: {error}"))?;
        std::fs::write(self.pid_file(), child.id().to_string()).map_err(in_folder)?;
        self.wait(|| child.try_wait().transpose())
    }

    /// Waits until it answers; `ended` says whether its process is gone, where that can be known.
    pub fn wait(&self, mut ended: impl FnMut() -> Option<std::io::Result<ExitStatus>>) -> Outcome {
        let started = Instant::now();
        while started.elapsed() < START {
            match ended() {
                None => (),
                Some(Err(error)) => return Err(format!("the emulator: {error}")),
                Some(Ok(status)) => {
                    return Err(format!(
                        "the emulator stopped at once ({status}); its last lines:\n{}",
                        self.last_lines(20)
                    ));
                }
            }
            if self.ready() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Err(format!(
            "the emulator did not answer within {} s; see {}",
            START.as_secs(),
            self.log().display()
        ))
    }

    /// Stops it and its functions. Returns whether there was anything to stop.
    pub fn stop(&self) -> Outcome<bool> {
        let Some(pid) = self.running() else {
            return Ok(false);
        };
        process::run(
            "kill",
            Command::new("kill").args(["-TERM", "--", &format!("-{pid}")]),
        )?;
        let started = Instant::now();
        while self.running().is_some() {
            if started.elapsed() > Duration::from_secs(15) {
                process::run(
                    "kill",
                    Command::new("kill").args(["-KILL", "--", &format!("-{pid}")]),
                )?;
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        std::fs::remove_file(self.pid_file())
            .map_err(|error| format!("{}: {error}", self.pid_file().display()))?;
        Ok(true)
    }

    fn last_lines(&self, count: usize) -> String {
        let text = std::fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }
}

fn connect(port: u16) -> Option<TcpStream> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    TcpStream::connect_timeout(&address, Duration::from_secs(2)).ok()
}

/// Whether anything listens on the port of the loopback interface.
fn answers(port: u16) -> bool {
    connect(port).is_some()
}

/// The status of a GET request.
fn get(port: u16, path: &str) -> Option<u16> {
    let mut stream = connect(port)?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    .ok()?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).ok()?;
    reply.split(' ').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn an_emulator_that_was_never_started_is_not_running_and_nothing_is_stopped() {
        let folder = std::env::temp_dir().join("no-such-folder-of-an-emulator");
        let emulator = Emulator::new(1, &folder);
        assert_eq!(emulator.running(), None);
        assert_eq!(emulator.stop(), Ok(false));
    }

    #[test]
    fn a_taken_port_is_named_before_anything_is_installed() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = taken.local_addr().expect("its address").port();
        let error = Emulator::new(port, Path::new("/nowhere"))
            .start()
            .expect_err("the port is taken");
        assert!(error.contains(&format!("port {port} is taken")), "{error}");
    }
}
