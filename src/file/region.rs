//! The memory that a ring lives in: a mapped file, a heap block, or the model checker's atomics.
//!
//! Offsets come from a [`Layout`](super::layout::Layout) that was checked against the length of the region, so the accessors do not fail;
//! lengths and offsets that were read from the region are bounded by the protocol before they get here.

#[cfg(not(ringfile_loom))]
pub use native::Region;

#[cfg(ringfile_loom)]
pub use modelled::Region;

#[cfg(not(ringfile_loom))]
mod native {
    use crate::file::layout::PAGE;
    use crate::ring::Span;
    use crate::sync::{AtomicPair, AtomicU32, AtomicU64, Ordering};
    use std::alloc::{self, Layout};
    use std::ptr::NonNull;

    /// What keeps the memory, until the region is dropped.
    enum Backing {
        Mapping { _map: memmap2::MmapRaw },
        Heap { block: NonNull<u8>, layout: Layout },
    }

    /// A block of shared memory that begins on a page.
    pub struct Region {
        base: NonNull<u8>,
        len: usize,
        backing: Backing,
    }

    // SAFETY: the memory is reached only through atomics and through the copies and guards whose exclusion the protocol provides.
    unsafe impl Send for Region {}
    // SAFETY: as above.
    unsafe impl Sync for Region {}

