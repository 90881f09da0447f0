//! Who takes part in a run, how often they may be killed or paused, and how many states there are.

use crate::actors::consumer::Task;
use crate::model::{Part, Role};
use crate::properties::Sight;

#[derive(Debug)]
pub struct Configuration {
    pub name: &'static str,
    pub cells: u8,
    pub slots: u8,
    pub parts: &'static [Part],
    pub crashes: u8,
    pub pauses: u8,
    /// What must have been seen.
    pub sights: &'static [Sight],
    /// How many states there are: a change of the model that nobody meant would show here.
    pub states: usize,
}

impl Part {
    const fn new(role: Role) -> Part {
        Part { role, slot: None, may_crash: false, may_pause: false }
    }

    const fn at(self, slot: u8) -> Part {
        Part { slot: Some(slot), ..self }
    }

    const fn mortal(self) -> Part {
        Part { may_crash: true, ..self }
    }

    const fn pausable(self) -> Part {
        Part { may_pause: true, ..self }
    }
}

const fn producer(batches: &'static [u8]) -> Part {
    Part::new(Role::Producer(batches))
}

const fn consumer(max: u8) -> Part {
    Part::new(Role::Consumer(Task { max, claims: None, releases: 0, splits: false }))
}

/// One that may put back what it claims, so many times.
const fn releaser(max: u8, releases: u8) -> Part {
    Part::new(Role::Consumer(Task { max, claims: None, releases, splits: false }))
}

/// One that may also acknowledge the first message of an interval alone.
const fn splitter(max: u8, releases: u8) -> Part {
    Part::new(Role::Consumer(Task { max, claims: None, releases, splits: true }))
}

/// One that may put back what it claims once, and leaves.
const fn leaver(claims: u8) -> Part {
    Part::new(Role::Consumer(Task { max: 1, claims: Some(claims), releases: 1, splits: false }))
}

const RECOVERER: Part = Part::new(Role::Recoverer);

pub const CONFIGURATIONS: &[Configuration] = &[
    Configuration {
        name: "two producers, a consumer",
        cells: 2,
        slots: 3,
        parts: &[producer(&[1, 1]).at(0), producer(&[1]).at(1), consumer(1).at(2)],
        crashes: 0,
        pauses: 0,
        sights: &[Sight::SecondLap],
        states: 25_700,
    },
    Configuration {
        name: "two consumers, a release",
        cells: 2,
        slots: 3,
        parts: &[
            producer(&[1, 1, 1]).at(0),
            // It leaves, and cannot be the one that delivers again what it put back.
            leaver(2).at(1),
            consumer(1).at(2),
        ],
        crashes: 0,
        pauses: 0,
        sights: &[Sight::SecondLap, Sight::HeldAgain],
        states: 1_060_657,
    },
    Configuration {
        name: "batches claimed, released and split",
        cells: 4,
        slots: 3,
        parts: &[producer(&[2, 2]).at(0), splitter(2, 1).at(1), consumer(2).at(2)],
        crashes: 0,
        pauses: 0,
        sights: &[Sight::Interval, Sight::HeldAgain],
        states: 947_874,
    },
    Configuration {
        name: "killed producers",
        cells: 2,
        slots: 3,
        parts: &[
            producer(&[1, 1]).at(0).mortal(),
            producer(&[1]).at(1).mortal(),
            consumer(1).at(2),
            RECOVERER,
        ],
        crashes: 1,
        pauses: 0,
        sights: &[Sight::SecondLap, Sight::Voided],
        states: 408_979,
    },
    Configuration {
        name: "killed batches",
        cells: 4,
        slots: 3,
        parts: &[
            producer(&[2]).at(0).mortal(),
            producer(&[1, 2]).at(1).mortal(),
            consumer(2).at(2),
            RECOVERER,
        ],
        crashes: 1,
        pauses: 0,
        sights: &[Sight::SecondLap, Sight::Voided],
        states: 741_527,
    },
    Configuration {
        name: "two killed producers",
        cells: 2,
        slots: 3,
        parts: &[
            producer(&[1, 1]).at(0).mortal(),
            producer(&[1]).at(1).mortal(),
            consumer(1).at(2),
            RECOVERER,
        ],
        crashes: 2,
        pauses: 0,
        sights: &[Sight::SecondLap, Sight::Voided],
        states: 679_729,
    },
    Configuration {
        name: "killed consumers",
        cells: 2,
        slots: 3,
        parts: &[producer(&[1, 1, 1]).at(0), consumer(1).at(1).mortal(), consumer(1).at(2), RECOVERER],
        crashes: 1,
        pauses: 0,
        sights: &[Sight::SecondLap, Sight::HeldAgain],
        states: 2_178_558,
    },
    Configuration {
        name: "killed with an interval",
        cells: 4,
        slots: 3,
        parts: &[producer(&[2]).at(0), splitter(2, 1).at(1).mortal(), consumer(2).at(2), RECOVERER],
        crashes: 1,
        pauses: 0,
        sights: &[Sight::Interval, Sight::HeldAgain],
        states: 491_768,
    },
    Configuration {
        name: "a killed recoverer of a batch",
        cells: 4,
        slots: 2,
        parts: &[
            producer(&[2]).at(0).mortal(),
            consumer(2).at(1),
            producer(&[1]),
            RECOVERER.mortal(),
            RECOVERER,
        ],
        crashes: 2,
        pauses: 0,
        sights: &[Sight::Voided, Sight::RecovererDied, Sight::SlotTakenAgain],
        states: 301_926,
    },
    Configuration {
        name: "a killed recoverer of a claim",
        cells: 2,
        slots: 2,
        parts: &[
            producer(&[1]).at(0),
            releaser(1, 1).at(1).mortal(),
            consumer(1),
            RECOVERER.mortal(),
            RECOVERER,
        ],
        crashes: 2,
        pauses: 0,
        sights: &[Sight::HeldAgain, Sight::RecovererDied, Sight::SlotTakenAgain],
        states: 250_925,
    },
    Configuration {
        name: "two recoverers of an interval",
        cells: 2,
        slots: 3,
        parts: &[producer(&[2]).at(0), consumer(2).at(1).mortal(), consumer(1).at(2), RECOVERER, RECOVERER],
        crashes: 1,
        pauses: 0,
        sights: &[Sight::Interval, Sight::HeldAgain],
        states: 903_728,
    },
    Configuration {
        name: "a paused producer",
        cells: 2,
        slots: 3,
        parts: &[producer(&[1, 1]).at(0).pausable(), producer(&[1]).at(1), consumer(1).at(2)],
        crashes: 0,
        pauses: 1,
        sights: &[Sight::SettledBesideThePaused],
        states: 46_307,
    },
    Configuration {
        name: "a paused consumer",
        cells: 2,
        slots: 3,
        parts: &[producer(&[1, 1, 1]).at(0), consumer(1).at(1).pausable(), consumer(1).at(2)],
        crashes: 0,
        pauses: 1,
        sights: &[Sight::SettledBesideThePaused],
        states: 645_882,
    },
    Configuration {
        name: "paused beside the dead",
        cells: 2,
        slots: 3,
        parts: &[
            producer(&[1]).at(0).mortal(),
            producer(&[1]).at(1).pausable(),
            consumer(1).at(2),
            RECOVERER.pausable(),
            RECOVERER,
        ],
        crashes: 1,
        pauses: 1,
        sights: &[Sight::SettledBesideThePaused],
        states: 1_682_051,
    },
];
