//! SMTP. One connection for each mail, each step of it bounded: lettre's own timeout ends with the connect.

use std::time::Duration;

use async_trait::async_trait;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters};
use lettre::transport::smtp::commands;
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use secrecy::ExposeSecret;
use tokio::time::timeout;

use super::{Letter, MailError, Mailer};
use crate::case::text::shown;
use crate::config::settings::{Mail, MailTls};

/// How long the farewell may take. The mail is out by then.
const FAREWELL: Duration = Duration::from_secs(5);
/// It wants us to show who we are, or in another way (RFC 4954), at whatever step it says so.
const WANTS_LOGIN: [u16; 4] = [530, 534, 535, 538];
/// It ends the connection (RFC 5321, section 3.8).
const GOES_AWAY: u16 = 421;
/// What is kept of a server's words, in bytes.
const REASON_LIMIT: usize = 400;

/// The site's mail server.
pub struct Smtp {
    host: String,
    port: u16,
    tls: Option<TlsParameters>,
    mode: MailTls,
    login: Option<Credentials>,
    hello: ClientId,
    connect_timeout: Duration,
    send_timeout: Duration,
}

impl Smtp {
    pub fn new(settings: &Mail) -> Result<Self, Error> {
        let tls = match settings.tls {
            MailTls::None => None,
            MailTls::StartTls | MailTls::Implicit => Some(parameters(settings)?),
        };
        let credentials = |login: &crate::config::settings::MailLogin| {
            Credentials::new(login.user.clone(), login.password.expose_secret().to_owned())
        };
        let domain = settings.from.address.as_str().rsplit_once('@').map_or("localhost", |(_, domain)| domain);
        Ok(Self {
            host: settings.host.clone(),
            port: settings.port,
            tls,
            mode: settings.tls,
            login: settings.login.as_ref().map(credentials),
            hello: ClientId::Domain(domain.to_owned()),
            connect_timeout: settings.connect_timeout,
            send_timeout: settings.send_timeout,
        })
    }

    /// Greets, encrypts, and shows who we are.
    async fn connect(&self) -> Result<AsyncSmtpConnection, Error> {
        let at_once = self.tls.clone().filter(|_| self.mode == MailTls::Implicit);
        let address = (self.host.as_str(), self.port);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(address, Some(self.connect_timeout), &self.hello, at_once, None)
                .await?;
        if let (MailTls::StartTls, Some(tls)) = (self.mode, &self.tls) {
            connection.starttls(tls.clone(), &self.hello).await?;
        }
        if let Some(login) = &self.login {
            connection.auth(&[Mechanism::Plain, Mechanism::Login], login).await?;
        }
        Ok(connection)
    }
}

fn parameters(settings: &Mail) -> Result<TlsParameters, Error> {
    let mut tls = TlsParameters::builder(settings.host.clone());
    if let Some(ca) = &settings.ca {
        tls = tls.certificate_store(CertificateStore::None).add_root_certificate(Certificate::from_pem(ca)?);
    }
    tls.build()
}

#[async_trait]
impl Mailer for Smtp {
    async fn send(&self, letter: &Letter) -> Result<(), MailError> {
        let server = |reason: String| MailError::Server(format!("{}: {reason}", self.host));
        let late = |within: Duration| server(format!("no answer within {} s", within.as_secs_f64()));
        let mut connection = match timeout(self.connect_timeout, self.connect()).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(fault)) => return Err(server(reason(&fault))),
            Err(_) => return Err(late(self.connect_timeout)),
        };
        let outcome = match timeout(self.send_timeout, deliver(&mut connection, letter)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err((step, fault))) => Err(self.trouble(step, &fault)),
            Err(_) => return Err(late(self.send_timeout)),
        };
        // Not waited for: the longer until the row says so, the likelier a crash sends the mail once more.
        tokio::spawn(async move { timeout(FAREWELL, connection.quit()).await });
        outcome
    }
}

/// How far a mail had come when it was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// The server has not heard yet whom it is for: what it refuses is us.
    Sender,
    /// The refusal is this mail's.
    Mail,
}

/// Hands the mail over, step by step.
async fn deliver(connection: &mut AsyncSmtpConnection, letter: &Letter) -> Result<(), (At, Error)> {
    let envelope = letter.envelope();
    let is_eight_bit = !letter.bytes().is_ascii() && connection.server_info().supports_feature(Extension::EightBitMime);
    let options = is_eight_bit.then_some(MailParameter::Body(MailBodyParameter::EightBitMime)).into_iter().collect();
    let sender = commands::Mail::new(envelope.from().cloned(), options);
    connection.command(sender).await.map_err(|fault| (At::Sender, fault))?;
    let of_mail = |fault| (At::Mail, fault);
    for recipient in envelope.to() {
        connection.command(commands::Rcpt::new(recipient.clone(), Vec::new())).await.map_err(of_mail)?;
    }
    connection.command(commands::Data).await.map_err(of_mail)?;
    connection.message(letter.bytes()).await.map_err(of_mail)?;
    Ok(())
}

impl Smtp {
    fn trouble(&self, at: At, fault: &Error) -> MailError {
        let code = fault.status().map(u16::from).unwrap_or_default();
        let told = reason(fault);
        if fault.is_permanent() && at == At::Mail && !WANTS_LOGIN.contains(&code) {
            MailError::Never(told)
        } else if fault.is_transient() && code != GOES_AWAY {
            MailError::Later(told)
        } else {
            MailError::Server(format!("{}: {told}", self.host))
        }
    }
}

/// The fault with everything that lies under it, in one line.
fn reason(fault: &Error) -> String {
    let mut told = fault.to_string();
    let mut below = std::error::Error::source(fault);
    while let Some(source) = below {
        let source_told = source.to_string();
        if !told.contains(&source_told) {
            told = format!("{told}: {source_told}");
        }
        below = source.source();
    }
    shown(&told, REASON_LIMIT)
}
