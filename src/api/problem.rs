//! The engine's errors as answers: one text for the caller, another for the log.

use std::any::Any;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use tracing::{error, warn};

use crate::case::Code;
use crate::exchange::EngineError;
use crate::protocol::problem::CONTENT_TYPE;
use crate::protocol::{Problem, ProblemType};
use crate::store::StoreError;

/// An answer that says no.
#[derive(Debug)]
pub struct Refusal {
    problem: Problem,
    retry_after: Option<Duration>,
}

impl Refusal {
    /// With the time after which it may be otherwise.
    pub fn wait(problem: Problem, wait: Duration) -> Self {
        Self { problem, retry_after: Some(wait) }
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        let retry_after = (problem.status == 503).then_some(Duration::from_secs(1));
        Self { problem, retry_after }
    }
}

impl From<EngineError> for Refusal {
    fn from(fault: EngineError) -> Self {
        match fault {
            EngineError::Refused(problem) => (*problem).into(),
            EngineError::Store(StoreError::Query(reason)) => ProblemType::BadRequest.with(reason).into(),
            EngineError::Store(StoreError::Busy(reason)) => {
                warn!(event = "request_failed", reason, "the store is busy");
                ProblemType::Busy.with("the incident store is busy; try again").into()
            }
            EngineError::Peer(fault) => ProblemType::Busy.with(format!("the site above: {fault}")).into(),
            fault => {
                error!(event = "request_failed", reason = %fault, "a request could not be answered");
                ProblemType::Internal.with("the site's log says more").into()
            }
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> axum::response::Response {
        answer(&self)
    }
}

fn answer(refusal: &Refusal) -> Response<Body> {
    let problem = &refusal.problem;
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = serde_json::to_vec(problem).unwrap_or_default();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.extensions_mut().insert(problem.clone());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static("Basic realm=\"casebridge\", Bearer realm=\"casebridge\""),
        );
    }
    if let Some(wait) = refusal.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs_f64().ceil().max(1.0) as u64));
    }
    response
}

/// The same answer with the code of the call that it was given to, if it is a problem.
pub fn with_code(mut response: Response<Body>, code: Code) -> Response<Body> {
    if let Some(mut problem) = response.extensions_mut().remove::<Problem>() {
        problem.code = Some(code.as_str().to_owned());
        *response.body_mut() = Body::from(serde_json::to_vec(&problem).unwrap_or_default());
    }
    response
}

/// A panic in one request is that request's affair.
pub fn panicked(_: Box<dyn Any + Send + 'static>) -> Response<Body> {
    error!(event = "request_failed", reason = "panic", "a request could not be answered");
    answer(&ProblemType::Internal.with("the site's log says more").into())
}
