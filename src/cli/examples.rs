//! The ends of the help texts: examples, which a test parses, and the exit codes.

use super::exit::Exit;
use crate::api::cases::Endpoint;
use crate::case::Permission;

const MAIN: &str = "\
Examples:
  casebridge demo
  casebridge check-config --config north.toml
  casebridge run --config north.toml
  casebridge deposit alarm.xml
  casebridge incidents
  casebridge submit 1 --priority \"2 - High\" --comment \"Spare part is on site\"
  casebridge show 1
  casebridge why 1
  casebridge status

Secrets are never arguments: the configuration names the files that hold them.
";

/// Under the help of `run`.
pub const RUN: &str = "\
SIGTERM finishes what is in flight and stops; SIGHUP reads the configuration again.

Examples:
  casebridge run
  casebridge run --config north.toml
";

/// Under the help of `deposit`.
pub const DEPOSIT: &str = "\
Handing in the same event twice makes no second incident.

Examples:
  casebridge deposit alarm.xml
  casebridge deposit one.xml two.xml three.json
";

/// Under the help of `submit`.
pub const SUBMIT: &str = "\
What is left out comes from the saved draft, then from [submit.defaults] of the configuration.

Examples:
  casebridge submit 1
  casebridge submit 1 --priority \"1 - Critical\" --follow-up \"Phone Call\" --tracking-number CRQ-4711
  casebridge submit 1 --cc noc@north.example,lead@north.example --comment \"Please call first\" --save-draft
";

