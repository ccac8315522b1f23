//! `case`: cases as those see them who work on them. The same calls are answered over the network, for operators with a token.

mod act;
mod edit;
mod files;
mod list;
mod people;
mod show;

use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};

use super::exit::Failure;
use super::local::{Local, Method, RequestBuilder};
use super::{Output, examples, print, who};
use crate::case::text::encoded;
use crate::protocol::cases::CaseAnswer;

/// The verbs of `case`.
#[derive(Debug, Subcommand)]
pub enum CaseCommand {
    /// List cases: by client, state, owner, words of the title and more
    #[command(after_help = examples::CASE_LIST)]
    List(list::Arguments),
    /// Everything about one case
    Show(show::Arguments),
    /// Who did what with a case, when
    Activities(show::Arguments),
    /// Open a case by hand
    #[command(after_help = examples::CASE_CREATE)]
    Create(edit::CreateArguments),
    /// Change title, body, priority, type, location, progress or resolution
    #[command(after_help = examples::CASE_EDIT)]
    Edit(edit::EditArguments),
    /// Comment on a case, as somebody who works on it or as its initiator
    Comment(edit::CommentArguments),
    /// List the documents of a case, fetch one, or remove one
    #[command(after_help = examples::CASE_DOCUMENTS)]
    Documents(files::DocumentArguments),
    /// Put a document to a case
    Upload(files::UploadArguments),
    /// Put tags to a case, or take them away
    Tag(edit::TagArguments),
    /// Assign a case to yourself; a client's is taken with it
    Claim(act::Arguments),
    /// Take yourself from a case
    Unclaim(act::Arguments),
    /// Assign a case to users and groups, and to nobody else
    #[command(after_help = examples::CASE_ASSIGN)]
    Assign(people::AssignArguments),
    /// Watch a case, or no longer
    Watch(people::WatchArguments),
    /// Note a milestone of a case, which both sites come to know
    Milestone(edit::MilestoneArguments),
    /// Relate a case to the one that it came from
    Relate(edit::RelateArguments),
    /// Say who answers for a case at this site, and how the work stands for them
    Owner(people::OwnerArguments),
    /// Put a case before people, or clear that
    Flag(people::FlagArguments),
    /// Take a case from the lists; nothing else changes with that
    Delete(act::BareArguments),
    /// Set a case to state Opened
    Open(act::Arguments),
    /// Set a case to state In Process; a client's is taken with it
    Process(act::Arguments),
    /// Let a case wait for its customer
    RequestInput(act::Arguments),
    /// Put a case on hold
    Hold(act::Arguments),
    /// Resolve a case
    Resolve(act::EndArguments),
    /// Complete a case
    Complete(act::EndArguments),
    /// Cancel a case
    Cancel(act::Arguments),
    /// Open a case again that is resolved or over
    Reopen(act::Arguments),
}

/// What every verb on one case has.
#[derive(Debug, Args)]
struct Target {
    /// The case: its number, its display ID such as CMnorth-7, or its GUID
    #[arg(value_name = "ID")]
    case: String,
    /// Only if the case is still at this revision
    #[arg(long, value_name = "N")]
    revision: Option<i64>,
    #[command(flatten)]
    output: Output,
}

/// Does what the command line says.
pub async fn run(local: &Local, command: CaseCommand) -> Result<(), Failure> {
    match command {
        CaseCommand::List(arguments) => list::run(local, arguments).await,
        CaseCommand::Show(arguments) => show::run(local, arguments).await,
        CaseCommand::Activities(arguments) => show::activities(local, arguments).await,
        CaseCommand::Create(arguments) => edit::create(local, arguments).await,
        CaseCommand::Edit(arguments) => edit::edit(local, arguments).await,
        CaseCommand::Comment(arguments) => edit::comment(local, arguments).await,
        CaseCommand::Documents(arguments) => files::documents(local, arguments).await,
        CaseCommand::Upload(arguments) => files::upload(local, arguments).await,
        CaseCommand::Tag(arguments) => edit::tag(local, arguments).await,
        CaseCommand::Assign(arguments) => people::assign(local, arguments).await,
        CaseCommand::Watch(arguments) => people::watch(local, arguments).await,
        CaseCommand::Milestone(arguments) => edit::milestone(local, arguments).await,
        CaseCommand::Relate(arguments) => edit::relate(local, arguments).await,
        CaseCommand::Owner(arguments) => people::owner(local, arguments).await,
        CaseCommand::Flag(arguments) => people::flag(local, arguments).await,
        CaseCommand::Delete(arguments) => act::delete(local, arguments).await,
        CaseCommand::Claim(arguments) => act::act(local, "claim", arguments).await,
        CaseCommand::Unclaim(arguments) => act::act(local, "unclaim", arguments).await,
        CaseCommand::Open(arguments) => act::act(local, "open", arguments).await,
        CaseCommand::Process(arguments) => act::act(local, "process", arguments).await,
        CaseCommand::RequestInput(arguments) => act::act(local, "request-input", arguments).await,
        CaseCommand::Hold(arguments) => act::act(local, "hold", arguments).await,
        CaseCommand::Resolve(arguments) => act::end(local, "resolve", arguments).await,
        CaseCommand::Complete(arguments) => act::end(local, "complete", arguments).await,
        CaseCommand::Cancel(arguments) => act::act(local, "cancel", arguments).await,
        CaseCommand::Reopen(arguments) => act::act(local, "reopen", arguments).await,
    }
}

/// An answer, with the code and the message that the case-management reference has for the call (M-04).
#[derive(Debug, Serialize, Deserialize)]
struct Told<T> {
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(flatten)]
    data: T,
}

impl<T: Serialize> Told<T> {
    /// Prints it for programs, or in words, with the code behind them.
    fn print(&self, output: Output, words: &str) -> Result<(), Failure> {
        if output.json {
            return print::out(&print::json(self)?);
        }
        let code = self.code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default();
        print::out(&print::safe(&format!("{words}{code}")))
    }
}

impl Target {
    /// The address of the case, or of something of it.
    fn path(&self, rest: &str) -> String {
        format!("/v1/cases/{}{rest}", encoded(&self.case))
    }

    /// Asks for a change, and says what was done.
    async fn change(
        &self,
        local: &Local,
        method: Method,
        rest: &str,
        body: &impl Serialize,
        done: &str,
    ) -> Result<(), Failure> {
        let answer: Told<CaseAnswer> = local
            .ask(&format!("case {} is not {done}", self.case), method, &self.path(rest), |request| {
                self.conditional(request).json(body)
            })
            .await?;
        self.done(&answer, done)
    }

    /// With who asks, and the revision that it was decided on.
    fn conditional(&self, request: RequestBuilder) -> RequestBuilder {
        let request = request.header("Casebridge-Operator", who::operator());
        match self.revision {
            Some(revision) => request.header("If-Match", format!("\"{revision}\"")),
            None => request,
        }
    }

    fn done(&self, answer: &Told<CaseAnswer>, done: &str) -> Result<(), Failure> {
        let CaseAnswer { display_id, state, .. } = &answer.data;
        answer.print(self.output, &format!("case {display_id} is {done}; it is {}", state.label()))
    }
}
