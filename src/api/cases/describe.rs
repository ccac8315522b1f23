//! What the table of endpoints says, in the OpenAPI document: permissions, codes, and what each call does.

use axum::http::Method;
use serde_json::json;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, ResponseBuilder};

use super::Endpoint;
use crate::case::Permission;
use crate::protocol::problem::CONTENT_TYPE;

/// The tag of the operations.
pub const TAG: &str = "cases";
/// The name of the security scheme: an operator's token.
pub const SCHEME: &str = "operator";

/// Adds the endpoints to the document of everything else.
pub fn describe(document: &mut OpenApi) {
    document.merge(Endpoint::documented());
    for endpoint in Endpoint::ALL {
        let item = document.paths.paths.get_mut(endpoint.path());
        if let Some(operation) = item.and_then(|item| operation(item, &endpoint.method())) {
            complete(operation, *endpoint);
        }
    }
}

fn operation<'i>(item: &'i mut PathItem, method: &Method) -> Option<&'i mut Operation> {
    let operation = match *method {
        Method::POST => &mut item.post,
        Method::PUT => &mut item.put,
        Method::PATCH => &mut item.patch,
        Method::DELETE => &mut item.delete,
        _ => &mut item.get,
    };
    operation.as_mut()
}

fn complete(operation: &mut Operation, endpoint: Endpoint) {
    let fitting: Vec<&str> = endpoint.permissions().iter().map(|one| one.as_str()).collect();
    let everything = Some(Permission::Everything.as_str()).filter(|one| !fitting.contains(one));
    let either: Vec<&str> = fitting.iter().copied().chain(everything).collect();
    let takes = format!("Takes {}.", either.join(" or "));
    let code = endpoint.code().map(|code| format!(" Its code is {code}."));
    operation.description = Some(takes + &code.unwrap_or_default());
    operation.summary = Some(endpoint.help().to_owned());
    operation.operation_id = Some(format!("case{endpoint:?}"));
    operation.security = Some(either.into_iter().map(|one| SecurityRequirement::new(SCHEME, [one])).collect());
    let said = [
        ("x-permissions", json!(fitting)),
        ("x-code", json!(endpoint.code())),
        ("x-message", json!(endpoint.code().map(|code| code.message()))),
    ];
    operation.extensions.get_or_insert_default().merge(Extensions::from_iter(said));
    let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    for (status, meaning) in [("401", "No operator's token that is good here"), ("403", "The permission is missing")] {
        let response = ResponseBuilder::new().description(meaning).content(CONTENT_TYPE, problem.clone()).build();
        operation.responses.responses.entry(status.to_owned()).or_insert_with(|| response.into());
    }
}
