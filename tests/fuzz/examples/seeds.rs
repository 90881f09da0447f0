//! Writes seeds for the corpus: a sound file of each scene, one with each kind of damage, every call.

use ringfile_fuzz::scenes::SCENES;
use std::fs;
use std::path::PathBuf;

fn main() {
    let directory = PathBuf::from(std::env::args().nth(1).expect("a directory to write to"));
    for target in ["open", "read", "live"] {
        let place = directory.join(target);
        fs::create_dir_all(&place).expect("a directory can be made");
        let write =
            |name: String, bytes: &[u8]| fs::write(place.join(name), bytes).expect("a seed can be written");
        for scene in 0..SCENES as u8 {
            // All calls, one after the other, in different manners.
            let script: Vec<u8> =
                (0..40u8).flat_map(|i| [i.wrapping_mul(7), i.wrapping_mul(37) ^ scene]).collect();
            let flags = if target == "open" { 0 } else { scene & 3 };
            let mut sound = vec![scene, flags, 0];
            sound.extend(&script);
            write(format!("sound-{scene}"), &sound);
            let mut damaged = vec![scene, flags, 4];
            for patch in 0..4 {
                let what = (scene * 7 + patch * 13 + 20) % 64;
                damaged.extend([what, patch * 71, (scene + patch) % 9, 3 + patch]);
            }
            damaged.extend(&script);
            write(format!("damaged-{scene}"), &damaged);
        }
        if target == "open" {
            write("raw".to_owned(), b"\x00\x03\x00ringfile\x01\x00\x00\x00\x0d\x0c\x0b\x0a");
            write("short".to_owned(), b"\x01\x04\x00\x80");
            write("checksum".to_owned(), b"\x01\x08\x01\x04\x00\x02\x00");
        }
    }
}
