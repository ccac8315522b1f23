//! The people of a case and their mails: `casebridge party` and `mails`.

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::routing::{get, post};

use super::Door;
use super::body::Answer;
use super::local::{Id, done, incident_id, request};
use super::problem::Refusal;
use crate::case::Party;
use crate::protocol::operator::{ActionAnswer, RetryAnswer};
use crate::protocol::{MailPage, MailRetryRequest, MailsQuery, PartyPage, PartyRequest, Problem, ProblemType};

pub fn routes() -> Router<Door> {
    Router::new()
        .route("/v1/incidents/{id}/parties", get(parties).post(add_party))
        .route("/v1/incidents/{id}/parties/remove", post(remove_party))
        .route("/v1/mails", get(mails))
        .route("/v1/mails/retry", post(retry_mails))
}

/// The people who are told of a case by mail.
#[utoipa::path(get, path = "/v1/incidents/{id}/parties", tag = "local", params(("id" = i64, Path)), responses(
    (status = 200, body = PartyPage),
    (status = 404, body = Problem, content_type = "application/problem+json")
))]
pub async fn parties(State(door): State<Door>, id: Id) -> Result<Answer<PartyPage>, Refusal> {
    Ok(Answer(PartyPage { parties: door.engine.parties(incident_id(id)?).await? }))
}

/// Adds somebody to the people of a case, and tells them that it is open.
#[utoipa::path(post, path = "/v1/incidents/{id}/parties", tag = "local", params(("id" = i64, Path)),
    request_body = PartyRequest, responses(
    (status = 200, body = Party),
    (status = 409, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json")
))]
pub async fn add_party(
    State(door): State<Door>,
    id: Id,
    headers: HeaderMap,
    body: Body,
) -> Result<Answer<Party>, Refusal> {
    let (id, request): (_, PartyRequest) = (incident_id(id)?, request(&headers, body).await?);
    Ok(Answer(door.engine.add_party(id, &request).await?))
}

/// Takes somebody out of the people of a case.
#[utoipa::path(post, path = "/v1/incidents/{id}/parties/remove", tag = "local", params(("id" = i64, Path)),
    request_body = PartyRequest, responses(
    (status = 200, body = ActionAnswer),
    (status = 404, body = Problem, content_type = "application/problem+json")
))]
pub async fn remove_party(
    State(door): State<Door>,
    id: Id,
    headers: HeaderMap,
    body: Body,
) -> Result<Answer<ActionAnswer>, Refusal> {
    let (id, request): (_, PartyRequest) = (incident_id(id)?, request(&headers, body).await?);
    door.engine.remove_party(id, &request).await?;
    done(id, format!("incident {id} has one party less"))
}

/// What people were told by mail, and what waits.
#[utoipa::path(get, path = "/v1/mails", tag = "local", params(MailsQuery), responses(
    (status = 200, body = MailPage),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json")
))]
pub async fn mails(
    State(door): State<Door>,
    query: Result<Query<MailsQuery>, QueryRejection>,
) -> Result<Answer<MailPage>, Refusal> {
    let Query(query) = query.map_err(|_| {
        ProblemType::BadRequest
            .with("`incident` and `limit` are whole numbers, `state` is a word; nothing else is known")
    })?;
    Ok(Answer(door.engine.mails(&query).await?))
}

/// Has refused mails tried again.
#[utoipa::path(post, path = "/v1/mails/retry", tag = "local", request_body = MailRetryRequest, responses(
    (status = 200, body = RetryAnswer),
    (status = 404, body = Problem, content_type = "application/problem+json")
))]
pub async fn retry_mails(
    State(door): State<Door>,
    headers: HeaderMap,
    body: Body,
) -> Result<Answer<RetryAnswer>, Refusal> {
    let request: MailRetryRequest = request(&headers, body).await?;
    let rearmed = door.engine.retry_mails(request.mail, &request.operator).await?;
    Ok(Answer(RetryAnswer { rearmed, files: 0 }))
}
