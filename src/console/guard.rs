//! What holds for every page: one address asks so much and no more, and a page does nothing but be read.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::warn;

use super::page::Fault;
use super::{Console, tongue};
use crate::clock::{Throttle, network};
use crate::telemetry::Seldom;

#[derive(Default)]
pub struct Guard {
    requests: Throttle,
    told: Seldom<IpAddr>,
}

/// A page loads its style from here and nothing from anywhere; its form goes back to where it came from; no other page shows
/// it in a frame; no cache keeps it, and nobody that it leads to is told the link.
const HEADERS: [(HeaderName, &str); 7] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("x-robots-tag"), "noindex, nofollow"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (header::VARY, "accept-language"),
];

pub async fn guard(State(console): State<Console>, request: Request, next: Next) -> Response {
    let settings = console.engine.settings();
    let language = tongue::of_request(&settings, request.uri().query(), request.headers());
    let Some(pages) = &settings.pages else {
        return secured(Fault::NotOurs.page(language, &settings, String::new()).into_response());
    };
    let address = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip());
    let address = network(address.unwrap_or(IpAddr::from([0, 0, 0, 0])));
    let now = Instant::now();
    if let Some(wait) = console.guard.requests.take(address, pages.requests_per_minute, now) {
        if let Some(requests) = console.guard.told.note(address, now) {
            warn!(event = "pages_limited", %address, requests, "an address asks for too many pages");
        }
        return secured(Fault::TooMany { wait }.page(language, &settings, String::new()).into_response());
    }
    secured(next.run(request).await)
}

fn secured(mut response: Response) -> Response {
    let headers: &mut HeaderMap = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
