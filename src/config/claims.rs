//! Names that only one section may use.

use std::collections::HashMap;

use super::item::{Item, quoted};

/// Who uses which name. `what` is the kind of name in a sentence, for example "alias".
pub(super) struct Claims {
    what: &'static str,
    taken: HashMap<String, String>,
}

impl Claims {
    pub fn new(what: &'static str) -> Self {
        Self { what, taken: HashMap::new() }
    }

    /// Takes `name` for the key of `item`; a name that is taken already is a fault. `name` may be another spelling than the
    /// one in the file.
    pub fn claim(&mut self, item: &Item<'_>, name: String, help: &str) {
        match self.taken.get(&name) {
            Some(key) => {
                item.refuse(format!("{} is already the {} of {key}", quoted(&name), self.what), help);
            }
            None => {
                self.taken.insert(name, item.spot.key.clone());
            }
        }
    }
}
