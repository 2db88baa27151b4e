//! The time of day as answers say it (RFC 9110, section 6.6.1), spelled once a second.

use std::cell::RefCell;
use std::time::{Duration, UNIX_EPOCH};

use shared_claims::clock::UnixTime;

thread_local! {
    static SPELLED: RefCell<(UnixTime, String)> = const { RefCell::new((UnixTime(0), String::new())) };
}

/// Writes the date of `now`.
pub fn write(out: &mut Vec<u8>, now: UnixTime) {
    SPELLED.with_borrow_mut(|(at, text)| {
        if *at != now || text.is_empty() {
            *at = now;
            let seconds = u64::try_from(now.0).unwrap_or_default();
            *text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
        }
        out.extend_from_slice(text.as_bytes());
    });
}
