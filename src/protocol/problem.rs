//! Errors as problem documents (RFC 9457) with a stable `type`.

use serde::{Deserialize, Serialize};
use serde_json::error::Category;
use utoipa::ToSchema;

use super::VERSION;
use crate::case::text::shown;

/// The media type of a problem document.
pub const CONTENT_TYPE: &str = "application/problem+json";

/// What went wrong, for a program (`type`) and for a person (`title`, `detail`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    #[schema(minimum = 400, maximum = 599)]
    pub status: u16,
    /// What exactly, and what to do. Never repeats secrets or long input.
    pub detail: String,
    /// The CASEnnnn code that the case-management reference gives to the call, where it has one.
    #[schema(pattern = "^CASE[0-9]{4}$")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

macro_rules! problems {
    ($($(#[$doc:meta])* $name:ident = $slug:literal, $status:literal, $title:literal;)+) => {
        /// The kinds of problem. The URIs are stable.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum ProblemType { $($(#[$doc])* $name),+ }

        impl ProblemType {
            pub const ALL: &'static [ProblemType] = &[$(ProblemType::$name),+];

            pub fn uri(self) -> &'static str {
                match self { $(ProblemType::$name => concat!("urn:casebridge:problem:", $slug)),+ }
            }

            /// The HTTP status that goes with it.
            pub fn status(self) -> u16 {
                match self { $(ProblemType::$name => $status),+ }
            }

            pub fn title(self) -> &'static str {
                match self { $(ProblemType::$name => $title),+ }
            }
        }
    };
}

problems! {
    Unauthorized = "unauthorized", 401, "Credentials are missing or wrong";
    Forbidden = "forbidden", 403, "The permission for this is missing";
    NotFound = "not-found", 404, "There is no such thing";
    UnknownVersion = "unknown-version", 404, "This protocol version is not spoken here";
    MethodNotAllowed = "method-not-allowed", 405, "The address does not take this method";
    BadRequest = "bad-request", 400, "The request cannot be read";
    TooLarge = "too-large", 413, "The body is larger than allowed";
    MediaType = "media-type", 415, "The body is not application/json";
    ContentEncoding = "content-encoding", 415, "The body is packed in a way that is not unpacked here";
    BatchLimit = "batch-limit", 422, "Too many or too few items in one request";
    /// The content of an operation breaks a rule.
    Content = "content", 422, "The operation's content is not acceptable";
    /// A value has no counterpart in the receiver's field map (C-29).
    Unmapped = "unmapped", 422, "A value has no counterpart in the field map";
    UnknownOperation = "unknown-operation", 422, "There is no such operation";
    UnknownExchange = "unknown-exchange", 409, "This exchange was never created here";
    /// An operation of the exchange that comes before it is missing.
    OutOfOrder = "out-of-order", 409, "Another operation has to come first";
    /// The same number came with another content.
    SequenceConflict = "sequence-conflict", 409, "This sequence number was used for another operation";
    Illegal = "illegal", 409, "The operation cannot follow in the exchange's present step";
    /// The active flag of the case is off (C-59).
    Inactive = "inactive", 409, "The exchange of this case is switched off";
    Rejected = "rejected", 409, "The exchange was rejected";
    /// The peer's operations only repeated what it had said; a person there has to look.
    NoProgress = "no-progress", 409, "The exchange makes no progress and is stopped";
    Loop = "loop", 409, "The case has already passed this site";
    /// The cursor is of a feed that no longer exists: re-adopt with `GET /v1/exchanges`.
    CursorLost = "cursor-lost", 410, "The cursor belongs to an earlier state of this site";
    /// The receiver takes no such file, now or ever: its limit, its types, or a content that was wrong too often.
    AttachmentRefused = "attachment-refused", 422, "The attachment is not taken";
    AttachmentLength = "attachment-length", 422, "The attachment has another length than announced";
    AttachmentDigest = "attachment-digest", 422, "The attachment has another SHA-256 than announced";
    /// `HEAD` tells where to go on.
    AttachmentOffset = "attachment-offset", 409, "The piece does not go on where the attachment ends";
    Range = "range", 416, "There are no such bytes";
    /// It is badly made, or its key is not believed.
    Receipt = "receipt", 422, "The receipt is not taken";
    TooManyRequests = "too-many-requests", 429, "Too much was asked for in a short time";
    Busy = "busy", 503, "The site cannot do this now";
    TimedOut = "timed-out", 408, "The request took too long";
    Internal = "internal", 500, "The site failed";
    AlreadySubmitted = "already-submitted", 409, "The incident was already submitted";
    NotSubmittable = "not-submittable", 409, "The incident cannot be submitted";
    NotConnected = "not-connected", 409, "There is no site to submit to";
    /// The peer is of an older version that does not have this call.
    Unsupported = "unsupported", 409, "The peer does not know how to do this";
    NotParked = "not-parked", 409, "Nothing of this incident is parked";
    NotOwner = "not-owner", 409, "Another site has the case in hand";
    Form = "form", 422, "The form is not acceptable";
    Action = "action", 409, "The action is not possible now";
    /// `If-Match` names another revision than the case is at.
    Stale = "stale", 412, "The case is not as it was any more";
}

