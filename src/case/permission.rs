//! What a person or a program may do with cases: the 36 permissions of the case-management reference (M-03). They are the
//! scopes of an operator's token and what a role is made of.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! permissions {
    (@why) => { None };
    (@why $why:expr) => { Some($why) };
    ($($name:ident = $word:literal, $about:literal $(, never: $never:expr)?;)+) => {
        /// One permission.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub enum Permission { $(#[doc = $about] $name),+ }

        impl Permission {
            /// All of them, as the reference lists them.
            pub const ALL: [Permission; [$($word),+].len()] = [$(Permission::$name),+];

            /// Its name in the reference, in tokens and in the configuration.
            pub fn as_str(self) -> &'static str {
                match self { $(Permission::$name => $word),+ }
            }

            /// What it lets its holder do, after the reference.
            pub fn about(self) -> &'static str {
                match self { $(Permission::$name => $about),+ }
            }

            /// Why there is nothing here that it could open; nothing where it opens something.
            pub fn opens_nothing_because(self) -> Option<&'static str> {
                match self { $(Permission::$name => permissions!(@why $($never)?)),+ }
            }
        }
    };
}

const DEFINED: &str = "solutions, processes, case types and priorities are written in the configuration";
const NO_WORKFLOW: &str = "case types have no workflow documents here";

permissions! {
    ActivityView = "CASE_ACTIVITY_VIEW", "view the activities of a case";
    Everything = "CASE_ALL", "do everything; for administrators only";
    AutocloseView = "CASE_AUTOCLOSE_VIEW", "view the resolved cases that are to be closed automatically";
    Cancel = "CASE_CANCEL", "cancel a case";
    CheckDueDates = "CASE_CHECK_DUE_DATES", "check which due dates are exceeded, or nearly";
    CheckSla = "CASE_CHECK_SLA", "check which SLAs are exceeded, or nearly";
    Comment = "CASE_COMMENT", "comment on a case";
    CommentView = "CASE_COMMENT_VIEW", "view the comments of a case";
    Complete = "CASE_COMPLETE", "complete a case";
    Create = "CASE_CREATE", "create a case";
    DefCreate = "CASE_DEF_CREATE", "create a solution, a process or a case type", never: DEFINED;
    DefDelete = "CASE_DEF_DELETE", "delete a solution, a process or a case type", never: DEFINED;
    DefEdit = "CASE_DEF_EDIT", "edit a solution, a process or a case type", never: DEFINED;
    DefUpload = "CASE_DEF_UPLOAD", "upload workflow documents to a case type", never: NO_WORKFLOW;
    DefUploadRemove = "CASE_DEF_UPLOAD_REMOVE", "remove workflow documents from a case type", never: NO_WORKFLOW;
    DefView = "CASE_DEF_VIEW", "view solutions, processes and case types";
    DocRemove = "CASE_DOC_REMOVE", "remove documents from a case";
    DocUpload = "CASE_DOC_UPLOAD", "upload documents to a case";
    DocView = "CASE_DOC_VIEW", "view the documents of a case";
    Edit = "CASE_EDIT", "edit a case";
    Hold = "CASE_HOLD", "put a case on hold";
    InitiatorComment = "CASE_INITIATOR_COMMENT", "comment on a case as its initiator";
    Input = "CASE_INPUT", "request input for a case";
    InstanceProxySave = "CASE_INSTANCE_PROXY_SAVE", "edit a case on behalf of someone else";
    Open = "CASE_OPEN", "open a case";
    PriorityCreate = "CASE_PRIORITY_CREATE", "create priorities", never: DEFINED;
    PriorityDelete = "CASE_PRIORITY_DELETE", "delete priorities", never: DEFINED;
    PriorityEdit = "CASE_PRIORITY_EDIT", "edit priorities", never: DEFINED;
    PriorityView = "CASE_PRIORITY_VIEW", "view priorities";
    Process = "CASE_PROCESS", "take a case into process";
    Reopen = "CASE_REOPEN", "reopen a case";
    Resolve = "CASE_RESOLVE", "resolve a case";
    View = "CASE_VIEW", "view all cases";
    ViewAssigned = "CASE_VIEW_ASSIGNED", "view the cases that are assigned to oneself or to a group of one's own";
    ViewMine = "CASE_VIEW_MINE", "view the cases that one has initiated oneself";
    ViewUnassigned = "CASE_VIEW_UNASSIGNED", "view the cases that are assigned to nobody";
}

