//! What the kernel offers.

use super::{Link, Queue, Receiver, Refusal, Sender};
use harness::message::{self, Tally};
use std::fs::{self, File};
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::ops::Range;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// An error of the last call, unless it returned something.
fn checked(returned: libc::c_long) -> io::Result<usize> {
    usize::try_from(returned).map_err(|_| io::Error::last_os_error())
}

fn read_number(path: &str) -> Result<usize, Refusal> {
    Ok(fs::read_to_string(path)?.trim().parse()?)
}

/// The end of the link with this index, of those that were prepared.
fn end(link: Link, index: usize) -> OwnedFd {
    let mut files = link.files.into_iter();
    files.nth(index).expect("what was prepared")
}

/// A pipe that holds as much as the ring would, as far as it may.
pub struct Pipe<const N: usize>;

impl<const N: usize> Queue for Pipe<N> {
    fn prepare(link: &Link) -> Result<Vec<OwnedFd>, Refusal> {
        let (reader, writer): (PipeReader, PipeWriter) = io::pipe()?;
        let wanted = (link.shape.ring * N).min(read_number("/proc/sys/fs/pipe-max-size")?).max(4096);
        // SAFETY: takes no pointers.
        let set = unsafe { libc::fcntl(writer.as_raw_fd(), libc::F_SETPIPE_SZ, wanted as libc::c_int) };
        checked(set.into())?;
        Ok(vec![writer.into(), reader.into()])
    }

    fn sender(link: Link) -> Result<impl Sender, Refusal> {
        Ok(Writer::<N>(end(link, 0).into()))
    }

    fn receiver(link: Link) -> Result<impl Receiver, Refusal> {
        Ok(Reader::<N>(end(link, 1).into(), Box::new([0; N])))
    }
}

struct Writer<const N: usize>(File);

impl<const N: usize> Sender for Writer<N> {
    fn send(&mut self, numbers: Range<u64>) {
        for number in numbers {
            self.0.write_all(&message::message::<N>(number)).unwrap();
        }
    }
}

struct Reader<const N: usize>(File, Box<[u8; N]>);

impl<const N: usize> Receiver for Reader<N> {
    fn receive(&mut self, tally: &mut Tally) {
        self.0.read_exact(&mut *self.1).unwrap();
        tally.see(&*self.1);
    }
}

/// A pair of sockets that keep messages apart, with buffers as the system makes them.
pub struct Socket<const N: usize>;

impl<const N: usize> Queue for Socket<N> {
    fn prepare(_: &Link) -> Result<Vec<OwnedFd>, Refusal> {
        let mut pair = [0; 2];
        let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
        // SAFETY: there is room for the two descriptors.
        checked(unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, pair.as_mut_ptr()) }.into())?;
        // SAFETY: both were just made and are nobody else's.
        Ok(pair.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }).into())
    }

    fn sender(link: Link) -> Result<impl Sender, Refusal> {
        Ok(Writer::<N>(end(link, 0).into()))
    }

    fn receiver(link: Link) -> Result<impl Receiver, Refusal> {
        Ok(Reader::<N>(end(link, 1).into(), Box::new([0; N])))
    }
}

/// A POSIX message queue that holds as many as the system lets it, 10 unless somebody raised `fs.mqueue.msg_max`.
pub struct MessageQueue<const N: usize>;

impl<const N: usize> Queue for MessageQueue<N> {
    fn prepare(link: &Link) -> Result<Vec<OwnedFd>, Refusal> {
        let longest = read_number("/proc/sys/fs/mqueue/msgsize_max")?;
        if N > longest {
            return Err(format!("no messages of {N} B (fs.mqueue.msgsize_max is {longest})").into());
        }
        // SAFETY: all zeroes are a value of the struct.
        let mut attributes: libc::mq_attr = unsafe { std::mem::zeroed() };
        attributes.mq_maxmsg = link.shape.ring.min(read_number("/proc/sys/fs/mqueue/msg_max")?) as _;
        attributes.mq_msgsize = N as _;
        let name =
            std::ffi::CString::new(link.dir.to_string_lossy().replace('/', "_").replacen('_', "/", 1))?;
        let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL;
        // SAFETY: the name and the attributes outlive the call.
        let queue = unsafe { libc::mq_open(name.as_ptr(), flags, 0o600, &raw const attributes) };
        checked(queue.into())?;
        // SAFETY: the name outlives the call.
        checked(unsafe { libc::mq_unlink(name.as_ptr()) }.into())?;
        // SAFETY: on Linux such a queue is a descriptor; it was just made and is nobody else's.
        Ok(vec![unsafe { OwnedFd::from_raw_fd(queue) }])
    }

    fn sender(link: Link) -> Result<impl Sender, Refusal> {
        Ok(MessageSender::<N>(end(link, 0)))
    }

    fn receiver(link: Link) -> Result<impl Receiver, Refusal> {
        Ok(MessageReceiver::<N>(end(link, 0), Box::new([0; N])))
    }
}

struct MessageSender<const N: usize>(OwnedFd);

impl<const N: usize> Sender for MessageSender<N> {
    fn send(&mut self, numbers: Range<u64>) {
        for number in numbers {
            let message = message::message::<N>(number);
            // SAFETY: the message outlives the call and is as long as that says.
            let sent = unsafe { libc::mq_send(self.0.as_raw_fd(), message.as_ptr().cast(), N, 0) };
            checked(sent.into()).unwrap();
        }
    }
}

struct MessageReceiver<const N: usize>(OwnedFd, Box<[u8; N]>);

impl<const N: usize> Receiver for MessageReceiver<N> {
    fn receive(&mut self, tally: &mut Tally) {
        let to = self.1.as_mut_ptr().cast();
        // SAFETY: there is room for that many bytes.
        let received = unsafe { libc::mq_receive(self.0.as_raw_fd(), to, N, std::ptr::null_mut()) };
        assert_eq!(checked(received as libc::c_long).unwrap(), N);
        tally.see(&*self.1);
    }
}
