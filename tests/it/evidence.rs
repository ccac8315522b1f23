//! What two sites wrote together, touched anywhere: `verify` names the first entry that is not as it was written (H-07). In
//! the exports of all and of one case, as whoever has them could; and in the store, with SQL.

use casebridge::case::evidence::{Entry, Finding, Keys, Line, Report, Verifier, chained};
use casebridge::case::{Alias, ContentDigest};
use casebridge::config::Settings;
use casebridge::store::history::Of;
use casebridge::store::{HistoryStore, IncidentStore, SqliteStore};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use serde_json::value::RawValue;
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};
use tokio::runtime::Handle;

use crate::support::pair::{ACCEPT_ALL, Plan, SUBMIT_ALL};
use crate::support::{Pair, Site, eventually};

/// Two sites that worked three cases, and have each other's receipts.
async fn worked() -> Pair {
    let pair = Pair::start(Plan { end_user: SUBMIT_ALL, partner: ACCEPT_ALL }).await;
    pair.end_user.insert(0, 3).await;
    pair.wait_all_open(3).await;
    for (id, verb, more) in [(1, "comments", "text"), (2, "resolve", "solution"), (1, "update", "status")] {
        let mut body = serde_json::json!({"operator": "bert"});
        body[more] = "Überprüft".into();
        pair.partner.act(&format!("/v1/incidents/{id}/{verb}"), body).await;
    }
    let arrived = "SELECT (SELECT count(*) FROM comment) + (SELECT count(*) FROM incident WHERE solution IS NOT NULL) \
                   + (SELECT count(*) FROM incident WHERE case_status = 'Überprüft')";
    eventually("what the partner said", || async { (pair.end_user.count(arrived).await == 3).then_some(()) }).await;
    for site in [&pair.end_user, &pair.partner] {
        eventually("a receipt for whatever went out", || async {
            let unproved = "SELECT count(*) FROM history WHERE way = 'out' AND id NOT IN (SELECT entry FROM receipted)";
            let waits = site.get("/v1/outbox").await.body["total"] != 0;
            (!waits && site.count(unproved).await == 0).then_some(())
        })
        .await;
    }
    pair
}

/// The keys of both sites, as each shows its own.
fn keys(pair: &Pair) -> Keys {
    let mut keys = Keys::default();
    for site in [&pair.end_user, &pair.partner] {
        let alias: Alias = site.alias.parse().unwrap();
        keys.read(&alias, &site.command(&["key", "show"]).ok()).unwrap();
    }
    keys
}

/// An export, and the numbers of its entries.
struct Export {
    lines: Vec<String>,
    numbers: Vec<u64>,
    is_whole: bool,
}

impl Export {
    fn of(site: &Site, case: Option<&str>) -> Self {
        let text = site.command(&[&["history", "export"][..], case.as_slice()].concat()).ok();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let numbers = lines[1..lines.len() - 1].iter().map(|line| entry(line).number).collect();
        Self { lines, numbers, is_whole: case.is_none() }
    }

    /// With the entries in this order.
    fn ordered(&self, order: &[usize]) -> String {
        let entries = order.iter().map(|place| &self.lines[place + 1]);
        let all = [&self.lines[0]].into_iter().chain(entries).chain(self.lines.last());
        all.map(|line| format!("{line}\n")).collect()
    }

    /// What whoever has no key can do: another line with the hash that belongs to it, and where entries follow one another
    /// each behind it with its own.
    fn rewritten(&self, place: usize) -> String {
        let mut lines = self.lines.clone();
        let mut previous: Option<ContentDigest> = None;
        let behind = if self.is_whole { self.numbers.len() } else { place + 1 };
        for (at, line) in lines.iter_mut().enumerate().take(behind + 1).skip(place + 1) {
            let mut read: Line = serde_json::from_str(line).unwrap();
            let mut entry = entry(line);
            if at == place + 1 {
                entry.who.push('x');
            }
            entry.previous = previous.take().unwrap_or(entry.previous);
            let (text, hash) = chained(&entry).unwrap();
            (read.entry, read.hash) = (RawValue::from_string(text).unwrap(), hash.to_string());
            previous = Some(hash);
            *line = serde_json::to_string(&read).unwrap();
        }
        lines.join("\n") + "\n"
    }
}

fn entry(line: &str) -> Entry {
    serde_json::from_str(serde_json::from_str::<Line>(line).unwrap().entry.get()).unwrap()
}

fn verified(bytes: &[u8], keys: &Keys) -> Result<Report, Finding> {
    let mut verifier = Verifier::of_export(keys.clone());
    bytes.split_inclusive(|byte| *byte == b'\n').try_for_each(|line| verifier.line(line))?;
    verifier.exported()
}

