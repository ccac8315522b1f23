//! The peer over HTTP: one client, every wait and every body bounded. Nothing is retried here; the outbox is the only
//! one that tries again.

use std::time::Duration;

use async_trait::async_trait;
use reqwest::{Certificate, Client, RequestBuilder, Response, StatusCode, header};
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;

use super::{PeerError, Upstream};
use crate::case::{ContentDigest, ExchangeId};
use crate::config::settings;
use crate::protocol::attachment::OFFSET;
use crate::protocol::problem::{CONTENT_TYPE, misread};
use crate::protocol::{
    self, AttachmentAnswer, ContentRange, DigestPage, ExchangePage, OperationAnswer, OperationBatch, Outcome, Problem,
    SiteAnswer, TransactionList, UpdateAnswer,
};

/// The largest answer that is read, in bytes.
const BODY_LIMIT: usize = 64 << 20;

/// An upstream at an address.
pub struct HttpUpstream {
    client: Client,
    settings: settings::Upstream,
}

impl HttpUpstream {
    /// Fails when the CA file holds no certificate.
    pub fn new(settings: &settings::Upstream) -> Result<Self, PeerError> {
        let mut builder = Client::builder()
            .connect_timeout(settings.connect_timeout)
            .pool_max_idle_per_host(8)
            .pool_idle_timeout(Duration::from_secs(60))
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .no_proxy()
            .user_agent(concat!("casebridge/", env!("CARGO_PKG_VERSION")));
        if let Some(ca) = &settings.ca {
            let certificates = Certificate::from_pem_bundle(ca).map_err(|error| PeerError::Tls(error.to_string()))?;
            if certificates.is_empty() {
                return Err(PeerError::Tls("`ca_file` in [upstream] holds no certificate".into()));
            }
            builder = builder.tls_certs_only(certificates);
        }
        let client = builder.build().map_err(|error| PeerError::Tls(error.to_string()))?;
        Ok(Self { client, settings: settings.clone() })
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(self.address(path))
    }

    fn address(&self, path: &str) -> String {
        format!("{}{path}", self.settings.url.trim_end_matches('/'))
    }

    async fn call<T: DeserializeOwned>(&self, request: RequestBuilder, within: Duration) -> Result<T, PeerError> {
        let body = read(self.answer(request, within).await?, BODY_LIMIT).await?;
        let mut deserializer = serde_json::Deserializer::from_slice(&body);
        serde_path_to_error::deserialize(&mut deserializer).map_err(|error| PeerError::Malformed(misread(&error, "")))
    }

    /// The answer, once its head says that it is one and no refusal.
    async fn answer(&self, request: RequestBuilder, within: Duration) -> Result<Response, PeerError> {
        let request =
            request.basic_auth(&self.settings.user, Some(self.settings.password.expose_secret())).timeout(within);
        let response = request.send().await.map_err(|error| PeerError::of(&error))?;
        let status = response.status();
        if status == StatusCode::UNAUTHORIZED {
            return Err(PeerError::Unauthorized);
        }
        if status.is_success() {
            return Ok(response);
        }
        let retry_after = seconds(&response, header::RETRY_AFTER);
        let is_problem = content_type(&response).starts_with(CONTENT_TYPE);
        let body = read(response, BODY_LIMIT).await?;
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) if is_problem => Err(PeerError::Refused { problem: Box::new(problem.shown()), retry_after }),
            _ => Err(PeerError::Status { status, retry_after }),
        }
    }
}

fn seconds(response: &Response, name: header::HeaderName) -> Option<Duration> {
    response.headers().get(name)?.to_str().ok()?.parse().ok().map(Duration::from_secs)
}

