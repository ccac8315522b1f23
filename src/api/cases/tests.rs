//! What holds of the table as a whole.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Endpoint;
use crate::case::{Code, Permission};

#[test]
fn each_endpoint_stands_in_the_table_once_and_takes_a_permission() {
    let places: BTreeSet<_> = Endpoint::ALL.iter().map(|one| (one.path(), one.method().to_string())).collect();
    assert_eq!(places.len(), Endpoint::ALL.len());
    for endpoint in Endpoint::ALL {
        assert!(!endpoint.permissions().is_empty() && !endpoint.help().is_empty(), "{endpoint:?}");
        let is_for_all = endpoint.permissions() == [Permission::Everything];
        assert_eq!(
            endpoint.permissions().contains(&Permission::Everything),
            is_for_all,
            "{endpoint:?}: it opens all anyway"
        );
    }
}

#[test]
fn m_03_every_permission_opens_something_or_has_its_reason() {
    for permission in Permission::ALL {
        let opens = Endpoint::ALL.iter().any(|one| one.permissions().contains(&permission));
        let opens = opens || permission == Permission::Everything;
        assert_ne!(opens, permission.opens_nothing_because().is_some(), "{permission}");
    }
}

#[test]
fn m_04_every_code_is_reachable_or_has_its_reason() {
    for code in Code::ALL {
        let answers = Endpoint::ALL.iter().any(|one| one.code() == Some(code));
        assert_ne!(answers, code.never_because().is_some(), "{code} {}", code.message());
    }
}

#[test]
fn the_openapi_document_says_what_the_table_says() {
    let document = serde_json::to_value(crate::api::document()).unwrap();
    let mut described = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if operation["tags"] == serde_json::json!([super::TAG]) {
                described.push((path.clone(), method.to_uppercase(), operation));
            }
        }
    }
    assert_eq!(described.len(), Endpoint::ALL.len());
    for endpoint in Endpoint::ALL {
        let place = |(path, method, _): &&(String, String, &Value)| {
            path == endpoint.path() && *method == endpoint.method().as_str()
        };
        let (.., operation) = described.iter().find(place).unwrap_or_else(|| panic!("{endpoint:?} is described"));
        let fitting: Vec<&str> = endpoint.permissions().iter().map(|one| one.as_str()).collect();
        assert_eq!(operation["x-permissions"], serde_json::json!(fitting), "{endpoint:?}");
        assert_eq!(operation["x-code"], serde_json::json!(endpoint.code()), "{endpoint:?}");
        assert_eq!(operation["summary"], endpoint.help());
        let either: Vec<Value> = fitting
            .iter()
            .filter(|one| **one != "CASE_ALL")
            .chain(&["CASE_ALL"])
            .map(|one| serde_json::json!({"operator": [one]}))
            .collect();
        assert_eq!(operation["security"], Value::Array(either), "{endpoint:?}");
        for status in ["200", "401", "403", "default"] {
            assert!(operation["responses"][status].is_object(), "{endpoint:?}: {status}");
        }
    }
    let ids: Vec<&Value> = described.iter().map(|(.., operation)| &operation["operationId"]).collect();
    assert_eq!(ids.iter().map(|id| id.to_string()).collect::<BTreeSet<_>>().len(), ids.len());
}
