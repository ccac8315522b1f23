//! All sections together, and what holds between them.

use std::path::Path;

use toml::de::DeTable;

use super::claims::Claims;
use super::defaults;
use super::disk::Disk;
use super::faults::{Faults, Refused, Spot};
use super::origin::Origin;
use super::places;
use super::reader::Reader;
use super::section::{
    bundle, case, client, definitions, exchange, fields, history, inbox, job, listen, mail, mail_inbox, pages, policy,
    reaction, retry, role, schedule, site, upstream,
};
use super::settings::Settings;
use super::token::Tokens;

pub(super) fn document(
    table: &DeTable<'_>,
    origin: &Origin,
    faults: &Faults,
    disk: &mut Disk,
) -> Result<Settings, Refused> {
    let mut file = Reader::new(table, faults);
    let mut aliases = Claims::default();
    let mut names = client::Names::default();
    let mut directories = Claims::default();
    let mut maps = fields::FieldMaps::default();

    let site = match file.optional_section("site") {
        Some(table) => table.and_then(|table| site::site(table, origin, &mut aliases)),
        None => {
            Err(file.faults.absent(file.spot.clone(), "[site] is missing", "write [site], and alias = \"north\" below"))
        }
    };
    let data_dir = site.as_ref().map_or(Path::new(defaults::DATA_DIR), |site| site.data_dir.as_path()).to_owned();
    let log = site::log(file.section("log"));
    let store = site::store(file.section("store"), origin, &data_dir);
    let state = site::state(file.section("state"), origin, &data_dir);
    let history = history::history(file.section("history"), origin, &data_dir);
    let inboxes = collect(file.sections("inbox", inbox::INBOX_LIMIT), |table| {
        inbox::inbox(table, origin, &mut directories, disk)
    });
    let mail_inbox_spot = file.spot_of("mail_inbox");
    let mail_inboxes = collect(file.sections("mail_inbox", mail_inbox::MAIL_INBOX_LIMIT), |table| {
        mail_inbox::mail_inbox(table, origin, &mut directories, disk)
    });
    let bundle = bundle::bundle(file.section("bundle"));
    let upstream = file
        .optional_section("upstream")
        .map(|table| table.and_then(|table| upstream::upstream(table, origin, &mut aliases, &mut maps)));
    let listen_spot = file.spot_of("listen");
    let listen =
        file.optional_section("listen").map(|table| table.and_then(|table| listen::listen(table, origin, disk)));
    // What is wrong with the door is not held against the clients.
    let has_client_ca = listen.as_ref().is_some_and(|listen| {
        listen.as_ref().map_or(true, |one| one.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some()))
    });
    let client_spot = file.spot_of("client");
    let clients = collect(file.sections("client", client::CLIENT_LIMIT), |table| {
        client::client(table, origin, has_client_ca, &mut aliases, &mut names, &mut maps)
    });
    let pages_spot = file.spot_of("pages");
    let pages = file.optional_section("pages").map(|table| table.and_then(pages::pages));
    let retry = retry::retry(file.section("retry"));
    let submit = policy::submit(file.section("submit"));
    let case = case::case(file.section("case"));
    let own = site.as_ref().ok().map(|site| &site.alias);
    let exchange =
        exchange::exchange(file.section("exchange"), |alias| aliases.has(alias.as_str()) && own != Some(alias));
    let schedule = schedule::schedule(file.section("schedule"));
    let reaction_targets = reaction::targets(file.section("reaction_target"), origin);
    let mail = file.optional_section("mail").map(|table| table.and_then(|table| mail::mail(table, origin)));
    let definitions = definitions::definitions(&mut file);
    let jobs = job::job(file.section("job"), &definitions);

    let mut role_names = Claims::default();
    let roles = collect(file.sections("role", role::ROLE_LIMIT), |table| role::role(table, &mut role_names));

    let tokens = site.as_ref().map_or(Ok(Tokens::default()), |site| site::tokens(site, &file, origin));

    maps.check(&case, &exchange.ownership, file.faults);
    let spot_of = |section: &str| file.spot_of(section).unwrap_or(file.spot.clone());
    let read = inboxes.as_deref().unwrap_or_default();
    let mails = mail_inboxes.as_deref().unwrap_or_default();
    places::check(site.as_ref().ok(), &store, &state, (read, mails), spot_of, file.faults);
    let listens = listen_spot.is_some();
    reached(&file, listens, (pages_spot.clone(), mail_inbox_spot), file.spot_of("mail").is_some());
    partners(&file, upstream.is_some(), listen_spot, client_spot.or(pages_spot.filter(|_| listens)));
    file.finish();
    let tokens = tokens?;
    Ok(Settings {
        site: site?,
        log,
        store,
        state,
        history: history?,
        inboxes: inboxes?,
        mail_inboxes: mail_inboxes?,
        bundle,
        upstream: upstream.transpose()?,
        listen: listen.transpose()?,
        clients: clients?,
        pages: pages.transpose()?,
        retry,
        submit,
        case,
        exchange,
        schedule: schedule?,
        reaction_targets: reaction_targets?,
        mail: mail.transpose()?,
        jobs,
        definitions,
        roles: roles?,
        tokens: tokens.list,
        token_changes: tokens.changes,
        secrets: origin.secrets(),
    })
}

/// Every section is read before the first refusal ends it.
fn collect<'t, T>(
    tables: Vec<Reader<'t>>,
    read: impl FnMut(Reader<'t>) -> Result<T, Refused>,
) -> Result<Vec<T>, Refused> {
    let read: Vec<Result<T, Refused>> = tables.into_iter().map(read).collect();
    read.into_iter().collect()
}

/// Pages are served at the door, and whoever writes a mail gets a link to one.
fn reached(file: &Reader<'_>, listens: bool, (pages, mail_inbox): (Option<Spot>, Option<Spot>), mails: bool) {
    if let (Some(mail_inbox), false) = (&mail_inbox, mails) {
        let help = "add [mail] with the mail server that the links go out by";
        file.faults.absent(mail_inbox.clone(), "a mail is answered by a mail, and this site sends none", help);
    }
    if let (None, Some(mail_inbox)) = (&pages, mail_inbox) {
        let help = "add [pages] with the address at which people reach this site";
        file.faults.absent(mail_inbox, "a mail is answered with a link to a form, and there are no pages", help);
    }
    if let (Some(pages), false) = (pages, listens) {
        let help = "add [listen] with the address at which this site listens";
        file.faults.absent(pages, "there are pages, but this site does not listen", help);
    }
}

/// A site has somebody to exchange with, and a door exactly if somebody comes in.
fn partners(file: &Reader<'_>, has_upstream: bool, listen: Option<Spot>, client: Option<Spot>) {
    match (listen, client) {
        (None, Some(client)) => {
            let help = "add [listen] with the address at which the clients reach this site";
            file.faults.absent(client, "there are clients, but this site does not listen", help);
        }
        (Some(listen), None) => {
            let help = "add a [[client]] for each site that submits to this one, or take [listen] away";
            file.faults.absent(listen, "nobody may come in: there is no [[client]]", help);
        }
        (None, None) if !has_upstream => {
            let spot = file.spot_of("site").unwrap_or(file.spot.clone());
            let help = "add [upstream] (the site that this one submits to), or [listen] and [[client]] (those that submit to it)";
            file.faults.absent(Spot { key: String::new(), ..spot }, "this site would exchange with nobody", help);
        }
        _ => {}
    }
}
