//! Lists of cases. A list is a merge of arms, and each arm is one range of one index: of one that has the order of the list as
//! well where there is one, so that a page costs what is on it, or else of a condition, and then what that finds is sorted.
//! Which index leads an arm is decided here and not left to SQLite's guess: `INDEXED BY` names it, and a `+` before a column
//! keeps SQLite from others.

#[cfg(test)]
mod tests;

use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};

use super::read;
use crate::case::{CaseState, Sight};
use crate::store::sqlite::read::{NO_INSTANT, json, sort_key};
use crate::store::{CaseFilter, CaseOrder, CasePage, CaseQuery, Span, StoreError};

type Sql = QueryBuilder<Sqlite>;

pub async fn list(connection: &mut SqliteConnection, query: &CaseQuery) -> Result<CasePage, StoreError> {
    let mut rows = Vec::new();
    for (query, part) in parts(query)? {
        let limit = query.limit.saturating_sub(rows.len());
        if limit == 0 {
            break;
        }
        let found = statement(&CaseQuery { limit, ..query }, part)?.build().fetch_all(&mut *connection).await?;
        rows.extend(found);
    }
    let next = match rows.last() {
        Some(row) if rows.len() == query.limit => {
            let key = if query.order == CaseOrder::Number { String::new() } else { row.try_get("sort_key")? };
            Some(format!("{}:{}:{key}", name(query), row.try_get::<i64, _>("id")?))
        }
        _ => None,
    };
    let order: Vec<i64> = rows.iter().map(|row| row.try_get("id")).collect::<Result<_, _>>()?;
    let (cases, unreadable) = read::listed(connection, &order).await?;
    Ok(CasePage { cases, unreadable, next })
}

/// Whether the index of words has to be up to date for it.
pub fn looks_for_words(query: &CaseQuery) -> bool {
    query.filters.iter().any(|filter| matches!(filter, CaseFilter::Words(_)))
}

/// Which cases of a list are looked for.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Part {
    All,
    /// Those with a due date.
    Dated,
    Undated,
}

/// What a list is put together from, one behind the other: cases without a due date come last in either direction.
fn parts(query: &CaseQuery) -> Result<Vec<(CaseQuery, Part)>, StoreError> {
    if query.order != CaseOrder::Due || !query.descending {
        return Ok(vec![(query.clone(), Part::All)]);
    }
    let last = query.after.as_deref().map(|after| position(query, after)).transpose()?;
    Ok(match last {
        Some(last) if last.key == NO_INSTANT => vec![(query.clone(), Part::Undated)],
        _ => vec![(query.clone(), Part::Dated), (CaseQuery { after: None, ..query.clone() }, Part::Undated)],
    })
}

/// Finds the numbers of a page, in order.
fn statement(query: &CaseQuery, part: Part) -> Result<Sql, StoreError> {
    let position = query.after.as_deref().map(|after| position(query, after)).transpose()?;
    let mut sql = Sql::new("");
    let arms = arms(query, position.as_ref()).into_iter().flat_map(|arm| ranges(query, arm));
    for (number, arm) in arms.enumerate() {
        if number > 0 {
            sql.push(" UNION ");
        }
        arm.push(&mut sql, query, part);
    }
    let down = if query.descending { " DESC" } else { "" };
    sql.push(" ORDER BY ");
    if query.order != CaseOrder::Number {
        sql.push("sort_key").push(down).push(", ");
    }
    sql.push("id").push(down).push(" LIMIT ").push_bind(query.limit as i64);
    Ok(sql)
}

/// Leads the `next` of a page, so that it is not taken for a page of a list in another order.
fn name(query: &CaseQuery) -> String {
    format!("{}{}", query.order.as_str(), if query.descending { "-" } else { "+" })
}

/// The last row that was seen.
#[derive(Clone, PartialEq)]
struct Position {
    id: i64,
    key: String,
}