    /// Copies bytes as `copy_nonoverlapping` does. A call costs more than the few moves that a short message takes.
    ///
    /// # Safety
    ///
    /// As there: `from` is valid for reads and `to` for writes of `len` bytes, and they do not overlap.
    #[inline(always)]
    unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
        /// The first and the last bytes, as many as a `T` has; in the middle they may overlap.
        ///
        /// # Safety
        ///
        /// As for `copy`, and `len` is the length of one or two `T`, or between.
        #[inline(always)]
        unsafe fn ends<T>(from: *const u8, to: *mut u8, len: usize) {
            let last = len - size_of::<T>();
            let (from_last, to_last) = (from.wrapping_add(last), to.wrapping_add(last));
            // SAFETY: a `T` at the start lies within the `len` bytes.
            let head = unsafe { from.cast::<T>().read_unaligned() };
            // SAFETY: so does one that ends with the last byte.
            let tail = unsafe { from_last.cast::<T>().read_unaligned() };
            // SAFETY: as above.
            unsafe { to.cast::<T>().write_unaligned(head) };
            // SAFETY: as above.
            unsafe { to_last.cast::<T>().write_unaligned(tail) };
        }
        match len {
            // SAFETY: the caller's promise, and these lengths.
            8..=16 => unsafe { ends::<u64>(from, to, len) },
            // SAFETY: as above.
            17..=32 => unsafe { ends::<u128>(from, to, len) },
            // SAFETY: the caller's promise.
            _ => unsafe { to.copy_from_nonoverlapping(from, len) },
        }
    }

    impl Region {
        /// A whole file, mapped.
        pub fn mapping(map: memmap2::MmapRaw) -> Region {
            Region {
                base: NonNull::new(map.as_mut_ptr()).expect("a mapping is not at address zero"),
                len: map.len(),
                backing: Backing::Mapping { _map: map },
            }
        }

        /// Zeroed memory of this process; `None` if there is not enough.
        pub fn heap(len: usize) -> Option<Region> {
            // An alignment that malloc has anyway lets it hand out untouched zero pages; the base is aligned by hand.
            let layout = Layout::from_size_align(len.checked_add(PAGE)?, 16).ok()?;
            // SAFETY: the size is not zero.
            let block = NonNull::new(unsafe { alloc::alloc_zeroed(layout) })?;
            let skip = block.as_ptr().align_offset(PAGE);
            // SAFETY: `skip` is less than a page, and there is a page more than `len`.
            let base = unsafe { block.add(skip) };
            Some(Region {
                base,
                len,
                backing: Backing::Heap { block, layout },
            })
        }

        /// The whole of it.
        pub fn all(&self) -> NonNull<[u8]> {
            NonNull::slice_from_raw_parts(self.base, self.len)
        }

        /// Whether other processes may have it mapped.
        pub fn is_shared(&self) -> bool {
            matches!(self.backing, Backing::Mapping { .. })
        }

        /// Where `len` bytes at `offset` are.
        #[inline(always)]
        pub fn bytes(&self, offset: usize, len: usize) -> NonNull<u8> {
            debug_assert!(offset <= self.len && len <= self.len - offset);
            // SAFETY: the range lies inside the block.
            unsafe { self.base.add(offset) }
        }

        #[inline(always)]
        pub fn word(&self, offset: usize) -> &AtomicU64 {
            debug_assert!(offset.is_multiple_of(8));
            // SAFETY: the word lies inside the block, aligned, and is only ever used as an atomic.
            unsafe { self.bytes(offset, 8).cast::<AtomicU64>().as_ref() }
        }

        #[inline(always)]
        pub fn half(&self, offset: usize) -> &AtomicU32 {
            debug_assert!(offset.is_multiple_of(4));
            // SAFETY: as for `word`; no other access has the size of these four bytes or overlaps them.
            unsafe { self.bytes(offset, 4).cast::<AtomicU32>().as_ref() }
        }

        #[inline(always)]
        pub fn pair(&self, offset: usize) -> &AtomicPair {
            debug_assert!(offset.is_multiple_of(16));
            // SAFETY: as for `word`.
            unsafe { self.bytes(offset, 16).cast::<AtomicPair>().as_ref() }
        }

        /// Writes payload bytes of a reservation that the caller holds.
        #[inline(always)]
        pub fn write(&self, offset: usize, payload: &[u8]) {
            let to = self.bytes(offset, payload.len()).as_ptr();
            // SAFETY: the range lies inside the block, and a reservation has one owner until it is published.
            unsafe { copy(payload.as_ptr(), to, payload.len()) }
        }

        /// Appends payload bytes of a message that the caller has claimed.
        #[inline(always)]
        pub fn read(&self, offset: usize, len: usize, into: &mut Vec<u8>) {
            into.reserve(len);
            let from = self.bytes(offset, len).as_ptr();
            let end = into.spare_capacity_mut().as_mut_ptr().cast::<u8>();
            // SAFETY: `reserve` made room for `len` bytes; the source lies inside the block, and nobody writes it before it is acknowledged.
            unsafe { copy(from, end, len) };
            // SAFETY: the copy initialised them.
            unsafe { into.set_len(into.len() + len) };
        }
    }

    impl Region {
        /// Overwrites payload bytes that the caller has to himself.
        pub fn clear(&self, offset: usize, len: usize) {
            // SAFETY: the range lies inside the block, and is claimed.
            unsafe { self.bytes(offset, len).as_ptr().write_bytes(0, len) }
        }

        /// Has the kernel take the pages of these bytes for some that were written. Others may be writing them.
        pub fn touch(&self, offset: usize, len: usize) {
            for page in (offset / PAGE * PAGE..offset + len).step_by(PAGE) {
                self.word(page).fetch_or(0, Ordering::Relaxed);
            }
        }

        /// Whether a message that somebody may be writing, which the caller finds out afterwards, is the same bytes as one that the caller has claimed.
        pub fn equals(&self, one: Span, others: &Region, other: Span) -> bool {
            let (mut bytes, mut theirs) = (Vec::new(), Vec::new());
            self.read_shared(one.offset, one.len, &mut bytes);
            others.read(other.offset, other.len, &mut theirs);
            bytes == theirs
        }

        /// Goes on with a checksum over payload bytes. Who may be writing them makes it wrong, no more.
        pub fn sum(&self, sum: u32, offset: usize, len: usize) -> u32 {
            let from = self.bytes(offset, len).as_ptr();
            // SAFETY: the range lies inside the block, and its bytes are initialised.
            crc32c::crc32c_append(sum, unsafe { std::slice::from_raw_parts(from, len) })
        }

        /// Asks the kernel to have these bytes of a mapped file ready for writing. It may refuse: then they are fetched when they are written.
        pub fn populate(&self, offset: usize, len: usize) {
            if len > 0 && self.is_shared() {
                let start = offset / PAGE * PAGE;
                crate::sys::file::populate(self.bytes(start, offset + len - start), offset + len - start);
            }
        }

        /// Appends payload bytes that somebody may be writing, which the caller finds out afterwards: word by word, since the bytes of a message begin on a
        /// word and those behind its end belong to it.
        ///
        /// Who writes them does so with plain stores, some of them the user's own. By the letter of the memory model that is a race; each word is still either read or not,
        /// and nothing is made of them before it is known that nobody wrote.
        pub fn read_shared(&self, offset: usize, len: usize, into: &mut Vec<u8>) {
            let start = into.len();
            into.reserve(len.next_multiple_of(8));
            for at in (offset..offset + len).step_by(8) {
                into.extend_from_slice(&self.word(at).load(Ordering::Relaxed).to_ne_bytes());
            }
            into.truncate(start + len);
        }
    }

    impl Drop for Region {
        fn drop(&mut self) {
            if let Backing::Heap { block, layout } = self.backing {
                // SAFETY: allocated in `heap` with this layout.
                unsafe { alloc::dealloc(block.as_ptr(), layout) }
            }
        }
    }
}

