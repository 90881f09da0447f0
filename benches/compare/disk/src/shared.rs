//! Many producers of one ring, each of which waits until its message is on the disk.

use crate::places::Places;
use crate::queues::{Place, Shape, ring, stamp, zeroed};
use ringfile::Durability;
use std::sync::Barrier;
use std::thread;
use std::time::Instant;

/// Pushes of each producer that are timed, and before them.
const PUSHES: u64 = 40;
const WARM_UP: u64 = 10;

/// Nanoseconds from one push that is done to the next, of any producer.
pub fn run(places: &Places, shape: Shape, producers: usize) -> Result<f64, String> {
    let dir = places.new_dir(Place::Ext4)?;
    let queue = ring::queue(dir.path(), shape, Durability::Always).map_err(|error| error.to_string())?;
    let start = Barrier::new(producers + 1);
    let elapsed = thread::scope(|scope| {
        let push = || {
            let mut producer = queue.producer().expect("there is a slot");
            let mut message = zeroed(shape.size);
            let mut push_all = |count| {
                for number in 0..count {
                    stamp(&mut message, number);
                    producer.push(&message).expect("the disk takes it");
                }
            };
            push_all(WARM_UP);
            start.wait();
            push_all(PUSHES);
        };
        let threads: Vec<_> = (0..producers).map(|_| scope.spawn(push)).collect();
        start.wait();
        let begun = Instant::now();
        threads.into_iter().for_each(|thread| thread.join().expect("it does not panic"));
        begun.elapsed()
    });
    Ok(elapsed.as_nanos() as f64 / (producers as u64 * PUSHES) as f64)
}
