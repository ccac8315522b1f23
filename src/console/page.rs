//! Answers that people read. Whatever a peer, a mail or a form has put into a text is escaped where it is filled in.

use std::any::Any;
use std::time::Duration;

use askama::Template;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use tracing::{error, warn};

use super::fields::{Faults, IncidentForm};
use super::tongue;
use super::words::Words;
use crate::case::{Language, Purpose};
use crate::config::Settings;
use crate::exchange::{CaseView, EngineError, Shut};
use crate::store::StoreError;

/// What every page has around it.
pub struct Frame {
    words: &'static Words,
    site: String,
    others: Vec<Language>,
}

impl Frame {
    pub fn new(language: Language, settings: &Settings) -> Self {
        let others = tongue::offered(settings).iter().copied().filter(|other| *other != language).collect();
        let name = settings.pages.as_ref().and_then(|pages| pages.name.clone());
        Self { words: Words::of(language), site: name.unwrap_or_else(|| settings.site.alias.to_string()), others }
    }

    pub fn words(&self) -> &'static Words {
        self.words
    }
}

/// The incident form, as it was filled in so far.
#[derive(Template)]
#[template(path = "console/form.html")]
pub struct FormPage {
    pub frame: Frame,
    pub form: IncidentForm,
    pub faults: Faults,
}

/// A case, and what can be done with it by this link.
#[derive(Template)]
#[template(path = "console/case.html")]
pub struct CasePage {
    frame: Frame,
    heading: &'static str,
    intro: &'static str,
    case: CaseView,
    text_label: &'static str,
    /// What is asked for, where something is.
    asks: Option<&'static str>,
    required: bool,
    written: String,
    faulty: bool,
    button: &'static str,
}

impl CasePage {
    /// `written` is what the person has written and could not be taken.
    pub fn new(frame: Frame, purpose: Purpose, case: CaseView, written: Option<String>) -> Self {
        let w = frame.words;
        let (heading, intro, text_label, asks, button) = match purpose {
            Purpose::Confirm => (w.confirm, w.confirm_intro, w.solution, None, w.send_confirm),
            Purpose::NotSolved => {
                (w.not_solved, w.not_solved_intro, w.solution, Some(w.not_solved_text), w.send_not_solved)
            }
            Purpose::Answer | Purpose::Form | Purpose::Reply => {
                (w.answer, w.answer_intro, w.last_word, Some(w.answer_text), w.send_answer)
            }
        };
        let faulty = written.is_some();
        let written = written.unwrap_or_default();
        Self { frame, heading, intro, case, text_label, asks, required: true, written, faulty, button }
    }
}

/// A page that only tells something.
#[derive(Template)]
#[template(path = "console/told.html")]
struct Told {
    frame: Frame,
    heading: &'static str,
    text: String,
    is_done: bool,
    /// What the person has written, and nobody has got.
    written: String,
}

/// The result of what a link did; the same however often it is asked for.
pub fn done(frame: Frame, purpose: Purpose, number: &str) -> Response {
    let w = frame.words;
    let (heading, text) = match purpose {
        Purpose::Form => (w.form_done, w.form_done_text),
        Purpose::Answer | Purpose::Reply => (w.answer_done, w.answer_done_text),
        Purpose::Confirm => (w.confirm_done, w.confirm_done_text),
        Purpose::NotSolved => (w.not_solved_done, w.not_solved_done_text),
    };
    render(
        StatusCode::OK,
        &Told { heading, text: text.replace("{}", number), is_done: true, written: String::new(), frame },
    )
}

/// Why there is nothing to do here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    NotOurs,
    Shut(Shut),
    TooLarge,
    NoForm,
    TooMany { wait: Duration },
    Trouble,
}

impl From<EngineError> for Fault {
    fn from(fault: EngineError) -> Self {
        match fault {
            EngineError::Store(StoreError::Busy(reason)) => {
                warn!(event = "page_failed", reason, "the store is busy");
            }
            fault => error!(event = "page_failed", reason = %fault, "a page could not be answered"),
        }
        Fault::Trouble
    }
}

impl Fault {
    /// `written` is what the person has written, and nobody has got.
    pub fn page(self, language: Language, settings: &Settings, written: String) -> impl IntoResponse + use<> {
        let frame = Frame::new(language, settings);
        let w = frame.words;
        let (status, heading, text) = match self {
            Fault::NotOurs | Fault::Shut(Shut::NotOurs) => (StatusCode::NOT_FOUND, w.not_ours, w.not_ours_text),
            Fault::Shut(Shut::Expired) => (StatusCode::GONE, w.expired, w.expired_text),
            Fault::Shut(Shut::Closed) => (StatusCode::CONFLICT, w.closed, w.closed_text),
            Fault::Shut(Shut::NotResolved) => (StatusCode::CONFLICT, w.reopened, w.reopened_text),
            Fault::Shut(Shut::Earlier) => (StatusCode::CONFLICT, w.earlier, w.earlier_text),
            Fault::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, w.too_large, w.too_large_text),
            Fault::NoForm => (StatusCode::BAD_REQUEST, w.no_form, w.no_form_text),
            Fault::TooMany { .. } => (StatusCode::TOO_MANY_REQUESTS, w.too_many, w.too_many_text),
            Fault::Trouble => (StatusCode::SERVICE_UNAVAILABLE, w.trouble, w.trouble_text),
        };
        let mut response = render(status, &Told { heading, text: text.to_owned(), is_done: false, written, frame });
        if let Fault::TooMany { wait } = self {
            let seconds = wait.as_secs_f64().ceil().max(1.0) as u64;
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

pub fn render(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(text) => (status, Html(text)).into_response(),
        Err(fault) => {
            error!(event = "page_failed", reason = %fault, "a page could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// A panic in one request is that request's affair.
pub fn panicked(_: Box<dyn Any + Send + 'static>) -> Response<Body> {
    error!(event = "page_failed", reason = "panic", "a page could not be answered");
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}
