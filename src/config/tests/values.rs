//! Good values, and what becomes of them.

use super::{Origin, SITE, UPSTREAM, directory, origin, parse, password, read};
use crate::config::settings::Login;

#[test]
fn a_password_may_come_from_systemd() {
    let text = format!("{SITE}{UPSTREAM}").replace("good.password", "credential:upstream");
    let dir = directory();
    let settings = parse(&text, "casebridge.toml", &origin(dir.path())).unwrap();
    assert_eq!(password(&settings.upstream.unwrap()), "from systemd");
    let without = Origin::new(dir.path(), None);
    let problems = parse(&text, "casebridge.toml", &without).expect_err("no directory").to_string();
    assert!(problems.contains("LoadCredential=upstream:"), "{problems}");
}

#[test]
fn settings_never_show_a_password() {
    let shown = format!("{:?}", read(&format!("{SITE}{UPSTREAM}")).unwrap());
    assert!(!shown.contains("correct horse"), "{shown}");
}

#[test]
fn plain_http_is_allowed_on_this_machine_and_on_request() {
    let https = "https://partner.example:8443";
    let text = format!("{SITE}{UPSTREAM}");
    for url in ["http://127.0.0.1:8080", "http://[::1]", "http://localhost"] {
        assert_eq!(read(&text.replace(https, url)).unwrap().upstream.unwrap().url, url);
    }
    assert!(read(&(text.replace(https, "http://partner.example") + "allow_plain_http = true\n")).is_ok());
    let partner = "[[client]]\nalias = \"south\"\nuser = \"south\"\npassword_file = \"good.password\"\n";
    let listen = "[listen]\naddress = \"0.0.0.0:8080\"\nallow_plain_http = true\n";
    assert!(read(&format!("{SITE}{partner}{listen}")).is_ok());
}

#[test]
fn relative_paths_start_beside_the_file() {
    let text = format!("[site]\nalias = \"north\"\ndata_dir = \"data\"\n{UPSTREAM}[[inbox]]\ndir = \"in\"\n");
    let dir = directory();
    let settings = parse(&text, "casebridge.toml", &origin(dir.path())).unwrap();
    assert_eq!(settings.inboxes[0].dir, dir.path().join("in"));
    assert_eq!(settings.store.path, dir.path().join("data/incidents.db"));
    assert_eq!(settings.site.socket, dir.path().join("data/casebridge.sock"));
}

#[test]
fn a_token_or_a_certificate_stands_in_the_place_of_user_and_password() {
    let login = |keys: &str| {
        let upstream = UPSTREAM.replace("user = \"north\"\n", "").replace("password_file = \"good.password\"\n", keys);
        read(&format!("{SITE}{upstream}")).map(|settings| settings.upstream.unwrap().login)
    };
    assert!(matches!(login("token_file = \"upstream.token\"\n"), Ok(Login::Token(_))));
    let certificate = "certificate_file = \"north-chain.pem\"\nkey_file = \"north-key.pem\"\n";
    assert!(matches!(login(certificate), Ok(Login::Certificate)));
    assert!(matches!(login(&format!("{certificate}token_file = \"upstream.token\"\n")), Ok(Login::Token(_))));
    assert!(login("").expect_err("nothing").to_string().contains("upstream.user: is missing"));
}
