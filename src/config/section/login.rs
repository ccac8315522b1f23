//! User names, as both sides of a connection have them.

use crate::config::faults::Refused;
use crate::config::item::{Item, quoted};
use crate::config::reader::Reader;

/// The longest user name, in bytes.
pub(super) const USER_LIMIT: usize = 128;

pub fn user<'t>(table: &mut Reader<'t>) -> Result<Item<'t>, Refused> {
    table.required("user", "write the user name that both sites agreed on, for example user = \"north\"")
}

/// At most 128 bytes, and no colon: HTTP's Basic authentication ends the name there (RFC 7617).
pub fn user_name(item: &Item<'_>) -> Result<String, Refused> {
    let text = item.line(USER_LIMIT)?;
    if !text.contains(':') {
        return Ok(text.to_owned());
    }
    Err(item.refuse(format!("{} holds a colon", quoted(text)), "choose a user name without ':' (RFC 7617)"))
}
