//! What `load` adds to `parse`: the file and the disk.

use std::fs;

use super::{SITE, Settings, UPSTREAM, directory, origin, parse};

#[test]
fn load_looks_at_the_disk_and_tells_all_faults_together() {
    let dir = directory();
    let file = dir.path().join("casebridge.toml");
    let text = format!(
        "{SITE}stop_within = \"1h\"\n{UPSTREAM}[[inbox]]\ndir = \"in\"\n[[inbox]]\ndir = \"absent\"\n[[inbox]]\ndir = \"/proc\"\n\
         [[inbox]]\ndir = \"good.password\"\n[listen]\naddress = \"[::]:1\"\n\
         tls = {{ certificate = \"chain.pem\", key = \"open.password\" }}\n\
         [[client]]\nalias = \"south\"\nuser = \"south\"\npassword_file = \"good.password\"\n"
    );
    fs::create_dir(dir.path().join("in")).unwrap();
    fs::write(&file, &text).unwrap();
    let problems = Settings::check(&file).expect_err("faults");
    let keys: Vec<_> = problems.list().iter().map(|problem| problem.key.as_str()).collect();
    let expected = [
        "site.stop_within",
        "inbox[2].dir",
        "inbox[3].dir",
        "inbox[4].dir",
        "listen.tls.certificate",
        "listen.tls.key",
    ];
    assert_eq!(keys, expected, "{problems}");
    // An inbox that is gone stands in nobody's way but its own.
    let loaded = Settings::load(&file).expect_err("faults");
    let keys: Vec<_> = loaded.list().iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys, ["site.stop_within", "listen.tls.certificate", "listen.tls.key"], "{loaded}");
    assert!(problems.to_string().contains("mkdir -p "), "{problems}");
    assert!(problems.to_string().contains("is not writable"), "{problems}");
    assert_eq!(fs::read_dir(dir.path().join("in")).unwrap().count(), 0, "the probe is gone");
    assert!(parse(&text.replace("1h", "1m"), "casebridge.toml", &origin(dir.path())).is_ok(), "a text alone is fine");
}

#[test]
fn load_names_a_file_that_cannot_be_read() {
    let dir = directory();
    let absent = Settings::load(&dir.path().join("absent.toml")).expect_err("no file").to_string();
    assert!(absent.contains("cannot be read: it does not exist") && absent.contains("absent.toml"), "{absent}");
    let file = dir.path().join("latin.toml");
    fs::write(&file, b"[site]\nalias = \"n\xf6rth\"\n").unwrap();
    let latin = Settings::load(&file).expect_err("not UTF-8").to_string();
    assert!(latin.contains("latin.toml:2:11"), "{latin}");
    fs::write(&file, vec![b'#'; (1 << 20) + 1]).unwrap();
    assert!(Settings::load(&file).expect_err("too long").to_string().contains("too long"));
    let colored = Settings::load(&file).expect_err("too long").render(true);
    assert!(colored.contains("\u{1b}["), "{colored}");
}
