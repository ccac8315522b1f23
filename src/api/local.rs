//! What the commands ask over the Unix socket: `casebridge incidents`, `show`, `submit`, `accept` and the others.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::routing::{get, post};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Door;
use super::body::{self, Answer};
use super::problem::Refusal;
use super::query::{self, count, within};
use crate::case::{Deposit, IncidentId};
use crate::exchange::{Decision, who};
use crate::protocol::operator::{
    AcceptRequest, ActionAnswer, DepositAnswer, DepositQuery, IncidentDetail, IncidentPage, IncidentQuery, LinkRequest,
    OpenRequest, OutboxPage, OverrideRequest, ParkedPage, ResyncRequest, RetryAnswer, RetryRequest, StatusAnswer,
    SubmitRequest, WorkRequest,
};
use crate::protocol::{Problem, ProblemType, ReconcileAnswer, ReconcileRequest, WhyAnswer};

/// The largest JSON request, in bytes.
const REQUEST_LIMIT: usize = 1 << 20;
/// The largest deposited file, in bytes, where no inbox says otherwise.
const DEPOSIT_LIMIT: usize = 64 << 20;
const READ_WITHIN: Duration = Duration::from_secs(20);

pub fn routes() -> Router<Door> {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/metrics", get(super::metrics::metrics))
        .route("/v1/incidents", get(incidents).post(open))
        .route("/v1/incidents/{id}", get(show))
        .route("/v1/incidents/{id}/why", get(why))
        .route("/v1/incidents/{id}/submit", post(submit))
        .route("/v1/incidents/{id}/escalate", post(escalate))
        .route("/v1/incidents/{id}/draft", post(draft))
        .route("/v1/incidents/{id}/link", post(link))
        .route("/v1/incidents/{id}/resync", post(resync))
        .route("/v1/incidents/{id}/accept", post(accept))
        .route("/v1/incidents/{id}/override", post(overrule))
        .route("/v1/incidents/{id}/update", post(update))
        .route("/v1/incidents/{id}/resolve", post(resolve))
        .route("/v1/incidents/{id}/close", post(close))
        .route("/v1/incidents/{id}/reopen", post(reopen))
        .route("/v1/incidents/{id}/cancel", post(cancel))
        .route("/v1/incidents/{id}/reject", post(reject))
        .route("/v1/deposits", post(deposit))
        .route("/v1/outbox", get(outbox))
        .route("/v1/parked", get(parked))
        .route("/v1/retry", post(retry))
        .route("/v1/reconcile", post(reconcile))
}

pub(super) type Id = Result<Path<i64>, PathRejection>;

pub(super) fn incident_id(id: Id) -> Result<IncidentId, Refusal> {
    let Path(id) = id.map_err(|_| ProblemType::BadRequest.with("an incident is named by its number"))?;
    Ok(IncidentId(id))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Limit {
    /// The most rows in the answer, 1 to 10,000; 100 when left out.
    #[serde(default, deserialize_with = "count")]
    limit: Option<u64>,
}

impl Limit {
    pub(super) fn rows(query: Result<Query<Limit>, QueryRejection>) -> Result<usize, Refusal> {
        let Query(limit) = query.map_err(|_| ProblemType::BadRequest.with("`limit` is a whole number"))?;
        Ok(within(Some(limit.limit.unwrap_or(100)), 10_000))
    }
}

/// How the site stands: peers, queues, warnings.
#[utoipa::path(get, path = "/v1/status", tag = "local", responses((status = 200, body = StatusAnswer)))]
pub async fn status(State(door): State<Door>) -> Result<Answer<StatusAnswer>, Refusal> {
    Ok(Answer(door.engine.status().await?))
}

/// A list of incidents.
#[utoipa::path(get, path = "/v1/incidents", tag = "local", params(IncidentQuery), responses(
    (status = 200, body = IncidentPage),
    (status = 400, body = Problem, content_type = "application/problem+json")
))]
pub async fn incidents(
    State(door): State<Door>,
    query: Result<Query<IncidentQuery>, QueryRejection>,
) -> Result<Answer<IncidentPage>, Refusal> {
    let query = query::read(query)?;
    Ok(Answer(door.engine.incidents(&query).await?))
}

