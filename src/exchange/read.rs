//! An operation as it came over the wire: read, checked, and a fault named with its place.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::case::{Operation, OperationKind};
use crate::protocol::unknown::{no_such_key, noting};
use crate::protocol::{Object, Problem, ProblemType, Unknown};

/// What every operation is, whatever its kind.
#[derive(Deserialize)]
struct Envelope<'a> {
    kind: String,
    /// Read by its kind, so that a fault can name the place in it.
    #[serde(borrow)]
    content: Option<&'a RawValue>,
}

/// The problem names what and where, and repeats little of what came.
pub(super) fn read(text: &str, unknown: Unknown) -> Result<Operation, Problem> {
    let envelope: Envelope<'_> = part(text, "operation", unknown)?;
    let Some(kind) = OperationKind::ALL.into_iter().find(|known| known.as_str() == envelope.kind) else {
        let known: Vec<_> = OperationKind::ALL.iter().map(|kind| kind.as_str()).collect();
        return Err(ProblemType::UnknownOperation.with(format!("the operations are {}", known.join(", "))));
    };
    let content = envelope.content.map_or("null", RawValue::get);
    let changes = || part(content, CONTENT, unknown);
    let operation = match kind {
        OperationKind::Create => Operation::Create(part(content, CONTENT, unknown)?),
        OperationKind::Assign => Operation::Assign(changes()?),
        OperationKind::Accept => Operation::Accept(changes()?),
        OperationKind::Update => Operation::Update(changes()?),
        OperationKind::Resolve => Operation::Resolve(changes()?),
        OperationKind::Close => Operation::Close(changes()?),
        OperationKind::Reject => Operation::Reject(changes()?),
        OperationKind::Cancel => Operation::Cancel(changes()?),
        OperationKind::Reopen => Operation::Reopen(changes()?),
    };
    operation.check().map_err(|fault| ProblemType::Content.with(fault.to_string()))?;
    Ok(operation)
}

const CONTENT: &str = "operation.content";

fn part<'a, T: Deserialize<'a>>(text: &'a str, place: &str, unknown: Unknown) -> Result<T, Problem> {
    // Keeping track of the place costs as much as reading does: it is looked for only where there is a fault.
    match whole(text) {
        Ok((_, Some(key))) if unknown == Unknown::Refused => {
            return Err(ProblemType::Content.with(no_such_key(place, &key)));
        }
        Ok((read, _)) => return Ok(read),
        Err(_) => {}
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let Object(read) = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|fault| ProblemType::Content.with(crate::protocol::problem::misread(&fault, place)))?;
    deserializer.end().map_err(|fault| ProblemType::Content.with(format!("after `{place}`: {fault}")))?;
    Ok(read)
}

fn whole<'a, T: Deserialize<'a>>(text: &'a str) -> Result<(T, Option<String>), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let (Object(read), key) = noting(&mut deserializer)?;
    deserializer.end()?;
    Ok((read, key))
}
