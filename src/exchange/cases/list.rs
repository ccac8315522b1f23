//! Lists of cases for people: the filters as somebody wrote them down, checked.

use std::str::FromStr;

use jiff::Timestamp;

use super::create::GROUP_LIMIT;
use crate::case::text::line;
use crate::case::{
    Alias, CaseOwner, CaseState, FormFault, InitiatorType, OwnerStatus, Permission, Permissions, SiteId, case_name,
};
use crate::exchange::{Engine, EngineError};
use crate::protocol::ProblemType;
use crate::protocol::cases::{CaseFlag, CaseListQuery, CasePage, CaseRow};
use crate::store::{CaseFilter, CaseOrder, CaseQuery, ListedCase, Seen, Span, Words};

/// The most cases on one page.
const PAGE_LIMIT: usize = 1000;

impl Engine {
    /// One page of the cases that the caller sees.
    pub async fn list_cases(
        &self,
        query: &CaseListQuery,
        seen: Seen,
        may: Permissions,
    ) -> Result<CasePage, EngineError> {
        let query = parsed(query, seen, self.now())?;
        if let Some(reason) = query.contradicts_itself() {
            return Err(wrong(format!("no case can match: {reason}")));
        }
        for filter in &query.filters {
            self.check_known(filter, &query, may).await?;
        }
        self.store().refresh_deadlines().await?;
        let page = self.store().cases(&query).await?;
        let own = &self.settings().site.alias;
        let mut cases: Vec<CaseRow> = page.cases.into_iter().map(|case| row(case, self.site(), own)).collect();
        for case in &mut cases {
            self.hide_relation(case, &query.seen).await?;
        }
        Ok(CasePage { cases, unreadable: page.unreadable.iter().map(|id| id.0).collect(), next: page.next })
    }
}

impl Engine {
    /// Refuses a client, a group and a case type that neither the configuration has nor a case that the caller sees. Whoever
    /// does not see all is not told whether there is such a client or group, and whoever may not view the definitions, whether
    /// there is such a type.
    async fn check_known(&self, filter: &CaseFilter, query: &CaseQuery, may: Permissions) -> Result<(), EngineError> {
        let (settings, seen) = (self.settings(), &query.seen);
        let all = *seen == Seen::all();
        let mut filters = vec![filter.clone()];
        let reason = match filter {
            CaseFilter::Client(alias) => {
                let is_client = settings.clients.iter().any(|one| one.alias == *alias);
                if all && is_client || seen.within.iter().any(|group| *group == alias.as_str()) {
                    return Ok(());
                }
                match all {
                    true => format!("there is no client {alias}, and no case of one"),
                    false => format!("there is no client {alias}, or none of whose cases you see any"),
                }
            }
            CaseFilter::Group(group) => {
                let has_inbox = settings.inboxes.iter().any(|one| one.group.as_ref() == Some(group));
                if all && has_inbox || seen.within.contains(group) {
                    return Ok(());
                }
                format!("there is no group {group}, or none of whose cases you see any")
            }
            CaseFilter::Type(name) if !may.allow(Permission::DefView) => format!("there is no case type {name}"),
            CaseFilter::Type(name) => {
                let priority = query.filters.iter().find_map(|one| match one {
                    CaseFilter::Priority(priority) => Some(*priority),
                    _ => None,
                });
                // Cases that came with another priority may be there all the same.
                filters.extend(priority.map(CaseFilter::Priority));
                match self.check_type(Some(name), priority, may) {
                    Ok(()) => return Ok(()),
                    Err(EngineError::Refused(problem)) => problem.detail,
                    Err(other) => return Err(other),
                }
            }
            _ => return Ok(()),
        };
        let query = CaseQuery { filters, deleted: true, ..CaseQuery::of(seen.clone(), 1) };
        let page = self.store().cases(&query).await?;
        if page.cases.is_empty() && page.unreadable.is_empty() { Err(wrong(reason)) } else { Ok(()) }
    }

    /// A relation tells title and state of another case, which the caller may not see.
    pub(super) async fn hide_relation(&self, case: &mut CaseRow, seen: &Seen) -> Result<(), EngineError> {
        let Some(relation) = &case.case_relation else { return Ok(()) };
        match self.find_case(&relation.display_id, seen).await {
            Ok(_) => Ok(()),
            Err(EngineError::Refused(_)) => {
                case.case_relation = None;
                Ok(())
            }
            Err(other) => Err(other),
        }
    }
}

fn wrong(detail: String) -> EngineError {
    ProblemType::BadRequest.with(detail).into()
}

