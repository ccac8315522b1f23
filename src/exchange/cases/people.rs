//! Who works on a case, who answers for it, who looks on.

use std::collections::{BTreeMap, BTreeSet};

use super::{CaseCall, Change, check_not_over};
use crate::case::{Action, CaseOwner, Flag, GroupName, InstanceEdit, OwnerStatus, Permission, UserName};
use crate::config::token::Holder;
use crate::exchange::work::{form, stale};
use crate::exchange::{Engine, EngineError};
use crate::protocol::cases::CaseAnswer;

/// Whoever has one of these may work on a case, be its owner, and have it put before them.
pub const WORK: &[Permission] = &[Permission::Edit, Permission::Process];

impl Engine {
    /// Refuses to give work to whoever may only look. Of people without a token nothing is known.
    pub(super) fn check_may_work<'u>(&self, users: impl IntoIterator<Item = &'u UserName>) -> Result<(), EngineError> {
        let settings = self.settings();
        for user in users {
            let mut theirs = settings
                .tokens
                .iter()
                .filter_map(|token| match &token.holder {
                    Holder::Operator(operator) if operator.name == user.as_str() => Some(operator),
                    _ => None,
                })
                .peekable();
            if theirs.peek().is_some() && !theirs.any(|one| settings.permissions(one).allow_one(WORK)) {
                let work: Vec<&str> = WORK.iter().map(|one| one.as_str()).collect();
                let work = work.join(" or ");
                return Err(form(format!(
                    "no case can be given to {user}, who lacks {work}; give them a role with it"
                )));
            }
        }
        Ok(())
    }

    /// Assigns a case to these users and groups, and to nobody else.
    pub async fn assign_case(
        &self,
        call: &CaseCall,
        users: Vec<UserName>,
        groups: Vec<GroupName>,
    ) -> Result<CaseAnswer, EngineError> {
        let (users, groups): (BTreeSet<_>, BTreeSet<_>) = (users.into_iter().collect(), groups.into_iter().collect());
        self.check_may_work(&users)?;
        self.change(call, Action::Assigned, |incident, instance| {
            if (&instance.assigned_users, &instance.assigned_groups) == (&users, &groups) {
                return Ok(None);
            }
            check_not_over(incident)?;
            let told = match (users.is_empty(), groups.is_empty()) {
                (true, true) => "assigned to nobody".to_owned(),
                (false, true) => format!("assigned to {}", listed(&users)),
                (true, false) => format!("assigned to group {}", listed(&groups)),
                (false, false) => format!("assigned to {} and group {}", listed(&users), listed(&groups)),
            };
            let (assigned_users, assigned_groups) = (Some(users.clone()), Some(groups.clone()));
            let edit = InstanceEdit { assigned_users, assigned_groups, ..InstanceEdit::default() };
            Ok(Some(Change::beside(edit, told)))
        })
        .await
    }

    /// Adds somebody to those who watch a case, or takes them away.
    pub async fn watch_case(&self, call: &CaseCall, user: UserName, watches: bool) -> Result<CaseAnswer, EngineError> {
        self.change(call, Action::Edited, |_, instance| {
            let mut watchers = instance.watchers.clone();
            let changed = if watches { watchers.insert(user.clone()) } else { watchers.remove(&user) };
            let told = if watches { format!("watched by {user}") } else { format!("no longer watched by {user}") };
            let edit = InstanceEdit { watchers: Some(watchers), ..InstanceEdit::default() };
            Ok(changed.then(|| Change::beside(edit, told)))
        })
        .await
    }

    /// Says who answers for a case at this site, and how the work stands for them. Nothing of it travels.
    pub async fn own_case(
        &self,
        call: &CaseCall,
        user: Option<UserName>,
        status: Option<OwnerStatus>,
    ) -> Result<CaseAnswer, EngineError> {
        if user.is_none() && status.is_some() {
            return Err(form("a status is its owner's; name the owner as well".into()));
        }
        self.check_may_work(user.iter())?;
        let owner = user.map(|user| CaseOwner { user, status: status.unwrap_or_default() });
        self.change(call, Action::Edited, |incident, instance| {
            if instance.owner == owner {
                return Ok(None);
            }
            check_not_over(incident)?;
            let told = match &owner {
                Some(owner) => format!("owner {}: {}", owner.user, owner.status),
                None => "no owner".to_owned(),
            };
            let edit = InstanceEdit { owner: Some(owner.clone()), ..InstanceEdit::default() };
            Ok(Some(Change::beside(edit, told)))
        })
        .await
    }

    /// Puts a case before these users and nobody else, unread by those before whom it was not yet.
    pub async fn flag_case(&self, call: &CaseCall, users: Vec<UserName>) -> Result<CaseAnswer, EngineError> {
        let users: BTreeSet<UserName> = users.into_iter().collect();
        self.check_may_work(&users)?;
        let now = self.now();
        self.change(call, Action::Edited, |_, instance| {
            if instance.flags.keys().eq(&users) {
                return Ok(None);
            }
            let flag = |user: &UserName| {
                let new = || Flag { by: call.operator.clone(), at: now, unread: true };
                (user.clone(), instance.flags.get(user).cloned().unwrap_or_else(new))
            };
            let flags: BTreeMap<UserName, Flag> = users.iter().map(flag).collect();
            let told = match users.is_empty() {
                true => "flag cleared".to_owned(),
                false => format!("flagged to {}", listed(&users)),
            };
            let edit = InstanceEdit { flags: Some(flags), ..InstanceEdit::default() };
            Ok(Some(Change::beside(edit, told)))
        })
        .await
    }

    /// The caller has looked at a case that was put before it.
    pub async fn looked_at_case(&self, call: &CaseCall) -> Result<(), EngineError> {
        match self.store().looked_at(call.case, &call.person, call.revision).await? {
            Some(found) => Err(stale(found, call.revision.unwrap_or_default())),
            None => Ok(()),
        }
    }
}

fn listed<T: ToString>(names: &BTreeSet<T>) -> String {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
