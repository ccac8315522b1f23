use std::fs;

use super::*;
use crate::case::CaseState;

fn fields() -> Fields {
    Fields {
        site: "partner".into(),
        case: Some(CaseFields {
            id: "CMnorth-7".into(),
            number: 7,
            synopsis: "Fan <b>1</b> & 2".into(),
            ..CaseFields::default()
        }),
        party: PartyFields { name: "Anna".into(), role: "customer".into() },
        state: CaseState::OnHold.as_str().into(),
        state_label: "On Hold".into(),
        comments: vec![CommentFields { author: "bert".into(), text: "<script>alert(1)</script>\nSubject: x".into() }],
        reminder: Some(2),
        reminders: 3,
        within: "24 hours".into(),
        links: LinkFields {
            form: Some("https://desk.example/p/form".into()),
            answer: Some("https://desk.example/p/abc?a=1&b=2".into()),
            ..LinkFields::default()
        },
    }
}

#[test]
fn r_08_every_notice_has_a_text_and_a_page_in_both_languages() {
    let templates = Templates::load(None).unwrap();
    for language in Language::ALL {
        // Whoever wrote to us for the first time has no case yet.
        let form = templates.render(Notice::Form, language, &fields()).unwrap();
        assert!(form.plain.contains("/p/form") && form.html.contains("desk.example"), "{form:?}");
        for notice in Notice::ALL.into_iter().filter(|notice| *notice != Notice::Form) {
            let text = templates.render(notice, language, &fields()).unwrap();
            assert!(text.subject.starts_with("[CMnorth-7] "), "{}", text.subject);
            assert!(text.subject.ends_with(" - Fan <b>1</b> & 2"), "{}", text.subject);
            let hello = if language == Language::French { "Bonjour Anna," } else { "Hello Anna," };
            assert!(text.plain.contains(hello) && text.html.contains(hello), "{text:?}");
            assert!(text.plain.contains("Fan <b>1</b> & 2"), "{}", text.plain);
            assert!(text.html.contains(&format!("<html lang=\"{language}\">")), "{}", text.html);
            assert!(!text.html.contains("<script>") && !text.html.contains("<b>"), "escaped: {}", text.html);
        }
    }
    let text = templates.render(Notice::InputReminder, Language::English, &fields()).unwrap();
    assert!(text.subject.contains("Reminder 2 of 3"), "{}", text.subject);
    assert!(text.plain.contains("https://desk.example/p/abc?a=1&b=2"), "{}", text.plain);
    assert!(text.plain.contains("> <script>alert(1)</script>\n> Subject: x\n"), "{}", text.plain);
}

#[test]
fn r_08_a_subject_is_one_short_line_whatever_a_field_holds() {
    let templates = Templates::load(None).unwrap();
    let mut fields = fields();
    let hostile = format!("a\r\nBcc: all@north.example\n\nb\u{0}{}", "x".repeat(2000));
    fields.case.as_mut().unwrap().synopsis = hostile;
    let text = templates.render(Notice::Opened, Language::English, &fields).unwrap();
    assert!(!text.subject.contains(char::is_control) && text.subject.chars().count() <= SUBJECT_LIMIT);
}

