//! Answers with their code (M-04).

use serde::Serialize;
use utoipa::ToSchema;

use crate::case::Code;

/// What a call did, with the code and the message that the case-management reference has for it; calls that it gives no
/// code are answered without.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Coded<T> {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, pattern = "^CASE[0-9]{4}$")]
    code: Option<Code>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'static str>,
    #[serde(flatten)]
    data: T,
}

impl<T> Coded<T> {
    pub fn new(code: Option<Code>, data: T) -> Self {
        Self { code, message: code.map(Code::message), data }
    }
}
