//! How a command ends: the exit codes, and the sentence that goes with each failure.

use std::fmt;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::print;
use crate::protocol::Problem;

/// The exit codes. They are part of the interface: scripts and monitoring go by them.
///
/// | code | meaning |
/// |---|---|
/// | 0 | done |
/// | 1 | failed for a reason that has no code of its own |
/// | 2 | the command line is wrong (clap's own code) |
/// | 3 | the configuration is missing or wrong |
/// | 4 | the daemon does not run, or cannot be reached through its socket |
/// | 5 | the test of the upstream failed |
/// | 6 | the daemon refused, and said why |
/// | 7 | the state is damaged, or a newer version wrote it |
/// | 8 | nothing is wrong, and not everything that was to be proved is |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Ok = 0,
    Failed = 1,
    Usage = 2,
    Configuration = 3,
    Unreachable = 4,
    Peer = 5,
    Refused = 6,
    State = 7,
    Unproved = 8,
}

impl Exit {
    /// In the order of their codes.
    pub const ALL: [Exit; 9] = [
        Exit::Ok,
        Exit::Failed,
        Exit::Usage,
        Exit::Configuration,
        Exit::Unreachable,
        Exit::Peer,
        Exit::Refused,
        Exit::State,
        Exit::Unproved,
    ];

    /// As the shell sees it.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// For the help text.
    pub fn meaning(self) -> &'static str {
        match self {
            Exit::Ok => "done",
            Exit::Failed => "failed",
            Exit::Usage => "the command line is wrong",
            Exit::Configuration => "the configuration is missing or wrong",
            Exit::Unreachable => "the daemon cannot be reached",
            Exit::Peer => "the test of the upstream failed",
            Exit::Refused => "the daemon refused, and said why",
            Exit::State => "the state is damaged, or a newer version wrote it",
            Exit::Unproved => "`history verify` found nothing wrong, and not everything proved",
        }
    }

    /// The daemon names its exit code by number.
    pub fn from_code(code: u8) -> Exit {
        Self::ALL.into_iter().find(|exit| exit.code() == code).unwrap_or(Exit::Failed)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

/// Why a command failed. Texts in it may come from outside: they are made safe to print here, once for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub exit: Exit,
    text: String,
    /// The text has its own beginning and its own colours.
    is_rendered: bool,
    /// What the daemon refused with.
    problem: Option<Box<Problem>>,
}

impl Failure {
    /// What did not succeed, why, and what to do about it.
    pub fn new(exit: Exit, what: impl fmt::Display, why: impl fmt::Display, remedy: impl fmt::Display) -> Self {
        Self::said(exit, format!("{what}; {why}; {remedy}"))
    }

    /// A text that says all three by itself.
    pub fn said(exit: Exit, text: impl fmt::Display) -> Self {
        Self { exit, text: print::safe(&text.to_string()).into_owned(), is_rendered: false, problem: None }
    }

    /// Several reasons, each on a line of its own.
    pub fn listed(exit: Exit, what: &str, reasons: &[String], remedy: &str) -> Self {
        let reasons: Vec<String> = reasons.iter().map(|reason| format!("\n  {}", print::safe(reason))).collect();
        let text = format!("{}:{}\n{}", print::safe(what), reasons.concat(), print::safe(remedy));
        Self { exit, text, is_rendered: false, problem: None }
    }

    /// A text that was made for people already, in several lines.
    pub fn rendered(exit: Exit, text: String) -> Self {
        Self { exit, text, is_rendered: true, problem: None }
    }

    /// With the daemon's own words, for programs.
    pub fn with(self, problem: Problem) -> Self {
        Self { problem: Some(Box::new(problem)), ..self }
    }

    /// As it stands on standard error.
    pub fn show(&self, colour: bool) -> String {
        if self.is_rendered {
            return self.text.clone();
        }
        format!("{} {}", print::Paint::Red.on("error:", colour), self.text)
    }

    /// The same for programs: a problem document, the daemon's where it refused, with the exit code and the words for people.
    pub fn show_json(&self) -> String {
        let known = self.problem.as_deref().and_then(|problem| serde_json::to_value(problem).ok());
        let mut document =
            known.unwrap_or_else(|| json!({"type": "about:blank", "title": self.exit.meaning(), "detail": self.text}));
        if let Value::Object(members) = &mut document {
            members.insert("exit".into(), self.exit.code().into());
            members.insert("error".into(), self.text.as_str().into());
        }
        print::safe_json(&format!("{document:#}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_codes_are_what_the_table_says() {
        let codes: Vec<u8> = Exit::ALL.iter().map(|exit| exit.code()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(Exit::from_code(7), Exit::State);
        assert_eq!(Exit::from_code(99), Exit::Failed);
    }

    #[test]
    fn a_failure_cannot_steer_the_terminal() {
        let failure = Failure::new(Exit::Refused, "what", "\u{1b}[2Jwhy", "do");
        assert_eq!(failure.show(false), "error: what; \\u{1b}[2Jwhy; do");
        let reasons = ["one\ntwo".to_owned(), "three".to_owned()];
        let failure = Failure::listed(Exit::Configuration, "what", &reasons, "do");
        assert_eq!(failure.show(false), "error: what:\n  one\\ntwo\n  three\ndo");
    }

    #[test]
    fn a_failure_is_a_problem_document_for_programs() {
        let failure = Failure::new(Exit::Unreachable, "nothing was done", "it does not run", "start it");
        let told: Value = serde_json::from_str(&failure.show_json()).expect("JSON");
        let text = "nothing was done; it does not run; start it";
        let title = "the daemon cannot be reached";
        assert_eq!(told, json!({"type": "about:blank", "title": title, "detail": text, "exit": 4, "error": text}));
        let problem = Problem { code: Some("CASE0613".into()), ..crate::protocol::ProblemType::Stale.with("moved on") };
        let told: Value = serde_json::from_str(&failure.with(problem).show_json()).expect("JSON");
        assert_eq!((&told["type"], &told["code"]), (&json!("urn:casebridge:problem:stale"), &json!("CASE0613")));
        assert_eq!((&told["detail"], &told["error"]), (&json!("moved on"), &json!(text)));
    }
}
