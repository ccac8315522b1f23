//! The fields of a trial, which remember what was asked of them that they never have. A field behind another name, that of a
//! macro's argument for one, shows here alone: a condition takes what is missing for false without a word.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use minijinja::Value;
use minijinja::value::{Enumerator, Object, Serde};

/// The group of fields that was asked, and the name that it does not know.
type Asked = Arc<Mutex<BTreeSet<(String, String)>>>;

#[derive(Debug)]
struct Probe {
    place: String,
    fields: BTreeMap<String, Value>,
    known: BTreeSet<String>,
    asked: Asked,
}

impl Object for Probe {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let name = key.as_str()?;
        if !self.known.contains(name) {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            asked.insert((self.place.clone(), name.to_owned()));
        }
        self.fields.get(name).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.fields.keys().map(|name| Value::from(name.as_str())).collect())
    }
}

/// The fields of one trial.
pub struct Trial {
    fields: BTreeMap<String, Value>,
    asked: Asked,
}

impl Trial {
    /// With these fields; `full` has every one that there is.
    pub fn of(fields: &serde_json::Value, full: &serde_json::Value) -> Self {
        let asked = Asked::default();
        let members = fields.as_object().into_iter().flatten();
        let probed = members.map(|(name, value)| (name.clone(), probe(value, &full[name], name, &asked)));
        Self { fields: probed.collect(), asked }
    }

    pub fn context(&self) -> Value {
        Value::from_object(self.fields.clone())
    }

    /// What was asked for that there is not: the group, and the name.
    pub fn unknown(&self) -> BTreeSet<(String, String)> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn probe(value: &serde_json::Value, full: &serde_json::Value, place: &str, asked: &Asked) -> Value {
    match value {
        serde_json::Value::Object(members) => {
            let below = |name: &str| format!("{place}.{name}");
            let probed =
                members.iter().map(|(name, value)| (name.clone(), probe(value, &full[name], &below(name), asked)));
            Value::from_object(Probe {
                place: place.to_owned(),
                fields: probed.collect(),
                known: full.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect(),
                asked: Arc::clone(asked),
            })
        }
        serde_json::Value::Array(items) => items.iter().map(|item| probe(item, &full[0], place, asked)).collect(),
        other => Value::from(Serde(other)),
    }
}
