//! Work in groups. A signature's tables and the code around it take turns in the processor's caches: once a group, when all that
//! are ready on a thread come so far, then all sign, then all answer, and not once for each of them.

use std::cell::RefCell;
use std::mem::take;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;
use tokio::task::yield_now;

/// The most that is done in one go: between two groups the thread sees to its sockets and timers.
const LARGEST: usize = 64;

type Work = Box<dyn FnOnce() + Send>;

thread_local! {
    /// The group that whoever comes next on this thread joins.
    static OPEN: RefCell<Group> = RefCell::default();
}

/// Work that waits; `None` once it is done, and before there is any.
type Group = Arc<Mutex<Option<Vec<Work>>>>;

/// Does a group's work when it is dropped: also where the request that began the group is given up, for others wait for it.
struct Lead(Group);

impl Drop for Lead {
    fn drop(&mut self) {
        let waiting = take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        waiting.into_iter().flatten().for_each(|work| work());
    }
}

/// Does this with what others who are ready on this thread want done. `None` where it, or what came before it in the group, panicked.
pub async fn together<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (done, outcome) = oneshot::channel();
    let lead = join(Box::new(move || {
        // Where nobody waits any more, nobody is told.
        let _ = done.send(work());
    }));
    if lead.is_some() {
        // The first one: it waits until all others that are ready had their turn.
        yield_now().await;
    }
    drop(lead);
    outcome.await.ok()
}

/// The lead, where this is the first of a group.
fn join(work: Work) -> Option<Lead> {
    OPEN.with_borrow_mut(|open| {
        if let Some(waiting) = &mut *open.lock().unwrap_or_else(PoisonError::into_inner)
            && waiting.len() < LARGEST
        {
            waiting.push(work);
            return None;
        }
        *open = Arc::new(Mutex::new(Some(vec![work])));
        Some(Lead(Arc::clone(open)))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures_util::FutureExt;
    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn those_who_are_ready_are_worked_for_in_one_go_and_in_their_order() {
        let (told, seen) = mpsc::channel();
        let caller = |number: usize| {
            let told = told.clone();
            async move {
                told.send(format!("{number} comes")).unwrap();
                let (teller, twice) = (told.clone(), number * 2);
                let work = move || {
                    teller.send(format!("{number} works")).unwrap();
                    twice
                };
                assert_eq!(together(work).await, Some(twice));
                told.send(format!("{number} answers")).unwrap();
            }
        };
        join_all((1..=3).map(caller)).await;
        drop(told);
        let seen: Vec<_> = seen.into_iter().collect();
        let part = |what: &str| (1..=3).map(|number| format!("{number} {what}")).collect::<Vec<_>>();
        assert_eq!(seen[..6], [part("comes"), part("works")].concat());
        assert_eq!(seen[6..], part("answers"));
    }

    #[tokio::test]
    async fn a_group_is_full_at_some_time() {
        let mut callers: Vec<_> = (0..=LARGEST).map(|number| Box::pin(together(move || number))).collect();
        for caller in &mut callers {
            assert!(caller.as_mut().now_or_never().is_none());
        }
        let second = callers.pop().unwrap();
        // The first one's work is that of its group.
        drop(callers.swap_remove(0));
        for caller in callers {
            assert!(caller.now_or_never().flatten().is_some());
        }
        assert_eq!(second.await, Some(LARGEST));
    }

    #[tokio::test]
    async fn nobody_waits_for_one_who_gave_up() {
        let mut first = Box::pin(together(|| 1));
        let mut second = Box::pin(together(|| 2));
        assert!(first.as_mut().now_or_never().is_none() && second.as_mut().now_or_never().is_none());
        drop(first);
        assert_eq!(second.now_or_never(), Some(Some(2)));
        assert_eq!(together(|| 3).await, Some(3), "the next group");
    }

    #[tokio::test]
    async fn work_that_panics_keeps_nobody_waiting() {
        let caller = |panics: bool| Box::pin(together(move || assert!(!panics, "as the test wants it")));
        let mut callers = [false, true, false].map(caller);
        for caller in &mut callers {
            assert!(caller.as_mut().now_or_never().is_none());
        }
        let [first, bad, behind] = callers;
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(first))).is_err());
        assert_eq!((bad.await, behind.await), (None, None));
        assert_eq!(together(|| 3).await, Some(3), "the next group");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn who_goes_on_on_another_thread_still_gets_an_answer() {
        let callers = (0..2_000).map(|number| tokio::spawn(together(move || number)));
        for (number, caller) in join_all(callers).await.into_iter().enumerate() {
            assert_eq!(caller.unwrap(), Some(number));
        }
    }
}
