//! What is promised on a case when it comes, and when its type or priority changes (M-05): the configuration says it, the store
//! keeps it, and with the next difference the peers come to know it.

use std::collections::HashMap;

use super::{Engine, EngineError};
use crate::case::case_type::changed;
use crate::case::{Incident, IncidentId};
use crate::store::{Timing, Untimed, Written};

/// Cases at once.
const PAGE: usize = 500;

impl Engine {
    /// Looks what is promised on the cases that came, or changed. Returns how many there were.
    pub async fn time_cases(&self) -> Result<usize, EngineError> {
        let (mut timed, mut after) = (0, IncidentId(0));
        loop {
            let page = self.store().untimed(after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.incident;
            timed += self.time_page(page).await?;
        }
        if timed > 0 {
            self.0.changed.notify_one();
        }
        Ok(timed)
    }

    async fn time_page(&self, page: Vec<Untimed>) -> Result<usize, EngineError> {
        let settings = self.settings();
        let timings = if settings.definitions.case_types.is_empty() {
            let nothing = |one: Untimed| Timing {
                incident: one.incident,
                expected_revision: None,
                case_type: one.case_type,
                deadlines: Vec::new(),
            };
            page.into_iter().map(nothing).collect()
        } else {
            let ids: Vec<IncidentId> = page.iter().map(|one| one.incident).collect();
            let loaded = self.store().load(&ids).await?.incidents;
            let given: HashMap<IncidentId, Option<String>> =
                page.into_iter().map(|one| (one.incident, one.case_type)).collect();
            // One that does not read waits until somebody has corrected it.
            loaded.iter().map(|one| self.timing(one, given.get(&one.id).cloned().flatten())).collect()
        };
        let written = self.store().time(timings).await?;
        Ok(written.iter().filter(|outcome| **outcome == Written::Done).count())
    }

    /// A type that was given counts, and one that was found once stays.
    fn timing(&self, incident: &Incident, given: Option<String>) -> Timing {
        let settings = self.settings();
        let definitions = &settings.definitions;
        let case_type = match &given {
            Some(name) => definitions.case_type(name),
            None => definitions.type_for(incident),
        };
        let deadlines = match case_type {
            Some(one) => changed(&incident.deadlines, &one.deadlines(self.site(), incident)),
            // What a type promised that the settings do not name any more stays promised.
            None if given.is_some() => Vec::new(),
            None => changed(&incident.deadlines, &[]),
        };
        Timing {
            incident: incident.id,
            expected_revision: Some(incident.revision),
            case_type: case_type.map(|one| one.name.clone()).or(given),
            deadlines,
        }
    }

    /// Does nothing until a case may be there that nobody has looked at.
    pub async fn wait_for_untimed(&self) {
        loop {
            tokio::time::sleep(self.settings().store.poll_interval).await;
            // A store that cannot be asked is asked by the pass itself, which reports the fault.
            if self.store().untimed(IncidentId(0), 1).await.is_ok_and(|page| page.is_empty()) {
                continue;
            }
            return;
        }
    }
}
