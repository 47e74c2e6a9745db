//! A serial line without a wire: two pseudo-terminals joined by socat.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

/// Two ends of a serial line; what is written into one comes out of the other.
#[derive(Debug)]
pub struct Pty {
    /// The device file for one side.
    pub a: String,
    /// The device file for the other.
    pub b: String,
    _folder: Folder,
    _socat: Child,
}

impl Pty {
    /// A fresh line.
    pub async fn pair() -> Self {
        let folder = Folder::new();
        let [a, b] = ["a", "b"].map(|end| format!("{}/{end}", folder.0));
        let mut socat = Command::new("socat")
            .args([format!("pty,raw,echo=0,link={a}"), format!("pty,raw,echo=0,link={b}")])
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run socat: {error}; scripts/test installs it"));
        for _ in 0..3_000 {
            if std::fs::exists(&a).unwrap() && std::fs::exists(&b).unwrap() {
                return Self { a, b, _folder: folder, _socat: socat };
            }
            assert_eq!(socat.try_wait().unwrap(), None, "socat ended");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("socat made no terminals");
    }
}

/// A folder that goes away with its owner.
#[derive(Debug)]
struct Folder(String);

impl Folder {
    fn new() -> Self {
        let name = format!("guideway-pty-{}-{:08x}", std::process::id(), rand::random::<u32>());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder).unwrap();
        Self(folder.display().to_string())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left in a folder for temporary files is no failure of a test.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
