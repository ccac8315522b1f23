//! `[bundle]`: how the elements of a bundle are called.

use crate::case::Kind;
use crate::config::defaults;
use crate::config::faults::Refused;
use crate::config::item::{Item, quoted};
use crate::config::reader::Reader;
use crate::config::settings::{Bundle, BundlePaths};

/// The longest path or word, in bytes.
const LENGTH_LIMIT: usize = 256;
/// The most roots, words for kinds, or event types.
const COUNT_LIMIT: usize = 256;

pub fn bundle(mut table: Reader<'_>) -> Bundle {
    let roots = table.take("roots", roots);
    let paths = paths(table.section("paths"));
    let kinds = table.optional_section("kinds").and_then(Result::ok).map(kinds);
    let event_types = |item: &Item<'_>| item.list(COUNT_LIMIT, |word| word.line(LENGTH_LIMIT).map(str::to_owned));
    let disabled_event_types = table.take("disabled_event_types", event_types);
    table.finish();
    Bundle {
        roots: roots.unwrap_or_else(defaults::bundle_roots),
        paths,
        kinds: kinds.unwrap_or_else(defaults::bundle_kinds),
        disabled_event_types: disabled_event_types.unwrap_or_default(),
    }
}

fn roots(item: &Item<'_>) -> Result<Vec<String>, Refused> {
    let roots = item.list(COUNT_LIMIT, |root| {
        let name = root.line(LENGTH_LIMIT)?;
        if is_element_name(name) {
            Ok(name.to_owned())
        } else {
            Err(root.refuse(format!("{} is not the name of an XML element", quoted(name)), NAME_HELP))
        }
    })?;
    if roots.is_empty() {
        return Err(item.refuse("no root element is accepted, so no bundle can be read", "name at least one"));
    }
    Ok(roots)
}

const NAME_HELP: &str = "a name starts with a letter or '_' and goes on with letters, digits, '-', '_', '.' and ':'";

fn paths(mut table: Reader<'_>) -> BundlePaths {
    let default = defaults::bundle_paths();
    let mut path = |key, default| table.take(key, path).unwrap_or(default);
    let paths = BundlePaths {
        manifest: path("manifest", default.manifest),
        trend_data: path("trend_data", default.trend_data),
        attachments: path("attachments", default.attachments),
        logs: path("logs", default.logs),
        host_event_id: path("host_event_id", default.host_event_id),
        kind: path("kind", default.kind),
        problem_class: path("problem_class", default.problem_class),
        service_type: path("service_type", default.service_type),
        occurred_at: path("occurred_at", default.occurred_at),
        event_type_group: path("event_type_group", default.event_type_group),
        event_type: path("event_type", default.event_type),
        synopsis: path("synopsis", default.synopsis),
        description: path("description", default.description),
        priority: path("priority", default.priority),
        severity: path("severity", default.severity),
        device: path("device", default.device),
        serial: path("serial", default.serial),
    };
    table.finish();
    paths
}

/// `manifest/event-type` or `manifest/event/@type`.
fn path(item: &Item<'_>) -> Result<String, Refused> {
    let text = item.line(LENGTH_LIMIT)?;
    let (elements, last) = text.rsplit_once('/').map_or((None, text), |(elements, last)| (Some(elements), last));
    let last = last.strip_prefix('@').unwrap_or(last);
    if elements.into_iter().flat_map(|elements| elements.split('/')).chain([last]).all(is_element_name) {
        return Ok(text.to_owned());
    }
    let help = "join element names by '/', from below the root down; '@name' at the end is an attribute";
    Err(item.refuse(format!("{} is not a path of XML elements", quoted(text)), help))
}

fn kinds(table: Reader<'_>) -> Vec<(String, Kind)> {
    let words = Kind::ALL.map(|kind| (kind.as_str(), kind));
    let mut kinds = Vec::new();
    for (word, item) in table.entries() {
        if crate::case::text::line(word, LENGTH_LIMIT).is_err() {
            item.refuse("is not a word of one line", format!("a word has 1 to {LENGTH_LIMIT} bytes"));
        } else if let Ok(kind) = item.choice(&words) {
            kinds.push((word.to_owned(), kind));
        }
    }
    kinds
}

fn is_element_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ':'))
}