/// Everything about one incident.
#[utoipa::path(get, path = "/v1/incidents/{id}", tag = "local", params(("id" = i64, Path)), responses(
    (status = 200, body = IncidentDetail),
    (status = 404, body = Problem, content_type = "application/problem+json")
))]
pub async fn show(State(door): State<Door>, id: Id) -> Result<Answer<IncidentDetail>, Refusal> {
    Ok(Answer(door.engine.show(incident_id(id)?).await?))
}

/// What an incident waits for, on whose side, and what to do.
#[utoipa::path(get, path = "/v1/incidents/{id}/why", tag = "local", params(("id" = i64, Path)), responses(
    (status = 200, body = WhyAnswer),
    (status = 404, body = Problem, content_type = "application/problem+json")
))]
pub async fn why(State(door): State<Door>, id: Id) -> Result<Answer<WhyAnswer>, Refusal> {
    Ok(Answer(door.engine.why(incident_id(id)?).await?))
}

/// Submits an incident, once.
#[utoipa::path(post, path = "/v1/incidents/{id}/submit", tag = "local", params(("id" = i64, Path)),
    request_body = SubmitRequest, responses(
    (status = 200, body = ActionAnswer),
    (status = 409, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json")
))]
pub async fn submit(
    State(door): State<Door>,
    id: Id,
    headers: HeaderMap,
    body: Body,
) -> Result<Answer<ActionAnswer>, Refusal> {
    let (id, request): (_, SubmitRequest) = (incident_id(id)?, request(&headers, body).await?);
    door.engine.submit(id, request.form, &request.operator).await?;
    done(id, format!("incident {id} is submitted"))
}

/// Hands a client's incident on to the site above, once.
#[utoipa::path(post, path = "/v1/incidents/{id}/escalate", tag = "local", params(("id" = i64, Path)),
    request_body = SubmitRequest, responses(
    (status = 200, body = ActionAnswer),
    (status = 409, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json")
))]
pub async fn escalate(
    State(door): State<Door>,
    id: Id,
    headers: HeaderMap,
    body: Body,
) -> Result<Answer<ActionAnswer>, Refusal> {
    let (id, request): (_, SubmitRequest) = (incident_id(id)?, request(&headers, body).await?);
    door.engine.escalate(id, request.form, &request.operator).await?;
    done(id, format!("incident {id} is escalated"))
}

/// Saves a form without submitting.
#[utoipa::path(post, path = "/v1/incidents/{id}/draft", tag = "local", params(("id" = i64, Path)),
    request_body = SubmitRequest, responses(
    (status = 200, body = ActionAnswer),
    (status = 409, body = Problem, content_type = "application/problem+json")
))]
pub async fn draft(
    State(door): State<Door>,
    id: Id,
    headers: HeaderMap,
    body: Body,
) -> Result<Answer<ActionAnswer>, Refusal> {
    let (id, request): (_, SubmitRequest) = (incident_id(id)?, request(&headers, body).await?);
    door.engine.save_draft(id, request.form, &request.operator).await?;
    done(id, format!("the form of incident {id} is saved"))
}

/// Opens a case without an incident.
#[utoipa::path(post, path = "/v1/incidents", tag = "local", request_body = OpenRequest, responses(
    (status = 200, body = ActionAnswer),
    (status = 409, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json")
))]
pub async fn open(State(door): State<Door>, headers: HeaderMap, body: Body) -> Result<Answer<ActionAnswer>, Refusal> {
    let request: OpenRequest = request(&headers, body).await?;
    let told = if request.submit { "submitted" } else { "held" };
    let id = door.engine.open_by_hand(request).await?;
    done(id, format!("incident {id} is opened by hand and {told}"))
}

/// Links an incident to a case that the site above has already.
#[utoipa::path(post, path = "/v1/incidents/{id}/link", tag = "local", params(("id" = i64, Path)),
    request_body = LinkRequest, responses(
    (status = 200, body = ActionAnswer),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json")
))]
pub async fn link(
    State(door): State<Door>,
    id: Id,
    headers: HeaderMap,
    body: Body,
) -> Result<Answer<ActionAnswer>, Refusal> {
    let (id, request): (_, LinkRequest) = (incident_id(id)?, request(&headers, body).await?);
    let to = request.to.ok_or_else(|| ProblemType::Form.with("name the case: by its transaction or its case ID"))?;
    let message = format!("incident {id} is submitted, to be linked to {to}");
    door.engine.link(id, to, &request.operator).await?;
    done(id, message)
}

