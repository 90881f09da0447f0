//! The rate of a group: the predecessor's own test of it, and the bound that holds over all of its consumers.

use ringfile::{Claim, PopTimeoutError, Queue, TryPopError};
use std::thread;
use std::time::{Duration, Instant};

/// The predecessor's: 5 messages at 2 a second take 2 to 3 seconds.
#[test]
fn five_messages_at_two_a_second() {
    let queue = Queue::options().capacity(1 << 20).rate(2.0).in_memory().unwrap();
    let mut producer = queue.producer().unwrap();
    for i in 0..5u8 {
        producer.push(&[i]).unwrap();
    }
    let mut consumer = queue.consumer().unwrap();
    let start = Instant::now();
    for i in 0..5u8 {
        assert_eq!(consumer.pop().unwrap(), [i]);
    }
    let took = start.elapsed();
    assert!(Duration::from_secs(2) <= took && took < Duration::from_secs(3), "{took:?}");
}

/// The predecessor's: without a rate, 10 messages take less than 100 ms.
#[test]
fn ten_messages_without_a_rate() {
    let queue = Queue::options().capacity(1 << 20).in_memory().unwrap();
    let mut producer = queue.producer().unwrap();
    let mut consumer = queue.consumer().unwrap();
    let start = Instant::now();
    for i in 0..10u8 {
        producer.push(&[i]).unwrap();
        assert_eq!(consumer.pop().unwrap(), [i]);
    }
    assert!(start.elapsed() < Duration::from_millis(100));
}

/// In any stretch of T seconds at most `rate * T + burst`, over all consumers, batches included.
#[test]
fn no_stretch_has_more_than_the_rate_and_the_burst() {
    const RATE: f64 = 500.0;
    const BURST: u32 = 20;
    for claim in [Claim::Ordered, Claim::Ticketed] {
        let queue =
            Queue::options().capacity(1 << 20).rate(RATE).burst(BURST).claim(claim).in_memory().unwrap();
        let mut producer = queue.producer().unwrap();
        for _ in 0..300 {
            producer.push(b"x").unwrap();
        }
        queue.close();
        let start = Instant::now();
        let consumers = [1, 7, 50].map(|batch| {
            let mut consumer = queue.consumer().unwrap();
            thread::spawn(move || {
                let mut times = Vec::new();
                while let Ok(count) = consumer.drain(batch, |_| {}) {
                    // Credit was granted before now.
                    times.extend(std::iter::repeat_n(start.elapsed(), count));
                }
                times
            })
        });
        let mut times: Vec<Duration> = consumers.into_iter().flat_map(|c| c.join().unwrap()).collect();
        times.sort();
        assert_eq!(times.len(), 300);
        // So nothing ends before its credit can have been granted.
        for (n, time) in times.iter().enumerate() {
            let earliest = (n as f64 + 1.0 - f64::from(BURST)) / RATE;
            assert!(time.as_secs_f64() >= earliest - 1e-6, "delivery {n} after {time:?}");
        }
        let whole = times.last().unwrap().as_secs_f64();
        assert!(whole < 280.0 / RATE * 3.0, "far slower than the rate: {whole} s");
    }
}

#[test]
fn a_paced_poller_is_told_when_and_a_paced_time_out_ends() {
    let queue = Queue::options().capacity(1 << 20).rate(1.0).in_memory().unwrap();
    queue.producer().unwrap().push_batch(&["a", "b"]).unwrap();
    let mut consumer = queue.consumer().unwrap();
    assert_eq!(consumer.try_pop().unwrap(), b"a");
    let Err(TryPopError::Paced { until }) = consumer.try_pop() else {
        panic!("one a second, and this is the second");
    };
    assert!(until > Instant::now());
    let start = Instant::now();
    assert_eq!(consumer.pop_timeout(Duration::from_millis(50)), Err(PopTimeoutError::Timeout));
    assert!(start.elapsed() < Duration::from_millis(900));
    thread::sleep(until.saturating_duration_since(Instant::now()));
    assert_eq!(consumer.try_pop().unwrap(), b"b");
}

/// By a clock of our own: no rate is so odd that nothing comes, or more than it says.
#[test]
fn every_rate_is_kept_by_the_clock() {
    use ringfile::file::layout::{Geometry, Layout};
    use ringfile::file::region::Region;
    use ringfile::ring::pace::{Pace, Paced};
    use ringfile::ring::{Policy, Ring};
    use std::cell::Cell;

    let geometry = Geometry { data_bytes: 128, cells: 2, cell_size: 64, groups: 1, participants: 1 };
    let layout = Layout::new(geometry).unwrap();
    for rate in [1.0, 3.0, 7.0, 30.0, 333.0, 700.0, 1e3, 1e4, 1e5, 7e5, 1e6, 3e6] {
        for burst in [1, 2, 10, 1000] {
            for batch in [1, 3, 64] {
                let mut ring = Ring::new(Region::heap(layout.file_len).unwrap(), layout, false);
                ring.format(0, 0, false, Policy::default());
                ring.set_rate(0, rate, 0);
                ring.set_burst(0, burst);
                let start = 1_000_000_000_000;
                let seconds = (1e4 / rate).clamp(0.02, 10.0);
                let now = Cell::new(start);
                let mut pace = Paced::new(&ring, ring.pacer(0), || now.get());
                let mut granted = 0;
                loop {
                    match pace.take(batch) {
                        Ok(more) => granted += more,
                        Err(until) => {
                            assert!(until > now.get(), "a turn that never comes");
                            now.set(until);
                        }
                    }
                    let passed = (now.get() - start) as f64 / 1e9;
                    let most = rate * passed + burst as f64;
                    assert!(
                        granted as f64 <= most + 1e-6,
                        "{granted} of {rate}/s + {burst} after {passed} s"
                    );
                    if passed > seconds {
                        assert!(
                            granted as f64 >= rate * seconds * 0.99,
                            "{granted} of {rate}/s in {seconds} s"
                        );
                        break;
                    }
                }
            }
        }
    }
    for rate in [f64::NAN, -1.0, f64::INFINITY, 1e-300] {
        let mut ring = Ring::new(Region::heap(layout.file_len).unwrap(), layout, false);
        ring.format(0, 0, false, Policy::default());
        ring.set_rate(0, rate, 0);
        ring.set_burst(0, u64::MAX);
        let _ = Paced::new(&ring, ring.pacer(0), || u64::MAX).take(u64::MAX);
        let _ = Paced::new(&ring, ring.pacer(0), || 0).take(1);
    }
}
