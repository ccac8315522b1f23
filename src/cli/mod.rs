//! The commands: parse, call, print.
//!
//! While a daemon runs it owns the state, so all commands but `run`, `check-config`, `test-peer`, `token`, `state` and `demo` ask
//! it, over its Unix socket (`local`). One file holds one command or a few that belong together; `exit` has the codes,
//! `print` makes everything that came from outside safe for a terminal.

mod case;
mod check_config;
mod contact;
mod demo;
mod deposit;
mod examples;
pub mod exit;
mod hand_over;
mod history;
mod incidents;
mod job;
mod key;
mod link;
mod local;
mod open;
mod party;
mod print;
mod query;
mod queue;
mod reaction;
mod reconcile;
mod run;
mod show;
mod socket;
mod status;
mod submit;
mod test_peer;
mod token;
mod who;
mod why;
mod work;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};

use exit::{Exit, Failure};
use local::Local;

/// Keeps an incident the same at an end user's, a partner's and a vendor's site until its case is closed.
#[derive(Debug, Parser)]
#[command(name = "casebridge", version, after_help = examples::main(), subcommand_required = true)]
struct Cli {
    #[command(flatten)]
    site: Site,
    #[command(subcommand)]
    command: Command,
}

/// Which site a command is for.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Which site")]
struct Site {
    /// The configuration of the site
    #[arg(long, global = true, value_name = "FILE", default_value = "/etc/casebridge/config.toml")]
    config: PathBuf,
    /// The daemon's socket, instead of the one that the configuration names
    #[arg(long, global = true, value_name = "FILE")]
    socket: Option<PathBuf>,
    /// How long a command waits for the daemon, in seconds
    #[arg(long, global = true, value_name = "SECONDS", default_value = "10",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
}

impl Site {
    /// The way to the site's daemon.
    fn local(&self) -> Result<Local, Failure> {
        let timeout = Duration::from_secs(self.timeout);
        match &self.socket {
            Some(socket) => Local::new(socket.clone(), None, timeout),
            None => Local::new(socket::of(&self.config)?, Some(&self.config), timeout),
        }
    }
}

/// How the answer is printed.
#[derive(Debug, Clone, Copy, Args)]
struct Output {
    /// Print JSON, for programs
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon of a site until it is told to stop
    #[command(after_help = examples::RUN)]
    Run(run::Arguments),
    /// Read a configuration and name everything that is wrong with it
    CheckConfig(Output),
    /// See it work: two daemons on this machine, and one incident all the way
    Demo(demo::Arguments),
    /// Hand in bundles (XML) or incidents (JSON)
    #[command(after_help = examples::DEPOSIT)]
    Deposit(deposit::Arguments),
    /// Submit an incident to the site above, once
    #[command(after_help = examples::SUBMIT)]
    Submit(submit::Arguments),
    /// Hand a client's incident on to the site above, once
    #[command(after_help = examples::ESCALATE)]
    Escalate(submit::Handover),
    /// Link an incident to a case that the site above has already
    #[command(after_help = examples::LINK)]
    Link(link::Arguments),
    /// Open a case by hand, without an event
    #[command(after_help = examples::OPEN)]
    Open(open::Arguments),
    /// List incidents
    #[command(after_help = examples::INCIDENTS)]
    Incidents(incidents::Arguments),
    /// Cases, for those who work on them: list, show, create, edit, act
    #[command(subcommand)]
    Case(Box<case::CaseCommand>),
    /// Everything about one incident: record, exchange, what it waits for, comments, history
    Show(show::Arguments),
    /// The story of a case, and the history as evidence: export, verify, what was disclosed
    #[command(after_help = examples::HISTORY)]
    History(history::Arguments),
    /// What an incident waits for, on whose side, since when, and what to do
    Why(why::Arguments),
    /// The site and its peers: last contact, queue, clock difference, warnings
    Status(Output),
    /// Operations that a peer has not acknowledged yet
    Outbox(queue::Arguments),
    /// Operations that need a person, each with its reason
    Parked(queue::Arguments),
    /// Try again what is parked
    Retry(queue::RetryArguments),
    /// Compare both sites, name what differs, and repair it
    #[command(after_help = examples::RECONCILE)]
    Reconcile(reconcile::Arguments),
    /// Settle one exchange anew: read it from the site above, or tell a client everything once more
    Resync(reconcile::ResyncArguments),
    /// Take a client's incident: open a case for it
    #[command(after_help = examples::ACCEPT)]
    Accept(work::AcceptArguments),
    /// Decide which case a client sees: the upstream's, or your own
    #[command(after_help = examples::OVERRIDE)]
    Override(work::OverrideArguments),
    /// Tell news of an incident: status, comment, solution, expected resolution
    #[command(after_help = examples::UPDATE)]
    Update(work::UpdateArguments),
    /// Say that an incident is resolved
    #[command(after_help = examples::RESOLVE)]
    Resolve(work::EndArguments),
    /// Close an incident
    Close(work::EndArguments),
    /// Open the work on an incident again
    Reopen(work::RemarkArguments),
    /// Withdraw what was submitted
    Cancel(work::RemarkArguments),
    /// Give a client's incident back
    Reject(work::RemarkArguments),
    /// Hand a case to another site, or assign it to a group of your own
    #[command(after_help = examples::ASSIGN)]
    Assign(hand_over::AssignArguments),
    /// Take a case back that another site has in hand
    Take(hand_over::TakeArguments),
    /// Stop the exchange of an incident in both directions
    Pause(hand_over::ActiveArguments),
    /// Let the exchange of an incident go on
    Resume(hand_over::ActiveArguments),
    /// Comment on an incident, or change or delete a comment
    #[command(after_help = examples::COMMENT)]
    Comment(hand_over::CommentArguments),
    /// What the site does when something happens: mails, webhooks, SNMP traps, commands
    #[command(subcommand)]
    Reaction(reaction::ReactionCommand),
    /// The people of a case, who are told of it by mail
    #[command(subcommand)]
    Party(party::PartyCommand),
    /// The people whom cases are handed over by, and to
    #[command(subcommand)]
    Contact(contact::ContactCommand),
    /// What people were told by mail, what waits, and what was refused
    Mails(party::MailsArguments),
    /// Test the connection to the site above: address, certificate, password, version, clock
    TestPeer(Output),
    /// The keys that this site and its peers sign with
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// The credentials that this site hands out to its clients
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Scheduled work: when it is due, and what it would do
    #[command(subcommand)]
    Job(job::JobCommand),
    /// The state database, while the daemon is stopped
    #[command(subcommand)]
    State(StateCommand),
}

