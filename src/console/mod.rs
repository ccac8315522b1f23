//! Pages for the people of a case: the incident form, the answer to a request, the closing confirmed or refused
//! . Whoever has a link needs nothing else: no account, no script, no program but a browser.
//!
//! Looking changes nothing: programs that follow the links of every mail come before its reader does. The button of a page
//! does what the page is for, once, and leads back to the same address, which tells from then on what was done.

mod body;
mod fields;
mod guard;
mod link;
mod page;
mod tongue;
mod words;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tower_http::catch_panic::CatchPanicLayer;

use crate::case::Links;
use crate::exchange::Engine;

/// What the handlers share.
#[derive(Clone)]
pub struct Console {
    engine: Engine,
    links: Arc<Links>,
    guard: Arc<guard::Guard>,
}

impl Console {
    pub fn new(engine: Engine, links: Arc<Links>) -> Self {
        Self { engine, links, guard: Arc::default() }
    }
}

/// The pages, for the door that clients come in by.
pub fn router(console: Console) -> Router {
    Router::new()
        .route("/p/style.css", get(style))
        .route("/p/{pass}", get(link::look).post(link::act))
        .route_layer(middleware::from_fn_with_state(console.clone(), guard::guard))
        // Bodies are read by `body`, with their own limit.
        .layer(DefaultBodyLimit::disable())
        .layer(CatchPanicLayer::custom(page::panicked))
        .with_state(console)
}

async fn style() -> Response {
    let headers = [(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "max-age=3600")];
    (headers, include_str!("../../templates/console/style.css")).into_response()
}
