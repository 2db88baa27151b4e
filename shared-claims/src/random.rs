//! Random bytes for ids, fetched from OpenSSL's generator a page at a time and by each thread for itself.
//!
//! For what must not repeat. What must not be guessed (tokens, secrets) is made by `secret`.

use std::cell::RefCell;

use openssl::rand::rand_bytes;
use uuid::{Builder, Uuid};

use crate::clock::UnixTime;

/// What is fetched at once, in bytes: whoever's turn it is to fetch waits for it.
const PAGE: usize = 4_096;

struct Page {
    bytes: [u8; PAGE],
    used: usize,
}

thread_local! {
    static PAGE_OF_THREAD: RefCell<Page> = const { RefCell::new(Page { bytes: [0; PAGE], used: PAGE }) };
}

/// A new id of version 4 (RFC 9562, section 5.4).
#[must_use]
pub fn id() -> Uuid {
    bytes().map_or_else(Uuid::now_v7, |bytes| Builder::from_random_bytes(bytes).into_uuid())
}

/// A new id of version 7 (RFC 9562, section 5.7): those of one second lie together where they are kept in order.
#[must_use]
pub fn id_at(now: UnixTime) -> Uuid {
    let milliseconds = u64::try_from(now.0).unwrap_or_default().saturating_mul(1_000);
    let random = bytes().and_then(|bytes| bytes.first_chunk().copied());
    random.map_or_else(Uuid::now_v7, |random| {
        Builder::from_unix_timestamp_millis(milliseconds, &random).into_uuid()
    })
}

/// Sixteen bytes; `None` where OpenSSL has none.
fn bytes() -> Option<[u8; 16]> {
    PAGE_OF_THREAD.with_borrow_mut(|page| {
        if page.used >= PAGE {
            rand_bytes(&mut page.bytes).ok()?;
            page.used = 0;
        }
        let next = page.bytes.get(page.used..)?.first_chunk().copied();
        page.used += 16;
        next
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_do_not_repeat_across_pages_and_threads() {
        let make = || (0..1_000).map(|_| id()).collect::<Vec<_>>();
        let mut ids = make();
        ids.extend(std::thread::spawn(make).join().unwrap());
        assert!(ids.iter().all(|id| id.get_version_num() == 4));
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 2_000);
    }

    #[test]
    fn ids_of_a_second_differ_and_come_before_those_of_the_next() {
        let at = |second| (0..1_000).map(|_| id_at(UnixTime(second))).collect::<Vec<_>>();
        let (mut first, next) = (at(1_800_000_000), at(1_800_000_001));
        assert!(first.iter().max() < next.iter().min());
        assert!(first.iter().all(|id| id.get_version_num() == 7));
        first.sort_unstable();
        first.dedup();
        assert_eq!(first.len(), 1_000);
    }
}
