//! The HTTP doors: one for peers, over the network, and one for the site's own people, over a Unix socket. They ask the
//! engine and never touch state.

mod attachments;
mod auth;
mod body;
mod came_in;
pub mod cases;
mod contacts;
mod digests;
mod exchanges;
#[cfg(test)]
mod fuzz;
mod hand_over;
mod health;
mod history;
mod jobs;
mod keyring;
mod limits;
mod local;
mod metrics;
mod openapi;
mod operations;
mod people;
mod problem;
mod query;
mod reactions;
mod receipts;
mod room;
mod site;
mod transactions;
mod updates;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{Method, Uri};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post};
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;

use crate::exchange::{Engine, by_user};
use crate::protocol::ProblemType;

pub use openapi::document;
use problem::Refusal;

/// What the handlers share.
#[derive(Clone)]
pub struct Door {
    engine: Engine,
    /// Ends waiting polls when the daemon stops.
    stop: CancellationToken,
    deposit: Arc<dyn Fn(Vec<u8>) -> Result<crate::case::Deposit, String> + Send + Sync>,
    guard: Arc<auth::Guard>,
    limits: Arc<limits::Limits<crate::case::Alias>>,
    rooms: Arc<room::Rooms>,
    /// By the ID of the token.
    operators: Arc<limits::Limits<String>>,
    /// What reads through much of the store, by client and address.
    reads: Arc<limits::Limits<(crate::case::Alias, &'static str)>>,
}

/// The certificate that a client showed, once its authority was found to be ours.
#[derive(Debug, Clone)]
pub struct Presented {
    /// Its DNS names, in small letters.
    pub names: Vec<String>,
    pub ends: Timestamp,
    pub vouched: Arc<dyn Vouched>,
}

/// The user whose process calls over the Unix socket; none where the kernel does not say.
#[derive(Debug, Clone, Copy)]
pub struct Calling(pub Option<u32>);

/// The word of the authorities for a certificate.
pub trait Vouched: std::fmt::Debug + Send + Sync {
    /// Whether it stands before the authorities that count now.
    fn holds(&self) -> bool;
}

impl Presented {
    /// A connection may stay open for longer than the certificate that opened it.
    fn counts(&self, now: Timestamp) -> bool {
        self.ends > now && self.vouched.holds()
    }
}

impl Door {
    /// `deposit` reads a deposited file, a bundle or a JSON incident; its error is a sentence for people.
    pub fn new(
        engine: Engine,
        stop: CancellationToken,
        deposit: Arc<dyn Fn(Vec<u8>) -> Result<crate::case::Deposit, String> + Send + Sync>,
    ) -> Self {
        Self {
            engine,
            stop,
            deposit,
            guard: Arc::default(),
            limits: Arc::default(),
            rooms: Arc::default(),
            operators: Arc::default(),
            reads: Arc::default(),
        }
    }

    /// Whether somebody came in with credentials from this network since the start.
    pub fn knows(&self, network: std::net::IpAddr) -> bool {
        self.guard.came_in.has(network)
    }
}

/// The wire protocol, for peers, and the cases, for operators with a token. Everything but health and the OpenAPI document
/// needs credentials.
pub fn peer_router(door: Door) -> Router {
    let few = |path, at_once| middleware::from_fn_with_state((door.clone(), path, at_once), limits::few);
    let protocol = Router::new()
        .route("/v1/site", get(site::site))
        .route("/v1/operations", post(operations::operations))
        .route("/v1/transactions", get(transactions::transactions))
        .route("/v1/transactions/{id}", get(transactions::transaction))
        .route("/v1/updates", get(updates::updates))
        .route("/v1/exchanges", get(exchanges::exchanges).route_layer(few("/v1/exchanges", 2)))
        .route("/v1/digests", get(digests::digests).route_layer(few("/v1/digests", 1)))
        .route("/v1/receipts", get(receipts::get).route_layer(few("/v1/receipts", 2)).post(receipts::post))
        .route("/v1/attachments/{sha256}", get(attachments::get).head(attachments::offset).put(attachments::put))
        .route_layer(middleware::from_fn_with_state(door.clone(), limits::limit))
        .route_layer(middleware::from_fn_with_state(door.clone(), auth::authenticate));
    let cases = cases::router(&door, cases::Way::Network);
    finish(protocol.merge(cases).merge(open_to_all()), door)
}

/// The verbs of the commands. The permissions of the socket's file say who may use them.
pub fn local_router(door: Door) -> Router {
    let cases = cases::router(&door, cases::Way::Socket);
    let commands = local::routes().merge(hand_over::routes()).merge(history::routes()).merge(jobs::routes());
    let commands = commands.merge(people::routes()).merge(contacts::routes()).merge(reactions::routes());
    let routes = commands.merge(cases).route_layer(middleware::from_fn(for_user));
    finish(routes.merge(open_to_all()), door)
}

/// What is done stands in the history as done by the user who calls.
async fn for_user(request: Request, next: Next) -> Response {
    match request.extensions().get::<Calling>().copied() {
        Some(Calling(Some(uid))) => by_user(uid, next.run(request)).await,
        Some(Calling(None)) | None => next.run(request).await,
    }
}

fn open_to_all() -> Router<Door> {
    Router::new()
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/openapi.json", get(openapi::serve))
}

fn finish(routes: Router<Door>, door: Door) -> Router {
    routes
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        // Bodies are read by `body`, with the settings' own limit.
        .layer(DefaultBodyLimit::disable())
        .layer(CatchPanicLayer::custom(problem::panicked))
        .with_state(door)
}

async fn unknown(uri: Uri) -> Refusal {
    let version = uri.path().split('/').nth(1).unwrap_or_default();
    let names_version = version.strip_prefix('v').is_some_and(|number| number.parse::<u32>().is_ok());
    if names_version && version != "v1" {
        return ProblemType::UnknownVersion.with(crate::protocol::problem::unknown_version(version)).into();
    }
    ProblemType::NotFound.with("see /openapi.json for what there is").into()
}

async fn wrong_method(method: Method) -> Refusal {
    let name: String = method.as_str().chars().take(20).collect();
    ProblemType::MethodNotAllowed.with(format!("{name} is not one of the methods here")).into()
}