#[cfg(ringfile_loom)]
mod modelled {
    use crate::file::layout::{Layout, UNIT, cell, cursor, group, name, slot};
    use crate::sync::{AtomicPair, AtomicU32, AtomicU64, Ordering};
    use loom::cell::UnsafeCell;
    use std::collections::BTreeMap;

    /// Each shared word of a small ring as an atomic of loom's, each payload area as a cell whose races loom reports.
    pub struct Region {
        words: BTreeMap<usize, AtomicU64>,
        halves: BTreeMap<usize, AtomicU32>,
        pairs: BTreeMap<usize, AtomicPair>,
        payloads: BTreeMap<usize, UnsafeCell<Vec<u8>>>,
        /// What is in each payload area, for those who read it while somebody may write it: `len:32 | byte:8`. Only in models that have such.
        shared: BTreeMap<usize, AtomicU64>,
    }

    // SAFETY: loom checks every access to the payload cells; everything else is atomic.
    unsafe impl Send for Region {}
    // SAFETY: as above.
    unsafe impl Sync for Region {}

    impl Region {
        pub fn new(layout: &Layout) -> Region {
            let g = layout.geometry;
            let mut words = vec![
                cursor::COMMIT,
                cursor::PARKED,
                cursor::NEXT_ATTACHMENT,
                cursor::MAX_DELIVERIES,
                cursor::LEASE,
                cursor::RETAIN,
                cursor::RETAIN_FOR,
                cursor::GAVE_WAY,
                cursor::SCRUB,
                cursor::SCRUBBING,
                cursor::LOOKED,
                cursor::LOOKED + 8,
            ];
            words.extend((0..=g.participants as usize / 64).map(|i| cursor::ASLEEP + 8 * i));
            let mut halves = vec![cursor::PRODUCERS_FUTEX];
            let mut pairs = vec![cursor::TAIL, cursor::REAP, cursor::DIRECTORY, cursor::KEPT];
            let mut payloads = Vec::new();
            for i in 0..g.groups as usize {
                let at = layout.names + i * name::LEN;
                words.extend(
                    [
                        name::NAME_LEN,
                        name::NAME,
                        name::SERVING,
                        name::CREATOR,
                        name::START,
                        name::TICKETED,
                        name::PACER,
                        name::RATE,
                        name::BURST,
                    ]
                    .map(|f| at + f),
                );
                halves.push(at + name::FUTEX);
            }
            for i in 0..=g.groups as usize {
                let at = layout.groups + i * group::LEN;
                words.extend([group::LIFE, group::REDO, group::HEAD, group::TICKET].map(|f| at + f));
                halves.push(at + group::FUTEX);
                pairs.extend([group::FRONTIER, group::PLACES].map(|f| at + f));
                words.extend((0..g.cells as usize).map(|c| layout.claims + i * layout.claims_stride + 8 * c));
            }
            for i in 0..g.participants as usize {
                let at = layout.slots + i * slot::LEN;
                words.extend(
                    [
                        slot::ATTACHMENT,
                        slot::INTENT_POSITION,
                        slot::INTENT,
                        slot::CLAIM_POSITION,
                        slot::CLAIM,
                        slot::BINDING,
                        slot::CLAIMED,
                        slot::EXPIRED,
                    ]
                    .map(|f| at + f),
                );
            }
            for c in 0..g.cells as usize {
                let at = layout.cells + c * g.cell_size as usize;
                words.extend([cell::PUBLISH, cell::SIZE, cell::EXTENT, cell::ORIGIN].map(|f| at + f));
                payloads.push(at + cell::INLINE);
            }
            payloads.extend((0..g.data_bytes as usize / UNIT).map(|u| layout.data + u * UNIT));
            Region {
                words: words.into_iter().map(|at| (at, AtomicU64::new(0))).collect(),
                halves: halves.into_iter().map(|at| (at, AtomicU32::new(0))).collect(),
                pairs: pairs.into_iter().map(|at| (at, AtomicPair::default())).collect(),
                payloads: payloads
                    .into_iter()
                    .map(|at| (at, UnsafeCell::new(Vec::new())))
                    .collect(),
                shared: BTreeMap::new(),
            }
        }

