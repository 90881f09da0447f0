//! Looking at a queue without being part of it.

use crate::replay::Replay;
use crate::ring::Ring;
use crate::stats::{Stats, Verification};
use std::fmt;
use std::sync::Arc;

/// A queue that was opened [to look at](crate::Options::observe): the file is mapped for reading only, nothing in it is changed, and nobody can tell.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let path = std::env::temp_dir().join(format!("ringfile-doc-observer-{}.ring", std::process::id()));
/// use ringfile::Queue;
///
/// let queue = Queue::open(&path)?;
/// queue.producer()?.push(b"seen")?;
///
/// let observer = Queue::options().observe(&path)?;
/// assert_eq!(observer.stats().groups[0].len, 1);
/// let kept: Vec<_> = observer.replay().filter_map(Result::ok).collect();
/// assert_eq!(kept[0].message, b"seen");
/// # std::fs::remove_file(path)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Observer {
    pub(crate) ring: Arc<Ring>,
    pub(crate) letters: Option<Arc<Ring>>,
}

impl Observer {
    /// Where everything stands. Hints while others work.
    pub fn stats(&self) -> Stats {
        Stats::of(&self.ring, self.letters.as_deref())
    }

    /// Everything that is still kept, as [`Queue::replay`](crate::Queue::replay) gives it.
    pub fn replay(&self) -> Replay {
        Replay::observing(self.ring.clone())
    }

    /// Reads the whole file and says what contradicts itself; while others work it may see what is half done.
    pub fn verify(&self) -> Verification {
        Verification::of(&self.ring)
    }

    /// The dead letters, if the queue sets any aside and their file is there.
    pub fn dead_letters(&self) -> Option<Observer> {
        self.letters.clone().map(|ring| Observer { ring, letters: None })
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observer").field("geometry", &self.ring.layout().geometry).finish_non_exhaustive()
    }
}
