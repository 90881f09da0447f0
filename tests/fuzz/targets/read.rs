//! A file that was damaged behind its header: each call of its queue returns.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringfile::Queue;
use ringfile_fuzz::Input;
use ringfile_fuzz::calls::Calls;
use ringfile_fuzz::scenes::Scene;

fuzz_target!(|data: &[u8]| {
    let mut input = Input::of(data);
    let mut scene = Scene::number(input.scene);
    scene.damage(input.flags, &input.patches, false);
    let path = scene.write();
    if let Ok(queue) = Queue::options().recover(input.flags & 1 == 0).attach(path) {
        let mut calls = Calls::new(queue, path, true);
        calls.follow(&mut input.script, || {});
        if input.flags & 2 == 0 {
            calls.all();
        }
    }
});
