//! All sizes, rings and shapes, and in each all contenders.

use crate::contenders::{Entrant, entrants};
use crate::measure::{Case, Effort, Shape};
use harness::rounds::{Contender, Contest};
use harness::{Cell, Options};

pub const SIZES: [usize; 5] = [8, 64, 256, 1024, 64 << 10];
pub const SHAPES: [Shape; 6] = [
    Shape { name: "1T", producers: 0, consumers: 0 },
    Shape { name: "1P1C", producers: 1, consumers: 1 },
    Shape { name: "2P2C", producers: 2, consumers: 2 },
    Shape { name: "4P4C", producers: 4, consumers: 4 },
    Shape { name: "4P1C", producers: 4, consumers: 1 },
    Shape { name: "1P4C", producers: 1, consumers: 4 },
];

/// The rings in which messages of this size are measured.
pub fn rings(size: usize) -> &'static [usize] {
    // Larger ones have room in no cache, and hardly in memory.
    if size > 1024 { &[256] } else { &[1 << 10, 1 << 16] }
}

pub fn cell(size: usize, ring: usize, shape: &str) -> Cell {
    Cell::new(format!("{size} B, ring {ring}"), shape)
}

pub fn contests(options: &Options) -> Vec<Contest<'static>> {
    let mut contests = Vec::new();
    for size in SIZES {
        for &ring in rings(size) {
            if options.quick && (size > 64 || ring > 1024) {
                continue;
            }
            for shape in SHAPES {
                let entrants = entrants_of(size).into_iter().filter(|entrant| entrant.can(shape));
                let contenders = entrants.map(|e| contender(e, size, ring, shape, options.quick)).collect();
                contests.push(Contest { cell: cell(size, ring, shape.name), contenders });
            }
        }
    }
    contests
}

fn contender(entrant: Entrant, size: usize, ring: usize, shape: Shape, quick: bool) -> Contender<'static> {
    let mut effort = Effort::new(quick);
    let Entrant { name, measure, .. } = entrant;
    Contender::new(name, move || effort.spend(|messages| measure(&Case { shape, ring, size, messages })))
}

fn entrants_of(size: usize) -> Vec<Entrant> {
    match size {
        8 => entrants::<8>(),
        64 => entrants::<64>(),
        256 => entrants::<256>(),
        1024 => entrants::<1024>(),
        65536 => entrants::<65536>(),
        _ => unreachable!("the sizes are those of `SIZES`"),
    }
}
