//! Texts without addresses: IPv4 and IPv6 literals become a word that is no longer than the shortest of them, so that
//! no text outgrows its limit. What might be an address is taken for one: a version of four numbers and an object
//! identifier go too; a version of three numbers, a time and a MAC address stay.

use std::collections::BTreeMap;

use super::attachment::AttachmentNote;
use super::contact::Person;
use super::deadline::Deadline;
use super::form::Form;
use super::incident::{Case, Comment, Event};
use super::milestone::{Fact, Milestone};
use super::operation::{Changes, Create, Operation};

/// What stands for an address.
pub const HIDDEN: &str = "***";

/// A text without its addresses.
pub fn hide_addresses(text: &str) -> String {
    // What is put in place is ASCII, and so is all that is taken away.
    String::from_utf8_lossy(&hide_in(text.as_bytes())).into_owned()
}

/// The same for the bytes of a text in any encoding that holds ASCII as it is.
pub fn hide_in(text: &[u8]) -> Vec<u8> {
    let dotted = replace(text, |byte| byte.is_ascii_digit() || byte == b'.', |run, _, _| is_dotted(run));
    replace(&dotted, |byte| byte.is_ascii_hexdigit() || byte == b':', is_coloned)
}

/// Whether a byte can be inside an address: a text that is hidden in pieces is cut between others.
pub fn may_be_of_address(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b':' | b'_')
}

/// Puts [`HIDDEN`] in place of each longest run of `is_in` that `is_address` says is one, apart from a dot or colon that
/// ends a sentence.
fn replace(
    text: &[u8],
    is_in: impl Fn(u8) -> bool,
    is_address: impl Fn(&[u8], Option<u8>, Option<u8>) -> bool,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        if !is_in(*byte) {
            out.push(*byte);
            at += 1;
            continue;
        }
        let end = text[at..].iter().position(|byte| !is_in(*byte)).map_or(text.len(), |length| at + length);
        let run = &text[at..end];
        let before = at.checked_sub(1).and_then(|before| text.get(before)).copied();
        if is_address(run, before, text.get(end).copied()) {
            out.extend_from_slice(HIDDEN.as_bytes());
            let ends_sentence = run.len() > 1 && run.ends_with(b".") || run.ends_with(b":") && !run.ends_with(b"::");
            out.extend(run.last().filter(|_| ends_sentence));
        } else {
            out.extend_from_slice(run);
        }
        at = end;
    }
    out
}

/// Four numbers with dots between them, wherever they stand in the run, and however long the ones at their ends are.
fn is_dotted(run: &[u8]) -> bool {
    let mut row = 0;
    run.split(|byte| *byte == b'.').any(|number| {
        row = if number.is_empty() { 0 } else { row + 1 };
        row >= 4
    })
}

/// `::` with a digit beside it, or eight groups. Letters alone around `::`, in the middle of a word, are a program's name
/// for something.
fn is_coloned(run: &[u8], before: Option<u8>, after: Option<u8>) -> bool {
    let is_word = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let stands_alone = !is_word(before) && !is_word(after);
    let is_short = run.windows(2).any(|pair| pair == b"::") && run.iter().any(u8::is_ascii_hexdigit);
    if is_short && (stands_alone || run.iter().any(u8::is_ascii_digit)) {
        return true;
    }
    let mut row = 0;
    run.split(|byte| *byte == b':').any(|group| {
        row = if group.is_empty() { 0 } else { row + 1 };
        row >= 8
    })
}

/// An operation as it goes to a peer that is to see no addresses. IDs stay as they are: they are names, and no text.
pub fn hide_in_operation(operation: Operation) -> Operation {
    match operation {
        Operation::Create(create) => Operation::Create(Box::new(hide_in_create(*create))),
        Operation::Assign(changes) => Operation::Assign(hide_in_changes(changes)),
        Operation::Accept(changes) => Operation::Accept(hide_in_changes(changes)),
        Operation::Update(changes) => Operation::Update(hide_in_changes(changes)),
        Operation::Resolve(changes) => Operation::Resolve(hide_in_changes(changes)),
        Operation::Close(changes) => Operation::Close(hide_in_changes(changes)),
        Operation::Reject(changes) => Operation::Reject(hide_in_changes(changes)),
        Operation::Cancel(changes) => Operation::Cancel(hide_in_changes(changes)),
        Operation::Reopen(changes) => Operation::Reopen(hide_in_changes(changes)),
    }
}

fn hide_in_create(create: Create) -> Create {
    let Create { incident, trace_route, event, form, created_at, comments } = create;
    Create {
        incident,
        trace_route,
        event: hide_in_event(event),
        form: hide_in_form(form),
        created_at,
        comments: comments.into_iter().map(hide_in_comment).collect(),
    }
}

