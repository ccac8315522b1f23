//! `[[upstream.field]]` and `[[client.field]]`: which fields travel, and in whose words (C-29, C-42, C-61).

use std::collections::BTreeMap;

use crate::case::text::line;
use crate::case::{Case, Direction, FieldMap, FieldName, Owner, Ownership, Rule, Towards, Values, Words};
use crate::config::claims::Claims;
use crate::config::defaults;
use crate::config::faults::{Faults, Refused, Spot};
use crate::config::item::{Item, quoted};
use crate::config::reader::Reader;
use crate::config::settings::CaseSettings;

/// The most sections for fields of one peer.
pub const FIELD_LIMIT: usize = 100;
/// The most words of one map, and the most bytes of a word.
const WORD_COUNT: usize = 1000;
const WORD_LIMIT: usize = 256;

/// The maps of all peers and where their rules stand, for what can be checked only when the other sections are read.
#[derive(Default)]
pub struct FieldMaps(Vec<(Towards, FieldMap, BTreeMap<FieldName, Spot>)>);

impl FieldMaps {
    pub fn read(&mut self, sections: Vec<Reader<'_>>, towards: Towards) -> FieldMap {
        let mut names = Claims::default();
        let mut rules = BTreeMap::new();
        let mut spots = BTreeMap::new();
        for table in sections {
            let spot = table.spot.clone();
            if let Ok((name, rule)) = field(table, &mut names) {
                rules.insert(name, rule);
                spots.insert(name, spot);
            }
        }
        let map = FieldMap::new(rules);
        self.0.push((towards, map.clone(), spots));
        map
    }

    /// Statuses of our own that a client would have no word for, and fields that travel one way and that nobody owns
    /// where they come from (C-61).
    pub fn check(&self, case: &CaseSettings, ownership: &Ownership, faults: &Faults) {
        for (towards, map, spots) in &self.0 {
            for (name, rule) in map.rules() {
                let Some(spot) = spots.get(&name) else { continue };
                if let (FieldName::CaseStatus, Towards::Client, Some(values)) = (name, towards, &rule.values) {
                    let ours = [&case.opened_status, &case.pending_status, &case.resumed_status];
                    let fixed = [Case::RESOLVED, Case::CLOSED, Case::REOPENED, Case::CANCELED, Case::REJECTED];
                    let all = ours.into_iter().map(String::as_str).chain(fixed);
                    let missing: Vec<&str> = all.filter(|status| !values.has(status)).collect();
                    unmapped(&missing, spot, faults);
                }
                if let Some(field) = name.owned() {
                    let owner = match (rule.direction, towards) {
                        (Direction::Out, Towards::Upstream) | (Direction::In, Towards::Client) => Owner::Client,
                        (Direction::Out, Towards::Client) | (Direction::In, Towards::Upstream) => Owner::Site,
                        _ => continue,
                    };
                    if !ownership.is_always(field, owner) {
                        let (word, key) = (owner.as_str(), field.as_str());
                        let message = format!(
                            "{key} travels \"{}\" only, and [exchange.owner] lets the other site change it too",
                            rule.direction.as_str()
                        );
                        faults.absent(spot.clone(), message, format!("write {key} = \"{word}\" in [exchange.owner]"));
                    }
                }
            }
        }
    }
}

