//! The story: from the bundle in the inbox to the closed case, step by step as it happens.

use std::time::{Duration, Instant};

use super::ending;
use super::home::Home;
use super::site::{LOOK_EVERY, NotReady, Site};
use super::teller::{Side, Teller};
use crate::case::{FollowUp, Form, Phase, Priority};
use crate::cli::exit::{Exit, Failure};
use crate::cli::show::fetch;
use crate::protocol::operator::{
    AcceptRequest, ActionAnswer, ExchangeDetail, IncidentDetail, IncidentPage, IncidentRow, SubmitRequest, WorkRequest,
};

/// How long one step may take.
const STEP_WITHIN: Duration = Duration::from_secs(20);
/// How often a start is tried: the partner's port may be taken between choosing and using it.
const START_TRIES: usize = 3;

const ON_ITS_WAY: &str = "A new power supply is on its way to you.";
const SOLUTION: &str = "Power supply 0 was replaced; its output is back to normal.";

/// Tells it all. The daemons stand in `sites` as soon as they run, so that whoever ends the story can stop them.
pub async fn tell(home: &Home, sites: &mut Vec<Site>, teller: &Teller) -> Result<(), Failure> {
    teller.title("casebridge demo: two sites on this machine, one incident all the way")?;
    start(home, sites, teller).await?;
    let [partner, north] = sites.as_slice() else {
        return Err(Failure::new(Exit::Failed, "the demo cannot go on", "a site is missing", "please report this"));
    };
    let id = deposit(home, north, teller).await?;
    submit(north, id, teller).await?;
    let theirs = arrive(partner, teller).await?;
    accept(partner, theirs, north, id, teller).await?;
    work(partner, theirs, north, id, teller).await?;
    let records = close(partner, theirs, north, id, teller).await?;
    ending::side_by_side(&records, teller)
}

/// The partner first: then the end user finds it there.
async fn start(home: &Home, sites: &mut Vec<Site>, teller: &Teller) -> Result<(), Failure> {
    teller.tell(Side::Partner, "the partner's daemon starts")?;
    let mut tried = 1;
    loop {
        home.configure()?;
        let mut partner = Site::start(home, Side::Partner)?;
        match partner.ready().await {
            Ok(()) => {
                sites.push(partner);
                break;
            }
            Err(NotReady::Ended(_)) if tried < START_TRIES => tried += 1,
            Err(NotReady::Ended(failure) | NotReady::Silent(failure)) => return Err(failure),
        }
    }
    teller.tell(Side::North, "the end user's daemon starts; it listens nowhere")?;
    let mut north = Site::start(home, Side::North)?;
    let ready = north.ready().await;
    sites.push(north);
    ready.map_err(|(NotReady::Ended(failure) | NotReady::Silent(failure))| failure)
}

async fn deposit(home: &Home, north: &Site, teller: &Teller) -> Result<i64, Failure> {
    home.deposit()?;
    teller.tell(Side::North, "a Juniper Message Bundle lies in the inbox: event.xml")?;
    let row = until(north, "detecting the incident", async || Ok(first(north).await?)).await?;
    let device = row.device.as_deref().unwrap_or("a device");
    teller.tell(Side::North, &format!("detected: incident {}, {device}: {}", row.incident, row.synopsis))?;
    Ok(row.incident)
}

async fn submit(north: &Site, id: i64, teller: &Teller) -> Result<(), Failure> {
    let form = Form {
        priority: Some(Priority::High),
        follow_up: Some(FollowUp::WebLink),
        cc: "noc@north.example".parse().into_iter().collect(),
        tracking_number: Some("CRQ-4711".into()),
        site_id: Some("B-17".into()),
        comment: Some("The chassis runs on one power supply.".into()),
        ..Form::default()
    };
    act(north, id, "submit", &SubmitRequest { form, operator: "demo".into() }).await?;
    teller.tell(Side::North, "submitted, with priority 2 - High and our number CRQ-4711")?;
    let exchange = until(north, "sending Create Case", async || {
        Ok(upward(fetch(&north.local, id).await?).filter(|exchange| exchange.sent > 0))
    });
    let exchange = exchange.await?;
    teller.tell(Side::North, &format!("Create Case goes out to {}", exchange.peer))?;
    let transaction = until(north, "waiting for the transaction ID", async || {
        Ok(upward(fetch(&north.local, id).await?).and_then(|exchange| exchange.transaction))
    });
    let transaction = transaction.await?;
    teller.tell(Side::North, &format!("acknowledged: transaction ID {transaction}; now the case ID is awaited"))
}

async fn arrive(partner: &Site, teller: &Teller) -> Result<i64, Failure> {
    let row = until(partner, "finding the incident at the partner", async || Ok(first(partner).await?)).await?;
    let client = row.client.as_deref().unwrap_or("nobody");
    teller.tell(Side::Partner, &format!("incident {} is here, for {client}; a person decides", row.incident))?;
    Ok(row.incident)
}

