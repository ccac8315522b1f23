//! Records that the unit tests of several files start from.

use jiff::Timestamp;
use uuid::Uuid;

use super::sharing::Send;
use super::{
    Alias, Announced, AttachmentNote, Comment, ContentDigest, Event, Form, Incident, IncidentId, Sharing, Submission,
    Work,
};

pub fn peer() -> Alias {
    "partner".parse().unwrap()
}

pub fn incident() -> Incident {
    Incident {
        id: IncidentId(1),
        revision: 1,
        generation: 0,
        group: None,
        client: None,
        trace_route: vec![],
        created_at: Timestamp::from_second(1_790_000_000).unwrap(),
        event: Event {
            host_event_id: "edge1-JN11-20261121-120000-1".into(),
            synopsis: "Chassis alarm".into(),
            ..Event::default()
        },
        submission: Submission::Undecided,
        assignment: None,
        active: true,
        form: Form::default(),
        work: Work::default(),
        case: None,
        upstream_case: None,
        own_case: Default::default(),
        references: vec![],
        comments: vec![],
        milestones: vec![],
        deadlines: vec![],
        announced: vec![],
    }
}

pub fn announced(position: i64, peer: Alias) -> Announced {
    let content = format!("content {position}");
    let note = AttachmentNote {
        name: format!("file {position}"),
        media_type: None,
        bytes: content.len() as u64,
        sha256: ContentDigest::of(content.as_bytes()),
    };
    Announced { peer, note, position }
}

pub fn sharing() -> Sharing {
    Sharing {
        send: Send::All,
        hide_addresses: false,
        refuse_types: vec!["exe".into(), "tar.gz".into()],
        send_limit: 100,
        receive_limit: 10,
        configuration: vec!["configuration*".into(), "*.conf".into()],
        features: vec!["features*".into()],
    }
}

pub fn comment(position: i64, origin: Option<Alias>) -> Comment {
    Comment {
        id: Uuid::from_u128(position as u128),
        author: "night shift".into(),
        written_at: Timestamp::from_second(1_790_000_100).unwrap(),
        text: format!("remark {position}"),

        origin,
        position,
        ..Comment::default()
    }
}
