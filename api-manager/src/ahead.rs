//! Reading ahead. Of thousands of APIs a processor has none at hand, and a call that reads one line of memory after the other
//! waits for each of them; what is asked for early enough is there when it is read.

/// Asks for the line of memory in which `what` begins, and waits for nothing. Where that cannot be asked, it is read when it is
/// needed.
#[inline(always)]
pub fn fetch<T>(what: &T) {
    #[cfg(target_arch = "x86_64")]
    safe_arch::prefetch_t0(what);
    #[cfg(not(target_arch = "x86_64"))]
    let _ = what;
}
