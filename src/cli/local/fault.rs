//! Why a call to the daemon failed, and what to do about it.

use std::error::Error;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use crate::cli::exit::{Exit, Failure};
use crate::protocol::{Problem, ProblemType};

/// The daemon answered with a problem document. Its detail says what exactly, its title only what kind of thing.
pub fn refused(what: &str, problem: &Problem) -> Failure {
    let why = if problem.detail.is_empty() { &problem.title } else { &problem.detail };
    let known = ProblemType::ALL.iter().copied().find(|kind| problem.is(*kind));
    let failure = match known.and_then(remedy).filter(|_| !why.contains("try again")) {
        Some(remedy) => Failure::new(Exit::Refused, what, why, remedy),
        None => Failure::said(Exit::Refused, format!("{what}; {why}")),
    };
    failure.with(problem.clone())
}

/// What to do, where the problem's own text does not say.
fn remedy(kind: ProblemType) -> Option<&'static str> {
    Some(match kind {
        ProblemType::NotFound => "`casebridge incidents` lists what there is",
        ProblemType::AlreadySubmitted | ProblemType::Action => "`casebridge show ID` tells how it stands",
        ProblemType::NotConnected => "only a site with an [upstream] can do this",
        ProblemType::Stale => "`casebridge case show ID` tells the present revision",
        ProblemType::NotParked => "`casebridge parked` lists what is",
        ProblemType::Form => "correct it and give the command again",
        ProblemType::Busy | ProblemType::TimedOut => "try again in a moment",
        ProblemType::Internal => "the daemon's log has the details",
        ProblemType::MethodNotAllowed | ProblemType::UnknownVersion => {
            "command and daemon are of two versions; restart the daemon"
        }
        _ => return None,
    })
}

/// There was no answer.
pub fn unreachable(
    what: &str,
    error: &reqwest::Error,
    socket: &Path,
    config: Option<&Path>,
    timeout: Duration,
) -> Failure {
    let fail = |why: String, remedy: String| Failure::new(Exit::Unreachable, what, why, remedy);
    let shown = socket.display();
    let config = config.map_or("FILE".to_owned(), |config| config.display().to_string());
    let start = format!("start it: `systemctl start casebridge`, or `casebridge run --config {config}`");
    match kind(error) {
        Some(io::ErrorKind::NotFound) => fail(format!("the daemon does not run: there is no socket {shown}"), start),
        Some(io::ErrorKind::ConnectionRefused) => {
            fail(format!("the daemon does not run: nobody listens at the socket {shown}"), start)
        }
        Some(io::ErrorKind::PermissionDenied) => {
            let group = group_of(socket);
            let remedy = match group.as_str() {
                // Nobody is to become a member of that one for a command.
                "root" => "use sudo".to_owned(),
                _ => format!("join the group (`sudo usermod -aG {group} $USER`, then log in again), or use sudo"),
            };
            fail(format!("you may not use the socket {shown}, which is for its owner and the group {group}"), remedy)
        }
        _ if error.is_timeout() => fail(
            format!("the daemon did not answer within {} s", timeout.as_secs_f32()),
            "it may have done it all the same: look with `casebridge status` and `casebridge show`, and in its log; \
             --timeout waits longer"
                .to_owned(),
        ),
        _ => fail(
            format!("the connection to {shown} failed: {}", reason(error)),
            "look at the daemon's log, and give the command again".to_owned(),
        ),
    }
}

/// The innermost reason.
pub fn reason(error: &reqwest::Error) -> String {
    let mut reason: &dyn Error = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    reason.to_string()
}

fn kind(error: &reqwest::Error) -> Option<io::ErrorKind> {
    let mut next: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return Some(error.kind());
        }
        next = error.source();
    }
    None
}

/// The group that may use the socket; where not even that may be known, the group of the directory in the way.
fn group_of(socket: &Path) -> String {
    let Some(gid) = socket.ancestors().find_map(|path| path.metadata().ok()).map(|found| found.gid()) else {
        return "casebridge".to_owned();
    };
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    named(&groups, gid).unwrap_or_else(|| gid.to_string())
}

/// The name of a group in the text of `/etc/group`.
fn named(groups: &str, gid: u32) -> Option<String> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(gid)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_found_by_its_number() {
        let groups = "root:x:0:\nbroken\ncasebridge:x:998:ann,bob\n";
        assert_eq!(named(groups, 998).as_deref(), Some("casebridge"));
        assert_eq!(named(groups, 7), None);
    }

    #[test]
    fn a_problem_of_an_unknown_kind_is_told_all_the_same() {
        let busy = refused("it is not closed", &ProblemType::Busy.with("the incident store is busy; try again"));
        assert_eq!(busy.to_string(), "it is not closed; the incident store is busy; try again", "the remedy once");
        let problem = Problem { kind: "urn:new".into(), ..ProblemType::Form.with("something new") };
        let failure = refused("the form is not saved", &problem);
        assert_eq!(failure.to_string(), "the form is not saved; something new");
    }
}
