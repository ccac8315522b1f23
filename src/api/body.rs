//! Request bodies: bounded in length and in time, and of the right type before they are read.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::problem::Refusal;
use crate::protocol::problem::misread;
use crate::protocol::{Object, Problem, ProblemType};

/// The most bytes beyond the limit that are read and thrown away: a caller that is cut off while it sends would see a
/// broken connection in place of the answer.
const LINGER: u64 = 64 << 20;

/// The whole body.
pub async fn read(mut body: Body, limit: usize, within: Duration) -> Result<Vec<u8>, Refusal> {
    let too_large = || ProblemType::TooLarge.with(format!("at most {limit} bytes are taken"));
    let most = limit as u64 + LINGER;
    if body.size_hint().lower() > most {
        return Err(too_large().into());
    }
    let mut bytes = Vec::new();
    let mut count = 0;
    let reading = async {
        while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            let frame = frame.map_err(|_| ProblemType::BadRequest.with("the body broke off"))?;
            let Ok(data) = frame.into_data() else { continue };
            count += data.len() as u64;
            if count <= limit as u64 {
                bytes.extend_from_slice(&data);
            } else if count > most {
                break;
            }
        }
        Ok::<(), Problem>(())
    };
    let outcome = tokio::time::timeout(within, reading).await;
    if count > limit as u64 {
        return Err(too_large().into());
    }
    match outcome {
        Ok(read) => read.map(|()| bytes).map_err(Refusal::from),
        Err(_) => Err(ProblemType::TimedOut.with("the body took too long").into()),
    }
}

/// A JSON body as what it has to be; the problem names the place.
pub async fn json<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
    within: Duration,
) -> Result<T, Refusal> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        return Err(ProblemType::MediaType.with("send Content-Type: application/json").into());
    }
    let bytes = read(body, limit, within).await?;
    let mut deserializer = serde_json::Deserializer::from_slice(&bytes);
    let Object(value) = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|fault| ProblemType::BadRequest.with(misread(&fault, "")))?;
    deserializer.end().map_err(|fault| ProblemType::BadRequest.with(format!("after the JSON value: {fault}")))?;
    Ok(value)
}

/// A JSON answer.
pub struct Answer<T>(pub T);

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
            Err(fault) => {
                tracing::error!(event = "request_failed", reason = %fault, "an answer cannot be written as JSON");
                Refusal::from(ProblemType::Internal.with("the site's log says more")).into_response()
            }
        }
    }
}
