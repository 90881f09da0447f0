//! What the models in `tests/` have in common.
//!
//! A model is a test that calls [`explore`] with every outcome that the protocol allows and with a closure
//! that builds a small ring, lets actors work on it and says what came out. Loom runs the closure for every
//! interleaving and every value that a weak memory may show, up to two preemptions. What loom did is compared
//! with what was expected, so no model passes because nothing happened in it: the set of outcomes must be
//! exactly the expected one, and the number of executions the one that is pinned in `executions.txt`.
//!
//! Nothing here is compiled without `--cfg ringfile_loom`:
//!
//! ```text
//! RUSTFLAGS="--cfg ringfile_loom" cargo test -p loom-tests --profile checked
//! ```
//!
//! - Every actor runs in a spawned thread: what the main one does is barely interleaved. Before the threads are
//!   spawned and after they are joined, the main thread prepares and looks.
//! - The actors wake nobody unless a model is about sleeping: the fence of a waker would hide a missing edge
//!   elsewhere.
//! - The dead are threads that do not go on, or words as they would have left them ([`remains`]).
#![cfg(ringfile_loom)]

#[allow(missing_docs, reason = "named as in the crate, where they are documented")]
mod actors;
pub mod crash;
mod explore;
pub mod remains;
mod shape;

pub use actors::{
    Consumer, Producer, Sleeper, expire, four, make_group, recover_the_dead, replay, settle_and_drain, three,
    two,
};
pub use explore::{explore, explore_deeper};
pub use shape::{Shape, long, very_long};

/// The attachment of every participant that lives.
pub const LIVING: u64 = 1;
/// The attachment of every participant that the kernel says is gone.
pub const DEAD: u64 = 2;
