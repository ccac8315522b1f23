use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::constant(1_795_000_000, 0);

fn key() -> PassKey {
    PassKey::new([7; 32])
}

fn pass() -> Pass {
    Pass {
        purpose: Purpose::Confirm,
        subject: Subject::Party { incident: IncidentId(123_456), party: 4711 },
        expires_at: NOW + jiff::SignedDuration::from_hours(48),
        serial: 987_654,
    }
}

prop_compose! {
    fn any_pass()(
        purpose in 0..Purpose::ALL.len(), intake in any::<bool>(), number in 0..=i64::MAX, party in 0..=i64::MAX,
        seconds in 1i64..200_000_000_000, serial in any::<u64>(),
    ) -> Pass {
        let subject = match intake {
            true => Subject::Intake(number),
            false => Subject::Party { incident: IncidentId(number), party },
        };
        let expires_at = Timestamp::from_second(seconds).unwrap();
        Pass { purpose: Purpose::ALL[purpose], subject, expires_at, serial }
    }
}

#[test]
fn a_text_loses_the_passes_of_this_site_and_nothing_else() {
    let links = Links::new(key(), "https://desk.example".into());
    let text = key().sign(&pass());
    let foreign = PassKey::new([8; 32]).sign(&pass());
    let said = |pass: &str| {
        format!("Où ? <https://desk.example/p/{pass}>, http%3A%2F%2Fdesk%2Fp%2F{pass}&x, s+{pass}@desk.example é%")
    };
    assert_eq!(links.without_passes(&said(&text)), said("[…]"));
    assert_eq!(links.without_passes(&said(&text.to_uppercase())), said("[…]"), "mail systems change capitals");
    assert_eq!(links.without_passes(&said(&foreign)), said(&foreign));
    assert_eq!(links.without_passes(""), "");
}

proptest! {
    #[test]
    fn a_pass_reads_as_it_was_signed_until_it_expires(pass in any_pass()) {
        let text = key().sign(&pass);
        let before = pass.expires_at - jiff::SignedDuration::from_nanos(1);
        prop_assert_eq!(key().read(&text, before).map(|(read, _)| read), Ok(pass));
        prop_assert_eq!(key().read(&text.to_uppercase(), before).map(|(read, _)| read), Ok(pass));
        prop_assert_eq!(key().read(&text, pass.expires_at), Err(PassFault::Expired));
        prop_assert!(text.len() <= LIMIT && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
    }

    #[test]
    fn a_changed_pass_is_none(pass in any_pass(), at in any::<prop::sample::Index>(), letter in 0usize..32) {
        let text = key().sign(&pass);
        let mut changed: Vec<char> = text.chars().collect();
        let at = at.index(changed.len());
        changed[at] = "abcdefghijklmnopqrstuvwxyz234567".chars().nth(letter).unwrap();
        let changed: String = changed.into_iter().collect();
        prop_assume!(changed != text);
        prop_assert_eq!(key().read(&changed, Timestamp::MIN), Err(PassFault::NotOurs));
    }

    /// No purpose, party, incident or time can be put in the place of another: what is signed is all of it.
    #[test]
    fn the_signature_of_one_pass_fits_no_other(one in any_pass(), other in any_pass()) {
        prop_assume!(one != other);
        let signed = letters::read(&key().sign(&one)).unwrap();
        let forged = [encode(&other), signed[signed.len() - TAG..].to_vec()].concat();
        prop_assert_eq!(key().read(&letters::write(&forged), Timestamp::MIN), Err(PassFault::NotOurs));
    }

    #[test]
    fn a_guess_is_none(text in "[ -~]{0,200}", letters in "[a-z2-7]{0,130}") {
        prop_assert_eq!(key().read(&text, Timestamp::MIN), Err(PassFault::NotOurs));
        prop_assert_eq!(key().read(&letters, Timestamp::MIN), Err(PassFault::NotOurs));
    }
}

#[test]
fn a_pass_of_another_site_is_none() {
    let text = PassKey::new([8; 32]).sign(&pass());
    assert_eq!(key().read(&text, NOW), Err(PassFault::NotOurs));
}

#[test]
fn each_purpose_has_a_pass_of_its_own() {
    let texts: std::collections::HashSet<String> =
        Purpose::ALL.into_iter().map(|purpose| key().sign(&Pass { purpose, ..pass() })).collect();
    assert_eq!(texts.len(), Purpose::ALL.len());
    let tags: std::collections::HashSet<PassTag> =
        texts.iter().map(|text| key().read(text, NOW).map(|(_, tag)| tag).unwrap()).collect();
    assert_eq!(tags.len(), Purpose::ALL.len());
}

#[test]
fn what_a_newer_version_signed_is_none_of_ours() {
    for content in
        [vec![], vec![9, 0, 1, 1, 1], vec![1, 7, 1, 1, 1], [encode(&pass()), vec![0]].concat(), vec![1, 0, 0xff]]
    {
        let tag = key().mac(&content).finalize().into_bytes();
        let text = letters::write(&[&content[..], &tag[..TAG]].concat());
        assert_eq!(key().read(&text, NOW), Err(PassFault::NotOurs), "{content:?}");
    }
}

#[test]
fn the_links_of_a_site_lead_to_its_pages_and_its_mailbox() {
    let links = Links::new(key(), "https://desk.example".into());
    let url = links.url(&pass());
    let text = url.strip_prefix("https://desk.example/p/").unwrap();
    assert_eq!(links.read(text, NOW).map(|(read, _)| read), Ok(pass()));

    let reply = Pass { purpose: Purpose::Reply, ..pass() };
    let address = links.reply_address("support@desk.example", &reply).unwrap();
    assert!(address.starts_with("support+") && address.ends_with("@desk.example"), "{address}");
    assert_eq!(links.in_address(&address, NOW).unwrap().map(|(read, _)| read), Ok(reply));
    assert_eq!(links.in_address("support@desk.example", NOW), None);
    assert_eq!(links.in_address("support+x@desk.example", NOW), Some(Err(PassFault::NotOurs)));
    assert_eq!(links.reply_address(&format!("{}@desk.example", "x".repeat(40)), &reply), None, "64 bytes are the most");
}

#[test]
fn the_key_is_not_shown() {
    assert_eq!(format!("{:?}", PassKey::new([0xab; 32])), "PassKey(..)");
}

#[test]
fn a_mark_is_of_one_number_and_of_one_key() {
    let (key, other) = (PassKey::new([7; 32]), PassKey::new([8; 32]));
    let mark = key.mark(70);
    assert!(key.is_mark(70, &mark) && key.is_mark(70, &mark.to_uppercase()));
    assert!(!key.is_mark(71, &mark) && !other.is_mark(70, &mark));
    for wrong in ["", &mark[..mark.len() - 1], &mark[..8], "?"] {
        assert!(!key.is_mark(70, wrong), "{wrong}");
    }
    assert!(key.known(&mark).is_none(), "it is no pass");
}
