//! Asking a backend, by whichever client speaks its protocol: the answer, or why there is none.

use std::error::Error as StdError;
use std::pin::pin;

use http::request::Parts;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Either;
use hyper::body::Incoming;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::capture_connection;
use shared_server::outbound::{ConnectError, connect_error};

use super::clients::{Pool, is_unprocessed};
use super::first_byte::FirstByte;
use super::headers;
use super::http1::{Http1, Malformed, Received, SendError, Written};
use super::refusal::Refusal;
use super::uploads::Upload;
use super::upstream::attempts::Failure;

/// The body of an answer: by our own client, or by hyper's.
pub type Theirs = Either<Received, Incoming>;

/// Whether the whole rest of a body has come already.
#[must_use]
pub fn is_at_hand(body: &Theirs) -> bool {
    match body {
        Either::Left(body) => body.is_at_hand(),
        Either::Right(body) => body.is_end_stream(),
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// Our own client has none, or hyper's has one that is none to us, or none in time.
    #[error(transparent)]
    Http1(#[from] SendError),
    /// hyper's has none.
    #[error(transparent)]
    Hyper(#[from] legacy::Error),
}

/// An answer whose head is there, without what was meant for this hop only.
pub struct Answer {
    /// It, unless it changes protocols: then its headers are as they came.
    pub response: Response<Theirs>,
    /// Whether its head says where its body ends: else an end and a breaking off look the same (RFC 9112, section 8).
    pub shows_its_end: bool,
}

/// Who sends a request, in the words that they take.
pub enum Asking<'a> {
    /// Our own client.
    Own(&'a Http1, Written<'a>),
    /// hyper's.
    Hyper(&'a Pool, &'a Parts),
}

/// Sends a request.
///
/// # Errors
/// [`NoAnswer`]. The connector has a limit of its own.
pub async fn ask(asking: Asking<'_>, upload: Upload, first_byte: FirstByte<'_>) -> Result<Answer, NoAnswer> {
    match asking {
        Asking::Own(http1, written) => ask_http1(http1, written, upload, first_byte).await,
        Asking::Hyper(pool, head) => {
            ask_hyper(pool, Request::from_parts(head.clone(), upload), first_byte).await
        }
    }
}

async fn ask_http1(
    http1: &Http1,
    written: Written<'_>,
    upload: Upload,
    first_byte: FirstByte<'_>,
) -> Result<Answer, NoAnswer> {
    let ready = http1.connect(written.to).await.map_err(SendError::from)?;
    let (response, shows_its_end) = http1.send(ready, written, upload, first_byte.awaited()).await?;
    Ok(Answer { response: response.map(Either::Left), shows_its_end })
}

async fn ask_hyper(
    pool: &Pool,
    mut request: Request<Upload>,
    first_byte: FirstByte<'_>,
) -> Result<Answer, NoAnswer> {
    let mut connected = capture_connection(&mut request);
    let mut answer = pin!(pool.request(request));
    let late = async {
        drop(connected.wait_for_connection_metadata().await);
        first_byte.awaited().is_late().await;
    };
    tokio::select! {
        biased;
        answered = &mut answer => {
            let mut response = answered?;
            let shows_its_end = headers::shows_its_end(response.headers(), response.version());
            // Our own client looks for itself. A change of protocols is judged by whoever asked for one.
            if !response.status().is_informational() {
                if headers::is_misframed(response.headers()) {
                    return Err(SendError::from(Malformed::Framing).into());
                }
                headers::clean_answer(response.headers_mut());
            }
            Ok(Answer { response: response.map(Either::Right), shows_its_end })
        }
        () = late => Err(SendError::Late.into()),
    }
}

impl NoAnswer {
    /// What it says of the attempt.
    #[must_use]
    pub fn failure(&self) -> Failure {
        match self {
            Self::Http1(SendError::Late | SendError::Malformed(_)) => Failure::Final,
            Self::Http1(SendError::Connect(_)) => Failure::Unsent,
            Self::Http1(SendError::Upload(_) | SendError::Unanswered(_)) => Failure::Unanswered,
            Self::Hyper(why) if why.is_connect() || connect_error(why).is_some() => Failure::Unsent,
            Self::Hyper(why) if is_unprocessed(why) => Failure::Unprocessed,
            Self::Hyper(why) => {
                let hyper = std::iter::successors(why.source(), |why| (**why).source())
                    .find_map(|why| why.downcast_ref());
                if hyper.is_some_and(hyper::Error::is_parse) { Failure::Final } else { Failure::Unanswered }
            }
        }
    }

    /// What the client hears of it, where no other attempt is made.
    #[must_use]
    pub fn refusal(&self) -> Refusal {
        let connect = match self {
            Self::Http1(SendError::Late) => return Refusal::BackendTimeout,
            Self::Http1(SendError::Connect(why)) => Some(why),
            Self::Http1(_) => None,
            Self::Hyper(why) => connect_error(why),
        };
        match (connect, self) {
            (Some(ConnectError::Timeout), _) => Refusal::BackendTimeout,
            (
                Some(
                    ConnectError::BadUri
                    | ConnectError::RefusedByPolicy { .. }
                    | ConnectError::Dns { .. }
                    | ConnectError::Connect(_)
                    | ConnectError::Tls { .. },
                ),
                _,
            ) => Refusal::BackendUnreachable,
            (None, Self::Hyper(why)) if why.is_connect() => Refusal::BackendUnreachable,
            (None, _) => Refusal::BackendBroken,
        }
    }

    /// It with its causes, for the log.
    #[must_use]
    pub fn chain(&self) -> String {
        let causes = std::iter::successors(Some(self as &dyn StdError), |why| (**why).source());
        let mut told: Vec<String> = causes.map(ToString::to_string).collect();
        told.dedup();
        told.join(": ")
    }
}
