//! An end user, its partner and the vendor, in a row, with a wire between each two; and rings of sites.

use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use super::pair::{COMMON, end_user_config};
use super::wire::free_port;
use super::{Site, Wire, eventually};

pub struct Row {
    pub north: Site,
    pub partner: Site,
    pub vendor: Site,
    /// Between end user and partner.
    pub lower: Wire,
    /// Between partner and vendor.
    pub upper: Wire,
}

/// How a row differs from the plain one.
#[derive(Default)]
pub struct RowPlan<'a> {
    pub north: &'a str,
    pub partner: &'a str,
    pub vendor: &'a str,
}

/// Hands everything on.
pub const ESCALATE_ALL: &str = "[[case.escalate]]\nname = \"all\"\n";

impl Row {
    /// Configured and not started.
    pub async fn new(plan: RowPlan<'_>) -> Self {
        let (lower, upper) = (Wire::new().await, Wire::new().await);
        let north = Site::new("north", &end_user_config(lower.port(), plan.north));
        let door = Some((lower.target_port(), "north"));
        let partner = Site::new("partner", &config("partner", door, Some(("vendor", upper.port())), plan.partner));
        let door = Some((upper.target_port(), "partner"));
        let vendor = Site::new("vendor", &config("vendor", door, None, plan.vendor));
        Self { north, partner, vendor, lower, upper }
    }

    pub async fn start(plan: RowPlan<'_>) -> Self {
        let mut row = Self::new(plan).await;
        row.vendor.start().await;
        row.partner.start().await;
        row.north.start().await;
        row
    }

    /// An incident of the end user's that stands at the partner, as incident 1 at both.
    pub async fn submitted(&self) {
        self.north.insert(0, 1).await;
        self.north.when(1, "the incident to be held", |shown| shown["submission"] == "held").await;
        self.north
            .act("/v1/incidents/1/submit", json!({"operator": "anna", "form": {"tracking_number": "CRQ-1"}}))
            .await;
        self.north.step(1, "partner", "awaiting_case").await;
    }

    /// The same, handed on to the vendor, who has opened a case for it: incident 1 everywhere.
    pub async fn escalated(&self) {
        self.submitted().await;
        self.partner.act("/v1/incidents/1/escalate", json!({"operator": "bert"})).await;
        self.partner.step(1, "vendor", "awaiting_case").await;
        self.vendor.act("/v1/incidents/1/accept", json!({"operator": "vera"})).await;
        self.partner.step(1, "vendor", "open").await;
        self.north.step(1, "partner", "open").await;
    }

    /// Who has incident 1 in hand, as each site sees it: the end user, the partner towards each of the two, the vendor.
    pub async fn holders(&self) -> [String; 4] {
        let ends =
            [(&self.north, "partner"), (&self.partner, "north"), (&self.partner, "vendor"), (&self.vendor, "partner")];
        let mut holders = Vec::new();
        for (site, peer) in ends {
            let store = site.store().await;
            let held = sqlx::query_scalar("SELECT holder FROM reference WHERE incident = 1 AND peer = ?").bind(peer);
            holders.push(held.fetch_one(&store).await.unwrap());
            store.close().await;
        }
        holders.try_into().unwrap()
    }

    pub async fn held_by(&self, expected: [&str; 4]) {
        eventually(&format!("the case in the hands of {expected:?}"), || async {
            (self.holders().await == expected).then_some(())
        })
        .await;
    }

    pub fn sites(&self) -> [&Site; 3] {
        [&self.north, &self.partner, &self.vendor]
    }

    /// Nothing is on its way any more, and nothing was left behind.
    pub async fn at_rest(&self) {
        for site in self.sites() {
            eventually("empty outboxes", || async { (site.get("/v1/outbox").await.body["total"] == 0).then_some(()) })
                .await;
            let parked = site.get("/v1/parked").await.body;
            assert_eq!(parked["total"], 0, "{}: {parked}", site.alias);
        }
    }
}

/// Sites that each submit to the next one, and the last one to the first; not started. `more` goes into each configuration.
pub fn ring(count: usize, more: &str) -> Vec<Site> {
    let ports: Vec<u16> = (0..count).map(|_| free_port()).collect();
    let alias = |index: usize| format!("site-{}", index % count);
    let one = |index: usize| {
        let (client, upstream) = (alias(index + count - 1), alias(index + 1));
        let next = Some((upstream.as_str(), ports[(index + 1) % count]));
        Site::new(&alias(index), &config(&alias(index), Some((ports[index], &client)), next, more))
    };
    (0..count).map(one).collect()
}

/// A site that listens for one client, submits to one upstream, or both.
pub fn config(alias: &str, door: Option<(u16, &str)>, upstream: Option<(&str, u16)>, more: &str) -> String {
    let mut text = format!("[site]\nalias = \"{alias}\"\ndata_dir = \"{{dir}}\"\nsocket = \"{{dir}}/s\"\n{COMMON}\n");
    if let Some((port, client)) = door {
        text += &format!("[listen]\naddress = \"127.0.0.1:{port}\"\n");
        text += &format!("[[client]]\nalias = \"{client}\"\nuser = \"{client}\"\npassword_file = \"password\"\n");
        text += &format!("[case]\nid_template = \"{alias}-{{incident}}\"\n");
        text += &format!("link_template = \"https://{alias}.example/{{case}}\"\n");
    }
    text += more;
    if let Some((peer, port)) = upstream {
        text += &format!("\n[upstream]\nalias = \"{peer}\"\nurl = \"http://127.0.0.1:{port}\"\nuser = \"{alias}\"\n");
        text += "password_file = \"password\"\npoll_interval = \"2s\"\nconnect_timeout = \"2s\"\nrequest_timeout = \"5s\"\n";
    }
    text
}

impl Site {
    /// Waits until the incident is shown so.
    pub async fn when(&self, incident: i64, what: &str, look: impl Fn(&Value) -> bool) -> Value {
        eventually(&format!("{what} at {}", self.alias), || async {
            let shown = self.get(&format!("/v1/incidents/{incident}")).await.body;
            look(&shown).then_some(shown)
        })
        .await
    }

    /// Waits until the exchange with `peer` has come to this step.
    pub async fn step(&self, incident: i64, peer: &str, step: &str) -> Value {
        self.when(incident, &format!("{step} with {peer}"), |shown| exchange(shown, peer)["step"] == step).await
    }

    /// What another program does to the store.
    pub async fn execute(&self, sql: impl Into<String>) {
        let store = self.store().await;
        sqlx::query(AssertSqlSafe(sql.into())).execute(&store).await.unwrap();
        store.close().await;
    }
}

/// The exchange with a peer, as `show` tells it: the one that is not rejected, where there are two; null when there is none.
pub fn exchange(shown: &Value, peer: &str) -> Value {
    let exchanges = shown["exchanges"].as_array().map(Vec::as_slice).unwrap_or_default();
    let with_peer = exchanges.iter().filter(|one| one["peer"] == peer);
    with_peer.max_by_key(|one| one["step"] != "rejected").cloned().unwrap_or(Value::Null)
}

/// The texts of an incident's comments, in order, each with its author.
pub fn comments(shown: &Value) -> Vec<String> {
    let comments = shown["comments"].as_array().unwrap();
    comments
        .iter()
        .map(|one| format!("{}: {}", one["author"].as_str().unwrap(), one["text"].as_str().unwrap()))
        .collect()
}
