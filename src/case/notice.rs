//! What the parties of a case are told by mail, each once for its reason.

use super::state::CaseState;

/// A kind of mail. Each has its template in every language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Notice {
    /// A mail came in: here is the form.
    Form,
    /// The form was filled in: here is the number.
    Received,
    /// The case is open.
    Opened,
    /// It came into another state.
    State,
    /// Somebody wrote a public comment.
    Comment,
    /// An answer is asked for; the case stands still until it comes.
    InputRequested,
    /// The answer did not come yet.
    InputReminder,
    /// Without an answer the case is closed soon.
    InputNotice,
    /// It was closed, since no answer came.
    InputClosed,
    /// The case is resolved, and may it be closed?
    ClosingAsked,
    /// The same once more.
    ClosingReminder,
    /// Without a word the case is closed soon.
    ClosingNotice,
    /// The case is over.
    Closed,
}

impl Notice {
    pub const ALL: [Notice; 13] = [
        Notice::Form,
        Notice::Received,
        Notice::Opened,
        Notice::State,
        Notice::Comment,
        Notice::InputRequested,
        Notice::InputReminder,
        Notice::InputNotice,
        Notice::InputClosed,
        Notice::ClosingAsked,
        Notice::ClosingReminder,
        Notice::ClosingNotice,
        Notice::Closed,
    ];

    /// The word in the store, and the name of the templates.
    pub fn as_str(self) -> &'static str {
        match self {
            Notice::Form => "form",
            Notice::Received => "received",
            Notice::Opened => "opened",
            Notice::State => "state",
            Notice::Comment => "comment",
            Notice::InputRequested => "input_requested",
            Notice::InputReminder => "input_reminder",
            Notice::InputNotice => "input_notice",
            Notice::InputClosed => "input_closed",
            Notice::ClosingAsked => "closing_asked",
            Notice::ClosingReminder => "closing_reminder",
            Notice::ClosingNotice => "closing_notice",
            Notice::Closed => "closed",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|notice| notice.as_str() == text)
    }

    /// What tells of a case that came into this state.
    pub fn of(state: CaseState) -> Self {
        match state {
            CaseState::InputRequested => Notice::InputRequested,
            CaseState::Resolved => Notice::ClosingAsked,
            CaseState::Completed | CaseState::Canceled => Notice::Closed,
            CaseState::Opened | CaseState::InProcess | CaseState::OnHold | CaseState::Reopened => Notice::State,
        }
    }

    /// Whether another state of the case makes it pointless: it asks for something, or tells of the state alone.
    pub fn passes(self) -> bool {
        self.asks() || self == Notice::State
    }

    /// Whether it asks for something that another state of the case makes pointless.
    pub fn asks(self) -> bool {
        match self {
            Notice::InputRequested
            | Notice::InputReminder
            | Notice::InputNotice
            | Notice::ClosingAsked
            | Notice::ClosingReminder
            | Notice::ClosingNotice => true,
            Notice::Form
            | Notice::Received
            | Notice::Opened
            | Notice::State
            | Notice::Comment
            | Notice::InputClosed
            | Notice::Closed => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_03_every_state_is_told_of_and_every_notice_has_one_name() {
        for state in CaseState::ALL {
            let asks = matches!(state, CaseState::InputRequested | CaseState::Resolved);
            assert_eq!(Notice::of(state).asks(), asks, "{state}");
        }
        for notice in Notice::ALL {
            assert_eq!(Notice::parse(notice.as_str()), Some(notice));
        }
    }
}
