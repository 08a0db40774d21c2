//! Which process holds a claim, so that one on the same machine finds out at once that it has stopped.

use std::path::Path;

/// What names a process of this machine until its next start: the start of the machine, the number of the
/// process and when it began. None where the system does not say.
pub(crate) fn this_process() -> Option<String> {
    name_of(std::process::id())
}

/// Whether that process is known to have stopped. What is of another machine, or of another start of this
/// one, is not known.
pub(crate) fn has_stopped(name: &str) -> bool {
    let mut parts = name.split(' ');
    let (Some(machine), Some(process)) = (parts.next(), parts.next()) else {
        return false;
    };
    let Ok(process) = process.parse() else {
        return false;
    };
    self::machine().as_deref() == Some(machine) && name_of(process).as_deref() != Some(name)
}

fn machine() -> Option<String> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned())
}

fn name_of(process: u32) -> Option<String> {
    let stat = std::fs::read_to_string(Path::new("/proc").join(process.to_string()).join("stat"));
    let stat = stat.ok()?;
    // The name in parentheses may hold blanks; the start is the 22nd field, and the state the third:
    // one that has ended and is not yet waited for is no longer at work.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    let begin = fields.nth(18)?;
    (!matches!(state, "Z" | "X")).then_some(())?;
    Some(format!("{} {process} {begin}", machine()?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_is_known_while_it_runs_and_no_longer() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let name = name_of(child.id()).unwrap();
        assert!(!has_stopped(&name));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(has_stopped(&name));
        assert!(!has_stopped(&this_process().unwrap()));
    }

    #[test]
    fn nothing_is_known_of_other_machines() {
        for other in ["", "a", "a b", "00000000-0000-0000-0000-000000000000 1 1"] {
            assert!(!has_stopped(other), "{other:?}");
        }
    }
}
