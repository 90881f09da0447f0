//! yaque: segments that are appended to, one sender and one receiver. A pop is noted on the disk with every 250th.

use super::{Opened, Queue};
use std::path::Path;
use yaque::{Receiver, Sender, TryRecvError};

struct Yaque {
    sender: Sender,
    receiver: Receiver,
}

pub fn open(dir: &Path) -> Opened {
    let dir = dir.join("queue");
    if dir.exists() {
        // A killed process leaves its lock files; this is how its documentation says to go on.
        yaque::recovery::recover(&dir)?;
    }
    let (sender, receiver) = yaque::channel(dir)?;
    Ok(Box::new(Yaque { sender, receiver }))
}

impl Queue for Yaque {
    fn push(&mut self, message: &[u8]) {
        assert!(self.sender.try_send(message).is_ok());
    }

    fn pop(&mut self, message: &mut Vec<u8>) -> bool {
        match self.receiver.try_recv() {
            Ok(oldest) => {
                *message = oldest.try_into_inner().unwrap();
                true
            }
            Err(TryRecvError::QueueEmpty) => false,
            Err(TryRecvError::Io(error)) => panic!("yaque: {error}"),
        }
    }
}
