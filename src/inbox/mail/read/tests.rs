//! Usual mails and hostile ones.

use super::*;

fn mail(header: &str, body: &str) -> Vec<u8> {
    format!("From: Anna <anna@north.example>\r\nMessage-ID: <1@north.example>\r\n{header}\r\n{body}").into_bytes()
}

fn letter(header: &str, body: &str) -> Letter {
    read(&mail(header, body)).unwrap()
}

#[test]
fn a_usual_mail_is_read() {
    let letter = letter(
        "To: support@desk.example\r\nSubject: =?utf-8?Q?Pas_de_tonalit=C3=A9?=\r\nAccept-Language: fr-FR, en;q=0.5\r\n",
        "Bonjour,\r\npas de tonalit\u{e9}.\r\n-- \r\nAnna\r\n",
    );
    assert_eq!(letter.from.as_str(), "anna@north.example");
    assert_eq!((letter.name.as_deref(), letter.language), (Some("Anna"), Some(Language::French)));
    assert_eq!((letter.subject.as_str(), letter.text.as_str()), ("Pas de tonalité", "Bonjour,\npas de tonalité."));
    assert_eq!((letter.nature, letter.to, letter.answers), (Nature::Person, Vec::new(), Vec::new()));
    assert_eq!(letter.answerable.as_deref(), Some("1@north.example"));
}

#[test]
fn a_message_id_that_would_be_something_else_in_a_header_is_not_repeated() {
    let given = |id: &str| read(format!("From: anna@north.example\r\nMessage-ID: {id}\r\n\r\nx").as_bytes()).unwrap();
    assert_eq!(given("<a.b+1@north.example>").answerable.as_deref(), Some("a.b+1@north.example"));
    let long = format!("<{}@x>", "a".repeat(300));
    for id in ["<a@b> <c@d>", "<a b@c>", "<@c>", "<a>", "<a@b\u{e9}>", "<a@b\r\n Bcc: all@x>", long.as_str()] {
        let answerable = given(id).answerable;
        assert!(
            answerable.as_ref().is_none_or(|one| !one.contains([' ', '<', '>', '\r', '\n'])),
            "{id}: {answerable:?}"
        );
    }
    assert_eq!(given(&long).answerable, None);
}

#[test]
fn an_answer_names_what_it_answers_and_where_it_went() {
    let letter = letter(
        "To: Support <support+abc@desk.example>, other@x.example\r\nIn-Reply-To: <7.s@desk.example>\r\n\
         References: <1.s@desk.example>\r\n <7.s@desk.example>\r\nX-Original-To: support+def@desk.example\r\n",
        "Yes.\r\n",
    );
    assert_eq!(letter.to, ["support+def@desk.example", "support+abc@desk.example"]);
    assert_eq!(letter.answers, ["7.s@desk.example", "7.s@desk.example", "1.s@desk.example"]);
}

#[test]
fn of_two_forms_of_one_text_the_plain_one_counts_and_files_are_counted() {
    let header = "Content-Type: multipart/mixed; boundary=m\r\n";
    let body = "--m\r\nContent-Type: multipart/alternative; boundary=\"a a\"\r\n\r\n--a a\r\nContent-Type: text/plain; \
                charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nd=E9j=E0\r\n--a a\r\nContent-Type: text/html\r\n\r\n\
                <b>html</b>\r\n--a a--\r\n--m\r\nContent-Type: image/png; name=a.png\r\nContent-Disposition: attachment\r\n\r\nxx\r\n--m--\r\n";
    assert_eq!(letter(header, body).text, "déjà\n\n[1 attached: a.png]");
}

#[test]
fn html_alone_becomes_text_without_scripts() {
    let body = "<p>It rings</p><script>document.location='https://evil.example'</script><img src=x onerror=alert(1)>";
    assert_eq!(letter("Content-Type: text/html\r\n", body).text, "It rings");
}

