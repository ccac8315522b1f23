//! The query part of an address.

use serde::Serialize;
use serde_json::Value;

use super::exit::{Exit, Failure};
use crate::case::text::encoded;

/// `path?name=value&...` from the fields of `query` that are there.
pub fn address(path: &str, query: &impl Serialize) -> Result<String, Failure> {
    let fault =
        |why: String| Failure::new(Exit::Failed, "the question cannot be written down", why, "please report this");
    let Value::Object(fields) = serde_json::to_value(query).map_err(|error| fault(error.to_string()))? else {
        return Err(fault("it has no fields".to_owned()));
    };
    let pairs: Vec<String> = fields
        .iter()
        .filter_map(|(name, value)| match value {
            Value::Null => None,
            Value::String(text) => Some(format!("{name}={}", encoded(text))),
            other => Some(format!("{name}={}", encoded(&other.to_string()))),
        })
        .collect();
    Ok(if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::operator::IncidentQuery;

    #[test]
    fn a_query_holds_what_was_asked_for_and_nothing_else() {
        let query = IncidentQuery::default();
        assert_eq!(address("/v1/incidents", &query), Ok("/v1/incidents".to_owned()));
        let query = IncidentQuery {
            priority: Some("2 - High".into()),
            device: Some("a&b=c#d?é+%".into()),
            sort: Some("-created_at".into()),
            limit: Some(5),
            ..IncidentQuery::default()
        };
        let address = address("/v1/incidents", &query).expect("an address");
        let (path, pairs) = address.split_once('?').expect("a query");
        let mut pairs: Vec<&str> = pairs.split('&').collect();
        pairs.sort_unstable();
        assert_eq!(path, "/v1/incidents");
        let expected = ["device=a%26b%3Dc%23d%3F%C3%A9%2B%25", "limit=5", "priority=2%20-%20High", "sort=-created_at"];
        assert_eq!(pairs, expected);
    }
}
