//! The copy that is made of an answer on its way to the client; kept once all of it is there.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, StatusCode};
use http_body::Frame;

use super::store::{Store, Stored};

/// An answer that is being copied. Dropped before its end, it was none.
pub struct Copying {
    store: Arc<Store>,
    /// `None` once it is kept.
    stored: Option<Stored>,
    times: u64,
    most: usize,
    body: BytesMut,
}

impl Copying {
    /// Begins a copy of at most `most` bytes; `times` is how often the target had been forgotten when it was asked for.
    #[must_use]
    pub fn new(store: Arc<Store>, stored: Stored, times: u64, most: usize) -> Self {
        Self { store, stored: Some(stored), times, most, body: BytesMut::new() }
    }

    /// Takes the next frame; `None` where the answer is not to be kept after all.
    #[must_use]
    pub fn after(mut self: Box<Self>, frame: &Frame<Bytes>) -> Option<Box<Self>> {
        // Trailers would have to be kept too.
        let piece = frame.data_ref()?;
        if self.body.len() + piece.len() > self.most || !self.store.take_room(piece.len()) {
            return None;
        }
        self.body.extend_from_slice(piece);
        Some(self)
    }

    /// Keeps the answer, which has come to its end.
    pub fn finish(mut self) {
        let Some(mut stored) = self.stored.take() else { return };
        stored.body.store(Some(Arc::new(Bytes::copy_from_slice(&self.body))));
        // A HEAD is answered from it too; what has no body by its status has no length either.
        if stored.status != StatusCode::NO_CONTENT {
            stored.headers.insert(CONTENT_LENGTH, HeaderValue::from(self.body.len()));
        }
        self.store.keep(stored, self.times);
    }
}

impl Drop for Copying {
    fn drop(&mut self) {
        self.store.give_room(self.body.len());
    }
}
