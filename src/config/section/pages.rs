//! `[pages]`: the pages that people reach by the links in their mails.

use crate::case::Language;
use crate::config::defaults;
use crate::config::faults::Refused;
use crate::config::item::Item;
use crate::config::reader::Reader;
use crate::config::settings::Pages;

use super::address::{Address, AddressFault};

/// The longest name over the pages, in bytes.
const NAME_LIMIT: usize = 64;

pub fn pages(mut table: Reader<'_>) -> Result<Pages, Refused> {
    let address = table.required("address", "write address = \"https://desk.example\"").and_then(|item| address(&item));
    let name = table.line("name", NAME_LIMIT);
    let languages = table.take("languages", languages).unwrap_or_else(|| defaults::PAGES_LANGUAGES.to_vec());
    let form_expires = table.duration("form_expires", defaults::PAGES_FORM_EXPIRES);
    let requests_per_minute = table.count("requests_per_minute", defaults::PAGES_REQUESTS_PER_MINUTE);
    table.finish();
    Ok(Pages { address: address?, name, languages, form_expires, requests_per_minute })
}

/// A link lets in whoever has it, so it does not travel unencrypted.
fn address(item: &Item<'_>) -> Result<String, Refused> {
    let help = "write the address at which people reach [listen], like \"https://desk.example:8443\"";
    let address: Address =
        item.line(512)?.parse().map_err(|fault: AddressFault| item.refuse(format!("the address {fault}"), help))?;
    if address.is_https || address.is_loopback {
        return Ok(address.url);
    }
    Err(item.refuse("the links in mails would be followed unencrypted", help))
}

fn languages(item: &Item<'_>) -> Result<Vec<Language>, Refused> {
    let help = "write [\"en\", \"fr\"] or [\"fr\", \"en\"]; the first is for whoever wants neither";
    let languages: Vec<Language> = item.list(Language::ALL.len(), |item| item.parsed(help))?;
    let twice = languages.iter().enumerate().any(|(index, one)| languages[..index].contains(one));
    if languages.is_empty() || twice {
        return Err(item.refuse("must name each language once, and one at least", help));
    }
    Ok(languages)
}
