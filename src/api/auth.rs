//! Which client is calling: user name and password, compared in constant time. Nothing tells an unknown name from
//! a wrong password.

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

pub async fn authenticate(State(door): State<Door>, mut request: Request, next: Next) -> Response {
    let header = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let settings = door.engine.settings();
    let Some(alias) = header.and_then(credentials).and_then(|given| identify(&settings.clients, &given)) else {
        warn!(event = "client_unauthorized", path = request.uri().path(), "credentials are missing or wrong");
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
    fn headers_that_are_no_credentials_are_none() {
        for header in ["", "Basic", "Basic !!!", "Bearer abc", "Basic bm9jb2xvbg=="] {
            assert!(credentials(header).is_none(), "{header}");
        }
    }
}
