//! What comes in through the inbox, the command line or another program: an event, and the files that belong to it.

use super::form::Form;
use super::incident::Event;
use super::instance::InstanceEdit;

/// An incident on its way into the store. It is created once by its host event ID.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Deposit {
    pub event: Event,
    pub group: Option<String>,
    /// Filled in beforehand, as in a draft.
    pub form: Form,
    /// At most [`Deposit::FILE_LIMIT`].
    pub files: Vec<DepositedFile>,
    /// Do not let a policy submit it (A-11: a switched-off event type).
    pub hold: bool,
    /// Who handed it in, as the history tells it (H-05): an operator by a command, or a person by a form.
    pub handed_in_by: Option<String>,
    /// Who opened it by hand, as the history tells it.
    pub opened_by: Option<String>,
    /// What the case has beside its record from the beginning.
    pub instance: Option<Box<InstanceEdit>>,
}

impl Deposit {
    pub const FILE_LIMIT: usize = 1000;
}

/// A file that a bundle carries, lists, or says it could not make.
#[derive(Debug, Clone, PartialEq)]
pub struct DepositedFile {
    /// As the bundle names it: one line, at most 256 bytes. Never used as a path.
    pub name: String,
    pub media_type: Option<String>,
    pub content: FileContent,
}

#[derive(Debug, Clone, PartialEq)]
pub enum FileContent {
    Embedded(Vec<u8>),
    /// Only listed: to be fetched from beside the bundle, now or later.
    Listed,
    Failed {
        reason: String,
    },
}