fn position(query: &CaseQuery, after: &str) -> Result<Position, StoreError> {
    let rest = after.strip_prefix(&name(query)).and_then(|rest| rest.strip_prefix(':'));
    let parts = rest.and_then(|rest| rest.split_once(':'));
    parts
        .and_then(|(id, key)| Some(Position { id: id.parse().ok()?, key: key.to_owned() }))
        .ok_or_else(|| StoreError::Query("`after` is not a page of this list".into()))
}

/// Where the rows of an arm come from.
#[derive(Clone, PartialEq)]
enum Lead {
    /// The index of one of its conditions, or of the order.
    Table,
    Mark(&'static str, String),
    Flag(String),
    Words(String),
}

impl Lead {
    fn id(&self) -> &'static str {
        match self {
            Lead::Table => "i.id",
            Lead::Mark(..) => "m.incident",
            Lead::Flag(_) => "f.incident",
            Lead::Words(_) => "t.rowid",
        }
    }
}

#[derive(Clone, PartialEq)]
enum Condition {
    Is(&'static str, String),
    Numbers(Vec<i64>),
    States(Vec<CaseState>),
    Span(&'static str, Span),
    Unassigned,
    Mark(&'static str, String),
    Flag(String),
    Words(String),
    Alarm(Alarm),
    /// The same, as far as it is marked in the row of the case.
    Marked(Alarm),
    /// The same, where a job is still to note it.
    Unmarked(Alarm),
    /// One of these, each a list of which all must hold.
    Any(Vec<Vec<Condition>>),
    /// Of these device groups, of the clients of these names, or assigned to these groups.
    Within(Vec<String>),
    /// The very key of the last row, and a number after its own.
    Same(Position),
    /// A key after that of the last row.
    Beyond(String),
}

/// How far a deadline has come, at an instant in milliseconds.
#[derive(Clone, Copy, PartialEq)]
enum Alarm {
    Breached(i64),
    AboutToBreach(i64),
}

impl Alarm {
    fn column(self) -> &'static str {
        match self {
            Alarm::Breached(_) => "breached",
            Alarm::AboutToBreach(_) => "warned",
        }
    }
}

struct Arm {
    lead: Lead,
    conditions: Vec<Condition>,
    /// Where it goes on, unless a condition says so.
    position: Option<Position>,
}

fn column(order: CaseOrder) -> &'static str {
    match order {
        CaseOrder::Number => "id",
        CaseOrder::Created => "sort_created",
        CaseOrder::Updated => "sort_updated",
        CaseOrder::Priority => "sort_priority",
        CaseOrder::Due => "sort_due",
    }
}

fn condition(filter: &CaseFilter) -> Condition {
    use Condition::{Is, Mark};
    match filter {
        CaseFilter::Numbers(ids) => Condition::Numbers(ids.iter().map(|id| id.0).collect()),
        CaseFilter::States(states) => match states.as_slice() {
            [one] => Is("state", one.as_str().to_owned()),
            several => Condition::States(several.to_vec()),
        },
        CaseFilter::Type(name) => Is("case_type", name.to_string()),
        CaseFilter::Priority(priority) => Is("sort_priority", priority.to_string()),
        CaseFilter::Client(client) => Is("client", client.to_string()),
        CaseFilter::Group(group) => Is("device_group", group.clone()),
        CaseFilter::Owner(user) => Is("owner", user.to_string()),
        CaseFilter::Initiator(user) => Is("initiator", user.to_string()),
        CaseFilter::AssignedTo(user) => Mark("user", user.to_string()),
        CaseFilter::AssignedToGroup(group) => Mark("group", group.to_string()),
        CaseFilter::Unassigned => Condition::Unassigned,
        CaseFilter::Tag(tag) => Mark("tag", tag.to_string()),
        CaseFilter::Watcher(user) => Mark("watcher", user.to_string()),
        CaseFilter::Flagged(user) => Condition::Flag(user.to_string()),
        CaseFilter::Words(words) => {
            Condition::Words(words.iter().map(|word| format!("\"{word}\"*")).collect::<Vec<_>>().join(" "))
        }
        CaseFilter::Created(span) => Condition::Span("sort_created", *span),
        CaseFilter::Updated(span) => Condition::Span("sort_updated", *span),
        CaseFilter::Due(span) => Condition::Span("sort_due", *span),
        CaseFilter::Breached(now) => Condition::Alarm(Alarm::Breached(now.as_millisecond())),
        CaseFilter::AboutToBreach(now) => Condition::Alarm(Alarm::AboutToBreach(now.as_millisecond())),
    }
}

/// Whether it leads to the rows by their numbers.
fn by_number(one: &Condition) -> bool {
    matches!(one, Condition::Numbers(_) | Condition::Unmarked(_))
}

/// The arms of a list, at least one.
fn arms(query: &CaseQuery, position: Option<&Position>) -> Vec<Arm> {
    let mut conditions: Vec<Condition> = query.filters.iter().map(condition).collect();
    let arm = |lead: Lead, conditions: Vec<Condition>| Arm { lead, conditions, position: position.cloned() };
    let leading = |one: &Condition| match one {
        Condition::Mark(kind, name) => Some(Lead::Mark(kind, name.clone())),
        Condition::Flag(user) => Some(Lead::Flag(user.clone())),
        Condition::Words(words) => Some(Lead::Words(words.clone())),
        _ => None,
    };
    let few = |one: &Condition| by_number(one) || matches!(one, Condition::Is("owner" | "initiator", _));
    if let Some((index, lead)) = conditions.iter().enumerate().find_map(|(index, one)| Some((index, leading(one)?))) {
        conditions.remove(index);
        conditions.extend(residual(query));
        return vec![arm(lead, conditions)];
    }
    if conditions.iter().any(few) {
        conditions.extend(residual(query));
        return vec![arm(Lead::Table, conditions)];
    }
    let alarm_of = |one: &Condition| match one {
        Condition::Alarm(alarm) => Some(*alarm),
        _ => None,
    };
    if let Some((index, alarm)) = conditions.iter().enumerate().find_map(|(index, one)| Some((index, alarm_of(one)?))) {
        conditions.remove(index);
        conditions.extend(residual(query));
        let with = |one: Condition| arm(Lead::Table, [vec![one], conditions.clone()].concat());
        return vec![with(Condition::Marked(alarm)), with(Condition::Unmarked(alarm))];
    }
    let within = query.seen.within.clone();
    let with = |lead: Lead, more: Vec<Condition>| arm(lead, [more, conditions.clone()].concat());
    match &query.seen.sight {
        Sight::Some { mine, assigned, unassigned, user, groups } => {
            let confined = || (!within.is_empty()).then(|| Condition::Within(within.clone()));
            let mut arms = Vec::new();
            if *mine {
                arms.push(with(Lead::Table, mine_of(user)));
            }
            if *assigned {
                arms.push(with(Lead::Mark("user", user.clone()), Vec::new()));
                arms.extend(groups.iter().map(|group| with(Lead::Mark("group", group.clone()), Vec::new())));
            }
            if *unassigned {
                arms.push(with(Lead::Table, vec![Condition::Unassigned]));
            }
            for arm in &mut arms {
                arm.conditions.extend(confined());
            }
            arms
        }
        Sight::All if !within.is_empty() => {
            let of = |group: &String| {
                [
                    with(Lead::Table, vec![Condition::Is("device_group", group.clone())]),
                    with(Lead::Table, vec![Condition::Is("client", group.clone())]),
                    with(Lead::Mark("group", group.clone()), Vec::new()),
                ]
            };
            within.iter().flat_map(of).collect()
        }
        Sight::All => spread(conditions, position),
    }
}

/// The arms of a list on which nothing but its own conditions lies: one for each of several states that lead.
fn spread(conditions: Vec<Condition>, position: Option<&Position>) -> Vec<Arm> {
    let arm = |conditions: Vec<Condition>| Arm { lead: Lead::Table, conditions, position: position.cloned() };
    let states = conditions.iter().position(|one| matches!(one, Condition::States(_)));
    if leader(&conditions).is_none()
        && let Some(index) = states
        && let Some(Condition::States(states)) = conditions.get(index).cloned()
    {
        let of = |state: CaseState| {
            let mut conditions = conditions.clone();
            conditions[index] = Condition::Is("state", state.as_str().to_owned());
            arm(conditions)
        };
        return states.into_iter().map(of).collect();
    }
    vec![arm(conditions)]
}

/// Where the order leads an arm, rows with the key of the last one are a range of their own: there may be many.
fn ranges(query: &CaseQuery, arm: Arm) -> Vec<Arm> {
    match arm.position.clone() {
        Some(position) if query.order != CaseOrder::Number && arm.is_ordered(query) => {
            [Condition::Same(position.clone()), Condition::Beyond(position.key)]
                .into_iter()
                .map(|one| Arm {
                    lead: Lead::Table,
                    conditions: [vec![one], arm.conditions.clone()].concat(),
                    position: None,
                })
                .collect()
        }
        _ => vec![arm],
    }
}

fn goes_on(one: &Condition) -> bool {
    matches!(one, Condition::Same(_) | Condition::Beyond(_))
}

fn mine_of(user: &str) -> Vec<Condition> {
    vec![Condition::Is("initiator", user.to_owned()), Condition::Is("initiator_type", "USER".to_owned())]
}

/// What lies on an arm that is led by something else.
fn residual(query: &CaseQuery) -> Vec<Condition> {
    let mut conditions = Vec::new();
    if let Sight::Some { mine, assigned, unassigned, user, groups } = &query.seen.sight {
        let mut any = Vec::new();
        if *mine {
            any.push(mine_of(user));
        }
        if *assigned {
            any.push(vec![Condition::Mark("user", user.clone())]);
            any.extend(groups.iter().map(|group| vec![Condition::Mark("group", group.clone())]));
        }
        if *unassigned {
            any.push(vec![Condition::Unassigned]);
        }
        conditions.push(Condition::Any(any));
    }
    if !query.seen.within.is_empty() {
        conditions.push(Condition::Within(query.seen.within.clone()));
    }
    conditions
}

/// The columns whose index finds the fewest rows, as far as one can know.
fn leader(conditions: &[Condition]) -> Option<&'static [&'static str]> {
    const BOTH: [&[&str]; 2] = [&["client", "state"], &["device_group", "state"]];
    const ONE: [&[&str]; 6] = [&["owner"], &["initiator"], &["device_group"], &["client"], &["case_type"], &["state"]];
    const LAST: [&[&str]; 5] = [&["sort_due"], &["sort_priority"], &["assigned"], &["sort_created"], &["sort_updated"]];
    const ALARMS: [&[&str]; 2] = [&["breached"], &["warned"]];
    let has = |column: &&str| {
        conditions.iter().any(|one| match one {
            Condition::Is(known, _) | Condition::Span(known, _) => known == column,
            Condition::Unassigned => *column == "assigned",
            Condition::Marked(alarm) => *column == alarm.column(),
            _ => false,
        })
    };
    let is_open = |one: &Condition| match one {
        Condition::Is("state", state) => !["resolved", "completed", "canceled"].contains(&state.as_str()),
        _ => false,
    };
    let open: &[&[&str]] = if conditions.iter().any(is_open) { &[&["state"]] } else { &[] };
    let (first, rest) = ONE.split_at(2);
    let known = ALARMS.iter().chain(first).chain(&BOTH).chain(open).chain(rest).chain(&LAST);
    known.copied().find(|columns| columns.iter().all(has))
}