#[derive(Debug, Subcommand)]
enum StateCommand {
    /// Set the state aside; the next start makes a new one from the store and the peers
    Rebuild,
}

/// Does what the command line says.
pub async fn main() -> ExitCode {
    let parsed = Cli::command().try_get_matches();
    let (cli, json) = match parsed.and_then(|matches| Ok((Cli::from_arg_matches(&matches)?, wants_json(&matches)))) {
        Ok(parsed) => parsed,
        Err(error) if error.use_stderr() && asks_for_json() => {
            let text = error.render().to_string();
            let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
            let told = lines.join("; ");
            print::err(&Failure::said(Exit::Usage, told.strip_prefix("error: ").unwrap_or(&told)).show_json());
            return Exit::Usage.into();
        }
        Err(error) => {
            // Help goes to standard output and is no failure. Where nothing can be printed, the code still tells.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Exit::Usage.code()));
        }
    };
    match dispatch(cli).await {
        Ok(()) => Exit::Ok.into(),
        Err(failure) => {
            let text = if json { failure.show_json() } else { failure.show(print::colour_err()) };
            print::err(&text);
            failure.exit.into()
        }
    }
}

/// The same of a command line that does not read.
fn asks_for_json() -> bool {
    std::env::args_os().skip(1).take_while(|word| word != "--").any(|word| word == "--json")
}

/// Whether the command was asked for JSON; what it fails with is told alike.
fn wants_json(matches: &ArgMatches) -> bool {
    let here = matches.try_get_one::<bool>("json").ok().flatten().is_some_and(|json| *json);
    here || matches.subcommand().is_some_and(|(_, inner)| wants_json(inner))
}

