//! An end user and its partner, with a wire between them that can lose either direction.

use super::{Site, Wire};

pub struct Pair {
    pub end_user: Site,
    pub partner: Site,
    pub wire: Wire,
}

/// How a pair differs from the plain one.
#[derive(Default)]
pub struct Plan<'a> {
    /// More configuration of the end user.
    pub end_user: &'a str,
    /// More configuration of the partner.
    pub partner: &'a str,
}

/// Submits everything.
pub const SUBMIT_ALL: &str = "[[submit.policy]]\nname = \"all\"\n";
/// Accepts everything.
pub const ACCEPT_ALL: &str = "[[case.accept]]\nname = \"all\"\n";

impl Pair {
    /// A pair that is configured and not started.
    pub async fn new(plan: Plan<'_>) -> Self {
        let wire = Wire::new().await;
        let partner = Site::new("partner", &partner_config(wire.target_port(), plan.partner));
        let end_user = Site::new("north", &end_user_config(wire.port(), plan.end_user));
        Self { end_user, partner, wire }
    }

    /// A pair that runs.
    pub async fn start(plan: Plan<'_>) -> Self {
        let mut pair = Self::new(plan).await;
        pair.partner.start().await;
        pair.end_user.start().await;
        pair
    }
}

pub const COMMON: &str = r#"
[log]
level = "debug"
[store]
poll_interval = "50ms"
[retry]
first = "50ms"
max = "400ms"
"#;

pub fn end_user_config(port: u16, more: &str) -> String {
    format!(
        r#"
[site]
alias = "north"
data_dir = "{{dir}}"
socket = "{{dir}}/s"
{COMMON}
[[inbox]]
dir = "{{dir}}/inbox"
poll_interval = "50ms"
settle = "50ms"
[upstream]
alias = "partner"
url = "http://127.0.0.1:{port}"
user = "north"
password_file = "password"
poll_interval = "2s"
connect_timeout = "2s"
request_timeout = "5s"
{more}
"#
    )
}

pub fn partner_config(port: u16, more: &str) -> String {
    format!(
        r#"
[site]
alias = "partner"
data_dir = "{{dir}}"
socket = "{{dir}}/s"
{COMMON}
[listen]
address = "127.0.0.1:{port}"
[[client]]
alias = "north"
user = "north"
password_file = "password"
[case]
id_template = "CASE-{{incident}}"
link_template = "https://partner.example/{{case}}"
{more}
"#
    )
}
