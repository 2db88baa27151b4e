//! Reading ahead. Of thousands of APIs a processor has none at hand, and a call that reads one line of memory after the other
//! waits for each of them; what is asked for early enough is there when it is read.

use std::future::poll_fn;
use std::pin::Pin;

/// Asks for the line of memory in which `what` begins, and waits for nothing. Where that cannot be asked, it is read when it is
/// needed.
#[inline(always)]
pub fn fetch<T>(what: &T) {
    #[cfg(target_arch = "x86_64")]
    safe_arch::prefetch_t0(what);
    #[cfg(not(target_arch = "x86_64"))]
    let _ = what;
}

/// Waits for `future`, and asks with `fetch` for what will be read after it each time before it goes on: what was at hand when the
/// wait began is not any more when it ends.
pub async fn meanwhile<F: Future>(mut future: Pin<&mut F>, fetch: impl Fn()) -> F::Output {
    poll_fn(|cx| {
        fetch();
        future.as_mut().poll(cx)
    })
    .await
}
