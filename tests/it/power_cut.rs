//! Power cuts: everything that was not synced is lost, under real daemons, at a random moment. What was acknowledged
//! before is there afterwards, and nothing is there twice (invariant 1). `tests/power-cut` runs this.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use sqlx::Row;

use crate::support::caller::{Caller, SECOND_CLIENT, create, exchange, second_client, update};
use crate::support::disk::Disk;
use crate::support::pair::{ACCEPT_ALL, SUBMIT_ALL, end_user_config, partner_config};
use crate::support::wire::free_port;
use crate::support::{Site, eventually};

/// What was read before the cut, and so has to be there after it.
#[derive(Default)]
struct Observer {
    /// Set before the cut: what is read from then on does not count.
    dark: AtomicBool,
    /// Deposited at the end user: event and incident.
    deposits: Mutex<Vec<(String, i64)>>,
    /// Taken by the partner from its second client: exchange and transaction.
    creates: Mutex<Vec<(u64, String)>>,
    /// Exchange, number and text of an update that the partner took.
    updates: Mutex<Vec<(u64, u64, String)>>,
    next: AtomicU64,
}

impl Observer {
    fn saw<T>(&self, what: &Mutex<Vec<T>>, one: T) {
        let mut all = what.lock().unwrap();
        if !self.dark.load(Ordering::SeqCst) {
            all.push(one);
        }
    }
}

/// Deposits over the local socket, one after the other.
async fn deposit(observer: Arc<Observer>, socket: std::path::PathBuf) {
    let client = reqwest::Client::builder().unix_socket(socket).build().unwrap();
    loop {
        let event = format!("cut-{}", observer.next.fetch_add(1, Ordering::SeqCst));
        let body = json!({"event": {"host_event_id": event, "synopsis": "Chassis alarm"}}).to_string();
        let Ok(answer) = client.post("http://local/v1/deposits").body(body).send().await else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        if !answer.status().is_success() {
            continue;
        }
        if let Ok(answer) = answer.json::<Value>().await {
            observer.saw(&observer.deposits, (event, answer["incident"].as_i64().unwrap()));
        }
    }
}

