//! A job never overlaps itself (M-10), however it is asked for: by its schedule, by hand, over the API.

use super::*;

const JOBS: [&str; 3] = ["check SLAs", "check due dates", "queue closings"];

async fn run(engine: Engine, job: &str, found: Arc<Mutex<Vec<u64>>>) {
    let answer = match job {
        "check SLAs" => engine.check_slas(false, &Seen::all()).await,
        "check due dates" => engine.check_due_dates(false, &Seen::all()).await,
        _ => engine.queue_closings(false, &Seen::all()).await,
    };
    found.lock().unwrap().push(answer.expect("the store is well").found);
}

impl World {
    /// The site at the top alone, with a case of a day ago and one that was resolved then.
    fn with_late_cases() -> Self {
        let mut world = Self::new(0, None);
        let top = world.sites.len() - 1;
        world.start(top);
        world.finish();
        for name in ["edge-0", "edge-1"] {
            let event = Event {
                host_event_id: name.into(),
                synopsis: "Chassis alarm".into(),
                priority: Some(Priority::Critical),
                ..Event::default()
            };
            let (deposit, now) = (Deposit { event, ..Deposit::default() }, world.sites[top].clock.now());
            world.sites[top].store.shelf.lock().unwrap().deposit(vec![deposit], now);
            world.model.0.insert(name.into(), Expected::default());
        }
        let resolved = Edit { phase: Some(Phase::Review), ..Edit::default() };
        world.edit(top, IncidentId(2), RESOLVED.into(), resolved);
        world.executor.spawn(
            top,
            "time",
            duty(world.engine(), Arc::clone(&world.network.shelves[top]), Arc::clone(&world.sites[top].people), "time"),
        );
        world.finish();
        world.sites[top].clock.advance(24 * HOUR);
        world
    }

    fn engine(&self) -> Engine {
        self.network.engines.lock().unwrap().last().cloned().flatten().expect("it runs")
    }

    /// Whoever can go on does, until all wait for the store.
    fn go_as_far_as_the_store(&mut self) -> usize {
        while let Some(id) = self.executor.ready().first().copied() {
            self.step(id);
        }
        self.gates.closed().len()
    }
}

#[test]
fn m_10_of_two_runs_of_one_job_at_once_the_second_begins_when_the_first_has_ended() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _guard = runtime.enter();
    for (job, expected) in JOBS.into_iter().zip([4, 2, 1]) {
        let mut world = World::with_late_cases();
        let (top, found) = (world.sites.len() - 1, Arc::default());
        for _ in 0..2 {
            let (engine, found) = (world.engine(), Arc::clone(&found));
            world.executor.spawn(top, "run", run(engine, job, found));
        }
        assert_eq!(world.go_as_far_as_the_store(), 1, "{job}: one asks the store, and the other waits");
        world.finish();
        assert_eq!(*found.lock().unwrap(), [expected, 0], "{job}: each case was found once");
    }
}
