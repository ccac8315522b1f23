//! The languages in which people are spoken to.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A language that every page and every notice has texts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, ToSchema)]
pub enum Language {
    #[default]
    #[serde(rename = "en")]
    English,
    #[serde(rename = "fr")]
    French,
}

impl Language {
    pub const ALL: [Language; 2] = [Language::English, Language::French];

    /// Its tag (BCP 47).
    pub fn as_str(self) -> &'static str {
        match self {
            Language::English => "en",
            Language::French => "fr",
        }
    }

    /// What its speakers call it.
    pub fn own_name(self) -> &'static str {
        match self {
            Language::English => "English",
            Language::French => "Français",
        }
    }

    /// The language of a tag such as `fr-CA`.
    pub fn of_tag(tag: &str) -> Option<Language> {
        let primary = tag.split('-').next().unwrap_or_default().trim();
        Language::ALL.into_iter().find(|language| language.as_str().eq_ignore_ascii_case(primary))
    }

    /// The one of `offered` that somebody wants most (RFC 9110, section 12.5.4): the first of the highest weight. A language
    /// of weight 0 is not wanted at all.
    pub fn wanted(accept: &str, offered: &[Language]) -> Option<Language> {
        /// More than anybody speaks.
        const RANGES: usize = 30;
        let range = |range: &str| {
            let (tag, weight) = range.split_once(';').unwrap_or((range, "q=1"));
            let weight: f32 = weight.trim().strip_prefix("q=")?.parse().ok()?;
            let language = Language::of_tag(tag).filter(|language| offered.contains(language))?;
            (weight > 0.0).then_some((language, weight))
        };
        let ranges = accept.split(',').take(RANGES).filter_map(range);
        ranges.reduce(|best, next| if next.1 > best.1 { next } else { best }).map(|(language, _)| language)
    }
}

/// Whether a text has the form of a language tag (BCP 47): a language of 2 to 8 letters, or a tag of one's own (`x-...`), and
/// parts of up to 8 letters and digits behind it; at most 35 bytes.
pub fn is_tag(text: &str) -> bool {
    const LONGEST: usize = 35;
    let is_part = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let mut parts = text.split('-');
    let first = parts.next().unwrap_or_default();
    let language = first.len() >= 2 && first.bytes().all(|byte| byte.is_ascii_alphabetic());
    let own = first.eq_ignore_ascii_case("x") && text.len() > first.len();
    text.len() <= LONGEST && is_part(first) && (language || own) && parts.all(is_part)
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// It is no language that there are texts in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be one of \"en\", \"fr\"")]
pub struct NoTexts;

impl FromStr for Language {
    type Err = NoTexts;

    fn from_str(text: &str) -> Result<Self, NoTexts> {
        Language::ALL.into_iter().find(|language| language.as_str() == text).ok_or(NoTexts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_has_the_form_of_one() {
        for tag in ["fr", "pt-BR", "zh-Hant-TW", "sl-rozaj-biske", "de-CH-1901", "x-own", "en-u-ca-gregory"] {
            assert!(is_tag(tag), "{tag}");
        }
        let long = "en-".to_owned() + &"abcdefgh-".repeat(4);
        for odd in
            ["", "klingon!!", "f", "x", "fr-", "-fr", "fr--CA", "fr_CA", "toolonglanguage", "français", "f1", &long]
        {
            assert!(!is_tag(odd), "{odd}");
        }
    }

    #[test]
    fn the_wanted_language_is_the_heaviest_of_those_that_are_offered() {
        let wanted = |accept| Language::wanted(accept, &Language::ALL);
        assert_eq!(wanted("fr-FR,fr;q=0.9,en;q=0.8"), Some(Language::French));
        assert_eq!(wanted("de, en;q=0.5, fr;q=0.7"), Some(Language::French));
        assert_eq!(wanted("en;q=0, FR;q=0.1"), Some(Language::French));
        assert_eq!(wanted("de"), None);
        assert_eq!(wanted(""), None);
        assert_eq!(wanted("fr;q=x, ;;;, en;q=NaN"), None);
        assert_eq!(Language::wanted("fr, en;q=0.1", &[Language::English]), Some(Language::English));
    }
}
