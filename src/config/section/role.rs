//! `[[role]]`: permissions under one name, for tokens of operators (M-03).

use crate::case::{NotAPermission, Permission, Permissions};
use crate::config::claims::Claims;
use crate::config::faults::Refused;
use crate::config::item::{Item, quoted};
use crate::config::reader::Reader;
use crate::config::settings::Role;
use crate::config::spelling::nearest;
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
    let permissions =
        table.required("permissions", "name them, for example permissions = [\"CASE_VIEW\"]").and_then(|item| {
            let given = item.list(Permission::ALL.len(), permission)?;
            if given.is_empty() {
                return Err(item
                    .refuse("a role without a permission opens nothing", "name at least one, or leave the role out"));
            }
            Ok(Permissions::from_iter(given))
        });
    table.finish();
    Ok(Role { name: name?, permissions: permissions? })
}

fn permission(item: &Item<'_>) -> Result<Permission, Refused> {
    let text = item.text()?;
    text.parse().map_err(|fault: NotAPermission| {
        let meant = nearest(text, &Permission::ALL.map(Permission::as_str));
        let meant = meant.map(|word| format!("did you mean {}? ", quoted(word))).unwrap_or_default();
        item.refuse(format!("{} {fault}", quoted(text)), meant + "`casebridge token new --help` lists them")
    })
}
