//! Whatever is in a file: opening it gives an error or a queue.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringfile::{OpenError, Queue};
use ringfile_fuzz::Input;
use ringfile_fuzz::damage::seal;
use ringfile_fuzz::scenes::Scene;
use std::fs;

fuzz_target!(|data: &[u8]| {
    let mut input = Input::of(data);
    let mut scene = Scene::number(input.scene);
    scene.damage(input.flags, &input.patches, true);
    if input.flags & 1 != 0 {
        // Bytes as they are: at the beginning, or in place of everything.
        let raw = input.script.0;
        let len = raw.len().min(scene.file.len());
        scene.file[..len].copy_from_slice(&raw[..len]);
        if input.flags & 2 != 0 {
            scene.file.truncate(len);
        }
    }
    if input.flags & 4 != 0 {
        scene.file.truncate(scene.file.len() * usize::from(input.script.byte()) / 255);
    }
    // A wrong checksum is found; what lies behind a right one is what has to be looked at.
    if input.flags & 8 == 0 {
        seal(&mut scene.file);
    }
    if input.flags & 16 != 0 {
        scene.letters = None;
    }
    let path = scene.write();
    if let Ok(observer) = Queue::options().observe(path) {
        let _ = format!("{:?}", observer.stats());
        let _ = observer.verify().is_sound();
        let _ = observer.replay().take(64).count();
    }
    assert!(fs::read(path).expect("it is there") == scene.file, "looking at it has changed it");
    match Queue::options().recover(input.flags & 32 == 0).attach(path) {
        Ok(queue) => {
            let _ = (queue.len(), format!("{:?}", queue.stats()), queue.verify().is_sound());
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            // Of what may be a ring the words are used, and what the machine's last start has left is put in order.
            let is_foreign = matches!(
                error,
                OpenError::NotARing
                    | OpenError::Version { .. }
                    | OpenError::Length { .. }
                    | OpenError::Geometry { .. }
            );
            let same = fs::read(path).expect("it is there") == scene.file;
            assert!(same || !is_foreign, "what is not ours was changed: {error}");
        }
    }
});
