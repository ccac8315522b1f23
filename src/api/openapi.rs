//! `/openapi.json`: the document that the tests hold the daemon to.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use utoipa::OpenApi;
use utoipa::openapi::schema::{AdditionalProperties, Schema};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

use super::{
    attachments, cases, contacts, digests, exchanges, hand_over, health, history, jobs, local, metrics, operations,
    people, reactions, receipts, site, transactions, updates,
};
use crate::protocol::problem::CONTENT_TYPE;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "casebridge",
        description = "The case-exchange protocol between sites (tag `protocol`, over the network, with a client's \
            credentials), the cases (tag `cases`, over the network with an operator's token, or over the site's Unix socket), and \
            the verbs of the commands (tag `local`, over the Unix socket)."
    ),
    paths(
        site::site,
        operations::operations,
        transactions::transactions,
        transactions::transaction,
        updates::updates,
        exchanges::exchanges,
        digests::digests,
        receipts::get,
        receipts::post,
        attachments::offset,
        attachments::put,
        attachments::get,
        health::healthz,
        health::readyz,
        local::status,
        metrics::metrics,
        local::incidents,
        local::show,
        local::why,
        local::open,
        local::link,
        local::resync,
        local::submit,
        local::escalate,
        local::draft,
        local::accept,
        local::overrule,
        local::update,
        local::resolve,
        local::close,
        local::reopen,
        local::cancel,
        local::reject,
        hand_over::assign,
        hand_over::take,
        hand_over::active,
        hand_over::comment,
        hand_over::edit_comment,
        history::history,
        history::end,
        history::disclosed,
        history::keys,
        history::pin,
        history::rotate,
        people::parties,
        people::add_party,
        people::remove_party,
        people::mails,
        people::retry_mails,
        contacts::contacts,
        local::deposit,
        local::outbox,
        local::parked,
        local::retry,
        local::reconcile,
        reactions::list,
        reactions::change,
        reactions::runs,
        reactions::retry,
        jobs::jobs,
        jobs::run,
    )
)]
struct Document;

/// The document as it is served.
pub fn document() -> utoipa::openapi::OpenApi {
    let mut document = Document::openapi();
    let scheme = |scheme| SecurityScheme::Http(HttpBuilder::new().scheme(scheme).build());
    let components = document.components.get_or_insert_default();
    components.add_security_scheme("client", scheme(HttpAuthScheme::Basic));
    components.add_security_scheme("token", scheme(HttpAuthScheme::Bearer));
    components.add_security_scheme(cases::SCHEME, scheme(HttpAuthScheme::Bearer));
    if let Some(RefOr::T(Schema::OneOf(changes))) = components.schemas.get_mut("ReactionChange") {
        changes.items.iter_mut().for_each(close);
    }
    cases::describe(&mut document);
    for item in document.paths.paths.values_mut() {
        let reading = [&mut item.get, &mut item.head];
        let writing = [&mut item.put, &mut item.post, &mut item.patch, &mut item.delete];
        for operation in reading.into_iter().chain(writing).flatten() {
            complete(&mut operation.responses.responses);
            if operation.tags.iter().flatten().any(|tag| tag == cases::TAG) {
                continue;
            }
            // Who may come with a password may come with a token.
            if let Some(security) = &mut operation.security {
                security.push(SecurityRequirement::new("token", Vec::<String>::new()));
            }
        }
    }
    document
}

/// Nothing stands beside what an object names: of the kinds of an enum utoipa does not say so.
fn close(kind: &mut RefOr<Schema>) {
    if let RefOr::T(Schema::Object(object)) = kind {
        object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
    }
}

/// Every answer says what its status means, and whatever is not told apart is a problem document.
fn complete(responses: &mut BTreeMap<String, RefOr<Response>>) {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let other = ResponseBuilder::new().description("A problem").content(CONTENT_TYPE, content).build();
    responses.insert("default".to_owned(), other.into());
    for (status, response) in responses {
        let meaning = status.parse().ok().and_then(|status| StatusCode::from_u16(status).ok()?.canonical_reason());
        if let (RefOr::T(response), Some(meaning)) = (response, meaning)
            && response.description.is_empty()
        {
            response.description = meaning.to_owned();
        }
    }
}

pub async fn serve() -> axum::response::Response {
    /// Made once: whoever asks need not be anybody.
    static TEXT: LazyLock<Vec<u8>> = LazyLock::new(|| serde_json::to_vec(&document()).unwrap_or_default());
    ([(header::CONTENT_TYPE, "application/json")], TEXT.as_slice()).into_response()
}
