//! Channels: they wait by themselves, and end when their last sender is dropped.

use super::{Carried, Slot};
use crate::measure::{Case, Ends, Receiver, Sender};
use harness::message::Tally;
use std::ops::Range;

/// Declares what sending and receiving is called, and a function that makes the ends out of clones; of a single receiver where it cannot be cloned.
macro_rules! channel {
    ($name:ident: $sender:ty, $send:ident, $receiver:ty, $recv:ident, $make:expr, $receivers:expr) => {
        impl<T: Carried> Sender for $sender {
            #[inline]
            fn send(&mut self, numbers: Range<u64>) {
                for number in numbers {
                    assert!(<$sender>::$send(self, T::make(number)).is_ok());
                }
            }
        }

        impl<T: Carried> Receiver for $receiver {
            #[inline]
            fn receive(&mut self, tally: &mut Tally) -> bool {
                see(<$receiver>::$recv(self), tally)
            }
        }

        pub fn $name<T: Carried>(case: &Case) -> Ends<impl Sender, impl Receiver> {
            let (sender, receiver): ($sender, $receiver) = $make(case.ring);
            // Moved into the closures, so that none is left behind here.
            let mut receivers = $receivers(case, receiver).into_iter();
            Ends::new(
                case,
                move || sender.clone(),
                move || receivers.next().expect("as many as the case needs"),
            )
        }
    };
}

/// False if there is no message, which is how a channel says that it has ended.
#[inline(always)]
fn see<T: Carried>(message: impl IntoIterator<Item = T>, tally: &mut Tally) -> bool {
    message.into_iter().next().map(|message| tally.see(message.bytes())).is_some()
}

fn clones<R: Clone>(case: &Case, receiver: R) -> Vec<R> {
    vec![receiver; case.shape.consumers.max(1)]
}

fn the_one<R>(case: &Case, receiver: R) -> Option<R> {
    assert!(case.shape.consumers <= 1);
    Some(receiver)
}

channel!(crossbeam: crossbeam_channel::Sender<T>, send, crossbeam_channel::Receiver<T>, recv, crossbeam_channel::bounded, clones);
channel!(flume: flume::Sender<T>, send, flume::Receiver<T>, recv, flume::bounded, clones);
channel!(kanal: kanal::Sender<T>, send, kanal::Receiver<T>, recv, kanal::bounded, clones);
channel!(std: std::sync::mpsc::SyncSender<T>, send, std::sync::mpsc::Receiver<T>, recv, std::sync::mpsc::sync_channel, the_one);
channel!(tokio: tokio::sync::mpsc::Sender<T>, blocking_send, tokio::sync::mpsc::Receiver<T>, blocking_recv, tokio::sync::mpsc::channel, the_one);

type ThingSender<const N: usize> = thingbuf::mpsc::blocking::Sender<Slot<N>>;
type ThingReceiver<const N: usize> = thingbuf::mpsc::blocking::Receiver<Slot<N>>;

impl<const N: usize> Sender for ThingSender<N> {
    #[inline]
    fn send(&mut self, numbers: Range<u64>) {
        for number in numbers {
            let message = Slot::make(number);
            *self.send_ref().expect("the receiver is there") = message;
        }
    }
}

impl<const N: usize> Receiver for ThingReceiver<N> {
    #[inline]
    fn receive(&mut self, tally: &mut Tally) -> bool {
        self.recv_ref().map(|message| tally.see(message.bytes())).is_some()
    }
}

pub fn thingbuf<const N: usize>(case: &Case) -> Ends<impl Sender, impl Receiver> {
    let (sender, receiver) = thingbuf::mpsc::blocking::channel::<Slot<N>>(case.ring);
    let mut receiver = the_one(case, receiver);
    Ends::new(case, move || sender.clone(), move || receiver.take().expect("one"))
}
