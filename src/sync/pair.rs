//! Two words changed by one 128-bit compare-and-swap.
//!
//! Loads of a pair race with the swap, so they are made here too: a mixed-size race between a Rust atomic and the swap would be undefined.

/// The two halves. The high one never returns to an earlier value; [`AtomicPair::load`] relies on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Pair {
    pub hi: u64,
    pub lo: u64,
}

#[cfg(all(
    target_arch = "x86_64",
    not(any(miri, ringfile_loom, ringfile_portable))
))]
mod imp {
    use super::Pair;
    use crate::sync::Ordering;
    use std::arch::asm;
    use std::cell::UnsafeCell;

    /// A pair in memory: the low half first.
    #[repr(C, align(16))]
    pub struct AtomicPair(UnsafeCell<[u64; 2]>);

    // SAFETY: every access is one of the two blocks of assembly below, or made before the pair is shared.
    unsafe impl Sync for AtomicPair {}
    // SAFETY: there is nothing in it that belongs to a thread.
    unsafe impl Send for AtomicPair {}

    impl AtomicPair {
        /// Whether a load leaves memory alone that must not be written.
        pub const LOADS_ONLY_READ: bool = true;

        /// Whether this processor has the instruction.
        pub fn is_supported() -> bool {
            std::arch::is_x86_feature_detected!("cmpxchg16b")
        }

        /// Both halves as they were at one instant. Every load of this processor is an acquire load.
        #[inline(always)]
        pub fn load(&self, _: Ordering) -> Pair {
            let (hi, lo);
            // SAFETY: the pointer is valid for reads of 16 aligned bytes. The high half rises and never returns, so
            // finding it unchanged means that the low half belongs to it.
            unsafe {
                asm!(
                    "2:",
                    "mov {hi}, [{at} + 8]",
                    "mov {lo}, [{at}]",
                    "cmp {hi}, [{at} + 8]",
                    "jne 2b",
                    at = in(reg) self.0.get(),
                    hi = out(reg) hi,
                    lo = out(reg) lo,
                    options(nostack),
                );
            }
            Pair { hi, lo }
        }

        /// Writes both halves; nobody else may know of the pair yet.
        pub fn init(&self, pair: Pair) {
            // SAFETY: the pair is not shared yet, says the caller's contract, and the pointer is valid and aligned.
            unsafe { self.0.get().write([pair.lo, pair.hi]) }
        }

        /// Puts `new` in place of exactly `current`; otherwise says what is there. Always a full fence.
        #[inline(always)]
        pub fn compare_exchange(
            &self,
            current: Pair,
            new: Pair,
            _: Ordering,
            _: Ordering,
        ) -> Result<Pair, Pair> {
            let swapped: u64;
            let (hi, lo);
            // SAFETY: the pointer is valid for reads and writes of 16 aligned bytes. The instruction wants the new low half in rbx, which the
            // compiler may be using for anything, this block's operands included: so they all have registers by name, and rbx is put back.
            unsafe {
                asm!(
                    "xchg rsi, rbx",
                    "lock cmpxchg16b [rdi]",
                    "sete cl",
                    "mov rbx, rsi",
                    in("rdi") self.0.get(),
                    inout("rsi") new.lo => _,
                    inout("rcx") new.hi => swapped,
                    inout("rax") current.lo => lo,
                    inout("rdx") current.hi => hi,
                    options(nostack),
                );
            }
            let found = Pair { hi, lo };
            if swapped as u8 != 0 { Ok(found) } else { Err(found) }
        }
    }
}

#[cfg(all(
    not(ringfile_loom),
    any(miri, ringfile_portable, not(target_arch = "x86_64"))
))]
mod imp {
    use super::Pair;
    use crate::sync::Ordering;
    use portable_atomic::AtomicU128;

    /// A pair in memory: the low half first on a little-endian machine.
    #[repr(transparent)]
    pub struct AtomicPair(AtomicU128);

    fn join(pair: Pair) -> u128 {
        u128::from(pair.hi) << 64 | u128::from(pair.lo)
    }

    fn split(word: u128) -> Pair {
        Pair {
            hi: (word >> 64) as u64,
            lo: word as u64,
        }
    }

    impl AtomicPair {
        /// Whether a load leaves memory alone that must not be written.
        pub const LOADS_ONLY_READ: bool = false;

        /// Whether this processor has the instruction: a lock instead of it is of no use between processes.
        pub fn is_supported() -> bool {
            AtomicU128::is_lock_free()
        }

        /// Both halves as they were at one instant.
        pub fn load(&self, order: Ordering) -> Pair {
            split(self.0.load(order))
        }

        /// Writes both halves; nobody else may know of the pair yet.
        pub fn init(&self, pair: Pair) {
            self.0.store(join(pair), Ordering::Relaxed);
        }

        /// Puts `new` in place of exactly `current`; otherwise says what is there.
        pub fn compare_exchange(
            &self,
            current: Pair,
            new: Pair,
            success: Ordering,
            failure: Ordering,
        ) -> Result<Pair, Pair> {
            self.0
                .compare_exchange(join(current), join(new), success, failure)
                .map(split)
                .map_err(split)
        }
    }
}

#[cfg(ringfile_loom)]
mod imp {
    use super::Pair;
    use loom::sync::atomic::{AtomicU64, Ordering};
    use std::sync::Mutex;

    /// Loom has no 128-bit atomic, so its 64-bit one holds the number of a value that it has seen: equal numbers are equal pairs, and every
    /// ordering is loom's own.
    pub struct AtomicPair {
        number: AtomicU64,
        seen: Mutex<Vec<Pair>>,
    }

    impl Default for AtomicPair {
        fn default() -> Self {
            AtomicPair {
                number: AtomicU64::new(0),
                seen: Mutex::new(vec![Pair::default()]),
            }
        }
    }

    impl AtomicPair {
        /// Whether a load leaves memory alone that must not be written.
        pub const LOADS_ONLY_READ: bool = true;

        fn number(&self, pair: Pair) -> u64 {
            let mut seen = self.seen.lock().unwrap();
            let at = seen.iter().position(|&p| p == pair).unwrap_or_else(|| {
                seen.push(pair);
                seen.len() - 1
            });
            at as u64
        }

        fn pair(&self, number: u64) -> Pair {
            self.seen.lock().unwrap()[number as usize]
        }

        pub fn load(&self, order: Ordering) -> Pair {
            self.pair(self.number.load(order))
        }

        pub fn init(&self, pair: Pair) {
            self.number.store(self.number(pair), Ordering::Relaxed);
        }

        pub fn compare_exchange(
            &self,
            current: Pair,
            new: Pair,
            success: Ordering,
            failure: Ordering,
        ) -> Result<Pair, Pair> {
            let (current, new) = (self.number(current), self.number(new));
            self.number
                .compare_exchange(current, new, success, failure)
                .map(|n| self.pair(n))
                .map_err(|n| self.pair(n))
        }
    }
}

pub use imp::AtomicPair;
