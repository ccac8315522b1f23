//! Whose case a client sees: the upstream's or this site's own, each part for itself. What the upstream says of its
//! case stays in the record either way.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::apply::Edit;
use super::incident::{Case, Incident};

/// The parts of a case that the client sees in this site's own words, whatever the upstream says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct OwnCase {
    pub id: bool,
    pub link: bool,
    pub status: bool,
}

impl OwnCase {
    pub const ALL: OwnCase = OwnCase { id: true, link: true, status: true };

    fn shown(self, theirs: &Case, ours: Option<&Case>) -> Case {
        let Some(ours) = ours else { return theirs.clone() };
        let from = |own: bool| if own { ours } else { theirs };
        Case {
            id: from(self.id).id.clone(),
            link: from(self.link).link.clone(),
            status: from(self.status).status.clone(),
            // Whoever has the case in hand belongs to the case of that name.
            contact: from(self.id).contact.clone(),
        }
    }
}

/// What an operation of the upstream's changes in an incident that is a client's.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Relayed {
    pub edit: Edit,
    pub upstream_case: Option<Case>,
    pub own_case: Option<OwnCase>,
}

/// `edit` is what the operation means for an incident of our own. With `own`, the case that the upstream opens is not
/// shown: that one is. What is `given_back` (C-18) stays for this site to solve, and ends nothing for the client (C-49).
pub fn relayed(mut edit: Edit, incident: &Incident, own: Option<Case>, given_back: bool) -> Relayed {
    let theirs = edit.case.take();
    if given_back {
        (edit.solution, edit.completion_code) = (None, None);
        return Relayed { edit, upstream_case: theirs, own_case: None };
    }
    let own_case = own.as_ref().map(|_| OwnCase::ALL);
    if let Some(theirs) = &theirs {
        let parts = own_case.unwrap_or(incident.own_case);
        let shown = parts.shown(theirs, own.as_ref().or(incident.case.as_ref()));
        edit.case = Some(shown).filter(|shown| incident.case.as_ref() != Some(shown));
    }
    Relayed { edit, upstream_case: theirs, own_case }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::CompletionCode;
    use crate::case::example::incident;

    fn case(id: &str, status: &str) -> Case {
        let link = format!("https://desk.example/{id}").parse().unwrap();
        Case { id: id.parse().unwrap(), link: Some(link), status: status.into(), contact: None }
    }

    fn says(case: Case) -> Edit {
        Edit { case: Some(case), ..Edit::default() }
    }

    #[test]
    fn a_32_the_upstreams_case_passes() {
        let change = relayed(says(case("V-1", "Open")), &incident(), None, false);
        assert_eq!(change.edit.case, Some(case("V-1", "Open")));
        assert_eq!((change.upstream_case, change.own_case), (Some(case("V-1", "Open")), None));
    }

    #[test]
    fn a_32_what_is_overridden_stays_and_the_rest_follows() {
        let own_case = OwnCase { id: true, ..OwnCase::default() };
        let record = Incident { case: Some(case("P-1", "Open")), own_case, ..incident() };
        let change = relayed(says(case("V-1", "In Progress")), &record, None, false);
        let shown = Case { id: "P-1".parse().unwrap(), ..case("V-1", "In Progress") };
        assert_eq!(change.edit.case, Some(shown));
        assert_eq!(change.upstream_case, Some(case("V-1", "In Progress")), "what the upstream says is kept");

        let record = Incident { own_case: OwnCase::ALL, ..record };
        let change = relayed(says(case("V-1", "In Progress")), &record, None, false);
        assert_eq!(change.edit, Edit::default(), "there is nothing new to show");
    }

    #[test]
    fn a_32_by_the_settings_the_case_is_our_own_from_the_start() {
        let change = relayed(says(case("V-1", "Open")), &incident(), Some(case("P-1", "Taken")), false);
        assert_eq!((change.edit.case, change.own_case), (Some(case("P-1", "Taken")), Some(OwnCase::ALL)));
    }

    #[test]
    fn c_49_what_is_given_back_ends_nothing_for_the_client() {
        let edit =
            Edit { completion_code: Some(Some(CompletionCode::RequestRejected)), ..says(case("V-1", "Rejected")) };
        let change = relayed(edit, &incident(), None, true);
        assert_eq!((change.edit, change.upstream_case), (Edit::default(), Some(case("V-1", "Rejected"))));
    }
}
