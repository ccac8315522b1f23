//! The peer over HTTP: one client, every wait and every body bounded. Nothing is retried here; the outbox is the only
//! one that tries again.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::header::HeaderMap;
use reqwest::tls::TlsInfo;
use reqwest::{Certificate, Client, Identity, RequestBuilder, Response, StatusCode, header};
use secrecy::ExposeSecret;
use serde::de::DeserializeOwned;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{PeerError, Upstream};
use crate::case::evidence::Receipt;
use crate::case::text::shown;
use crate::case::{ContentDigest, ExchangeId, Texts};
use crate::config::certificate::{self, PairFault};
use crate::config::settings::{self, Login};
use crate::protocol::attachment::OFFSET;
use crate::protocol::bounded::{is_bounded, too_many};
use crate::protocol::problem::{CONTENT_TYPE, misread, spoken};
use crate::protocol::{
    self, AttachmentAnswer, BATCH_LIMIT, ContentRange, DigestPage, ExchangePage, OperationAnswer, OperationBatch,
    Outcome, PART_LIMIT, Problem, ProblemType, ReceiptAnswer, ReceiptTaken, SiteAnswer, TransactionList, UpdateAnswer,
};

/// The largest answer that is read, in bytes. A page is ended before that by whoever makes it.
const BODY_LIMIT: usize = 16 << 20;
/// The same where whole records are asked for by name.
const RECORDS_LIMIT: usize = 32 << 20;
/// The largest answer that says no, or who the peer is; any other that is larger than this waits for its turn.
const PROBLEM_LIMIT: usize = 4 << 20;

/// An upstream at an address.
pub struct HttpUpstream {
    client: Client,
    settings: settings::Upstream,
    /// When the certificate ends that the upstream showed last, in seconds since 1970; 0 before that is known.
    certificate_ends: AtomicI64,
    /// Large answers are read one at a time: loops that ask at once do not take as much memory each.
    large: Semaphore,
}

impl HttpUpstream {
    /// Fails when the CA file holds no certificate that can be used, or our own certificate and key do not fit.
    pub fn new(settings: &settings::Upstream) -> Result<Self, PeerError> {
        let mut builder = Client::builder()
            .tls_info(true)
            .connect_timeout(settings.connect_timeout)
            .pool_max_idle_per_host(8)
            .pool_idle_timeout(Duration::from_secs(60))
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .no_proxy()
            .user_agent(concat!("casebridge/", env!("CARGO_PKG_VERSION")));
        if let Some(ca) = &settings.ca {
            let certificates = Certificate::from_pem_bundle(ca).unwrap_or_default();
            if certificates.is_empty() {
                return Err(PeerError::Authorities);
            }
            builder = builder.tls_certs_only(certificates);
        }
        if let Some(identity) = &settings.identity {
            let pem = [identity.certificate.as_slice(), b"\n", identity.key.expose_secret().as_bytes()].concat();
            let own = certificate::pair(&identity.certificate, identity.key.expose_secret().as_bytes());
            own.map_err(PeerError::Identity)?;
            let identity = Identity::from_pem(&pem).map_err(|_| PeerError::Identity(PairFault::Key))?;
            builder = builder.identity(identity);
        }
        // Our own certificate is sound, so what is left to be refused are the authorities.
        let client = builder.build().map_err(|error| match &settings.ca {
            Some(_) => PeerError::Authorities,
            None => PeerError::Tls(error.to_string()),
        })?;
        Ok(Self { client, settings: settings.clone(), large: Semaphore::new(1), certificate_ends: AtomicI64::new(0) })
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(self.address(path))
    }

    fn address(&self, path: &str) -> String {
        format!("{}{path}", self.settings.url.trim_end_matches('/'))
    }

    async fn call<T: DeserializeOwned>(&self, request: RequestBuilder, within: Duration) -> Result<T, PeerError> {
        self.call_for(request, within, BODY_LIMIT).await
    }

