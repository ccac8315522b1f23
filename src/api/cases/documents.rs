//! Files of a case: `GET`, `PUT` and `DELETE /v1/cases/{id}/documents/{name}` (M-11).

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;

use super::call::{self, Id, Pair, done, find, id, pair};
use super::{Caller, Coded};
use crate::api::Door;
use crate::api::body::{Answer, check_encoding};
use crate::api::problem::Refusal;
use crate::exchange::{Download, Engine, EngineError, Spool};
use crate::protocol::cases::{CaseAnswer, CaseDocuments};
use crate::protocol::{Problem, ProblemType};

/// How long a whole upload may take, and the silence between two pieces of it.
const UPLOAD_WITHIN: Duration = Duration::from_secs(900);
const SILENCE: Duration = Duration::from_secs(20);

/// The files of a case: what is known of each, and where its content is.
#[utoipa::path(get, path = "/v1/cases/{id}/documents", tag = "cases", params(("id" = String, Path)), responses(
    (status = 200, body = Coded<CaseDocuments>),
    (status = 404, body = Problem, content_type = "application/problem+json")
))]
pub async fn documents(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    path: Id,
) -> Result<Answer<Coded<CaseDocuments>>, Refusal> {
    let case = find(&door, &caller, &id(path)?).await?;
    Ok(caller.answer(CaseDocuments { documents: door.engine.case_documents(case).await? }))
}

/// Puts a file to a case; the body is its content. It goes to the peers as every attachment does. One of the same name that was
/// put here before is replaced.
#[utoipa::path(put, path = "/v1/cases/{id}/documents/{name}", tag = "cases",
    params(("id" = String, Path), ("name" = String, Path)),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"), responses(
    (status = 200, body = Coded<CaseAnswer>),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 409, body = Problem, content_type = "application/problem+json"),
    (status = 412, body = Problem, content_type = "application/problem+json"),
    (status = 413, body = Problem, content_type = "application/problem+json"),
    (status = 415, body = Problem, content_type = "application/problem+json"),
    (status = 422, body = Problem, content_type = "application/problem+json")
))]
pub async fn upload(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    path: Pair,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let (case, name) = pair(path)?;
    let call = call::call(&door, &caller, &case, &headers, "").await?;
    check_encoding(&headers)?;
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let late = |_| Refusal::from(ProblemType::TimedOut.with("the body took too long"));
    let spool = tokio::time::timeout(UPLOAD_WITHIN, receive(&door.engine, body)).await.map_err(late)??;
    Ok(done(&caller, door.engine.put_document(&call, name, media_type, spool).await?))
}

/// The body, on the disk.
async fn receive(engine: &Engine, mut body: Body) -> Result<Spool, Refusal> {
    let mut spool = engine.spool().await?;
    loop {
        let next = poll_fn(|context| Pin::new(&mut body).poll_frame(context));
        let frame = tokio::time::timeout(SILENCE, next).await;
        let frame = frame.map_err(|_| ProblemType::TimedOut.with("the body took too long"))?;
        let Some(frame) = frame else { return Ok(spool) };
        let frame = frame.map_err(|_| ProblemType::BadRequest.with("the body broke off"))?;
        let Ok(data) = frame.into_data() else { continue };
        spool.push(&data).await.map_err(EngineError::from)?;
    }
}

/// The content of a file, whole. Whatever it is, it is not to be looked at by a browser.
#[utoipa::path(get, path = "/v1/cases/{id}/documents/{name}", tag = "cases",
    params(("id" = String, Path), ("name" = String, Path)), responses(
    (status = 200, body = Vec<u8>, content_type = "application/octet-stream"),
    (status = 404, body = Problem, content_type = "application/problem+json")
))]
pub async fn download(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    path: Pair,
) -> Result<Response, Refusal> {
    let (case, name) = pair(path)?;
    let case = find(&door, &caller, &case).await?;
    let download = door.engine.document(case, &name).await?;
    let bytes = download.bytes;
    let mut response = Body::from_stream(pieces(door.engine, download)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(bytes));
    Ok(response)
}

/// One piece in memory at a time. Where the content ends too early the connection does, and nobody takes half a file for a
/// whole one.
fn pieces(engine: Engine, download: Download) -> impl stream::Stream<Item = Result<Bytes, EngineError>> {
    stream::unfold((engine, download, 0), |(engine, download, start)| async move {
        if start >= download.bytes {
            return None;
        }
        let piece = match engine.document_piece(&download, start).await {
            Ok(piece) if piece.is_empty() => Err(ProblemType::Busy.with("the document was replaced").into()),
            other => other,
        };
        let next = match &piece {
            Ok(piece) => start + piece.len() as u64,
            Err(_) => u64::MAX,
        };
        Some((piece.map(Bytes::from), (engine, download, next)))
    })
}

/// Takes a file from a case. What a peer has of it stays there.
#[utoipa::path(delete, path = "/v1/cases/{id}/documents/{name}", tag = "cases",
    params(("id" = String, Path), ("name" = String, Path)), responses(
    (status = 200, body = Coded<CaseAnswer>),
    (status = 404, body = Problem, content_type = "application/problem+json"),
    (status = 412, body = Problem, content_type = "application/problem+json")
))]
pub async fn remove(
    State(door): State<Door>,
    Extension(caller): Extension<Caller>,
    path: Pair,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (case, name) = pair(path)?;
    let call = call::call(&door, &caller, &case, &headers, "").await?;
    Ok(done(&caller, door.engine.remove_document(&call, &name).await?))
}
