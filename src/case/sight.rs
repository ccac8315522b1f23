//! What of the cases somebody may see (A-41, M-03). What lies outside is answered as what does not exist.

use super::permission::{Permission, Permissions};

/// The cases that a caller may see. A store turns it into a condition of its query; [`Sight::sees`] is what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight {
    All,
    /// Whatever one of the flags lets in.
    Some {
        /// Those that `user` has initiated.
        mine: bool,
        /// Those that are assigned to `user` or to one of `groups`.
        assigned: bool,
        /// Those that are assigned to nobody, neither user nor group.
        unassigned: bool,
        user: String,
        groups: Vec<String>,
    },
}

impl Sight {
    /// What `user` sees with these permissions. `CASE_VIEW_MINE`, `CASE_VIEW_ASSIGNED` and `CASE_VIEW_UNASSIGNED` narrow,
    /// each to its cases and together to all of those. Who has no permission to view at all has been let in by another
    /// one, to act on any case: the reference ties no action to a permission to view.
    pub fn of(permissions: Permissions, user: &str, groups: &[String]) -> Self {
        let narrow = [Permission::ViewMine, Permission::ViewAssigned, Permission::ViewUnassigned];
        if permissions.allow(Permission::View) || !permissions.allow_one(&narrow) {
            return Sight::All;
        }
        let [mine, assigned, unassigned] = narrow.map(|one| permissions.allow(one));
        Sight::Some { mine, assigned, unassigned, user: user.to_owned(), groups: groups.to_vec() }
    }

    /// Whether a case of this initiator, assigned to these users and groups, is among them.
    pub fn sees(&self, initiator: Option<&str>, users: &[String], groups: &[String]) -> bool {
        match self {
            Sight::All => true,
            Sight::Some { mine, assigned, unassigned, user, groups: own } => {
                *mine && initiator == Some(user.as_str())
                    || *assigned && (users.contains(user) || groups.iter().any(|group| own.contains(group)))
                    || *unassigned && users.is_empty() && groups.is_empty()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_permission_to_view_lets_its_cases_in_and_several_the_union() {
        let own = ["noc".to_owned()];
        let bert = ["bert".to_owned()];
        type Case<'a> = (&'static str, Option<&'a str>, &'a [String], &'a [String]);
        let cases: [Case<'_>; 5] = [
            ("mine", Some("ann"), &bert, &[]),
            ("to me", Some("bert"), &["ann".to_owned()], &[]),
            ("to my group", None, &[], &own),
            ("to nobody", None, &[], &[]),
            ("of others", Some("bert"), &bert, &["desk".to_owned()]),
        ];
        let seen = |given: &[Permission]| {
            let sight = Sight::of(given.iter().copied().collect(), "ann", &own);
            let sees =
                |(name, initiator, users, groups): &Case<'_>| sight.sees(*initiator, users, groups).then_some(*name);
            cases.iter().filter_map(sees).collect::<Vec<_>>()
        };
        use Permission::*;
        assert_eq!(seen(&[ViewMine]), ["mine"]);
        assert_eq!(seen(&[ViewAssigned]), ["to me", "to my group"]);
        assert_eq!(seen(&[ViewUnassigned]), ["to nobody"]);
        assert_eq!(seen(&[ViewMine, ViewUnassigned]), ["mine", "to nobody"]);
        assert_eq!(seen(&[ViewMine, Hold]), ["mine"], "an action does not widen it");
        for all in [&[View][..], &[Everything], &[Hold], &[View, ViewMine], &[Everything, ViewMine]] {
            assert_eq!(seen(all).len(), cases.len(), "{all:?}");
        }
    }
}
