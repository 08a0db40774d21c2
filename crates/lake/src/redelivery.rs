//! Messages of a queue, and when one that failed is delivered again.

/// The pause before the second delivery, in seconds.
const FIRST: u32 = 30;

/// Each further pause is this many times as long.
const GROWTH: u32 = 6;

/// The longest pause, in seconds.
const LONGEST: u32 = 1_800;

/// A message of a queue, as it was delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The identifier under which its failure is reported.
    pub id: String,
    /// The receipt handle, which identifies this delivery to the queue; empty if there is none.
    pub receipt: String,
    /// How often it was delivered, including this time.
    pub receives: u32,
    /// Its content.
    pub body: String,
}

/// A message that failed for a cause that passes by itself: it need not wait for the queue's visibility
/// timeout, which is long enough for the longest work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redelivery {
    /// The receipt handle, by which the queue knows this delivery.
    pub receipt: String,
    /// How often the message was delivered, this time included.
    pub receives: u32,
}

impl Redelivery {
    /// The redelivery of a message; None if it has no receipt, because the queue needs one.
    pub fn of(message: &Message) -> Option<Redelivery> {
        (!message.receipt.is_empty()).then(|| Redelivery {
            receipt: message.receipt.clone(),
            receives: message.receives,
        })
    }

    /// Seconds until the next delivery: at most 30, then 180, then 1,080, then 1,800, and at least half
    /// of that, by the receipt, so that messages that failed together do not come back together.
    pub fn seconds(&self) -> u32 {
        let longest = GROWTH
            .checked_pow(self.receives.saturating_sub(1))
            .and_then(|times| FIRST.checked_mul(times))
            .map_or(LONGEST, |seconds| seconds.min(LONGEST));
        // FNV-1a.
        let hash = self.receipt.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
        longest - hash % (longest / 2 + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(receives: u32, receipt: &str) -> u32 {
        let receipt = receipt.to_owned();
        Redelivery { receipt, receives }.seconds()
    }

    #[test]
    fn pauses_grow_with_every_delivery_and_are_bounded() {
        for (receives, longest) in [
            (0, 30),
            (1, 30),
            (2, 180),
            (3, 1_080),
            (4, 1_800),
            (5, 1_800),
            (u32::MAX, 1_800),
        ] {
            let found: Vec<u32> = (0..1_000)
                .map(|number| after(receives, &format!("receipt-{number}")))
                .collect();
            assert!(
                found
                    .iter()
                    .all(|seconds| (longest / 2..=longest).contains(seconds)),
                "{receives}: {found:?}"
            );
            // Many who failed together come back at different times.
            let different: std::collections::BTreeSet<_> = found.iter().collect();
            assert!(different.len() > 10, "{receives}: {different:?}");
        }
    }

    #[test]
    fn a_message_without_a_receipt_waits_for_the_visibility_timeout() {
        let mut message = Message {
            id: "0".to_owned(),
            receipt: "r".to_owned(),
            receives: 3,
            body: String::new(),
        };
        let again = Redelivery::of(&message).map(|one| (one.receipt, one.receives));
        assert_eq!(again, Some(("r".to_owned(), 3)));
        message.receipt.clear();
        assert_eq!(Redelivery::of(&message), None);
    }
}
