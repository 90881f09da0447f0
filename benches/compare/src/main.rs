//! ringfile beside other queues of one process.
//!
//! ```text
//! cargo run --release --manifest-path benches/compare/Cargo.toml -- --quick     # a minute
//! cargo run --release --manifest-path benches/compare/Cargo.toml -- 1P1C 64B    # what matches all of the words
//!
//! --rounds N       how often each measurement is made (15)
//! --quick          8 B and 64 B, rings of 1,024, shorter measurements
//! --against NAME   whose time the ratios are against (ArrayQueue [u8])
//! --json           one line of JSON for each figure instead of tables
//! ```
//!
//! Words are compared with `contender shape size ring`, as in `ringfile memory 2P2C 64B ring-1024`.
//!
//! A round goes through all cases, and in each through all contenders, one after the other on fresh and warmed queues: A B C, A B C, so that whatever happens to
//! the machine happens to all of them. Between any two stands a probe of the distance between the cores (`probe.rs`);
//! what lies between two probes that differ is dropped. The figures are medians over the rounds, of nanoseconds per message (one message is one
//! push and one pop) and of the ratio to the other's time *in the same round*. Every message is counted and its contents are summed.

mod contenders;
mod measure;
mod probe;
mod report;

use contenders::{Array, Boxed, Channel, Ring};
use measure::{Case, Shape, measure};
use probe::Distance;
use std::path::Path;

const SHAPES: [Shape; 4] = [shape("1T", 0), shape("1P1C", 1), shape("2P2C", 2), shape("4P4C", 4)];
const BASELINE: &str = "ArrayQueue [u8]";

const fn shape(name: &'static str, each: u64) -> Shape {
    Shape { name, producers: each, consumers: each }
}

/// A queue by name and how it is measured.
type Contender = (&'static str, fn(&Case) -> f64);

fn contenders<const N: usize>() -> Vec<Contender> {
    fn tmpfs() -> Option<&'static Path> {
        Some(Path::new("/dev/shm"))
    }
    vec![
        (BASELINE, |c| measure(Array::<[u8; N]>::new(c.ring), c)),
        ("ArrayQueue Vec", |c| measure(Array::<Boxed<N>>::new(c.ring), c)),
        ("kanal [u8]", |c| measure(Channel::new(kanal::bounded::<[u8; N]>(c.ring)), c)),
        ("kanal Vec", |c| measure(Channel::new(kanal::bounded::<Boxed<N>>(c.ring)), c)),
        ("crossbeam-channel [u8]", |c| {
            measure(Channel::new(crossbeam_channel::bounded::<[u8; N]>(c.ring)), c)
        }),
        ("ringfile memory", |c| measure(Ring::<N, 1, false>::new(c.ring, None), c)),
        ("ringfile memory try", |c| measure(Ring::<N, 1, true>::new(c.ring, None), c)),
        ("ringfile memory by 16", |c| measure(Ring::<N, 16, false>::new(c.ring, None), c)),
        ("ringfile memory by 64", |c| measure(Ring::<N, 64, false>::new(c.ring, None), c)),
        ("ringfile tmpfs", |c| measure(Ring::<N, 1, false>::new(c.ring, tmpfs()), c)),
        ("ringfile tmpfs by 64", |c| measure(Ring::<N, 64, false>::new(c.ring, tmpfs()), c)),
        ("ringfile file", |c| measure(Ring::<N, 1, false>::new(c.ring, Some(&std::env::temp_dir())), c)),
    ]
}

fn contenders_of(size: usize) -> Vec<Contender> {
    match size {
        8 => contenders::<8>(),
        64 => contenders::<64>(),
        256 => contenders::<256>(),
        1024 => contenders::<1024>(),
        _ => unreachable!("the sizes are those of `cases`"),
    }
}

struct Options {
    rounds: usize,
    quick: bool,
    json: bool,
    against: String,
    words: Vec<String>,
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Options, String> {
        let mut options =
            Options { rounds: 15, quick: false, json: false, against: BASELINE.into(), words: Vec::new() };
        while let Some(arg) = args.next() {
            let mut value = || args.next().ok_or(format!("{arg} needs a value"));
            match &*arg {
                "--rounds" => {
                    let value = value()?;
                    options.rounds = value.parse().map_err(|e| format!("--rounds {value}: {e}"))?;
                }
                "--against" => options.against = value()?,
                "--quick" => options.quick = true,
                "--json" => options.json = true,
                flag if flag.starts_with('-') => return Err(format!("{flag}: see src/main.rs")),
                word => options.words.push(word.into()),
            }
        }
        Ok(options)
    }

    fn cases(&self) -> Vec<Case> {
        let (sizes, rings): (&[usize], &[usize]) =
            if self.quick { (&[8, 64], &[1 << 10]) } else { (&[8, 64, 256, 1024], &[1 << 10, 1 << 16]) };
        let mut cases = Vec::new();
        for &size in sizes {
            for &ring in rings {
                for shape in SHAPES {
                    let messages = if size < 1024 { 200_000 } else { 64_000 };
                    cases.push(Case {
                        shape,
                        ring,
                        size,
                        messages: if self.quick { messages / 2 } else { messages },
                    });
                }
            }
        }
        cases
    }

    fn wants(&self, name: &str, case: &Case) -> bool {
        let full = format!("{name} {} {}B ring-{}", case.shape.name, case.size, case.ring);
        // Whole words, so that 8B is not 8 of 128B.
        self.words.iter().all(|word| format!(" {full} ").contains(&format!(" {word} ")))
    }
}

fn main() {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(2);
        }
    };
    let names: Vec<_> = contenders_of(8).into_iter().map(|(name, _)| name).collect();
    if !names.contains(&&*options.against) {
        eprintln!("--against {}: there are {names:?}", options.against);
        std::process::exit(2);
    }
    let mut report = report::Report::new(&options.against, names);
    for round in 0..options.rounds {
        eprint!("\rround {} of {}  ", round + 1, options.rounds);
        for case in options.cases() {
            let contenders = contenders_of(case.size);
            if !contenders.iter().any(|(name, _)| options.wants(name, &case)) {
                continue;
            }
            let mut before = probe::distance(probe::one_way());
            for (name, measure) in contenders {
                if name != options.against && !options.wants(name, &case) {
                    continue;
                }
                let nanos = measure(&case);
                let after = probe::distance(probe::one_way());
                if before == after && after != Distance::Unclear {
                    report.add(round, &case, name, after, nanos);
                } else {
                    report.drop_one();
                }
                before = after;
            }
        }
    }
    eprintln!();
    if options.json {
        print!("{}", report.json());
    } else {
        print!("{}", report.tables());
    }
}
