//! `[case]`: how a site with clients answers them.

use crate::case::Policy;
use crate::config::claims::Claims;
use crate::config::defaults;
use crate::config::faults::Refused;
use crate::config::item::{Item, quoted};
use crate::config::reader::Reader;
use crate::config::settings::{CaseSettings, FromUpstream};

use super::policy::{POLICY_LIMIT, filters};

/// The longest template of a case ID, in bytes. Filled in it fits into [`crate::case::CaseId`].
const ID_TEMPLATE_LIMIT: usize = 64;
/// The longest template of a link, in bytes. Filled in it fits into [`crate::case::CaseLink`].
const LINK_TEMPLATE_LIMIT: usize = 1024;
/// The longest status, in bytes.
const STATUS_LIMIT: usize = 64;

pub fn case(mut table: Reader<'_>) -> CaseSettings {
    let id_template = table.take("id_template", id_template);
    let link_template = table.take("link_template", link_template);
    let mut status = |key, default: &str| table.line(key, STATUS_LIMIT).unwrap_or_else(|| default.to_owned());
    let opened_status = status("opened_status", defaults::CASE_OPENED_STATUS);
    let pending_status = status("pending_status", defaults::CASE_PENDING_STATUS);
    let resumed_status = status("resumed_status", defaults::CASE_RESUMED_STATUS);
    let reopen_closed = table.flag("reopen_closed", defaults::CASE_REOPEN_CLOSED);
    let max_document = table.size("max_document", defaults::CASE_MAX_DOCUMENT);
    let whose = [("pass", FromUpstream::Pass), ("own", FromUpstream::Own)];
    let from_upstream = table.choice("from_upstream", &whose, defaults::CASE_FROM_UPSTREAM);
    let accept = policies(&mut table, "accept");
    let escalate = policies(&mut table, "escalate");
    table.finish();
    CaseSettings {
        id_template: id_template.unwrap_or_else(|| defaults::CASE_ID_TEMPLATE.to_owned()),
        link_template,
        opened_status,
        pending_status,
        resumed_status,
        reopen_closed,
        max_document,
        from_upstream,
        accept,
        escalate,
    }
}

fn policies(table: &mut Reader<'_>, key: &'static str) -> Vec<Policy> {
    let mut names = Claims::default();
    let policy = |mut table: Reader<'_>| {
        let policy = filters(&mut table, &mut names);
        table.finish();
        policy.ok()
    };
    table.sections(key, POLICY_LIMIT).into_iter().filter_map(policy).collect()
}

fn id_template(item: &Item<'_>) -> Result<String, Refused> {
    let text = item.line(ID_TEMPLATE_LIMIT)?;
    placeholders(item, text, &["incident", "client"])?;
    if text.contains("{incident}") {
        return Ok(text.to_owned());
    }
    let message = format!("{} gives every case the same ID", quoted(text));
    Err(item.refuse(message, "put {incident} into it, for example \"CASE-{incident}\""))
}

fn link_template(item: &Item<'_>) -> Result<String, Refused> {
    let text = item.line(LINK_TEMPLATE_LIMIT)?;
    if !text.starts_with("https://") && !text.starts_with("http://") {
        let message = format!("{} is not an address", quoted(text));
        return Err(item.refuse(message, "start it with https:// or http://"));
    }
    placeholders(item, text, &["incident", "client", "case"])?;
    Ok(text.to_owned())
}

/// Every `{` opens a known placeholder, and no `}` stands alone.
fn placeholders(item: &Item<'_>, text: &str, known: &[&str]) -> Result<(), Refused> {
    let help = format!("known here: {}", known.iter().map(|name| format!("{{{name}}}")).collect::<Vec<_>>().join(", "));
    let mut parts = text.split('{');
    let mut plain = parts.next().unwrap_or_default();
    for part in parts {
        let Some((name, after)) = part.split_once('}') else {
            return Err(item.refuse(format!("{} has a '{{' without its '}}'", quoted(text)), help));
        };
        if !known.contains(&name) {
            return Err(item.refuse(format!("{} is not a known placeholder", quoted(&format!("{{{name}}}"))), help));
        }
        if plain.contains('}') {
            break;
        }
        plain = after;
    }
    if plain.contains('}') {
        return Err(item.refuse(format!("{} has a '}}' without its '{{'", quoted(text)), help));
    }
    Ok(())
}
