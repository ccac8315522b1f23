//! The reactions of a site, in order: what a person may do to the list.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::incident::Incident;
use super::reaction::{Reaction, ReactionFault, Trigger};

/// A reaction with its number and its owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Owned {
    pub id: i64,
    /// Whoever added it.
    pub owner: String,
    /// The number of the one that it was copied from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy_of: Option<i64>,
    #[serde(flatten)]
    pub reaction: Reaction,
}

/// What a person does to the list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum ReactionChange {
    Add {
        reaction: Reaction,
    },
    Edit {
        id: i64,
        reaction: Reaction,
    },
    /// The copy stands behind all others and is disabled at first.
    Copy {
        id: i64,
        name: String,
    },
    Enable {
        id: i64,
    },
    Disable {
        id: i64,
    },
    /// To this place, counted from 1.
    Move {
        id: i64,
        to: u32,
    },
    Delete {
        id: i64,
    },
    /// They stand behind all others in the order in which they come; one whose name the owner has already is replaced.
    Import {
        #[schema(max_items = 500)]
        reactions: Vec<Reaction>,
    },
}

/// The whole list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Reactions(pub Vec<Owned>);

impl Reactions {
    /// The most reactions of one site.
    pub const LIMIT: usize = 500;

    /// The list after a change of `owner`'s, and the number of the one that was changed, where it is one.
    pub fn changed(&self, change: &ReactionChange, owner: &str) -> Result<(Self, Option<i64>), ReactionFault> {
        let mut list = self.clone();
        let id = match change {
            ReactionChange::Add { reaction } => Some(list.add(owner, None, reaction.clone())?),
            ReactionChange::Edit { id, reaction } => {
                reaction.check()?;
                let one = list.one(*id)?;
                if one.copy_of.is_some() && one.reaction.trigger != reaction.trigger {
                    return Err(ReactionFault::FixedTrigger(one.reaction.trigger.as_str()));
                }
                one.reaction = reaction.clone();
                Some(*id)
            }
            ReactionChange::Copy { id, name } => {
                let reaction = Reaction { name: name.clone(), enabled: false, ..list.one(*id)?.reaction.clone() };
                Some(list.add(owner, Some(*id), reaction)?)
            }
            ReactionChange::Enable { id } => list.enable(*id, true)?,
            ReactionChange::Disable { id } => list.enable(*id, false)?,
            ReactionChange::Move { id, to } => {
                list.one(*id)?;
                let at = list.0.iter().position(|one| one.id == *id).unwrap_or(0);
                let one = list.0.remove(at);
                let to = (*to as usize).saturating_sub(1).min(list.0.len());
                list.0.insert(to, one);
                Some(*id)
            }
            ReactionChange::Delete { id } => {
                list.one(*id)?;
                list.0.retain(|one| one.id != *id);
                Some(*id)
            }
            ReactionChange::Import { reactions } => {
                list.import(owner, reactions)?;
                None
            }
        };
        list.check()?;
        Ok((list, id))
    }

