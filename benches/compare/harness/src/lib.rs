//! What the comparisons have in common: the probe of the distance between the cores, numbered messages, rounds, reports and plots.
//!
//! A program makes [contests](rounds::Contest), [runs](rounds::run) them into a [`Report`](report::Report) and prints its tables. With `--json FILE`
//! the report is kept, and the next run of the same program adds its rounds to it: so that a long comparison can be made in parts.

pub mod distribution;
pub mod message;
pub mod options;
pub mod plot;
pub mod probe;
pub mod report;
pub mod rounds;
pub mod statistics;
mod tables;

pub use hdrhistogram::Histogram;
pub use options::Options;
pub use probe::Distance;
pub use report::{Cell, Report, Sample};