/// Under the help of `reaction add`.
pub const REACTION: &str = "\
The file holds one reaction:
  {\"name\": \"night desk\", \"trigger\": \"case_assigned\",
   \"filter\": {\"priorities\": [\"1 - Critical\"], \"has_words\": \"power\"},
   \"actions\": [{\"target\": \"night desk\"}]}
Triggers: incident_detected, incident_submitted, case_assigned, case_updated, intelligence_received. Targets are those
of [[reaction_target...]] in the configuration.

Examples:
  casebridge reaction add night.json
  casebridge reaction add night.json --incident 1 --incident 2
";

/// Under the help of `history`.
pub const HISTORY: &str = "\
An export holds every entry with its hash, what went to peers, and what they signed. It is verified without the site:
with its public key and those of its peers, as `casebridge key show` prints them.

Examples:
  casebridge history 1
  casebridge history export
  casebridge history export 1
  casebridge history verify
  casebridge history verify north.jsonl --key north=north.keys --key partner=partner.keys
  casebridge history verify north.jsonl --key north=north.keys --held partner.jsonl
  casebridge history disclosed --peer partner 1
  casebridge key show --peer partner
";

/// Under the help of `link`.
pub const LINK: &str = "\
The site above has entered the case for this site, by phone for instance, and told its number.

Examples:
  casebridge link 1 --transaction 4711
  casebridge link 1 --case-id CASE-4711
";

/// Under the help of `open`.
pub const OPEN: &str = "\
Examples:
  casebridge open --synopsis \"Replace the fan tray of edge7\" --device edge7 --priority \"3 - Medium\" --due 2026-11-25T12:00:00Z
  casebridge open --synopsis \"Question about licences\" --submit
";

/// Under the help of `case list`.
pub const CASE_LIST: &str = "\
All filters must match. What was deleted from the lists comes with --inactive.

Examples:
  casebridge case list --client north --state opened --state in_process --sort priority
  casebridge case list --mine --sort -updated
  casebridge case list --client north --about-to-breach
  casebridge case list --owner ann --due-before 2026-12-01T00:00:00Z
  casebridge case list --unassigned --text \"fan tray\"
";

/// Under the help of `case create`.
pub const CASE_CREATE: &str = "\
Examples:
  casebridge case create --details \"Fan tray 2 is loud\" --priority \"3 - Medium\" --tag fan --group \"night shift\"
  casebridge case create --details \"New licence\" --initiator C-4711 --customer --last-name Miller --submit
";

/// Under the help of `case edit`.
pub const CASE_EDIT: &str = "\
Examples:
  casebridge case edit 7 --completed 40 --location-code B-17
  casebridge case edit CMnorth-7 --details \"Fan trays 1 and 2 are loud\" --revision 12
";

/// Under the help of `case documents`.
pub const CASE_DOCUMENTS: &str = "\
Examples:
  casebridge case documents 7
  casebridge case documents 7 --get log.txt --to /tmp/log.txt
";

/// Under the help of `case assign`.
pub const CASE_ASSIGN: &str = "\
Examples:
  casebridge case assign 7 --user ann --group \"night shift\"
  casebridge case assign 7 --nobody
";

/// Under the help of `reconcile`.
pub const RECONCILE: &str = "\
Without --apply nothing is changed. The site above counts; a comment that one site lacks is told to it.

Examples:
  casebridge reconcile --timeout 300
  casebridge reconcile 1 --apply
";

/// Under the help of `escalate`.
pub const ESCALATE: &str = "\
What is left out comes from the client's form, then from [submit.defaults] of the configuration.

Examples:
  casebridge escalate 1
  casebridge escalate 1 --priority \"1 - Critical\" --comment \"Our spare part did not help\"
";

/// Under the help of `incidents`.
pub const INCIDENTS: &str = "\
Examples:
  casebridge incidents
  casebridge incidents --priority \"1 - Critical\" --sort -created_at --limit 20
  casebridge incidents --standing acknowledged --all
  casebridge incidents --tracking-number CRQ-4711 --json
";

/// Under the help of `accept`.
pub const ACCEPT: &str = "\
Examples:
  casebridge accept 1
  casebridge accept 1 --case-id T-2026-17 --case-link https://desk.example/T-2026-17 --comment \"Taken by the night shift\"
";

/// Under the help of `override`.
pub const OVERRIDE: &str = "\
What is given is shown to the client, whatever the site above says later, until it is cleared.

Examples:
  casebridge override 1 --case-id T-2026-17 --case-link https://desk.example/T-2026-17
  casebridge override 1 --status \"With the manufacturer\"
  casebridge override 1 --clear
";

/// Under the help of `update`.
pub const UPDATE: &str = "\
Examples:
  casebridge update 1 --status \"In Progress\" --comment \"Part is on its way\"
  casebridge update 1 --expected-resolution 2026-11-25T12:00:00Z
";

/// Under the help of `resolve`.
pub const RESOLVE: &str = "\
Examples:
  casebridge resolve 1 --solution \"Power supply replaced\"
  casebridge resolve 1 --code withdrawn_by_user --comment \"Alarm was a test\"
";

/// Under the help of `assign`.
pub const ASSIGN: &str = "\
Assigning an incident to a group of another site's submits it; assigning a client's case to the client asks for an answer.

Examples:
  casebridge assign 1 partner
  casebridge assign 1 north --comment \"In which slot is the card?\"
  casebridge assign 1 \"Night shift\"
";

/// Under the help of `comment`.
pub const COMMENT: &str = "\
Examples:
  casebridge comment 1 \"The part arrived\"
  casebridge comment 1 --internal \"Their contract ends in March\"
  casebridge comment 1 --edit 0198f2aa-7b1c-7cc1-9c1e-3f6f3c1f2a10 \"The parts arrived\"
  casebridge comment 1 --delete 0198f2aa-7b1c-7cc1-9c1e-3f6f3c1f2a10
";

/// Under the help of `contact list`.
pub const CONTACT: &str = "\
Examples:
  casebridge submit 1 --contact anna@north.example --first-name Anna --last-name Martin --recipient rita@partner.example
  casebridge accept 1 --contact rita@partner.example --first-name Rita --last-name Roy --phone \"+1 555 0100\"
  casebridge contact list --temporary
  casebridge contact show rita@partner.example
";

/// Under the help of `party add`.
pub const PARTY: &str = "\
Examples:
  casebridge party add 1 anna@customer.example --name \"Anna Martin\" --language fr
  casebridge party add 1 help@integrator.example --role integrator
  casebridge party remove 1 anna@customer.example
  casebridge mails 1
";

/// Under the help of `mails retry`.
pub const MAILS_RETRY: &str = "\
Examples:
  casebridge mails --state refused
  casebridge mails retry 17
  casebridge mails retry --all
";

/// Under the help of `token new`.
pub const TOKEN: &str = "\
The token goes to standard output, everything else to standard error. Two of one client count side by side: give the new one
to the client, and revoke the old one then. What each permission of an operator opens is told by `casebridge token new --help`.

Examples:
  casebridge token new --client north
  casebridge token new --client north --expires 2028-01-01T00:00:00Z --note \"second site\"
  casebridge token new --owner ann --group noc --scope CASE_VIEW_ASSIGNED --scope CASE_PROCESS --scope CASE_RESOLVE
  casebridge token new --owner desk-display --role readers --expires 2028-01-01T00:00:00Z
  casebridge token revoke 5f0a11c3
";

/// Under the help of `job run`.
pub const JOB_RUN: &str = "\
Examples:
  casebridge job run auto_close --dry-run
  casebridge job run sla_check --dry-run --json
  casebridge job run housekeeping
";

/// The same, and what each permission opens, from the one table of endpoints.
pub fn token() -> String {
    let mut lines =
        vec![TOKEN.to_owned(), "What each permission opens; CASE_ALL opens everything else, too:".to_owned()];
    for permission in Permission::ALL {
        let opened = Endpoint::ALL.iter().filter(|one| one.permissions().contains(&permission));
        lines.push(format!("  {permission}"));
        lines.extend(opened.map(|one| format!("    {:6} {}: {}", one.method(), one.path(), one.help())));
        lines.extend(permission.opens_nothing_because().map(|why| format!("    nothing: {why}")));
    }
    lines.join("\n")
}

/// The end of the help of the program itself.
pub fn main() -> String {
    let codes: Vec<String> = Exit::ALL.iter().map(|exit| format!("  {}  {}", exit.code(), exit.meaning())).collect();
    format!("{MAIN}\nExit codes:\n{}", codes.join("\n"))
}

/// Every example.
#[cfg(test)]
pub fn all() -> Vec<&'static str> {
    [
        MAIN,
        RUN,
        DEPOSIT,
        SUBMIT,
        HISTORY,
        ESCALATE,
        LINK,
        OPEN,
        RECONCILE,
        INCIDENTS,
        ACCEPT,
        OVERRIDE,
        UPDATE,
        RESOLVE,
        ASSIGN,
        COMMENT,
        PARTY,
        CONTACT,
        TOKEN,
        JOB_RUN,
        CASE_LIST,
        CASE_CREATE,
        CASE_EDIT,
        CASE_DOCUMENTS,
        CASE_ASSIGN,
    ]
    .into_iter()
    .flat_map(str::lines)
    .filter_map(|line| line.strip_prefix("  "))
    .collect()
}
