//! `GET /v1/updates?after=&wait=&limit=`

use std::time::Duration;

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Door;
use super::auth::Caller;
use super::body::Answer;
use super::problem::Refusal;
use super::query::{count, within};
use crate::protocol::{self, BATCH_LIMIT, ProblemType, UpdateAnswer};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UpdateQuery {
    /// The cursor of the last answer, or of `GET /v1/exchanges`. It acknowledges everything before it.
    after: Option<String>,
    /// How many seconds the answer may wait for news; the site may cut it short.
    #[serde(default, deserialize_with = "count")]
    wait: Option<u64>,
    /// The most operations in the answer, 1 to 1,000.
    #[serde(default, deserialize_with = "count")]
    limit: Option<u64>,
}

/// The operations for the calling client after a cursor, in order; waits for the first one when there is none.
#[utoipa::path(get, path = "/v1/updates", tag = "protocol", security(("client" = [])), params(UpdateQuery), responses(
    (status = 200, body = UpdateAnswer),
    (status = 400, body = protocol::Problem, content_type = "application/problem+json"),
    (status = 401, body = protocol::Problem, content_type = "application/problem+json"),
    (status = 410, body = protocol::Problem, content_type = "application/problem+json"),
    (status = 503, body = protocol::Problem, content_type = "application/problem+json")
))]
pub async fn updates(
    State(door): State<Door>,
    Extension(Caller(client)): Extension<Caller>,
    query: Result<Query<UpdateQuery>, QueryRejection>,
) -> Result<Answer<UpdateAnswer>, Refusal> {
    let Query(query) = query.map_err(|_| ProblemType::BadRequest.with("`wait` and `limit` are whole numbers"))?;
    let longest = door.engine.settings().listen.as_ref().map(|listen| listen.max_wait).unwrap_or_default();
    let wait = Duration::from_secs(query.wait.unwrap_or_default()).min(longest);
    let limit = within(query.limit, BATCH_LIMIT);
    tokio::select! {
        answer = door.engine.updates(&client, query.after.as_deref(), wait, limit) => Ok(Answer(answer?)),
        () = door.stop.cancelled() => Err(ProblemType::Busy.with("the site is stopping").into()),
    }
}
