//! The people whom cases are passed between: `casebridge contact`.

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::routing::get;

use super::Door;
use super::body::Answer;
use super::problem::Refusal;
use crate::protocol::{ContactPage, ContactsQuery, Problem, ProblemType};

pub fn routes() -> Router<Door> {
    Router::new().route("/v1/contacts", get(contacts))
}

/// The contacts of this site, with their cases (H-01 to H-04).
#[utoipa::path(get, path = "/v1/contacts", tag = "local", params(ContactsQuery), responses(
    (status = 200, body = ContactPage),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json")
))]
pub async fn contacts(
    State(door): State<Door>,
    query: Result<Query<ContactsQuery>, QueryRejection>,
) -> Result<Answer<ContactPage>, Refusal> {
    let Query(query) = query.map_err(|_| {
        ProblemType::BadRequest
            .with("`after` and `limit` are whole numbers, `temporary` is true or false; besides there is `address`")
    })?;
    Ok(Answer(door.engine.contacts(&query).await?))
}