    /// Those that act on an event of this incident, in order.
    pub fn acting<'a>(&'a self, trigger: Trigger, incident: &Incident) -> Vec<&'a Owned> {
        let mut done: Vec<&str> = Vec::new();
        let mut acting = Vec::new();
        for one in &self.0 {
            if done.contains(&one.owner.as_str()) || !one.reaction.matches(trigger, incident) {
                continue;
            }
            if one.reaction.last {
                done.push(&one.owner);
            }
            acting.push(one);
        }
        acting
    }

    fn one(&mut self, id: i64) -> Result<&mut Owned, ReactionFault> {
        self.0.iter_mut().find(|one| one.id == id).ok_or(ReactionFault::Unknown(id))
    }

    fn enable(&mut self, id: i64, enabled: bool) -> Result<Option<i64>, ReactionFault> {
        self.one(id)?.reaction.enabled = enabled;
        Ok(Some(id))
    }

    fn add(&mut self, owner: &str, copy_of: Option<i64>, reaction: Reaction) -> Result<i64, ReactionFault> {
        reaction.check()?;
        let id = self.next();
        self.0.push(Owned { id, owner: owner.to_owned(), copy_of, reaction });
        Ok(id)
    }

    fn import(&mut self, owner: &str, reactions: &[Reaction]) -> Result<(), ReactionFault> {
        let is_given = |one: &Owned| one.owner == owner && reactions.iter().any(|new| new.name == one.reaction.name);
        let mut next = self.next();
        let (known, others): (Vec<Owned>, Vec<Owned>) = std::mem::take(&mut self.0).into_iter().partition(is_given);
        self.0 = others;
        for reaction in reactions {
            reaction.check()?;
            let (id, copy_of) = match known.iter().find(|one| one.reaction.name == reaction.name) {
                Some(one) if one.copy_of.is_some() && one.reaction.trigger != reaction.trigger => {
                    return Err(ReactionFault::FixedTrigger(one.reaction.trigger.as_str()));
                }
                Some(one) => (one.id, one.copy_of),
                None => (next, None),
            };
            next = next.max(id + 1);
            self.0.push(Owned { id, owner: owner.to_owned(), copy_of, reaction: reaction.clone() });
        }
        Ok(())
    }

    fn next(&self) -> i64 {
        self.0.iter().map(|one| one.id).max().unwrap_or(0) + 1
    }

    fn check(&self) -> Result<(), ReactionFault> {
        if self.0.len() > Self::LIMIT {
            return Err(ReactionFault::TooMany { given: self.0.len(), limit: Self::LIMIT });
        }
        for (index, one) in self.0.iter().enumerate() {
            let same = |other: &&Owned| other.owner == one.owner && other.reaction.name == one.reaction.name;
            if self.0.iter().skip(index + 1).any(|other| same(&other)) {
                let (owner, name) = (one.owner.clone(), one.reaction.name.clone());
                return Err(ReactionFault::NameTaken { owner, name });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::example::incident;
    use crate::case::reaction::{Deed, Filter, Scope};

    fn named(name: &str) -> Reaction {
        Reaction {
            name: name.into(),
            enabled: true,
            trigger: Trigger::CaseUpdated,
            filter: Filter::default(),
            scope: Scope::default(),
            actions: vec![Deed { target: "desk".into(), attach_bundle: false }],
            last: false,
        }
    }

    fn list(names: &[&str]) -> Reactions {
        let mut list = Reactions::default();
        for name in names {
            list = list.changed(&ReactionChange::Add { reaction: named(name) }, "ann").unwrap().0;
        }
        list
    }

    fn names(list: &Reactions) -> Vec<&str> {
        list.0.iter().map(|one| one.reaction.name.as_str()).collect()
    }

    #[test]
    fn a_48_a_name_is_unique_per_owner() {
        let list = list(&["one"]);
        let again = ReactionChange::Add { reaction: named("one") };
        assert!(matches!(list.changed(&again, "ann"), Err(ReactionFault::NameTaken { .. })));
        assert_eq!(list.changed(&again, "bob").unwrap().1, Some(2));
    }

    #[test]
    fn a_48_a_copy_keeps_its_trigger() {
        let list = list(&["one"]);
        let (list, id) = list.changed(&ReactionChange::Copy { id: 1, name: "two".into() }, "ann").unwrap();
        let id = id.unwrap();
        assert!(!list.0[1].reaction.enabled);
        let other = Reaction { trigger: Trigger::CaseAssigned, ..named("two") };
        let edit = |id| ReactionChange::Edit { id, reaction: other.clone() };
        assert!(matches!(list.changed(&edit(id), "ann"), Err(ReactionFault::FixedTrigger("case_updated"))));
        assert!(list.changed(&ReactionChange::Edit { id: 1, reaction: named("x") }, "ann").is_ok());
        let deleted = list.changed(&ReactionChange::Delete { id: 1 }, "ann").unwrap().0;
        assert_eq!(names(&deleted), ["two"]);
        assert!(matches!(deleted.changed(&ReactionChange::Enable { id: 1 }, "ann"), Err(ReactionFault::Unknown(1))));
    }

    #[test]
    fn a_51_the_first_match_in_order_wins_where_it_says_so_and_the_order_survives_export_and_import() {
        let mut list = list(&["off", "first", "second"]);
        list.0[0].reaction.enabled = false;
        list.0[0].reaction.last = true;
        assert_eq!(list.acting(Trigger::CaseUpdated, &incident()).len(), 2, "without a last one all act");
        list.0[1].reaction.last = true;
        let acting = |list: &Reactions| -> Vec<String> {
            let acting = list.acting(Trigger::CaseUpdated, &incident());
            acting.iter().map(|one| one.reaction.name.clone()).collect()
        };
        assert_eq!(acting(&list), ["first"]);
        list.0[2].reaction.last = true;
        let moved = list.changed(&ReactionChange::Move { id: 3, to: 1 }, "ann").unwrap().0;
        assert_eq!((names(&moved), acting(&moved)), (vec!["second", "off", "first"], vec!["second".to_owned()]));

        let exported: Vec<Reaction> = moved.0.iter().map(|one| one.reaction.clone()).collect();
        let text = serde_json::to_string(&exported).unwrap();
        let import = ReactionChange::Import { reactions: serde_json::from_str(&text).unwrap() };
        let elsewhere = Reactions::default().changed(&import, "bob").unwrap().0;
        assert_eq!((names(&elsewhere), acting(&elsewhere)), (names(&moved), acting(&moved)));
        let back = list.changed(&import, "ann").unwrap().0;
        assert_eq!(names(&back), names(&moved), "an import sets the order of what is there");
        assert_eq!(back.0.len(), 3);
        let others = Owned { owner: "bob".into(), ..back.0[0].clone() };
        let both = Reactions(back.0.iter().cloned().chain([Owned { id: 9, ..others }]).collect());
        assert_eq!(both.acting(Trigger::CaseUpdated, &incident()).len(), 2, "one owner's last is not another's");
    }
}
