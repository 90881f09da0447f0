//! shaq, on an anonymous file.

/// The contenders of one version of shaq.
macro_rules! version {
    ($version:ident, $crate_name:ident) => {
        pub mod $version {
            use crate::mapping::anonymous;
            use crate::queues::{Link, Queue, Receiver, Refusal, Sender};
            use ::$crate_name::{mpmc, spsc};
            use crossbeam_utils::Backoff;
            use harness::message::{self, Tally};
            use std::fs::File;
            use std::mem::MaybeUninit;
            use std::num::NonZeroUsize;
            use std::ops::Range;
            use std::os::fd::OwnedFd;
            use std::time::Duration;

            /// Longer than any measurement.
            const FOREVER: Duration = Duration::from_secs(3600);

            fn file(link: Link) -> Result<File, Refusal> {
                let mut files = link.files.into_iter();
                Ok(files.next().expect("the one that was prepared").into())
            }

            /// Looks until there is something.
            #[inline(always)]
            fn until_some<T>(mut look: impl FnMut() -> Option<T>) -> T {
                let backoff = Backoff::new();
                loop {
                    if let Some(found) = look() {
                        return found;
                    }
                    backoff.snooze();
                }
            }

            #[inline(always)]
            fn write<const N: usize>(place: &mut MaybeUninit<[u8; N]>, number: u64) {
                // SAFETY: bytes need no initialisation beyond what the mapping has: whatever lies there is bytes.
                message::fill(unsafe { place.assume_init_mut() }, number);
            }

            /// Many to many; `SLEEPS`: on its futex.
            pub struct Mpmc<const N: usize, const BATCH: usize, const SLEEPS: bool>;

            impl<const N: usize, const BATCH: usize, const SLEEPS: bool> Queue for Mpmc<N, BATCH, SLEEPS> {
                const BATCH: u64 = BATCH as u64;

                fn prepare(link: &Link) -> Result<Vec<OwnedFd>, Refusal> {
                    let file = File::from(anonymous(0)?);
                    let size = mpmc::minimum_file_size::<[u8; N]>(link.shape.ring);
                    // SAFETY: the file is new, and this is the only one to initialise it.
                    unsafe { mpmc::Producer::<[u8; N]>::create(&file, size) }?;
                    Ok(vec![file.into()])
                }

                fn sender(link: Link) -> Result<impl Sender, Refusal> {
                    // SAFETY: both ends are of arrays of this size.
                    Ok(MpmcSender::<N, BATCH>(unsafe { mpmc::Producer::join(&file(link)?) }?))
                }

                fn receiver(link: Link) -> Result<impl Receiver, Refusal> {
                    // SAFETY: both ends are of arrays of this size.
                    Ok(MpmcReceiver::<N, BATCH, SLEEPS>(unsafe { mpmc::Consumer::join(&file(link)?) }?))
                }
            }

            struct MpmcSender<const N: usize, const BATCH: usize>(mpmc::Producer<[u8; N]>);

            impl<const N: usize, const BATCH: usize> Sender for MpmcSender<N, BATCH> {
                #[inline]
                fn send(&mut self, numbers: Range<u64>) {
                    if BATCH == 1 {
                        for number in numbers {
                            // SAFETY: written in the next line.
                            let mut place = until_some(|| unsafe { self.0.try_reserve_write() });
                            write(place.as_mut(), number);
                        }
                        return;
                    }
                    let mut batch = [[0; N]; BATCH];
                    let count = (numbers.end - numbers.start) as usize;
                    for (message, number) in batch.iter_mut().zip(numbers) {
                        *message = message::message(number);
                    }
                    until_some(|| self.0.try_write_slice(&batch[..count]).then_some(()));
                }
            }

            struct MpmcReceiver<const N: usize, const BATCH: usize, const SLEEPS: bool>(
                mpmc::Consumer<[u8; N]>,
            );

            impl<const N: usize, const BATCH: usize, const SLEEPS: bool> Receiver
                for MpmcReceiver<N, BATCH, SLEEPS>
            {
                #[inline]
                fn receive(&mut self, tally: &mut Tally) {
                    if SLEEPS {
                        tally.see(self.0.reserve_read_timeout(FOREVER).unwrap().as_ref());
                    } else if BATCH == 1 {
                        tally.see(until_some(|| self.0.try_reserve_read()).as_ref());
                    } else {
                        let most = const { NonZeroUsize::new(BATCH).unwrap() };
                        until_some(|| self.0.try_reserve_read_batch(most)).iter().for_each(|m| tally.see(m));
                    }
                }
            }

            /// One to one.
            pub struct Spsc<const N: usize>;

            impl<const N: usize> Queue for Spsc<N> {
                fn prepare(link: &Link) -> Result<Vec<OwnedFd>, Refusal> {
                    let file = File::from(anonymous(0)?);
                    let size = spsc::minimum_file_size::<[u8; N]>(link.shape.ring);
                    // SAFETY: the file is new, and this is the only one to initialise it; the handle is gone before another joins.
                    unsafe { spsc::Producer::<[u8; N]>::create(&file, size) }?;
                    Ok(vec![file.into()])
                }

                fn sender(link: Link) -> Result<impl Sender, Refusal> {
                    // SAFETY: the only producer, and both ends are of arrays of this size.
                    Ok(SpscSender::<N>(unsafe { spsc::Producer::join(&file(link)?) }?))
                }

                fn receiver(link: Link) -> Result<impl Receiver, Refusal> {
                    // SAFETY: the only consumer, and both ends are of arrays of this size.
                    Ok(SpscReceiver::<N>(unsafe { spsc::Consumer::join(&file(link)?) }?))
                }
            }

            struct SpscSender<const N: usize>(spsc::Producer<[u8; N]>);

            impl<const N: usize> Sender for SpscSender<N> {
                #[inline]
                fn send(&mut self, numbers: Range<u64>) {
                    for number in numbers {
                        until_some(|| {
                            let mut batch = self.0.write_batch();
                            // SAFETY: written before the batch is dropped.
                            unsafe { batch.try_as_mut() }.map(|place| write(place, number))
                        });
                    }
                }
            }

            struct SpscReceiver<const N: usize>(spsc::Consumer<[u8; N]>);

            impl<const N: usize> Receiver for SpscReceiver<N> {
                #[inline]
                fn receive(&mut self, tally: &mut Tally) {
                    // Not `until_some`: the batch borrows the consumer.
                    let backoff = Backoff::new();
                    while !self
                        .0
                        .try_reserve_read_batch(NonZeroUsize::MIN)
                        .is_some_and(|batch| batch.iter().map(|message| tally.see(message)).count() == 1)
                    {
                        backoff.snooze();
                    }
                }
            }
        }
    };
}

version!(v4, shaq);
#[cfg(feature = "shaq5")]
version!(v5, shaq5);
