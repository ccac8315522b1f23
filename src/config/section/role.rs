//! `[[role]]`: permissions under one name, for tokens of operators (M-03).

use crate::case::{Permission, Permissions};
use crate::config::claims::Claims;
use crate::config::faults::Refused;
use crate::config::item::quoted;
use crate::config::reader::Reader;
use crate::config::settings::Role;
use crate::config::token;

/// The most roles of one site.
pub const ROLE_LIMIT: usize = 200;

pub fn role(mut table: Reader<'_>, names: &mut Claims) -> Result<Role, Refused> {
    let name = table.required("name", "give the role a name, for example name = \"desk\"").and_then(|item| {
        let text = item.text()?;
        let name = token::name(text).map_err(|fault| {
            item.refuse(format!("{} is no name of a role: it {fault}", quoted(text)), "write one line of plain text")
        })?;
        names.claim(&item, name.to_owned(), "each role needs a name of its own");
        Ok(name.to_owned())
    });
    let words = Permission::ALL.map(|permission| (permission.as_str(), permission));
    let permissions =
        table.required("permissions", "name them, for example permissions = [\"CASE_VIEW\"]").and_then(|item| {
            let given = item.list(Permission::ALL.len(), |item| item.choice(&words))?;
            if given.is_empty() {
                return Err(item
                    .refuse("a role without a permission opens nothing", "name at least one, or leave the role out"));
            }
            Ok(Permissions::from_iter(given))
        });
    table.finish();
    Ok(Role { name: name?, permissions: permissions? })
}
