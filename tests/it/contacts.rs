//! The people whom cases are passed between (H-01 to H-06): who has not accepted yet is known by the address alone, nobody is
//! there twice, nobody is overwritten.

use serde_json::{Value, json};

use crate::support::pair::{ACCEPT_ALL, Plan};
use crate::support::{Pair, Site, eventually, operator};

const ANNA: &str = "anna@north.example";
const RITA: &str = "rita@partner.example";

fn anna() -> Value {
    json!({"address": ANNA, "first_name": "Anna", "last_name": "Martin"})
}

fn rita() -> Value {
    json!({"address": RITA, "first_name": "Rita", "last_name": "Roy", "phone": "+1 555 0100"})
}

/// Hands an incident of the end user's over; waits until both sites know.
async fn submit(pair: &Pair, incident: i64, contact: Value, recipient: &str) {
    let form = json!({"contact": contact, "recipient": recipient});
    let request = json!({"operator": "anna", "form": form});
    pair.end_user.act(&format!("/v1/incidents/{incident}/submit"), request).await;
    eventually(&format!("incident {incident} to be acknowledged"), || async {
        let shown = pair.end_user.get(&format!("/v1/incidents/{incident}")).await.body;
        (!shown["transaction"].is_null()).then_some(())
    })
    .await;
}

/// What the site knows of somebody, once.
async fn contact(site: &Site, address: &str) -> Value {
    let page = site.get(&format!("/v1/contacts?address={address}")).await.body;
    let contacts = page["contacts"].as_array().unwrap();
    assert_eq!(contacts.len(), 1, "{address} at {}: {page}", site.alias);
    contacts[0].clone()
}

async fn names(site: &Site, address: &str) -> String {
    let contact = contact(site, address).await;
    format!("{} {}", contact["first_name"].as_str().unwrap(), contact["last_name"].as_str().unwrap())
}

async fn named(site: &Site, address: &str, expected: &str) {
    eventually(&format!("{expected} at {}", site.alias), || async {
        (names(site, address).await == expected).then_some(())
    })
    .await;
}

/// The entries that tell of a hand-over: action, who, status, old and new contact.
async fn hand_overs(site: &Site, incident: i64) -> Vec<[String; 5]> {
    let page = site.get(&format!("/v1/history?incident={incident}&limit=1000")).await.body;
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let told = |line: &Value| {
        let entry = &line["entry"];
        let context = &entry["context"];
        let status = context["distribution"][1].as_str()?.to_owned();
        let [old, new] = [&context["contact"][0], &context["contact"][1]].map(text);
        Some([text(&entry["action"]), text(&entry["who"]), status, old, new])
    };
    page["lines"].as_array().unwrap().iter().filter_map(told).collect()
}

