//! What can stand in a configuration file, and in a file of tokens.

use std::path::Path;

use super::{directory, origin, parse};
use crate::config::token;
use crate::fuzz::{Target, assert_harmless};

#[test]
fn configurations() {
    let target = Target {
        name: "configuration",
        words: &[
            "[site]\n",
            "[upstream]\n",
            "[[client]]\n",
            "[listen]\n",
            "[[inbox]]\n",
            "[submit]\n",
            "[[submit.policy]]\n",
            "[case]\n",
            "[[case.accept]]\n",
            "[exchange.owner]\n",
            "[[upstream.field]]\n",
            "[upstream.attachments]\n",
            "[schedule]\n",
            "[[role]]\npermissions = [\"CASE_VIEW\"]\n",
            "[bundle.paths]\n",
            "alias = \"north\"\n",
            "password = \"correct horse\"\n",
            "password_file = \"good.password\"\n",
            "url = \"https://partner.example\"\n",
            "address = \"127.0.0.1:8443\"\n",
            "\"\"\"",
            "'''",
            "\"\\u001b\"",
            "[[",
            "]]",
            "{a = 1}",
            "= ",
            "#",
            "1979-05-27",
            "0x",
            "nan",
            "8 KiB",
            "30s",
        ],
        samples: &["config"],
        tries: 500,
    };
    let directory = directory();
    let origin = origin(directory.path());
    target.run(|bytes| {
        let text = String::from_utf8_lossy(bytes);
        match parse(&text, "casebridge.toml", &origin) {
            Ok(settings) => {
                let again = parse(&format!("{text}\n# read again\n"), "casebridge.toml", &origin);
                assert_eq!(format!("{:?}", again.unwrap()), format!("{settings:?}"), "a comment changes nothing");
                "settings".into()
            }
            Err(problems) => {
                for problem in problems.list() {
                    let place = problem.place.as_ref().expect("the place is named");
                    assert!(place.line >= 1 && place.column >= 1 && place.span.start <= text.len() + 1, "{place:?}");
                    assert_harmless(&format!("{}: {}", problem.key, problem.message), 800);
                    assert_harmless(&problem.help, 800);
                }
                assert_harmless(&problems.render(false), 4096 + 4 * text.len() + 2000 * problems.list().len());
                problems.list()[0].message.clone()
            }
        }
    });
}

#[test]
fn tokens() {
    let target = Target {
        name: "tokens",
        words: &[
            "{\"version\": 1, \"tokens\": [",
            "]}",
            "\"id\": \"5f0a11c3\"",
            "\"client\": \"north\"",
            "\"owner\": \"ann\"",
            "\"scopes\": [\"CASE_VIEW\", \"CASE_ALL\"]",
            "\"role\": \"desk\"",
            "\"groups\": [\"noc\"]",
            "\"sha256\": \"0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f\"",
            "\"created_at\": \"2026-11-22T10:00:00Z\"",
            "\"expires_at\": \"-009999-01-02T01:59:59Z\"",
            "\"note\": \"\\u001b[2J\"",
            "null",
            ", ",
        ],
        samples: &[],
        tries: 2000,
    };
    let path = Path::new("/etc/casebridge/tokens.json");
    target.run(|bytes| match token::parse(bytes, path) {
        Ok(tokens) => {
            let text = token::text(&tokens).unwrap();
            assert_eq!(token::parse(&text, path).unwrap(), tokens, "what is taken reads back as written");
            format!("{} tokens", tokens.list.len())
        }
        Err(fault) => {
            assert_harmless(&fault.to_string(), 400);
            fault.message
        }
    });
}
