//! Files beyond what the standard library does: space that is really there, names that appear whole, and locks by which the kernel says who is alive.

use crate::fault;
use crate::file::layout::PAGE;
use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Opens an existing file to read and write it, without waiting for the other end of a FIFO.
pub fn open(path: &Path) -> io::Result<File> {
    open_for(path, true)
}

/// The same, for reading only.
pub fn open_read_only(path: &Path) -> io::Result<File> {
    open_for(path, false)
}

fn open_for(path: &Path, writing: bool) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(writing)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(path)
}

/// A file in `directory` that has no name yet and goes away unless it gets one. `Unsupported` where the file system cannot.
pub fn create_unnamed(directory: &Path, mode: u32) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .mode(mode)
        .custom_flags(libc::O_TMPFILE | libc::O_CLOEXEC)
        .open(directory);
    match file {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EISDIR | libc::EOPNOTSUPP)) => {
            Err(io::ErrorKind::Unsupported.into())
        }
        other => other,
    }
}

/// Gives an unnamed file its name. `AlreadyExists` leaves what is there as it is.
pub fn link_unnamed(file: &File, path: &Path) -> io::Result<()> {
    let from = CString::new(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    let to = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: both strings end in NUL and outlive the call.
    check(unsafe {
        libc::linkat(
            libc::AT_FDCWD,
            from.as_ptr(),
            libc::AT_FDCWD,
            to.as_ptr(),
            libc::AT_SYMLINK_FOLLOW,
        )
    })
}

/// Makes the file `len` bytes long and has the file system set all of them aside.
pub fn allocate(file: &File, len: usize) -> io::Result<()> {
    let len = libc::off_t::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge)?;
    loop {
        // SAFETY: takes no pointers. It returns the error rather than setting errno.
        match unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, len) } {
            0 => return Ok(()),
            libc::EINTR => {}
            error => return Err(io::Error::from_raw_os_error(error)),
        }
    }
}

/// Magic numbers of file systems that are not one machine's own.
const UNSAFE_FILE_SYSTEMS: [(u32, &str); 21] = [
    (0x6969, "NFS"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB 2"),
    (0x517b, "SMB"),
    (0x0102_1997, "9p"),
    (0x00c3_6400, "Ceph"),
    (0x6573_5546, "FUSE, virtiofs"),
    (0x5346_414f, "AFS"),
    (0x6b41_4653, "kAFS"),
    (0x7375_7245, "Coda"),
    (0x564c, "NCP"),
    (0x0116_1970, "GFS2"),
    (0x7461_636f, "OCFS2"),
    (0x0bd0_0bd0, "Lustre"),
    (0x4750_4653, "GPFS"),
    (0x1983_0326, "BeeGFS"),
    (0x2003_0528, "OrangeFS"),
    (0xaad7_aaea, "PanFS"),
    (0xbeef_dead, "StorNext"),
    (0x786f_4256, "folders of VirtualBox"),
    (0xbacb_acbc, "folders of VMware"),
];

/// Whether processes of several machines might share a file on a file system with this magic number, or mappings not share memory.
pub fn is_unsafe_file_system(magic: u32) -> bool {
    UNSAFE_FILE_SYSTEMS.iter().any(|(unsafe_one, _)| *unsafe_one == magic)
}

/// Whether processes of several machines might share the file there, or mappings not share memory.
pub fn is_on_unsafe_file_system(file: &File) -> io::Result<bool> {
    Ok(is_unsafe_file_system(file_system(file)?))
}

/// The magic number of the file system that a file is on.
fn file_system(file: &File) -> io::Result<u32> {
    let mut stat = std::mem::MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the buffer is one of its kind.
    check(unsafe { libc::fstatfs(file.as_raw_fd(), stat.as_mut_ptr()) })?;
    // SAFETY: the call succeeded, so the kernel has filled it.
    let stat = unsafe { stat.assume_init() };
    Ok(stat.f_type as u32)
}

/// Magic numbers of file systems that keep nothing when the power goes: tmpfs, ramfs, hugetlbfs.
const VOLATILE_FILE_SYSTEMS: [u32; 3] = [0x0102_1994, 0x8584_58f6, 0x9584_58f6];

/// Whether what is synced there is in memory nevertheless.
pub fn is_volatile(file: &File) -> io::Result<bool> {
    Ok(VOLATILE_FILE_SYSTEMS.contains(&file_system(file)?))
}

/// Has mapped bytes on the disk when it returns; with them go the others of their pages.
pub fn sync_mapped(region: std::ptr::NonNull<[u8]>, offset: usize, len: usize) -> io::Result<()> {
    let start = offset / PAGE * PAGE;
    let len = offset + len - start;
    debug_assert!(start + len <= region.len());
    refused()?;
    let base = region.cast::<u8>().as_ptr();
    // SAFETY: the range lies inside the mapping, which is not touched.
    check(unsafe { libc::msync(base.wrapping_add(start).cast(), len, libc::MS_SYNC) })?;
    fault::synced(base, start, len);
    Ok(())
}

/// Has everything that was written to a file, by whatever way, on the disk when it returns.
pub fn sync_all(file: &File, region: std::ptr::NonNull<[u8]>) -> io::Result<()> {
    refused()?;
    file.sync_all()?;
    fault::synced(region.cast::<u8>().as_ptr(), 0, region.len());
    Ok(())
}

/// Has the names in a directory on the disk when it returns.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    refused()?;
    File::open(path)?.sync_all()
}

