//! The one table of what can be called, and what it takes (M-03, M-04). The routes, the check of permissions, the OpenAPI
//! document, the help of `casebridge token new` and the matrix of the tests are made from it.

use axum::http::Method;
use axum::routing::{self, MethodRouter};
use utoipa::OpenApi;

use crate::api::Door;
use crate::case::Code;
use crate::case::Permission::{self, *};
use crate::exchange::WORK;

/// Reading a case takes one of these; the last three narrow what is seen.
const SEE: &[Permission] = &[View, ViewMine, ViewAssigned, ViewUnassigned];
/// There is no permission for claiming: who may edit a case or take it into process may claim it.
const CLAIM: &[Permission] = WORK;

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
    List = get "/v1/cases" ::list::cases, SEE, -, "list cases: filters, sorting, pages";
    Create = post "/v1/cases" ::create::create, &[Permission::Create], Created, "create a case";
    AutoClose = get "/v1/cases/auto-close" ::checks::auto_close,
        &[AutocloseView], -, "resolved cases that are to be closed";
    Show = get "/v1/cases/{id}" ::show::show, SEE, -, "one case, with every attribute";
    Edit = patch "/v1/cases/{id}" ::edit::edit, &[Permission::Edit, InstanceProxySave], Updated, "edit a case";
    Delete = delete "/v1/cases/{id}" ::edit::delete, &[Everything], Updated, "take a case from the lists";
    Activities = get "/v1/cases/{id}/activities" ::activities::activities,
        &[ActivityView], -, "who did what with a case, when";
    Open = post "/v1/cases/{id}/open" ::actions::open, &[Permission::Open], Opened, "set a case to state Open";
    Process = post "/v1/cases/{id}/process" ::actions::process,
        &[Permission::Process], InProcess, "set a case to state In Process; a client's is taken with it";
    RequestInput = post "/v1/cases/{id}/request-input" ::actions::request_input,
        &[Input], InputRequested, "let a case wait for its customer";
    Hold = post "/v1/cases/{id}/hold" ::actions::hold, &[Permission::Hold], OnHold, "put a case on hold";
    Resolve = post "/v1/cases/{id}/resolve" ::actions::resolve, &[Permission::Resolve], Resolved, "resolve a case";
    Complete = post "/v1/cases/{id}/complete" ::actions::complete,
        &[Permission::Complete], Completed, "complete a case";
    Cancel = post "/v1/cases/{id}/cancel" ::actions::cancel, &[Permission::Cancel], Canceled, "cancel a case";
    Reopen = post "/v1/cases/{id}/reopen" ::actions::reopen, &[Permission::Reopen], Reopened, "reopen a case";
    Claim = post "/v1/cases/{id}/claim" ::actions::claim,
        CLAIM, Claimed, "assign a case to oneself; a client's is taken with it";
    Unclaim = post "/v1/cases/{id}/unclaim" ::actions::unclaim, CLAIM, Unclaimed, "take oneself from a case";
    Comments = get "/v1/cases/{id}/comments" ::comments::comments, &[CommentView], -, "the comments of a case";
    Comment = post "/v1/cases/{id}/comments" ::comments::comment,
        &[Permission::Comment], Commented, "comment on a case";
    InitiatorComment = post "/v1/cases/{id}/initiator-comments" ::comments::initiator_comment,
        &[Permission::InitiatorComment], InitiatorCommented, "comment on a case as its initiator";
    Documents = get "/v1/cases/{id}/documents" ::documents::documents, &[DocView], -, "the documents of a case";
    Upload = put "/v1/cases/{id}/documents/{name}" ::documents::upload,
        &[DocUpload], DocumentUploaded, "put a document to a case";
    Download = get "/v1/cases/{id}/documents/{name}" ::documents::download, &[DocView], -, "the content of a document";
    Remove = delete "/v1/cases/{id}/documents/{name}" ::documents::remove,
        &[DocRemove], DocumentRemoved, "remove a document from a case";
    Tag = post "/v1/cases/{id}/tags" ::tags::tag, &[Permission::Edit], TagCreated, "put a tag to a case";
    Untag = delete "/v1/cases/{id}/tags/{tag}" ::tags::untag, &[Permission::Edit], TagRemoved, "take a tag from a case";
    Assign = put "/v1/cases/{id}/assignment" ::people::assign,
        &[Permission::Edit], Updated, "assign a case to users and groups";
    Watch = put "/v1/cases/{id}/watchers/{user}" ::people::watch,
        &[Permission::Edit], Updated, "add a watcher to a case";
    Unwatch = delete "/v1/cases/{id}/watchers/{user}" ::people::unwatch,
        &[Permission::Edit], Updated, "take a watcher from a case";
    Milestone = post "/v1/cases/{id}/milestones" ::milestones::reach,
        &[Permission::Edit], Updated, "note a milestone of a case";
    Relate = put "/v1/cases/{id}/relation" ::edit::relate,
        &[Permission::Edit], Updated, "relate a case to the one that it came from";
    Owner = put "/v1/cases/{id}/owner" ::people::owner, &[Permission::Edit], Updated, "say who answers for a case";
    Flags = put "/v1/cases/{id}/flags" ::edit::flag, WORK, Updated, "put a case before people (CASE_EDIT), or note that one has looked";
    Solutions = get "/v1/solutions" ::definitions::solutions, &[DefView], -, "the solutions of this site";
    Processes = get "/v1/processes" ::definitions::processes, &[DefView], -, "the processes, each with its solution";
    CaseTypes = get "/v1/case-types" ::definitions::case_types,
        &[DefView], -, "the case types, each with what it promises";
    CaseType = get "/v1/case-types/{name}" ::definitions::case_type, &[DefView], -, "one case type";
    Priorities = get "/v1/priorities" ::definitions::priorities, &[PriorityView], -, "the priorities";
    CheckDueDates = post "/v1/checks/due-dates" ::checks::due_dates,
        &[Permission::CheckDueDates], DueDatesChecked, "check due dates now";
    CheckSlas = post "/v1/checks/slas" ::checks::slas, &[CheckSla], SlasChecked, "check SLAs now";
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