/// A text that names no permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not one of the {} permissions", Permission::ALL.len())]
pub struct NotAPermission;

impl FromStr for Permission {
    type Err = NotAPermission;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|one| one.as_str() == text).ok_or(NotAPermission)
    }
}

impl TryFrom<String> for Permission {
    type Error = NotAPermission;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Permission> for String {
    fn from(permission: Permission) -> String {
        permission.as_str().to_owned()
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of permissions; as JSON, their names.
#[derive(Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Vec<Permission>", into = "Vec<Permission>")]
pub struct Permissions(u64);

impl Permissions {
    pub const NONE: Permissions = Permissions(0);
    /// `CASE_ALL`: whoever has it may do everything.
    pub const EVERYTHING: Permissions = Permissions(Self::bit(Permission::Everything));

    const fn bit(permission: Permission) -> u64 {
        1 << permission as u64
    }

    /// Whether this may be done: by the permission itself, or by `CASE_ALL`.
    pub fn allow(self, permission: Permission) -> bool {
        self.0 & (Self::bit(permission) | Self::EVERYTHING.0) != 0
    }

    /// Whether one of these is enough.
    pub fn allow_one(self, fitting: &[Permission]) -> bool {
        fitting.iter().any(|one| self.allow(*one))
    }

    pub fn and(self, others: Permissions) -> Permissions {
        Self(self.0 | others.0)
    }

    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }

    /// Those that were given, in the order of the reference.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.into_iter().filter(move |one| self.0 & Self::bit(*one) != 0)
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(all: I) -> Self {
        Self(all.into_iter().fold(0, |bits, one| bits | Self::bit(one)))
    }
}

impl From<Vec<Permission>> for Permissions {
    fn from(all: Vec<Permission>) -> Self {
        all.into_iter().collect()
    }
}

impl From<Permissions> for Vec<Permission> {
    fn from(set: Permissions) -> Self {
        set.iter().collect()
    }
}

/// The names, with blanks between them.
impl fmt::Display for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.iter().map(Permission::as_str).collect::<Vec<_>>().join(" "))
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_36_each_with_a_name_of_its_own_that_reads_back() {
        assert_eq!(Permission::ALL.len(), 36);
        for permission in Permission::ALL {
            assert!(permission.as_str().starts_with("CASE_") && !permission.about().is_empty());
            assert_eq!(permission.as_str().parse(), Ok(permission));
        }
        let mut names = Permission::ALL.map(Permission::as_str).to_vec();
        assert!(names.is_sorted(), "as the reference lists them");
        names.dedup();
        assert_eq!(names.len(), 36);
        for wrong in ["", "case_view", "CASE_VIEW ", "CASE_", "CASE_DELETE"] {
            assert_eq!(wrong.parse::<Permission>(), Err(NotAPermission), "{wrong}");
        }
    }

    #[test]
    fn a_set_allows_what_is_in_it_and_case_all_allows_everything() {
        for given in Permission::ALL {
            let set = Permissions::from_iter([given]);
            for asked in Permission::ALL {
                assert_eq!(set.allow(asked), given == asked || given == Permission::Everything, "{given}, {asked}");
            }
        }
        assert!(!Permissions::NONE.allow_one(&Permission::ALL) && Permissions::NONE.is_none());
        let two = Permissions::from_iter([Permission::View]).and(Permissions::from_iter([Permission::Hold]));
        assert_eq!(two.to_string(), "CASE_HOLD CASE_VIEW");
        assert!(two.allow_one(&[Permission::Cancel, Permission::View]) && !two.allow_one(&[Permission::Cancel]));
    }

    #[test]
    fn a_set_is_written_as_its_names_and_another_word_is_not_read() {
        let all = Permissions::from_iter(Permission::ALL);
        let text = serde_json::to_string(&all).unwrap();
        assert_eq!(serde_json::from_str::<Permissions>(&text).unwrap(), all);
        assert_eq!(serde_json::to_string(&Permissions::EVERYTHING).unwrap(), "[\"CASE_ALL\"]");
        for wrong in ["[\"CASE_EVERYTHING\"]", "\"CASE_ALL\"", "[1]", "{}"] {
            assert!(serde_json::from_str::<Permissions>(wrong).is_err(), "{wrong}");
        }
    }
}
