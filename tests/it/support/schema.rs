//! Holds an answer against the OpenAPI document: just the rules of JSON Schema that the document uses. A rule that this
//! does not know is a fault, and so is a value that the document does not tell of.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Map, Value};

/// An OpenAPI document.
pub struct Document(pub Value);

/// Rules that say nothing about a value.
const SILENT: [&str; 5] = ["description", "title", "example", "examples", "default"];
const RULES: [&str; 19] = [
    "$ref",
    "type",
    "properties",
    "required",
    "items",
    "enum",
    "oneOf",
    "anyOf",
    "allOf",
    "additionalProperties",
    "propertyNames",
    "format",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
];

/// Which members of an object a schema has told of; all, where it leaves them open.
#[derive(Default)]
struct Told {
    names: BTreeSet<String>,
    open: bool,
}

impl Told {
    fn join(&mut self, other: Told) {
        self.names.extend(other.names);
        self.open |= other.open;
    }
}

impl Document {
    /// Every operation, as method and path.
    pub fn operations(&self) -> Vec<(String, String)> {
        let mut operations = Vec::new();
        for (path, methods) in self.0["paths"].as_object().expect("the document has paths") {
            operations.extend(methods.as_object().unwrap().keys().map(|method| (method.to_uppercase(), path.clone())));
        }
        operations
    }

    pub fn operation(&self, method: &str, path: &str) -> &Value {
        &self.0["paths"][path][method.to_lowercase()]
    }

    /// What is wrong with an answer; nothing when it is as the document says.
    pub fn faults_of_answer(&self, method: &str, path: &str, status: u16, kind: &str, body: &Value) -> Vec<String> {
        let responses = &self.operation(method, path)["responses"];
        let response = match responses.get(status.to_string()) {
            Some(response) => response,
            None if status >= 400 => &responses["default"],
            None => return vec![format!("{method} {path}: status {status} is not documented")],
        };
        let kind = kind.split(';').next().unwrap_or_default();
        let Some(media) = response["content"].get(kind) else {
            return vec![format!("{method} {path}: {kind} with status {status} is not documented")];
        };
        let faults = self.faults(&media["schema"], body);
        faults.into_iter().map(|fault| format!("{method} {path} {status}: {fault}")).collect()
    }

    pub fn faults(&self, schema: &Value, value: &Value) -> Vec<String> {
        let mut faults = Vec::new();
        self.whole(schema, value, "$", &mut faults);
        faults
    }

    /// A value that stands for itself: what no rule has told of must not be in it.
    fn whole(&self, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
        let told = self.part(schema, value, at, faults);
        let Value::Object(members) = value else { return };
        if !told.open {
            let untold = members.keys().filter(|name| !told.names.contains(*name));
            faults.extend(untold.map(|name| format!("{at}.{name} is not documented")));
        }
    }

