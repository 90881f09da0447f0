//! A lock-free message ring in one memory-mapped file.

#[cfg(not(ringfile_loom))]
pub mod error;

#[cfg(not(ringfile_loom))]
mod consumer;
#[cfg(not(ringfile_loom))]
mod position;
#[cfg(not(ringfile_loom))]
mod producer;
#[cfg(not(ringfile_loom))]
mod queue;
#[cfg(not(ringfile_loom))]
mod shared;
#[cfg(not(ringfile_loom))]
mod stats;

/// The inside, for the models in `loom-tests` and for this crate's own tests: no part of the interface.
macro_rules! inside {
    ($($module:ident),+) => {$(
        #[doc(hidden)]
        #[allow(missing_docs)]
        pub mod $module;
    )+};
}
inside!(file, park, ring, sync, sys);

#[cfg(not(ringfile_loom))]
pub use consumer::{Batch, Consumer, Delivery, Iter};
#[cfg(not(ringfile_loom))]
pub use error::*;
#[cfg(not(ringfile_loom))]
pub use position::{Position, Positions};
#[cfg(not(ringfile_loom))]
pub use producer::{Producer, Reservation};
#[cfg(not(ringfile_loom))]
pub use queue::{Claim, Options, Queue};
#[cfg(not(ringfile_loom))]
pub use shared::Wait;
#[cfg(not(ringfile_loom))]
pub use stats::{GroupStats, Participant, Problem, Role, Stats, Verification};
