//! In which language a page speaks: as its address says, as the person is spoken to in mails, as the browser wants it.

use axum::http::{HeaderMap, header};

use crate::case::Language;
use crate::config::Settings;

/// As the link in the page says it.
pub fn chosen(settings: &Settings, query: Option<&str>) -> Option<Language> {
    let (_, tag) = form_urlencoded::parse(query?.as_bytes()).find(|(name, _)| name == "lang")?;
    Language::of_tag(&tag).filter(|language| offered(settings).contains(language))
}

/// Without knowing the person.
pub fn of_request(settings: &Settings, query: Option<&str>, headers: &HeaderMap) -> Language {
    let wanted = || {
        let accept = headers.get(header::ACCEPT_LANGUAGE)?.to_str().ok()?;
        Language::wanted(accept, offered(settings))
    };
    chosen(settings, query).or_else(wanted).or(offered(settings).first().copied()).unwrap_or(Language::English)
}

pub fn offered(settings: &Settings) -> &[Language] {
    settings.pages.as_ref().map_or(&[], |pages| pages.languages.as_slice())
}