async fn dispatch(Cli { site, command }: Cli) -> Result<(), Failure> {
    match command {
        Command::Run(arguments) => run::run(&site.config, arguments).await,
        Command::CheckConfig(output) => check_config::run(&site.config, output),
        Command::Demo(arguments) => demo::run(arguments).await,
        Command::Deposit(arguments) => deposit::run(&site.local()?, arguments).await,
        Command::Submit(arguments) => submit::run(&site.local()?, arguments).await,
        Command::Escalate(handover) => submit::escalate(&site.local()?, handover).await,
        Command::Link(arguments) => link::run(&site.local()?, arguments).await,
        Command::Open(arguments) => open::run(&site.local()?, arguments).await,
        Command::Incidents(arguments) => incidents::run(&site.local()?, arguments).await,
        Command::Case(command) => case::run(&site.local()?, *command).await,
        Command::Show(arguments) => show::run(&site.local()?, arguments).await,
        Command::History(arguments) => history::run(&site, arguments).await,
        Command::Key(command) => key::run(&site.local()?, command).await,
        Command::Why(arguments) => why::run(&site.local()?, arguments).await,
        Command::Status(output) => status::run(&site.local()?, output).await,
        Command::Outbox(arguments) => queue::outbox(&site.local()?, arguments).await,
        Command::Parked(arguments) => queue::parked(&site.local()?, arguments).await,
        Command::Retry(arguments) => queue::retry(&site.local()?, arguments).await,
        Command::Reconcile(arguments) => reconcile::run(&site.local()?, arguments).await,
        Command::Resync(arguments) => reconcile::resync(&site.local()?, arguments).await,
        Command::Accept(arguments) => work::accept(&site.local()?, arguments).await,
        Command::Override(arguments) => work::overrule(&site.local()?, arguments).await,
        Command::Update(arguments) => work::update(&site.local()?, arguments).await,
        Command::Resolve(arguments) => work::resolve(&site.local()?, arguments).await,
        Command::Close(arguments) => work::close(&site.local()?, arguments).await,
        Command::Reopen(arguments) => work::reopen(&site.local()?, arguments).await,
        Command::Cancel(arguments) => work::cancel(&site.local()?, arguments).await,
        Command::Reject(arguments) => work::reject(&site.local()?, arguments).await,
        Command::Assign(arguments) => hand_over::assign(&site.local()?, arguments).await,
        Command::Take(arguments) => hand_over::take(&site.local()?, arguments).await,
        Command::Pause(arguments) => hand_over::pause(&site.local()?, arguments).await,
        Command::Resume(arguments) => hand_over::resume(&site.local()?, arguments).await,
        Command::Comment(arguments) => hand_over::comment(&site.local()?, arguments).await,
        Command::Reaction(command) => reaction::run(&site.local()?, command).await,
        Command::Party(command) => party::run(&site.local()?, command).await,
        Command::Contact(command) => contact::run(&site.local()?, command).await,
        Command::Mails(arguments) => party::mails(&site.local()?, arguments).await,
        Command::TestPeer(output) => test_peer::run(&site.config, output).await,
        Command::Token(command) => token::run(&site.config, command),
        Command::Job(command) => job::run(&site.local()?, command).await,
        Command::State(StateCommand::Rebuild) => run::rebuild_state(&site.config).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_example_of_the_help_parses() {
        let lines = examples::all();
        assert!(lines.len() > 15, "{lines:?}");
        for line in lines {
            let words = line.split('"').enumerate().flat_map(|(index, part)| match index % 2 {
                0 => part.split_whitespace().map(str::to_owned).collect::<Vec<_>>(),
                _ => vec![part.to_owned()],
            });
            if let Err(error) = Cli::try_parse_from(words) {
                panic!("{line}: {error}");
            }
        }
    }

    #[test]
    fn wrong_arguments_are_refused_with_the_reason() {
        let rows = [
            (vec!["submit", "1", "--priority", "2 - high"], "\"2 - High\""),
            (vec!["submit", "1", "--cc", "noc@north.example,noc"], "'noc' in the CC list"),
            (vec!["submit", "one"], "one"),
            (vec!["update", "1"], "--comment"),
            (vec!["override", "1"], "--clear"),
            (vec!["override", "1", "--status", "Open", "--clear"], "--clear"),
            (vec!["retry"], "--all"),
            (vec!["retry", "1", "--all"], "--all"),
            (vec!["resolve", "1", "--code", "done"], "fulfilled"),
            (vec!["incidents", "--all", "--limit", "5"], "--limit"),
            (vec!["deposit"], "FILE"),
            (vec!["status", "--timeout", "0"], "1..=3600"),
        ];
        for (arguments, expected) in rows {
            let words = std::iter::once("casebridge").chain(arguments.iter().copied());
            let error = Cli::try_parse_from(words).expect_err(&arguments.join(" "));
            assert_eq!(error.exit_code(), i32::from(Exit::Usage.code()));
            assert!(error.to_string().contains(expected), "{arguments:?}: {error}");
        }
    }
}
