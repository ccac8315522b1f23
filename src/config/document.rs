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
    bundle, case, client, definitions, exchange, fields, history, inbox, job, listen, policy, retry, role, schedule,
    site, upstream,
};
use super::settings::Settings;

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
    let retry = retry::retry(file.section("retry"));
    let submit = policy::submit(file.section("submit"));
    let case = case::case(file.section("case"));
    let own = site.as_ref().ok().map(|site| &site.alias);
    let exchange =
        exchange::exchange(file.section("exchange"), |alias| aliases.has(alias.as_str()) && own != Some(alias));
    let schedule = schedule::schedule(file.section("schedule"));
    let definitions = definitions::definitions(&mut file);
    let jobs = job::job(file.section("job"), &definitions);

    let mut role_names = Claims::default();
    let roles = collect(file.sections("role", role::ROLE_LIMIT), |table| role::role(table, &mut role_names));

    let tokens = site.as_ref().map_or(Ok(Vec::new()), |site| site::tokens(site, &file, origin));

    maps.check(&case, &exchange.ownership, file.faults);
    let spot_of = |section: &str| file.spot_of(section).unwrap_or(file.spot.clone());
    let read = inboxes.as_deref().unwrap_or_default();
    places::check(site.as_ref().ok(), &store, &state, read, spot_of, file.faults);
    partners(&file, upstream.is_some(), listen_spot, client_spot);
    file.finish();
    Ok(Settings {
        site: site?,
        log,
        store,
        state,
        history: history?,
        inboxes: inboxes?,
        bundle,
        upstream: upstream.transpose()?,
        listen: listen.transpose()?,
        clients: clients?,
        retry,
        submit,
        case,
        exchange,
        schedule: schedule?,
        jobs,
        definitions,
        roles: roles?,
        tokens: tokens?,
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
