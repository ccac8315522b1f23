//! Each bad file in `tests/data/config` stands beside the message that it gets.

use std::fs;

use super::{directory, origin, parse, repository};

/// With `CASEBRIDGE_BLESS` set, the expected messages are written instead: look at the difference before you commit it.
#[test]
fn every_bad_file_gets_its_message() {
    let bless = std::env::var_os("CASEBRIDGE_BLESS").is_some();
    let dir = directory();
    let mut files: Vec<_> = fs::read_dir(repository().join("tests/data/config"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    assert!(files.len() >= 25, "{} files", files.len());
    let mut wrong = Vec::new();
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        let text = fs::read_to_string(&file).unwrap();
        let problems = parse(&text, name, &origin(dir.path())).expect_err(name);
        let rendered = problems.to_string().replace(dir.path().to_str().unwrap(), "/etc/casebridge") + "\n";
        assert!(!rendered.contains("hunter"), "{name} shows a password:\n{rendered}");
        assert!(!format!("{problems:?}").contains("hunter"), "{name} keeps a password");
        for problem in problems.list() {
            let place = problem.place.as_ref().unwrap();
            let shown = format!("--> {name}:{}:{}\n", place.line, place.column);
            assert!(rendered.contains(&shown), "{name}: {shown} is not in\n{rendered}");
        }
        let expected = file.with_extension("expected");
        if bless {
            fs::write(expected, rendered).unwrap();
        } else if fs::read_to_string(expected).unwrap_or_default() != rendered {
            wrong.push(format!("{name}:\n{rendered}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