#[test]
fn programs_are_recognised() {
    for header in [
        "Auto-Submitted: auto-replied\r\n",
        "X-Autoreply: yes\r\n",
        "Return-Path: <>\r\n",
        "auto-submitted: Auto-Generated; x=y\r\n",
        // An absence notice of Exchange.
        "X-Auto-Response-Suppress: All\r\nSubject: Automatic reply: your case\r\n",
        "Precedence: bulk\r\nSubject: Absence du bureau : [CM-1]\r\n",
    ] {
        assert_eq!(letter(header, "I am away.").nature, Nature::Program, "{header}");
    }
    // Responders that set no header; and the colleague who writes in the subject that he is out of office today.
    for header in [
        "Subject: Automatic reply: [CM-1] Closed?\r\n",
        "Subject: Automatische Antwort: [CM-1] Closed?\r\n",
        "Subject: Abwesenheitsnotiz\r\n",
        "Subject: Out of Office\r\n",
        "Subject: =?utf-8?Q?R=C3=A9ponse_automatique_:_[CM-1]?=\r\n",
        "Subject: Absence du bureau : [CM-1]\r\n",
    ] {
        assert_eq!(letter(header, "I am away.").nature, Nature::Doubtful, "{header}");
    }
    for header in ["Precedence: bulk\r\n", "X-Auto-Response-Suppress: DR, RN, NRN, OOF, AutoReply\r\n"] {
        assert_eq!(letter(header, "It rings.").nature, Nature::Doubtful, "{header}");
    }
    for header in ["List-Id: <all.north.example>\r\n", "Precedence: list\r\n"] {
        assert_eq!(letter(header, "It rings.").nature, Nature::Impersonal, "{header}");
    }
    for (from, nature) in [
        ("MAILER-DAEMON@north.example", Nature::Program),
        ("no-reply@north.example", Nature::Impersonal),
        ("noreply@north.example", Nature::Impersonal),
    ] {
        assert_eq!(read(format!("From: {from}\n\nx").as_bytes()).unwrap().nature, nature, "{from}");
    }
    // Somebody wants no receipts and no absence notices, and has written all the same.
    for header in ["X-Auto-Response-Suppress: DR, RN\r\n", "X-Auto-Response-Suppress: OOF\r\n"] {
        assert_eq!(letter(header, "It rings.").nature, Nature::Person, "{header}");
    }
    for subject in ["Automatic reply does not work", "Re: Automatic reply: x", "Out of office phones ring"] {
        assert_eq!(letter(&format!("Subject: {subject}\r\n"), "It rings.").nature, Nature::Person, "{subject}");
    }
    assert_eq!(letter("Auto-Submitted: no\r\nReturn-Path: <anna@north.example>\r\n", "x").nature, Nature::Person);
}

/// A report on delivery (RFC 3464), with this action.
fn report(action: &str) -> Nature {
    let body = format!(
        "--r\r\n\r\nIt did not go.\r\n--r\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x\r\n\r\n\
         Final-Recipient: rfc822; anna@north.example\r\nAction: {action}\r\nStatus: 5.1.1\r\n--r\r\n\
         Content-Type: text/rfc822-headers\r\n\r\nMessage-ID: <7.s@desk.example>\r\nSubject: x\r\n--r--\r\n"
    );
    letter("Content-Type: multipart/report; report-type=delivery-status; boundary=r\r\nReturn-Path: <>\r\n", &body)
        .nature
}

#[test]
fn a_bounce_names_the_mail_that_came_back_and_a_delay_does_not() {
    assert_eq!(report("failed"), Nature::Bounce { of: vec!["7.s@desk.example".into()] });
    assert_eq!(report("delayed"), Nature::Program);
}

#[test]
fn a_mail_server_without_reports_returns_the_mail_in_its_text() {
    let nature = |header: &str, body: &str| {
        let mail = format!("From: Mailer-Daemon <MAILER-DAEMON@x.example>\r\n{header}\r\n{body}");
        read(mail.as_bytes()).unwrap().nature
    };
    let copy = "Sorry, no mailbox here by that name.\r\n\r\n--- Below this line is a copy of the message.\r\n\r\n\
                Return-Path: <support@desk.example>\r\nMessage-ID: <7.s@desk.example>\r\n";
    assert_eq!(nature("Subject: failure notice\r\n", copy), Nature::Bounce { of: vec!["7.s@desk.example".into()] });
    assert_eq!(nature("Subject: Warning: message delayed\r\n", copy), Nature::Program);
    let signed = "Subject: failure notice\r\nTo: support+abc@desk.example\r\n";
    assert_eq!(nature(signed, "Sorry."), Nature::Bounce { of: Vec::new() }, "the address tells which mail");
    assert_eq!(nature("Subject: failure notice\r\n", "Sorry."), Nature::Program);
}