/// What a record would send, as [`hide_in_operation`].
pub fn hide_in_changes(changes: Changes) -> Changes {
    let Changes { case, solution, completion_code, expected_resolution, comments, attachments, milestones, deadlines } =
        changes;
    Changes {
        case: case.map(hide_in_case),
        solution: solution.map(hide),
        completion_code,
        expected_resolution,
        comments: comments.into_iter().map(hide_in_comment).collect(),
        attachments: attachments.into_iter().map(hide_in_note).collect(),
        milestones: milestones.into_iter().map(hide_in_milestone).collect(),
        deadlines: deadlines.into_iter().map(|one| Deadline { name: hide_addresses(&one.name), ..one }).collect(),
    }
}

fn hide_in_milestone(milestone: Milestone) -> Milestone {
    let fact = match milestone.fact {
        Fact::Named(name) => Fact::Named(hide_addresses(&name)),
        Fact::Notice(name) => Fact::Notice(hide_addresses(&name)),
        other => other,
    };
    Milestone { fact, ..milestone }
}

/// A link to an address leads nowhere without it, and goes as a whole.
pub fn hide_in_case(case: Case) -> Case {
    let Case { id, link, status, contact } = case;
    let link = link.filter(|link| has_none(link.as_str()));
    Case { id, link, status: hide_addresses(&status), contact: contact.and_then(hide_in_person) }
}

fn hide_in_event(event: Event) -> Event {
    let mut manifest = BTreeMap::new();
    for (name, value) in event.manifest {
        let mut name = hide_addresses(&name);
        // Two names that differed by an address stay two.
        while manifest.contains_key(&name) {
            name.push('*');
        }
        manifest.insert(name, hide_addresses(&value));
    }
    Event {
        host_event_id: hide_addresses(&event.host_event_id),
        kind: event.kind,
        synopsis: hide_addresses(&event.synopsis),
        description: hide_addresses(&event.description),
        priority: event.priority,
        severity: hide(event.severity),
        problem_class: hide(event.problem_class),
        service_type: hide(event.service_type),
        event_type: hide(event.event_type),
        event_type_group: hide(event.event_type_group),
        occurred_at: event.occurred_at,
        device: hide(event.device),
        serial: hide(event.serial),
        manifest,
    }
}

/// Mail addresses stay, for the case is answered there; but for those whose host or person has an address for a name, which
/// lead nowhere without it, and go as a whole.
fn hide_in_form(form: Form) -> Form {
    let Form { priority, follow_up, cc, tracking_number, site_id, comment, contact, recipient, link } = form;
    Form {
        priority,
        follow_up,
        cc: cc.into_iter().filter(|one| has_none(one.as_str())).collect(),
        tracking_number: hide(tracking_number),
        site_id: hide(site_id),
        comment: hide(comment),
        contact: contact.and_then(hide_in_person),
        recipient: recipient.filter(|one| has_none(one.as_str())),
        link,
    }
}

fn hide_in_person(person: Person) -> Option<Person> {
    let Person { address, first_name, last_name, phone } = person;
    let [first_name, last_name, phone] = [first_name, last_name, phone].map(hide);
    has_none(address.as_str()).then_some(Person { address, first_name, last_name, phone })
}

/// Whether no address is in it.
fn has_none(text: &str) -> bool {
    hide_addresses(text) == text
}

fn hide_in_comment(comment: Comment) -> Comment {
    Comment { author: hide_addresses(&comment.author), text: hide_addresses(&comment.text), ..comment }
}

fn hide_in_note(note: AttachmentNote) -> AttachmentNote {
    AttachmentNote { name: hide_addresses(&note.name), media_type: hide(note.media_type), ..note }
}

/// Whether a text that comes back from a peer is ours, as the peer was told it: the whole one stays.
pub fn is_ours_hidden(ours: Option<&str>, theirs: Option<&str>) -> bool {
    match (ours, theirs) {
        (Some(ours), Some(theirs)) => ours != theirs && hide_addresses(ours) == theirs,
        _ => false,
    }
}

