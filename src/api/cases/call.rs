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
    let revision = match tags(headers)? {
        None | Some(Tags::Any) => None,
        Some(Tags::These(tags)) => Some(one_of(door, case, &tags).await?),
    };
    Ok(CaseCall { case, revision, operator, person, may: caller.permissions })
}

/// The revision that a change is decided on: the present one, where it is among several.
async fn one_of(door: &Door, case: IncidentId, tags: &[Tag]) -> Result<i64, Refusal> {
    // A weak tag is none that a change may be decided on, and one that is no number none of ours (RFC 9110, 13.1.1).
    let revisions: Vec<i64> = tags.iter().filter(|tag| !tag.weak).filter_map(Tag::revision).collect();
    if let [one] = revisions[..] {
        return Ok(one);
    }
    let present = door.engine.case_answer(case).await?.revision;
    match revisions.contains(&present) {
        true => Ok(present),
        false => Err(ProblemType::Stale
            .with(format!("it is at revision {present}, which If-Match does not name; look at it again"))
            .into()),
    }
}

/// What `If-Match` names.
#[derive(Debug, PartialEq, Eq)]
enum Tags {
    /// `*`
    Any,
    These(Vec<Tag>),
}

#[derive(Debug, PartialEq, Eq)]
struct Tag {
    weak: bool,
    opaque: String,
}

impl Tag {
    fn revision(&self) -> Option<i64> {
        self.opaque.parse().ok().filter(|revision: &i64| revision.to_string() == self.opaque)
    }
}

/// The tags of the header, which may stand in several lines (RFC 9110, 8.8.3 and 5.3).
fn tags(headers: &HeaderMap) -> Result<Option<Tags>, Refusal> {
    let wrong = || {
        ProblemType::BadRequest
            .with("give If-Match: \"REVISION\", a revision of the case in quotes, several with commas, or *")
    };
    let mut tags = Vec::new();
    let mut any = 0;
    for line in headers.get_all(header::IF_MATCH) {
        let line = line.to_str().map_err(|_| wrong())?.trim();
        match line {
            "*" => any += 1,
            line => read(line, &mut tags).ok_or_else(wrong)?,
        }
    }
    match (any, tags.is_empty()) {
        (0, true) if !headers.contains_key(header::IF_MATCH) => Ok(None),
        (0, false) => Ok(Some(Tags::These(tags))),
        (1, true) => Ok(Some(Tags::Any)),
        _ => Err(wrong().into()),
    }
}

/// The tags of one line; a comma may stand in a tag as well.
fn read(line: &str, tags: &mut Vec<Tag>) -> Option<()> {
    let mut rest = line;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return Some(());
        }
        let (weak, quoted) = rest.strip_prefix("W/").map_or((false, rest), |quoted| (true, quoted));
        let (opaque, behind) = quoted.strip_prefix('"')?.split_once('"')?;
        tags.push(Tag { weak, opaque: opaque.to_owned() });
        rest = behind.trim_start();
        if !rest.is_empty() && !rest.starts_with(',') {
            return None;
        }
    }
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

    fn named(lines: &[&'static str]) -> Option<Option<Tags>> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::IF_MATCH, HeaderValue::from_static(line));
        }
        tags(&headers).ok()
    }

    fn these(tags: &[(bool, &str)]) -> Option<Option<Tags>> {
        let tag = |(weak, opaque): &(bool, &str)| Tag { weak: *weak, opaque: (*opaque).to_owned() };
        Some(Some(Tags::These(tags.iter().map(tag).collect())))
    }

    #[test]
    fn entity_tags_are_read_as_the_standard_has_them() {
        assert_eq!((named(&[]), named(&["*"])), (Some(None), Some(Some(Tags::Any))));
        assert_eq!(named(&["\"12\""]), these(&[(false, "12")]));
        let several = these(&[(false, "12"), (true, "13"), (false, "x")]);
        assert_eq!(named(&["\"12\", W/\"13\",,\"x\""]), several);
        assert_eq!(named(&["\"12\"", "W/\"13\"", "\"x\""]), several, "in several lines");
        assert_eq!(named(&["\"a, b\""]), these(&[(false, "a, b")]));
        for wrong in [&["12"][..], &["\"12"], &[""], &["w/\"1\""], &["*", "\"1\""], &["\"1\" \"2\""]] {
            assert_eq!(named(wrong), None, "{wrong:?}");
        }
    }
}