fn content_type(response: &Response) -> &str {
    response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

async fn read(mut response: Response, limit: usize) -> Result<Vec<u8>, PeerError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| PeerError::of(&error))? {
        if body.len() + chunk.len() > limit {
            return Err(PeerError::Malformed(format!("an answer of more than {limit} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[async_trait]
impl Upstream for HttpUpstream {
    async fn site(&self) -> Result<SiteAnswer, PeerError> {
        let site: Result<SiteAnswer, PeerError> = self.call(self.get("/v1/site"), self.settings.request_timeout).await;
        let site = site.map_err(|error| match error {
            PeerError::Refused { problem, .. } if problem.is(protocol::ProblemType::UnknownVersion) => {
                PeerError::Version { theirs: problem.detail, ours: protocol::VERSION }
            }
            other => other,
        })?;
        let major = |version: &str| version.split('.').next().map(str::to_owned);
        if major(&site.protocol) != major(protocol::VERSION) {
            let theirs = site.protocol.chars().filter(|c| !c.is_control()).take(20).collect();
            return Err(PeerError::Version { theirs, ours: protocol::VERSION });
        }
        Ok(site)
    }

    async fn operations(&self, batch: &OperationBatch) -> Result<OperationAnswer, PeerError> {
        let post = self.client.post(self.address("/v1/operations"));
        let mut answer: OperationAnswer = self.call(post.json(batch), self.settings.request_timeout).await?;
        let asked = batch.operations.iter().map(|operation| (operation.exchange, operation.seq));
        let answered = answer.results.iter().map(|result| (result.exchange, result.seq));
        if !asked.eq(answered) {
            return Err(PeerError::Malformed("the results do not belong to the operations that were sent".into()));
        }
        for result in &mut answer.results {
            if let Outcome::Refused { problem } | Outcome::Later { problem } = &mut result.outcome {
                *problem = problem.shown();
            }
        }
        Ok(answer)
    }

    async fn transactions(&self, exchanges: &[ExchangeId]) -> Result<TransactionList, PeerError> {
        let ids: Vec<String> = exchanges.iter().map(ExchangeId::to_string).collect();
        let path = format!("/v1/transactions?exchange={}", ids.join(","));
        self.call(self.get(&path), self.settings.request_timeout).await
    }

    async fn updates(&self, after: &str, wait: Duration, limit: usize) -> Result<UpdateAnswer, PeerError> {
        let path = format!("/v1/updates?after={after}&wait={}&limit={limit}", wait.as_secs());
        let answer: UpdateAnswer = self.call(self.get(&path), self.settings.request_timeout + wait).await?;
        check_cursor(&answer.cursor)?;
        Ok(answer)
    }

    async fn exchanges(&self, after: Option<ExchangeId>, limit: usize) -> Result<ExchangePage, PeerError> {
        let after = after.map(|after| format!("&after={after}")).unwrap_or_default();
        let path = format!("/v1/exchanges?limit={limit}{after}");
        let page: ExchangePage = self.call(self.get(&path), self.settings.request_timeout).await?;
        check_cursor(&page.cursor)?;
        Ok(page)
    }

    async fn exchanges_of(&self, exchanges: &[ExchangeId]) -> Result<ExchangePage, PeerError> {
        let ids: Vec<String> = exchanges.iter().map(ExchangeId::to_string).collect();
        let path = format!("/v1/exchanges?exchange={}", ids.join(","));
        self.call(self.get(&path), self.settings.request_timeout).await
    }

    async fn digests(&self, after: Option<ExchangeId>, through: Option<ExchangeId>) -> Result<DigestPage, PeerError> {
        let bound = |name, id: Option<ExchangeId>| id.map(|id| format!("{name}={id}&")).unwrap_or_default();
        let path = format!("/v1/digests?{}{}", bound("after", after), bound("through", through));
        self.call(self.get(path.trim_end_matches(['?', '&'])), self.settings.request_timeout).await
    }

    async fn attachment_offset(&self, exchange: ExchangeId, sha256: &ContentDigest) -> Result<Option<u64>, PeerError> {
        let head = self.client.head(self.address(&attachment(exchange, sha256)));
        match self.answer(head, self.settings.request_timeout).await {
            Ok(answer) => {
                let offset = answer.headers().get(OFFSET).and_then(|value| value.to_str().ok()?.parse().ok());
                offset.map(Some).ok_or_else(|| PeerError::Malformed("it does not say how many bytes it has".into()))
            }
            Err(PeerError::Status { status: StatusCode::NOT_FOUND, .. }) => Ok(None),
            // A refusal has no words here; whoever sends a piece hears them.
            Err(PeerError::Status { status: StatusCode::UNPROCESSABLE_ENTITY, .. }) => Ok(Some(0)),
            Err(error) => Err(error),
        }
    }

    async fn put_attachment(
        &self,
        exchange: ExchangeId,
        sha256: &ContentDigest,
        range: ContentRange,
        piece: Vec<u8>,
    ) -> Result<u64, PeerError> {
        let put = self.client.put(self.address(&attachment(exchange, sha256)));
        let put = put.header(header::CONTENT_RANGE, range.to_string()).body(piece);
        let answer: AttachmentAnswer = self.call(put, self.settings.request_timeout).await?;
        Ok(answer.received)
    }

    async fn get_attachment(
        &self,
        exchange: ExchangeId,
        sha256: &ContentDigest,
        start: u64,
        most: u64,
    ) -> Result<Vec<u8>, PeerError> {
        let last = start.saturating_add(most).saturating_sub(1);
        let get = self.get(&attachment(exchange, sha256)).header(header::RANGE, format!("bytes={start}-{last}"));
        let answer = self.answer(get, self.settings.request_timeout).await?;
        let range = answer.headers().get(header::CONTENT_RANGE).and_then(|value| value.to_str().ok());
        if range.and_then(ContentRange::parse).is_none_or(|range| range.start != start) {
            return Err(PeerError::Malformed("it gave other bytes than were asked for".into()));
        }
        read(answer, usize::try_from(most).unwrap_or(BODY_LIMIT)).await
    }
}

fn attachment(exchange: ExchangeId, sha256: &ContentDigest) -> String {
    format!("/v1/attachments/{sha256}?exchange={exchange}")
}

/// A cursor is kept and stands in an address.
fn check_cursor(cursor: &str) -> Result<(), PeerError> {
    let fits = cursor.len() <= 80 && cursor.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if fits { Ok(()) } else { Err(PeerError::Malformed("a cursor that is no cursor".into())) }
}
