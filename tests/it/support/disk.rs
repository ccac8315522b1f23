//! A file system of its own under a site. Needs root and a loop device.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// ext4 in a file. Goes with everything in it.
pub struct Disk {
    image: TempDir,
    mount: TempDir,
}

impl Disk {
    pub fn new() -> Self {
        let (image, mount) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let disk = Self { image, mount };
        run("truncate", &["-s", "200M", &disk.image()]);
        run("mkfs.ext4", &["-q", "-F", &disk.image()]);
        disk.attach();
        disk
    }

    pub fn path(&self) -> PathBuf {
        self.mount.path().to_owned()
    }

    fn image(&self) -> String {
        self.image.path().join("image").display().to_string()
    }

    fn attach(&self) {
        run("mount", &["-o", "loop", &self.image(), &text(self.mount.path())]);
    }

    /// From here on nothing more reaches the disk, and what was not synced is lost: the journal is not written either.
    pub fn cut(&self) {
        // EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH.
        const SCRIPT: &str = r#"open(my $dir, "<", $ARGV[0]) or die $!; my $how = pack("L", 2); ioctl($dir, 0x8004587d, $how) or die $!"#;
        run("perl", &["-e", SCRIPT, &text(self.mount.path())]);
    }

    /// The file system finds an error in itself, and takes no more writes.
    pub fn abort(&self) {
        run("mount", &["-o", "remount,abort", &text(self.mount.path())]);
    }

    pub fn remount(&self, how: &str) {
        run("mount", &["-o", &format!("remount,{how}"), &text(self.mount.path())]);
    }

    /// The machine is on again. Nobody may have a file open.
    pub fn again(&self) {
        self.detach();
        self.attach();
    }

    /// The same, after the check that a machine makes when a file system had an error.
    pub fn repair(&self) {
        self.detach();
        // It says that it found something.
        let _ = Command::new("e2fsck").args(["-f", "-y", &self.image()]).output().unwrap();
        self.attach();
    }

    fn detach(&self) {
        for _ in 0..200 {
            if Command::new("umount").arg(self.mount.path()).output().unwrap().status.success() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(25));
        }
        run("umount", &[&text(self.mount.path())]);
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.mount.path()).status();
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

#[track_caller]
pub fn run(program: &str, arguments: &[&str]) {
    let done = Command::new(program).args(arguments).output().unwrap();
    assert!(done.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
}
