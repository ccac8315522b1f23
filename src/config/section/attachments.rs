//! `[upstream.attachments]` and `[client.attachments]`: which files go to a peer and which are taken from it.

use crate::case::Sharing;
use crate::case::sharing::Send;
use crate::config::defaults;
use crate::config::faults::Refused;
use crate::config::item::Item;
use crate::config::reader::Reader;

/// The most members of each list, and the most bytes of each member.
const LIST_LIMIT: usize = 256;
const MEMBER_LIMIT: usize = 256;

const SEND: [(&str, Send); 4] = [
    ("nothing", Send::Nothing),
    ("no_configuration", Send::NoConfiguration),
    ("all", Send::All),
    ("features_only", Send::FeaturesOnly),
];

pub fn attachments(mut table: Reader<'_>) -> Sharing {
    let send = table.choice("send", &SEND, defaults::ATTACHMENTS_SEND);
    let hide_addresses = table.flag("hide_addresses", defaults::ATTACHMENTS_HIDE_ADDRESSES);
    let refuse_types = table.take("refuse_types", |item| item.list(LIST_LIMIT, ending)).unwrap_or_default();
    let send_limit = table.size("send_limit", defaults::ATTACHMENTS_SEND_LIMIT);
    let receive_limit = table.size("receive_limit", defaults::ATTACHMENTS_RECEIVE_LIMIT);
    let pattern = |item: &Item<'_>| item.line(MEMBER_LIMIT).map(str::to_owned);
    let configuration = table.take("configuration", |item| item.list(LIST_LIMIT, pattern));
    let features = table.take("features", |item| item.list(LIST_LIMIT, pattern));
    table.finish();
    Sharing {
        send,
        hide_addresses,
        refuse_types,
        send_limit,
        receive_limit,
        configuration: configuration.unwrap_or_else(defaults::attachments_configuration),
        features: features.unwrap_or_else(defaults::attachments_features),
    }
}

/// The end of a name: `exe`, `tar.gz`.
fn ending(item: &Item<'_>) -> Result<String, Refused> {
    let text = item.line(MEMBER_LIMIT)?;
    if text.starts_with('.') || text.ends_with(['.', ' ']) {
        return Err(item.refuse("begins or ends with a dot", "write the end of the name without its dot: \"exe\""));
    }
    Ok(text.to_owned())
}