/// Another order of so many entries, and the place of the first that is not where it was.
fn reordered(how: Reorder, count: usize, one: Index, other: Index) -> Option<(Vec<usize>, usize)> {
    let one = one.index(count);
    let mut order: Vec<usize> = (0..count).collect();
    let first = match how {
        Reorder::Drop => {
            order.remove(one);
            one
        }
        Reorder::Double => {
            let other = other.index(count + 1);
            order.insert(other, one);
            other.min(one)
        }
        Reorder::Move => {
            let other = other.index(count);
            let moved = order.remove(one);
            order.insert(other, moved);
            if one == other {
                return None;
            }
            other.min(one)
        }
    };
    Some((order, first))
}

#[derive(Debug, Clone, Copy)]
enum Reorder {
    Drop,
    Double,
    Move,
}

#[derive(Debug, Clone)]
enum Touch {
    Byte(Index, Index, u8),
    Order(Reorder, Index, Index),
    /// With the hashes that belong to it.
    Rewrite(Index),
}

fn touch() -> impl Strategy<Value = Touch> {
    let how = prop_oneof![Just(Reorder::Drop), Just(Reorder::Double), Just(Reorder::Move)];
    prop_oneof![
        2 => (any::<Index>(), any::<Index>(), 1..=255_u8).prop_map(|(row, place, bits)| Touch::Byte(row, place, bits)),
        2 => (how, any::<Index>(), any::<Index>()).prop_map(|(how, one, other)| Touch::Order(how, one, other)),
        1 => any::<Index>().prop_map(Touch::Rewrite),
    ]
}

fn config(cases: u32) -> Config {
    Config { failure_persistence: None, ..Config::with_cases(cases) }
}

#[tokio::test(flavor = "multi_thread")]
async fn h_07_whatever_is_touched_in_an_export_of_either_site_is_named() {
    let pair = worked().await;
    let keys = keys(&pair);
    let sites = [&pair.end_user, &pair.partner];
    let exports: Vec<Export> =
        sites.iter().flat_map(|site| [None, Some("1")].map(|case| Export::of(site, case))).collect();
    for export in &exports {
        let all: Vec<usize> = (0..export.numbers.len()).collect();
        let report = verified(export.ordered(&all).as_bytes(), &keys).unwrap();
        assert_eq!((report.end_is_signed, report.unchecked, report.unproved), (Some(true), 0, None));
        assert!(report.proved > 0, "{report:?}");
    }
    let property = |(of, touch): (usize, Touch)| {
        let (export, count) = (&exports[of], exports[of].numbers.len());
        let (bytes, named) = match touch {
            Touch::Byte(_, place, bits) => {
                let mut bytes = export.ordered(&(0..count).collect::<Vec<_>>()).into_bytes();
                let place = place.index(bytes.len());
                let line = bytes[..place].iter().filter(|byte| **byte == b'\n').count();
                bytes[place] ^= bits;
                (bytes, line.checked_sub(1).and_then(|entry| export.numbers.get(entry)))
            }
            Touch::Order(how, one, other) => {
                let Some((order, first)) = reordered(how, count, one, other) else { return Ok(()) };
                (export.ordered(&order).into_bytes(), export.numbers.get(first))
            }
            Touch::Rewrite(place) => {
                let place = place.index(count);
                // A chain that was written anew from there on ends elsewhere than its signed end: all that is known.
                let named = if export.is_whole { None } else { export.numbers.get(place) };
                (export.rewritten(place).into_bytes(), named)
            }
        };
        let finding = verified(&bytes, &keys).expect_err("it was touched");
        if let Some(named) = named {
            prop_assert_eq!(finding.entry, Some(*named), "{}", finding);
        }
        Ok(())
    };
    let mut runner = TestRunner::new(config(1000));
    runner.run(&(0..exports.len(), touch()), property).unwrap();
}

/// The history of a site that does not run, open for whoever has its file.
struct Opened {
    store: SqliteStore,
    alias: Alias,
    keys: Keys,
    thief: SqliteConnection,
    count: usize,
}

/// Which have a text.
const TEXTS: [&str; 12] =
    ["at", "who", "action", "detail", "node", "context", "hash", "content", "sha256", "peer", "way", "exchange"];

impl Opened {
    async fn of(site: &Site, keys: Keys) -> Self {
        let text = std::fs::read_to_string(site.path("config.toml")).unwrap();
        let settings =
            Settings::parse(&text, "config.toml", &site.path("")).map_err(|fault| fault.to_string()).unwrap();
        let store = SqliteStore::open(&settings.store).await.unwrap();
        let file = format!("sqlite:{}", site.path("incidents.db").display());
        let mut thief = SqliteConnection::connect(&file).await.unwrap();
        let open = "PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON; PRAGMA synchronous = OFF; \
                    DROP TRIGGER history_stays; DROP TRIGGER history_is_kept; \
                    CREATE TEMP TABLE aside AS SELECT * FROM history";
        sqlx::raw_sql(open).execute(&mut thief).await.unwrap();
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM history").fetch_one(&mut thief).await.unwrap();
        Self { store, alias: settings.site.alias, keys, thief, count: count as usize }
    }