/// The indexes of a column are named by it, with a word for each order: those that filter most have one for each.
fn index_of(leader: &[&str], order: CaseOrder) -> Option<String> {
    let name = match leader {
        ["state"] => "state",
        ["client"] => "client",
        ["device_group"] => "group",
        ["case_type"] => "type",
        ["owner"] => "owner",
        ["breached"] => "breached",
        ["warned"] => "warned",
        _ => return None,
    };
    match (order, name) {
        (CaseOrder::Number, "state") => Some("incident_by_state".to_owned()),
        (CaseOrder::Number, name) => Some(format!("incident_{name}")),
        (order, name) => Some(format!("incident_{name}_{}", order.as_str())),
    }
}

impl Arm {
    /// The columns of its index before the number, or before the order.
    fn leader(&self) -> &'static [&'static str] {
        match self.lead {
            Lead::Table if !self.conditions.iter().any(by_number) => leader(&self.conditions).unwrap_or(&[]),
            _ => &[],
        }
    }

    /// Whether its rows come in the order of the list.
    fn is_ordered(&self, query: &CaseQuery) -> bool {
        let leader = self.leader();
        self.lead == Lead::Table
            && !self.conditions.iter().any(by_number)
            && (leader.is_empty() || *leader == [column(query.order)] || index_of(leader, query.order).is_some())
    }

    fn push(&self, sql: &mut Sql, query: &CaseQuery, part: Part) {
        let id = self.lead.id();
        let leader = self.leader();
        let key = column(query.order);
        let by_order = self.is_ordered(query);
        let plus = if by_order { "" } else { "+" };
        sql.push("SELECT ").push(id).push(" AS id");
        if query.order != CaseOrder::Number {
            sql.push(", ").push(plus).push("i.").push(key).push(" AS sort_key");
        }
        sql.push(" FROM ");
        match &self.lead {
            Lead::Table => match index_of(leader, query.order) {
                Some(index) => sql.push("incident i INDEXED BY ").push(index).push(" WHERE true"),
                None => sql.push("incident i WHERE true"),
            },
            Lead::Mark(kind, name) => sql
                .push("case_mark m CROSS JOIN incident i ON i.id = m.incident WHERE m.kind = ")
                .push_bind(*kind)
                .push(" AND m.name = ")
                .push_bind(name.clone()),
            Lead::Flag(user) => sql
                .push("case_flag f CROSS JOIN incident i ON i.id = f.incident WHERE f.user = ")
                .push_bind(user.clone()),
            Lead::Words(words) => sql
                .push("incident_text t CROSS JOIN incident i ON i.id = t.rowid WHERE t.incident_text MATCH ")
                .push_bind(words.clone()),
        };
        for one in &self.conditions {
            sql.push(" AND ");
            push(sql, one, leader, query);
        }
        if !query.deleted {
            sql.push(" AND i.deleted = 0");
        }
        let bound = match part {
            Part::All => None,
            Part::Dated => Some(" < "),
            Part::Undated => Some(" >= "),
        };
        if let Some(bound) = bound {
            sql.push(" AND ").push(plus).push("i.sort_due").push(bound).push_bind(NO_INSTANT);
        }
        let beyond = if query.descending { " < " } else { " > " };
        match (query.order, &self.position) {
            // Said for the first page as well: it makes a search of what would be a scan.
            (CaseOrder::Number, position) => {
                let none = if query.descending { i64::MAX } else { i64::MIN };
                let last = position.as_ref().map_or(none, |position| position.id);
                sql.push(" AND ").push(id).push(beyond).push_bind(last);
            }
            (_, Some(position)) => {
                sql.push(" AND (").push(plus).push("i.").push(key).push(", ").push(id).push(")").push(beyond);
                sql.push("(").push_bind(position.key.clone()).push(", ").push_bind(position.id).push(")");
            }
            (_, None) if by_order && !self.conditions.iter().any(goes_on) => {
                sql.push(" AND i.").push(key).push(" >= ''");
            }
            (_, None) => {}
        }
    }
}