/// Opens incidents at the partner and updates each, as a client of its own.
async fn operate(observer: Arc<Observer>, caller: Caller) {
    let ask = async |operation: Value| -> Option<Value> {
        let body = json!({"operations": [operation]}).to_string();
        let request = caller.request("POST", "/v1/operations").header("content-type", "application/json");
        let answer = request.body(body).send().await.ok()?;
        if !answer.status().is_success() {
            return None;
        }
        let answer: Value = answer.json().await.ok()?;
        (answer["results"][0]["outcome"] == "applied").then(|| answer["results"][0].clone())
    };
    loop {
        let number = observer.next.fetch_add(1, Ordering::SeqCst);
        let Some(result) = ask(create(number)).await else {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        observer.saw(&observer.creates, (number, result["transaction"].as_str().unwrap().to_owned()));
        for seq in 2..5 {
            let text = format!("solution {number}-{seq}");
            if ask(update(number, seq, &text)).await.is_none() {
                break;
            }
            observer.saw(&observer.updates, (number, seq, text));
        }
    }
}

struct Scene {
    end_user: Site,
    partner: Site,
    caller: Caller,
    observer: Arc<Observer>,
    // Go last: the sites lie on them.
    end_users_disk: Disk,
    partners_disk: Disk,
}

impl Scene {
    fn new() -> Self {
        let (end_users_disk, partners_disk) = (Disk::new(), Disk::new());
        let port = free_port();
        let config = partner_config(port, &format!("{ACCEPT_ALL}{SECOND_CLIENT}"));
        let partner = Site::within(&partners_disk.path(), "partner", &config);
        second_client(&partner);
        let end_user = Site::within(&end_users_disk.path(), "north", &end_user_config(port, SUBMIT_ALL));
        let caller = Caller::south(port);
        // The configuration is on the disks for good.
        assert!(std::process::Command::new("sync").status().unwrap().success());
        Self { end_user, partner, caller, observer: Arc::default(), end_users_disk, partners_disk }
    }

    /// Work goes on for a while, and then the lights go out at one site or at both.
    async fn cut(&mut self, after: Duration, at_end_user: bool, at_partner: bool) {
        self.observer.dark.store(false, Ordering::SeqCst);
        let mut work = vec![tokio::spawn(deposit(Arc::clone(&self.observer), self.end_user.path("s")))];
        for _ in 0..4 {
            work.push(tokio::spawn(operate(Arc::clone(&self.observer), self.caller.clone())));
        }
        tokio::time::sleep(after).await;
        self.observer.dark.store(true, Ordering::SeqCst);
        for (disk, site, hit) in [
            (&self.end_users_disk, &mut self.end_user, at_end_user),
            (&self.partners_disk, &mut self.partner, at_partner),
        ] {
            if hit {
                disk.cut();
                site.kill();
                disk.again();
            }
        }
        for task in work {
            task.abort();
            let _ = task.await;
        }
        for (site, hit) in [(&mut self.partner, at_partner), (&mut self.end_user, at_end_user)] {
            if hit {
                site.start().await;
                assert!(!site.log().contains("state_damaged"), "its state is whole");
            }
        }
    }

    /// Everything that was read before the cuts. Returns how much that is.
    async fn nothing_is_lost(&self) -> usize {
        let store = self.end_user.store().await;
        let rows = sqlx::query("SELECT host_event_id, id FROM incident").fetch_all(&store).await.unwrap();
        store.close().await;
        let there: std::collections::HashMap<String, i64> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        let deposits = self.observer.deposits.lock().unwrap().clone();
        for (event, incident) in &deposits {
            assert_eq!(there.get(event), Some(incident), "{event} was acknowledged");
        }
        let creates = self.observer.creates.lock().unwrap().clone();
        let updates = self.observer.updates.lock().unwrap().clone();
        // In the store, before anything is sent again: what was lost would be taken as new.
        let store = self.partner.store().await;
        let rows = sqlx::query(
            "SELECT r.exchange, i.id, coalesce(i.solution, '') FROM reference r JOIN incident i ON i.id = r.incident \
             WHERE r.peer = 'south'",
        );
        let rows = rows.fetch_all(&store).await.unwrap();
        store.close().await;
        let there: std::collections::HashMap<String, (i64, String)> =
            rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect();
        for (number, transaction) in &creates {
            let incident = there.get(&exchange(*number)).map(|(incident, _)| incident.to_string());
            assert_eq!(incident.as_ref(), Some(transaction), "create {number} was acknowledged");
        }
        for (number, seq, text) in &updates {
            // Each update writes over the one before, and a later one may stand there that nobody heard of.
            let (_, solution) = &there[&exchange(*number)];
            let stands = solution.rsplit('-').next().and_then(|seq| seq.parse::<u64>().ok());
            assert!(stands >= Some(*seq), "{text} was acknowledged, and there is {solution:?}");
        }
        for page in creates.chunks(500) {
            let again: Vec<Value> = page.iter().map(|(number, _)| create(*number)).collect();
            let reply = self.caller.post(json!(again)).await;
            for ((number, transaction), result) in page.iter().zip(reply.body["results"].as_array().unwrap()) {
                assert_eq!(result["transaction"], json!(transaction), "create {number}: {result}");
            }
        }
        for page in updates.chunks(500) {
            let again: Vec<Value> = page.iter().map(|(number, seq, text)| update(*number, *seq, text)).collect();
            let reply = self.caller.post(json!(again)).await;
            for ((number, seq, _), result) in page.iter().zip(reply.body["results"].as_array().unwrap()) {
                assert_eq!(result["outcome"], "applied", "update {number}/{seq}: {result}");
            }
        }
        deposits.len() + creates.len() + updates.len()
    }

    async fn ends_whole(&self) {
        eventually("every case ID", || async {
            let open = "SELECT count(*) FROM incident WHERE case_id IS NULL";
            (self.end_user.count(open).await == 0).then_some(())
        })
        .await;
        for site in [&self.end_user, &self.partner] {
            // Nobody fetches what waits for the second client.
            eventually("nothing queued", || async {
                let peers = site.get("/v1/status").await.body["peers"].clone();
                let queued = |peer: &Value| (peer["alias"] != "south").then(|| peer["queued"].as_u64().unwrap());
                let queued: Vec<u64> = peers.as_array().unwrap().iter().filter_map(queued).collect();
                (queued == [0]).then_some(())
            })
            .await;
            let parked = site.get("/v1/parked").await.body;
            assert_eq!(parked["total"], 0, "{}: {parked}", site.alias);
        }
        let incidents = self.end_user.count("SELECT count(*) FROM incident").await;
        let partners = "SELECT count(*) FROM incident WHERE client = 'north'";
        assert_eq!(self.partner.count(partners).await, incidents, "one incident each");
        let doubled =
            "SELECT count(*) FROM (SELECT 1 FROM incident GROUP BY client, host_event_id HAVING count(*) > 1)";
        assert_eq!(self.partner.count(doubled).await, 0, "nothing is doubled");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs root and loop devices: tests/power-cut"]
async fn what_was_acknowledged_before_a_power_cut_is_there_after_it() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let cuts = number("CASEBRIDGE_CUTS").unwrap_or(12);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let mut random = number("CASEBRIDGE_SEED").unwrap_or(now.as_nanos() as u64) | 1;
    println!("CASEBRIDGE_SEED={random}");
    let mut below = move |sides: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % sides
    };
    let mut acknowledged = 0;
    let mut left = cuts;
    // A state that grows makes each look longer, and early cuts are of another kind than late ones.
    while left > 0 {
        let mut scene = Scene::new();
        scene.partner.start().await;
        scene.end_user.start().await;
        let round = left.min(6);
        for _ in 0..round {
            let (end_user, partner) = [(true, false), (false, true), (true, true)][below(3) as usize];
            scene.cut(Duration::from_millis(30 + below(700)), end_user, partner).await;
            scene.nothing_is_lost().await;
        }
        scene.ends_whole().await;
        acknowledged += scene.nothing_is_lost().await;
        left -= round;
    }
    assert!(acknowledged as u64 > cuts, "there was something to lose");
    println!("{cuts} cuts, {acknowledged} acknowledgements, 0 lost, 0 doubled");
}
