//! Who calls, and whether that is allowed (M-03). Over the Unix socket comes whoever may write to its file, and may do
//! everything; over the network an operator with a token, which says what it is good for.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::{Coded, Endpoint, Way};
use crate::api::body::Answer;
use crate::api::keyring::Who;
use crate::api::problem::{self, Refusal};
use crate::api::{Door, auth, limits};
use crate::case::{Permission, Permissions, Sight, UserName};
use crate::config::token;
use crate::protocol::ProblemType;

/// Over the socket, the name of who calls.
pub const OPERATOR: &str = "casebridge-operator";
/// Who calls over the socket and gives no name.
const NOBODY: &str = "operator";

/// Who calls, and with what permissions. A handler takes it as `Extension<Caller>`.
#[derive(Debug, Clone)]
pub struct Caller {
    /// As cases name it: initiator, assigned user, watcher, author.
    pub name: String,
    pub groups: Vec<String>,
    pub permissions: Permissions,
    way: Way,
    endpoint: Endpoint,
}

impl Caller {
    /// Whether this may be done as well, for what an answer holds apart from what was asked for.
    pub fn may(&self, permission: Permission) -> bool {
        self.permissions.allow(permission)
    }

    /// The cases that this caller may see. What lies outside is to be answered as what does not exist.
    pub fn sight(&self) -> Sight {
        Sight::of(self.permissions, &self.name, &self.groups)
    }

    /// In whose name something is done, where the request names somebody (`operator`). Over the socket everybody says who
    /// they are. A token's owner acts in its own name, and in another's with the permission for that, which is told.
    pub fn acting_as(&self, named: &str) -> Result<String, Refusal> {
        if named.is_empty() || named == self.name {
            return Ok(self.name.clone());
        }
        token::name(named).map_err(|fault| ProblemType::Form.with(format!("`operator` {fault}")))?;
        if self.way == Way::Socket {
            return Ok(named.to_owned());
        }
        if self.may(Permission::InstanceProxySave) {
            return Ok(format!("{} for {named}", self.name));
        }
        let detail = format!("to act for someone else takes {}", Permission::InstanceProxySave);
        Err(ProblemType::Forbidden.with(detail).into())
    }

    /// Whoever something is done for, as cases name people: the one whom the request names, else the caller.
    pub fn person(&self, named: &str) -> Result<UserName, Refusal> {
        let name = if named.is_empty() { &self.name } else { named };
        name.parse().map_err(|fault| ProblemType::Form.with(format!("`operator` {fault}")).into())
    }

    /// Whoever calls, as cases name people: over the socket the one whom the request names, else the owner of the token.
    pub fn oneself(&self, named: &str) -> Result<UserName, Refusal> {
        self.person(if self.way == Way::Socket { named } else { "" })
    }

    /// The answer of this call: what it did, with its code.
    pub fn answer<T>(&self, data: T) -> Answer<Coded<T>> {
        Answer(Coded::new(self.endpoint.code(), data))
    }
}

/// What stands before one endpoint.
#[derive(Clone)]
pub struct Gate {
    pub door: Door,
    pub way: Way,
    pub endpoint: Endpoint,
}

/// Lets a request through to the endpoint, or not. A refusal, from here or from the endpoint, gets the code of the call.
pub async fn enter(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    let answer = match admit(&gate, &request) {
        Ok((caller, _place)) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(refusal) => refusal.into_response(),
    };
    match gate.endpoint.code() {
        Some(code) => problem::with_code(answer, code),
        None => answer,
    }
}

fn admit(gate: &Gate, request: &Request) -> Result<(Caller, Option<limits::Place>), Refusal> {
    let endpoint = gate.endpoint;
    if gate.way == Way::Socket {
        let permissions = Permissions::EVERYTHING;
        let caller = Caller { name: named(request)?, groups: Vec::new(), permissions, way: gate.way, endpoint };
        return Ok((caller, None));
    }
    let ask = "give the token of an operator as `Authorization: Bearer ...`; one that is unknown here, has ended or was \
               revoked opens nothing";
    let operator = match auth::known(&gate.door, request, ask)? {
        Who::Operator(operator) => operator,
        Who::Client(_) => {
            let detail = "these are a client's credentials, which open the exchange between sites; cases are opened by the \
                          token of an operator";
            return Err(ProblemType::Forbidden.with(detail).into());
        }
    };
    let place = limits::operator(&gate.door, &operator.token)?;
    let permissions = operator.permissions;
    if !permissions.allow_one(endpoint.permissions()) {
        let fitting: Vec<&str> = endpoint.permissions().iter().map(|one| one.as_str()).collect();
        let detail = format!("this call takes {}, which this token does not have", fitting.join(" or "));
        return Err(ProblemType::Forbidden.with(detail).into());
    }
    let (name, groups) = (operator.operator.name.clone(), operator.operator.groups.clone());
    Ok((Caller { name, groups, permissions, way: gate.way, endpoint }, Some(place)))
}

/// Who says to be calling over the socket.
fn named(request: &Request) -> Result<String, Refusal> {
    let Some(value) = request.headers().get(OPERATOR) else { return Ok(NOBODY.to_owned()) };
    let text = std::str::from_utf8(value.as_bytes()).unwrap_or_default();
    let name =
        token::name(text).map_err(|fault| ProblemType::BadRequest.with(format!("the name in {OPERATOR} {fault}")));
    Ok(name?.to_owned())
}
