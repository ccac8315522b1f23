//! The engine's errors as answers: one text for the caller, another for the log.

use std::any::Any;

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::response::IntoResponse;
use tracing::{error, warn};

use crate::exchange::EngineError;
use crate::protocol::problem::CONTENT_TYPE;
use crate::protocol::{Problem, ProblemType};
use crate::store::StoreError;

/// An answer that says no.
pub struct Refusal(Problem);

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<EngineError> for Refusal {
    fn from(fault: EngineError) -> Self {
        match fault {
            EngineError::Refused(problem) => Self(*problem),
            EngineError::Store(StoreError::Query(reason)) => Self(ProblemType::BadRequest.with(reason)),
            EngineError::Store(StoreError::Busy(reason)) => {
                warn!(event = "request_failed", reason, "the store is busy");
                Self(ProblemType::Busy.with("the incident store is busy; try again"))
            }
            EngineError::Peer(fault) => Self(ProblemType::Busy.with(format!("the site above: {fault}"))),
            fault => {
                error!(event = "request_failed", reason = %fault, "a request could not be answered");
                Self(ProblemType::Internal.with("the site's log says more"))
            }
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> axum::response::Response {
        answer(&self.0)
    }
}

fn answer(problem: &Problem) -> Response<Body> {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = serde_json::to_vec(problem).unwrap_or_default();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"casebridge\""));
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// A panic in one request is that request's affair.
pub fn panicked(_: Box<dyn Any + Send + 'static>) -> Response<Body> {
    error!(event = "request_failed", reason = "panic", "a request could not be answered");
    answer(&ProblemType::Internal.with("the site's log says more"))
}