    /// A value, as far as one schema tells of it.
    fn part(&self, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) -> Told {
        let Value::Object(rules) = schema else {
            faults.push(format!("{at}: there is no schema"));
            return Told { open: true, ..Told::default() };
        };
        let mut told = Told::default();
        for rule in rules.keys().filter(|rule| !RULES.contains(&rule.as_str()) && !SILENT.contains(&rule.as_str())) {
            faults.push(format!("{at}: the rule {rule} is not known to this test"));
        }
        if let Some(Value::String(reference)) = rules.get("$ref") {
            match reference.strip_prefix('#').and_then(|pointer| self.0.pointer(pointer)) {
                Some(target) => told.join(self.part(target, value, at, faults)),
                None => faults.push(format!("{at}: {reference} leads nowhere")),
            }
        }
        self.check_type(rules, value, at, faults);
        if let Some(Value::Array(allowed)) = rules.get("enum")
            && !allowed.contains(value)
        {
            faults.push(format!("{at}: {value} is none of {allowed:?}"));
        }
        check_bounds(rules, value, at, faults);
        check_text(rules, value, at, faults);
        check_format(rules, value, at, faults);
        for each in rules.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            told.join(self.part(each, value, at, faults));
        }
        for (rule, most) in [("oneOf", 1), ("anyOf", usize::MAX)] {
            if let Some(Value::Array(each)) = rules.get(rule) {
                told.join(self.check_choice(rule, each, most, value, at, faults));
            }
        }
        if let (Some(items), Value::Array(values)) = (rules.get("items"), value) {
            for (index, value) in values.iter().enumerate() {
                self.whole(items, value, &format!("{at}[{index}]"), faults);
            }
        }
        if let Value::Object(members) = value {
            told.join(self.check_members(rules, members, at, faults));
        }
        told
    }

    fn check_type(&self, rules: &Map<String, Value>, value: &Value, at: &str, faults: &mut Vec<String>) {
        let allowed: Vec<&str> = match rules.get("type") {
            None => return,
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
            Some(other) => {
                faults.push(format!("{at}: {other} is no type"));
                return;
            }
        };
        let fits = allowed.iter().any(|kind| match *kind {
            "null" => value.is_null(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "string" => value.is_string(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            _ => false,
        });
        if !fits {
            faults.push(format!("{at}: {value} is not of type {allowed:?}"));
        }
    }

    fn check_choice(
        &self,
        rule: &str,
        each: &[Value],
        most: usize,
        value: &Value,
        at: &str,
        faults: &mut Vec<String>,
    ) -> Told {
        let mut fitting = Vec::new();
        let mut reasons = Vec::new();
        for schema in each {
            let mut here = Vec::new();
            let told = self.part(schema, value, at, &mut here);
            if here.is_empty() { fitting.push(told) } else { reasons.extend(here) }
        }
        if fitting.is_empty() || fitting.len() > most {
            faults.push(format!("{at}: {} of {rule} fit: {reasons:?}", fitting.len()));
        }
        let mut told = Told::default();
        fitting.into_iter().for_each(|one| told.join(one));
        told
    }

    fn check_members(
        &self,
        rules: &Map<String, Value>,
        members: &Map<String, Value>,
        at: &str,
        faults: &mut Vec<String>,
    ) -> Told {
        for name in rules.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            if !members.contains_key(name) {
                faults.push(format!("{at}.{name} is required and missing"));
            }
        }
        let properties = rules.get("properties").and_then(Value::as_object);
        let additional = rules.get("additionalProperties");
        let mut told = Told::default();
        for (name, value) in members {
            if let Some(schema) = rules.get("propertyNames") {
                self.whole(schema, &Value::String(name.clone()), &format!("{at}, its name {name}"), faults);
            }
            if let Some(schema) = properties.and_then(|properties| properties.get(name)) {
                told.names.insert(name.clone());
                self.whole(schema, value, &format!("{at}.{name}"), faults);
            } else if let Some(schema @ Value::Object(_)) = additional {
                told.names.insert(name.clone());
                self.whole(schema, value, &format!("{at}.{name}"), faults);
            } else if additional == Some(&Value::Bool(false)) {
                faults.push(format!("{at}.{name} is not allowed"));
            }
        }
        // An object of which nothing is told but that it is one.
        let chosen = ["$ref", "allOf", "oneOf", "anyOf"].iter().any(|rule| rules.contains_key(*rule));
        told.open = properties.is_none() && additional.is_none() && !chosen;
        told
    }
}

fn check_bounds(rules: &Map<String, Value>, value: &Value, at: &str, faults: &mut Vec<String>) {
    let bounded = match value {
        Value::Number(number) => number.as_f64().map(|number| (number, "minimum", "maximum")),
        Value::String(text) => Some((text.chars().count() as f64, "minLength", "maxLength")),
        Value::Array(items) => Some((items.len() as f64, "minItems", "maxItems")),
        _ => None,
    };
    let Some((size, least, most)) = bounded else { return };
    let bound = |rule| rules.get(rule).and_then(Value::as_f64);
    if bound(least).is_some_and(|least| size < least) || bound(most).is_some_and(|most| size > most) {
        faults.push(format!("{at}: {value} is out of its bounds"));
    }
}

fn check_text(rules: &Map<String, Value>, value: &Value, at: &str, faults: &mut Vec<String>) {
    let (Some(pattern), Some(text)) = (rules.get("pattern").and_then(Value::as_str), value.as_str()) else { return };
    match regex::Regex::new(pattern) {
        Ok(pattern) if pattern.is_match(text) => {}
        Ok(pattern) => faults.push(format!("{at}: {text} is not like {pattern}")),
        Err(fault) => faults.push(format!("{at}: {fault}")),
    }
}

