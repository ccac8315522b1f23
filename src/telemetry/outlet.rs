//! Standard error, as the log's way out. Whoever reads it may pause, and the daemon does not stand still with it.

use std::io::{self, Stderr, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// So many bytes go into a pipe that has room at all.
const PIECE: usize = 4096;
/// So long a reader is waited for in a minute, all in all: one that is only slow misses nothing.
const PATIENCE: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

static LOST: AtomicU64 = AtomicU64::new(0);

/// Lines of the log that nobody read in time, since the start.
pub fn lines_lost() -> u64 {
    LOST.load(Ordering::Relaxed)
}

/// Takes line by line, and loses those for which there is no room.
pub(super) struct Outlet<W> {
    to: W,
    /// What was waited since then.
    since: Instant,
    waited: Duration,
    /// A line was lost after its beginning.
    is_torn: bool,
}

impl Outlet<Stderr> {
    pub fn stderr() -> Self {
        Self::new(io::stderr())
    }
}

impl<W: Write + AsFd> Outlet<W> {
    fn new(to: W) -> Self {
        Self { to, since: Instant::now(), waited: Duration::ZERO, is_torn: false }
    }

    fn has_room(&mut self) -> bool {
        if self.has_room_within(Duration::ZERO) {
            return true;
        }
        let now = Instant::now();
        if now.duration_since(self.since) >= MINUTE {
            (self.since, self.waited) = (now, Duration::ZERO);
        }
        let left = PATIENCE.saturating_sub(self.waited);
        let has_room = !left.is_zero() && self.has_room_within(left);
        self.waited += now.elapsed();
        has_room
    }

    fn has_room_within(&self, wait: Duration) -> bool {
        let wait = Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: wait.subsec_nanos().into() };
        let mut one = [PollFd::new(&self.to, PollFlags::OUT)];
        matches!(poll(&mut one, Some(&wait)), Ok(1..))
    }
}

impl<W: Write + AsFd> Write for Outlet<W> {
    /// One line. What becomes of it is nobody's fault who logs.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let torn = if self.is_torn { "\n".as_bytes() } else { &[] };
        for piece in std::iter::once(torn).filter(|torn| !torn.is_empty()).chain(line.chunks(PIECE)) {
            if !self.has_room() {
                LOST.fetch_add(1, Ordering::Relaxed);
                return Ok(line.len());
            }
            // Until its end.
            self.is_torn = true;
            self.to.write_all(piece)?;
        }
        self.is_torn = false;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{PipeWriter, Read};

    use super::*;

    #[test]
    fn a_reader_that_pauses_costs_lines_and_a_second_and_gets_whole_lines_afterwards() {
        let (mut reader, writer): (_, PipeWriter) = io::pipe().unwrap();
        let mut outlet = Outlet::new(writer);
        let line = format!("{}\n", "x".repeat(5999));
        // Far more than a pipe holds. Without a way out this would never end.
        for _ in 0..100 {
            assert_eq!(outlet.write(line.as_bytes()).unwrap(), 6000);
        }
        assert!(outlet.waited >= PATIENCE && lines_lost() >= 50, "{:?}, {}", outlet.waited, lines_lost());
        let reading = std::thread::spawn(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            text
        });
        while !outlet.has_room() {
            std::thread::yield_now();
        }
        outlet.write_all(b"the last\n").unwrap();
        drop(outlet);
        let text = reading.join().unwrap();
        assert!(text.ends_with("\nthe last\n"), "on a line of its own");
    }
}
