//! Which user agents are bots, asked once per distinct agent.

use std::sync::LazyLock;

use hashbrown::HashMap;

use crate::column::TextColumn;

/// The remembered answers are dropped when they are for this many agents …
const MEMO_ENTRIES: usize = 50_000;
/// … or for this many bytes of them. A longer agent is not remembered.
const MEMO_BYTES: usize = 4 << 20;
const MEMO_AGENT_BYTES: usize = 2048;

/// Compiling the list takes some milliseconds: once per process.
static LIST: LazyLock<isbot::Bots> = LazyLock::new(isbot::Bots::default);

/// Asks the list and remembers its answers across batches, in bounded memory.
#[derive(Default)]
pub(super) struct Bots {
    memo: HashMap<Box<[u8]>, bool>,
    bytes: usize,
}

impl Bots {
    /// Whether an agent is a bot.
    pub(crate) fn is_bot(&mut self, agent: &[u8]) -> bool {
        if let Some(&known) = self.memo.get(agent) {
            return known;
        }
        let answer = std::str::from_utf8(agent).is_ok_and(|agent| LIST.is_bot(agent));
        if agent.len() <= MEMO_AGENT_BYTES {
            if self.memo.len() >= MEMO_ENTRIES || self.bytes + agent.len() > MEMO_BYTES {
                self.memo.clear();
                self.bytes = 0;
            }
            self.bytes += agent.len();
            self.memo.insert(agent.into(), answer);
        }
        answer
    }

    /// The answer for each row of a column of agents, None where there is no agent.
    pub(super) fn of_column(&mut self, agents: &TextColumn, mut each: impl FnMut(Option<bool>)) {
        if agents.interned {
            let answers: Vec<bool> = (0..agents.texts.len())
                .map(|index| self.is_bot(agents.texts.get(index)))
                .collect();
            for (row, &key) in agents.keys.iter().enumerate() {
                each(if agents.validity.get(row) {
                    answers.get(key as usize).copied()
                } else {
                    None
                });
            }
        } else {
            for row in 0..agents.len() {
                each(agents.get(row).map(|agent| self.is_bot(agent)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    /// The list that decides, with its version: the crate whose patterns are matched.
    const BOT_LIST: &str = "isbot 0.1.3";

    #[test]
    fn the_named_version_is_the_one_that_is_built() {
        let lock = std::fs::read_to_string("../../Cargo.lock").unwrap();
        let (name, version) = BOT_LIST.split_once(' ').unwrap();
        assert!(
            lock.contains(&format!("name = \"{name}\"\nversion = \"{version}\"\n")),
            "{BOT_LIST}"
        );
        assert_eq!(
            lock.matches(&format!("name = \"{name}\"\n")).count(),
            1,
            "one version only"
        );
    }

    #[test]
    fn bots_and_browsers_are_distinguished() {
        let mut bots = Bots::default();
        for agent in [
            "Mozilla/5.0 (compatible; Googlebot/2.1)",
            "curl/8.4.0",
            "python-requests/2.31.0",
        ] {
            assert!(bots.is_bot(agent.as_bytes()), "{agent}");
        }
        for agent in [
            "",
            "Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0",
        ] {
            assert!(!bots.is_bot(agent.as_bytes()), "{agent}");
        }
    }

    #[test]
    fn the_memo_stays_bounded_and_its_answers_right() {
        let mut bots = Bots::default();
        for number in 0..MEMO_ENTRIES + 10 {
            assert!(bots.is_bot(format!("curl/{number}").as_bytes()));
            assert!(bots.memo.len() <= MEMO_ENTRIES && bots.bytes <= MEMO_BYTES);
        }
        let long = [b"Googlebot ".repeat(1000), b"x".to_vec()].concat();
        assert!(bots.is_bot(&long) && !bots.memo.contains_key(long.as_slice()));
    }

    #[test]
    fn a_column_gets_one_answer_per_row_interned_or_not() {
        for intern in [true, false] {
            let mut agents = TextColumn::new(intern);
            for agent in [
                Some("curl/1"),
                None,
                Some("Mozilla/5.0 Firefox/115.0"),
                Some("curl/1"),
            ] {
                match agent {
                    Some(agent) => agents.push(agent.as_bytes()),
                    None => agents.push_null(),
                }
            }
            let mut answers = Vec::new();
            Bots::default().of_column(&agents, |answer| answers.push(answer));
            assert_eq!(answers, [Some(true), None, Some(false), Some(true)]);
        }
    }
}
