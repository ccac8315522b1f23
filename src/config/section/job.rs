//! `[job]`: what the jobs of case management look at, and whether they go on behind a case that fails (M-07 to M-09).

use crate::case::case_type::Definitions;
use crate::config::defaults;
use crate::config::faults::Refused;
use crate::config::item::{Item, quoted};
use crate::config::reader::Reader;
use crate::config::settings::Jobs;

/// The most case types that the due-date job looks at.
const TYPE_LIMIT: usize = 200;

pub fn job(mut table: Reader<'_>, definitions: &Definitions) -> Jobs {
    let mut sla = table.section("sla_check");
    let sla_goes_on = sla.flag("continue", defaults::JOB_CONTINUE);
    sla.finish();
    let mut due = table.section("due_date_check");
    let due_goes_on = due.flag("continue", defaults::JOB_CONTINUE);
    let types = |item: &Item<'_>| item.list(TYPE_LIMIT, |one| with_due_date(one, definitions));
    let due_types = due.take("case_types", types).unwrap_or_default();
    due.finish();
    table.finish();
    Jobs { due_types, due_goes_on, sla_goes_on }
}

fn with_due_date(item: &Item<'_>, definitions: &Definitions) -> Result<String, Refused> {
    let name = item.line(128)?;
    match definitions.case_type(name) {
        None => Err(item.refuse(format!("{} is no [[case_type]]", quoted(name)), "name one that is defined")),
        Some(one) if one.due.is_none() => {
            let message = format!("cases of type {} have no due date", quoted(name));
            Err(item.refuse(message, "add due_within to its [[case_type]], or leave it out here"))
        }
        Some(one) => Ok(one.name.clone()),
    }
}
