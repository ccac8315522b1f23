//! No input makes it panic.

use std::path::Path;

use proptest::prelude::*;

use super::{Origin, example, parse};

/// Reads and shows; only that it ends matters.
fn survives(text: &str) {
    if let Err(problems) = parse(text, "any.toml", &Origin::new(Path::new("/nonexistent"), None)) {
        assert!(!problems.list().is_empty());
        let _ = (problems.render(true), format!("{problems} {problems:?}"));
    }
}

/// The example, cut into pieces that a wrong file is made of.
fn pieces() -> Vec<String> {
    let example = example();
    let lines = example.lines().map(|line| line.trim_start_matches('#').to_owned() + "\n");
    let tokens = [
        "=", "[", "]", "[[", "]]", "{", "}", "\"", "'", "\"\"\"", ".", ",", "\n", "\r\n", "#", "-1", "1e999", "nan",
        "0x",
    ];
    let odd = ["true", "1979-05-27", "\u{0}", "\u{202e}", "\u{feff}", "é", "password", "99999999999999999999999"];
    lines.chain(tokens.into_iter().chain(odd).map(str::to_owned)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        survives(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_text_is_survived(text in "(?s).{0,256}") {
        survives(&text);
    }

    #[test]
    fn any_mixture_of_pieces_is_survived(
        chosen in proptest::collection::vec(proptest::sample::select(pieces()), 0..60),
    ) {
        survives(&chosen.concat());
    }

    #[test]
    fn any_value_at_any_key_is_survived(
        key in proptest::sample::select(pieces()),
        value in prop_oneof!["\\PC{0,40}", "\"[^\"\\\\]{0,40}\"", "-?[0-9]{1,30}", "\\[[0-9, \"a]{0,20}\\]"],
    ) {
        let (name, _) = key.split_once('=').unwrap_or((&key, ""));
        for section in ["[site]", "[upstream]", "[[submit.policy]]", "[bundle.paths]", "[listen]", "[schedule]", "[case]"] {
            survives(&format!("{section}\n{name} = {value}\n"));
        }
    }
}
