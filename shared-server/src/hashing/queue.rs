//! What waits for a thread: bounded, and told apart from a wait that grows long.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Nothing more may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

/// Where jobs are added. When it is dropped, the threads end with the jobs that wait.
pub(super) struct Queue<J>(Arc<Shared<J>>);

/// Where threads take them from.
pub(super) struct Work<J>(Arc<Shared<J>>);

struct Shared<J> {
    state: Mutex<State<J>>,
    changed: Condvar,
    most: usize,
}

struct State<J> {
    jobs: VecDeque<J>,
    is_closed: bool,
}

impl<J> Queue<J> {
    /// Both ends of a queue of at most `most` jobs.
    pub(super) fn bounded(most: usize) -> (Arc<Self>, Work<J>) {
        let state = Mutex::new(State { jobs: VecDeque::new(), is_closed: false });
        let shared = Arc::new(Shared { state, changed: Condvar::new(), most });
        (Arc::new(Self(Arc::clone(&shared))), Work(shared))
    }

    /// Lets a job wait for a thread.
    pub(super) fn add(&self, job: J) -> Result<(), Full> {
        let mut state = self.0.lock();
        if state.jobs.len() >= self.0.most {
            return Err(Full);
        }
        state.jobs.push_back(job);
        drop(state);
        self.0.changed.notify_one();
        Ok(())
    }
}

impl<J> Drop for Queue<J> {
    fn drop(&mut self) {
        self.0.lock().is_closed = true;
        self.0.changed.notify_all();
    }
}

impl<J> Work<J> {
    /// The next job, waited for; none where nobody can add one any more. `falls_idle` is called once where it takes longer
    /// than `moment`.
    pub(super) fn next(&self, moment: Duration, falls_idle: impl FnOnce()) -> Option<J> {
        let has_none = |state: &mut State<J>| state.jobs.is_empty() && !state.is_closed;
        let waited = self.0.changed.wait_timeout_while(self.0.lock(), moment, has_none);
        let (mut state, time) = waited.unwrap_or_else(PoisonError::into_inner);
        if time.timed_out() {
            drop(state);
            falls_idle();
            let waited = self.0.changed.wait_while(self.0.lock(), has_none);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
        state.jobs.pop_front()
    }
}

impl<J> Clone for Work<J> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<J> Shared<J> {
    fn lock(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    const LONG: Duration = Duration::from_secs(3_600);

    #[test]
    fn jobs_come_in_their_order_and_past_the_bound_not_at_all() {
        let (queue, work) = Queue::bounded(2);
        assert_eq!([queue.add(1), queue.add(2), queue.add(3)], [Ok(()), Ok(()), Err(Full)]);
        assert_eq!([work.next(LONG, || ()), work.next(LONG, || ())], [Some(1), Some(2)]);
        assert_eq!(queue.add(3), Ok(()));
    }

    #[test]
    fn whoever_waits_long_hears_of_it_once_and_still_gets_the_next_job() {
        let (queue, work) = Queue::bounded(1);
        let (tell, told) = channel();
        let waiting = std::thread::spawn(move || work.next(Duration::ZERO, || tell.send(()).unwrap()));
        told.recv().unwrap();
        queue.add(7).unwrap();
        assert_eq!(waiting.join().unwrap(), Some(7));
        assert!(told.recv().is_err());
    }

    #[test]
    fn what_waits_is_still_done_when_nobody_can_add_more() {
        let (queue, work) = Queue::bounded(2);
        queue.add(1).unwrap();
        drop(queue);
        assert_eq!([work.next(LONG, || ()), work.next(LONG, || ())], [Some(1), None]);
    }
}
