//! Runs futures one step at a time, in the order that its owner chooses; and the gates at which they wait for the world.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

pub type TaskId = u64;
type Work = Pin<Box<dyn Future<Output = ()>>>;

/// Tasks that may go on. Shared with their wakers.
type Ready = Arc<Mutex<BTreeSet<TaskId>>>;

struct Task {
    id: TaskId,
    site: usize,
    name: &'static str,
    work: Work,
    waker: Waker,
}

struct Alarm {
    id: TaskId,
    ready: Ready,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.ready.lock().unwrap().insert(self.id);
    }
}

#[derive(Default)]
pub struct Executor {
    tasks: Vec<Task>,
    ready: Ready,
    last: TaskId,
}

impl Executor {
    pub fn spawn(&mut self, site: usize, name: &'static str, work: impl Future<Output = ()> + 'static) {
        self.last += 1;
        let id = self.last;
        let waker = Waker::from(Arc::new(Alarm { id, ready: Arc::clone(&self.ready) }));
        self.ready.lock().unwrap().insert(id);
        self.tasks.push(Task { id, site, name, work: Box::pin(work), waker });
    }

    /// Those that can go on.
    pub fn ready(&self) -> Vec<TaskId> {
        self.ready.lock().unwrap().iter().copied().collect()
    }

    pub fn is_busy(&self, site: usize, name: &str) -> bool {
        self.tasks.iter().any(|task| task.site == site && task.name == name)
    }

    pub fn is_idle(&self) -> bool {
        self.tasks.is_empty()
    }

    /// One step of one task. Returns whose it was.
    pub fn step(&mut self, id: TaskId) -> Option<(usize, &'static str)> {
        self.ready.lock().unwrap().remove(&id);
        let index = self.tasks.iter().position(|task| task.id == id)?;
        // Taken out: it may be ended by what it does.
        let mut task = self.tasks.remove(index);
        let (site, name) = (task.site, task.name);
        let waker = task.waker.clone();
        if task.work.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
            self.tasks.insert(index, task);
        }
        Some((site, name))
    }

    /// The site is dead, and all that it did ends where it stands.
    pub fn end(&mut self, site: usize) {
        self.tasks.retain(|task| task.site != site);
    }

    /// Everything that still waits, for whoever has to find out why.
    pub fn waiting(&self) -> Vec<String> {
        self.tasks.iter().map(|task| format!("{} of site {}", task.name, task.site)).collect()
    }
}

/// What waits for the disk or the network until the world lets it pass.
#[derive(Clone, Default)]
pub struct Gates(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    last: u64,
    closed: Vec<Closed>,
}

struct Closed {
    id: u64,
    what: Wait,
    waker: Waker,
}

/// Where something waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// For the disk under the store of this site.
    Disk(usize),
    /// On the way from this site to its upstream, or back.
    Wire(usize),
    /// On the way from this site to its mail server, or back.
    Mail(usize),
}

impl Gates {
    pub fn pass(&self, what: Wait) -> Gate {
        Gate { gates: self.clone(), what, id: None }
    }

    pub fn closed(&self) -> Vec<(u64, Wait)> {
        self.0.lock().unwrap().closed.iter().map(|closed| (closed.id, closed.what)).collect()
    }

    pub fn open(&self, id: u64) {
        let mut inner = self.0.lock().unwrap();
        if let Some(index) = inner.closed.iter().position(|closed| closed.id == id) {
            inner.closed.remove(index).waker.wake();
        }
    }
}

pub struct Gate {
    gates: Gates,
    what: Wait,
    id: Option<u64>,
}

impl Future for Gate {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let gates = self.gates.clone();
        let mut inner = gates.0.lock().unwrap();
        match self.id {
            Some(id) if inner.closed.iter().all(|closed| closed.id != id) => Poll::Ready(()),
            Some(_) => Poll::Pending,
            None => {
                inner.last += 1;
                let id = inner.last;
                self.id = Some(id);
                let waker = context.waker().clone();
                inner.closed.push(Closed { id, what: self.what, waker });
                Poll::Pending
            }
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.gates.0.lock().unwrap().closed.retain(|closed| closed.id != id);
        }
    }
}
