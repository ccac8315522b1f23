//! Names that only one section may use.

use std::collections::HashMap;

use super::item::{Item, quoted};

/// Which name stands at which key.
#[derive(Default)]
pub(super) struct Claims {
    taken: HashMap<String, String>,
}

impl Claims {
    pub fn has(&self, name: &str) -> bool {
        self.taken.contains_key(name)
    }

    /// Takes `name` for the key of `item`; a name that is taken already is a fault. `name` may be another spelling than the
    /// one in the file. Returns whether it was free.
    pub fn claim(&mut self, item: &Item<'_>, name: String, help: &str) -> bool {
        if let Some(key) = self.taken.get(&name) {
            item.refuse(format!("{} is already used by {key}", quoted(&name)), help);
            return false;
        }
        self.taken.insert(name, item.spot.key.clone());
        true
    }
}
