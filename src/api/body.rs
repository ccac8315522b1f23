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
use super::room::{Held, Room, SMALL};
use crate::case::text::shown;
use crate::protocol::bounded::{is_bounded, too_many};
use crate::protocol::problem::misread;
use crate::protocol::{Object, Problem, ProblemType};

/// The most bytes beyond the limit that are read and thrown away: a caller that is cut off while it sends would see a
/// broken connection in place of the answer.
const LINGER: u64 = 64 << 20;

/// The whole body.
pub async fn read(body: Body, limit: usize, within: Duration) -> Result<Vec<u8>, Refusal> {
    Ok(take(body, limit, within, None).await?.0)
}

/// What of a body is here.
struct Taken {
    bytes: Vec<u8>,
    count: u64,
    limit: u64,
}

impl Taken {
    /// Takes more until it is more than `until`; whether that was the end. Nothing is kept beyond the limit.
    async fn go_on(&mut self, body: &mut Body, until: u64) -> Result<bool, Problem> {
        while self.count <= until {
            let Some(frame) = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await else {
                return Ok(true);
            };
            let frame = frame.map_err(|_| ProblemType::BadRequest.with("the body broke off"))?;
            let Ok(data) = frame.into_data() else { continue };
            self.count += data.len() as u64;
            if self.count <= self.limit {
                self.bytes.extend_from_slice(&data);
            }
        }
        Ok(false)
    }
}

/// The whole body; more than a little of it only once there is room.
async fn take(
    mut body: Body,
    limit: usize,
    within: Duration,
    room: Option<&Room>,
) -> Result<(Vec<u8>, Option<Held>), Refusal> {
    let too_large = || ProblemType::TooLarge.with(format!("at most {limit} bytes are taken"));
    let most = limit as u64 + LINGER;
    if body.size_hint().lower() > most {
        return Err(too_large().into());
    }
    let mut taken = Taken { bytes: Vec::new(), count: 0, limit: limit as u64 };
    let mut held = None;
    let mut outcome = tokio::time::timeout(within, taken.go_on(&mut body, SMALL as u64)).await;
    if let Ok(Ok(false)) = outcome {
        let rest = body.size_hint().exact().and_then(|rest| usize::try_from(rest).ok());
        let whole = rest.map_or(limit, |rest| taken.bytes.len().saturating_add(rest));
        if let (Some(room), true) = (room, whole <= limit) {
            held = Some(room.enter(whole, within).await?);
        }
        // At once, where the length is known: a buffer that grows leaves its smaller selves behind it.
        taken.bytes.reserve_exact(whole.min(limit).saturating_sub(taken.bytes.len()));
        outcome = tokio::time::timeout(within, taken.go_on(&mut body, most)).await;
    }
    if taken.count > limit as u64 {
        return Err(too_large().into());
    }
    match outcome {
        Ok(Ok(_)) => Ok((taken.bytes, held)),
        Ok(Err(problem)) => Err(problem.into()),
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
    check_type(headers)?;
    Ok(parse(&read(body, limit, within).await?)?)
}

/// The same for a client's body, which may be large: it is taken once there is room, and read where it holds up nobody. The room
/// is given back when what comes along is dropped.
pub async fn large_json<T: DeserializeOwned + Send + 'static>(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
    within: Duration,
    room: &Room,
) -> Result<(T, Option<Held>), Refusal> {
    check_type(headers)?;
    let (bytes, held) = take(body, limit, within, Some(room)).await?;
    if held.is_none() {
        return Ok((parse(&bytes)?, None));
    }
    let turn = room.turn().await;
    let reading = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        parse(&bytes)
    });
    let read = reading.await.map_err(|_| ProblemType::Internal.with("the site's log says more"))?;
    Ok((read?, held))
}

/// Refuses a body that was packed: what is inside would have no bound.
pub fn check_encoding(headers: &HeaderMap) -> Result<(), Problem> {
    let encodings = headers.get_all(header::CONTENT_ENCODING).into_iter();
    let packed =
        encodings.map(|value| value.to_str().unwrap_or("?")).find(|value| !value.eq_ignore_ascii_case("identity"));
    match packed {
        None => Ok(()),
        Some(packed) => {
            let packed = shown(packed, 20);
            Err(ProblemType::ContentEncoding.with(format!("send it as it is, without Content-Encoding: {packed}")))
        }
    }
}

fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    check_encoding(headers)?;
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    match media_type.eq_ignore_ascii_case("application/json") {
        true => Ok(()),
        false => Err(ProblemType::MediaType.with("send Content-Type: application/json")),
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    if !is_bounded(bytes) {
        return Err(ProblemType::BadRequest.with(too_many()));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let Object(value) = serde_path_to_error::deserialize(&mut deserializer).map_err(|fault| unread(bytes, &fault))?;
    deserializer.end().map_err(|fault| ProblemType::BadRequest.with(format!("after the JSON value: {fault}")))?;
    Ok(value)
}

/// What no JSON reader says by itself: that the bytes are no text.
fn unread(bytes: &[u8], fault: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    ProblemType::BadRequest.with(match std::str::from_utf8(bytes) {
        Ok(_) => misread(fault, ""),
        Err(no_text) => format!("the body is not UTF-8 at byte {}; send the JSON as UTF-8", no_text.valid_up_to() + 1),
    })
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