async fn accept(partner: &Site, theirs: i64, north: &Site, id: i64, teller: &Teller) -> Result<(), Failure> {
    let request = AcceptRequest { operator: "demo".into(), ..AcceptRequest::default() };
    act(partner, theirs, "accept", &request).await?;
    teller.tell(Side::Partner, "an operator accepts it and opens a case")?;
    let case = until(north, "waiting for the case ID and link", async || {
        let row = fetch(&north.local, id).await?.row;
        Ok(row.case_id.zip(row.case_link))
    });
    let (case, link) = case.await?;
    teller.tell(Side::North, &format!("written back: case {case}, {link}"))
}

async fn work(partner: &Site, theirs: i64, north: &Site, id: i64, teller: &Teller) -> Result<(), Failure> {
    let news = WorkRequest {
        status: Some("In Progress".into()),
        comment: Some(ON_ITS_WAY.into()),
        operator: "demo".into(),
        ..WorkRequest::default()
    };
    act(partner, theirs, "update", &news).await?;
    teller.tell(Side::Partner, "the work begins: status In Progress, and a comment")?;
    until(north, "waiting for the status and the comment", async || {
        let detail = fetch(&north.local, id).await?;
        let told = detail.comments.iter().any(|one| one.comment.text == ON_ITS_WAY);
        Ok((told && detail.row.case_status.as_deref() == Some("In Progress")).then_some(()))
    })
    .await?;
    teller.tell(Side::North, &format!("status In Progress; \"{ON_ITS_WAY}\""))?;

    let end = WorkRequest { solution: Some(SOLUTION.into()), operator: "demo".into(), ..WorkRequest::default() };
    act(partner, theirs, "resolve", &end).await?;
    teller.tell(Side::Partner, "resolved, with the solution")?;
    until(north, "waiting for the solution", async || {
        let detail = fetch(&north.local, id).await?;
        let solved = detail.solution.as_deref() == Some(SOLUTION);
        Ok((solved && detail.row.case_status.as_deref() == Some("Resolved")).then_some(()))
    })
    .await?;
    teller.tell(Side::North, &format!("status Resolved; \"{SOLUTION}\""))
}

/// Both records, ours first.
async fn close(
    partner: &Site,
    theirs: i64,
    north: &Site,
    id: i64,
    teller: &Teller,
) -> Result<[IncidentDetail; 2], Failure> {
    act(partner, theirs, "close", &WorkRequest { operator: "demo".into(), ..WorkRequest::default() }).await?;
    teller.tell(Side::Partner, "closed")?;
    let ours = until(north, "waiting for the end", async || closed(north, id).await).await?;
    teller.tell(Side::North, "closed: the incident and its case have come to the same end")?;
    let theirs = until(partner, "seeing the end acknowledged", async || closed(partner, theirs).await).await?;
    Ok([ours, theirs])
}

/// The incident, once nothing of it is open any more.
async fn closed(site: &Site, id: i64) -> Result<Option<IncidentDetail>, Failure> {
    let detail = fetch(&site.local, id).await?;
    let is_closed = detail.row.phase == Phase::Close.as_str()
        && detail.exchanges.iter().all(|exchange| exchange.step == "closed" && exchange.pending.is_empty());
    Ok(is_closed.then_some(detail))
}

async fn first(site: &Site) -> Result<Option<IncidentRow>, Failure> {
    let page: IncidentPage = site.local.get("the incidents cannot be listed", "/v1/incidents?limit=1").await?;
    Ok(page.incidents.into_iter().next())
}

fn upward(detail: IncidentDetail) -> Option<ExchangeDetail> {
    detail.exchanges.into_iter().find(|exchange| exchange.towards == "upstream")
}

async fn act(site: &Site, id: i64, verb: &str, request: &impl serde::Serialize) -> Result<ActionAnswer, Failure> {
    let what = format!("{} cannot {verb} incident {id}", site.side.alias());
    site.local.post(&what, &format!("/v1/incidents/{id}/{verb}"), request).await
}

/// Looks again and again until there is something to see, but not for ever.
async fn until<T>(site: &Site, step: &str, look: impl AsyncFn() -> Result<Option<T>, Failure>) -> Result<T, Failure> {
    let deadline = Instant::now() + STEP_WITHIN;
    loop {
        if let Some(seen) = look().await? {
            return Ok(seen);
        }
        if Instant::now() >= deadline {
            let what = format!("the demo stopped at: {step}");
            let why = format!("nothing happened at {} within {} s", site.side.alias(), STEP_WITHIN.as_secs());
            return Err(Failure::new(Exit::Failed, what, why, site.look_at_log()));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