fn push(sql: &mut Sql, condition: &Condition, leader: &[&str], query: &CaseQuery) {
    let plus = |column: &str| if leader.contains(&column) { "i." } else { "+i." };
    match condition {
        Condition::Is(column, value) => {
            sql.push(plus(column)).push(*column).push(" = ").push_bind(value.clone());
        }
        Condition::Numbers(ids) => {
            sql.push("i.id IN (SELECT value FROM json_each(").push_bind(json(ids)).push("))");
        }
        Condition::States(states) => {
            let states: Vec<&str> = states.iter().map(|state| state.as_str()).collect();
            sql.push("+i.state IN (SELECT value FROM json_each(").push_bind(json(&states)).push("))");
        }
        Condition::Span(column, span) => {
            let bounds = [(" >= ", span.from), (" < ", span.before)];
            let given: Vec<_> = bounds.iter().filter_map(|(word, at)| Some((*word, (*at)?))).collect();
            sql.push("true");
            for (word, at) in given {
                sql.push(" AND ").push(plus(column)).push(*column).push(word).push_bind(sort_key(at));
            }
            if *column == "sort_due" {
                sql.push(" AND ").push(plus(column)).push("sort_due < ").push_bind(NO_INSTANT);
            }
        }
        Condition::Unassigned => {
            sql.push(plus("assigned")).push("assigned = 0");
        }
        Condition::Mark(kind, name) => {
            sql.push("EXISTS (SELECT 1 FROM case_mark x WHERE x.kind = ").push_bind(*kind);
            sql.push(" AND x.name = ").push_bind(name.clone()).push(" AND x.incident = i.id)");
        }
        Condition::Flag(user) => {
            sql.push("EXISTS (SELECT 1 FROM case_flag x WHERE x.user = ").push_bind(user.clone());
            sql.push(" AND x.incident = i.id)");
        }
        Condition::Words(words) => {
            sql.push("EXISTS (SELECT 1 FROM incident_text x WHERE x.incident_text MATCH ").push_bind(words.clone());
            sql.push(" AND x.rowid = i.id)");
        }
        Condition::Alarm(alarm) => {
            sql.push("EXISTS (SELECT 1 FROM deadline d WHERE d.incident = i.id AND ");
            alarmed(sql, *alarm);
            sql.push(")");
        }
        Condition::Marked(alarm) => {
            // The mark was made when the case changed, and what it tells of may be still to come.
            sql.push("i.").push(alarm.column()).push(" = 1 AND ");
            push(sql, &Condition::Alarm(*alarm), leader, query);
        }
        Condition::Unmarked(alarm) => {
            let (Alarm::Breached(now) | Alarm::AboutToBreach(now)) = alarm;
            sql.push("i.id IN (SELECT d.incident FROM deadline d WHERE d.next_at <= ").push_bind(*now).push(" AND ");
            alarmed(sql, *alarm);
            sql.push(")");
        }
        Condition::Any(any) => {
            sql.push("(false");
            for all in any {
                sql.push(" OR (true");
                for one in all {
                    sql.push(" AND ");
                    push(sql, one, &[], query);
                }
                sql.push(")");
            }
            sql.push(")");
        }
        Condition::Within(groups) => {
            let groups = json(groups);
            let listed = |sql: &mut Sql| {
                sql.push("(SELECT value FROM json_each(").push_bind(groups.clone()).push("))");
            };
            sql.push("(+i.device_group IN ");
            listed(sql);
            sql.push(" OR +i.client IN ");
            listed(sql);
            sql.push(" OR EXISTS (SELECT 1 FROM json_each(").push_bind(groups.clone());
            sql.push(") g JOIN case_mark x ON x.kind = 'group' AND x.name = g.value AND x.incident = i.id))");
        }
        Condition::Same(position) => {
            sql.push("i.").push(column(query.order)).push(" = ").push_bind(position.key.clone());
            sql.push(" AND i.id").push(if query.descending { " < " } else { " > " }).push_bind(position.id);
        }
        Condition::Beyond(key) => {
            sql.push("i.").push(column(query.order));
            sql.push(if query.descending { " < " } else { " > " }).push_bind(key.clone());
        }
    }
}

/// Whether the deadline `d` has come so far.
fn alarmed(sql: &mut Sql, alarm: Alarm) {
    match alarm {
        Alarm::Breached(now) => {
            sql.push("(d.violated = 1 OR d.due_at <= ").push_bind(now).push(")");
        }
        Alarm::AboutToBreach(now) => {
            sql.push("d.warns_at <= ")
                .push_bind(now)
                .push(" AND d.due_at > ")
                .push_bind(now)
                .push(" AND d.violated = 0");
        }
    }
}