        /// The same, for models in which somebody reads what others may be writing.
        pub fn replayed(layout: &Layout) -> Region {
            let region = Region::new(layout);
            let shared = region.payloads.keys().map(|&at| (at, AtomicU64::new(0))).collect();
            Region { shared, ..region }
        }

        pub fn word(&self, offset: usize) -> &AtomicU64 {
            &self.words[&offset]
        }

        pub fn half(&self, offset: usize) -> &AtomicU32 {
            &self.halves[&offset]
        }

        pub fn pair(&self, offset: usize) -> &AtomicPair {
            &self.pairs[&offset]
        }

        /// The payload cells of `len` bytes at `offset`: the one of a message's cell, or those of its units.
        fn areas(&self, offset: usize, len: usize) -> impl Iterator<Item = &UnsafeCell<Vec<u8>>> {
            self.payloads.range(offset..offset + len.max(1)).map(|(_, area)| area)
        }

        pub fn write(&self, offset: usize, payload: &[u8]) {
            for area in self.areas(offset, payload.len()) {
                // SAFETY: loom fails the model if anybody else has the area.
                area.with_mut(|bytes| unsafe { (*bytes).clear() });
            }
            for (_, word) in self.shared.range(offset..offset + payload.len().max(1)) {
                // All bytes of a model's message are the same.
                let byte = payload.first().copied().unwrap_or(0);
                word.store((payload.len() as u64) << 8 | u64::from(byte), Ordering::Relaxed);
            }
            let first = self.areas(offset, payload.len()).next().expect("payloads begin where an area does");
            // SAFETY: as above.
            first.with_mut(|bytes| unsafe { (*bytes).extend_from_slice(payload) });
        }

        pub fn clear(&self, offset: usize, len: usize) {
            for area in self.areas(offset, len) {
                // SAFETY: loom fails the model if anybody else has the area.
                area.with_mut(|bytes| unsafe { (*bytes).clear() });
            }
            for (_, word) in self.shared.range(offset..offset + len) {
                word.store(0, Ordering::Relaxed);
            }
        }

        pub fn read_shared(&self, offset: usize, len: usize, into: &mut Vec<u8>) {
            let areas = self.shared.range(offset..offset + len.max(1));
            let words: Vec<u64> = areas.map(|(_, word)| word.load(Ordering::Relaxed)).collect();
            let is_torn = words.iter().any(|word| *word != words[0] || *word >> 8 != len as u64);
            // What is torn can be told from every message.
            into.extend(std::iter::repeat_n(if is_torn { 0xff } else { words[0] as u8 }, len));
        }

        pub fn read(&self, offset: usize, len: usize, into: &mut Vec<u8>) {
            for (i, area) in self.areas(offset, len).enumerate() {
                area.with(|bytes| {
                    if i == 0 {
                        // SAFETY: loom fails the model if anybody writes the area meanwhile.
                        let bytes = unsafe { &*bytes };
                        into.extend_from_slice(&bytes[..len.min(bytes.len())]);
                    }
                });
            }
        }
    }
}
