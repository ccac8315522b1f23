//! A webhook by the Standard Webhooks scheme: a signed POST with an ID that is the same in every attempt, so that the
//! receiver can tell a repeat.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Certificate, Client, StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use super::Undelivered;
use crate::config::net::is_public;
use crate::config::settings::Webhook;

/// Sends one message. What the receiver writes in its answer is not read.
pub async fn send(webhook: &Webhook, id: &str, body: &str, now: Timestamp) -> Result<(), Undelivered> {
    let client = client(webhook).map_err(|fault| Undelivered::now(format!("no client can be made: {fault}")))?;
    let at = now.as_second();
    let signature = sign(&webhook.secret, id, at, body)?;
    let request = client
        .post(&webhook.url)
        .header(header::CONTENT_TYPE, "application/json")
        .header("webhook-id", id)
        .header("webhook-timestamp", at)
        .header("webhook-signature", signature)
        .body(body.to_owned());
    let response = request.send().await.map_err(|error| Undelivered::now(reason(&error, webhook.within)))?;
    let status = response.status();
    let said = format!("the receiver answered with status {status}");
    match status {
        _ if status.is_success() => Ok(()),
        _ if status.is_redirection() => Err(Undelivered::now(format!("{said}; a redirection is not followed"))),
        // The scheme's word for a receiver that is no more.
        StatusCode::GONE => Err(Undelivered::ever(said)),
        _ => {
            let wish = response.headers().get(header::RETRY_AFTER).and_then(|wish| wish.to_str().ok()?.parse().ok());
            Err(Undelivered { retry_after: wish.map(Duration::from_secs), ..Undelivered::now(said) })
        }
    }
}

/// `v1,` and the signature of ID, time and body.
fn sign(secret: &SecretString, id: &str, at: i64, body: &str) -> Result<String, Undelivered> {
    let unusable = || Undelivered::now("the secret is none of the scheme's");
    let key = secret.expose_secret().strip_prefix("whsec_").and_then(|key| STANDARD.decode(key).ok());
    let mut mac = Hmac::<Sha256>::new_from_slice(&key.ok_or_else(unusable)?).map_err(|_| unusable())?;
    mac.update(format!("{id}.{at}.{body}").as_bytes());
    Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

fn client(webhook: &Webhook) -> Result<Client, reqwest::Error> {
    let mut builder = Client::builder()
        .timeout(webhook.within)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .no_proxy()
        .user_agent(concat!("casebridge/", env!("CARGO_PKG_VERSION")));
    if !webhook.private_addresses {
        builder = builder.dns_resolver(Arc::new(PublicOnly));
    }
    if let Some(ca) = &webhook.ca {
        builder = builder.tls_certs_only(Certificate::from_pem_bundle(ca)?);
    }
    builder.build()
}

/// Leaves out addresses inside a network: whoever owns the receiver's name must not point this site at itself.
struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err(PRIVATE.into());
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

const PRIVATE: &str =
    "its name stands for addresses inside a network only; if that is meant, write private_addresses = true";

/// The innermost cause, without the address, which may hold a secret of its own.
fn reason(error: &reqwest::Error, within: Duration) -> String {
    if error.is_timeout() {
        return format!("no answer within {} s", within.as_secs_f64());
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    format!("the receiver cannot be reached: {}", crate::case::text::shown(&cause.to_string(), 200))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the scheme's own documents.
    #[test]
    fn a_signature_is_that_of_the_scheme() {
        let secret = SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let signed = sign(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(signed.unwrap(), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