/// Templates of a site with a fault, and what is said of it.
#[test]
fn r_08_templates_with_faults_are_named_with_line_and_column() {
    let rows = [
        ("en/opened.txt", "Subject: a\n\n{% if %}", "en/opened.txt, line 3, column"),
        ("en/opened.txt", "Subject: a\n\nHi {{ party.nmae }}", "line 3, column 7: there is no field party.nmae"),
        ("en/opened.txt", "Subject: a\n\n{{ secret }}", "there is no field secret; known are"),
        ("fr/closed.html", "<p>{{ case.id }</p>", "fr/closed.html, line 1"),
        ("en/opened.txt", "{{ case.id }}\n", "the first line must be \"Subject: \""),
        ("en/comment.txt", "Subject: a\n\n{% for c in comments %}{{ c.txt }}{% endfor %}", "en/comment.txt, line 3"),
        (
            "en/comment.txt",
            "Subject: a\n\n{% for c in comments %}\n{% if c.author == 'Bob' %}{{ c.nosuch }}{% endif %}{% endfor %}",
            "en/comment.txt, line 4, column 30: there is no field c.nosuch; known are c.author, c.text",
        ),
        (
            "en/comment.txt",
            "Subject: a\n\nHello{%- for c in comments if c.author -%}{% if site == 'y' %}{{ loop.nth }}{% endif %}{%- endfor -%}",
            "there is no field loop.nth",
        ),
        ("en/opened.txt", "Subject: a\n\n{{ case.device }}", "en/opened.txt, line 3"),
        ("en/opned.txt", "Subject: a\n\n", "is no template of a mail"),
        (
            "en/opened.txt",
            "Subject: a\n\n{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
            "en/opened.txt",
        ),
        ("en/opened.html", "{% extends \"../../etc/passwd\" %}", "en/opened.html"),
        // Behind another name, and where nothing would be printed.
        (
            "en/opened.txt",
            "Subject: a\n\n{% set c = case %}{% if c.bogus %}x{% endif %}",
            "en/opened.txt, line 3, column 25: there is no field c.bogus; known are",
        ),
        (
            "en/opened.txt",
            "Subject: a\n\n{%- set c = case -%}{% set d = c %}{% if site == 'y' %}{{ d.bogus }}{% endif %}",
            "there is no field d.bogus",
        ),
        (
            "en/opened.txt",
            "Subject: a\n\n{% with c = case %}{% if c.bogus %}x{% endif %}{% endwith %}",
            "no field case.bogus",
        ),
        (
            "en/opened.txt",
            "Subject: a\n\n{% macro of(c) %}{% if c['bogus'] %}x{% endif %}{% endmacro %}{{ of(party) }}",
            "en/opened.txt, line 3, column 27: there is no field party.bogus",
        ),
        (
            "en/comment.txt",
            "Subject: a\n\n{% set all = comments %}{% for c in all %}{% if c.bogus %}x{% endif %}{% endfor %}",
            "there is no field comments.bogus",
        ),
        ("opened.txt", "Subject: a\n\n", "opened.txt is never used: put it into en/ or fr/"),
        (
            "de/opened.txt",
            "Subject: a\n\n",
            "de/opened.txt is never used: mails are written in the languages en and fr",
        ),
    ];
    for (name, source, expected) in rows {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join(name).parent().unwrap()).unwrap();
        fs::write(dir.path().join(name), source).unwrap();
        let faults = Templates::load(Some(dir.path())).err().map(|faults| faults.to_string());
        assert!(faults.as_ref().is_some_and(|text| text.contains(expected)), "{source}: {faults:?}");
    }
    // Everything that there is in a loop may be named, whatever the loop is over.
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("en")).unwrap();
    let sound = "Subject: a\n\n{% for c in comments|reverse %}{% if loop.first %}{{ c.text }}{% else %}{{ c.author }}{% endif %}\
                 {% else %}none{% endfor %}{% for n in range(2) %}{{ n }}{% endfor %}\
                 {% for g in comments|groupby('author') %}{{ g.grouper }}{% endfor %}\
                 {% set c = case %}{% set d = c.device %}{{ c.id }}{% if d %}{{ d }}{% endif %}{{ links|length }}\
                 {% for c in comments %}{{ c.text }}{% endfor %}{% if comments %}{% set last = comments|last %}\
                 {{ last.author }}{% endif %}";
    fs::write(dir.path().join("en/comment.txt"), sound).unwrap();
    // And what lies beside them.
    fs::write(dir.path().join("README.txt"), "ours").unwrap();
    fs::create_dir(dir.path().join(".git")).unwrap();
    Templates::load(Some(dir.path())).map(|_| ()).unwrap();

    let missing = Templates::load(Some(Path::new("/nonexistent"))).err().unwrap().to_string();
    assert!(missing.contains("/nonexistent cannot be read"), "{missing}");
}

#[test]
fn r_08_a_directory_takes_the_place_of_single_templates() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("fr")).unwrap();
    let own =
        "Subject: {{ case.id }}\r\n\r\nCher {{ party.name }}{% if case.device %}, {{ case.device }}{% endif %}\r\n";
    fs::write(dir.path().join("fr/opened.txt"), own).unwrap();
    let templates = Templates::load(Some(dir.path())).unwrap();
    let french = templates.render(Notice::Opened, Language::French, &fields()).unwrap();
    assert_eq!((french.subject.as_str(), french.plain.as_str()), ("CMnorth-7", "Cher Anna"));
    assert!(french.html.contains("Votre ticket est ouvert"), "the page is still the program's");
    let english = templates.render(Notice::Opened, Language::English, &fields()).unwrap();
    assert!(english.plain.contains("Your case is open"));
}

#[test]
fn r_08_words_of_templates_that_no_trial_comes_through_are_looked_up_as_well() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("en")).unwrap();
    let file = dir.path().join("en/comment.txt");
    let head = "Subject: x\n\n{% if party.role == 'integrator' %}";
    for (text, fault) in [
        ("{{ party.name | uppercase }}", "line 3, column 52: there is no filter uppercase"),
        ("{% if party.name is not roomy %}x{% endif %}", "there is no test roomy"),
        ("{% include 'en/none.txt' %}", "there is no template en/none.txt"),
        ("{% filter shout %}x{% endfilter %}", "there is no filter shout"),
    ] {
        std::fs::write(&file, format!("{head}{text}{{% endif %}}")).unwrap();
        let told = Templates::load(Some(dir.path())).err().unwrap().to_string();
        assert!(told.contains(fault), "{told}");
    }
    let sound = "{{ party.name|upper }}{% if party.name is not defined %}{{ '| nothing' }}{% endif %}{# |none #}";
    std::fs::write(&file, format!("{head}{sound}{{% endif %}}")).unwrap();
    assert!(Templates::load(Some(dir.path())).is_ok());
    std::fs::write(&file, "Subject: x\nX: y\n\ntext").unwrap();
    let told = Templates::load(Some(dir.path())).err().unwrap().to_string();
    assert!(told.contains("the second empty"), "{told}");
}
