//! Whom a mail really came from, as far as the servers know that it came over: the address in its first `Return-Path`, which
//! the last of them writes. The sender in `From` is anybody's word.

use mail_parser::Message;

use crate::case::MailAddress;

/// Whether the servers name a sender that has nothing to do with the one in the mail. Where they name none, nobody knows.
pub fn is_elsewhere(header: &Message<'_>, from: &MailAddress) -> bool {
    let first = header.headers_raw().find(|(name, _)| name.trim().eq_ignore_ascii_case("Return-Path"));
    let Some((_, path)) = first else { return false };
    let path = path.trim().trim_matches(['<', '>']).to_ascii_lowercase();
    let (Some((local, there)), Some((_, here))) = (path.rsplit_once('@'), from.as_str().rsplit_once('@')) else {
        return false;
    };
    let here = here.to_ascii_lowercase();
    // A forwarding server names itself, and the sender's domain within (SRS).
    let is_forwarded = local.starts_with("srs") && local.contains(&format!("={here}="));
    !is_forwarded && organisation(there) != organisation(&here)
}

/// The last two names of a domain. Of two that share only a public suffix it says the same, and lets both pass.
fn organisation(domain: &str) -> Vec<&str> {
    domain.trim_end_matches('.').rsplit('.').take(2).collect()
}

#[cfg(test)]
mod tests {
    use mail_parser::MessageParser;

    use super::*;

    fn elsewhere(header: &str) -> bool {
        let mail = format!("{header}From: anna@mail.north.example\r\n\r\nx");
        let parsed = MessageParser::default().parse(mail.as_bytes()).unwrap();
        is_elsewhere(&parsed, &"anna@mail.north.example".parse().unwrap())
    }

    #[test]
    fn r_02_who_sends_in_the_name_of_others_is_known_by_the_return_path() {
        let path = |path: &str| format!("Return-Path: <{path}>\r\n");
        for fine in ["anna@north.example", "ANNA@Mail.North.Example", "bounces+7@out.north.example", ""] {
            assert!(!elsewhere(&path(fine)), "{fine}");
        }
        assert!(!elsewhere(""), "no server has written one");
        for forwarded in
            ["SRS0=HHH=TT=mail.north.example=anna@relay.example", "srs1=A=b.example==H=T=mail.north.example=a@c.d"]
        {
            assert!(!elsewhere(&path(forwarded)), "{forwarded}");
        }
        for forged in ["x@evil.example", "anna=north.example@bulk.example", "srs0=H=T=other.example=anna@evil.example"]
        {
            assert!(elsewhere(&path(forged)), "{forged}");
        }
        assert!(elsewhere(&(path("x@evil.example") + &path("anna@north.example"))), "the last server's word counts");
    }
}