/// Settles one exchange anew.
#[utoipa::path(post, path = "/v1/incidents/{id}/resync", tag = "local", params(("id" = i64, Path)),
    request_body = ResyncRequest, responses(
    (status = 200, body = ActionAnswer),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json")
))]
pub async fn resync(
    State(door): State<Door>,
    id: Id,
    headers: HeaderMap,
    body: Body,
) -> Result<Answer<ActionAnswer>, Refusal> {
    let (id, request): (_, ResyncRequest) = (incident_id(id)?, request(&headers, body).await?);
    done(id, door.engine.resync(id, &request.operator).await?)
}

/// Takes a client's case.
#[utoipa::path(post, path = "/v1/incidents/{id}/accept", tag = "local", params(("id" = i64, Path)),
    request_body = AcceptRequest, responses(
    (status = 200, body = ActionAnswer),
    (status = 409, body = Problem, content_type = "application/problem+json")
))]
pub async fn accept(
    State(door): State<Door>,
    id: Id,
    headers: HeaderMap,
    body: Body,
) -> Result<Answer<ActionAnswer>, Refusal> {
    let (id, request): (_, AcceptRequest) = (incident_id(id)?, request(&headers, body).await?);
    let case = door.engine.accept(id, &request).await?;
    done(id, format!("incident {id} is accepted as case {}", case.id))
}

/// Decides what a client sees of its case.
#[utoipa::path(post, path = "/v1/incidents/{id}/override", tag = "local", params(("id" = i64, Path)),
    request_body = OverrideRequest, responses(
    (status = 200, body = ActionAnswer),
    (status = 409, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json")
))]
pub async fn overrule(
    State(door): State<Door>,
    id: Id,
    headers: HeaderMap,
    body: Body,
) -> Result<Answer<ActionAnswer>, Refusal> {
    let (id, request): (_, OverrideRequest) = (incident_id(id)?, request(&headers, body).await?);
    let case = door.engine.overrule(id, &request).await?;
    done(id, format!("incident {id} is shown as case {}, {}", case.id, case.status))
}

