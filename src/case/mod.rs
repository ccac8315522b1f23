//! The domain: incidents, phases, operations and the rules that connect them. No I/O and no clock.
//!
//! Two pure functions carry the rules of the source documents: [`derive_operations`] says which operations a change
//! means, [`apply()`] says which change an operation means. [`Upward`] and [`Downward`] are the steps of an exchange.

pub mod agreed;
pub mod apply;
pub mod attachment;
pub mod calendar;
pub mod case_name;
pub mod case_type;
pub mod code;
pub mod conflict;
pub mod contact;
pub mod dated;
pub mod deadline;
pub mod deposit;
pub mod derive;
pub mod ending;
pub mod evidence;
pub mod fields;
pub mod form;
#[cfg(test)]
mod fuzz;
pub mod hide;
pub mod history;
pub mod id;
pub mod incident;
pub mod instance;
pub mod kind;
pub mod language;
pub mod leg;
pub mod link;
pub mod milestone;
pub mod notice;
pub mod operation;
pub mod ownership;
pub mod party;
pub mod pass;
pub mod permission;
pub mod phase;
pub mod policy;
pub mod progress;
pub mod reaction;
pub mod reactions;
pub mod reminder;
mod schema;
pub mod sequence;
pub mod shadow;
pub mod sharing;
pub mod shown;
pub mod sight;
pub mod state;
pub mod teller;
pub mod template;
pub mod text;
pub mod told;

#[cfg(test)]
mod both_sides;
#[cfg(test)]
pub(crate) mod example;

pub use agreed::{Agreed, Between, Difference, Subject, Texts, may_be_canceled};
pub use apply::{
    Arrival, Edit, OWN_AUTHOR, apply, completed, depends_on_record, is_canceled_elsewhere, is_remark, reopened_remark,
};
pub use attachment::{Announced, AttachmentNote, ContentDigest, NotADigest, NoteFault, Transfer};
pub use calendar::Calendar;
pub use case_name::CaseName;
pub use case_type::{CaseType, Definitions, Sla};
pub use code::Code;
pub use conflict::{Conflict, Meeting, Merged, Touched, Winner};
pub use contact::{CaseRole, Contact, ContactAddress, HandOver, Introduction, NotAnAddress, Person, PersonFault};
pub use dated::dated;
pub use deadline::{Deadline, DeadlineFault, DeadlineKind, DueDate, Goal, Instants};
pub use deposit::{Deposit, DepositedFile, FileContent};
pub use derive::{Counterpart, Towards, derive_create, derive_operations};
pub use ending::Ending;
pub use fields::{Direction, FieldMap, FieldName, Rule, Unmapped, Values, Words};
pub use form::{FollowUp, Form, FormFault, MailAddress, Priority};
pub use history::{Action, HistoryLine, doer, operator};
pub use id::{Alias, CaseId, CaseLink, ExchangeId, IncidentId, SiteId, TransactionId};
pub use incident::{
    Attachment, AttachmentState, Case, CaseFault, Comment, Event, EventFault, Incident, Reference, Standing,
    Submission, Work,
};
pub use instance::{
    CaseTypeName, Flag, GroupName, Initiator, InitiatorType, Instance, InstanceEdit, InstanceFault, Location,
    Owner as CaseOwner, OwnerStatus, Percent, Relation, Resolution, Tag, UserName,
};
pub use kind::Kind;
pub use language::Language;
pub use leg::{Downward, Illegal, Leg, Upward, legal};
pub use link::LinkTo;
pub use milestone::{Fact, Milestone, MilestoneFault, Passed, Stop, last_move};
pub use notice::Notice;
pub use operation::{Changes, ContentFault, Create, Operation, OperationKind};
pub use ownership::{Field, Groups, Holder, Owner, Ownership};
pub use party::{Party, PartyFault, Role};
pub use pass::{Links, Pass, PassFault, PassKey, PassTag, Purpose};
pub use permission::{NotAPermission, Permission, Permissions};
pub use phase::{CompletionCode, Phase, PhaseGroup};
pub use policy::{Policy, PolicyAction};
pub use progress::{Patience, Progress};
pub use reaction::{Deed, Filter, Reaction, ReactionFault, Scope, Trigger};
pub use reactions::{Owned, ReactionChange, Reactions};
pub use sequence::Sequence;
pub use shadow::Shadow;
pub use sharing::Sharing;
pub use shown::{OwnCase, Relayed, relayed};
pub use sight::Sight;
pub use state::{CaseAction, CaseState, IllegalMove};
pub use teller::Tellers;
pub use template::CaseTemplate;
