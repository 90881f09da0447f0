//! iceoryx2: publish-subscribe, and its events.

use super::{Link, Queue, Receiver, Refusal, Sender, Shape};
use crossbeam_utils::Backoff;
use harness::message::{self, Tally};
use iceoryx2::port::listener::Listener;
use iceoryx2::port::notifier::Notifier;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::{
    BackpressureStrategy, Config, EventId, FileName, LogLevel, Node, NodeBuilder, Path, SemanticString,
    ServiceName, SignalHandlingMode, ipc, set_log_level,
};
use iceoryx2::service::port_factory::publish_subscribe::PortFactory;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;

/// A node of a world that only the two processes share, and that goes with the queue's directory.
fn node(link: &Link) -> Result<Node<ipc::Service>, Refusal> {
    set_log_level(LogLevel::Fatal);
    let mut config = Config::default();
    config.global.set_root_path(&Path::new(link.dir.as_os_str().as_bytes())?);
    // Its memory has no directories: the name does it there.
    let name = link.dir.to_string_lossy().replace('/', "_");
    config.global.prefix = FileName::new(format!("{}_", name.trim_start_matches("_dev_shm_")).as_bytes())?;
    Ok(NodeBuilder::new()
        .config(&config)
        .signal_handling_mode(SignalHandlingMode::Disabled)
        .create::<ipc::Service>()?)
}

fn service_name() -> Result<ServiceName, Refusal> {
    Ok("ringfile/compare".try_into()?)
}

/// Messages, written and read where they lie. Nothing is dropped: the publisher waits for the subscriber.
pub struct Samples<const N: usize>;

fn samples<const N: usize>(
    node: &Node<ipc::Service>,
    shape: Shape,
) -> Result<PortFactory<ipc::Service, [u8; N], ()>, Refusal> {
    Ok(node
        .service_builder(&service_name()?)
        .publish_subscribe::<[u8; N]>()
        .enable_safe_overflow(false)
        .subscriber_max_buffer_size(shape.ring)
        .subscriber_max_borrowed_samples(1)
        .max_publishers(1)
        .max_subscribers(1)
        .open_or_create()?)
}

impl<const N: usize> Queue for Samples<N> {
    fn sender(link: Link) -> Result<impl Sender, Refusal> {
        let node = node(&link)?;
        let publisher = samples::<N>(&node, link.shape)?
            .publisher_builder()
            .max_loaned_samples(1)
            .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
            .create()?;
        Ok(SampleSender { _node: node, publisher })
    }

    fn receiver(link: Link) -> Result<impl Receiver, Refusal> {
        let node = node(&link)?;
        let subscriber =
            samples::<N>(&node, link.shape)?.subscriber_builder().buffer_size(link.shape.ring).create()?;
        Ok(SampleReceiver { _node: node, subscriber })
    }
}

struct SampleSender<const N: usize> {
    _node: Node<ipc::Service>,
    publisher: Publisher<ipc::Service, [u8; N], ()>,
}

impl<const N: usize> Sender for SampleSender<N> {
    #[inline]
    fn send(&mut self, numbers: Range<u64>) {
        for number in numbers {
            let mut sample = self.publisher.loan_uninit().unwrap();
            // SAFETY: the memory is a mapping that any bytes may lie in, and all of them are written.
            let sample = unsafe {
                message::fill(sample.payload_mut().assume_init_mut(), number);
                sample.assume_init()
            };
            assert_eq!(sample.send().unwrap(), 1, "there is a subscriber");
        }
    }
}

struct SampleReceiver<const N: usize> {
    _node: Node<ipc::Service>,
    subscriber: Subscriber<ipc::Service, [u8; N], ()>,
}

impl<const N: usize> Receiver for SampleReceiver<N> {
    #[inline]
    fn receive(&mut self, tally: &mut Tally) {
        let backoff = Backoff::new();
        loop {
            if let Some(sample) = self.subscriber.receive().unwrap() {
                return tally.see(sample.payload());
            }
            backoff.snooze();
        }
    }
}

/// Its events, which carry a small number: the last byte of the message's.
pub struct Events;

const LAST_BYTE: u64 = 0xff;

impl Queue for Events {
    fn sender(link: Link) -> Result<impl Sender, Refusal> {
        let node = node(&link)?;
        let service = node.service_builder(&service_name()?).event().open_or_create()?;
        Ok(EventSender { notifier: service.notifier_builder().create()?, _node: node })
    }

    fn receiver(link: Link) -> Result<impl Receiver, Refusal> {
        let node = node(&link)?;
        let service = node.service_builder(&service_name()?).event().open_or_create()?;
        Ok(EventReceiver { listener: service.listener_builder().create()?, _node: node })
    }
}

struct EventSender {
    notifier: Notifier<ipc::Service>,
    _node: Node<ipc::Service>,
}

impl Sender for EventSender {
    fn send(&mut self, numbers: Range<u64>) {
        for number in numbers {
            let event = EventId::new((number & LAST_BYTE) as usize);
            assert_eq!(self.notifier.notify_with_custom_event_id(event).unwrap(), 1, "there is a listener");
        }
    }
}

struct EventReceiver {
    listener: Listener<ipc::Service>,
    _node: Node<ipc::Service>,
}

impl Receiver for EventReceiver {
    fn receive(&mut self, tally: &mut Tally) {
        let see = |event: iceoryx2::port::EventActivation| {
            // What comes next differs from what came before by less than a byte holds.
            let ahead = (event.id.as_value() as u64).wrapping_sub(tally.count) & LAST_BYTE;
            tally.see(&(tally.count + ahead).to_le_bytes());
        };
        self.listener.blocking_wait(see).unwrap();
    }
}
