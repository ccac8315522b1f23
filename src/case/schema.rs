//! What the OpenAPI document says of names. It counts in characters, where the types count in bytes and are stricter.

use utoipa::openapi::schema::AdditionalProperties;
use utoipa::openapi::{ObjectBuilder, OneOfBuilder, RefOr, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use super::evidence::{PublicKey, Signature};
use super::{
    Alias, CaseId, CaseLink, CaseTypeName, ContactAddress, ContentDigest, ExchangeId, GroupName, LinkTo, Percent, Tag,
    TransactionId, UserName,
};

/// A line that is not blank, without control characters and those that reorder what a person sees.
const LINE: &str = r"^[^\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]*[^\s\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069][^\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]*$";

/// What every mail server takes; the type takes letters of all languages.
const ADDRESS: &str = r"^[A-Za-z0-9_+-]{1,32}(\.[A-Za-z0-9_+-]{1,31})?@([A-Za-z0-9]{1,63}\.){1,2}[A-Za-z0-9]{1,63}$";

macro_rules! texts {
    ($($name:ty: $least:expr, $most:expr, $pattern:expr;)+) => {$(
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let text = ObjectBuilder::new().schema_type(Type::String);
                text.min_length(Some($least)).max_length(Some($most)).pattern(Some($pattern)).into()
            }
        }

        impl ToSchema for $name {}
    )+};
}

texts! {
    Alias: 1, Alias::LIMIT, "^[A-Za-z0-9][A-Za-z0-9._-]*$";
    TransactionId: 1, TransactionId::LIMIT, LINE;
    CaseId: 1, CaseId::LIMIT, LINE;
    CaseLink: 7, CaseLink::LIMIT, r"^https?://[^\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]*$";
    ContactAddress: 5, 254, ADDRESS;
    UserName: 1, UserName::LIMIT, LINE;
    GroupName: 1, GroupName::LIMIT, LINE;
    CaseTypeName: 1, CaseTypeName::LIMIT, LINE;
    Tag: 1, Tag::LIMIT, LINE;
    ExchangeId: 32, 32, "^[0-9a-f]{32}$";
    ContentDigest: 64, 64, "^[0-9a-f]{64}$";
    PublicKey: 44, 44, "^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$";
    Signature: 88, 88, "^[A-Za-z0-9+/]{85}[AQgw]==$";
}

impl PartialSchema for Percent {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).maximum(Some(100)).into()
    }
}

impl ToSchema for Percent {}

/// One of the two, and nothing beside it.
impl PartialSchema for LinkTo {
    fn schema() -> RefOr<Schema> {
        let only = |name: &str, value: RefOr<Schema>| {
            let object = ObjectBuilder::new().schema_type(Type::Object).property(name, value).required(name);
            object.additional_properties(Some(AdditionalProperties::FreeForm(false)))
        };
        let either = OneOfBuilder::new().item(only("transaction", TransactionId::schema()));
        either.item(only("case_id", CaseId::schema())).into()
    }
}

impl ToSchema for LinkTo {}
