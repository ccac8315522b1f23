//! Which client is calling: user name and password, compared in constant time. Nothing tells an unknown name from
//! a wrong password.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use tracing::warn;

use super::Door;
use super::problem::Refusal;
use crate::case::Alias;
use crate::config::settings;
use crate::protocol::ProblemType;

/// The client of this request, as the settings name it.
#[derive(Debug, Clone)]
pub struct Caller(pub Alias);

/// Counts refused requests, so that a client with an old password, or somebody who tries many, cannot fill the log.
#[derive(Default)]
pub struct Unauthorized(Mutex<Option<Told>>);

struct Told {
    at: Instant,
    /// Requests since then.
    unsaid: u64,
}

impl Unauthorized {
    const ONCE_EACH: Duration = Duration::from_secs(60);

    /// Takes note of one request. Returns how many are to be told of now, this one included.
    fn note(&self, now: Instant) -> Option<u64> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match told.as_mut() {
            Some(told) if now.saturating_duration_since(told.at) < Self::ONCE_EACH => {
                told.unsaid += 1;
                None
            }
            before => {
                let requests = before.map_or(0, |told| told.unsaid) + 1;
                *told = Some(Told { at: now, unsaid: 0 });
                Some(requests)
            }
        }
    }
}

pub async fn authenticate(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let settings = door.engine.settings();
    let Some(alias) = header.and_then(credentials).and_then(|given| identify(&settings.clients, &given)) else {
        if let Some(requests) = door.unauthorized.note(Instant::now()) {
            let path = request.uri().path();
            warn!(event = "client_unauthorized", path, requests, "credentials are missing or wrong");
        }
        return Refusal::from(ProblemType::Unauthorized.with("give the user name and password of a client"))
            .into_response();
    };
    let version = request.headers().get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    if let Some(version) = version.and_then(|agent| agent.strip_prefix("casebridge/")) {
        door.engine.heard_version(&alias, version);
    }
    request.extensions_mut().insert(Caller(alias));
    next.run(request).await
}

struct Credentials {
    user: String,
    password: String,
}

/// RFC 7617.
fn credentials(header: &str) -> Option<Credentials> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some(Credentials { user: user.to_owned(), password: password.to_owned() })
}

/// Every client is compared, and by digests of one length, so that the time tells nothing.
fn identify(clients: &[settings::Client], given: &Credentials) -> Option<Alias> {
    let given_user = Sha256::digest(&given.user);
    let given_password = Sha256::digest(&given.password);
    let mut found = None;
    for client in clients {
        let user: Choice = Sha256::digest(&client.user).as_slice().ct_eq(given_user.as_slice());
        let password: Choice =
            Sha256::digest(client.password.expose_secret()).as_slice().ct_eq(given_password.as_slice());
        if bool::from(user & password) {
            found = Some(client.alias.clone());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(alias: &str, password: &str) -> settings::Client {
        settings::Client {
            alias: alias.parse().unwrap(),
            user: format!("{alias}-user"),
            password: password.to_owned().into(),
            internal_comments: false,
            attachments: crate::case::example::sharing(),
            fields: Default::default(),
        }
    }

    #[test]
    fn only_the_right_pair_identifies_a_client() {
        let clients = [client("north", "password-north"), client("south", "password-south")];
        let identify = |user: &str, password: &str| {
            let encoded = STANDARD.encode(format!("{user}:{password}"));
            credentials(&format!("Basic {encoded}")).and_then(|given| super::identify(&clients, &given))
        };
        assert_eq!(identify("north-user", "password-north"), Some("north".parse().unwrap()));
        assert_eq!(identify("north-user", "password-south"), None);
        assert_eq!(identify("nobody", "password-north"), None);
        assert_eq!(identify("", ""), None);
    }

    #[test]
    fn many_requests_without_credentials_are_one_line_a_minute() {
        let (unauthorized, start) = (Unauthorized::default(), Instant::now());
        let after = |seconds| unauthorized.note(start + Duration::from_secs(seconds));
        assert_eq!(after(0), Some(1));
        assert_eq!([after(1), after(30), after(59)], [None; 3]);
        assert_eq!(after(60), Some(4), "with those that were not told of");
        assert_eq!(after(61), None);
        assert_eq!(after(200), Some(2));
    }

    #[test]
    fn headers_that_are_no_credentials_are_none() {
        for header in ["", "Basic", "Basic !!!", "Bearer abc", "Basic bm9jb2xvbg=="] {
            assert!(credentials(header).is_none(), "{header}");
        }
    }
}