macro_rules! decisions {
    ($($(#[$doc:meta])* $name:ident, $path:literal, $decision:expr, $told:literal;)+) => {
        $($(#[$doc])*
        #[utoipa::path(post, path = $path, tag = "local", params(("id" = i64, Path)), request_body = WorkRequest,
            responses(
            (status = 200, body = ActionAnswer),
            (status = 409, body = Problem, content_type = "application/problem+json"),
            (status = 422, body = Problem, content_type = "application/problem+json")
        ))]
        pub async fn $name(
            State(door): State<Door>,
            id: Id,
            headers: HeaderMap,
            body: Body,
        ) -> Result<Answer<ActionAnswer>, Refusal> {
            let (id, request): (_, WorkRequest) = (incident_id(id)?, request(&headers, body).await?);
            door.engine.decide_on(id, $decision, &request).await?;
            done(id, format!(concat!("incident {} is ", $told), id))
        })+
    };
}

decisions! {
    /// Changes status, solution or expected resolution, or adds a comment.
    update, "/v1/incidents/{id}/update", Decision::Update, "updated";
    /// Resolves an incident.
    resolve, "/v1/incidents/{id}/resolve", Decision::Resolve, "resolved";
    /// Closes an incident.
    close, "/v1/incidents/{id}/close", Decision::Close, "closed";
    /// Opens the work on an incident again (C-10).
    reopen, "/v1/incidents/{id}/reopen", Decision::Reopen, "reopened";
    /// Withdraws what was submitted (C-08).
    cancel, "/v1/incidents/{id}/cancel", Decision::Cancel, "canceled";
    /// Gives a client's incident back (C-09).
    reject, "/v1/incidents/{id}/reject", Decision::Reject, "rejected";
}

/// Stores one deposited file: a bundle or a JSON incident.
#[utoipa::path(post, path = "/v1/deposits", tag = "local", params(DepositQuery),
    request_body(content = String, content_type = "application/octet-stream"), responses(
    (status = 200, body = DepositAnswer),
    (status = 400, body = Problem, content_type = "application/problem+json"),
    (status = 415, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json")
))]
pub async fn deposit(
    State(door): State<Door>,
    query: Result<Query<DepositQuery>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Answer<DepositAnswer>, Refusal> {
    let query = query::read(query)?;
    body::check_encoding(&headers)?;
    let settings = door.engine.settings();
    let limit = settings.inboxes.iter().map(|inbox| inbox.max_bytes as usize).max().unwrap_or(DEPOSIT_LIMIT);
    let bytes = body::read(body, limit, READ_WITHIN).await?;
    let read = door.deposit.clone();
    let deposit: Deposit = tokio::task::spawn_blocking(move || read(bytes))
        .await
        .map_err(|_| ProblemType::Internal.with("the site's log says more"))?
        .map_err(|reason| ProblemType::Content.with(reason))?;
    let host_event_id = deposit.event.host_event_id.clone();
    let deposit = Deposit { handed_in_by: Some(who(&query.operator)), ..deposit };
    let deposited = door.engine.deposit(vec![deposit]).await?;
    let one = deposited.first().ok_or_else(|| ProblemType::Internal.with("nothing was stored"))?;
    Ok(Answer(DepositAnswer { incident: one.incident.0, host_event_id, new: one.new }))
}

/// Operations that peers have not acknowledged.
#[utoipa::path(get, path = "/v1/outbox", tag = "local", params(Limit), responses((status = 200, body = OutboxPage)))]
pub async fn outbox(
    State(door): State<Door>,
    query: Result<Query<Limit>, QueryRejection>,
) -> Result<Answer<OutboxPage>, Refusal> {
    Ok(Answer(door.engine.outbox(Limit::rows(query)?).await?))
}

/// What needs a person.
#[utoipa::path(get, path = "/v1/parked", tag = "local", params(Limit), responses((status = 200, body = ParkedPage)))]
pub async fn parked(
    State(door): State<Door>,
    query: Result<Query<Limit>, QueryRejection>,
) -> Result<Answer<ParkedPage>, Refusal> {
    Ok(Answer(door.engine.parked(Limit::rows(query)?).await?))
}

/// Tries what is parked again.
#[utoipa::path(post, path = "/v1/retry", tag = "local", request_body = RetryRequest, responses(
    (status = 200, body = RetryAnswer),
    (status = 409, body = Problem, content_type = "application/problem+json")
))]
pub async fn retry(State(door): State<Door>, headers: HeaderMap, body: Body) -> Result<Answer<RetryAnswer>, Refusal> {
    let request: RetryRequest = request(&headers, body).await?;
    Ok(Answer(door.engine.retry(request.incident.map(IncidentId), &request.operator).await?))
}

/// Compares both sides, and repairs what differs when it is told to.
#[utoipa::path(post, path = "/v1/reconcile", tag = "local", request_body = ReconcileRequest, responses(
    (status = 200, body = ReconcileAnswer),
    (status = 409, body = Problem, content_type = "application/problem+json")
))]
pub async fn reconcile(
    State(door): State<Door>,
    headers: HeaderMap,
    body: Body,
) -> Result<Answer<ReconcileAnswer>, Refusal> {
    let request: ReconcileRequest = request(&headers, body).await?;
    let operator = request.apply.then_some(request.operator.as_str());
    Ok(Answer(door.engine.reconcile(request.incident.map(IncidentId), operator).await?))
}

pub(super) async fn request<T: serde::de::DeserializeOwned>(headers: &HeaderMap, body: Body) -> Result<T, Refusal> {
    body::json(headers, body, REQUEST_LIMIT, READ_WITHIN).await
}

pub(super) fn done(id: IncidentId, message: String) -> Result<Answer<ActionAnswer>, Refusal> {
    Ok(Answer(ActionAnswer { incident: id.0, message }))
}
