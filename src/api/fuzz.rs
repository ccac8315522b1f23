//! What a client can post.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::IntoResponse;

use super::body;
use crate::fuzz::{Target, assert_harmless};
use crate::protocol::operator::{SubmitRequest, WorkRequest};
use crate::protocol::{OperationBatch, Problem};

#[test]
fn bodies() {
    let target = Target {
        name: "body",
        words: &[
            "{\"operations\":[",
            "\"exchange\":\"00000000000000000000000000000001\"",
            "\"seq\":1",
            "\"seen\":0",
            "\"operation\":{\"kind\":\"update\",\"content\":{}}",
            "{\"status\":\"x\"",
            "\"comment\":\"x\"",
            "\"operator\":\"ann\"",
            "\"form\":{\"priority\":\"2 - High\"}",
            "\"completion_code\":\"fulfilled\"",
            "\"expected_resolution\":\"2026-11-21T10:00:00Z\"",
        ],
        samples: &[],
        tries: 2000,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    target.run(|bytes| {
        let answers = [
            runtime.block_on(read::<OperationBatch>(bytes)),
            runtime.block_on(read::<SubmitRequest>(bytes)),
            runtime.block_on(read::<WorkRequest>(bytes)),
        ];
        answers.join(" | ")
    });
}

async fn read<T: serde::Serialize + serde::de::DeserializeOwned>(bytes: &[u8]) -> String {
    let json = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
    let limit = 64 << 10;
    match body::json::<T>(&json, Body::from(bytes.to_vec()), limit, Duration::MAX).await {
        Ok(read) => {
            assert!(bytes.len() <= limit);
            let written = serde_json::to_string(&read).unwrap();
            let again: T = serde_json::from_str(&written).unwrap();
            assert_eq!(serde_json::to_string(&again).unwrap(), written, "it reads back as written");
            "read".into()
        }
        Err(refusal) => {
            let body = to_bytes(refusal.into_response().into_body(), 64 << 10).await.unwrap();
            let problem: Problem = serde_json::from_slice(&body).unwrap();
            assert!((400..500).contains(&problem.status), "{problem}");
            assert_harmless(&problem.to_string(), 700);
            problem.to_string()
        }
    }
}