fn field(mut table: Reader<'_>, names: &mut Claims) -> Result<(FieldName, Rule), Refused> {
    let fields: Vec<(&str, FieldName)> = FieldName::ALL.iter().map(|field| (field.as_str(), *field)).collect();
    let name = table.required("name", "name the field, for example name = \"priority\"").and_then(|item| {
        let name = item.choice(&fields)?;
        names.claim(&item, name.as_str().to_owned(), "each field has one section for each peer");
        Ok(name)
    });
    let directions = Direction::ALL.map(|direction| (direction.as_str(), direction));
    let direction = table.item("direction").map(|item| {
        let direction = item.choice(&directions)?;
        match &name {
            Ok(name) if !name.directions().contains(&direction) => {
                let allowed: Vec<String> = name.directions().iter().map(|one| quoted(one.as_str())).collect();
                let message = format!("{} cannot travel {}", name.as_str(), quoted(direction.as_str()));
                Err(item.refuse(message, format!("for this field: {}", allowed.join(", "))))
            }
            _ => Ok(direction),
        }
    });
    let keep = table.choice("default", &[("park", false), ("keep", true)], defaults::FIELD_KEEP);
    let section = table.optional_section("values").transpose();
    let (none_out, none_in) = (table.item("none_out"), table.item("none_in"));
    let (spot, faults) = (table.spot.clone(), table.faults);
    table.finish();
    let (name, direction) = (name?, direction.transpose()?);
    let section = section?;
    let mut map = section.as_ref().map(|section| values(section, name, keep));
    if none_out.is_some() || none_in.is_some() {
        let map = map.get_or_insert_with(|| Values::new(keep));
        none(none_out, name, |word| map.add_none_out(word));
        none(none_in, name, |word| map.add_none_in(word));
    }
    if let (Words::These(words), Some(map)) = (name.words(), &map) {
        let entries = section.as_ref().map(Reader::entries).unwrap_or_default();
        let named = |word: &str| map.has(word) || entries.iter().any(|(ours, _)| *ours == word);
        let missing: Vec<&str> = words.iter().copied().filter(|word| !named(word)).collect();
        unmapped(&missing, section.as_ref().map_or(&spot, |section| &section.spot), faults);
    }
    let direction = direction.or(name.directions().first().copied()).unwrap_or(Direction::Once);
    Ok((name, Rule { direction, values: map }))
}

/// Ours on the left, the peer's on the right, one to one.
fn values(section: &Reader<'_>, name: FieldName, keep: bool) -> Values {
    let mut values = Values::new(keep);
    let refuse = |message: String, help: String| section.faults.refuse(section.spot.clone(), message, help);
    let entries = section.entries();
    if name.words() == Words::Never {
        let mapped: Vec<&str> =
            FieldName::ALL.iter().filter(|one| one.words() != Words::Never).map(|one| one.as_str()).collect();
        let message = format!("{} has no words that could be others at the peer", name.as_str());
        refuse(message, format!("leave `values` out; fields with words: {}", mapped.join(", ")));
        return values;
    }
    if entries.len() > WORD_COUNT {
        refuse(format!("holds {} words; at most {WORD_COUNT} are allowed", entries.len()), "shorten it".into());
        return values;
    }
    for (ours, item) in &entries {
        let Ok(theirs) = item.line(WORD_LIMIT) else { continue };
        if let Words::These(words) = name.words()
            && !words.contains(ours)
        {
            let allowed: Vec<String> = words.iter().map(|word| quoted(word)).collect();
            let help = format!("ours stand on the left, spelled exactly so: {}", allowed.join(", "));
            item.refuse(format!("{} is no {} of this site", quoted(ours), name.as_str()), help);
        } else if line(ours, WORD_LIMIT).is_err() {
            item.refuse("is not a word of one line", format!("a word has 1 to {WORD_LIMIT} bytes"));
        } else if let Err(first) = values.add(ours, theirs) {
            let message = format!("{} stands for {} already", quoted(theirs), quoted(&first));
            item.refuse(message, "two words of ours need two of the peer's: what comes back could be either");
        }
    }
    values
}

/// The words of a list that are no value at the other side (C-29).
fn none(item: Option<Item<'_>>, name: FieldName, mut add: impl FnMut(&str) -> bool) {
    let Some(item) = item else { return };
    if !name.can_be_none() {
        let message = format!("{} has a value at both sites, or no words", name.as_str());
        let able: Vec<&str> = FieldName::ALL.iter().filter(|one| one.can_be_none()).map(|one| one.as_str()).collect();
        item.refuse(message, format!("leave it out; fields that can be without a value: {}", able.join(", ")));
        return;
    }
    let Ok(words) = item.list_of("words", "write the words in brackets, for example [\"a\", \"b\"]", WORD_COUNT) else {
        return;
    };
    for word in words {
        if let Ok(text) = word.line(WORD_LIMIT)
            && !add(text)
        {
            word.refuse(format!("{} has a meaning already", quoted(text)), "a word has one meaning: name it once");
        }
    }
}

fn unmapped(missing: &[&str], spot: &Spot, faults: &Faults) {
    if !missing.is_empty() {
        let names: Vec<String> = missing.iter().map(|word| quoted(word)).collect();
        let help = "give each a word of the peer's, or write default = \"keep\": then what the map does not name travels \
                    as it is";
        faults.absent(spot.clone(), format!("the map has no word for {}", names.join(", ")), help);
    }
}
