//! What stands behind a link: a look at it, and its button.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tracing::info;

use super::body::Fields;
use super::fields::{Faults, IncidentForm, is_text};
use super::page::{CasePage, Fault, FormPage, Frame, done, render};
use super::{Console, body, tongue};
use crate::case::{Language, Pass, PassTag, Purpose};
use crate::config::Settings;
use crate::exchange::Leads;
use crate::store::Spoken;

/// A request, and what is known before anybody is asked.
struct Visit {
    console: Console,
    settings: Arc<Settings>,
    link: Option<(Pass, PassTag)>,
    query: Option<String>,
    headers: HeaderMap,
}

impl Visit {
    fn new(console: Console, text: &str, query: Option<String>, headers: HeaderMap) -> Self {
        let link = console.links.known(text);
        Self { settings: console.engine.settings(), console, link, query, headers }
    }

    async fn leads(&self) -> Result<(Pass, PassTag, Leads), Fault> {
        let (pass, tag) = self.link.ok_or(Fault::NotOurs)?;
        Ok((pass, tag, self.console.engine.leads(&pass, tag).await?))
    }

    /// `theirs` is how the person is spoken to in mails.
    fn language(&self, theirs: Option<Language>) -> Language {
        self.chosen().unwrap_or_else(|| self.unasked(theirs))
    }

    fn chosen(&self) -> Option<Language> {
        tongue::chosen(&self.settings, self.query.as_deref())
    }

    /// Where the person has chosen none.
    fn unasked(&self, theirs: Option<Language>) -> Language {
        let theirs = theirs.filter(|language| tongue::offered(&self.settings).contains(language));
        theirs.unwrap_or_else(|| tongue::of_request(&self.settings, None, &self.headers))
    }

    fn frame(&self, theirs: Option<Language>) -> Frame {
        Frame::new(self.language(theirs), &self.settings)
    }

    /// How the person of the link is spoken to in mails, where it is a link of this site's.
    async fn theirs(&self) -> Option<Language> {
        let (pass, _) = self.link?;
        self.console.engine.language_of(&pass).await.ok().flatten()
    }

    async fn refuse(&self, Refused { fault, written }: Refused) -> Response {
        fault.page(self.language(self.theirs().await), &self.settings, written).into_response()
    }

    async fn show(&self, pass: &Pass, leads: Leads) -> Response {
        match leads {
            Leads::Form(intake) => {
                let form = IncidentForm {
                    title: intake.subject,
                    description: intake.text,
                    priority: "3".into(),
                    contact: intake.name.unwrap_or_default(),
                    ..IncidentForm::default()
                };
                let page = FormPage { frame: self.frame(intake.language), form, faults: Faults::default() };
                render(StatusCode::OK, &page)
            }
            Leads::Case(case) => {
                let page = CasePage::new(self.frame(case.language), pass.purpose, case, None);
                render(StatusCode::OK, &page)
            }
            Leads::Done { number, language } => done(self.frame(language), pass.purpose, &number),
            Leads::Shut(shut) => self.refuse(Fault::Shut(shut).into()).await,
        }
    }
}

/// `GET`: shows what the link is for, or what it did. Changes nothing.
pub async fn look(
    State(console): State<Console>,
    Path(text): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let visit = Visit::new(console, &text, query, headers);
    match visit.leads().await {
        Ok((pass, _, leads)) => visit.show(&pass, leads).await,
        Err(fault) => visit.refuse(fault.into()).await,
    }
}

/// `POST`: does what the link is for, once, and leads back to where it is told.
pub async fn act(
    State(console): State<Console>,
    Path(text): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let visit = Visit::new(console, &text, query, headers);
    match press(&visit, body).await {
        Ok(response) => response,
        Err(refused) => visit.refuse(refused).await,
    }
}

/// Why nothing was done, and what the person has written: nobody else has it.
struct Refused {
    fault: Fault,
    written: String,
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Self { fault, written: String::new() }
    }
}

async fn press(visit: &Visit, body: Body) -> Result<Response, Refused> {
    visit.link.ok_or(Fault::NotOurs)?;
    let within = visit.settings.listen.as_ref().map(|listen| listen.read_timeout).unwrap_or_default();
    let fields = body::read(&visit.headers, body, within).await?;
    let written = || fields.get("text").trim().to_owned();
    carry_out(visit, &fields).await.map_err(|fault| Refused { fault, written: written() })
}

async fn carry_out(visit: &Visit, fields: &Fields) -> Result<Response, Fault> {
    let (pass, tag, leads) = visit.leads().await?;
    let engine = &visit.console.engine;
    let done = match leads {
        Leads::Form(intake) => {
            let frame = visit.frame(intake.language);
            let form = IncidentForm::of(fields);
            let faults = form.check(frame.words());
            if faults.any() {
                return Ok(render(StatusCode::UNPROCESSABLE_ENTITY, &FormPage { frame, form, faults }));
            }
            // The form posts the language that it was shown in; only another one than it would have had is a choice.
            let is_chosen = visit.chosen().is_some_and(|chosen| chosen != visit.unasked(intake.language));
            let language = Spoken { language: frame.words().language, is_chosen };
            engine.fill_form(&pass, tag, language, |intake| (form.deposit(intake), form.also())).await?
        }
        Leads::Case(case) => {
            let frame = visit.frame(case.language);
            let said = fields.get("text").trim();
            if pass.purpose != Purpose::Confirm && !is_text(said) {
                let page = CasePage::new(frame, pass.purpose, case, Some(said.to_owned()));
                return Ok(render(StatusCode::UNPROCESSABLE_ENTITY, &page));
            }
            engine.follow(&pass, tag, said, frame.words().language).await?
        }
        // Pressed twice: what was done stands there.
        leads @ Leads::Done { .. } => leads,
        Leads::Shut(shut) => return Err(Fault::Shut(shut)),
    };
    match done {
        Leads::Done { ref number, .. } => {
            info!(
                event = "page_taken",
                purpose = pass.purpose.as_str(),
                number,
                "a person pressed the button of a page"
            );
            Ok(again(visit).await)
        }
        Leads::Shut(shut) => Err(Fault::Shut(shut)),
        // The case moved on while the button was pressed.
        Leads::Form(_) | Leads::Case(_) => Ok(visit.show(&pass, done).await),
    }
}

/// Leads the browser back to the page with a GET, so that neither loading it anew nor going back sends anything twice.
async fn again(visit: &Visit) -> Response {
    let language = visit.language(visit.theirs().await);
    (StatusCode::SEE_OTHER, [(header::LOCATION, format!("?lang={}", language.as_str()))]).into_response()
}
