//! A small bounded `GET`.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, USER_AGENT};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::timeout;

use super::{ConnectError, Connector, OutboundError, OutboundPolicy, connect_error};

/// A `GET` for small documents such as a JWK set: bounded in size and time, follows no redirect.
#[derive(Clone)]
pub struct Fetcher {
    client: Client<Connector, Empty<Bytes>>,
    https_only: bool,
    max_bytes: usize,
    timeout: Duration,
}

/// Why there is no document. Never holds the URL, in which an operator may have put a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// Not an absolute URL, or one with a user name or password in it.
    #[error("not an absolute http or https URL without user name and password")]
    BadUrl,
    /// Fetching without TLS is not allowed.
    #[error("the URL has to begin with https://")]
    NotHttps,
    /// The policy does not allow the address.
    #[error("{0}")]
    RefusedByPolicy(String),
    /// There is no connection.
    #[error("{0}")]
    Connect(String),
    /// The connection broke, or what came is not HTTP.
    #[error("no answer: {0}")]
    Broken(String),
    /// The answer is not complete in time.
    #[error("no complete answer in time")]
    Timeout,
    /// Not 200; redirects are not followed.
    #[error("answered with status {0} where only 200 will do; redirects are not followed")]
    Status(u16),
    /// The document is too long.
    #[error("the answer has more than {0} bytes")]
    TooLarge(usize),
}

impl Fetcher {
    /// A fetcher of documents of at most `max_bytes` each, in at most `timeout` each.
    ///
    /// # Errors
    /// As [`Connector::new`].
    pub fn new(
        policy: OutboundPolicy,
        https_only: bool,
        max_bytes: usize,
        timeout: Duration,
    ) -> Result<Self, OutboundError> {
        let connector = Connector::new(policy, false)?;
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(15))
            .build(connector);
        Ok(Self { client, https_only, max_bytes, timeout })
    }

    /// The document at `url`.
    ///
    /// # Errors
    /// [`FetchError`] says which of the rules it broke.
    pub async fn get(&self, url: &str) -> Result<Bytes, FetchError> {
        let uri: Uri = url.parse().map_err(|_| FetchError::BadUrl)?;
        let authority = uri.authority().ok_or(FetchError::BadUrl)?;
        match uri.scheme_str() {
            _ if authority.as_str().contains('@') => return Err(FetchError::BadUrl),
            Some("https") => {}
            Some("http") if self.https_only => return Err(FetchError::NotHttps),
            Some("http") => {}
            _ => return Err(FetchError::BadUrl),
        }
        let request = Request::get(uri)
            .header(ACCEPT, "application/json, */*;q=0.5")
            .header(USER_AGENT, "countersign")
            .body(Empty::new())
            .map_err(|_| FetchError::BadUrl)?;
        timeout(self.timeout, self.exchange(request)).await.unwrap_or(Err(FetchError::Timeout))
    }

    async fn exchange(&self, request: Request<Empty<Bytes>>) -> Result<Bytes, FetchError> {
        let response = self.client.request(request).await.map_err(|why| match connect_error(&why) {
            Some(refused @ ConnectError::RefusedByPolicy { .. }) => {
                FetchError::RefusedByPolicy(refused.to_string())
            }
            Some(failed) => FetchError::Connect(failed.to_string()),
            None => FetchError::Broken(why.to_string()),
        })?;
        if response.status() != StatusCode::OK {
            return Err(FetchError::Status(response.status().as_u16()));
        }
        let body = Limited::new(response.into_body(), self.max_bytes).collect().await;
        let body = body.map_err(|why| {
            let too_large = why.is::<LengthLimitError>();
            if too_large { FetchError::TooLarge(self.max_bytes) } else { FetchError::Broken(why.to_string()) }
        })?;
        Ok(body.to_bytes())
    }
}