/// What a test wants the disk to answer.
fn refused() -> io::Result<()> {
    fault::sync_error().map_or(Ok(()), |error| Err(io::Error::from_raw_os_error(error)))
}

/// Lock bytes lie far beyond the end of any file, one for each attachment.
const LOCKS: i64 = 1 << 62;

fn lock_of(attachment: u64, kind: i32) -> libc::flock {
    // SAFETY: all-zero is a valid value of this plain struct.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock.l_start = LOCKS + (attachment & (LOCKS as u64 - 1)) as i64;
    lock.l_len = 1;
    lock
}

/// Takes an attachment's lock byte for as long as this description is open. False: another has it.
pub fn lock(file: &File, attachment: u64) -> io::Result<bool> {
    set_lock(file, &lock_of(attachment, libc::F_WRLCK))
}

/// A byte below those of attachments: who puts a file in order after a boot has it alone.
const ORDER: i64 = LOCKS - 1;

/// Takes that byte until it is given back. False: somebody has it.
pub fn lock_for_order(file: &File) -> io::Result<bool> {
    let lock = libc::flock { l_start: ORDER, ..lock_of(0, libc::F_WRLCK) };
    set_lock(file, &lock)
}

/// Gives it back.
pub fn unlock_for_order(file: &File) {
    let lock = libc::flock { l_start: ORDER, ..lock_of(0, libc::F_UNLCK) };
    // It cannot fail, and closing the file does the same.
    let _ = set_lock(file, &lock);
}

fn set_lock(file: &File, lock: &libc::flock) -> io::Result<bool> {
    // SAFETY: the struct outlives the call.
    match check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const *lock) }) {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether anybody has the lock byte of any attachment, asked as below.
pub fn is_any_locked(file: &File) -> io::Result<bool> {
    // To the end of all files.
    let mut lock = libc::flock { l_len: 0, ..lock_of(0, libc::F_WRLCK) };
    // SAFETY: the struct outlives the call, which may write it.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_GETLK, &raw mut lock) })?;
    Ok(lock.l_type != libc::F_UNLCK as libc::c_short)
}

/// Whether anybody has an attachment's lock byte, asked through a description that has none itself.
pub fn is_locked(file: &File, attachment: u64) -> io::Result<bool> {
    let mut lock = lock_of(attachment, libc::F_WRLCK);
    // SAFETY: the struct outlives the call, which may write it.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_GETLK, &raw mut lock) })?;
    Ok(lock.l_type != libc::F_UNLCK as libc::c_short)
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Makes mapped pages ready for writing without changing them, if the kernel can.
pub fn populate(start: std::ptr::NonNull<u8>, len: usize) {
    // SAFETY: the advice changes no contents, whatever the range.
    unsafe { libc::madvise(start.as_ptr().cast(), len, libc::MADV_POPULATE_WRITE) };
}
