//! The one table of what can be called, and what it takes (M-03, M-04). The routes, the check of permissions, the OpenAPI
//! document, the help of `casebridge token new` and the matrix of the tests are made from it.

use axum::http::Method;
use axum::routing::{self, MethodRouter};
use utoipa::OpenApi;

use crate::api::Door;
use crate::case::Code;
use crate::case::Permission::{self, *};

/// Reading a case takes one of these; the last three narrow what is seen.
const SEE: &[Permission] = &[View, ViewMine, ViewAssigned, ViewUnassigned];
/// There is no permission for claiming: who may edit a case or take it into process may claim it.
const CLAIM: &[Permission] = &[Edit, Process];

macro_rules! endpoints {
    (@code -) => { None };
    (@code $code:ident) => { Some(Code::$code) };
    ($($name:ident = $method:ident $path:literal $(:: $handler:ident)+, $permissions:expr, $code:tt, $help:literal;)*) => {
        /// One endpoint. `CASE_ALL` opens each of them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Endpoint { $(#[doc = $help] $name),* }

        impl Endpoint {
            pub const ALL: &'static [Endpoint] = &[$(Endpoint::$name),*];

            /// In capital letters.
            pub fn method(self) -> Method {
                // The names are those of HTTP, so that each of them is one.
                match self { $(Endpoint::$name => method(stringify!($method))),* }
            }

            /// With placeholders such as `{id}`.
            pub fn path(self) -> &'static str {
                match self { $(Endpoint::$name => $path),* }
            }

            /// The permissions that fit; one of them is enough.
            pub fn permissions(self) -> &'static [Permission] {
                match self { $(Endpoint::$name => $permissions),* }
            }

            /// The code of its answers, where the reference has one.
            pub fn code(self) -> Option<Code> {
                match self { $(Endpoint::$name => endpoints!(@code $code)),* }
            }

            /// What it does, in a line.
            pub fn help(self) -> &'static str {
                match self { $(Endpoint::$name => $help),* }
            }

            /// The endpoints as their handlers describe them.
            pub(super) fn documented() -> utoipa::openapi::OpenApi {
                #[derive(OpenApi)]
                #[openapi(paths($(super $(:: $handler)+),*))]
                struct Document;
                Document::openapi()
            }

            pub(super) fn handler(self) -> MethodRouter<Door> {
                match self { $(Endpoint::$name => routing::$method(super $(:: $handler)+)),* }
            }
        }
    };
}

endpoints! {
    AutoClose = get "/v1/cases/auto-close" ::checks::auto_close, &[AutocloseView], -, "resolved cases that are to be closed automatically";
    CaseTypes = get "/v1/case-types" ::definitions::case_types, &[DefView], -, "list the case types";
    CaseType = get "/v1/case-types/{name}" ::definitions::case_type, &[DefView], -, "one case type";
    CheckDueDates = post "/v1/checks/due-dates" ::checks::due_dates, &[Permission::CheckDueDates], DueDatesChecked, "check the due dates";
    CheckSlas = post "/v1/checks/slas" ::checks::slas, &[CheckSla], SlasChecked, "check the SLAs";
    Priorities = get "/v1/priorities" ::definitions::priorities, &[PriorityView], -, "list the priorities";
    Processes = get "/v1/processes" ::definitions::processes, &[DefView], -, "list the processes";
    Solutions = get "/v1/solutions" ::definitions::solutions, &[DefView], -, "list the solutions";
}

fn method(name: &str) -> Method {
    match name {
        "post" => Method::POST,
        "put" => Method::PUT,
        "patch" => Method::PATCH,
        "delete" => Method::DELETE,
        _ => Method::GET,
    }
}
