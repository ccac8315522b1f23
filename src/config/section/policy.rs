//! `[submit]`, `[[submit.policy]]` and `[[case.accept]]`: what is done without a person.

use crate::case::text::paragraph;
use crate::case::{FollowUp, Form, Kind, MailAddress, Policy, PolicyAction, Priority};
use crate::config::claims::Claims;
use crate::config::defaults::{self, POLICY_ACTION};
use crate::config::faults::Refused;
use crate::config::item::{Item, quoted};
use crate::config::reader::Reader;
use crate::config::settings::Submit;

use super::inbox::GROUP_LIMIT;

/// The most policies in one list.
pub(super) const POLICY_LIMIT: usize = 500;
/// The longest name of a policy, in characters.
const NAME_LIMIT: usize = 64;
/// The longest word of a filter, in bytes.
const WORD_LIMIT: usize = 256;
/// The most values of one filter.
const FILTER_LIMIT: usize = 256;

pub fn submit(mut table: Reader<'_>) -> Submit {
    let require_site_id = table.flag("require_site_id", defaults::REQUIRE_SITE_ID);
    let mut section = table.section("defaults");
    let defaults = form(&mut section);
    section.finish();
    let mut names = Claims::default();
    let policy = |mut table: Reader<'_>| {
        let mut policy = filters(&mut table, &mut names);
        let actions = [("submit", PolicyAction::Submit), ("hold", PolicyAction::Hold)];
        let action = table.choice("action", &actions, POLICY_ACTION);
        let form = form(&mut table);
        table.finish();
        if let Ok(policy) = &mut policy {
            policy.action = action;
            policy.form = form;
        }
        policy.ok()
    };
    let policies = table.sections("policy", POLICY_LIMIT).into_iter().filter_map(policy).collect();
    table.finish();
    Submit { require_site_id, defaults, policies }
}

/// The name and the filters of a policy. The caller ends the table.
pub(super) fn filters(table: &mut Reader<'_>, names: &mut Claims) -> Result<Policy, Refused> {
    let name = name(table, names);
    matching(table, name)
}

/// The filters alone, under a name that was read already.
pub(super) fn matching(table: &mut Reader<'_>, name: Result<String, Refused>) -> Result<Policy, Refused> {
    let enabled = table.flag("enabled", defaults::POLICY_ENABLED);
    let mut texts = |key, read: fn(&Item<'_>) -> Result<String, Refused>| {
        table.take(key, |item| item.list(FILTER_LIMIT, read)).unwrap_or_default()
    };
    let groups = texts("groups", |item| item.line(GROUP_LIMIT).map(str::to_owned));
    let has_words = texts("has_words", word);
    let has_not_words = texts("has_not_words", word);
    let kinds = choices(table, "kinds", &Kind::ALL.map(|kind| (kind.as_str(), kind)));
    let priorities = choices(table, "priorities", &priorities());
    let device = table.line("device", WORD_LIMIT);
    let serial = table.line("serial", WORD_LIMIT);
    Ok(Policy {
        name: name?,
        enabled,
        action: POLICY_ACTION,
        kinds,
        priorities,
        groups,
        device,
        serial,
        has_words,
        has_not_words,
        form: Form::default(),
    })
}

fn name(table: &mut Reader<'_>, names: &mut Claims) -> Result<String, Refused> {
    let item = table.required("name", "give the policy a name, for example name = \"chassis alarms\"")?;
    let name = item.text()?;
    let length = name.chars().count();
    let plain = name.chars().all(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    if length > NAME_LIMIT || !plain || name.trim().is_empty() {
        let message = format!("{} is not a name for a policy", quoted(name));
        let help = format!("a name has 1 to {NAME_LIMIT} letters, digits, blanks, '-' and '_' (A-48)");
        return Err(item.refuse(message, help));
    }
    names.claim(&item, name.to_owned(), "each policy needs a name of its own (A-48)");
    Ok(name.to_owned())
}

/// A filter compares whole words, so one with a blank in it would never match.
fn word(item: &Item<'_>) -> Result<String, Refused> {
    let text = item.line(WORD_LIMIT)?;
    if text.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_')) {
        return Ok(text.to_owned());
    }
    let message = format!("{} is not one word, so it would never be found", quoted(text));
    Err(item.refuse(message, "a word has letters, digits, '-' and '_'; write several words as several values"))
}

pub(super) fn choices<T: Copy>(table: &mut Reader<'_>, key: &'static str, words: &[(&str, T)]) -> Vec<T> {
    table.take(key, |item| item.list(FILTER_LIMIT, |word| word.choice(words))).unwrap_or_default()
}

/// What is filled into the form.
fn form(table: &mut Reader<'_>) -> Form {
    let priority = table.take("priority", |item| item.choice(&priorities()));
    let follow_ups = FollowUp::ALL.map(|follow_up| (follow_up.as_str(), follow_up));
    let follow_up = table.take("follow_up", |item| item.choice(&follow_ups));
    let cc = table.take("cc", |item| item.list(Form::CC_LIMIT, mail_address)).unwrap_or_default();
    let site_id = table.line("site_id", 64);
    let comment = table.take("comment", comment);
    Form { priority, follow_up, cc, site_id, comment, ..Form::default() }
}

pub(super) fn priorities() -> [(&'static str, Priority); 4] {
    Priority::ALL.map(|priority| (priority.as_str(), priority))
}

pub(super) fn mail_address(item: &Item<'_>) -> Result<MailAddress, Refused> {
    let text = item.text()?;
    let refuse =
        |_| item.refuse(format!("{} is not a mail address", quoted(text)), "write it like \"noc@north.example\"");
    text.parse().map_err(refuse)
}

fn comment(item: &Item<'_>) -> Result<String, Refused> {
    const LIMIT: usize = 16_384;
    let text = item.text()?;
    match paragraph(text, LIMIT) {
        Ok(text) => Ok(text.to_owned()),
        Err(fault) => Err(item.refuse(fault.to_string(), format!("write at most {LIMIT} bytes of plain text"))),
    }
}
