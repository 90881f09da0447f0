//! What the two processes do in each task.

use crate::control::{Control, now, wait_for};
use crate::queues::{Queue, Receiver, Refusal, Sender};
use crate::session::{Part, Side, Task};
use harness::message::Tally;
use std::sync::atomic::Ordering;

/// Round trips that are not recorded.
pub const WARM_UP: u64 = 1000;
/// For how long a receiver finds nothing before it is woken: until it certainly sleeps.
const ASLEEP: u64 = 200_000;

pub fn play<Q: Queue>(part: Part) -> Result<(), Refusal> {
    let Part { task, side, messages, control, links } = part;
    // Once round the ring, so that every page has been touched.
    let warm_up = links[0].shape.ring as u64;
    let mut links = links.into_iter();
    let mut link = || links.next().expect("a queue for each direction");
    match (task, side) {
        (Task::Throughput, Side::Sender) => send::<Q>(Q::sender(link())?, &control, warm_up, messages),
        (Task::Throughput, Side::Receiver) => receive(Q::receiver(link())?, &control, warm_up, messages),
        (Task::RoundTrip, Side::Sender) => ping(Q::sender(link())?, Q::receiver(link())?, &control, messages),
        (Task::RoundTrip, Side::Receiver) => {
            pong(Q::receiver(link())?, Q::sender(link())?, &control, messages)
        }
        (Task::WakeUp, Side::Sender) => wake(Q::sender(link())?, &control, messages),
        (Task::WakeUp, Side::Receiver) => sleep(Q::receiver(link())?, &control, messages),
        (Task::ConsumerKilled | Task::ProducerKilled, _) => unreachable!("no task of queues in general"),
    }
    Ok(())
}

fn send_all<Q: Queue>(sender: &mut impl Sender, messages: u64) {
    let mut next = 0;
    while next < messages {
        let end = messages.min(next + Q::BATCH);
        sender.send(next..end);
        next = end;
    }
}

fn receive_all(receiver: &mut impl Receiver, messages: u64) -> Tally {
    let mut tally = Tally::default();
    while tally.count < messages {
        receiver.receive(&mut tally);
    }
    tally
}

fn send<Q: Queue>(mut sender: impl Sender, control: &Control, warm_up: u64, messages: u64) {
    control.meet(1);
    send_all::<Q>(&mut sender, warm_up);
    control.meet(2);
    control.begun.store(now(), Ordering::Relaxed);
    send_all::<Q>(&mut sender, messages);
    // A receiver may still need what goes with its sender.
    control.meet(3);
}

fn receive(mut receiver: impl Receiver, control: &Control, warm_up: u64, messages: u64) {
    control.meet(1);
    receive_all(&mut receiver, warm_up);
    control.meet(2);
    let tally = receive_all(&mut receiver, messages);
    control.ended.store(now(), Ordering::Relaxed);
    control.report(tally);
    control.meet(3);
}

fn ping(mut there: impl Sender, mut back: impl Receiver, control: &Control, messages: u64) {
    let mut tally = Tally::default();
    control.meet(1);
    let mut last = now();
    for number in 0..messages {
        there.send(number..number + 1);
        back.receive(&mut tally);
        let next = now();
        if number >= WARM_UP {
            control.sample((number - WARM_UP) as usize, next - last);
        }
        last = next;
    }
    control.report(tally);
    control.meet(2);
}

fn pong(mut there: impl Receiver, mut back: impl Sender, control: &Control, messages: u64) {
    let mut tally = Tally::default();
    control.meet(1);
    for number in 0..messages {
        there.receive(&mut tally);
        back.send(number..number + 1);
    }
    control.report(tally);
    control.meet(2);
}

fn wake(mut sender: impl Sender, control: &Control, messages: u64) {
    control.meet(1);
    for number in 0..messages {
        wait_for(&control.received, |received| received == number);
        let since = now();
        while now() - since < ASLEEP {}
        control.sent.store(now(), Ordering::Release);
        sender.send(number..number + 1);
    }
    control.meet(2);
}

fn sleep(mut receiver: impl Receiver, control: &Control, messages: u64) {
    let mut tally = Tally::default();
    control.meet(1);
    for index in 0..messages as usize {
        receiver.receive(&mut tally);
        let woken = now();
        control.sample(index, woken - control.sent.load(Ordering::Acquire));
        control.received.store(tally.count, Ordering::Release);
    }
    control.sum.store(tally.sum, Ordering::Relaxed);
    control.meet(2);
}
