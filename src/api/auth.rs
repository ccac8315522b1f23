//! Which client is calling: user name and password, a token, or its certificate. Nothing tells an unknown name from a
//! wrong password.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use tracing::warn;

use super::keyring::{Judged, Keyrings, Shown};
use super::problem::Refusal;
use super::{Door, Presented};
use crate::case::Alias;
use crate::clock::{Throttle, network};
use crate::protocol::ProblemType;
use crate::telemetry::Seldom;

/// The client of this request, as the settings name it.
#[derive(Debug, Clone)]
pub struct Caller(pub Alias);

/// Who is let in, and what became of those who were not.
#[derive(Default)]
pub struct Guard {
    keyrings: Keyrings,
    /// Wrong credentials. An address with too many of them waits, and with it whoever tries something new from there; who was
    /// let in before goes on with the same credential, so that a stranger locks nobody out.
    attempts: Throttle,
    /// One line a minute for each address, so that a client with an old password, or somebody who tries many, cannot fill
    /// the log.
    told: Seldom<IpAddr>,
}

pub async fn authenticate(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    let settings = door.engine.settings();
    let address = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip());
    let address = network(address.unwrap_or(IpAddr::from([0, 0, 0, 0])));
    let per_minute = settings.listen.as_ref().map_or(usize::MAX, |listen| listen.failures_per_minute);
    let header = request.headers().get(header::AUTHORIZATION).map(|value| value.to_str().unwrap_or_default());
    let presented = request.extensions().get::<Option<Presented>>().and_then(Option::as_ref);
    let shown = Shown { header, presented };
    let (guard, now) = (&door.guard, Instant::now());
    let judged = guard.keyrings.judge(&settings, &shown, Timestamp::now());
    // Whoever was let in before does not wait for what others try from the same address.
    let wait = match &judged {
        Judged::Known { before: true, .. } => None,
        _ => guard.attempts.wait(address, per_minute, now),
    };
    let alias = match judged {
        Judged::Known { alias, before } if wait.is_none() => {
            if !before {
                guard.keyrings.used(&settings, &shown);
            }
            alias
        }
        _ => {
            if let Some(requests) = guard.told.note(address, now) {
                let path = request.uri().path();
                warn!(event = "client_unauthorized", %address, path, requests, "credentials are missing or wrong");
            }
            if let Some(wait) = wait {
                let problem = ProblemType::TooManyRequests.with("too many wrong credentials came from this address");
                return Refusal::wait(problem, wait).into_response();
            }
            // Who shows nothing guesses nothing.
            if header.is_some() {
                guard.attempts.take(address, per_minute, now);
            }
            return Refusal::from(
                ProblemType::Unauthorized.with("give the user name and password of a client, or its token"),
            )
            .into_response();
        }
    };
    if let Some(presented) = shown.presented {
        door.engine.saw_certificate(&alias, presented.ends);
    }
    let version = request.headers().get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    if let Some(version) = version.and_then(|agent| agent.strip_prefix("casebridge/")) {
        door.engine.heard_version(&alias, version);
    }
    request.extensions_mut().insert(Caller(alias));
    next.run(request).await
}