impl ProblemType {
    pub fn with(self, detail: impl Into<String>) -> Problem {
        Problem {
            kind: self.uri().to_owned(),
            title: self.title().to_owned(),
            status: self.status(),
            detail: detail.into(),
            code: None,
        }
    }
}

impl Problem {
    pub fn is(&self, kind: ProblemType) -> bool {
        self.kind == kind.uri()
    }

    /// A foreign problem as our records and logs may repeat it: short, and harmless on a terminal.
    pub fn shown(&self) -> Problem {
        Problem {
            kind: shown(&self.kind, 100),
            title: shown(&self.title, 100),
            status: self.status,
            detail: shown(&self.detail, 600),
            code: self.code.as_ref().map(|code| shown(code, 20)),
        }
    }
}

/// What is told to whoever asks for a version, such as `v2`, that is not spoken here.
pub fn unknown_version(asked: &str) -> String {
    format!("{} was asked for; this site speaks {VERSION}", shown(asked, 20))
}

/// The version that a peer speaks, by what it tells of one that it does not: the last word, or all that older ones say.
pub fn spoken(detail: &str) -> String {
    shown(detail.rsplit(' ').next().unwrap_or_default(), 20)
}

/// What is wrong with JSON that does not read, and where; `root` is the name of the whole, if it has one.
pub fn misread(fault: &serde_path_to_error::Error<serde_json::Error>, root: &str) -> String {
    let path = fault.path().to_string();
    let path_is_root = path == ".";
    let place = match (path.as_str(), root) {
        (".", root) => root.to_owned(),
        (_, "") => path,
        (_, root) => format!("{root}.{path}"),
    };
    let reason = shown(&reason(fault.inner(), path_is_root), 200);
    if place.is_empty() { reason } else { format!("at `{}`: {reason}", shown(&place, 120)) }
}

/// In words for people who do not know what reads it.
fn reason(fault: &serde_json::Error, of_the_whole: bool) -> String {
    const WORDS: [(&str, &str); 6] = [
        ("expected a boolean", "expected true or false"),
        ("expected u8", "expected a whole number, 0 to 255"),
        ("expected u32", "expected a whole number, 0 to 4294967295"),
        ("expected u64", "expected a whole number, 0 or more"),
        ("expected usize", "expected a whole number, 0 or more"),
        ("expected i64", "expected a whole number"),
    ];
    let place = format!("line {}, column {}", fault.line(), fault.column());
    match fault.classify() {
        Category::Eof => format!("the JSON breaks off at {place}"),
        // A null where a word has to stand is told as an error of syntax as well.
        Category::Syntax if !of_the_whole => format!("no value that can stand here at {place}"),
        Category::Syntax | Category::Io => format!("this is no JSON at {place}"),
        Category::Data => {
            let told = fault.to_string();
            if told.starts_with("UUID parsing failed") {
                return format!("expected a UUID, such as 6f1c2a8e-0b7d-4c39-9d52-3a4e5f607182, at {place}");
            }
            let told = told.replacen("unknown variant ", "there is no ", 1);
            let told = match told.strip_prefix("invalid type: ").and_then(|told| told.split_once(", expected ")) {
                Some((found, expected)) => format!("{found} is given, expected {expected}"),
                None => told,
            };
            WORDS
                .iter()
                .fold(told, |told, (word, plain)| told.replace(&format!("{word} at "), &format!("{plain}, at ")))
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.title, self.detail)
    }
}
