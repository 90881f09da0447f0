//! The file: what it looks like, how it comes into being, and how an existing one is taken up.

#[cfg(not(ringfile_loom))]
mod attachment;
#[cfg(not(ringfile_loom))]
pub mod checkpoint;
#[cfg(not(ringfile_loom))]
mod create;
#[cfg(not(ringfile_loom))]
pub mod header;
pub mod layout;
pub mod region;

#[cfg(not(ringfile_loom))]
pub use attachment::{Attachment, Opened, is_unsettled, map_read_only};
#[cfg(not(ringfile_loom))]
pub use create::Unnamed;
