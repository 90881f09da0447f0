//! ringfile, on a file in memory.

use super::{Link, Queue, Receiver, Refusal, Sender};
use harness::message::{self, Tally};
use ringfile::Wait;
use std::marker::PhantomData;
use std::ops::Range;
use std::os::fd::OwnedFd;

/// How a handle waits.
pub trait Waits {
    const WAIT: Wait;
}

pub struct Spin;
pub struct Adaptive;
pub struct Park;

impl Waits for Spin {
    const WAIT: Wait = Wait::Spin;
}
impl Waits for Adaptive {
    const WAIT: Wait = Wait::Adaptive;
}
impl Waits for Park {
    const WAIT: Wait = Wait::Park;
}

pub fn open<W: Waits>(link: &Link) -> Result<ringfile::Queue, Refusal> {
    let mut options = ringfile::Queue::options();
    options.messages(link.shape.ring as u64).capacity((link.shape.ring * link.shape.size).max(4096));
    Ok(options.wait(W::WAIT).open(link.dir.join("ring"))?)
}

/// One message to a call, or more, copied in.
pub struct Copied<const N: usize, const BATCH: usize, W>(PhantomData<W>);

impl<const N: usize, const BATCH: usize, W: Waits> Queue for Copied<N, BATCH, W> {
    const BATCH: u64 = BATCH as u64;

    fn prepare(link: &Link) -> Result<Vec<OwnedFd>, Refusal> {
        open::<W>(link)?;
        Ok(Vec::new())
    }

    fn sender(link: Link) -> Result<impl Sender, Refusal> {
        Ok(CopyingSender::<N, BATCH>(open::<W>(&link)?.producer()?))
    }

    fn receiver(link: Link) -> Result<impl Receiver, Refusal> {
        Ok(CopyingReceiver::<BATCH>(open::<W>(&link)?.consumer()?, Vec::new()))
    }
}

struct CopyingSender<const N: usize, const BATCH: usize>(ringfile::Producer);

impl<const N: usize, const BATCH: usize> Sender for CopyingSender<N, BATCH> {
    #[inline]
    fn send(&mut self, numbers: Range<u64>) {
        if BATCH == 1 {
            for number in numbers {
                self.0.push(&message::message::<N>(number)).unwrap();
            }
            return;
        }
        let mut batch = [[0; N]; BATCH];
        let count = (numbers.end - numbers.start) as usize;
        for (message, number) in batch.iter_mut().zip(numbers) {
            *message = message::message(number);
        }
        self.0.push_batch(&batch[..count]).unwrap();
    }
}

struct CopyingReceiver<const BATCH: usize>(ringfile::Consumer, Vec<u8>);

impl<const BATCH: usize> Receiver for CopyingReceiver<BATCH> {
    #[inline]
    fn receive(&mut self, tally: &mut Tally) {
        if BATCH == 1 {
            self.0.pop_into(&mut self.1).unwrap();
            tally.see(&self.1);
        } else {
            self.0.drain(BATCH, |message| tally.see(message)).unwrap();
        }
    }
}

/// Written and read where it lies.
pub struct InPlace<const N: usize>;

impl<const N: usize> Queue for InPlace<N> {
    fn prepare(link: &Link) -> Result<Vec<OwnedFd>, Refusal> {
        open::<Spin>(link)?;
        Ok(Vec::new())
    }

    fn sender(link: Link) -> Result<impl Sender, Refusal> {
        Ok(InPlaceSender::<N>(open::<Spin>(&link)?.producer()?))
    }

    fn receiver(link: Link) -> Result<impl Receiver, Refusal> {
        Ok(InPlaceReceiver(open::<Spin>(&link)?.consumer()?))
    }
}

struct InPlaceSender<const N: usize>(ringfile::Producer);

impl<const N: usize> Sender for InPlaceSender<N> {
    #[inline]
    fn send(&mut self, numbers: Range<u64>) {
        for number in numbers {
            let mut place = self.0.reserve(N).unwrap();
            message::fill(&mut place, number);
            place.commit();
        }
    }
}

struct InPlaceReceiver(ringfile::Consumer);

impl Receiver for InPlaceReceiver {
    #[inline]
    fn receive(&mut self, tally: &mut Tally) {
        let message = self.0.claim().unwrap();
        tally.see(&message);
        message.ack().unwrap();
    }
}
