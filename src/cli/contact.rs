//! `contact`: the people whom cases are passed between; and how a person is given to other commands.

use clap::{Args, Subcommand};

use super::exit::{Exit, Failure};
use super::local::Local;
use super::print::{self, Column, Table};
use super::{Output, incidents, query};
use crate::case::{ContactAddress, Person};
use crate::protocol::{ContactAnswer, ContactPage, ContactsQuery};

#[derive(Debug, Subcommand)]
pub enum ContactCommand {
    /// List the people whom cases were handed over by, and to
    #[command(after_help = super::examples::CONTACT)]
    List(ListArguments),
    /// Everything about one of them: names, cases, and what peers call them otherwise
    Show(ShowArguments),
}

#[derive(Debug, Args)]
pub struct ListArguments {
    /// Only those of whom the address alone is known
    #[arg(long)]
    temporary: bool,
    /// Those behind this number
    #[arg(long, value_name = "CONTACT")]
    after: Option<i64>,
    /// The most contacts shown, 1 to 1000
    #[arg(long, value_name = "N", default_value = "100", value_parser = incidents::limit)]
    limit: usize,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Args)]
pub struct ShowArguments {
    /// The mail address
    #[arg(value_name = "ADDRESS")]
    address: ContactAddress,
    #[command(flatten)]
    output: Output,
}

/// Somebody, as an argument of other commands.
#[derive(Debug, Args)]
pub struct PersonArguments {
    /// The mail address of the person here whom the other site may ask
    #[arg(long, value_name = "ADDRESS")]
    contact: Option<ContactAddress>,
    /// Their first name
    #[arg(long, value_name = "NAME", requires = "contact")]
    first_name: Option<String>,
    /// Their last name
    #[arg(long, value_name = "NAME", requires = "contact")]
    last_name: Option<String>,
    /// Their telephone number
    #[arg(long, value_name = "NUMBER", requires = "contact")]
    phone: Option<String>,
}

impl PersonArguments {
    pub fn person(self) -> Option<Person> {
        let Self { contact, first_name, last_name, phone } = self;
        contact.map(|address| Person { address, first_name, last_name, phone })
    }
}

pub async fn run(local: &Local, command: ContactCommand) -> Result<(), Failure> {
    match command {
        ContactCommand::List(arguments) => list(local, arguments).await,
        ContactCommand::Show(arguments) => show(local, arguments).await,
    }
}

async fn asked(local: &Local, query: &ContactsQuery) -> Result<ContactPage, Failure> {
    local.get("the contacts cannot be listed", &query::address("/v1/contacts", query)?).await
}

async fn list(local: &Local, arguments: ListArguments) -> Result<(), Failure> {
    let ListArguments { temporary, after, limit, output } = arguments;
    let query =
        ContactsQuery { temporary: temporary.then_some(true), after, limit: Some(limit), ..ContactsQuery::default() };
    let page = asked(local, &query).await?;
    if output.json {
        return print::out(&print::json(&page)?);
    }
    if page.contacts.is_empty() {
        return print::out("There are no such contacts.");
    }
    let mut table = Table::new(&[
        Column::new("CONTACT", 7, 0),
        Column::new("ADDRESS", 16, 1),
        Column::new("NAME", 12, 2),
        Column::new("PHONE", 8, 5),
        Column::new("TOLD BY", 8, 4),
        Column::new("CASES", 8, 3),
    ]);
    for contact in page.contacts {
        let cases: Vec<String> = contact.cases.iter().map(|case| case.incident.to_string()).collect();
        table.row([
            Some(contact.contact.to_string()),
            Some(contact.address),
            Some(format!("{} {}", contact.first_name, contact.last_name)),
            contact.phone,
            contact.told_by,
            Some(cases.join(", ")),
        ]);
    }
    let mut text = table.render(print::width());
    if let Some(next) = page.next {
        text.push_str(&format!("\nThere may be more: --after {next}"));
    }
    print::out(&text)
}

async fn show(local: &Local, arguments: ShowArguments) -> Result<(), Failure> {
    let ShowArguments { address, output } = arguments;
    let query = ContactsQuery { address: Some(address.to_string()), ..ContactsQuery::default() };
    let Some(contact) = asked(local, &query).await?.contacts.into_iter().next() else {
        let remedy = "see `casebridge contact list`";
        return Err(Failure::new(Exit::Refused, "there is no such contact", print::safe(address.as_str()), remedy));
    };
    match output.json {
        true => print::out(&print::json(&contact)?),
        false => print::out(&shown(&contact)),
    }
}

fn shown(contact: &ContactAnswer) -> String {
    let mut lines = vec![format!(
        "contact {}: {} {} <{}>",
        contact.contact,
        print::safe(&contact.first_name),
        print::safe(&contact.last_name),
        print::safe(&contact.address)
    )];
    let mut field = |name: &str, value: String| lines.push(format!("  {name:<12} {}", print::safe(&value)));
    if let Some(phone) = &contact.phone {
        field("phone", phone.clone());
    }
    if contact.temporary {
        field("waits for", "the names, which come with the next status once the case is accepted".to_owned());
    }
    if let Some(peer) = &contact.told_by {
        field("told by", peer.clone());
    }
    for case in &contact.cases {
        field(case.role.as_str(), format!("incident {}", case.incident));
    }
    for one in &contact.differences {
        field("differs", format!("{} says {}", one.told_by.as_deref().unwrap_or("this site"), one.told));
    }
    lines.join("\n")
}