async fn status(site: &Site, incident: i64, expected: &str) {
    eventually(&format!("the status {expected}"), || async {
        let shown = site.get(&format!("/v1/incidents/{incident}")).await.body;
        (shown["case_status"] == expected).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn h_01_one_address_is_one_contact_however_it_is_spelled() {
    let pair = Pair::start(Plan::default()).await;
    pair.end_user.insert(0, 4).await;
    for (incident, spelling) in [(1, " Anna@North.example"), (2, "ANNA@NORTH.EXAMPLE"), (3, "anna@north.example ")] {
        let person = json!({"address": spelling, "first_name": "Anna", "last_name": "Martin"});
        submit(&pair, incident, person, &RITA.to_uppercase()).await;
    }
    for site in [&pair.end_user, &pair.partner] {
        assert_eq!(site.count("SELECT count(*) FROM contact").await, 2, "{}", site.alias);
        let anna = contact(site, ANNA).await;
        let cases: Vec<i64> =
            anna["cases"].as_array().unwrap().iter().map(|one| one["incident"].as_i64().unwrap()).collect();
        assert_eq!(cases, [3, 2, 1]);
    }
    let draft = json!({"operator": "anna", "form": {"recipient": "rita"}});
    let refused = pair.end_user.post("/v1/incidents/4/draft", draft).await;
    assert!((400..500).contains(&refused.status), "{}", refused.body);
    assert!(refused.body["detail"].as_str().unwrap().contains("'rita' is not a mail address"), "{}", refused.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn h_02_somebody_whose_names_are_known_stays_and_the_difference_is_noted_once() {
    let pair = Pair::start(Plan::default()).await;
    let (north, partner) = (&pair.end_user, &pair.partner);
    let store = north.store().await;
    sqlx::query("INSERT INTO contact (address, first_name, last_name) VALUES ('Rita@Partner.example', 'Rita', 'Own')")
        .execute(&store)
        .await
        .unwrap();
    store.close().await;
    north.insert(0, 1).await;
    submit(&pair, 1, anna(), RITA).await;
    let before = contact(north, RITA).await;
    partner.act("/v1/incidents/1/accept", json!({"operator": "bert", "contact": rita()})).await;
    status(north, 1, "Open").await;
    for word in ["In Progress", "Waiting"] {
        partner.act("/v1/incidents/1/update", json!({"operator": "bert", "status": word})).await;
        status(north, 1, word).await;
    }
    let after = contact(north, RITA).await;
    for field in ["contact", "address", "first_name", "last_name", "phone", "temporary", "told_by"] {
        assert_eq!(after[field], before[field], "{field}");
    }
    let differs = "SELECT count(*) FROM history WHERE action = 'contact_differs' AND incident = 1 AND who = 'peer partner' \
                   AND detail LIKE 'told of Rita Roy%stays Rita Own%'";
    assert_eq!(north.count(differs).await, 1);
    assert_eq!(north.count("SELECT count(*) FROM history WHERE action = 'contact_differs'").await, 1);
    let told = north.command(&["contact", "show", RITA]).ok();
    assert!(told.contains("Rita Own") && told.contains("partner says Rita Roy"), "{told}");
    assert_eq!(names(partner, RITA).await, "Rita Roy", "each site has its own");
    // The last receipts may be on their way.
    assert!(north.command(&["history", "verify"]).out.contains("are as they were written"));
}

#[tokio::test(flavor = "multi_thread")]
async fn h_03_a_temporary_contact_becomes_normal_keeps_its_number_and_all_its_cases_show_the_name() {
    let pair = Pair::start(Plan::default()).await;
    let (north, partner) = (&pair.end_user, &pair.partner);
    north.insert(0, 2).await;
    submit(&pair, 1, anna(), RITA).await;
    submit(&pair, 2, anna(), RITA).await;
    let before = contact(north, RITA).await;
    assert_eq!(before["temporary"], true);
    let waiting = north.command(&["contact", "list", "--temporary"]).ok();
    assert!(waiting.contains("Pending CREATION") && !waiting.contains("Anna"), "{waiting}");
    partner.act("/v1/incidents/1/accept", json!({"operator": "bert", "contact": rita()})).await;
    named(north, RITA, "Rita Roy").await;
    let after = contact(north, RITA).await;
    assert_eq!((&after["contact"], &after["temporary"]), (&before["contact"], &json!(false)));
    assert_eq!((&after["phone"], &after["told_by"]), (&json!("+1 555 0100"), &json!("partner")));
    for incident in ["1", "2"] {
        let shown = north.command(&["show", incident]).ok();
        assert!(shown.contains("Rita Roy <rita@partner.example>"), "{shown}");
        assert!(shown.contains("Anna Martin <anna@north.example>"), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn h_04_pending_then_accepted_is_one_contact_first_temporary_then_normal() {
    let pair = Pair::start(Plan::default()).await;
    let (north, partner) = (&pair.end_user, &pair.partner);
    north.insert(0, 1).await;
    let words =
        ["submit", "1", "--recipient", RITA, "--contact", ANNA, "--first-name", "Anna", "--last-name", "Martin"];
    north.command(&words).ok();
    eventually("the recipient to be pending at both", || async {
        let pending =
            "SELECT count(*) FROM contact WHERE temporary = 1 AND first_name = 'Pending' AND last_name = 'CREATION'";
        (north.count(pending).await == 1 && partner.count(pending).await == 1).then_some(())
    })
    .await;
    assert_eq!(contact(partner, ANNA).await["told_by"], "north");
    assert_eq!(names(partner, ANNA).await, "Anna Martin", "the names of the sender travel with the Create");
    // Accepted, and not by whom yet: nothing is made up.
    partner.command(&["accept", "1"]).ok();
    status(north, 1, "Open").await;
    assert_eq!(names(north, RITA).await, "Pending CREATION");
    // The details come with the next status.
    let words =
        ["update", "1", "--status", "In Progress", "--contact", RITA, "--first-name", "Rita", "--last-name", "Roy"];
    partner.command(&words).ok();
    status(north, 1, "In Progress").await;
    for site in [north, partner] {
        assert_eq!(names(site, RITA).await, "Rita Roy", "{}", site.alias);
        assert_eq!(site.count("SELECT count(*) FROM contact").await, 2, "{}", site.alias);
        let json = site.command(&["contact", "list", "--json"]).json();
        assert_eq!(json["contacts"].as_array().unwrap().len(), 2);
    }
    partner.command(&["contact", "show", "nobody@partner.example"]).refused(6, &["there is no such contact"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn h_04_somebody_of_the_sites_own_is_told_by_name_once_accepted_and_nobody_elses_people_are() {
    let pair = Pair::start(Plan { partner: ACCEPT_ALL, ..Plan::default() }).await;
    let (north, partner) = (&pair.end_user, &pair.partner);
    let store = partner.store().await;
    sqlx::raw_sql(
        "INSERT INTO contact (address, first_name, last_name) VALUES ('rita@partner.example', 'Rita', 'Roy');
         INSERT INTO contact (address, first_name, last_name, origin) VALUES ('sam@south.example', 'Sam', 'Sand', 'south')",
    )
    .execute(&store)
    .await
    .unwrap();
    store.close().await;
    north.insert(0, 2).await;
    submit(&pair, 1, anna(), RITA).await;
    submit(&pair, 2, anna(), "sam@south.example").await;
    status(north, 1, "Open").await;
    status(north, 2, "Open").await;
    assert_eq!(names(north, RITA).await, "Rita Roy");
    assert_eq!(names(north, "sam@south.example").await, "Pending CREATION");
}

#[tokio::test(flavor = "multi_thread")]
async fn h_05_each_hand_over_is_one_entry_with_old_and_new_contact_and_its_status() {
    let pair = Pair::start(Plan::default()).await;
    let (north, partner) = (&pair.end_user, &pair.partner);
    north.insert(0, 2).await;
    submit(&pair, 1, anna(), RITA).await;
    partner.act("/v1/incidents/1/accept", json!({"operator": "bert", "contact": rita()})).await;
    status(north, 1, "Open").await;
    partner
        .act("/v1/incidents/1/assign", json!({"operator": "bert", "group": "north", "comment": "Which slot?"}))
        .await;
    eventually("the question", || async {
        (north.count("SELECT count(*) FROM reference WHERE holder = 'us'").await == 1).then_some(())
    })
    .await;
    north.act("/v1/incidents/1/assign", json!({"operator": "anna", "group": "partner", "comment": "Slot 2"})).await;
    eventually("the answer", || async {
        let held = "SELECT count(*) FROM reference WHERE incident = 1 AND holder = 'us'";
        (partner.count(held).await == 1).then_some(())
    })
    .await;
    let (anna_is, rita_is) = ("Anna Martin <anna@north.example>", "Rita Roy <rita@partner.example>");
    let pending = "Pending CREATION <rita@partner.example>";
    let entry =
        |action: &str, who: &str, status: &str, old: &str, new: &str| [action, who, status, old, new].map(String::from);
    assert_eq!(
        hand_overs(north, 1).await,
        [
            entry("acknowledged", "casebridge", "pending", anna_is, pending),
            entry("case_accepted", "peer partner", "approved", anna_is, rita_is),
            entry("operation_applied", "peer partner", "returned", rita_is, anna_is),
            entry("assigned", &operator("anna"), "pending", anna_is, rita_is),
        ]
    );
    assert_eq!(
        hand_overs(partner, 1).await,
        [
            entry("incident_opened", "peer north", "pending", anna_is, pending),
            entry("case_accepted", &operator("bert"), "approved", anna_is, rita_is),
            entry("assigned", &operator("bert"), "returned", rita_is, anna_is),
            entry("operation_applied", "peer north", "pending", anna_is, rita_is),
        ]
    );

    // Somebody else has it in hand from now on, which hands nothing over to the other site.
    let rob = json!({"address": "rob@partner.example", "first_name": "Rob", "last_name": "Ray"});
    partner.act("/v1/incidents/1/update", json!({"operator": "bert", "contact": rob})).await;
    let entries = hand_overs(partner, 1).await;
    let rob_is = "Rob Ray <rob@partner.example>";
    assert_eq!(entries.last(), Some(&entry("edited", &operator("bert"), "approved", rita_is, rob_is)));

    submit(&pair, 2, anna(), "otto@partner.example").await;
    partner.act("/v1/incidents/2/reject", json!({"operator": "bert", "comment": "Not ours"})).await;
    eventually("the rejection", || async {
        (north.count("SELECT count(*) FROM reference WHERE standing = 'rejected'").await == 1).then_some(())
    })
    .await;
    let otto = "Pending CREATION <otto@partner.example>";
    assert_eq!(
        hand_overs(north, 2).await,
        [
            entry("acknowledged", "casebridge", "pending", anna_is, otto),
            entry("operation_applied", "peer partner", "rejected", otto, anna_is),
        ]
    );
    assert_eq!(
        hand_overs(partner, 2).await,
        [
            entry("incident_opened", "peer north", "pending", anna_is, otto),
            entry("edited", &operator("bert"), "rejected", otto, anna_is),
        ]
    );
    // The author of a comment stays who wrote it.
    let shown = north.get("/v1/incidents/1").await.body;
    let authors: Vec<&str> =
        shown["comments"].as_array().unwrap().iter().map(|comment| comment["author"].as_str().unwrap()).collect();
    assert!(authors.contains(&"bert") && authors.contains(&"anna"), "{authors:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn h_06_what_is_fetched_again_writes_no_entry_and_touches_no_contact() {
    let mut pair = Pair::new(Plan::default()).await;
    pair.partner.start().await;
    // Dies with the page in the store and not in the state: the same page comes again.
    pair.end_user.crash_at("FeedWrittenBack");
    pair.end_user.start().await;
    pair.end_user.insert(0, 1).await;
    let form = json!({"contact": anna(), "recipient": RITA});
    pair.end_user.act("/v1/incidents/1/submit", json!({"operator": "anna", "form": form})).await;
    eventually("the incident", || async {
        (pair.partner.count("SELECT count(*) FROM incident").await == 1).then_some(())
    })
    .await;
    pair.partner.act("/v1/incidents/1/accept", json!({"operator": "bert", "contact": rita()})).await;
    pair.end_user.exited().await;
    let contacts = "SELECT group_concat(id || address || first_name || last_name || coalesce(phone, '') || updated_at) FROM \
                    (SELECT * FROM contact ORDER BY id)";
    let read = async |site: &Site| -> String {
        let store = site.store().await;
        let text = sqlx::query_scalar(contacts).fetch_one(&store).await.unwrap();
        store.close().await;
        text
    };
    let before = read(&pair.end_user).await;
    assert!(before.contains("RitaRoy"), "{before}");
    assert_eq!(hand_overs_stored(&pair.end_user).await, 2);
    pair.end_user.start().await;
    pair.partner.act("/v1/incidents/1/update", json!({"operator": "bert", "status": "In Progress"})).await;
    status(&pair.end_user, 1, "In Progress").await;
    assert_eq!(read(&pair.end_user).await, before);
    assert_eq!(hand_overs_stored(&pair.end_user).await, 2);

    // A look at everything without news.
    let lines = "SELECT count(*) FROM history WHERE action <> 'receipt'";
    let told = pair.end_user.count(lines).await;
    pair.end_user.command(&["reconcile"]).ok();
    pair.end_user.command(&["reconcile"]).ok();
    assert_eq!(pair.end_user.count(lines).await, told);
    assert_eq!(read(&pair.end_user).await, before);

    // And all of it anew, after lost state.
    pair.end_user.kill();
    pair.end_user.lose_state();
    pair.end_user.start().await;
    pair.partner.act("/v1/incidents/1/update", json!({"operator": "bert", "status": "Waiting"})).await;
    status(&pair.end_user, 1, "Waiting").await;
    assert_eq!(read(&pair.end_user).await, before);
    assert_eq!(hand_overs_stored(&pair.end_user).await, 2);
    assert_eq!(pair.end_user.count("SELECT count(*) FROM history WHERE action = 'contact_differs'").await, 0);
}

async fn hand_overs_stored(site: &Site) -> i64 {
    site.count("SELECT count(*) FROM history WHERE context ->> '$.distribution' IS NOT NULL").await
}
