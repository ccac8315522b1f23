//! Calls to the daemon, over its Unix socket.

mod fault;

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Client, Response, header};
pub use reqwest::{Method, RequestBuilder};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::exit::{Exit, Failure};
use crate::protocol::Problem;

/// The largest answer that is read, in bytes.
const BODY_LIMIT: usize = 64 << 20;

/// The way to one daemon. Every call names in `what` the thing that did not happen when the call fails.
pub struct Local {
    client: Client,
    socket: PathBuf,
    /// For the remedy, where the way was found through a configuration.
    config: Option<PathBuf>,
    timeout: Duration,
}

impl Local {
    /// `config` is where the socket's name came from, if from a configuration.
    pub fn new(socket: PathBuf, config: Option<&Path>, timeout: Duration) -> Result<Self, Failure> {
        let client = Client::builder()
            .unix_socket(socket.as_path())
            .no_proxy()
            // Nothing is encrypted here; looking for the system's certificates would only take time.
            .tls_certs_only([])
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .user_agent(concat!("casebridge/", env!("CARGO_PKG_VERSION")))
            .build();
        match client {
            Ok(client) => Ok(Self { client, socket, config: config.map(Path::to_owned), timeout }),
            Err(error) => Err(Failure::new(
                Exit::Failed,
                "the daemon cannot be called",
                fault::reason(&error),
                "please report this",
            )),
        }
    }

    /// Asks for something.
    pub async fn get<T: DeserializeOwned>(&self, what: &str, path: &str) -> Result<T, Failure> {
        self.call(what, self.client.get(url(path))).await
    }

    /// Asks for something to be done.
    pub async fn post<T: DeserializeOwned>(&self, what: &str, path: &str, body: &impl Serialize) -> Result<T, Failure> {
        self.call(what, self.client.post(url(path)).json(body)).await
    }

    /// Sends a file as it is.
    pub async fn post_file<T: DeserializeOwned>(&self, what: &str, path: &str, file: Vec<u8>) -> Result<T, Failure> {
        let request = self.client.post(url(path)).header(header::CONTENT_TYPE, "application/octet-stream").body(file);
        self.call(what, request).await
    }

    /// Asks with another method; `request` is made of the address.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        what: &str,
        method: Method,
        path: &str,
        request: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<T, Failure> {
        self.call(what, request(self.client.request(method, url(path)))).await
    }

    /// Asks for bytes.
    pub async fn bytes(&self, what: &str, path: &str) -> Result<Vec<u8>, Failure> {
        self.answer(what, self.client.get(url(path))).await
    }

    async fn call<T: DeserializeOwned>(&self, what: &str, request: RequestBuilder) -> Result<T, Failure> {
        let body = self.answer(what, request).await?;
        serde_json::from_slice(&body).map_err(|fault| {
            let why = format!("the daemon's answer does not read: {fault}");
            Failure::new(Exit::Failed, what, why, "command and daemon may be of two versions; restart the daemon")
        })
    }

    /// What a request that succeeded was answered with.
    async fn answer(&self, what: &str, request: RequestBuilder) -> Result<Vec<u8>, Failure> {
        let response = request.timeout(self.timeout).send().await.map_err(|error| self.unreachable(what, &error))?;
        let status = response.status();
        let body = self.read(what, response).await?;
        if !status.is_success() {
            return Err(match serde_json::from_slice::<Problem>(&body) {
                Ok(problem) => fault::refused(what, &problem),
                Err(_) => {
                    let why = format!("{} answered with status {status} and no reason", self.socket.display());
                    Failure::new(Exit::Failed, what, why, "look whether another program listens there")
                }
            });
        }
        Ok(body)
    }

    async fn read(&self, what: &str, mut response: Response) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(what, &error))? {
            if body.len() + chunk.len() > BODY_LIMIT {
                let why = format!("the answer is longer than {} MiB", BODY_LIMIT >> 20);
                return Err(Failure::new(Exit::Failed, what, why, "ask for less, for example with --limit"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn unreachable(&self, what: &str, error: &reqwest::Error) -> Failure {
        fault::unreachable(what, error, &self.socket, self.config.as_deref(), self.timeout)
    }
}

/// The name of the host goes into a header and nowhere else.
fn url(path: &str) -> String {
    format!("http://casebridge.local{path}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ProblemType;
    use crate::protocol::operator::RetryAnswer;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixListener;

    async fn call(socket: &Path) -> Result<RetryAnswer, Failure> {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let config = Path::new("/etc/casebridge/config.toml");
        let local = Local::new(socket.to_owned(), Some(config), Duration::from_millis(500)).expect("a client");
        local.get("nothing was retried", "/v1/retry").await
    }

    /// What a command says when the daemon answers so.
    async fn answered(status: &str, body: &str) -> Result<RetryAnswer, Failure> {
        let dir = tempfile::tempdir().expect("a directory");
        let socket = dir.path().join("s");
        let listener = UnixListener::bind(&socket).expect("a socket");
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
        let server = async {
            let (mut stream, _) = listener.accept().await.expect("a caller");
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await.expect("a request");
            stream.write_all(answer.as_bytes()).await.expect("an answer");
            stream.shutdown().await.expect("an end");
        };
        let (answer, ()) = tokio::join!(call(&socket), server);
        answer
    }

    #[tokio::test]
    async fn a_daemon_that_does_not_run_is_named_with_the_remedy() {
        let dir = tempfile::tempdir().expect("a directory");
        let missing = dir.path().join("missing.sock");
        let refused = dir.path().join("refused.sock");
        drop(UnixListener::bind(&refused).expect("a socket"));
        for socket in [missing, refused] {
            let failure = call(&socket).await.expect_err("nobody there");
            assert_eq!(failure.exit, Exit::Unreachable);
            let text = failure.to_string();
            assert!(text.starts_with("nothing was retried; the daemon does not run: "), "{text}");
            assert!(text.contains("systemctl start casebridge"), "{text}");
            assert!(text.contains("casebridge run --config /etc/casebridge/config.toml"), "{text}");
        }
    }

    #[tokio::test]
    async fn a_daemon_that_is_silent_is_not_waited_for() {
        let dir = tempfile::tempdir().expect("a directory");
        let socket = dir.path().join("s");
        let _listener = UnixListener::bind(&socket).expect("a socket");
        let failure = call(&socket).await.expect_err("silence");
        assert_eq!(failure.exit, Exit::Unreachable);
        assert!(failure.to_string().contains("did not answer within"), "{failure}");
    }

    #[tokio::test]
    async fn a_refusal_is_told_in_the_daemons_words() {
        let problem = ProblemType::NotParked.with("nothing of incident 7 is parked\u{1b}[2J");
        let body = serde_json::to_string(&problem).expect("JSON");
        let failure = answered("409 Conflict", &body).await.expect_err("refused");
        assert_eq!(failure.exit, Exit::Refused);
        let text = failure.to_string();
        assert!(text.contains("nothing of incident 7 is parked\\u{1b}[2J"), "{text}");
        assert!(text.contains("casebridge parked"), "{text}");
    }

    #[tokio::test]
    async fn an_answer_is_read() {
        assert_eq!(answered("200 OK", r#"{"rearmed":3,"later":true}"#).await, Ok(RetryAnswer { rearmed: 3, files: 0 }));
        let failure = answered("200 OK", "<html>").await.expect_err("not JSON");
        assert!(failure.to_string().contains("does not read"), "{failure}");
        let failure = answered("502 Bad Gateway", "no").await.expect_err("no problem document");
        assert_eq!(failure.exit, Exit::Failed);
    }
}
