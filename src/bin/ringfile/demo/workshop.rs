//! The temporary directory of a demo, and what lies in it.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The directory. The demo's own is removed when it is dropped.
pub struct Workshop {
    path: PathBuf,
    owned: bool,
}

const RING: &str = "ring";
const TEXT: &str = "text";
const REPORT: &str = "report-";

impl Workshop {
    /// A new one, which only this user can enter: the text may come from files that others cannot read.
    pub fn create() -> io::Result<Workshop> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let name = format!("ringfile-demo-{}-{}", std::process::id(), now.as_nanos());
        let path = std::env::temp_dir().join(name);
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Workshop { path, owned: true })
    }

    /// The one of the demo that started this process.
    pub fn of_the_demo(path: PathBuf) -> Workshop {
        Workshop { path, owned: false }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn ring(&self) -> PathBuf {
        self.path.join(RING)
    }

    /// The lines that are sent.
    pub fn text(&self) -> PathBuf {
        self.path.join(TEXT)
    }

    /// What a worker has to say at its end.
    pub fn report(&self, command: &str, number: u32) -> PathBuf {
        self.path.join(format!("{REPORT}{command}-{number}"))
    }

    /// Removes what a demo puts there, then the directory, unless there is anything else in it.
    pub fn remove(&self) {
        for entry in fs::read_dir(&self.path).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name == RING || name == TEXT || name.starts_with(REPORT) {
                // Others may be cleaning up as well; what cannot be removed stays for the system's own tidying.
                let _ = fs::remove_file(entry.path());
            }
        }
        let _ = fs::remove_dir(&self.path);
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        if self.owned {
            self.remove();
        }
    }
}
