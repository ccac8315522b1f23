//! What goes over the wire, version 1: JSON bodies, one file per call, and problem documents (RFC 9457).

pub mod asked;
pub mod attachment;
pub mod bounded;
pub mod cases;
pub mod contact;
pub mod definitions;
pub mod digest;
pub mod exchange;
pub mod external;
#[cfg(test)]
mod fuzz;
pub mod history;
pub mod job;
pub mod key;
pub mod mail;
pub mod object;
pub mod operation;
pub mod operator;
pub mod problem;
pub mod reaction;
pub mod receipt;
pub mod reconcile;
pub mod site;
pub mod transaction;
pub mod unknown;
pub mod update;
pub mod version;
pub mod why;

pub use attachment::{AttachmentAnswer, ContentRange};
pub use contact::{CaseContact, ContactAnswer, ContactCase, ContactDifference, ContactPage, ContactsQuery};
pub use digest::{DigestPage, DigestPart, ExchangeDigest, PART_LIMIT};
pub use exchange::{ExchangePage, ExchangeSnapshot, SnapshotStep};
pub use job::{JobAnswer, JobCase, JobList, JobRequest};
pub use mail::{MailAnswer, MailPage, MailRetryRequest, MailsQuery, PartyPage, PartyRequest};
pub use object::Object;
pub use operation::{OperationAnswer, OperationBatch, OperationRequest, OperationResult, Outcome};
pub use problem::{Problem, ProblemType};
pub use receipt::{ReceiptAnswer, ReceiptTaken};
pub use reconcile::{DriftRow, ReconcileAnswer, ReconcileRequest};
pub use site::SiteAnswer;
pub use transaction::{TransactionAnswer, TransactionList, TransactionStep};
pub use unknown::Unknown;
pub use update::{UpdateAnswer, UpdateOperation};
pub use version::Version;
pub use why::WhyAnswer;

/// The protocol that this program speaks: `major.minor`. Another major version is refused, another minor one is not.
/// Since 1.2 operations come with the version of who sends them; who says one says `seen` too.
pub const VERSION: &str = "1.2";

/// The most operations in one request, and in one answer of the feed.
pub const BATCH_LIMIT: usize = 1000;
/// So many bytes of operations or exchanges make a page, however few they are.
pub const PAGE_BYTES: usize = 4 << 20;
/// The most exchanges that one `GET /v1/transactions?exchange=` or `GET /v1/exchanges?exchange=` asks for.
pub const TRANSACTION_LIMIT: usize = 100;
