//! What the grid comes to, in the figures for which there are targets.
//!
//! The peer in each cell is the best there: the one with the lowest median of those that, like ringfile, work with any number of producers and
//! consumers. Ratios are medians over the rounds, each of two times of the same round; below one ringfile is ahead.

use crate::contenders::{BASELINE, FLOOR, FLOOR_BY_64, GENERAL, RINGFILE, RINGFILE_BY_64, RTRB};
use crate::grid::{SIZES, cell, rings};
use harness::statistics::geometric_mean;
use harness::{Cell, Distance, Report};
use std::fmt::Write;

/// Fewer rounds than these are too few.
const ENOUGH: usize = 30;

/// Against whom.
#[derive(Clone, Copy)]
enum Peer {
    BestGeneral,
    This(&'static str),
}

/// What is asked, of whom, in which shapes, against whom.
type Question = (&'static str, &'static str, &'static [&'static str], Peer);

const QUESTIONS: [Question; 8] = [
    ("single, against the best general peer", RINGFILE, &["1P1C", "2P2C", "4P4C", "4P1C"], Peer::BestGeneral),
    ("single in one thread, against ArrayQueue", RINGFILE, &["1T"], Peer::This(BASELINE)),
    ("by 64, against the best general peer's single calls", RINGFILE_BY_64, &["1P1C"], Peer::BestGeneral),
    ("single, against the floor", RINGFILE, &["1T", "1P1C"], Peer::This(FLOOR)),
    ("by 64, against the floor", RINGFILE_BY_64, &["1T", "1P1C"], Peer::This(FLOOR)),
    ("by 64, against the floor by 64", RINGFILE_BY_64, &["1T", "1P1C"], Peer::This(FLOOR_BY_64)),
    ("single, against rtrb", RINGFILE, &["1P1C"], Peer::This(RTRB)),
    ("by 64, against rtrb", RINGFILE_BY_64, &["1P1C"], Peer::This(RTRB)),
];

pub fn summary(report: &Report) -> String {
    let mut out = String::new();
    for distance in report.distances() {
        let _ = writeln!(out, "\nSummary, {} cores (* of fewer than {ENOUGH} rounds)", distance.name());
        for (title, own, shapes, peer) in QUESTIONS {
            let of = Of { report, distance };
            let duels: Vec<_> = shapes.iter().flat_map(|shape| of.duels(own, shape, peer)).collect();
            write_duels(&mut out, title, &duels);
        }
    }
    out
}

/// A report's part at one distance.
struct Of<'a> {
    report: &'a Report,
    distance: Distance,
}

/// How one contender did against another in a cell.
struct Duel {
    cell: Cell,
    own: f64,
    peer: &'static str,
    peers: f64,
    ratio: f64,
    rounds: usize,
}

impl Duel {
    fn line(&self) -> String {
        let Duel { cell, own, peer, peers, ratio, rounds } = self;
        let flag = if *rounds < ENOUGH { "*" } else { "" };
        let place = format!("{}, {}", cell.table, cell.column);
        format!("  {place:<28}{own:>9.1}{peers:>9.1}  x{ratio:<6.2}{peer}, {rounds} rounds{flag}\n")
    }
}

impl Of<'_> {
    fn value(&self, cell: &Cell, contender: &str) -> Option<f64> {
        self.report.figure(self.distance, cell, contender).map(|figure| figure.value)
    }

    fn best(&self, cell: &Cell) -> Option<&'static str> {
        let measured = GENERAL.iter().filter_map(|&peer| Some((self.value(cell, peer)?, peer)));
        measured.min_by(|one, other| one.0.total_cmp(&other.0)).map(|(_, peer)| peer)
    }

    fn duel(&self, cell: Cell, own: &str, peer: &'static str) -> Option<Duel> {
        let (ratio, rounds) = self.report.ratio(self.distance, (&cell, own), (&cell, peer))?;
        let (own, peers) = (self.value(&cell, own)?, self.value(&cell, peer)?);
        Some(Duel { cell, own, peer, peers, ratio, rounds })
    }

    /// The duels of one shape, over all short messages and their rings.
    fn duels(&self, own: &str, shape: &str, peer: Peer) -> Vec<Duel> {
        let sizes = SIZES.iter().filter(|&&size| size <= 1024);
        let cells = sizes.flat_map(|&size| rings(size).iter().map(move |&ring| cell(size, ring, shape)));
        let fight = |cell: Cell| {
            let peer = match peer {
                Peer::BestGeneral => self.best(&cell)?,
                Peer::This(peer) => peer,
            };
            self.duel(cell, own, peer)
        };
        cells.filter_map(fight).collect()
    }
}

fn write_duels(out: &mut String, title: &str, duels: &[Duel]) {
    let ratios = || duels.iter().map(|duel| duel.ratio);
    let worst = duels.iter().max_by(|one, other| one.ratio.total_cmp(&other.ratio));
    let Some((mean, worst)) = geometric_mean(ratios()).zip(worst) else { return };
    let _ = writeln!(out, "\n{title} (ns, its ns, ratio)");
    out.extend(duels.iter().map(Duel::line));
    let (Duel { cell, peer, ratio, .. }, count) = (worst, duels.len());
    let behind = ratios().filter(|&ratio| ratio > 1.0).count();
    let _ = writeln!(
        out,
        "  geometric mean x{mean:.2} over {count} cells; worst x{ratio:.2} at {}, {} against {peer}; behind in {behind}",
        cell.table, cell.column,
    );
}