    async fn run(&mut self, sql: String) {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.thief).await.unwrap();
    }

    /// Writes the history anew with these of its rows, numbered from 1 as they stand here. How many there ever were is told
    /// elsewhere in the file.
    async fn write(&mut self, order: &[usize]) {
        let rows: Vec<String> =
            order.iter().enumerate().map(|(at, row)| format!("({}, {})", at + 1, row + 1)).collect();
        let most = order.len().max(self.count);
        self.run(format!(
            "BEGIN IMMEDIATE; DELETE FROM history; \
             INSERT INTO history SELECT r.column1, incident, at, who, action, exchange, seq, detail, node, peer, way, \
               sha256, context, hash, content FROM (VALUES {}) r JOIN aside ON aside.id = r.column2 ORDER BY r.column1; \
             UPDATE sqlite_sequence SET seq = {most} WHERE name = 'history'; COMMIT",
            rows.join(", ")
        ))
        .await;
    }

    /// Changes one byte, and says in which entry.
    async fn flip(&mut self, column: &str, row: Index, place: Index, bits: u8) -> Option<u64> {
        let cells = format!("SELECT id, CAST({column} AS BLOB) FROM history WHERE length({column}) > 0 ORDER BY id");
        let cells: Vec<(i64, Vec<u8>)> = sqlx::query_as(AssertSqlSafe(cells)).fetch_all(&mut self.thief).await.unwrap();
        if cells.is_empty() {
            return None;
        }
        let (id, mut bytes) = cells[row.index(cells.len())].clone();
        let place = place.index(bytes.len());
        bytes[place] ^= bits;
        let set = format!("UPDATE history SET {column} = CAST(? AS TEXT) WHERE id = ?");
        sqlx::query(AssertSqlSafe(set)).bind(bytes).bind(id).execute(&mut self.thief).await.unwrap();
        Some(id as u64)
    }

    /// As the command does it.
    async fn verified(&self) -> Result<Report, Finding> {
        let site = self.store.site().0.to_string();
        let mut verifier = Verifier::of_store(self.keys.clone(), &site, &self.alias);
        let head = self.store.head().await;
        let entries = self.store.entries(&Of::All, 0, 10_000).await.unwrap();
        entries.iter().try_for_each(|one| verifier.kept(one))?;
        verifier.stored(&head.unwrap(), &self.store.told_elsewhere().await.unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn h_07_whatever_is_touched_in_the_store_of_either_site_is_named() {
    let mut pair = worked().await;
    let keys = keys(&pair);
    pair.end_user.stop().await;
    pair.partner.stop().await;
    for site in [&pair.end_user, &pair.partner] {
        let opened = tokio::sync::Mutex::new(Opened::of(site, keys.clone()).await);
        let count = opened.lock().await.count;
        assert!(opened.lock().await.verified().await.unwrap().proved > 0);
        let strategy = (touch(), 0..TEXTS.len());
        let property = |(touch, column): (Touch, usize)| {
            Handle::current().block_on(async {
                let mut opened = opened.lock().await;
                let named = match touch {
                    Touch::Byte(row, place, bits) => opened.flip(TEXTS[column], row, place, bits).await,
                    Touch::Rewrite(row) => {
                        let id = row.index(count) + 1;
                        let columns = ["incident = coalesce(incident, 0) + 1", "seq = coalesce(seq, 0) + 1"];
                        let set = columns[column % columns.len()];
                        opened.run(format!("UPDATE history SET {set} WHERE id = {id}")).await;
                        Some(id as u64)
                    }
                    Touch::Order(how, one, other) => match reordered(how, count, one, other) {
                        Some((order, _)) => {
                            opened.write(&order).await;
                            let same = order.iter().enumerate().take_while(|(at, row)| at == *row).count();
                            Some(same as u64 + 1)
                        }
                        None => None,
                    },
                };
                let found = opened.verified().await;
                opened.write(&(0..count).collect::<Vec<_>>()).await;
                if named.is_some() {
                    let finding = found.expect_err("it was touched");
                    prop_assert_eq!(finding.entry, named, "{}", finding);
                }
                Ok(())
            })
        };
        let mut runner = TestRunner::new(config(300));
        tokio::task::block_in_place(|| runner.run(&strategy, property)).unwrap();
        assert!(opened.lock().await.verified().await.is_ok(), "it is as it was");
    }
}