fn parsed(query: &CaseListQuery, seen: Seen, now: Timestamp) -> Result<CaseQuery, EngineError> {
    fn value<T: FromStr<Err: ToString>>(name: &str, text: &Option<String>) -> Result<Option<T>, EngineError> {
        let read =
            |text: &String| text.parse().map_err(|fault: T::Err| wrong(format!("`{name}` {}", fault.to_string())));
        text.as_ref().map(read).transpose()
    }
    let mut filters = Vec::new();
    if let Some(states) = &query.state {
        filters.push(CaseFilter::States(read_states(states)?));
    }
    filters.extend(value("type", &query.case_type)?.map(CaseFilter::Type));
    if let Some(priority) = &query.priority {
        let priority = priority.parse().map_err(|fault: FormFault| wrong(fault.to_string()))?;
        filters.push(CaseFilter::Priority(priority));
    }
    filters.extend(value("client", &query.client)?.map(CaseFilter::Client));
    if let Some(group) = &query.group {
        line(group, GROUP_LIMIT).map_err(|fault| wrong(format!("`group` {fault}")))?;
        filters.push(CaseFilter::Group(group.clone()));
    }
    filters.extend(value("owner", &query.owner)?.map(CaseFilter::Owner));
    filters.extend(value("initiator", &query.initiator)?.map(CaseFilter::Initiator));
    filters.extend(value("assigned_to", &query.assigned_to)?.map(CaseFilter::AssignedTo));
    filters.extend(value("assigned_to_group", &query.assigned_to_group)?.map(CaseFilter::AssignedToGroup));
    filters.extend(query.unassigned.then_some(CaseFilter::Unassigned));
    filters.extend(value("tag", &query.tag)?.map(CaseFilter::Tag));
    filters.extend(value("watcher", &query.watcher)?.map(CaseFilter::Watcher));
    filters.extend(value("flagged", &query.flagged)?.map(CaseFilter::Flagged));
    if let Some(text) = &query.text {
        let words = Words::of(text).ok_or_else(|| wrong("`text` needs 1 to 16 words of letters or digits".into()))?;
        filters.push(CaseFilter::Words(words));
    }
    filters.extend(span(query.created_from, query.created_before).map(CaseFilter::Created));
    filters.extend(span(query.updated_from, query.updated_before).map(CaseFilter::Updated));
    filters.extend(span(query.due_from, query.due_before).map(CaseFilter::Due));
    filters.extend(query.breached.then_some(CaseFilter::Breached(now)));
    filters.extend(query.about_to_breach.then_some(CaseFilter::AboutToBreach(now)));
    let sort = query.sort.as_deref().unwrap_or_default();
    let (name, descending) = match sort.strip_prefix('-') {
        Some(name) => (name, true),
        None => (sort, false),
    };
    let order = match name {
        "" if query.sort.is_none() => CaseOrder::default(),
        name => CaseOrder::parse(name).ok_or_else(|| {
            let known = CaseOrder::ALL.map(CaseOrder::as_str).join(", ");
            wrong(format!("`sort` must be one of {known}, with - in front to reverse"))
        })?,
    };
    let limit = match query.limit.unwrap_or(100) {
        limit @ 1..=PAGE_LIMIT => limit,
        _ => return Err(wrong(format!("`limit` must be 1 to {PAGE_LIMIT}"))),
    };
    Ok(CaseQuery { filters, deleted: query.inactive, order, descending, after: query.after.clone(), limit, seen })
}

fn read_states(text: &str) -> Result<Vec<CaseState>, EngineError> {
    let read = |word: &str| {
        CaseState::parse(word).ok_or_else(|| {
            let known = CaseState::ALL.map(CaseState::as_str).join(", ");
            wrong(format!("`state` must be of {known}, with commas between several"))
        })
    };
    let mut states: Vec<CaseState> = text.split(',').map(read).collect::<Result<_, _>>()?;
    states.sort_by_key(|state| state.as_str());
    states.dedup();
    Ok(states)
}

fn span(from: Option<Timestamp>, before: Option<Timestamp>) -> Option<Span> {
    (from.is_some() || before.is_some()).then_some(Span { from, before })
}

/// A case as a list shows it, at the site of this name.
pub(super) fn row(case: ListedCase, site: SiteId, own: &Alias) -> CaseRow {
    let instance = case.instance;
    let initiator = instance.initiator.as_ref();
    let flag = |(user, flag): (_, crate::case::Flag)| CaseFlag {
        user,
        flagged_by: flag.by,
        flagged_at: flag.at,
        unread: flag.unread,
    };
    let status = |owner: &CaseOwner| owner.status.as_str();
    CaseRow {
        id: case_name::guid(site, case.incident),
        number: case.incident.0,
        display_id: case_name::display_id(case.client.as_ref(), own, case.incident),
        revision: case.revision,
        case_type_name: instance.case_type,
        state: case.state,
        state_label: case.state.label().into(),
        priority: case.priority,
        details: case.synopsis,
        client: case.client.map(|client| client.to_string()),
        device_group: case.group,
        device: case.device,
        kind: case.kind.as_str().into(),
        initiator_id: initiator.map(|one| one.id.clone()),
        initiator_type: initiator.map(|one| -> InitiatorType { one.kind }),
        first_name: initiator.and_then(|one| one.first_name.clone()),
        last_name: initiator.and_then(|one| one.last_name.clone()),
        created_by: instance.created_by,
        assigned_to_users: instance.assigned_users.into_iter().collect(),
        assigned_to_groups: instance.assigned_groups.into_iter().collect(),
        tags: instance.tags.into_iter().collect(),
        watchers: instance.watchers.into_iter().collect(),
        location: instance.location.name,
        location_id: instance.location.id,
        location_code: instance.location.code,
        completed_percent: instance.completed,
        resolved_by: instance.resolution.as_ref().and_then(|one| one.by.clone()),
        resolution_date: instance.resolution.map(|one| one.at),
        case_relation: instance.relation,
        owner_status: instance.owner.as_ref().map_or(OwnerStatus::NONE, status).into(),
        owner: instance.owner.map(|owner| owner.user),
        flags: instance.flags.into_iter().map(flag).collect(),
        created_at: case.created_at,
        updated_at: case.updated_at,
        due_date: case.due_at,
        due_date_stands_still: case.due_stands_still,
        active: !instance.deleted,
    }
}
