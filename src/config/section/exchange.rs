//! `[exchange]`: who may change what of a case that two sites share.

use std::collections::BTreeMap;

use crate::case::{Alias, Field, Groups, Owner, Ownership};
use crate::config::claims::Claims;
use crate::config::defaults;
use crate::config::faults::Refused;
use crate::config::item::quoted;
use crate::config::reader::Reader;
use crate::config::settings::ExchangeSettings;

/// The most groups of other sites.
const GROUP_LIMIT: usize = 1000;
/// The longest name of a group, in bytes.
const NAME_LIMIT: usize = 128;
/// The longest solution text, in bytes.
const SOLUTION_LIMIT: usize = 1024;

/// `is_peer` knows the aliases of all other sites that the file names.
pub fn exchange(mut table: Reader<'_>, is_peer: impl Fn(&Alias) -> bool) -> ExchangeSettings {
    let default_solution = table.line("default_solution", SOLUTION_LIMIT);
    let ownership = ownership(table.section("owner"));
    let mut names = Claims::default();
    let sections = table.sections("group", GROUP_LIMIT);
    let groups = sections.into_iter().filter_map(|table| group(table, &mut names, &is_peer).ok()).collect();
    table.finish();
    ExchangeSettings {
        default_solution: default_solution.unwrap_or_else(|| defaults::EXCHANGE_DEFAULT_SOLUTION.to_owned()),
        ownership,
        groups: Groups(groups),
    }
}

fn ownership(mut table: Reader<'_>) -> Ownership {
    let words = Owner::ALL.map(|owner| (owner.as_str(), owner));
    let mut phase = |key| table.choice(key, &words, defaults::EXCHANGE_OWNER);
    let (resolution, validation, done) = (phase("resolution"), phase("validation"), phase("done"));
    let mut fields = BTreeMap::new();
    for field in Field::ALL {
        if let Some(owner) = table.take(field.as_str(), |item| item.choice(&words)) {
            fields.insert(field, owner);
        }
    }
    table.finish();
    Ownership { resolution, validation, done, fields }
}

/// A group with an external system (C-01, C-02).
fn group(
    mut table: Reader<'_>,
    names: &mut Claims,
    is_peer: &impl Fn(&Alias) -> bool,
) -> Result<(String, Alias), Refused> {
    let name = table.required("name", "give the group a name, for example name = \"Vendor NOC\"").and_then(|item| {
        let name = item.line(NAME_LIMIT)?.to_owned();
        names.claim(&item, name.clone(), "each group belongs to one site");
        Ok(name)
    });
    let system = table.required("system", "write system = \"partner\", the alias of another site").and_then(|item| {
        let system: Alias = item.parsed("write the alias of an [upstream] or [[client]]")?;
        if is_peer(&system) {
            return Ok(system);
        }
        let message = format!("{} is the alias of no [upstream] and of no [[client]]", quoted(system.as_str()));
        Err(item.refuse(message, "write the alias of one of them"))
    });
    table.finish();
    Ok((name?, system?))
}
