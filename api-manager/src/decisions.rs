//! The last refusals of the gateway of this process, explained: how the management REST gets to see them.
//!
//! Each node has its own; they are gone when it stops.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

use crate::domain::explanation::Explanation;
use crate::domain::ids::ApiId;

/// The most refusals that are kept.
const MOST: usize = 10_000;
/// The most that are kept of one API, so that a noisy one leaves room for the others; what reaches none counts as one.
const MOST_OF_ONE: usize = 500;
/// Refusals that wait to be filed.
const WAITING: usize = 1_024;

/// Both sides: the gateway notes, the management REST finds.
#[derive(Clone)]
pub struct Decisions {
    sender: mpsc::Sender<Explanation>,
    book: Arc<Mutex<Book>>,
}

struct Book {
    waiting: mpsc::Receiver<Explanation>,
    by_api: HashMap<Option<ApiId>, VecDeque<Arc<Explanation>>>,
    kept: usize,
}

impl Default for Decisions {
    fn default() -> Self {
        let (sender, waiting) = mpsc::channel(WAITING);
        Self { sender, book: Arc::new(Mutex::new(Book { waiting, by_api: HashMap::new(), kept: 0 })) }
    }
}

impl Decisions {
    /// Keeps a refusal. Never waits: where others file or read at this very moment and too many wait already, it is lost.
    pub fn note(&self, explanation: Explanation) {
        let Err(mpsc::error::TrySendError::Full(explanation)) = self.sender.try_send(explanation) else {
            return;
        };
        if let Ok(mut book) = self.book.try_lock() {
            book.file_waiting();
            book.file(explanation);
        }
    }

    /// The refusals of that request id, the newest first. There may be several: callers choose ids.
    #[must_use]
    pub fn find(&self, request_id: &str) -> Vec<Arc<Explanation>> {
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        book.file_waiting();
        let all = book.by_api.values().flatten();
        let mut found: Vec<_> = all.filter(|one| &*one.request_id == request_id).map(Arc::clone).collect();
        drop(book);
        found.sort_by_key(|one| std::cmp::Reverse(one.at));
        found
    }
}

impl Book {
    fn file_waiting(&mut self) {
        while let Ok(explanation) = self.waiting.try_recv() {
            self.file(explanation);
        }
    }

    fn file(&mut self, explanation: Explanation) {
        let of_one = self.by_api.entry(explanation.api).or_default();
        // The newest stands in front: what comes first of those found at the same second came last.
        of_one.push_front(Arc::new(explanation));
        if of_one.len() > MOST_OF_ONE {
            of_one.pop_back();
            return;
        }
        self.kept += 1;
        if self.kept > MOST {
            self.forget_one();
        }
    }

    /// Forgets the oldest refusal of the API that has the most.
    fn forget_one(&mut self) {
        let noisiest = self.by_api.iter_mut().max_by_key(|(_, of_one)| of_one.len());
        let Some((api, of_one)) = noisiest else { return };
        let api = *api;
        of_one.pop_back();
        self.kept -= 1;
        if of_one.is_empty() {
            self.by_api.remove(&api);
        }
    }
}

#[cfg(test)]
mod tests {
    use shared_claims::clock::UnixTime;

    use super::*;
    use crate::domain::explanation::Step;

    fn refusal(request_id: &str, api: Option<ApiId>, at: i64) -> Explanation {
        Explanation {
            request_id: request_id.into(),
            at: UnixTime(at),
            method: "GET".into(),
            path: "/".into(),
            status: 404,
            reason: "not_found",
            api,
            application: None,
            failed: Step::Api,
            remedy: "",
            findings: Vec::new(),
        }
    }

    #[test]
    fn a_noisy_api_does_not_evict_the_refusals_of_others() {
        let decisions = Decisions::default();
        let (quiet, noisy) = (ApiId::generate(), ApiId::generate());
        decisions.note(refusal("quiet", Some(quiet), 0));
        for n in 0..3 * MOST {
            decisions.note(refusal(&n.to_string(), Some(noisy), 1));
        }
        assert_eq!(decisions.find("quiet").len(), 1);
        assert_eq!(decisions.find("0").len(), 0);
        assert_eq!(decisions.find(&(3 * MOST - 1).to_string()).len(), 1);
        assert_eq!(decisions.book.lock().unwrap().kept, MOST_OF_ONE + 1);
    }

    #[test]
    fn many_apis_share_the_room_and_the_one_with_the_most_gives_way() {
        let decisions = Decisions::default();
        for _ in 0..MOST {
            decisions.note(refusal("one each", Some(ApiId::generate()), 0));
        }
        let noisy = ApiId::generate();
        for n in 0..100 {
            decisions.note(refusal(&format!("noisy {n}"), Some(noisy), 1));
        }
        assert_eq!(decisions.find("noisy 99").len(), 1);
        assert_eq!(decisions.book.lock().unwrap().kept, MOST);
    }

    #[test]
    fn of_several_with_one_id_the_newest_comes_first() {
        let decisions = Decisions::default();
        let api = ApiId::generate();
        for at in [3, 5, 4] {
            decisions.note(refusal("same", Some(api), at));
        }
        let times: Vec<i64> = decisions.find("same").iter().map(|one| one.at.0).collect();
        assert_eq!(times, [5, 4, 3]);
    }
}
