//! A file that is damaged while it is used, by somebody who has it mapped: each call that copies returns.
//!
//! Half of the inputs damage it between the calls, which is the same each time, the others in their midst.
#![no_main]

use libfuzzer_sys::fuzz_target;
use memmap2::MmapRaw;
use ringfile::Queue;
use ringfile_fuzz::calls::Calls;
use ringfile_fuzz::damage::Patch;
use ringfile_fuzz::scenes::{self, Scene};
use ringfile_fuzz::{Bytes, Input};
use std::fs::OpenOptions;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

/// How often all patches are made, at most, in one run.
const ROUNDS: usize = 200;

/// Another mapping of a file, as words.
struct Words(MmapRaw);

impl Words {
    fn of(path: &Path) -> Option<Words> {
        let file = OpenOptions::new().read(true).write(true).open(path).ok()?;
        MmapRaw::map_raw(&file).ok().map(Words)
    }

    fn all(&self) -> &[AtomicU64] {
        // SAFETY: the mapping begins on a page, has whole words, and is there as long as this; here they are only used as atomics.
        unsafe { std::slice::from_raw_parts(self.0.as_mut_ptr().cast::<AtomicU64>(), self.0.len() / 8) }
    }
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input::of(data);
    let scene = Scene::number(input.scene);
    let path = scene.write();
    let Ok(queue) = Queue::options().recover(input.flags & 1 == 0).attach(path) else {
        unreachable!("it is sound");
    };
    let (main, letters) = (Words::of(path).expect("it can be mapped"), Words::of(scenes::letters()));
    let letters_layout = scene.letters.as_deref().map(ringfile_fuzz::damage::layout_of);
    let scribble = |patch: &Patch| match (&letters, &letters_layout) {
        (Some(words), Some(layout)) if patch.in_letters => patch.scribble(words.all(), layout),
        _ => patch.scribble(main.all(), &scene.layout),
    };
    let mut calls = Calls::new(queue, path, false);
    if input.flags & 2 == 0 {
        let mut next = input.patches.iter().cycle();
        let before = || _ = next.next().map(scribble);
        calls.follow(&mut input.script, before);
        calls.all();
        return;
    }
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            for _ in 0..ROUNDS {
                input.patches.iter().for_each(scribble);
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                thread::yield_now();
            }
        });
        let mut script = Bytes(input.script.0);
        calls.follow(&mut script, || {});
        calls.all();
        is_over.store(true, Ordering::Relaxed);
        // Not left to the scope, which does not wait until the thread is gone: what it frees last would look like a leak.
        other.join().expect("it does not panic");
    });
});
