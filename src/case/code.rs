//! The codes that the case-management reference gives its answers (M-04): the whole catalogue, each code with its message and
//! with what becomes of it here.
//!
//! The reference has a list of success codes and a list of error codes, and the second repeats the first, number by number.
//! There is therefore no code for a failure of its own. An answer that says no carries the code of the call that it was
//! given to, as the second list has it, and its HTTP status and problem `type` say what is wrong. A call to which the
//! reference gives no code, such as a list, is answered without one, well or badly.

use std::fmt;

use serde::{Serialize, Serializer};

macro_rules! codes {
    (@why) => { None };
    (@why $why:expr) => { Some($why) };
    ($($name:ident = $code:literal, $message:literal $(, never: $never:expr)?;)+) => {
        /// One code of the catalogue.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code { $(#[doc = $message] $name),+ }

        impl Code {
            /// The whole catalogue.
            pub const ALL: [Code; [$($code),+].len()] = [$(Code::$name),+];

            pub fn as_str(self) -> &'static str {
                match self { $(Code::$name => $code),+ }
            }

            /// What the reference says with it, in its own words.
            pub fn message(self) -> &'static str {
                match self { $(Code::$name => $message),+ }
            }

            /// Why it cannot come up here; nothing where a call answers with it.
            pub fn never_because(self) -> Option<&'static str> {
                match self { $(Code::$name => codes!(@why $($never)?)),+ }
            }
        }
    };
}

const DEFINED: &str =
    "solutions, processes, case types and priorities are written in the configuration, and no call changes it";
const NO_QUEUE: &str =
    "there is no message queue between the jobs and the cases: what a job finds is kept in the store";
const NO_WORKFLOW: &str = "case types have no workflow documents here";
const NO_TREE: &str = "case types have no decision trees here";

codes! {
    SolutionSaved = "CASE0100", "Case Solution saved successfully.", never: DEFINED;
    SolutionUpdated = "CASE0102", "Case Solution updated successfully.", never: DEFINED;
    SolutionDeleted = "CASE0104", "Case Solution deleted successfully.", never: DEFINED;
    ProcessSaved = "CASE0200", "Case Process saved successfully.", never: DEFINED;
    ProcessUpdated = "CASE0202", "Case Process updated successfully.", never: DEFINED;
    ProcessDeleted = "CASE0204", "Case Process deleted successfully.", never: DEFINED;
    TypeSaved = "CASE0300", "Case Type saved successfully.", never: DEFINED;
    TypeUpdated = "CASE0302", "Case Type updated successfully.", never: DEFINED;
    TypeDeleted = "CASE0304", "Case Type deleted successfully.", never: DEFINED;
    PrioritySaved = "CASE0400", "Case Priority saved successfully.", never: DEFINED;
    PriorityUpdated = "CASE0402", "Case Priority updated successfully.", never: DEFINED;
    PriorityDeleted = "CASE0404", "Case Priority deleted successfully.", never: DEFINED;
    DocumentRemoved = "CASE0500", "Document removed successfully.";
    DocumentUploaded = "CASE0510", "Document upload saved successfully.";
    Created = "CASE0600", "Case Instance created successfully.";
    Updated = "CASE0602", "Case Instance updated Successfully.";
    Commented = "CASE0609", "Comment created successfully.";
    Opened = "CASE0612", "Case was set to state Open successfully.";
    InProcess = "CASE0615", "Case was set to state In Process successfully.";
    InputRequested = "CASE0617", "Case was set to state Request User Input successfully.";
    Resolved = "CASE0619", "The Case was set to state Resolved successfully.";
    Completed = "CASE0621", "The Case was set to state Completed successfully.";
    InitiatorCommented = "CASE0623", "Your comment was added successfully.";
    CommentAdded = "CASE0625", "Your comment was added successfully.",
        never: "it says what CASE0623 says, and the reference does not tell the two apart: CASE0623 is sent";
    OnHold = "CASE0627", "Case was set to state Placed On Hold successfully.";
    Canceled = "CASE0629", "The case was to state Canceled successfully.";
    Reopened = "CASE0631", "The Case was to state Reopened successfully.";
    TagCreated = "CASE0636", "Tag created successfully.";
    TagRemoved = "CASE0637", "Tag have been remove successfully.";
    Claimed = "CASE0642", "The case was claimed successfully";
    Unclaimed = "CASE0644", "The case was unclaimed successfully";
    MessageSent = "CASE0701", "Message has been sent.", never: NO_QUEUE;
    MessageReceived = "CASE0702", "Received Message successfully.", never: NO_QUEUE;
    WorkflowUploaded = "CASE0800", "Workflow uploaded successfully.", never: NO_WORKFLOW;
    WorkflowRemoved = "CASE0802", "Workflow removed successfully.", never: NO_WORKFLOW;
    TreeUploaded = "CASE0804", "Decision tree upload successfully.", never: NO_TREE;
    TreeRemoved = "CASE0806", "Decision tree remove successfully.", never: NO_TREE;
    StatusTreeUploaded = "CASE0814", "Status decision tree upload successfully.", never: NO_TREE;
    StatusTreeRemoved = "CASE0816", "Status decision tree remove successfully.", never: NO_TREE;
    SlasChecked = "CASE9006", "Checking of the requested SLA(s) was successful.";
    DueDatesChecked = "CASE9008", "Successfully checked Due Dates.";
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_is_whole_and_each_code_stands_in_it_once() {
        assert_eq!(Code::ALL.len(), 41);
        let codes: Vec<&str> = Code::ALL.map(Code::as_str).to_vec();
        assert!(codes.is_sorted_by(|one, next| one < next), "{codes:?}");
        for code in Code::ALL {
            let number = code.as_str().strip_prefix("CASE").unwrap();
            assert!(number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit()), "{code}");
            assert!(!code.message().is_empty());
        }
    }
}
