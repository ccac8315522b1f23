//! Who is calling: a client, with user name and password, a token, or its certificate; or an operator, with a token.
//! Nothing tells an unknown name from a wrong password.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use tracing::warn;

use super::came_in::CameIn;
use super::keyring::{Judged, Keyrings, Shown, Who};
use super::problem::Refusal;
use super::{Door, Presented};
use crate::case::Alias;
use crate::clock::{Throttle, network};
use crate::protocol::ProblemType;
use crate::telemetry::{Seldom, discreet_name};

/// The client of this request, as the settings name it.
#[derive(Debug, Clone)]
pub struct Caller(pub Alias);

/// Who is let in, and what became of those who were not.
#[derive(Default)]
pub struct Guard {
    keyrings: Keyrings,
    /// Wrong credentials. An address with too many of them waits, and with it whoever tries something new from there; who was
    /// let in from there before goes on with the same credential, so that a stranger locks nobody out.
    attempts: Throttle,
    pub came_in: CameIn,
    /// One line a minute for each address, so that a client with an old password, or somebody who tries many, cannot fill
    /// the log.
    told: Seldom<IpAddr>,
}

/// Lets clients in. A connection whose certificate does not count any more ends with its answer: the next one begins with what
/// the client has now.
pub async fn authenticate(State(door): State<Door>, request: Request, next: Next) -> Response {
    let is_stale = presented(&request).is_some_and(|presented| !presented.counts(Timestamp::now()));
    let mut response = let_in(door, request, next).await;
    if is_stale {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

async fn let_in(door: Door, mut request: Request, next: Next) -> Response {
    let alias = match known(&door, &request, "give the user name and password of a client, or its token") {
        Ok(Who::Client(alias)) => alias,
        Ok(Who::Operator(_)) => {
            let detail = "this is an operator's token, which opens the cases and not the exchange between sites";
            return Refusal::from(ProblemType::Unauthorized.with(detail)).into_response();
        }
        Err(refusal) => return refusal.into_response(),
    };
    if let Some(presented) = presented(&request) {
        door.engine.saw_certificate(&alias, presented.ends);
    }
    let version = request.headers().get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    if let Some(version) = version.and_then(|agent| agent.strip_prefix("casebridge/")) {
        door.engine.heard_version(&alias, version);
    }
    request.extensions_mut().insert(Caller(alias));
    next.run(request).await
}

/// Whose credentials come with a request. `ask` tells those who are refused what to give.
pub fn known(door: &Door, request: &Request, ask: &'static str) -> Result<Who, Refusal> {
    let settings = door.engine.settings();
    let address = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip());
    let address = network(address.unwrap_or(IpAddr::from([0, 0, 0, 0])));
    let per_minute = settings.listen.as_ref().map_or(usize::MAX, |listen| listen.failures_per_minute);
    let header = request.headers().get(header::AUTHORIZATION).map(|value| value.to_str().unwrap_or_default());
    let shown = Shown { header, presented: presented(request), from: address };
    let (guard, now) = (&door.guard, Instant::now());
    let judged = guard.keyrings.judge(&settings, &shown, Timestamp::now());
    // Whoever was let in from there before does not wait for what others try from the same address.
    let wait = match &judged {
        Judged::Known { before: true, .. } => None,
        _ => guard.attempts.wait(address, per_minute, now),
    };
    match judged {
        Judged::Known { who, before } if wait.is_none() => {
            if !before {
                guard.keyrings.used(&settings, &shown);
            }
            guard.came_in.add(address);
            return Ok(who);
        }
        _ => {}
    }
    if let Some(requests) = guard.told.note(address, now) {
        let path = discreet_name(kind_of(request.uri().path()));
        let path = path.as_ref();
        warn!(event = "client_unauthorized", %address, path, requests, "credentials are missing or wrong");
    }
    if let Some(wait) = wait {
        let problem = ProblemType::TooManyRequests.with("too many wrong credentials came from this address");
        return Err(Refusal::wait(problem, wait));
    }
    // Who shows nothing guesses nothing.
    if header.is_some() {
        guard.attempts.take(address, per_minute, now);
    }
    Err(ProblemType::Unauthorized.with(ask).into())
}

/// What was asked for, such as `/v1/cases`, without the names of files and cases behind it.
fn kind_of(path: &str) -> &str {
    path.match_indices('/').nth(2).map_or(path, |(end, _)| &path[..end])
}

fn presented(request: &Request) -> Option<&Presented> {
    request.extensions().get::<Option<Presented>>().and_then(Option::as_ref)
}
