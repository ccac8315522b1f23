//! `/openapi.json`: the document that the tests hold the daemon to.

use axum::response::IntoResponse;
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};

use super::body::Answer;
use super::{exchanges, health, local, operations, site, transactions, updates};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "casebridge",
        description = "The case-exchange protocol between sites (tag `protocol`, over the network, with credentials) \
            and the verbs of the commands (tag `local`, over the site's Unix socket)."
    ),
    paths(
        site::site,
        operations::operations,
        transactions::transactions,
        transactions::transaction,
        updates::updates,
        exchanges::exchanges,
        health::healthz,
        health::readyz,
        local::status,
        local::incidents,
        local::show,
        local::submit,
        local::draft,
        local::accept,
        local::update,
        local::resolve,
        local::close,
        local::reject,
        local::deposit,
        local::outbox,
        local::parked,
        local::retry,
    )
)]
struct Document;

/// The document as it is served.
pub fn document() -> utoipa::openapi::OpenApi {
    let mut document = Document::openapi();
    let scheme = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Basic).build());
    document.components.get_or_insert_default().add_security_scheme("client", scheme);
    document
}

pub async fn serve() -> impl IntoResponse {
    Answer(document())
}
