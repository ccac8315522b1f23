//! `PUT/HEAD/GET /v1/attachments/{sha256}?exchange=`

use axum::Extension;
use axum::body::Body;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Door;
use super::auth::Caller;
use super::body::{self, Answer};
use super::problem::Refusal;
use crate::case::{ContentDigest, ExchangeId};
use crate::protocol::attachment::{OFFSET, PIECE_LIMIT, read_range};
use crate::protocol::{self, AttachmentAnswer, ContentRange, ProblemType};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AttachmentQuery {
    /// The exchange in which the file was announced.
    #[param(value_type = ExchangeId)]
    exchange: String,
}

type Named = (Result<Path<String>, PathRejection>, Result<Query<AttachmentQuery>, QueryRejection>);

/// Which file of which exchange.
fn named((sha256, query): Named) -> Result<(ContentDigest, ExchangeId), Refusal> {
    let Query(query) = query.map_err(|_| ProblemType::BadRequest.with("give `exchange`"))?;
    let exchange = query.exchange.parse().map_err(|_| ProblemType::BadRequest.with("`exchange` is no exchange ID"))?;
    let sha256 = sha256.map(|Path(text)| text).unwrap_or_default();
    let sha256 =
        sha256.parse().map_err(|fault: crate::case::NotADigest| ProblemType::BadRequest.with(fault.to_string()))?;
    Ok((sha256, exchange))
}

fn header<'h>(headers: &'h HeaderMap, name: &header::HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// How many bytes of a file that the client announced are here, in the header `Upload-Offset`: where to go on.
#[utoipa::path(head, path = "/v1/attachments/{sha256}", tag = "protocol", security(("client" = [])),
    params(("sha256" = ContentDigest, Path), AttachmentQuery), responses(
    (status = 200, headers(("Upload-Offset" = u64, description = "Bytes that are here"))),
    (status = 400, body = protocol::Problem, content_type = "application/problem+json"),
    (status = 401, body = protocol::Problem, content_type = "application/problem+json"),
    (status = 404, body = protocol::Problem, content_type = "application/problem+json"),
    (status = 409, body = protocol::Problem, content_type = "application/problem+json"),
    (status = 422, body = protocol::Problem, content_type = "application/problem+json")
))]
pub async fn offset(
    State(door): State<Door>,
    Extension(Caller(client)): Extension<Caller>,
    path: Result<Path<String>, PathRejection>,
    query: Result<Query<AttachmentQuery>, QueryRejection>,
) -> Result<Response, Refusal> {
    let (sha256, exchange) = named((path, query))?;
    let received = door.engine.attachment_offset(&client, exchange, &sha256).await?;
    Ok([(OFFSET, received.to_string())].into_response())
}

/// One piece of a file that the client announced; `Content-Range` says which. Answered once it is durable. The last one is
/// checked against the digest.
#[utoipa::path(put, path = "/v1/attachments/{sha256}", tag = "protocol", security(("client" = [])),
    params(("sha256" = ContentDigest, Path), AttachmentQuery,
        ("Content-Range" = String, Header, pattern = r"^bytes [0-9]+-[0-9]+/[0-9]+$", description = "`bytes FIRST-LAST/LENGTH`; 65,536 to 1,048,576 bytes, fewer at the end")),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"), responses(
    (status = 200, body = AttachmentAnswer),
    (status = 400, body = protocol::Problem, content_type = "application/problem+json"),
    (status = 401, body = protocol::Problem, content_type = "application/problem+json"),
    (status = 404, body = protocol::Problem, content_type = "application/problem+json"),
    (status = 409, body = protocol::Problem, content_type = "application/problem+json"),
    (status = 413, body = protocol::Problem, content_type = "application/problem+json"),
    (status = 415, body = protocol::Problem, content_type = "application/problem+json"),
    (status = 422, body = protocol::Problem, content_type = "application/problem+json")
))]
pub async fn put(
    State(door): State<Door>,
    Extension(Caller(client)): Extension<Caller>,
    path: Result<Path<String>, PathRejection>,
    query: Result<Query<AttachmentQuery>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Answer<AttachmentAnswer>, Refusal> {
    let (sha256, exchange) = named((path, query))?;
    let range = header(&headers, &header::CONTENT_RANGE).and_then(ContentRange::parse);
    let range = range.ok_or_else(|| ProblemType::BadRequest.with("give Content-Range: bytes FIRST-LAST/LENGTH"))?;
    body::check_encoding(&headers)?;
    let settings = door.engine.settings();
    let within = settings.listen.as_ref().map(|listen| listen.read_timeout).unwrap_or_default();
    let piece = body::read(body, PIECE_LIMIT as usize, within).await?;
    Ok(Answer(door.engine.put_attachment(&client, exchange, &sha256, range, piece).await?))
}

/// A piece of a file that was announced to the client: from the beginning, or as `Range` says; at most 1,048,576 bytes.
#[utoipa::path(get, path = "/v1/attachments/{sha256}", tag = "protocol", security(("client" = [])),
    params(("sha256" = ContentDigest, Path), AttachmentQuery,
        ("Range" = Option<String>, Header, pattern = r"^bytes=[0-9]+-[0-9]*$", description = "`bytes=FIRST-` or `bytes=FIRST-LAST`")), responses(
    (status = 206, body = Vec<u8>, content_type = "application/octet-stream",
        headers(("Content-Range" = String, description = "`bytes FIRST-LAST/LENGTH`"))),
    (status = 400, body = protocol::Problem, content_type = "application/problem+json"),
    (status = 401, body = protocol::Problem, content_type = "application/problem+json"),
    (status = 404, body = protocol::Problem, content_type = "application/problem+json"),
    (status = 409, body = protocol::Problem, content_type = "application/problem+json"),
    (status = 416, body = protocol::Problem, content_type = "application/problem+json")
))]
pub async fn get(
    State(door): State<Door>,
    Extension(Caller(client)): Extension<Caller>,
    path: Result<Path<String>, PathRejection>,
    query: Result<Query<AttachmentQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let (sha256, exchange) = named((path, query))?;
    let range = match header(&headers, &header::RANGE) {
        None => (0, None),
        Some(text) => {
            read_range(text).ok_or_else(|| ProblemType::BadRequest.with("give Range: bytes=FIRST-LAST, one range"))?
        }
    };
    let (range, piece) = door.engine.get_attachment(&client, exchange, &sha256, range).await?;
    let mut response = (StatusCode::PARTIAL_CONTENT, piece).into_response();
    // Whatever it is, it is not to be looked at by a browser.
    let octets = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, octets);
    if let Ok(value) = HeaderValue::from_str(&range.to_string()) {
        response.headers_mut().insert(header::CONTENT_RANGE, value);
    }
    Ok(response)
}
