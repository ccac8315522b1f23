//! `[mail]`: what the people of a case are told by mail, and when they are reminded.

use std::net::IpAddr;
use std::time::Duration;

use crate::case::reminder::Pace;
use crate::case::{Language, MailAddress};
use crate::config::defaults::{self, Bounded};
use crate::config::faults::Refused;
use crate::config::item::{Item, quoted};
use crate::config::origin::Origin;
use crate::config::reader::Reader;
use crate::config::secret;
use crate::config::settings::{Mail, MailLogin, MailRetry, MailTls, Reminders, Sender};
use crate::config::units::show_duration;

use super::login::USER_LIMIT;
use super::site::PATH_LIMIT;

/// The most reminders before the notice.
const REMINDER_LIMIT: usize = 9;
/// The longest name beside an address, in bytes.
const NAME_LIMIT: usize = 128;
/// The lengths of the password that a mail server asks for, in bytes.
const PASSWORD: std::ops::RangeInclusive<usize> = 1..=256;

pub fn mail(mut table: Reader<'_>, origin: &Origin) -> Result<Mail, Refused> {
    let host = table.required("host", "write host = \"mail.north.example\"").and_then(|item| host(&item));
    let words = [("starttls", MailTls::StartTls), ("implicit", MailTls::Implicit), ("none", MailTls::None)];
    let tls_spot = table.spot_of("tls");
    let tls = table.choice("tls", &words, defaults::MAIL_TLS);
    let port = table.count("port", defaults::mail_port(tls));
    let ca = table.item("ca_file").map(|item| secret::certificates(&item, origin)).transpose();
    let login = login(&mut table, origin).transpose();
    let from = table.required("from", "write from = \"support@north.example\"").and_then(|item| sender(&item));
    let reply_to = table.item("reply_to").map(|item| address(&item)).transpose();
    let language = table.choice("language", &Language::ALL.map(|one| (one.as_str(), one)), Language::default());
    let templates =
        table.item("templates").map(|item| item.line(PATH_LIMIT).map(|text| origin.resolve(text))).transpose();
    let connect_timeout = table.duration("connect_timeout", defaults::MAIL_CONNECT_TIMEOUT);
    let send_timeout = table.duration("send_timeout", defaults::MAIL_SEND_TIMEOUT);
    let retry = retry(table.section("retry"));
    let reminders = reminders(table.section("reminders"));
    let host = host.and_then(|host| match (tls, tls_spot) {
        (MailTls::None, Some(spot)) if !is_loopback(&host) => {
            let message = format!("mails and the password would travel to {} unencrypted", quoted(&host));
            let help = "write tls = \"starttls\" or \"implicit\"; \"none\" is for a mail server on this machine";
            Err(table.faults.refuse(spot, message, help))
        }
        _ => Ok(host),
    });
    table.finish();
    Ok(Mail {
        host: host?,
        port: u16::try_from(port).unwrap_or(u16::MAX),
        tls,
        ca: ca?,
        login: login?,
        from: from?,
        reply_to: reply_to?,
        language,
        templates: templates?,
        connect_timeout,
        send_timeout,
        retry,
        reminders,
    })
}

fn host(item: &Item<'_>) -> Result<String, Refused> {
    let text = item.line(253)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-:".contains(c);
    if text.chars().all(plain)
        && !text.starts_with(['.', '-'])
        && (!text.contains(':') || text.parse::<IpAddr>().is_ok())
    {
        return Ok(text.to_owned());
    }
    let message = format!("{} is not the name of a machine", quoted(text));
    Err(item.refuse(
        message,
        "write the name or the IP address alone, for example \"mail.north.example\"; the port is a key of its own",
    ))
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// User and password belong together.
fn login(table: &mut Reader<'_>, origin: &Origin) -> Option<Result<MailLogin, Refused>> {
    let names = ["user", "password_file", "password"];
    if names.iter().all(|key| table.spot_of(key).is_none()) {
        return None;
    }
    let user = table.required("user", "write the user name of the mail server, or take password_file away");
    let user = user.and_then(|item| item.line(USER_LIMIT).map(str::to_owned));
    let password = secret::password_of(table, origin, PASSWORD);
    Some(user.and_then(|user| Ok(MailLogin { user, password: password? })))
}

/// `support@north.example` or `Support <support@north.example>`.
fn sender(item: &Item<'_>) -> Result<Sender, Refused> {
    let text = item.line(NAME_LIMIT + 256)?;
    let (name, within) = match text.split_once('<') {
        Some((name, rest)) => (name.trim(), rest.strip_suffix('>').unwrap_or(rest)),
        None => ("", text),
    };
    match within.parse::<MailAddress>() {
        Ok(address) if address.as_str().is_ascii() && name.len() <= NAME_LIMIT => {
            Ok(Sender { name: name.to_owned(), address })
        }
        _ => Err(item.refuse(
            format!("{} is not a sender", quoted(text)),
            "write an address, or a name and an address: \"Support <support@north.example>\"",
        )),
    }
}

fn address(item: &Item<'_>) -> Result<MailAddress, Refused> {
    let text = item.line(320)?;
    match text.parse::<MailAddress>() {
        Ok(address) if address.as_str().is_ascii() => Ok(address),
        _ => {
            Err(item
                .refuse(format!("{} is not a mail address", quoted(text)), "write it like \"support@north.example\""))
        }
    }
}

fn retry(mut table: Reader<'_>) -> MailRetry {
    let retry = MailRetry {
        first: table.duration("first", defaults::MAIL_RETRY_FIRST),
        max: table.duration("max", defaults::MAIL_RETRY_MAX),
        give_up_after: table.duration("give_up_after", defaults::MAIL_RETRY_GIVE_UP_AFTER),
    };
    if table.is_sound() && retry.first > retry.max {
        let (first, max) = (quoted(&show_duration(retry.first)), quoted(&show_duration(retry.max)));
        let spot = table.spot_of("first").or_else(|| table.spot_of("max")).unwrap_or(table.spot.clone());
        let message = format!("the first delay, {first}, is longer than the longest, {max}");
        table.faults.refuse(spot, message, "set mail.retry.first to at most mail.retry.max");
    }
    table.finish();
    retry
}

fn reminders(mut table: Reader<'_>) -> Reminders {
    let all = |item: &Item<'_>| item.list(REMINDER_LIMIT, |item| item.duration(defaults::MAIL_REMINDER));
    let or_default = |given: Option<Vec<Duration>>, count: usize| {
        given.unwrap_or_else(|| vec![defaults::MAIL_REMINDER.default; count])
    };
    let input = table.take("input", all);
    let closing = table.take("closing", all);
    let mut after = |key, bounds: Bounded<Duration>| table.duration(key, bounds);
    let (input_notice, input_close) =
        (after("input_notice", defaults::MAIL_REMINDER), after("input_close", defaults::MAIL_REMINDER));
    let (closing_notice, closing_close) =
        (after("closing_notice", defaults::MAIL_REMINDER), after("closing_close", defaults::MAIL_REMINDER));
    table.finish();
    Reminders {
        input: Pace {
            reminders: or_default(input, defaults::MAIL_INPUT_REMINDERS),
            notice: input_notice,
            close: input_close,
        },
        closing: Pace {
            reminders: or_default(closing, defaults::MAIL_CLOSING_REMINDERS),
            notice: closing_notice,
            close: closing_close,
        },
    }
}
