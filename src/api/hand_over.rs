//! Who has a case in hand, and what people say about it: `casebridge assign`, `take`, `pause`, `resume` and `comment`.

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::routing::post;
use uuid::Uuid;

use super::Door;
use super::body::Answer;
use super::local::{Id, done, incident_id, request};
use super::problem::Refusal;
use crate::protocol::operator::{
    ActionAnswer, ActiveRequest, AssignRequest, CommentEditRequest, CommentRequest, TakeRequest,
};
use crate::protocol::{Problem, ProblemType};

pub fn routes() -> Router<Door> {
    Router::new()
        .route("/v1/incidents/{id}/assign", post(assign))
        .route("/v1/incidents/{id}/take", post(take))
        .route("/v1/incidents/{id}/active", post(active))
        .route("/v1/incidents/{id}/comments", post(comment))
        .route("/v1/incidents/{id}/comments/{comment}", post(edit_comment))
}

/// Assigns an incident to a group; one of another site's hands the case over (C-03, C-04).
#[utoipa::path(post, path = "/v1/incidents/{id}/assign", tag = "local", params(("id" = i64, Path)),
    request_body = AssignRequest, responses(
    (status = 200, body = ActionAnswer),
    (status = 409, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json")
))]
pub async fn assign(
    State(door): State<Door>,
    id: Id,
    headers: HeaderMap,
    body: Body,
) -> Result<Answer<ActionAnswer>, Refusal> {
    let (id, request): (_, AssignRequest) = (incident_id(id)?, request(&headers, body).await?);
    let told = door.engine.assign(id, &request).await?;
    done(id, format!("incident {id} is {told}"))
}

/// Takes a case back that another site has in hand (C-48).
#[utoipa::path(post, path = "/v1/incidents/{id}/take", tag = "local", params(("id" = i64, Path)),
    request_body = TakeRequest, responses(
    (status = 200, body = ActionAnswer),
    (status = 409, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json")
))]
pub async fn take(
    State(door): State<Door>,
    id: Id,
    headers: HeaderMap,
    body: Body,
) -> Result<Answer<ActionAnswer>, Refusal> {
    let (id, request): (_, TakeRequest) = (incident_id(id)?, request(&headers, body).await?);
    door.engine.take_back(id, &request).await?;
    done(id, format!("incident {id} is taken back"))
}

/// Switches the exchange of an incident off or on (C-59).
#[utoipa::path(post, path = "/v1/incidents/{id}/active", tag = "local", params(("id" = i64, Path)),
    request_body = ActiveRequest, responses(
    (status = 200, body = ActionAnswer),
    (status = 409, body = Problem, content_type = "application/problem+json")
))]
pub async fn active(
    State(door): State<Door>,
    id: Id,
    headers: HeaderMap,
    body: Body,
) -> Result<Answer<ActionAnswer>, Refusal> {
    let (id, request): (_, ActiveRequest) = (incident_id(id)?, request(&headers, body).await?);
    door.engine.set_active(id, &request).await?;
    done(id, format!("the exchange of incident {id} is switched {}", if request.active { "on" } else { "off" }))
}

/// Adds a comment to an incident; an internal one stays at this site (C-33).
#[utoipa::path(post, path = "/v1/incidents/{id}/comments", tag = "local", params(("id" = i64, Path)),
    request_body = CommentRequest, responses(
    (status = 200, body = ActionAnswer),
    (status = 422, body = Problem, content_type = "application/problem+json")
))]
pub async fn comment(
    State(door): State<Door>,
    id: Id,
    headers: HeaderMap,
    body: Body,
) -> Result<Answer<ActionAnswer>, Refusal> {
    let (id, request): (_, CommentRequest) = (incident_id(id)?, request(&headers, body).await?);
    let comment = door.engine.remark(id, &request).await?;
    done(id, format!("incident {id} has comment {comment}"))
}

/// Changes a comment that was written at this site, or deletes it.
#[utoipa::path(post, path = "/v1/incidents/{id}/comments/{comment}", tag = "local",
    params(("id" = i64, Path), ("comment" = String, Path, format = "uuid")), request_body = CommentEditRequest, responses(
    (status = 200, body = ActionAnswer),
    (status = 409, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json")
))]
pub async fn edit_comment(
    State(door): State<Door>,
    path: Result<Path<(i64, String)>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Answer<ActionAnswer>, Refusal> {
    let unknown = || ProblemType::BadRequest.with("a comment is named by the number of its incident and its UUID");
    let Path((id, comment)) = path.map_err(|_| unknown())?;
    let (id, comment) = (crate::case::IncidentId(id), Uuid::try_parse(&comment).map_err(|_| unknown())?);
    let request: CommentEditRequest = request(&headers, body).await?;
    door.engine.edit_remark(id, comment, &request).await?;
    done(id, format!("comment {comment} is {}", if request.deleted { "deleted" } else { "changed" }))
}