fn hide(text: Option<String>) -> Option<String> {
    text.map(|text| hide_addresses(&text))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    /// What reads as an address, by the rules of the standard library: the longest runs of its characters, and each way
    /// to leave something off at their ends.
    fn addresses(text: &str) -> Vec<String> {
        let inside = |c: char| c.is_ascii_hexdigit() || c == '.' || c == ':';
        let words = text.split(|c: char| !inside(c)).filter(|word| word.len() > 2);
        let mut found = Vec::new();
        for word in words {
            for start in 0..word.len() {
                for end in start + 3..=word.len() {
                    let part = &word[start..end];
                    let is_v4 = part.parse::<Ipv4Addr>().is_ok();
                    // Within words, "::" among letters is no address; see `is_coloned`.
                    let is_v6 = part.parse::<Ipv6Addr>().is_ok() && part.bytes().any(|byte| byte.is_ascii_digit());
                    if is_v4 || is_v6 {
                        found.push(part.to_owned());
                    }
                }
            }
        }
        found
    }

    fn address() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<[u8; 4]>().prop_map(|bytes| Ipv4Addr::from(bytes).to_string()),
            any::<[u16; 8]>().prop_map(|groups| Ipv6Addr::from(groups).to_string()),
            any::<[u16; 8]>().prop_map(|groups| Ipv6Addr::from(groups).to_string().to_uppercase()),
            any::<[u16; 3]>().prop_map(|[a, b, c]| Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, c).to_string()),
            any::<[u8; 4]>().prop_map(|bytes| Ipv4Addr::from(bytes).to_ipv6_mapped().to_string()),
            Just("::1".to_owned()),
            Just("fe80::".to_owned()),
        ]
    }

    proptest! {
        #[test]
        fn no_address_survives_wherever_it_stands(
            pieces in prop::collection::vec((".{0,6}|[0-9a-f:.]{0,6}", address()), 1..5),
            end in ".{0,6}",
        ) {
            let text: String = pieces.iter().flat_map(|(before, address)| [before.as_str(), address]).collect();
            let hidden = hide_addresses(&(text.clone() + &end));
            prop_assert_eq!(addresses(&hidden), Vec::<String>::new(), "{} became {}", text, hidden);
            prop_assert!(hidden.len() <= text.len() + end.len(), "no longer than it was");
            prop_assert_eq!(hide_addresses(&hidden), hidden.clone(), "once is enough");
        }
    }

    #[test]
    fn addresses_go_and_what_looks_a_little_like_one_stays() {
        for (text, hidden) in [
            ("ping 10.0.0.1.", "ping ***."),
            ("10.0.0.0/8 via 10.1.1.1:443", "***/8 via ***:443"),
            ("[2001:db8::1]:443", "[***]:443"),
            ("fe80::1%em0", "***%em0"),
            ("from fe80::1: lost", "from ***: lost"),
            ("::ffff:10.0.0.1", "***:***"),
            ("eth2001:db8::7", "eth***"),
        ] {
            assert_eq!(hide_addresses(text), hidden);
        }
        for text in [
            "1.2.3",
            "Junos 21.4R3.15",
            "12:30:45",
            "2026-11-21T12:30:45.123Z",
            "00:1b:21:3c:4d:5e",
            "std::vector",
            "a. b: c",
            "...",
            "::",
        ] {
            assert_eq!(hide_addresses(text), text);
        }
    }

    #[test]
    fn no_text_of_an_operation_keeps_an_address() {
        let address = "10.0.0.1 and 2001:db8::1".to_owned();
        let text = || Some(address.clone());
        let comment =
            Comment { author: address.clone(), text: address.clone(), ..crate::case::example::comment(1, None) };
        let event = Event {
            host_event_id: address.clone(),
            synopsis: address.clone(),
            description: address.clone(),
            severity: text(),
            problem_class: text(),
            service_type: text(),
            event_type: text(),
            event_type_group: text(),
            device: text(),
            serial: text(),
            manifest: BTreeMap::from([("10.0.0.1".into(), address.clone()), ("10.0.0.2".into(), address.clone())]),
            ..Event::default()
        };
        let mail = |address: &str| address.parse().unwrap();
        let person = |address: &str| {
            let address = address.parse().unwrap();
            Some(Person { address, first_name: text(), last_name: text(), phone: text() })
        };
        let form = Form {
            cc: vec![mail("anna@10.0.0.1"), mail("bert@north.example")],
            tracking_number: text(),
            site_id: text(),
            comment: text(),
            contact: person("anna@north.example"),
            recipient: Some("bert@10.0.0.1".parse().unwrap()),
            ..Form::default()
        };
        let create = Create {
            incident: crate::case::IncidentId(1),
            trace_route: vec![],
            event,
            form,
            created_at: jiff::Timestamp::UNIX_EPOCH,
            comments: vec![comment.clone()],
        };
        let note = crate::case::example::announced(1, crate::case::example::peer()).note;
        let changes = Changes {
            case: Some(Case {
                id: "CASE-1".parse().unwrap(),
                link: Some("https://10.0.0.1/1".parse().unwrap()),
                status: address.clone(),
                contact: person("anna@10.0.0.1"),
            }),
            solution: Some(text()),
            comments: vec![comment],
            attachments: vec![AttachmentNote { name: address.clone(), media_type: text(), ..note }],
            ..Changes::default()
        };
        for operation in [Operation::Create(Box::new(create)), Operation::Update(changes)] {
            let hidden = hide_in_operation(operation.clone());
            let (before, after) = (serde_json::to_string(&operation).unwrap(), serde_json::to_string(&hidden).unwrap());
            assert!(before.contains("10.0.0.1") && before.contains("db8::1"));
            assert_eq!(addresses(&after), Vec::<String>::new(), "{after}");
            if let Operation::Create(create) = hidden {
                assert_eq!(create.form.cc, [mail("bert@north.example")], "whoever can be written to stays");
                let contact = create.form.contact.unwrap();
                assert_eq!(
                    (contact.address.as_str(), contact.phone.as_deref()),
                    ("anna@north.example", Some("*** and ***"))
                );
            }
        }
    }
}