    async fn call_for<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
        within: Duration,
        limit: usize,
    ) -> Result<T, PeerError> {
        // A large answer has its turn until it was read.
        let (body, _turn) = read(self.answer(request, within).await?, limit, &self.large).await?;
        if !is_bounded(&body) {
            return Err(PeerError::Malformed(format!("an answer of {}", too_many())));
        }
        let mut deserializer = serde_json::Deserializer::from_slice(&body);
        serde_path_to_error::deserialize(&mut deserializer).map_err(|error| PeerError::Malformed(misread(&error, "")))
    }

    /// The answer, once its head says that it is one and no refusal.
    async fn answer(&self, request: RequestBuilder, within: Duration) -> Result<Response, PeerError> {
        let request = match &self.settings.login {
            Login::Password { user, password } => request.basic_auth(user, Some(password.expose_secret())),
            Login::Token(token) => request.bearer_auth(token.expose_secret()),
            Login::Certificate => request,
        };
        let response = request.timeout(within).send().await.map_err(|error| PeerError::of(&error))?;
        let shown = response.extensions().get::<TlsInfo>().and_then(TlsInfo::peer_certificate);
        if let Some(certificate) = shown.and_then(certificate::read) {
            self.certificate_ends.store(certificate.ends.as_second(), Ordering::Relaxed);
        }
        let status = response.status();
        if status == StatusCode::UNAUTHORIZED {
            return Err(PeerError::Unauthorized);
        }
        if status.is_success() {
            return Ok(response);
        }
        let retry_after = retry_after(response.headers(), Timestamp::now());
        let is_problem = content_type(&response).starts_with(CONTENT_TYPE);
        // Whatever cannot be read of it, the status was.
        let body = read(response, PROBLEM_LIMIT, &self.large).await.map(|(body, _)| body).unwrap_or_default();
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) if is_problem => Err(PeerError::Refused { problem: Box::new(problem.shown()), retry_after }),
            _ => Err(PeerError::Status { status, retry_after }),
        }
    }
}

/// Seconds or a date (RFC 9110, section 10.2.3). A date is held against the peer's own clock, where it tells the time.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok();
    let date = |text: &str| DateTimeParser::new().parse_timestamp(text).ok();
    let wish = text(header::RETRY_AFTER)?.trim();
    if !wish.is_empty() && wish.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(wish.parse().unwrap_or(u64::MAX)));
    }
    let now = text(header::DATE).and_then(date).unwrap_or(now);
    Some(Duration::try_from(date(wish)?.duration_since(now)).unwrap_or_default())
}

fn content_type(response: &Response) -> &str {
    response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

async fn read<'l>(
    mut response: Response,
    limit: usize,
    large: &'l Semaphore,
) -> Result<(Vec<u8>, Option<SemaphorePermit<'l>>), PeerError> {
    /// Read block by block: one that grew would leave its smaller selves behind it.
    const BLOCK: usize = 1 << 20;
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    let mut length = 0;
    let mut turn = None;
    while let Some(chunk) = response.chunk().await.map_err(|error| PeerError::of(&error))? {
        length += chunk.len();
        if length > limit {
            return Err(PeerError::Malformed(format!("an answer of more than {limit} bytes")));
        }
        if turn.is_none() && length > PROBLEM_LIMIT {
            turn = large.acquire().await.ok();
        }
        match blocks.last_mut() {
            Some(block) if block.len() + chunk.len() <= BLOCK => block.extend_from_slice(&chunk),
            _ => blocks.push(chunk.to_vec()),
        }
    }
    Ok((blocks.concat(), turn))
}

#[async_trait]
impl Upstream for HttpUpstream {
    fn certificate_ends(&self) -> Option<Timestamp> {
        let seconds = self.certificate_ends.load(Ordering::Relaxed);
        (seconds != 0).then(|| Timestamp::from_second(seconds).ok()).flatten()
    }

