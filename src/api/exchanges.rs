//! `GET /v1/exchanges?after=&limit=` and `GET /v1/exchanges?exchange=`

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
use crate::case::{ExchangeId, Texts};
use crate::protocol::{self, BATCH_LIMIT, ExchangePage, ProblemType, TRANSACTION_LIMIT};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ExchangeQuery {
    /// The last exchange of the page before; empty for the first page.
    #[param(pattern = "^([0-9a-f]{32})?$")]
    after: Option<String>,
    /// The most exchanges in the answer, 1 to 1,000.
    #[serde(default, deserialize_with = "count")]
    limit: Option<u64>,
    /// These exchanges alone: IDs with commas between them, at most 100.
    #[param(pattern = "^[0-9a-f]{32}(,[0-9a-f]{32}){0,99}$")]
    exchange: Option<String>,
    /// Compares the texts of these word by word; of a site with `whole_texts`.
    #[serde(default)]
    whole: bool,
}

/// How every exchange of the calling client stands, for re-adoption after lost state; or how some stand, for a comparison.
#[utoipa::path(get, path = "/v1/exchanges", tag = "protocol", security(("client" = [])), params(ExchangeQuery),
    responses(
    (status = 200, body = ExchangePage),
    (status = 400, body = protocol::Problem, content_type = "application/problem+json"),
    (status = 401, body = protocol::Problem, content_type = "application/problem+json"),
    (status = 422, body = protocol::Problem, content_type = "application/problem+json")
))]
pub async fn exchanges(
    State(door): State<Door>,
    Extension(Caller(client)): Extension<Caller>,
    query: Result<Query<ExchangeQuery>, QueryRejection>,
) -> Result<Answer<ExchangePage>, Refusal> {
    let Query(query) =
        query.map_err(|_| ProblemType::BadRequest.with("`limit` is a whole number, `whole` is true or false"))?;
    if let Some(exchanges) = &query.exchange {
        let exchanges = listed(exchanges)?;
        return Ok(Answer(door.engine.exchanges_of(&client, &exchanges, asked(query.whole)).await?));
    }
    let after = bound("after", query.after.as_deref())?;
    Ok(Answer(door.engine.exchanges(&client, after, within(query.limit, BATCH_LIMIT)).await?))
}

pub(super) fn asked(whole: bool) -> Texts {
    if whole { Texts::Whole } else { Texts::Hidden }
}

/// The end of a range; an empty one is open.
pub(super) fn bound(name: &str, text: Option<&str>) -> Result<Option<ExchangeId>, Refusal> {
    match text {
        None | Some("") => Ok(None),
        Some(text) => {
            let wrong = |_| ProblemType::BadRequest.with(format!("`{name}` is no exchange ID"));
            Ok(Some(text.parse().map_err(wrong)?))
        }
    }
}

/// A list of exchanges.
pub(super) fn listed(text: &str) -> Result<Vec<ExchangeId>, Refusal> {
    if text.split(',').count() > TRANSACTION_LIMIT {
        return Err(ProblemType::BatchLimit.with(format!("at most {TRANSACTION_LIMIT} exchanges")).into());
    }
    let exchanges: Result<Vec<ExchangeId>, _> = text.split(',').map(str::parse).collect();
    Ok(exchanges.map_err(|fault| ProblemType::BadRequest.with(fault.to_string()))?)
}
