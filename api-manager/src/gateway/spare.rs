//! Memory that one request has done with and the next one takes, on each thread by itself. What was used last is still in the
//! processor's caches; an allocator hands out what was not touched for longest.

use std::cell::RefCell;
use std::fmt;
use std::ops::{Deref, DerefMut};

use bytes::Bytes;
use http::HeaderMap;

/// What a thread keeps, of either kind: some two for each of the requests that are under way at once, mostly.
const MOST: usize = 128;
/// Room of a new buffer at least, in bytes: none is kept that would have to grow for most of what is asked of it.
const LEAST_ROOM: usize = 512;
/// The largest buffer that is kept, in bytes, and the largest map of headers, in lines.
const LARGEST_BUFFER: usize = 8 * 1_024;
const MOST_LINES: usize = 64;
/// Room of a new map: for the headers of most messages, with ours.
const LINES: usize = 24;

thread_local! {
    static BUFFERS: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
    static MAPS: RefCell<Vec<HeaderMap>> = const { RefCell::new(Vec::new()) };
}

/// A buffer that goes back to its thread when it is dropped.
#[derive(Default)]
pub struct Buffer(Vec<u8>);

impl fmt::Debug for Buffer {
    /// Its length alone: what passes may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({} bytes)", self.len())
    }
}

impl Buffer {
    /// An empty one with so much room, in bytes.
    #[must_use]
    pub fn with_room(room: usize) -> Self {
        let mut buffer = BUFFERS.with_borrow_mut(Vec::pop).unwrap_or_default();
        buffer.reserve(room.max(LEAST_ROOM));
        Self(buffer)
    }

    /// A copy of these with no room beyond them: for what stays longer than a call.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    /// What it holds, to be shared; the buffer goes back with the last piece of it.
    #[must_use]
    pub fn shared(self) -> Bytes {
        if self.is_empty() { Bytes::new() } else { Bytes::from_owner(self) }
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut buffer = std::mem::take(&mut self.0);
        if (LEAST_ROOM..=LARGEST_BUFFER).contains(&buffer.capacity()) {
            buffer.clear();
            keep(&BUFFERS, buffer);
        }
    }
}

impl Deref for Buffer {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

/// An empty map with room for so many headers.
#[must_use]
pub fn headers(room: usize) -> HeaderMap {
    match MAPS.with_borrow_mut(Vec::pop) {
        Some(mut map) => {
            map.reserve(room);
            map
        }
        None => HeaderMap::with_capacity(room.max(LINES)),
    }
}

/// Gives a map back whose headers nobody reads any more.
pub fn give_back(mut headers: HeaderMap) {
    if (1..=MOST_LINES).contains(&headers.capacity()) {
        headers.clear();
        keep(&MAPS, headers);
    }
}

/// Keeps it where there is room; a thread that ends keeps nothing.
fn keep<T>(kept: &'static std::thread::LocalKey<RefCell<Vec<T>>>, one: T) {
    let _ = kept.try_with(|kept| {
        let mut kept = kept.borrow_mut();
        if kept.len() < MOST {
            kept.push(one);
        }
    });
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::HOST;

    use super::*;

    #[test]
    fn what_is_given_back_is_taken_next_and_shows_nothing_of_before() {
        let mut buffer = Buffer::with_room(100);
        buffer.extend_from_slice(b"secret");
        assert_eq!(format!("{buffer:?}"), "Buffer(6 bytes)");
        let place = buffer.as_ptr();
        drop(buffer);
        let buffer = Buffer::with_room(10);
        assert!(buffer.as_ptr() == place && buffer.is_empty() && buffer.capacity() >= 100);
        drop(buffer);

        let mut whole = Buffer::with_room(7);
        whole.extend_from_slice(b"one two");
        let whole = whole.shared();
        let piece = whole.slice(4..);
        drop(whole);
        assert!(Buffer::with_room(1).as_ptr() != place, "a piece of it is still held");
        assert_eq!(&*piece, b"two");
        drop(piece);
        assert_eq!(Buffer::of(b"x").capacity(), 1, "what stays has no room that it does not need");
        assert_eq!(Buffer::with_room(1).as_ptr(), place);

        let mut map = headers(2);
        map.append(HOST, HeaderValue::from_static("a"));
        map.append(HOST, HeaderValue::from_static("b"));
        give_back(map);
        let map = headers(40);
        assert!(map.is_empty() && map.get(HOST).is_none() && map.capacity() >= 40);
    }

    #[test]
    fn what_is_large_or_too_much_is_not_kept() {
        drop(Buffer::with_room(LARGEST_BUFFER + 1));
        give_back(headers(MOST_LINES + 1));
        assert!(BUFFERS.with_borrow(Vec::is_empty) && MAPS.with_borrow(Vec::is_empty));
        drop((0..=MOST).map(|_| Buffer::with_room(1)).collect::<Vec<_>>());
        assert_eq!(BUFFERS.with_borrow(Vec::len), MOST);
        // What never had room is nothing to keep.
        let before = MAPS.with_borrow(Vec::len);
        give_back(HeaderMap::new());
        assert_eq!(MAPS.with_borrow(Vec::len), before);
    }
}
