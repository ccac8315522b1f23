//! What every call on a case has: which case, decided on which revision, in whose name.

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};

use super::Caller;
use crate::api::Door;
use crate::api::problem::Refusal;
use crate::case::{IncidentId, Permission};
use crate::exchange::CaseCall;
use crate::protocol::ProblemType;
use crate::protocol::cases::CaseAnswer;
use crate::store::Seen;

/// The name of a case in an address.
pub type Id = Result<Path<String>, PathRejection>;
/// The name of a case, and of something of it.
pub type Pair = Result<Path<(String, String)>, PathRejection>;

pub fn id(id: Id) -> Result<String, Refusal> {
    id.map(|Path(id)| id).map_err(|_| ProblemType::BadRequest.with("the address is not UTF-8").into())
}

pub fn pair(pair: Pair) -> Result<(String, String), Refusal> {
    pair.map(|Path(pair)| pair).map_err(|_| ProblemType::BadRequest.with("the address is not UTF-8").into())
}

/// What of the cases the caller sees: by its permissions, and by the groups that it is tied to.
pub fn seen(caller: &Caller) -> Seen {
    Seen { sight: caller.sight(), within: caller.groups.clone() }
}

/// The case of this name, if the caller sees it.
pub async fn find(door: &Door, caller: &Caller, name: &str) -> Result<IncidentId, Refusal> {
    Ok(door.engine.find_case(name, &seen(caller)).await?)
}

/// A call on the case of this name in the name of `operator`, or of the caller where that is empty.
pub async fn call(
    door: &Door,
    caller: &Caller,
    name: &str,
    headers: &HeaderMap,
    operator: &str,
) -> Result<CaseCall, Refusal> {
    let case = find(door, caller, name).await?;
    let (operator, person) = (caller.acting_as(operator)?, caller.person(operator)?);
    Ok(CaseCall { case, revision: if_match(headers)?, operator, person })
}

/// The revision that `If-Match` names; none where any will do.
fn if_match(headers: &HeaderMap) -> Result<Option<i64>, Refusal> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let number = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).and_then(|text| text.parse().ok());
    let wrong = || ProblemType::BadRequest.with("give If-Match: \"REVISION\", one revision of the case in quotes");
    number.map(Some).ok_or_else(|| wrong().into())
}

/// An answer with the revision of the case in its `ETag`.
pub fn tagged(revision: i64, answer: impl IntoResponse) -> Response {
    let mut response = answer.into_response();
    if let Ok(value) = HeaderValue::from_str(&format!("\"{revision}\"")) {
        response.headers_mut().insert(header::ETAG, value);
    }
    response
}

/// The answer of an action.
pub fn done(caller: &Caller, answer: CaseAnswer) -> Response {
    tagged(answer.revision, caller.answer(answer))
}

/// Refuses what a caller may not do in its own name alone.
pub fn need(caller: &Caller, permission: Permission, what: &str) -> Result<(), Refusal> {
    if caller.may(permission) {
        return Ok(());
    }
    Err(ProblemType::Forbidden.with(format!("{what} takes {permission}")).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_match_names_one_revision() {
        let read = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_MATCH, HeaderValue::from_static(text));
            if_match(&headers).ok()
        };
        assert_eq!(if_match(&HeaderMap::new()).ok(), Some(None));
        assert_eq!((read("\"12\""), read("*")), (Some(Some(12)), Some(None)));
        for wrong in ["12", "W/\"12\"", "\"12\", \"13\"", "\"\"", "\"x\""] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