fn check_format(rules: &Map<String, Value>, value: &Value, at: &str, faults: &mut Vec<String>) {
    if let (Some("date-time"), Some(text)) = (rules.get("format").and_then(Value::as_str), value.as_str())
        && text.parse::<Timestamp>().is_err()
    {
        faults.push(format!("{at}: {text} is no instant"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Each rule, a value that it takes, a value that it does not, and what is said about that.
    #[test]
    fn every_rule_can_fail() {
        let one_of = json!({"oneOf": [{"type": "string"}, {"type": "object", "properties": {"a": {"type": "null"}}},
            {"type": ["string", "null"]}]});
        let flattened = json!({"allOf": [{"$ref": "#/defs/named"},
            {"type": "object", "required": ["b"], "properties": {"b": {"type": "integer"}}}]});
        let rules = [
            (json!({"type": "string"}), json!("x"), json!(null), "not of type"),
            (json!({"type": ["integer", "null"]}), json!(null), json!(1.5), "not of type"),
            (json!({"type": "number"}), json!(1.5), json!("1"), "not of type"),
            (json!({"type": "boolean"}), json!(true), json!(0), "not of type"),
            (json!({"enum": ["a", "b"]}), json!("b"), json!("c"), "none of"),
            (json!({"type": "array", "items": {"type": "string"}}), json!(["a"]), json!(["a", 1]), "$[1]"),
            (json!({"type": "object", "required": ["a"]}), json!({"a": 1}), json!({"b": 1}), "required and missing"),
            (json!({"properties": {"a": {"type": "string"}}}), json!({"a": "x"}), json!({"a": 1}), "$.a"),
            (json!({"properties": {"a": {}}}), json!({"a": "x"}), json!({"a": 1, "b": 2}), "$.b is not documented"),
            (json!({"additionalProperties": {"type": "string"}}), json!({"b": "x"}), json!({"b": 1}), "$.b"),
            (json!({"type": "object", "additionalProperties": false}), json!({}), json!({"b": 1}), "not allowed"),
            (json!({"propertyNames": {"enum": ["a"]}}), json!({"a": 1}), json!({"b": 1}), "its name b"),
            (json!({"minimum": 400, "maximum": 599}), json!(400), json!(600), "bounds"),
            (json!({"minimum": 1}), json!(1), json!(0), "bounds"),
            (json!({"minLength": 1, "maxLength": 2}), json!("é1"), json!("123"), "bounds"),
            (json!({"minItems": 1, "maxItems": 2}), json!([1]), json!([]), "bounds"),
            (json!({"pattern": "^[0-9a-f]{2}$"}), json!("0f"), json!("0F"), "not like"),
            (json!({"pattern": r"^[^\u202a-\u202e]*$"}), json!("a"), json!("\u{202e}"), "not like"),
            (json!({"format": "date-time"}), json!("2026-11-21T10:00:00Z"), json!("yesterday"), "no instant"),
            (json!({"$ref": "#/defs/named"}), json!({"a": "x"}), json!({"a": 1}), "$.a"),
            (json!({"anyOf": [{"$ref": "#/defs/named"}]}), json!({"a": "x"}), json!({"c": 1}), "not documented"),
            (one_of.clone(), json!(null), json!(7), "0 of oneOf fit"),
            (one_of, json!({"a": null}), json!("two of them"), "2 of oneOf fit"),
            (flattened.clone(), json!({"a": "x", "b": 1}), json!({"a": "x"}), "$.b is required"),
            (flattened, json!({"b": 1}), json!({"b": 1, "c": 1}), "$.c is not documented"),
        ];
        let document =
            Document(json!({"defs": {"named": {"type": "object", "properties": {"a": {"type": "string"}}}}}));
        for (schema, right, wrong, said) in rules {
            assert_eq!(document.faults(&schema, &right), Vec::<String>::new(), "{schema} takes {right}");
            let faults = document.faults(&schema, &wrong);
            assert!(faults.iter().any(|fault| fault.contains(said)), "{schema} and {wrong}: {faults:?}");
        }
    }

    #[test]
    fn what_this_does_not_understand_is_a_fault() {
        let document = Document(json!({}));
        assert!(!document.faults(&json!({"const": "a"}), &json!("b")).is_empty());
        assert!(!document.faults(&json!({"$ref": "#/nowhere"}), &json!("b")).is_empty());
        assert!(!document.faults(&Value::Null, &json!("b")).is_empty());
    }

    #[test]
    fn answers_that_are_not_documented_are_faults() {
        let document = Document(json!({"paths": {"/a": {"get": {"responses": {
            "200": {"content": {"application/json": {"schema": {"type": "string"}}}},
            "default": {"content": {"application/problem+json": {"schema": {"type": "object"}}}},
        }}}}}));
        let faults = |status, kind: &str, body| document.faults_of_answer("GET", "/a", status, kind, &body);
        assert!(faults(200, "application/json; charset=utf-8", json!("x")).is_empty());
        assert!(faults(500, "application/problem+json", json!({})).is_empty());
        assert_eq!(faults(201, "application/json", json!("x")), ["GET /a: status 201 is not documented"]);
        assert_eq!(faults(200, "text/plain", json!("x")).len(), 1);
        assert_eq!(faults(404, "text/plain", json!("x")).len(), 1);
        assert_eq!(faults(200, "application/json", json!(1)).len(), 1);
    }
}
