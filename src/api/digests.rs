//! `GET /v1/digests?after=&through=&whole=`

use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Door;
use super::auth::Caller;
use super::body::Answer;
use super::exchanges::{asked, bound};
use super::problem::Refusal;
use crate::protocol::{self, DigestPage, ProblemType};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DigestQuery {
    /// Exchanges after this one; empty for the beginning.
    #[param(pattern = "^([0-9a-f]{32})?$")]
    after: Option<String>,
    /// Exchanges up to this one; empty for the end.
    #[param(pattern = "^([0-9a-f]{32})?$")]
    through: Option<String>,
    /// Compares texts word by word; of a site with `whole_texts`.
    #[serde(default)]
    whole: bool,
}

/// Digests over the calling client's exchanges, for a comparison of both stores.
#[utoipa::path(get, path = "/v1/digests", tag = "protocol", security(("client" = [])), params(DigestQuery), responses(
    (status = 200, body = DigestPage),
    (status = 400, body = protocol::Problem, content_type = "application/problem+json"),
    (status = 401, body = protocol::Problem, content_type = "application/problem+json")
))]
pub async fn digests(
    State(door): State<Door>,
    Extension(Caller(client)): Extension<Caller>,
    query: Result<Query<DigestQuery>, QueryRejection>,
) -> Result<Answer<DigestPage>, Refusal> {
    let Query(query) = query.map_err(|_| {
        ProblemType::BadRequest.with("`after` and `through` are exchange IDs, `whole` is true or false")
    })?;
    let (after, through) = (bound("after", query.after.as_deref())?, bound("through", query.through.as_deref())?);
    Ok(Answer(door.engine.digests(&client, after, through, asked(query.whole)).await?))
}
