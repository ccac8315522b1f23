//! `GET /v1/site`

use axum::Extension;
use axum::extract::State;
use jiff::Timestamp;

use super::Door;
use super::auth::Caller;
use super::body::Answer;
use crate::protocol::site::capability;
use crate::protocol::{self, SiteAnswer};

const CAPABILITIES: [&str; 7] =
    ["create", "update", "resolve", "close", capability::RECONCILE, capability::LINK, capability::RECEIPTS];

/// Who is this site: the connection test.
#[utoipa::path(get, path = "/v1/site", tag = "protocol", security(("client" = [])), responses(
    (status = 200, body = SiteAnswer),
    (status = 401, body = protocol::Problem, content_type = "application/problem+json")
))]
pub async fn site(State(door): State<Door>, Extension(Caller(client)): Extension<Caller>) -> Answer<SiteAnswer> {
    door.engine.heard_from(&client, Timestamp::now());
    let settings = door.engine.settings();
    let (key, endorsements) = door.engine.public_key();
    let reopen = settings.case.reopen_closed.then_some(capability::REOPEN);
    let whole = (!settings.hides_addresses_from(&client)).then_some(capability::WHOLE_TEXTS);
    Answer(SiteAnswer {
        alias: settings.site.alias.clone(),
        client,
        version: env!("CARGO_PKG_VERSION").into(),
        protocol: protocol::VERSION.into(),
        time: Timestamp::now(),
        capabilities: CAPABILITIES.into_iter().chain(reopen).chain(whole).map(str::to_owned).collect(),
        key: Some(key),
        endorsements,
    })
}