#[test]
fn two_mails_with_one_id_are_two_and_two_copies_of_one_are_one() {
    let id = |header: &str, body: &str| letter(header, body).id;
    let first = id("Received: from a\r\n", "It rings.\r\n");
    assert_eq!((first.len(), &id("Received: from b\r\n", "It rings.\r\n")), (64, &first));
    assert_ne!(id("", "It does not ring.\r\n"), first);
    assert_ne!(id("Subject: Another\r\n", "It rings.\r\n"), first);
}

#[test]
fn a_mail_without_an_id_is_known_by_what_is_in_it() {
    let id = |text: &str| read(format!("From: a@b.example\n\n{text}").as_bytes()).unwrap().id;
    assert_eq!((id("x"), id("x").len()), (id("x"), 64));
    assert_ne!(id("x"), id("y"));
    let long = read(format!("From: a@b.example\nMessage-ID: <{}>\n\nx", "x".repeat(2000)).as_bytes()).unwrap();
    assert_eq!(long.id.len(), 64);
}

#[test]
fn hostile_headers_are_refused_or_made_plain() {
    let two = b"From: a@b.example\nFrom: c@d.example\n\nx";
    assert_eq!(read(two), Err(MailFault::ManySenders));
    assert_eq!(read(b"From: a@b.example, c@d.example\n\nx"), Err(MailFault::ManySenders));
    for from in ["", "nobody", "<>", "a@b", "a@\u{431}.example", "\"a b\"@c.example"] {
        assert_eq!(read(format!("From: {from}\nTo: x@y.example\n\nx").as_bytes()), Err(MailFault::NoSender), "{from}");
    }
    let injected = letter("Subject: =?utf-8?B?YQ0KQmNjOiBhbGxAeC5leGFtcGxl?=\r\n", "x");
    assert_eq!(injected.subject, "a Bcc: all@x.example");
    let named = read(b"From: =?utf-8?B?QQ0KQmNjOiBhbGw=?= <a@b.example>\n\nx").unwrap();
    assert_eq!(named.name.as_deref(), Some("A Bcc: all"));
    let spoofed = read(b"From: \"support@desk.example\" <a@b.example>\n\nx").unwrap();
    assert_eq!(spoofed.name, None, "a name that looks like an address is none");
}

#[test]
fn enormous_and_deeply_nested_mails_are_bounded() {
    assert!(read(b"").is_err());
    let wide = mail(&"X-A: b\r\n".repeat(2000), "x");
    assert_eq!(read(&wide), Err(MailFault::ManyFields { limit: FIELDS }));
    let long = mail(&format!("X-A: {}\r\n", "b".repeat(300 << 10)), "x");
    assert_eq!(read(&long), Err(MailFault::LongHeader { limit: HEADER }));
    let everybody = "a@b.example, ".repeat(1000);
    assert_eq!(letter(&format!("To: {everybody}x+y@z.example\r\n"), "x").to.len(), 1);

    let mut deep = String::from("x");
    for level in 0..1000 {
        deep = format!("--b{level}\r\n{deep}");
        deep = format!("Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n{deep}");
    }
    let deep = format!("From: a@b.example\r\n{deep}");
    assert!(matches!(read(deep.as_bytes()), Err(MailFault::Deep { .. } | MailFault::ManyParts { .. })));

    let many = mail("Content-Type: multipart/mixed; boundary=b\r\n", &"--b\r\n\r\nx\r\n".repeat(100_000));
    assert!(matches!(read(&many), Err(MailFault::ManyParts { .. })));

    // Mails in each other, plain and packed: none of them is opened.
    let nested = "Content-Type: message/rfc822\r\n\r\n".repeat(100_000);
    let letter = read(format!("From: a@b.example\r\n{nested}").as_bytes()).unwrap();
    assert_eq!(letter.text, "[1 attached]");
}