    async fn site(&self) -> Result<SiteAnswer, PeerError> {
        let site: Result<SiteAnswer, PeerError> =
            self.call_for(self.get("/v1/site"), self.settings.request_timeout, PROBLEM_LIMIT).await;
        let site = site.map_err(|error| match error {
            PeerError::Refused { problem, .. } if problem.is(protocol::ProblemType::UnknownVersion) => {
                PeerError::Version { theirs: spoken(&problem.detail), ours: protocol::VERSION }
            }
            other => other,
        })?;
        let major = |version: &str| version.split('.').next().map(str::to_owned);
        if major(&site.protocol) != major(protocol::VERSION) {
            return Err(PeerError::Version { theirs: shown(&site.protocol, 20), ours: protocol::VERSION });
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
        check_length(answer.operations.len(), limit)?;
        if goes_back(after, &answer.cursor) {
            return Err(PeerError::Malformed("a cursor that goes back".into()));
        }
        Ok(answer)
    }

    async fn receipts(&self, after: u64, limit: usize) -> Result<ReceiptAnswer, PeerError> {
        let path = format!("/v1/receipts?after={after}&limit={limit}");
        self.call_for(self.get(&path), self.settings.request_timeout, PROBLEM_LIMIT).await
    }

    async fn give_receipt(&self, receipt: &Receipt) -> Result<ReceiptTaken, PeerError> {
        let post = self.client.post(self.address("/v1/receipts"));
        self.call_for(post.json(receipt), self.settings.request_timeout, PROBLEM_LIMIT).await
    }

    async fn exchanges(&self, after: Option<ExchangeId>, limit: usize) -> Result<ExchangePage, PeerError> {
        let after = after.map(|after| format!("&after={after}")).unwrap_or_default();
        let path = format!("/v1/exchanges?limit={limit}{after}");
        let page: ExchangePage = self.call(self.get(&path), self.settings.request_timeout).await?;
        check_cursor(&page.cursor)?;
        check_length(page.exchanges.len(), limit)?;
        Ok(page)
    }

    async fn exchanges_of(&self, exchanges: &[ExchangeId], texts: Texts) -> Result<ExchangePage, PeerError> {
        let ids: Vec<String> = exchanges.iter().map(ExchangeId::to_string).collect();
        let path = format!("/v1/exchanges?{}exchange={}", whole(texts), ids.join(","));
        let page: ExchangePage = self.call_for(self.get(&path), self.settings.request_timeout, RECORDS_LIMIT).await?;
        check_length(page.exchanges.len(), exchanges.len())?;
        Ok(page)
    }

    async fn digests(
        &self,
        after: Option<ExchangeId>,
        through: Option<ExchangeId>,
        texts: Texts,
    ) -> Result<DigestPage, PeerError> {
        let bound = |name, id: Option<ExchangeId>| id.map(|id| format!("{name}={id}&")).unwrap_or_default();
        let path = format!("/v1/digests?{}{}{}", bound("after", after), bound("through", through), whole(texts));
        let page: DigestPage =
            self.call(self.get(path.trim_end_matches(['?', '&'])), self.settings.request_timeout).await?;
        check_length(page.parts.len(), PART_LIMIT)?;
        check_length(page.exchanges.len(), BATCH_LIMIT)?;
        Ok(page)
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
            Err(PeerError::Status { status: StatusCode::CONFLICT, retry_after }) => {
                let problem = ProblemType::Inactive.with("the exchange of this case is switched off at the peer's");
                Err(PeerError::Refused { problem: Box::new(problem), retry_after })
            }
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
        let limit = usize::try_from(most).unwrap_or(BODY_LIMIT);
        read(answer, limit, &self.large).await.map(|(piece, _)| piece)
    }
}

/// What asks for texts word by word, before another parameter or at the end.
fn whole(texts: Texts) -> &'static str {
    match texts {
        Texts::Whole => "whole=true&",
        Texts::Hidden => "",
    }
}

fn attachment(exchange: ExchangeId, sha256: &ContentDigest) -> String {
    format!("/v1/attachments/{sha256}?exchange={exchange}")
}

/// Whether a cursor is before another one of the same feed. One of another form tells nothing about that.
fn goes_back(after: &str, cursor: &str) -> bool {
    let parts = |cursor: &str| -> Option<(String, u64)> {
        let (feed, number) = cursor.rsplit_once('-')?;
        Some((feed.to_owned(), number.parse().ok()?))
    };
    matches!((parts(after), parts(cursor)), (Some((before, old)), Some((now, new))) if before == now && new < old)
}

fn check_length(length: usize, limit: usize) -> Result<(), PeerError> {
    match length > limit {
        true => Err(PeerError::Malformed("more in one page than was asked for".into())),
        false => Ok(()),
    }
}

/// A cursor is kept and stands in an address.
fn check_cursor(cursor: &str) -> Result<(), PeerError> {
    let fits = cursor.len() <= 80 && cursor.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if fits { Ok(()) } else { Err(PeerError::Malformed("a cursor that is no cursor".into())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_to_wait_is_seconds_or_a_date() {
        let now: Timestamp = "2026-11-22T10:00:00Z".parse().unwrap();
        let wait = |wish: &str, date: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, wish.parse().unwrap());
            headers.extend(date.map(|date| (header::DATE, date.parse().unwrap())));
            retry_after(&headers, now).map(|wait| wait.as_secs())
        };
        assert_eq!(wait("120", None), Some(120));
        assert_eq!(wait("99999999999999999999999", None), Some(u64::MAX), "bounded by the settings, later");
        assert_eq!(wait("Sun, 22 Nov 2026 10:02:00 GMT", None), Some(120));
        let theirs = Some("Sun, 22 Nov 2026 09:00:00 GMT");
        assert_eq!(wait("Sun, 22 Nov 2026 09:00:30 GMT", theirs), Some(30), "their clock is an hour behind");
        assert_eq!(wait("Sun, 22 Nov 2026 09:00:00 GMT", None), Some(0));
        for wrong in ["", "-5", "1.5", "soon", "2026-11-22T10:02:00Z"] {
            assert_eq!(wait(wrong, None), None, "{wrong}");
        }
    }

    #[test]
    fn a_cursor_does_not_go_back_in_its_feed() {
        for (after, cursor, back) in [
            ("a-1", "a-1", false),
            ("a-1", "a-2", false),
            ("a-9", "b-1", false),
            ("opaque", "other", false),
            ("a-2", "a-1", true),
            ("0-a-10", "0-a-9", true),
        ] {
            assert_eq!(goes_back(after, cursor), back, "{after} {cursor}");
        }
    }
}
