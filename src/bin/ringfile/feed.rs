//! Many messages into a ring, in batches as large as there is room for.

use ringfile::{Producer, PushError, TryPushError};

/// A batch is one reservation, whose cost it shares; beyond this there is nothing left to share.
pub const LARGEST_BATCH: usize = 256;

/// A producer that knows how much went in at a time lately.
pub struct Feeder {
    producer: Producer,
    /// The next batch: 1 to [`LARGEST_BATCH`].
    batch: usize,
}

/// The first message that did not go in. Those before it did.
#[derive(Debug)]
pub struct Refused {
    pub index: usize,
    pub error: PushError,
}

impl Feeder {
    pub fn new(producer: Producer) -> Feeder {
        Feeder { producer, batch: LARGEST_BATCH }
    }

    /// Pushes all messages in their order; waits while the ring is full.
    ///
    /// A message waits for room of its own at most, never for that of a whole batch.
    pub fn push_all<M: AsRef<[u8]>>(&mut self, messages: &[M]) -> Result<(), Refused> {
        let mut pushed = 0;
        while pushed < messages.len() {
            let rest = &messages[pushed..];
            let count = self.batch.min(rest.len());
            match self.producer.try_push_batch(&rest[..count]) {
                Ok(_) => pushed += count,
                // Less may go in. Halving also finds the one that is too large, and pushes what comes before it.
                Err(
                    TryPushError::Full | TryPushError::BatchTooLarge { .. } | TryPushError::TooLarge { .. },
                ) if count > 1 => {
                    self.batch = count / 2;
                    continue;
                }
                // It waits, or says what is the matter.
                Err(_) => match self.producer.push(rest[0].as_ref()) {
                    Ok(_) => pushed += 1,
                    Err(error) => {
                        return Err(Refused { index: pushed, error });
                    }
                },
            }
            self.batch = (self.batch * 2).min(LARGEST_BATCH);
        }
        Ok(())
    }
}
