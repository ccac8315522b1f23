//! `[[reaction_target.mail]]`, `.webhook`, `.snmp` and `.command`: where reactions may go. Whoever keeps the reactions names
//! a target and cannot make one.

use std::path::PathBuf;

use crate::config::claims::Claims;
use crate::config::defaults;
use crate::config::faults::Refused;
use crate::config::item::{Item, quoted};
use crate::config::origin::Origin;
use crate::config::reader::Reader;
use crate::config::secret;
use crate::config::settings::{ReactionTarget, ReactionTo, Webhook};

use super::address::{Address, AddressFault, literal, socket};
use super::policy::mail_address;
use crate::config::net::is_public;

/// The most targets of one kind.
const TARGET_LIMIT: usize = 100;
/// The most addresses of one mail, and arguments of one command.
const LIST_LIMIT: usize = 50;

pub fn targets(mut table: Reader<'_>, origin: &Origin) -> Result<Vec<ReactionTarget>, Refused> {
    let mut names = Claims::default();
    let mut targets = Vec::new();
    for table in table.sections("mail", TARGET_LIMIT) {
        targets.push(mail(table, &mut names));
    }
    for table in table.sections("webhook", TARGET_LIMIT) {
        targets.push(webhook(table, &mut names, origin));
    }
    for table in table.sections("snmp", TARGET_LIMIT) {
        targets.push(snmp(table, &mut names, origin));
    }
    for table in table.sections("command", TARGET_LIMIT) {
        targets.push(command(table, &mut names));
    }
    table.finish();
    targets.into_iter().collect()
}

fn name(table: &mut Reader<'_>, names: &mut Claims) -> Result<String, Refused> {
    let item = table.required("name", "give the target a name, for example name = \"night desk\"")?;
    let name = item.line(64)?.to_owned();
    names.claim(&item, name.clone(), "each target needs a name of its own");
    Ok(name)
}

fn mail(mut table: Reader<'_>, names: &mut Claims) -> Result<ReactionTarget, Refused> {
    let name = name(&mut table, names);
    let to = table.required("to", "write to = [\"noc@north.example\"]").and_then(|item| {
        let addresses = item.list(LIST_LIMIT, mail_address)?;
        if addresses.is_empty() {
            return Err(item.refuse("names nobody", "write at least one address"));
        }
        Ok(addresses)
    });
    table.finish();
    Ok(ReactionTarget { name: name?, to: ReactionTo::Mail { addresses: to? } })
}

fn webhook(mut table: Reader<'_>, names: &mut Claims, origin: &Origin) -> Result<ReactionTarget, Refused> {
    let name = name(&mut table, names);
    let private_addresses = table.flag("private_addresses", defaults::REACTION_PRIVATE_ADDRESSES);
    let url = table
        .required("url", "write url = \"https://hooks.example/casebridge\"")
        .and_then(|item| url(&item, private_addresses));
    let secret = table
        .required("secret_file", "name a file that holds the secret, for example secret_file = \"hooks.whsec\"")
        .and_then(|item| secret::webhook(&item, origin));
    let ca = table.item("ca_file").map(|item| secret::certificates(&item, origin)).transpose();
    let within = table.duration("within", defaults::REACTION_WITHIN);
    table.finish();
    let (url, is_loopback) = url?;
    let webhook =
        Webhook { url, secret: secret?, ca: ca?, private_addresses: private_addresses || is_loopback, within };
    Ok(ReactionTarget { name: name?, to: ReactionTo::Webhook(webhook) })
}

fn snmp(mut table: Reader<'_>, names: &mut Claims, origin: &Origin) -> Result<ReactionTarget, Refused> {
    let name = name(&mut table, names);
    let address = table.required("address", "write address = \"nms.example:162\"").and_then(|item| {
        let text = item.line(300)?;
        if socket(text) {
            return Ok(text.to_owned());
        }
        Err(item.refuse(format!("{} is not a host and a port", quoted(text)), "write it like \"nms.example:162\""))
    });
    let community = table
        .required(
            "community_file",
            "name a file that holds the community, for example community_file = \"nms.community\"",
        )
        .and_then(|item| secret::community(&item, origin));
    let oid = table.take("oid", oid).unwrap_or_else(defaults::reaction_oid);
    table.finish();
    Ok(ReactionTarget { name: name?, to: ReactionTo::Snmp { address: address?, community: community?, oid } })
}

fn command(mut table: Reader<'_>, names: &mut Claims) -> Result<ReactionTarget, Refused> {
    let name = name(&mut table, names);
    let command =
        table.required("command", "write command = [\"/usr/local/bin/page\", \"--high\"]").and_then(|item| {
            let words = item.list(LIST_LIMIT, |word| word.text().map(str::to_owned))?;
            let mut words = words.into_iter();
            match words.next().map(PathBuf::from) {
                Some(program) if program.is_absolute() => Ok((program, words.collect::<Vec<_>>())),
                _ => Err(item
                    .refuse("does not begin with the whole path of a program", "start it with /: there is no shell")),
            }
        });
    let within = table.duration("within", defaults::REACTION_WITHIN);
    table.finish();
    let (name, (program, arguments)) = (name?, command?);
    Ok(ReactionTarget { name, to: ReactionTo::Command { program, arguments, within } })
}

/// An address with its path, and whether it stays on this machine.
fn url(item: &Item<'_>, private_addresses: bool) -> Result<(String, bool), Refused> {
    let text = item.line(2048)?;
    let start = text.find("://").map_or(0, |at| at + 3);
    let end = text.get(start..).and_then(|rest| rest.find('/')).map_or(text.len(), |at| start + at);
    let (site, path) = text.split_at(end);
    let address: Address = site.parse().map_err(|fault: AddressFault| {
        item.refuse(format!("the address {fault}"), "write it like \"https://hooks.example/casebridge\"")
    })?;
    if !path.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '#' | '\\')) {
        return Err(item.refuse("the path holds what no path may hold", "leave out blanks, '#' and '\\'"));
    }
    if !address.is_https && !address.is_loopback {
        let message = format!("{} would tell of cases unencrypted", quoted(site));
        return Err(item.refuse(message, "write https://"));
    }
    if literal(site).is_some_and(|ip| !is_public(ip)) && !address.is_loopback && !private_addresses {
        let message = format!("{} is an address inside a network", quoted(site));
        return Err(item.refuse(message, "if that is meant, write private_addresses = true beside it"));
    }
    Ok((format!("{}{path}", address.url), address.is_loopback))
}

/// An object identifier: the node under which the traps and their values are numbered.
fn oid(item: &Item<'_>) -> Result<Vec<u32>, Refused> {
    let text = item.line(200)?;
    let numbers: Result<Vec<u32>, _> = text.split('.').map(str::parse).collect();
    match numbers {
        Ok(numbers) if matches!(numbers.as_slice(), [0..=1, 0..=39, ..] | [2, 0..=47, ..]) && numbers.len() <= 40 => {
            Ok(numbers)
        }
        _ => {
            let message = format!("{} is not an object identifier", quoted(text));
            Err(item.refuse(message, "write it like \"1.3.6.1.4.1.8072.9999.9999\", at most 40 numbers"))
        }
    }
}
